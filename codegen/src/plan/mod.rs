//! The memory plan: where each tensor lies in the one arena.
//!
//! * `placement`: which tensors are slices of a concatenation.
//! * `storage`: which tensors share memory because one takes over from the other, and when each block is live.
//! * `packing`: offsets for blocks, the best of several strategies.
//!
//! [`crate::program::verify`] checks a finished program independently.

mod packing;
mod placement;
mod storage;
#[cfg(test)]
mod tests;

pub(crate) use packing::Effort;
pub use packing::{Block, pack};
pub use placement::Placement;

use crate::{
    error::{Error, Result},
    graph::ValueId,
    program::{Location, MAX_BYTES, MemoryPlan},
    quantize::QGraph,
};
use niello_kernels::{Region, Space};

/// A step, as the memory plan sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use<'d> {
    pub(crate) reads: &'d [ValueId],
    pub(crate) writes: ValueId,
    /// Scratch bytes.
    pub(crate) scratch: usize,
    /// Inputs whose memory the output may take over.
    pub(crate) in_place: &'d [ValueId],
}

/// The live tensors at each step.
pub(crate) struct Load {
    storage: storage::Storage,
    /// By step: sum of live bytes.
    bytes: Vec<usize>,
}

impl Load {
    pub(crate) fn new(q: &QGraph, steps: &[Use<'_>], placement: &Placement) -> Self {
        let storage = storage::Storage::new(q, steps, placement);
        let live = packing::live_bytes(storage.blocks(), steps.len());
        let bytes = live.iter().zip(steps).map(|(live, step)| live + step.scratch).collect();
        Self { bytes, storage }
    }

    /// Largest sum of live bytes at any step: no plan can be smaller.
    pub(crate) fn lower_bound(&self) -> usize {
        self.bytes.iter().copied().max().unwrap_or(0)
    }

    /// The steps at which so many bytes or more are live.
    pub(crate) fn steps_of(&self, bytes: f64) -> Vec<usize> {
        (0..self.bytes.len()).filter(|step| self.bytes[*step] as f64 >= bytes).collect()
    }

    /// Whether the memory of a value that is no part of another is live at a step.
    pub(crate) fn is_live(&self, root: ValueId, step: usize) -> bool {
        let block = self.storage.block_of(root).map(|block| &self.storage.blocks()[block]);
        block.is_some_and(|block| block.first <= step && step <= block.last)
    }
}

/// Plans the arena for steps in order.
pub(crate) fn plan(
    q: &QGraph,
    steps: &[Use<'_>],
    placement: &Placement,
    effort: Effort,
) -> Result<MemoryPlan> {
    let graph = &q.graph;
    let storage = storage::Storage::new(q, steps, placement);
    let mut blocks: Vec<Block> = storage.blocks().to_vec();
    let tensors = blocks.len();
    let with_scratch: Vec<usize> = (0..steps.len()).filter(|i| steps[*i].scratch > 0).collect();
    blocks.extend(with_scratch.iter().map(|i| Block { bytes: steps[*i].scratch, first: *i, last: *i }));
    let packed = packing::pack_with(&blocks, effort);
    if packed.arena_bytes > MAX_BYTES {
        return Err(Error::Invalid(format!(
            "{}: the arena would need {} bytes; a network may use at most 2 GiB",
            graph.name, packed.arena_bytes
        )));
    }
    let mut scratch = vec![Region::EMPTY; steps.len()];
    for (i, offset) in with_scratch.iter().zip(&packed.offsets[tensors..]) {
        scratch[*i] = Region { offset: *offset as u32, len: steps[*i].scratch as u32 };
    }
    let locations = (0..graph.values.len())
        .map(|i| {
            let (root, channel) = placement.root(ValueId(i));
            let code = q.formats[root.0].bytes();
            let stride = (code * graph.shape(root).c) as u32;
            let at = |space, base: usize| Location { space, offset: (base + code * channel) as u32, stride };
            if let Some(input) = graph.inputs.iter().position(|id| *id == root) {
                Some(at(Space::Input(input as u8), 0))
            } else if let Some(output) = graph.outputs.iter().position(|id| *id == root) {
                Some(at(Space::Output(output as u8), 0))
            } else {
                storage.block_of(root).map(|block| at(Space::Arena, packed.offsets[block]))
            }
        })
        .collect();
    Ok(MemoryPlan {
        locations,
        slice_of: (0..graph.values.len()).map(|i| placement.parent(ValueId(i)).map(|p| p.0)).collect(),
        scratch,
        arena_bytes: packed.arena_bytes,
        lower_bound_bytes: packed.lower_bound_bytes,
        strategy: packed.strategy,
    })
}
