//! Where in its window the largest value is.

use super::Windows;
use crate::{
    Memory, Operand,
    base::{
        isa::Vectorize,
        memory::{Code, In, Out, in_blocks, put},
    },
    schedule::by_rows::{elements, positive},
};
use core::marker::PhantomData;

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

/// Implements the kernel of a type with these fields.
macro_rules! positions {
    ($kernel:ident, $code:ty) => {
        $crate::schedule::kernel!($kernel, |pool| {
            check: |mem| $crate::ops::pool::position::Positions::<$code>::new(
                mem, [&pool.input, &pool.output], pool.kernel, pool.stride, pool.padding,
            ),
            run: |positions, isa| isa.vectorize(positions),
            reads: [input],
            rows: $crate::schedule::by_rows::Reach::window(pool.kernel, [1; 2], pool.stride, pool.padding), above: padding[0],
            cost: $crate::ops::pool::position::cost(pool.kernel),
        });
    };
}
pub(crate) use positions;

positions!(MaxPosition2d, i8);

/// Relative cost of a position, in multiply-accumulates of a convolution.
pub(crate) fn cost(kernel: [u32; 2]) -> usize {
    elements([kernel[0], kernel[1], COMPARISON])
}

/// Whether windows have cells, and positions in them are codes.
pub(crate) fn is_code(kernel: [u32; 2], stride: [u32; 2]) -> bool {
    positive(&[kernel, stride]) && elements([kernel[0], kernel[1], 1]) <= 128
}

/// The loop over codes of any width.
pub(crate) struct Positions<'m, T> {
    windows: Windows,
    input: In<'m>,
    out: Out<'m>,
    code: PhantomData<T>,
}

impl<'m, T: Code> Positions<'m, T> {
    /// `None` if operands lie outside memory, channel counts differ, or a window is empty or too large.
    pub(crate) fn new(
        mem: &Memory<'m>,
        [input, output]: [&Operand; 2],
        kernel: [u32; 2],
        stride: [u32; 2],
        padding: [u32; 2],
    ) -> Option<Self> {
        let (input, out) = (mem.read(input)?, mem.write(output)?);
        let windows = Windows::new(kernel, stride, padding, input.shape());
        let fits = T::count(input.shape()[2])? == out.shape()[2] && is_code(kernel, stride);
        fits.then_some(Self { windows, input, out, code: PhantomData })
    }
}

impl<T: Code> Vectorize for Positions<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { windows, input, out, .. } = self;
        let [oh, ow, channels] = out.shape();
        for oy in 0..oh {
            let rows = windows.rows(oy);
            for ox in 0..ow {
                let window = windows.at([oy, ox], rows.clone(), windows.columns(ox));
                let cells = out.pixel(oy, ox);
                in_blocks!(first in channels, N => {
                    put(cells, first, window.largest(T::LEAST, |y, x| T::block::<N>(input.pixel(y, x), first)));
                });
            }
        }
    }
}
