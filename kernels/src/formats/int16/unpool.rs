//! Positions of maxima among 16-bit values, and the way back.

use crate::{
    Operand,
    base::memory::Codes,
    ops::pool::{position::positions, unpool::unpool},
};

/// Position of the largest value in each window, as [`MaxPosition2d`](crate::MaxPosition2d) has it, of 16-bit values. Positions have 8 bits.
#[derive(Clone, Copy, Debug)]
pub struct MaxPosition2dInt16 {
    /// `[h, w, c]`, 16 bits.
    pub input: Operand,
    /// `[oh, ow, c]`, 8 bits.
    pub output: Operand,
    /// Rows, columns.
    pub kernel: [u32; 2],
    /// Rows, columns.
    pub stride: [u32; 2],
    /// Above, to the left.
    pub padding: [u32; 2],
}

positions!(MaxPosition2dInt16, |pool| Codes::<i16>::default());

/// Each 16-bit value at its position in its window and zeros elsewhere, as [`MaxUnpool2d`](crate::MaxUnpool2d) has it. Positions have 8 bits.
#[derive(Clone, Copy, Debug)]
pub struct MaxUnpool2dInt16 {
    /// `[h, w, c]`, 16 bits.
    pub values: Operand,
    /// `[h, w, c]`, 8 bits: positions in windows. Any other code is no position.
    pub positions: Operand,
    /// `[oh, ow, c]`, 16 bits.
    pub output: Operand,
    /// Rows, columns; as many from one window to the next.
    pub kernel: [u32; 2],
    /// Rows of the first window that lie above the output.
    pub cropped: u32,
}

unpool!(MaxUnpool2dInt16, |unpool, mem| unpool.unpool(mem, 0i16));
