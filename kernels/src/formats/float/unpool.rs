//! Positions of maxima, and the way back.

use super::{
    Float,
    rows::{by_types, in_lanes},
};
use crate::{
    Memory, Operand,
    base::{
        isa::Vectorize,
        memory::{In, Out, put},
    },
    ops::pool::{
        Windows,
        position::{cost, is_code},
        unpool::unpool,
    },
    schedule::by_rows::Reach,
};

/// Position of the largest number in each window, as [`MaxPosition2d`](crate::MaxPosition2d) has it: bytes.
///
/// From the first cell of the image on, row by row, a number wins that is greater than the one before it that won. So of equal ones the first
/// wins, as do zeros of both signs; what is not a number wins only as the first, and then for good.
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

struct Positions<'m> {
    windows: Windows,
    input: In<'m>,
    out: Out<'m>,
    float: [Float; 1],
}

impl MaxPosition2dFloat {
    fn positions<'m>(&self, mem: &Memory<'m>) -> Option<Positions<'m>> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let windows = Windows::new(self.kernel, self.stride, self.padding, input.shape());
        let fits = self.float.count(input.shape()[2])? == out.shape()[2] && is_code(self.kernel, self.stride);
        fits.then_some(Positions { windows, input, out, float: [self.float] })
    }
}

impl Positions<'_> {
    #[inline(always)]
    fn each(&self, [from]: [Float; 1]) {
        let Self { windows, input, out, .. } = self;
        let [oh, ow, channels] = out.shape();
        for oy in 0..oh {
            let rows = windows.rows(oy);
            for ox in 0..ow {
                let window = windows.at([oy, ox], rows.clone(), windows.columns(ox));
                let cells = out.pixel(oy, ox);
                in_lanes!(first in channels, N => {
                    put(cells, first, window.largest(0.0, |y, x| from.block::<N>(input.pixel(y, x), first)));
                });
            }
        }
    }
}

impl Vectorize for Positions<'_> {
    const WIDE: bool = false;

    #[inline(always)]
    fn run(self) {
        let float = self.float;
        by_types!(float => self.each(float));
    }
}

crate::schedule::kernel!(MaxPosition2dFloat, |pool| {
    check: |mem| pool.positions(mem),
    run: |positions, isa| isa.vectorize(positions),
    reads: [input],
    rows: Reach::window(pool.kernel, [1; 2], pool.stride, pool.padding), above: padding[0],
    cost: cost(pool.kernel),
});

/// Each number at its position in its window and +0 elsewhere, as [`MaxUnpool2d`](crate::MaxUnpool2d) has it. Positions are bytes; the bits of numbers do not
/// change.
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
