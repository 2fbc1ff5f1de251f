//! Point-wise non-linear functions as tables.

use crate::{
    Isa, Memory, Operand, Region,
    base::memory::{Runs, map1},
    schedule::by_rows::{self, ByRows, Reach, Windowed, elements},
};
use core::ops::Range;

/// To look up an element takes about as long as so many multiply-accumulates of a convolution.
const LOOK_UP: usize = 32;

/// `out = table[in + 128]`: sigmoid, tanh, SiLU, hard-swish, ELU, leaky ReLU and any other function of one value.
///
/// `output` may be the same view as `input`.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    /// What to map.
    pub input: Operand,
    /// Result, of the same shape.
    pub output: Operand,
    /// 256 results, for inputs -128 to 127.
    pub table: &'a [i8],
}

crate::schedule::kernel!(Table<'a>);

impl Table<'_> {
    fn runs<'m>(&self, mem: &Memory<'m>) -> Option<(Runs<'m, 1>, &[i8; 256])> {
        let runs = Runs::new(mem.write(&self.output)?, [mem.read(&self.input)?])?;
        Some((runs, self.table.first_chunk()?))
    }
}

// SAFETY: a part writes its rows, and reads the same rows of its operands, each element before it is overwritten.
unsafe impl ByRows for Table<'_> {
    const IN_PLACE: bool = true;

    fn output(&self) -> Operand {
        self.output
    }

    fn reads(&self) -> [Operand; 2] {
        [self.input; 2]
    }

    fn work(&self) -> usize {
        elements(self.output.shape).saturating_mul(LOOK_UP)
    }

    fn fits(&self, mem: &Memory<'_>) -> bool {
        self.runs(mem).is_some()
    }

    fn part(&self, rows: Range<usize>, index: usize) -> Self {
        by_rows::part(self, rows, index)
    }

    #[cfg_attr(target_pointer_width = "32", inline(always))]
    fn alone(&self, mem: &Memory<'_>, _: Isa) {
        let Some((runs, table)) = self.runs(mem) else {
            debug_assert!(false, "operands outside memory, shapes differ, or a short table");
            return;
        };
        for run in 0..runs.len() {
            let (cells, [values]) = runs.get(run);
            map1(cells, values, |v| table[(v as u8 ^ 0x80) as usize]);
        }
    }
}

impl Windowed for Table<'_> {
    fn reach(&self) -> Reach {
        Reach::SAME
    }

    fn over(&self, _: usize, reads: [Operand; 2], output: Operand, _: Region) -> Self {
        Self { input: reads[0], output, ..*self }
    }
}
