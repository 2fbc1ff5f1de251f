//! The trait of all operators.

use super::{isa::Isa, memory::Memory};

/// One operator with all its parameters, ready to run.
pub trait Kernel {
    /// Reads its inputs from `mem` and writes its outputs to `mem`, with the instructions that `isa` grants.
    ///
    /// The result does not depend on `isa`. Where it does not [fit](Kernel::fits), nothing is written, and a debug assertion fails.
    fn run(&self, mem: &Memory<'_>, isa: Isa);

    /// Whether [`Kernel::run`] computes: all operands lie in `mem`, and the parameters fit together. The answer does not depend on what the
    /// bytes of `mem` are, and none of them is written.
    fn fits(&self, mem: &Memory<'_>) -> bool;
}
