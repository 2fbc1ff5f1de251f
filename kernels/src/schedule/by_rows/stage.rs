//! Kernels for whoever does not know which they are.

use super::{ReceptiveField, RowPartition, RowTileable};
use crate::{Isa, Kernel, Memory, Operand, Region};

/// A kernel that computes some rows at a time, for whoever does not know which it is.
///
/// Only kernels of this crate are: threads rely on what [`RowKernel::compute`] writes, and on nothing else being written.
pub trait RowKernel: sealed::RowKernel {
    /// Whether [`RowKernel::receptive_field`] holds for all operands: only then it can be part of a chain.
    fn is_by_rows(&self) -> bool;

    /// The whole output.
    fn output(&self) -> Operand;

    /// The whole inputs; the same twice if it is one.
    fn reads(&self) -> [Operand; 2];

    /// Scratch.
    fn scratch(&self) -> Region;

    /// The receptive field of an output row in each input.
    fn receptive_field(&self) -> ReceptiveField;

    /// Multiply-accumulates, or what takes as long.
    fn work(&self) -> usize;

    /// Computes the output's rows from `row` on, to `output`, from operands that begin with the first row that they need.
    /// Operands and scratch are other memory than the kernel's own.
    fn compute(&self, row: usize, views: Views, mem: &Memory<'_>, isa: Isa);

    /// Whether [`RowKernel::compute`] computes anything.
    fn fits(&self, row: usize, views: Views, mem: &Memory<'_>) -> bool;
}

/// Memory for [`RowKernel::compute`].
#[derive(Clone, Copy, Debug)]
pub struct Views {
    /// For [`RowKernel::reads`].
    pub reads: [Operand; 2],
    /// For [`RowKernel::output`].
    pub output: Operand,
    /// For [`RowKernel::scratch`].
    pub scratch: Region,
}

/// Sealed: only this crate implements it.
mod sealed {
    /// See [`super::RowKernel`].
    pub trait RowKernel {}
}

impl<K: RowTileable> sealed::RowKernel for K {}

impl<K: RowTileable> RowKernel for K {
    fn is_by_rows(&self) -> bool {
        RowTileable::is_by_rows(self)
    }

    fn output(&self) -> Operand {
        RowPartition::output(self)
    }

    fn reads(&self) -> [Operand; 2] {
        RowPartition::reads(self)
    }

    fn scratch(&self) -> Region {
        RowPartition::scratch(self)
    }

    fn receptive_field(&self) -> ReceptiveField {
        RowTileable::receptive_field(self)
    }

    fn work(&self) -> usize {
        RowPartition::work(self)
    }

    // One copy for all chains.
    #[inline(never)]
    fn compute(&self, row: usize, views: Views, mem: &Memory<'_>, isa: Isa) {
        let Views { reads, output, scratch } = views;
        self.over(row, reads, output, scratch).run_serial(mem, isa);
    }

    fn fits(&self, row: usize, views: Views, mem: &Memory<'_>) -> bool {
        let Views { reads, output, scratch } = views;
        Kernel::fits(&self.over(row, reads, output, scratch), mem)
    }
}
