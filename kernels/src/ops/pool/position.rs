//! Where in its window the largest value is.

use super::window;
use crate::{
    Isa, Memory, Operand, Region,
    base::{
        isa::Vectorize,
        memory::{Code, In, Out, in_blocks, put},
    },
    schedule::by_rows::{self, ByRows, Reach, Windowed, elements, padding_above, positive},
};
use core::{marker::PhantomData, ops::Range};

/// A comparison that remembers where takes about as long as so many multiply-accumulates of a convolution.
const COMPARISON: u32 = 8;

/// Position of the largest value in each window, `row * kernel columns + column`; of equal values the first.
///
/// Rows and columns count from the window's first cell, also where that lies in the padding; padding never wins. A window
/// without any cell of the image gives 0. For windows of at most 128 cells, so that a position is a code.
#[derive(Clone, Copy, Debug)]
pub struct MaxPosition2d {
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
}

crate::schedule::kernel!(MaxPosition2d);

impl MaxPosition2d {
    fn views<'m>(&self, mem: &Memory<'m>) -> Option<(In<'m>, Out<'m>)> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let cells = elements([self.kernel[0], self.kernel[1], 1]);
        let fits =
            input.shape()[2] == out.shape()[2] && positive(&[self.kernel, self.stride]) && cells <= 128;
        fits.then_some((input, out))
    }
}

// SAFETY: a part writes its rows of the output and reads the input.
unsafe impl ByRows for MaxPosition2d {
    fn output(&self) -> Operand {
        self.output
    }

    fn reads(&self) -> [Operand; 2] {
        [self.input; 2]
    }

    fn work(&self) -> usize {
        let window = elements([self.kernel[0], self.kernel[1], COMPARISON]);
        window.saturating_mul(elements(self.output.shape))
    }

    fn fits(&self, mem: &Memory<'_>) -> bool {
        self.views(mem).is_some()
    }

    fn part(&self, rows: Range<usize>, index: usize) -> Self {
        by_rows::part(self, rows, index)
    }

    #[cfg_attr(target_pointer_width = "32", inline(always))]
    fn alone(&self, mem: &Memory<'_>, isa: Isa) {
        let Some((input, out)) = self.views(mem) else {
            debug_assert!(
                false,
                "operands outside memory, numbers of channels differ, or a window is empty or too large"
            );
            return;
        };
        isa.vectorize(Walk::<i8>::new(self, input, out));
    }
}

impl Windowed for MaxPosition2d {
    fn reach(&self) -> Reach {
        Reach::Window { rows: self.kernel[0], stride: self.stride[0], padding: self.padding[0] }
    }

    fn over(&self, row: usize, reads: [Operand; 2], output: Operand, _: Region) -> Self {
        let padding = [padding_above(row, self.stride[0], self.padding[0]), self.padding[1]];
        Self { input: reads[0], output, padding, ..*self }
    }
}

/// The loop over codes of either width.
pub(crate) struct Walk<'k, 'm, T> {
    pool: &'k MaxPosition2d,
    input: In<'m>,
    out: Out<'m>,
    code: PhantomData<T>,
}

impl<'k, 'm, T> Walk<'k, 'm, T> {
    pub(crate) const fn new(pool: &'k MaxPosition2d, input: In<'m>, out: Out<'m>) -> Self {
        Self { pool, input, out, code: PhantomData }
    }
}

impl<T: Code> Vectorize for Walk<'_, '_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { pool, input, out, .. } = self;
        let ([h, w, _], [oh, ow, channels]) = (input.shape(), out.shape());
        let [kh, kw] = pool.kernel.map(|d| d as usize);
        let [sh, sw] = pool.stride.map(|d| d as usize);
        let [ph, pw] = pool.padding.map(|d| d as usize);
        for oy in 0..oh {
            let rows = window(oy, kh, sh, ph, h);
            for ox in 0..ow {
                let columns = window(ox, kw, sw, pw, w);
                // Cells of the window that lie above the image and to its left.
                let above = ph.saturating_sub(oy.saturating_mul(sh));
                let left = pw.saturating_sub(ox.saturating_mul(sw));
                let cells = out.pixel(oy, ox);
                in_blocks!(first in channels, N => {
                    let (mut largest, mut position) = ([T::LEAST; N], [0i8; N]);
                    let mut start = true;
                    for (i, y) in rows.clone().enumerate() {
                        for (j, x) in columns.clone().enumerate() {
                            let at = above.wrapping_add(i).wrapping_mul(kw).wrapping_add(left).wrapping_add(j) as i8;
                            let values = T::block::<N>(input.pixel(y, x), first);
                            for ((l, p), v) in largest.iter_mut().zip(&mut position).zip(values) {
                                let wins = v > *l || start;
                                *p = if wins { at } else { *p };
                                *l = if wins { v } else { *l };
                            }
                            start = false;
                        }
                    }
                    put(cells, first, position);
                });
            }
        }
    }
}
