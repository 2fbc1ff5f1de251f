//! Pooling: largest value and mean of windows, mean of the image.

use super::{Float, FloatBounds, by_types::by_types, half};
#[cfg(target_arch = "aarch64")]
use crate::ops::pool::max::{neon, rectangle::Rectangle};
use crate::{
    Memory, Operand,
    base::{
        isa::Vectorize,
        memory::{Encoding as _, In, Out, in_blocks, in_lanes, put_u16s},
    },
    formats::elements::views,
    ops::pool::{Windows, average::sum_fits, global::PIXELS, window},
    schedule::by_rows::{ReceptiveField, elements, positive},
};
use core::ops;

/// Bits of the half.
const INFINITY: i16 = 0x7c00;

/// A comparison takes about as long as so many multiply-accumulates of a convolution.
const COMPARISON: u32 = 4;

/// Largest number of each window.
///
/// Windows are clipped to the image. In each, from minus infinity on, row by row: `largest = x if x > largest else largest`. So NaN is
/// skipped, of zeros of both signs the first is taken, and a window of nothing else gives minus infinity. Then
/// `out = range.clamp(largest)`.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool2dFloat {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[oh, ow, c]`.
    pub output: Operand,
    /// Types of `input`, `output`.
    pub types: [Float; 2],
    /// Rows, columns.
    pub kernel: [u32; 2],
    /// Rows, columns.
    pub stride: [u32; 2],
    /// Above, to the left.
    pub padding: [u32; 2],
    /// Fused activation.
    pub range: FloatBounds,
}

struct Largest<'m> {
    pool: MaxPool2dFloat,
    input: In<'m>,
    out: Out<'m>,
    channels: usize,
}

impl MaxPool2dFloat {
    fn largest<'m>(&self, mem: &Memory<'m>) -> Option<Largest<'m>> {
        let (input, out, channels) = views(mem, [&self.input, &self.output], self.types[0], self.types[1])?;
        positive(&[self.kernel, self.stride]).then_some(Largest { pool: *self, input, out, channels })
    }
}

