//! Where tensors lie in memory.

use crate::graph::ValueId;
use niello_kernels::{Region, Space};

/// Where a tensor lies: its view is its shape at this offset, pixels `stride` bytes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// The buffer.
    pub space: Space,
    /// Byte offset of the first element.
    pub offset: u32,
    /// Bytes from pixel to pixel.
    pub stride: u32,
}

/// Alignment of blocks in the arena.
pub const ALIGNMENT: usize = 16;

/// The most bytes of a tensor, and of an arena: 2 GiB less one, which 32-bit cores can address.
pub(crate) const MAX_BYTES: usize = i32::MAX as usize;

/// Offsets for everything in the arena.
#[derive(Clone, Debug)]
pub struct MemoryPlan {
    /// By value; `None` for values that are never stored.
    pub locations: Vec<Option<Location>>,
    /// By value: the concatenation that it is a slice of.
    pub slice_of: Vec<Option<ValueId>>,
    /// By step.
    pub scratch: Vec<Region>,
    /// Size of the arena.
    pub arena_bytes: usize,
    /// Largest sum of live bytes at any step: no plan of these tensors can be smaller.
    pub lower_bound_bytes: usize,
    /// Name of the strategy that gave the plan.
    pub strategy: &'static str,
}
