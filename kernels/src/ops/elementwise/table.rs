//! Point-wise non-linear functions as tables.

use crate::{
    Memory, Operand,
    base::memory::{ContiguousSpans, map1},
};

/// To look up an element takes about as long as so many multiply-accumulates of a convolution.
const LOOK_UP: usize = 32;

/// `out = table[in + 128]`: sigmoid, tanh, SiLU, hard-swish, ELU, leaky ReLU and any other function of one value.
///
/// `output` may be the same view as `input`.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    /// Input.
    pub input: Operand,
    /// Result, of the same shape.
    pub output: Operand,
    /// 256 results, for inputs -128 to 127.
    pub table: &'a [i8],
}

impl Table<'_> {
    fn runs<'m>(&self, mem: &Memory<'m>) -> Option<(ContiguousSpans<'m, 1>, &[i8; 256])> {
        Some((ContiguousSpans::unary(mem, &self.input, &self.output)?, self.table.first_chunk()?))
    }
}

crate::schedule::kernel!(Table<'a>, |lookup| {
    check: |mem| lookup.runs(mem),
    run: |(runs, table), _| {
        for run in 0..runs.len() {
            let (cells, [values]) = runs.get(run);
            map1(cells, values, |v| table[(v as u8 ^ 0x80) as usize]);
        }
    },
    reads: [input],
    in place: true,
    cost: LOOK_UP,
});