impl Largest<'_> {
    #[inline(always)]
    fn each(&self, types: [Float; 2]) {
        for oy in 0..self.out.shape()[0] {
            self.row(types, oy);
        }
    }

    /// Row `oy` of the output.
    #[inline(always)]
    fn row(&self, types: [Float; 2], oy: usize) {
        let Self { out, channels, .. } = *self;
        let rows = self.rows(oy);
        for ox in 0..out.shape()[1] {
            let columns = self.columns(ox);
            let (at, window) = ([oy, ox], [&rows, &columns]);
            // A pixel is found as often as there are blocks: where vectors are, large ones.
            if cfg!(target_pointer_width = "64") {
                in_blocks!(first in channels, N => { self.largest::<N>(types, at, window, first); });
            } else {
                in_lanes!(first in channels, N => { self.largest::<N>(types, at, window, first); });
            }
        }
    }

    /// Rows of the input that row `oy` of the output covers.
    #[inline(always)]
    fn rows(&self, oy: usize) -> ops::Range<usize> {
        let MaxPool2dFloat { kernel, stride, padding, .. } = self.pool;
        window(oy, kernel[0] as usize, stride[0] as usize, padding[0] as usize, self.input.shape()[0])
    }

    /// Columns of the input that column `ox` of the output covers.
    #[inline(always)]
    fn columns(&self, ox: usize) -> ops::Range<usize> {
        let MaxPool2dFloat { kernel, stride, padding, .. } = self.pool;
        window(ox, kernel[1] as usize, stride[1] as usize, padding[1] as usize, self.input.shape()[1])
    }

    /// `N` channels from `first` on of the output pixel `at`, whose window has these rows and columns.
    #[inline(always)]
    fn largest<const N: usize>(
        &self,
        [from, to]: [Float; 2],
        [oy, ox]: [usize; 2],
        [rows, columns]: [&ops::Range<usize>; 2],
        first: usize,
    ) {
        if from == Float::F16 {
            let halves = self.largest_half::<N>([rows, columns], first);
            if to == Float::F16 && self.pool.range == FloatBounds::ALL {
                return put_u16s(self.out.pixel(oy, ox), first.saturating_mul(2), halves);
            }
            let largest = half::to_f32s(halves).map(|l| self.pool.range.clamp(l));
            return to.put(self.out.pixel(oy, ox), first, largest);
        }
        let mut largest = [f32::NEG_INFINITY; N];
        for y in rows.clone() {
            for x in columns.clone() {
                let values = from.block::<N>(self.input.pixel(y, x), first);
                for (l, v) in largest.iter_mut().zip(values) {
                    *l = if v > *l { v } else { *l };
                }
            }
        }
        for l in &mut largest {
            *l = self.pool.range.clamp(*l);
        }
        to.put(self.out.pixel(oy, ox), first, largest);
    }

    /// The largest f16 values of a window, compared as integers: twice as many fit a vector, and nothing is converted.
    #[inline(always)]
    fn largest_half<const N: usize>(&self, window: [&ops::Range<usize>; 2], first: usize) -> [u16; N] {
        const NEGATIVE_INFINITY: i16 = half::from_f32(f32::NEG_INFINITY) as i16;
        if cfg!(target_pointer_width = "64")
            && let Some(largest) = self.largest_positive(window, first)
        {
            return largest;
        }
        let (mut largest, mut keys) = ([NEGATIVE_INFINITY; N], [-INFINITY; N]);
        self.each_half::<N>(window, first, |halves| {
            for i in 0..N {
                let (magnitude, sign) = (halves[i] & 0x7fff, halves[i] >> 15);
                // In the order of the values, zeros of both signs alike; NaN is below all.
                let key = (magnitude ^ sign).wrapping_sub(sign);
                let key = if magnitude > INFINITY { i16::MIN } else { key };
                // By masks: compilers keep them in vectors.
                let greater = if key > keys[i] { -1 } else { 0 };
                keys[i] = keys[i].max(key);
                largest[i] = halves[i] & greater | largest[i] & !greater;
            }
        });
        largest.map(|l| l as u16)
    }

    /// The same where nothing is negative and everything a number, as after a ReLU: bits are in the order of the values, and those of all else are
    /// larger. Pays where vectors are.
    #[inline(always)]
    fn largest_positive<const N: usize>(
        &self,
        window: [&ops::Range<usize>; 2],
        first: usize,
    ) -> Option<[u16; N]> {
        let mut largest = [0u16; N];
        self.each_half::<N>(window, first, |halves| {
            for i in 0..N {
                largest[i] = largest[i].max(halves[i] as u16);
            }
        });
        let greatest = largest.into_iter().fold(0, u16::max);
        let is_empty = window.iter().any(|range| range.is_empty());
        (!is_empty && greatest <= INFINITY as u16).then_some(largest)
    }

    /// `N` f16 values from channel `first` on of every pixel of a window.
    #[inline(always)]
    fn each_half<const N: usize>(
        &self,
        [rows, columns]: [&ops::Range<usize>; 2],
        first: usize,
        mut each: impl FnMut([i16; N]),
    ) {
        for y in rows.clone() {
            for x in columns.clone() {
                each(self.input.pixel(y, x).pairs::<N>(first.saturating_mul(2)).map(i16::from_le_bytes));
            }
        }
    }
}

#[cfg(target_arch = "aarch64")]
impl Largest<'_> {
    /// F16 values without a clamp. Rows in which something is negative or NaN, or a window has no cells, are computed once more.
    fn halves(&self, neon: neon::Neon) {
        let Self { input, out, .. } = *self;
        let ([_, w, _], [oh, ow, bytes]) = (input.shape(), out.shape());
        let [kw, sw, pw] =
            [self.pool.kernel[1], self.pool.stride[1], self.pool.padding[1]].map(|d| d as usize);
        let whole = (0..ow).all(|ox| !self.columns(ox).is_empty());
        for oy in 0..oh {
            let (rows, pixel) = (self.rows(oy), input.stride());
            let first = input.as_ptr().wrapping_add(rows.start * w * pixel);
            let rectangle = Rectangle { first, rows: rows.len(), columns: w, row: w * pixel, pixel };
            let first = out.as_ptr().wrapping_add(oy * ow * out.stride());
            let outputs = neon::Outputs { first, pixels: ow, pixel: out.stride() };
            let columns = neon::Columns { kernel: kw, stride: sw, padding: pw, size: w };
            // SAFETY: rows and columns are clipped to the input; the outputs are a row of `out`, which has as many channels of two bytes.
            let greatest =
                unsafe { neon.largest::<neon::Halves>(&rectangle, columns, bytes, [0, u16::MAX], outputs) };
            if greatest > INFINITY as u16 || !whole || rows.is_empty() {
                self.row([Float::F16; 2], oy);
            }
        }
    }
}

impl Vectorize for Largest<'_> {
    const WIDE: bool = false;

    #[inline(always)]
    fn run(self) {
        let types = self.pool.types;
        by_types!(types => self.each(types));
    }
}

