//! Interpolation between pixels that tables name.

use super::{
    elements::views,
    float::{Float, fused, number},
};
use crate::{
    Memory, Operand,
    base::{
        isa::Vectorize,
        memory::{ByEncoding, Codes, Encoding, In, Out, in_elements},
    },
};

/// Mixes pixels of `taps` rows and columns, with weights for each axis: resizing by any rule. Input and output share scale and zero point.
///
/// ```text
/// s = sum over rows i, columns j of row_weights[i] * column_weights[j] * in[rows[i], columns[j]]       the taps of that pixel
/// out = s / 2^20 to nearest, ties away from zero, clamped to 8 bits
/// ```
///
/// The weights of one pixel sum to `2^10` along each axis, so that zero points need no care. Sums are modulo `2^32`.
#[derive(Clone, Copy, Debug)]
pub struct Interpolate<'a> {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[oh, ow, c]`.
    pub output: Operand,
    /// Rows, columns that make one.
    pub taps: [u32; 2],
    /// Rows of the input, as many for each row of the result.
    pub rows: &'a [i32],
    /// Columns likewise.
    pub columns: &'a [i32],
    /// Weights of rows.
    pub row_weights: &'a [i32],
    /// Weights of columns.
    pub column_weights: &'a [i32],
}

/// The same of numbers.
///
/// From +0 on, row by row: `s = fused(row_weight * column_weight, x, s)`; then `out = number(s)`.
#[derive(Clone, Copy, Debug)]
pub struct InterpolateFloat<'a> {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[oh, ow, c]`.
    pub output: Operand,
    /// Types of `input`, `output`.
    pub types: [Float; 2],
    /// Rows, columns that make one.
    pub taps: [u32; 2],
    /// Rows of the input, as many for each row of the result.
    pub rows: &'a [i32],
    /// Columns likewise.
    pub columns: &'a [i32],
    /// Weights of rows.
    pub row_weights: &'a [f32],
    /// Weights of columns.
    pub column_weights: &'a [f32],
}

/// Values that can be mixed. Methods must be `#[inline(always)]`: they stand in loops that are to vectorise.
trait Mix: Copy + Default {
    /// What their weights and sums are.
    type Sum: Copy + Default;

    fn product(a: Self::Sum, b: Self::Sum) -> Self::Sum;
    fn add(self, weight: Self::Sum, sum: Self::Sum) -> Self::Sum;
    fn result(sum: Self::Sum) -> Self;
}

impl Mix for i8 {
    type Sum = i32;

    #[inline(always)]
    fn product(a: i32, b: i32) -> i32 {
        a.wrapping_mul(b)
    }

    #[inline(always)]
    fn add(self, weight: i32, sum: i32) -> i32 {
        sum.wrapping_add(weight.wrapping_mul(self as i32))
    }

    #[inline(always)]
    fn result(sum: i32) -> Self {
        let half = if sum > 0 { 1 << 19 } else { -(1 << 19) };
        (sum.wrapping_add(half) / (1 << 20)).clamp(-128, 127) as Self
    }
}

impl Mix for f32 {
    type Sum = f32;

    #[inline(always)]
    fn product(a: f32, b: f32) -> f32 {
        a * b
    }

    #[inline(always)]
    fn add(self, weight: f32, sum: f32) -> f32 {
        fused(weight, self, sum)
    }

    #[inline(always)]
    fn result(sum: f32) -> Self {
        number(sum)
    }
}

/// The taps of an axis.
#[derive(Clone, Copy)]
struct Axis<'k, W> {
    taps: usize,
    places: &'k [i32],
    weights: &'k [W],
}

impl<'k, W: Copy> Axis<'k, W> {
    /// `None` unless there are as many places and weights as `out` needs, all of them below `size`.
    fn new(taps: u32, places: &'k [i32], weights: &'k [W], [size, out]: [usize; 2]) -> Option<Self> {
        let taps = taps as usize;
        let is_within = |place: &i32| usize::try_from(*place).is_ok_and(|place| place < size);
        let fits = taps > 0
            && [places.len(), weights.len()] == [taps.checked_mul(out)?; 2]
            && places.iter().all(is_within);
        fits.then_some(Self { taps, places, weights })
    }

