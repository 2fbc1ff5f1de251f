//! Where in its window the largest value is.

use super::Windows;
use crate::{
    Memory, Operand,
    base::{
        isa::Vectorize,
        memory::{ByEncoding, Codes, Encoding, In, Out, in_elements, put},
    },
    schedule::by_rows::{elements, positive},
};

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
    ($kernel:ident, |$pool:ident| $encoding:expr) => {
        $crate::schedule::kernel!($kernel, |$pool| {
            check: |mem| $crate::ops::pool::position::Positions::new(
                mem, [&$pool.input, &$pool.output], $encoding, [$pool.kernel, $pool.stride, $pool.padding],
            ),
            run: |positions, isa| isa.vectorize(positions),
            reads: [input],
            rows: $crate::schedule::by_rows::ReceptiveField::window($pool.kernel, [1; 2], $pool.stride, $pool.padding), above: padding[0],
            cost: $crate::ops::pool::position::cost($pool.kernel),
        });
    };
}
pub(crate) use positions;

positions!(MaxPosition2d, |pool| Codes::<i8>::default());

/// Relative cost of a position, in multiply-accumulates of a convolution.
pub(crate) fn cost(kernel: [u32; 2]) -> usize {
    elements([kernel[0], kernel[1], COMPARISON])
}

/// The loop over elements of any kind.
pub(crate) struct Positions<'m, E> {
    windows: Windows,
    input: In<'m>,
    out: Out<'m>,
    encoding: E,
}

impl<'m, E: Encoding> Positions<'m, E> {
    /// `None` if operands lie outside memory, channel counts differ, or a window is empty or has more than 128 cells.
    pub(crate) fn new(
        mem: &Memory<'m>,
        [input, output]: [&Operand; 2],
        encoding: E,
        [kernel, stride, padding]: [[u32; 2]; 3],
    ) -> Option<Self> {
        let (input, out) = (mem.read(input)?, mem.write(output)?);
        let windows = Windows::new(kernel, stride, padding, input.shape());
        let fits = encoding.count(input.shape()[2])? == out.shape()[2]
            && positive(&[kernel, stride])
            && elements([kernel[0], kernel[1], 1]) <= 128;
        fits.then_some(Self { windows, input, out, encoding })
    }
}

impl<E: Encoding> ByEncoding<E, 1> for Positions<'_, E> {
    #[inline(always)]
    fn each(&self, [from]: [E; 1]) {
        let Self { windows, input, out, .. } = self;
        let [oh, ow, channels] = out.shape();
        for oy in 0..oh {
            let rows = windows.rows(oy);
            for ox in 0..ow {
                let window = windows.at([oy, ox], rows.clone(), windows.columns(ox));
                let cells = out.pixel(oy, ox);
                in_elements!(E::IS_FLOAT, first in channels, N => {
                    put(cells, first, window.largest(|y, x| from.block::<N>(input.pixel(y, x), first)));
                });
            }
        }
    }
}

impl<E: Encoding> Vectorize for Positions<'_, E> {
    const WIDE: bool = !E::IS_FLOAT;

    #[inline(always)]
    fn run(self) {
        E::specialize([self.encoding], &self);
    }
}
