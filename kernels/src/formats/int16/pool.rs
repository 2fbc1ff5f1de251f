//! Pooling of 16-bit tensors.

use super::{Bounds, Width, rescale};
use crate::{
    AveragePool2d, Isa, Kernel, Memory, Multiplier, Operand, Region,
    base::{
        isa::Vectorize,
        memory::{In, Out, in_blocks},
    },
    ops::pool::{average, global::PIXELS, window},
    schedule::by_rows::{self, ByRows, Reach, Windowed, elements, padding_above, positive},
};
use core::ops::Range;

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

impl Kernel for GlobalAveragePoolInt16 {
    fn run(&self, mem: &Memory<'_>, isa: Isa) {
        match self.mean(mem) {
            Some(mean) => isa.vectorize(mean),
            None => debug_assert!(false, "operands outside memory, or shapes that do not fit together"),
        }
    }

    fn fits(&self, mem: &Memory<'_>) -> bool {
        self.mean(mem).is_some()
    }
}

impl GlobalAveragePoolInt16 {
    fn mean<'m>(&self, mem: &Memory<'m>) -> Option<Mean<'m>> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let channels = self.widths[0].codes(input.shape()[2])?;
        let [h, w, bytes] = out.shape();
        let [in_h, in_w, _] = input.shape();
        let fits = [h, w, self.widths[1].codes(bytes)?] == [1, 1, channels]
            && PIXELS.contains(&(in_h * in_w))
            && self.bounds.fits(self.widths[1]);
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

/// Mean of each window as [`AveragePool2d`] has it, in and out with 16 bits and one scale: TensorFlow Lite's int16 `AVERAGE_POOL_2D`.
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

    /// Input, output, and how many codes a pixel has.
    fn views<'m>(&self, mem: &Memory<'m>) -> Option<((In<'m>, Out<'m>), usize)> {
        let views = (mem.read(&self.input)?, mem.write(&self.output)?);
        let channels = Width::Int16.codes(self.output.shape[2] as usize)?;
        let cells = elements([self.kernel[0], self.kernel[1], 1]);
        let fits = positive(&[self.kernel, self.stride]) && cells <= Self::CELLS;
        (fits && self.input.shape[2] == self.output.shape[2]).then_some((views, channels))
    }
}

impl Kernel for AveragePool2dInt16 {
    fn run(&self, mem: &Memory<'_>, isa: Isa) {
        let Self { input, output, kernel, stride, padding, padding_end, count_padding } = *self;
        let (zero_point, min, max) = (0, i8::MIN, i8::MAX);
        let pool = AveragePool2d {
            input,
            output,
            kernel,
            stride,
            padding,
            padding_end,
            count_padding,
            zero_point,
            min,
            max,
        };
        match self.views(mem) {
            Some((views, channels)) => {
                isa.vectorize(average::Walk::new(&pool, views, channels, [-i16::MAX, i16::MAX]));
            }
            None => debug_assert!(
                false,
                "operands outside memory, numbers of channels differ, or a window is too large"
            ),
        }
    }

    fn fits(&self, mem: &Memory<'_>) -> bool {
        self.views(mem).is_some()
    }
}

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
    pool: MaxPool2dInt16,
    input: In<'m>,
    out: Out<'m>,
}

impl MaxPool2dInt16 {
    fn walk<'m>(&self, mem: &Memory<'m>) -> Option<Largest<'m>> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        Width::Int16.codes(out.shape()[2])?;
        let fits = input.shape()[2] == out.shape()[2]
            && positive(&[self.kernel, self.stride])
            && self.bounds.fits(Width::Int16);
        fits.then_some(Largest { pool: *self, input, out })
    }
}

impl Vectorize for Largest<'_> {
    #[inline(always)]
    fn run(self) {
        let Self { pool, input, out } = self;
        let ([h, w, _], [oh, ow, bytes]) = (input.shape(), out.shape());
        let [kh, kw] = pool.kernel.map(|d| d as usize);
        let [sh, sw] = pool.stride.map(|d| d as usize);
        let [ph, pw] = pool.padding.map(|d| d as usize);
        for oy in 0..oh {
            let rows = window(oy, kh, sh, ph, h);
            for ox in 0..ow {
                let columns = window(ox, kw, sw, pw, w);
                let cells = out.pixel(oy, ox);
                in_blocks!(first in bytes / 2, N => {
                    let mut largest = [pool.bounds.min; N];
                    for y in rows.clone() {
                        for x in columns.clone() {
                            let values = Width::Int16.block::<N>(input.pixel(y, x), first);
                            for (l, v) in largest.iter_mut().zip(values) {
                                *l = (*l).max(v);
                            }
                        }
                    }
                    Width::Int16.put(cells, first, largest.map(|l| l.min(pool.bounds.max)));
                });
            }
        }
    }
}

crate::schedule::kernel!(MaxPool2dInt16);

// SAFETY: a part writes its rows of the output and reads the input.
unsafe impl ByRows for MaxPool2dInt16 {
    fn output(&self) -> Operand {
        self.output
    }

    fn reads(&self) -> [Operand; 2] {
        [self.input; 2]
    }

    fn work(&self) -> usize {
        elements([self.kernel[0], self.kernel[1], COMPARISON]).saturating_mul(elements(self.output.shape))
    }

    fn fits(&self, mem: &Memory<'_>) -> bool {
        self.walk(mem).is_some()
    }

    fn part(&self, rows: Range<usize>, index: usize) -> Self {
        by_rows::part(self, rows, index)
    }

    #[cfg_attr(target_pointer_width = "32", inline(always))]
    fn alone(&self, mem: &Memory<'_>, isa: Isa) {
        match self.walk(mem) {
            Some(walk) => isa.vectorize(walk),
            None => debug_assert!(false, "operands outside memory, or numbers of channels that differ"),
        }
    }
}

impl Windowed for MaxPool2dInt16 {
    fn reach(&self) -> Reach {
        Reach::Window { rows: self.kernel[0], stride: self.stride[0], padding: self.padding[0] }
    }

    fn over(&self, row: usize, reads: [Operand; 2], output: Operand, _: Region) -> Self {
        let padding = [padding_above(row, self.stride[0], self.padding[0]), self.padding[1]];
        Self { input: reads[0], output, padding, ..*self }
    }
}
