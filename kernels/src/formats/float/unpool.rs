//! Positions of maxima, and the way back.

use super::Float;
use crate::{
    Operand,
    ops::pool::{position::positions, unpool::unpool},
};

/// Position of the largest number in each window, as [`MaxPosition2d`](crate::MaxPosition2d) has it: bytes.
///
/// From the first cell of the image on, row by row, a number wins that is greater than the one before it that won. So of equal ones the first
/// wins, as do zeros of both signs; NaN wins only as the first, and then for good.
#[derive(Clone, Copy, Debug)]
pub struct MaxPosition2dFloat {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[oh, ow, c]`, bytes.
    pub output: Operand,
    /// Type of `input`.
    pub float: Float,
    /// Rows, columns: at most 128 cells.
    pub kernel: [u32; 2],
    /// Rows, columns.
    pub stride: [u32; 2],
    /// Above, to the left.
    pub padding: [u32; 2],
}

positions!(MaxPosition2dFloat, |pool| pool.float);

/// Each number at its position in its window and +0 elsewhere, as [`MaxUnpool2d`](crate::MaxUnpool2d) has it. Positions are bytes;
/// the bits of numbers do not change.
#[derive(Clone, Copy, Debug)]
pub struct MaxUnpool2dFloat {
    /// `[h, w, c]`.
    pub values: Operand,
    /// `[h, w, c]`, bytes: positions in windows. Any other code is no position.
    pub positions: Operand,
    /// `[oh, ow, c]`.
    pub output: Operand,
    /// Type of `values` and `output`.
    pub float: Float,
    /// Rows, columns; as many from one window to the next.
    pub kernel: [u32; 2],
    /// Rows of the first window that lie above the output.
    pub cropped: u32,
}

unpool!(MaxUnpool2dFloat, |unpool, mem| unpool
    .float
    .of_width(|| unpool.unpool(mem, 0i16), || unpool.unpool(mem, 0i32)));
