//! Element by element: sum, product, another scale or width.

use super::{Bounds, Width};
use crate::{
    Memory, Multiplier, Operand, Rounding,
    base::{
        isa::Vectorize,
        memory::{In, Out, in_blocks},
    },
};

/// An element takes about as long as so many multiply-accumulates of a convolution.
pub(super) const ELEMENT: usize = 24;

/// `out = bounds(multiplier(a' + b'))`, `a' = a_multiplier(2^15 (a - z_a))`, `b'` alike: TensorFlow Lite's int16 `ADD`.
///
/// `output` may be the same view as an operand of its width.
#[derive(Clone, Copy, Debug)]
pub struct AddInt16 {
    /// First operand.
    pub a: Operand,
    /// Second operand, of the same height, width and channels.
    pub b: Operand,
    /// Result.
    pub output: Operand,
    /// Widths of `a`, `b`, `output`.
    pub widths: [Width; 3],
    /// Zero points of `a` and `b`; 0 at 16 bits.
    pub zero_points: [i32; 2],
    /// `s_a / (2 max(s_a, s_b))`, at most 1/2.
    pub a_multiplier: Multiplier,
    /// The same of `b`.
    pub b_multiplier: Multiplier,
    /// `2 max(s_a, s_b) / (2^15 s_out)`.
    pub multiplier: Multiplier,
    /// Zero point and clamp of the output.
    pub bounds: Bounds,
    /// The rounding.
    pub rounding: Rounding,
}

/// Operands are shifted left by this much.
pub(crate) const LEFT_SHIFT: u32 = 15;

impl AddInt16 {
    #[inline(always)]
    fn one(&self, a: i32, b: i32) -> i32 {
        let common = |x: i32, z: i32, m: Multiplier| m.apply(x.wrapping_sub(z) << LEFT_SHIFT, self.rounding);
        let a = common(a, self.zero_points[0], self.a_multiplier);
        let b = common(b, self.zero_points[1], self.b_multiplier);
        self.bounds.clamp(self.multiplier.apply(a.wrapping_add(b), self.rounding))
    }
}

/// `out = bounds(multiplier((a - z_a) (b - z_b)))`: TensorFlow Lite's int16 `MUL`.
///
/// `b` has the shape of `a`, or one pixel (a factor for each channel), or fewer channels (a factor for each group of channels of each
/// pixel). `output` may be the
/// same view as an operand of its shape and width.
#[derive(Clone, Copy, Debug)]
pub struct MulInt16 {
    /// First operand.
    pub a: Operand,
    /// Second operand.
    pub b: Operand,
    /// Result, of the height, width and channels of `a`.
    pub output: Operand,
    /// Widths of `a`, `b`, `output`.
    pub widths: [Width; 3],
    /// Zero points of `a` and `b`; 0 at 16 bits.
    pub zero_points: [i32; 2],
    /// `s_a s_b / s_out`.
    pub multiplier: Multiplier,
    /// Zero point and clamp of the output.
    pub bounds: Bounds,
    /// The rounding.
    pub rounding: Rounding,
}

impl MulInt16 {
    #[inline(always)]
    fn one(&self, a: i32, b: i32) -> i32 {
        let product = a.wrapping_sub(self.zero_points[0]).wrapping_mul(b.wrapping_sub(self.zero_points[1]));
        self.bounds.clamp(self.multiplier.apply(product, self.rounding))
    }
}

/// `out = bounds(multiplier(in - z_in))`: TensorFlow Lite's `QUANTIZE` between both widths, or within one.
///
/// `output` may be the same view as `input` if both have one width.
#[derive(Clone, Copy, Debug)]
pub struct RescaleInt16 {
    /// What to convert.
    pub input: Operand,
    /// Result, of the same height, width and channels.
    pub output: Operand,
    /// Widths of `input`, `output`.
    pub widths: [Width; 2],
    /// Zero point of `input`; 0 at 16 bits.
    pub input_zero_point: i32,
    /// `s_in / s_out`.
    pub multiplier: Multiplier,
    /// Zero point and clamp of the output.
    pub bounds: Bounds,
    /// The rounding.
    pub rounding: Rounding,
}

/// Two operands and a function of one element of each.
struct Walk<'m, F> {
    a: In<'m>,
    b: In<'m>,
    out: Out<'m>,
    widths: [Width; 3],
    one: F,
}

/// Height, width and codes of a view.
fn codes([h, w, bytes]: [usize; 3], width: Width) -> Option<[usize; 3]> {
    Some([h, w, width.codes(bytes)?])
}

