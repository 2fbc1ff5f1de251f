//! Max unpooling: values go back to where they were the largest.

use crate::{
    Isa, Memory, Operand, Region,
    base::{
        isa::Vectorize,
        memory::{Code, In, Out, in_blocks},
    },
    schedule::by_rows::{self, ByRows, Reach, Windowed, elements},
};
use core::ops::Range;

/// To choose a value or zero takes about as long as so many multiply-accumulates of a convolution.
const CHOICE: usize = 8;

/// Each value goes to its position in its window, everything else is 0: what [`MaxPool2d`](crate::MaxPool2d) and
/// [`MaxPosition2d`](crate::MaxPosition2d) made of windows without padding, next to each other, undone.
///
/// Output pixel `[y, x]` belongs to the window of value `[y / kernel rows, x / kernel columns]`; where there is none, the output is 0. Values and
/// output share scale and zero point.
#[derive(Clone, Copy, Debug)]
pub struct MaxUnpool2d {
    /// `[h, w, c]`.
    pub values: Operand,
    /// `[h, w, c]`, positions in windows: `row * kernel columns + column`. Any other code is no position.
    pub positions: Operand,
    /// `[oh, ow, c]`.
    pub output: Operand,
    /// Rows, columns; as many from one window to the next.
    pub kernel: [u32; 2],
    /// Rows of the first window that lie above the output.
    pub cropped: u32,
    /// Zero point of values and output.
    pub zero_point: i8,
}

crate::schedule::kernel!(MaxUnpool2d);

impl MaxUnpool2d {
    fn views<'m>(&self, mem: &Memory<'m>) -> Option<([In<'m>; 2], Out<'m>)> {
        let (values, positions) = (mem.read(&self.values)?, mem.read(&self.positions)?);
        let out = mem.write(&self.output)?;
        let fits = values.shape() == positions.shape() && values.shape()[2] == out.shape()[2];
        (fits && !self.kernel.contains(&0)).then_some(([values, positions], out))
    }
}

// SAFETY: a part writes its rows of the output and reads values and positions.
unsafe impl ByRows for MaxUnpool2d {
    fn output(&self) -> Operand {
        self.output
    }

    fn reads(&self) -> [Operand; 2] {
        [self.values, self.positions]
    }

    fn work(&self) -> usize {
        elements(self.output.shape).saturating_mul(CHOICE)
    }

    fn fits(&self, mem: &Memory<'_>) -> bool {
        self.views(mem).is_some()
    }

    fn part(&self, rows: Range<usize>, index: usize) -> Self {
        by_rows::part(self, rows, index)
    }

    #[cfg_attr(target_pointer_width = "32", inline(always))]
    fn alone(&self, mem: &Memory<'_>, isa: Isa) {
        let Some((inputs, out)) = self.views(mem) else {
            debug_assert!(false, "operands outside memory, shapes differ, or a window without cells");
            return;
        };
        isa.vectorize(Walk { unpool: self, inputs, out, zero: self.zero_point });
    }
}

impl Windowed for MaxUnpool2d {
    fn reach(&self) -> Reach {
        Reach::Spread { rows: self.kernel[0], stride: self.kernel[0], padding: self.cropped }
    }

    fn over(&self, row: usize, reads: [Operand; 2], output: Operand, _: Region) -> Self {
        let from_first = (self.cropped as usize).saturating_add(row);
        let cropped = from_first.checked_rem(self.kernel[0] as usize).unwrap_or(0) as u32;
        Self { values: reads[0], positions: reads[1], output, cropped, ..*self }
    }
}

/// The loop over values of either width.
pub(crate) struct Walk<'k, 'm, T> {
    pub(crate) unpool: &'k MaxUnpool2d,
    pub(crate) inputs: [In<'m>; 2],
    pub(crate) out: Out<'m>,
    /// The code of 0.
    pub(crate) zero: T,
}

impl<T: Code> Vectorize for Walk<'_, '_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { unpool, inputs: [values, positions], out, zero } = self;
        let ([h, w, channels], [oh, ow, _]) = (positions.shape(), out.shape());
        let [kh, kw] = unpool.kernel.map(|d| d as usize);
        let (mut y, mut ky) = split(unpool.cropped as usize, kh);
        for oy in 0..oh {
            let (mut x, mut kx) = (0, 0);
            for ox in 0..ow {
                let cells = out.pixel(oy, ox);
                // Outside all windows nothing has this position.
                let at = ky.wrapping_mul(kw).wrapping_add(kx);
                let at = if y < h && x < w && at < 128 { at as i8 } else { -1 };
                let (values, positions) = (values.pixel(y, x), positions.pixel(y, x));
                in_blocks!(first in channels, N => {
                    let mut block = T::block::<N>(values, first);
                    let chosen = positions.block::<N>(first);
                    for (v, p) in block.iter_mut().zip(chosen) {
                        *v = if p == at && at >= 0 { *v } else { zero };
                    }
                    T::put(cells, first, block);
                });
                kx += 1;
                if kx == kw {
                    (x, kx) = (x + 1, 0);
                }
            }
            ky += 1;
            if ky == kh {
                (y, ky) = (y + 1, 0);
            }
        }
    }
}

/// Quotient and remainder; all zero for a divisor of 0.
fn split(n: usize, by: usize) -> (usize, usize) {
    (n.checked_div(by).unwrap_or(0), n.checked_rem(by).unwrap_or(0))
}
