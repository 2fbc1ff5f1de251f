//! Models and the memory that they live in.

use crate::{TensorInfo, kernels::Rounding, observe::LayerInfo};
use core::cell::Cell;

/// Weights, aligned for the widest loads. Stays in flash.
#[repr(C, align(64))]
pub struct Aligned<const N: usize>(pub [u8; N]);

/// The arena of a model: all activations and scratch.
#[repr(C, align(64))]
pub struct Arena<const N: usize>([i8; N]);

impl<const N: usize> Arena<N> {
    /// Zeros: a static one lies in `.bss` and takes no flash.
    pub const fn new() -> Self {
        Self([0; N])
    }

    /// Shared cells over the whole arena.
    pub fn cells(&mut self) -> &[Cell<i8>] {
        Cell::from_mut(&mut self.0[..]).as_slice_of_cells()
    }
}

impl<const N: usize> Default for Arena<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// What every generated model can tell and do, for code that is generic over models.
pub trait Model {
    /// The network's name.
    const NAME: &'static str;
    /// Size of the arena in bytes.
    const ARENA_BYTES: usize;
    /// Size of weights and tables in bytes.
    const FLASH_BYTES: usize;
    /// The inputs, in order.
    const INPUTS: &'static [TensorInfo];
    /// The outputs, in order.
    const OUTPUTS: &'static [TensorInfo];
    /// The layers, in order of execution.
    const LAYERS: &'static [LayerInfo];
    /// Where it comes from and how its numbers are rounded.
    const METADATA: Metadata;
}

/// The origin of a model, for logs and reports.
#[derive(Clone, Copy, Debug)]
pub struct Metadata {
    /// The network that was built.
    pub network: &'static str,
    /// Number format, e.g. `int8`.
    pub format: &'static str,
    /// The rounding of every requantisation.
    pub rounding: Rounding,
    /// The target that weights are packed for; any target computes the same bytes.
    pub target: &'static str,
    /// Class names, in channel order.
    pub classes: &'static [&'static str],
    /// How the input is prepared, in a recipe's words.
    pub preprocess: &'static str,
    /// Name and SHA-256 of every source file.
    pub sources: &'static [(&'static str, &'static str)],
}
