//! Rows of a table by labels.

use super::{Float, half, number};
use crate::{
    Memory, Operand,
    base::{
        isa::Vectorize,
        memory::{Encoding as _, In, Out, constants, in_lanes},
    },
    ops::elementwise::copy::MOVE,
};

/// `out[y, x] = table[in[y, x]]`, each number rounded to the output's type. A NaN becomes [`number`]'s.
///
/// A label is read as an unsigned byte. One that is beyond the last row stands for the last row, on every target, and nothing says so: whoever
/// takes labels from outside checks them first.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddingFloat<'a> {
    /// Labels, `[h, w, 1]`, bytes.
    pub input: Operand,
    /// Rows, `[h, w, c]`.
    pub output: Operand,
    /// Type of `output`.
    pub float: Float,
    /// At least one row of `c` numbers, one after the other, in single precision; empty if they are `halves`.
    pub table: &'a [f32],
    /// The rows in half precision.
    pub halves: &'a [u16],
}

struct RowLookup<'k, 'm> {
    kernel: EmbeddingFloat<'k>,
    input: In<'m>,
    out: Out<'m>,
    channels: usize,
}

impl<'k> EmbeddingFloat<'k> {
    /// Numbers of all rows.
    const fn numbers(&self) -> usize {
        if self.table.is_empty() { self.halves.len() } else { self.table.len() }
    }

    fn lookup<'m>(&self, mem: &Memory<'m>) -> Option<RowLookup<'k, 'm>> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let ([h, w, bytes], numbers) = (out.shape(), self.numbers());
        let channels = self.float.count(bytes)?;
        let whole = channels > 0 && numbers >= channels && numbers.is_multiple_of(channels);
        (whole && input.shape() == [h, w, 1]).then_some(RowLookup { kernel: *self, input, out, channels })
    }
}

impl Vectorize for RowLookup<'_, '_> {
    const WIDE: bool = false;

    #[inline(always)]
    fn run(self) {
        let Self { kernel, input, out, channels } = self;
        let [h, w, _] = out.shape();
        // There is at least one row: it fits.
        let last = kernel.numbers().saturating_sub(channels);
        for i in 0..h * w {
            let label = input.nth(i).get(0) as u8 as usize;
            let (row, cells) = (label.saturating_mul(channels).min(last), out.nth(i));
            in_lanes!(first in channels, N => {
                let mut numbers = if kernel.table.is_empty() {
                    constants::<u16, N>(kernel.halves, row + first).map(half::to_f32)
                } else {
                    constants::<f32, N>(kernel.table, row + first)
                };
                for x in &mut numbers {
                    *x = number(*x);
                }
                kernel.float.put(cells, first, numbers);
            });
        }
    }
}

crate::schedule::kernel!(EmbeddingFloat<'a>, |embedding| {
    check: |mem| embedding.lookup(mem),
    run: |lookup, isa| isa.vectorize(lookup),
    reads: [input],
    cost: MOVE,
});
