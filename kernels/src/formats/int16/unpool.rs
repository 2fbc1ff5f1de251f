//! Positions of maxima among 16-bit values, and the way back.

use super::Width;
use crate::{
    Isa, MaxPosition2d, MaxUnpool2d, Memory, Operand, Region,
    base::memory::{In, Out},
    ops::pool::{position, unpool},
    schedule::by_rows::{self, ByRows, Reach, Windowed, elements, positive},
};
use core::ops::Range;

/// Position of the largest value in each window, as [`MaxPosition2d`] has it, of 16-bit values. Positions have 8 bits.
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

impl MaxPosition2dInt16 {
    /// The same windows over bytes.
    const fn of_bytes(&self) -> MaxPosition2d {
        let Self { input, output, kernel, stride, padding } = *self;
        MaxPosition2d { input, output, kernel, stride, padding }
    }

    fn views<'m>(&self, mem: &Memory<'m>) -> Option<(In<'m>, Out<'m>)> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let cells = elements([self.kernel[0], self.kernel[1], 1]);
        let fits = Width::Int16.codes(input.shape()[2])? == out.shape()[2]
            && positive(&[self.kernel, self.stride])
            && cells <= 128;
        fits.then_some((input, out))
    }
}

crate::schedule::kernel!(MaxPosition2dInt16);

// SAFETY: a part writes its rows of the output and reads the input.
unsafe impl ByRows for MaxPosition2dInt16 {
    fn output(&self) -> Operand {
        self.output
    }

    fn reads(&self) -> [Operand; 2] {
        [self.input; 2]
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
        match self.views(mem) {
            Some((input, out)) => isa.vectorize(position::Walk::<i16>::new(&self.of_bytes(), input, out)),
            None => debug_assert!(
                false,
                "operands outside memory, numbers of channels differ, or a window is too large"
            ),
        }
    }
}

impl Windowed for MaxPosition2dInt16 {
    fn reach(&self) -> Reach {
        self.of_bytes().reach()
    }

    fn over(&self, row: usize, reads: [Operand; 2], output: Operand, scratch: Region) -> Self {
        let MaxPosition2d { padding, .. } = self.of_bytes().over(row, reads, output, scratch);
        Self { input: reads[0], output, padding, ..*self }
    }
}

/// Each 16-bit value at its position in its window and zeros elsewhere, as [`MaxUnpool2d`] has it. Positions have 8 bits.
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

impl MaxUnpool2dInt16 {
    /// The same windows over bytes.
    const fn of_bytes(&self) -> MaxUnpool2d {
        let Self { values, positions, output, kernel, cropped } = *self;
        MaxUnpool2d { values, positions, output, kernel, cropped, zero_point: 0 }
    }

    fn views<'m>(&self, mem: &Memory<'m>) -> Option<([In<'m>; 2], Out<'m>)> {
        let (values, positions) = (mem.read(&self.values)?, mem.read(&self.positions)?);
        let out = mem.write(&self.output)?;
        let [h, w, bytes] = values.shape();
        let fits = [h, w, Width::Int16.codes(bytes)?] == positions.shape() && bytes == out.shape()[2];
        (fits && !self.kernel.contains(&0)).then_some(([values, positions], out))
    }
}

crate::schedule::kernel!(MaxUnpool2dInt16);

// SAFETY: a part writes its rows of the output and reads values and positions.
unsafe impl ByRows for MaxUnpool2dInt16 {
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
        match self.views(mem) {
            Some((inputs, out)) => {
                isa.vectorize(unpool::Walk { unpool: &self.of_bytes(), inputs, out, zero: 0i16 });
            }
            None => {
                debug_assert!(false, "operands outside memory, shapes differ, or a window without cells")
            }
        }
    }
}

impl Windowed for MaxUnpool2dInt16 {
    fn reach(&self) -> Reach {
        self.of_bytes().reach()
    }

    fn over(&self, row: usize, reads: [Operand; 2], output: Operand, scratch: Region) -> Self {
        let MaxUnpool2d { cropped, .. } = self.of_bytes().over(row, reads, output, scratch);
        Self { values: reads[0], positions: reads[1], output, cropped, ..*self }
    }
}
