//! Foundations of every kernel: arithmetic, instruction sets, memory, scratch. Nothing here knows an operator.

pub mod arith;
pub mod half;
pub mod isa;
pub mod kernel;
pub mod memory;
pub(crate) mod scratch;