    /// Those of row or column `o`.
    #[inline(always)]
    fn of(&self, o: usize) -> impl Iterator<Item = (usize, W)> + Clone {
        let first = o.saturating_mul(self.taps);
        let range = first..first.saturating_add(self.taps);
        let places = self.places.get(range.clone()).unwrap_or(&[]);
        let weights = self.weights.get(range).unwrap_or(&[]);
        places.iter().map(|place| *place as usize).zip(weights.iter().copied())
    }
}

/// The loop over values of either kind.
struct Mixed<'k, 'm, E, W> {
    input: In<'m>,
    out: Out<'m>,
    encodings: [E; 2],
    channels: usize,
    axes: [Axis<'k, W>; 2],
}

impl<'k, 'm, E: Encoding, W: Copy> Mixed<'k, 'm, E, W> {
    fn new(
        mem: &Memory<'m>,
        operands: [&Operand; 2],
        encodings: [E; 2],
        [row_taps, column_taps]: [u32; 2],
        [rows, columns]: [&'k [i32]; 2],
        [row_weights, column_weights]: [&'k [W]; 2],
    ) -> Option<Self> {
        let (input, out, channels) = views(mem, operands, encodings[0], encodings[1])?;
        let ([h, w, _], [oh, ow, _]) = (input.shape(), out.shape());
        let axes = [
            Axis::new(row_taps, rows, row_weights, [h, oh])?,
            Axis::new(column_taps, columns, column_weights, [w, ow])?,
        ];
        Some(Self { input, out, encodings, channels, axes })
    }
}

impl<E: Encoding, W> ByEncoding<E, 2> for Mixed<'_, '_, E, W>
where
    E::Value: Mix<Sum = W>,
    W: Copy + Default,
{
    #[inline(always)]
    fn each(&self, [from, to]: [E; 2]) {
        let [oh, ow, _] = self.out.shape();
        for oy in 0..oh {
            let rows = self.axes[0].of(oy);
            for ox in 0..ow {
                let (columns, cells) = (self.axes[1].of(ox), self.out.pixel(oy, ox));
                in_elements!(E::IS_FLOAT, first in self.channels, N => {
                    let mut sums = [W::default(); N];
                    for (y, of_row) in rows.clone() {
                        for (x, of_column) in columns.clone() {
                            let weight = E::Value::product(of_row, of_column);
                            let values = from.block::<N>(self.input.pixel(y, x), first);
                            for (sum, value) in sums.iter_mut().zip(values) {
                                *sum = value.add(weight, *sum);
                            }
                        }
                    }
                    let mut values = [E::Value::default(); N];
                    for (value, sum) in values.iter_mut().zip(sums) {
                        *value = E::Value::result(sum);
                    }
                    to.put(cells, first, values);
                });
            }
        }
    }
}

impl<E: Encoding, W> Vectorize for Mixed<'_, '_, E, W>
where
    E::Value: Mix<Sum = W>,
    W: Copy + Default,
{
    const WIDE: bool = !E::IS_FLOAT;

    #[inline(always)]
    fn run(self) {
        E::specialize(self.encodings, &self);
    }
}

crate::schedule::kernel!(Interpolate<'a>, |resize| {
    check: |mem| Mixed::new(
        mem,
        [&resize.input, &resize.output],
        [Codes::<i8>::default(); 2],
        resize.taps,
        [resize.rows, resize.columns],
        [resize.row_weights, resize.column_weights],
    ),
    run: |mixed, isa| isa.vectorize(mixed),
});

crate::schedule::kernel!(InterpolateFloat<'a>, |resize| {
    check: |mem| Mixed::new(
        mem,
        [&resize.input, &resize.output],
        resize.types,
        resize.taps,
        [resize.rows, resize.columns],
        [resize.row_weights, resize.column_weights],
    ),
    run: |mixed, isa| isa.vectorize(mixed),
});
