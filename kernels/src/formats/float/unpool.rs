//! Positions of maxima, and the way back.

use super::{
    Float,
    rows::{by_types, by_windows, in_lanes},
};
use crate::{
    Isa, MaxUnpool2d, Memory, Operand, Region,
    base::{
        isa::Vectorize,
        memory::{In, Out, put},
    },
    ops::pool::{unpool, window},
    schedule::by_rows::{self, ByRows, Reach, Windowed, elements, positive},
};
use core::ops::Range;

/// A comparison that remembers where takes about as long as so many multiply-accumulates of a convolution.
const COMPARISON: u32 = 8;

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

struct Walk<'m> {
    pool: MaxPosition2dFloat,
    input: In<'m>,
    out: Out<'m>,
}

impl MaxPosition2dFloat {
    fn walk<'m>(&self, mem: &Memory<'m>) -> Option<Walk<'m>> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let cells = elements([self.kernel[0], self.kernel[1], 1]);
        let fits = self.float.count(input.shape()[2])? == out.shape()[2]
            && positive(&[self.kernel, self.stride])
            && cells <= 128;
        fits.then_some(Walk { pool: *self, input, out })
    }
}

impl Walk<'_> {
    #[inline(always)]
    fn each(&self, [from]: [Float; 1]) {
        let Self { pool, input, out } = *self;
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
                in_lanes!(first in channels, N => {
                    let (mut largest, mut position) = ([0.0; N], [0i8; N]);
                    let mut start = true;
                    for (i, y) in rows.clone().enumerate() {
                        for (j, x) in columns.clone().enumerate() {
                            let at = above.wrapping_add(i).wrapping_mul(kw).wrapping_add(left).wrapping_add(j) as i8;
                            let values = from.block::<N>(input.pixel(y, x), first);
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

impl Vectorize for Walk<'_> {
    const WIDE: bool = false;

    #[inline(always)]
    fn run(self) {
        let float = [self.pool.float];
        by_types!(float => self.each(float));
    }
}

by_windows!(MaxPosition2dFloat, work: |pool| elements([pool.kernel[0], pool.kernel[1], COMPARISON]));

/// Each number at its position in its window and +0 elsewhere, as [`MaxUnpool2d`] has it. Positions are bytes; the bits of numbers do not
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

impl MaxUnpool2dFloat {
    /// The same windows over bytes.
    const fn of_bytes(&self) -> MaxUnpool2d {
        let Self { values, positions, output, kernel, cropped, .. } = *self;
        MaxUnpool2d { values, positions, output, kernel, cropped, zero_point: 0 }
    }

    fn views<'m>(&self, mem: &Memory<'m>) -> Option<([In<'m>; 2], Out<'m>)> {
        let (values, positions) = (mem.read(&self.values)?, mem.read(&self.positions)?);
        let out = mem.write(&self.output)?;
        let [h, w, bytes] = values.shape();
        let fits = [h, w, self.float.count(bytes)?] == positions.shape() && bytes == out.shape()[2];
        (fits && !self.kernel.contains(&0)).then_some(([values, positions], out))
    }
}

crate::schedule::kernel!(MaxUnpool2dFloat);

// SAFETY: a part writes its rows of the output and reads values and positions.
unsafe impl ByRows for MaxUnpool2dFloat {
    fn output(&self) -> Operand {
        self.output
    }

    fn reads(&self) -> [Operand; 2] {
        [self.values, self.positions]
    }

    fn work(&self) -> usize {
        self.of_bytes().work()
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
        let unpool = &self.of_bytes();
        match self.float {
            Float::F16 => isa.vectorize(unpool::Walk { unpool, inputs, out, zero: 0i16 }),
            Float::F32 => isa.vectorize(unpool::Walk { unpool, inputs, out, zero: 0i32 }),
        }
    }
}

impl Windowed for MaxUnpool2dFloat {
    fn reach(&self) -> Reach {
        self.of_bytes().reach()
    }

    fn over(&self, row: usize, reads: [Operand; 2], output: Operand, scratch: Region) -> Self {
        let MaxUnpool2d { cropped, .. } = self.of_bytes().over(row, reads, output, scratch);
        Self { values: reads[0], positions: reads[1], output, cropped, ..*self }
    }
}