crate::schedule::kernel!(MaxPool2dFloat, |pool| {
    check: |mem| pool.largest(mem),
    run: |largest, isa| {
        #[cfg(target_arch = "aarch64")]
        if let Some(neon) = neon::Neon::new(isa).filter(|_| pool.types == [Float::F16; 2] && pool.range == FloatBounds::ALL) {
            return largest.halves(neon);
        }
        isa.vectorize(largest);
    },
    reads: [input],
    rows: ReceptiveField::window(pool.kernel, [1; 2], pool.stride, pool.padding), above: padding[0],
    cost: elements([pool.kernel[0], pool.kernel[1], COMPARISON]),
});

/// Mean of each window.
///
/// The cells of the image are added to +0 one after the other, row by row, and the sum is divided by the number of cells, as a number in
/// single precision. With `count_padding`, cells in the padding count too (PyTorch's `count_include_pad`). A window without cells gives
/// +0. Then `out = range.clamp(mean)`.
#[derive(Clone, Copy, Debug)]
pub struct AveragePool2dFloat {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[oh, ow, c]`.
    pub output: Operand,
    /// Types of `input`, `output`.
    pub types: [Float; 2],
    /// Rows, columns.
    pub kernel: [u32; 2],
    /// Rows, columns.
    pub stride: [u32; 2],
    /// Above, to the left.
    pub padding: [u32; 2],
    /// Below, to the right: only to count cells with `count_padding`.
    pub padding_end: [u32; 2],
    /// Whether cells in the padding take part.
    pub count_padding: bool,
    /// Fused activation.
    pub range: FloatBounds,
}

struct Means<'m> {
    pool: AveragePool2dFloat,
    input: In<'m>,
    out: Out<'m>,
    channels: usize,
}

impl AveragePool2dFloat {
    fn means<'m>(&self, mem: &Memory<'m>) -> Option<Means<'m>> {
        let (input, out, channels) = views(mem, [&self.input, &self.output], self.types[0], self.types[1])?;
        sum_fits(self.kernel, self.stride).then_some(Means { pool: *self, input, out, channels })
    }
}

crate::schedule::kernel!(AveragePool2dFloat, |pool| {
    check: |mem| pool.means(mem),
    run: |means, isa| isa.vectorize(means),
});

impl Means<'_> {
    #[inline(always)]
    fn each(&self, [from, to]: [Float; 2]) {
        let Self { pool, input, out, channels } = *self;
        let windows = Windows::new(pool.kernel, pool.stride, pool.padding, input.shape());
        let [oh, ow, _] = out.shape();
        for oy in 0..oh {
            let rows = windows.rows(oy);
            for ox in 0..ow {
                let columns = windows.columns(ox);
                let count = if pool.count_padding {
                    windows.padded_cells([oy, ox], pool.padding_end)
                } else {
                    rows.len().wrapping_mul(columns.len())
                };
                // Where there are no cells, the sum is 0.
                let count = count.max(1) as f32;
                let cells = out.pixel(oy, ox);
                in_lanes!(first in channels, N => {
                    let mut sums = [0.0; N];
                    for y in rows.clone() {
                        for x in columns.clone() {
                            let values = from.block::<N>(input.pixel(y, x), first);
                            for (sum, v) in sums.iter_mut().zip(values) {
                                *sum += v;
                            }
                        }
                    }
                    for sum in &mut sums {
                        *sum = pool.range.clamp(*sum / count);
                    }
                    to.put(cells, first, sums);
                });
            }
        }
    }
}

impl Vectorize for Means<'_> {
    const WIDE: bool = false;

    #[inline(always)]
    fn run(self) {
        let types = self.pool.types;
        by_types!(types => self.each(types));
    }
}

/// Mean over the image: a window of all its pixels, as [`AveragePool2dFloat`] has it.
#[derive(Clone, Copy, Debug)]
pub struct GlobalAveragePoolFloat {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[1, 1, c]`.
    pub output: Operand,
    /// Types of `input`, `output`.
    pub types: [Float; 2],
    /// Fused activation.
    pub range: FloatBounds,
}

impl GlobalAveragePoolFloat {
    fn means<'m>(&self, mem: &Memory<'m>) -> Option<Means<'m>> {
        let Self { input, output, types, range } = *self;
        let pool = AveragePool2dFloat {
            input,
            output,
            types,
            kernel: [input.shape[0], input.shape[1]],
            stride: [1, 1],
            padding: [0, 0],
            padding_end: [0, 0],
            count_padding: false,
            range,
        };
        let (input, out, channels) = views(mem, [&input, &output], types[0], types[1])?;
        let [h, w, _] = input.shape();
        let fits = out.shape()[..2] == [1, 1] && PIXELS.contains(&(h * w));
        fits.then_some(Means { pool, input, out, channels })
    }
}

crate::schedule::kernel!(GlobalAveragePoolFloat, |pool| {
    check: |mem| pool.means(mem),
    run: |means, isa| isa.vectorize(means),
});