impl<'m, F: Fn(i32, i32) -> i32> Walk<'m, F> {
    /// `None` where an operand lies outside memory, or something does not fit together.
    fn new(
        mem: &Memory<'m>,
        operands: [&Operand; 3],
        widths: [Width; 3],
        bounds: &Bounds,
        one: F,
    ) -> Option<Self> {
        let (a, b, out) = (mem.read(operands[0])?, mem.read(operands[1])?, mem.write(operands[2])?);
        let shape @ [h, w, c] = codes(out.shape(), widths[2])?;
        let [bh, bw, factors] = codes(b.shape(), widths[1])?;
        let repeats =
            [bh, bw, factors] == [1, 1, c] || [bh, bw] == [h, w] && c.checked_rem(factors) == Some(0);
        let fits = repeats && codes(a.shape(), widths[0])? == shape && bounds.fits(widths[2]);
        fits.then_some(Self { a, b, out, widths, one })
    }

    /// Whether the second operand has as many elements as the result.
    fn is_whole(&self) -> bool {
        codes(self.b.shape(), self.widths[1]) == codes(self.out.shape(), self.widths[2])
    }
}

impl<F: Fn(i32, i32) -> i32> Vectorize for Walk<'_, F> {
    #[inline(always)]
    fn run(self) {
        let Self { a, b, out, widths, one } = self;
        let ([h, w, bytes], [bh, bw, b_bytes]) = (out.shape(), b.shape());
        let channels = bytes / widths[2].bytes();
        let factors = b_bytes / widths[1].bytes();
        // Channels that share an element of the second operand.
        let group = channels.checked_div(factors).unwrap_or(1).max(1);
        for (y, x) in (0..h).flat_map(|y| (0..w).map(move |x| (y, x))) {
            let (cells, left) = (out.pixel(y, x), a.pixel(y, x));
            let right = b.pixel(if bh == 1 { 0 } else { y }, if bw == 1 { 0 } else { x });
            if group == 1 {
                in_blocks!(first in channels, N => {
                    let (left, right) = (widths[0].block::<N>(left, first), widths[1].block::<N>(right, first));
                    let mut results = [0; N];
                    for i in 0..N {
                        results[i] = one(left[i], right[i]);
                    }
                    widths[2].put(cells, first, results);
                });
                continue;
            }
            for factor in 0..factors {
                let [right] = widths[1].block::<1>(right, factor);
                in_blocks!(first in group, N => {
                    let first = factor * group + first;
                    let results = widths[0].block::<N>(left, first).map(|left| one(left, right));
                    widths[2].put(cells, first, results);
                });
            }
        }
    }
}

impl AddInt16 {
    fn walk<'m>(&self, mem: &Memory<'m>) -> Option<Walk<'m, impl Fn(i32, i32) -> i32>> {
        let add = *self;
        Walk::new(mem, [&self.a, &self.b, &self.output], self.widths, &self.bounds, move |a, b| add.one(a, b))
            .filter(Walk::is_whole)
    }
}

impl MulInt16 {
    fn walk<'m>(&self, mem: &Memory<'m>) -> Option<Walk<'m, impl Fn(i32, i32) -> i32>> {
        let mul = *self;
        Walk::new(mem, [&self.a, &self.b, &self.output], self.widths, &self.bounds, move |a, b| mul.one(a, b))
    }
}

impl RescaleInt16 {
    fn walk<'m>(&self, mem: &Memory<'m>) -> Option<Walk<'m, impl Fn(i32, i32) -> i32>> {
        let Self { widths: [input, output], .. } = *self;
        let Self { input_zero_point, multiplier, bounds, rounding, .. } = *self;
        let one = move |x: i32, _| bounds.clamp(multiplier.apply(x.wrapping_sub(input_zero_point), rounding));
        Walk::new(mem, [&self.input, &self.input, &self.output], [input, input, output], &self.bounds, one)
    }
}

crate::schedule::kernel!(AddInt16, |add| {
    check: |mem| add.walk(mem),
    run: |walk, isa| isa.vectorize(walk),
    reads: [a, b],
    in place: true,
    cost: ELEMENT,
});

crate::schedule::kernel!(MulInt16, |mul| {
    check: |mem| mul.walk(mem),
    run: |walk, isa| isa.vectorize(walk),
});

crate::schedule::kernel!(RescaleInt16, |rescale| {
    check: |mem| rescale.walk(mem),
    run: |walk, isa| isa.vectorize(walk),
    reads: [input],
    in place: true,
    cost: ELEMENT,
});
