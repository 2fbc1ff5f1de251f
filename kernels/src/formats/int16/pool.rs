//! Pooling of 16-bit tensors.

use super::{Bounds, Width, rescale};
use crate::{
    Memory, Multiplier, Operand,
    base::{
        isa::Vectorize,
        memory::{Code, Encoding as _, In, Out, in_blocks},
    },
    formats::elements::views,
    ops::pool::{Windows, average::Means, global::PIXELS},
    schedule::by_rows::{ReceptiveField, elements, positive},
};

/// Mean over the image, at another scale: `out = bounds(rescale(sum of (in - z_in)))`, with [`rescale`] of
/// `s_in / (s_out h w)`.
///
/// For 1 to `2^23` pixels.
#[derive(Clone, Copy, Debug)]
pub struct GlobalAveragePoolInt16 {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[1, 1, c]`.
    pub output: Operand,
    /// Widths of `input`, `output`.
    pub widths: [Width; 2],
    /// Zero point of `input`; 0 at 16 bits.
    pub input_zero_point: i32,
    /// `s_in / (s_out h w)`.
    pub multiplier: Multiplier,
    /// Zero point and clamp of the output.
    pub bounds: Bounds,
}

struct Mean<'m> {
    pool: GlobalAveragePoolInt16,
    input: In<'m>,
    out: Out<'m>,
    channels: usize,
}

crate::schedule::kernel!(GlobalAveragePoolInt16, |pool| {
    check: |mem| pool.mean(mem),
    run: |mean, isa| isa.vectorize(mean),
});

impl GlobalAveragePoolInt16 {
    fn mean<'m>(&self, mem: &Memory<'m>) -> Option<Mean<'m>> {
        let [from, to] = self.widths;
        let (input, out, channels) = views(mem, [&self.input, &self.output], from, to)?;
        let [h, w, _] = input.shape();
        let fits =
            out.shape()[..2] == [1, 1] && PIXELS.contains(&(h * w)) && self.bounds.fits(self.widths[1]);
        fits.then_some(Mean { pool: *self, input, out, channels })
    }
}

impl Vectorize for Mean<'_> {
    #[inline(always)]
    fn run(self) {
        let Self { pool, input, out, channels } = self;
        let ([h, w, _], cells) = (input.shape(), out.pixel(0, 0));
        in_blocks!(first in channels, N => {
            let mut sums = [0i64; N];
            for y in 0..h {
                for x in 0..w {
                    let values = pool.widths[0].block::<N>(input.pixel(y, x), first);
                    for (sum, v) in sums.iter_mut().zip(values) {
                        *sum = sum.wrapping_add(v.wrapping_sub(pool.input_zero_point) as i64);
                    }
                }
            }
            pool.widths[1].put(cells, first, sums.map(|sum| pool.bounds.clamp(rescale(sum, pool.multiplier))));
        });
    }
}

/// Mean of each window as [`AveragePool2d`](crate::AveragePool2d) has it, in and out with 16 bits and one scale:
/// TensorFlow Lite's int16 `AVERAGE_POOL_2D`.
///
/// For windows of at most [`CELLS`](Self::CELLS), so that the sum fits.
#[derive(Clone, Copy, Debug)]
pub struct AveragePool2dInt16 {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[oh, ow, c]`.
    pub output: Operand,
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
}

impl AveragePool2dInt16 {
    /// The largest window.
    pub const CELLS: usize = 1 << 15;

    /// Whether the sum of a window fits.
    fn sum_fits(&self) -> bool {
        elements([self.kernel[0], self.kernel[1], 1]) <= Self::CELLS
    }
}

crate::schedule::kernel!(AveragePool2dInt16, |pool| {
    check: |mem| Means::new(
        mem,
        [&pool.input, &pool.output],
        [pool.kernel, pool.stride, pool.padding],
        pool.count_padding.then_some(pool.padding_end),
        0,
        [i16::MIN, i16::MAX],
    )
    .filter(|_| pool.sum_fits()),
    run: |means, isa| isa.vectorize(means),
});

/// Largest value of each window, in and out with 16 bits and one scale: TensorFlow Lite's int16 `MAX_POOL_2D`.
///
/// Windows are clipped to the image. A window without any cell of the image gives `bounds.min`.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool2dInt16 {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[oh, ow, c]`.
    pub output: Operand,
    /// Rows, columns.
    pub kernel: [u32; 2],
    /// Rows, columns.
    pub stride: [u32; 2],
    /// Above, to the left.
    pub padding: [u32; 2],
    /// Clamp of the output; its zero point does not matter.
    pub bounds: Bounds,
}

/// A comparison takes about as long as so many multiply-accumulates of a convolution.
const COMPARISON: u32 = 8;

struct Largest<'m> {
    windows: Windows,
    input: In<'m>,
    out: Out<'m>,
    bounds: [i16; 2],
}

impl MaxPool2dInt16 {
    fn largest<'m>(&self, mem: &Memory<'m>) -> Option<Largest<'m>> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        i16::count(out.shape()[2])?;
        let fits = input.shape()[2] == out.shape()[2]
            && positive(&[self.kernel, self.stride])
            && self.bounds.fits(Width::Int16);
        let windows = Windows::new(self.kernel, self.stride, self.padding, input.shape());
        let bounds = [self.bounds.min, self.bounds.max]
            .map(|bound| bound.clamp(i16::MIN.into(), i16::MAX.into()) as i16);
        fits.then_some(Largest { windows, input, out, bounds })
    }
}

impl Vectorize for Largest<'_> {
    #[inline(always)]
    fn run(self) {
        let Self { windows, input, out, bounds } = self;
        let [oh, ow, bytes] = out.shape();
        for oy in 0..oh {
            let rows = windows.rows(oy);
            for ox in 0..ow {
                let (columns, cells) = (windows.columns(ox), out.pixel(oy, ox));
                in_blocks!(first in bytes / 2, N => {
                    let mut largest = [bounds[0]; N];
                    for y in rows.clone() {
                        for x in columns.clone() {
                            let values = i16::block::<N>(input.pixel(y, x), first);
                            for (l, v) in largest.iter_mut().zip(values) {
                                *l = (*l).max(v);
                            }
                        }
                    }
                    i16::put(cells, first, largest.map(|l| l.min(bounds[1])));
                });
            }
        }
    }
}

crate::schedule::kernel!(MaxPool2dInt16, |pool| {
    check: |mem| pool.largest(mem),
    run: |largest, isa| isa.vectorize(largest),
    reads: [input],
    rows: ReceptiveField::window(pool.kernel, [1; 2], pool.stride, pool.padding), above: padding[0],
    cost: elements([pool.kernel[0], pool.kernel[1], COMPARISON]),
});
