//! Point-wise non-linear functions as tables.

use crate::{
    Isa, Kernel, Memory, Operand,
    memory::{Runs, map1},
};

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

impl Kernel for Table<'_> {
    fn run(&self, mem: &Memory<'_>, _: Isa) {
        let (Some(input), Some(out), Some(table)) =
            (mem.read(&self.input), mem.write(&self.output), self.table.first_chunk::<256>())
        else {
            debug_assert!(false, "operands outside memory");
            return;
        };
        let Some(runs) = Runs::new(out, [input]) else {
            debug_assert!(false, "shapes differ");
            return;
        };
        for run in 0..runs.len() {
            let (cells, [values]) = runs.get(run);
            map1(cells, values, |v| table[(v as u8 ^ 0x80) as usize]);
        }
    }
}
