//! Rows of a table by labels.

use crate::{
    Memory, Operand,
    base::memory::{In, Out, in_blocks, put},
    ops::elementwise::copy::MOVE,
};

/// `out[y, x] = table[in[y, x]]`: TensorFlow Lite's `GATHER` of rows.
///
/// A label is read as an unsigned byte. One that is beyond the last row stands for the last row, on every target, and nothing says so: whoever
/// takes labels from outside checks them first.
#[derive(Clone, Copy, Debug)]
pub struct Embedding<'a> {
    /// Labels, `[h, w, 1]`.
    pub input: Operand,
    /// Rows, `[h, w, c]`.
    pub output: Operand,
    /// At least one row of `c` codes, one after the other.
    pub table: &'a [i8],
}

impl Embedding<'_> {
    fn views<'m>(&self, mem: &Memory<'m>) -> Option<(In<'m>, Out<'m>)> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let ([h, w, c], codes) = (out.shape(), self.table.len());
        let whole = c > 0 && codes >= c && codes.is_multiple_of(c);
        (whole && input.shape() == [h, w, 1]).then_some((input, out))
    }
}

crate::schedule::kernel!(Embedding<'a>, |embedding| {
    check: |mem| embedding.views(mem),
    run: |(input, out), _| {
        let table = embedding.table;
        let [h, w, c] = out.shape();
        // The table has at least one row: it fits.
        let last = table.len() - c;
        for y in 0..h {
            for x in 0..w {
                let label = input.pixel(y, x).get(0) as u8 as usize;
                let start = label.saturating_mul(c).min(last);
                let row = table.get(start..).unwrap_or_default();
                let cells = out.pixel(y, x);
                in_blocks!(first in c, N => {
                    if let Some(block) = row.get(first..).and_then(|rest| rest.first_chunk::<N>()) {
                        put(cells, first, *block);
                    }
                });
            }
        }
    },
    reads: [input],
    cost: MOVE,
});
