//! Blocks of memory: tensors that share one, and when it is live.

use super::{Block, Placement, Use};
use crate::{graph::ValueId, quantize::QGraph};

/// Which block each value uses.
pub(super) struct Storage {
    /// By value: index into `blocks` (roots in the arena only).
    block: Vec<Option<usize>>,
    blocks: Vec<Block>,
}

impl Storage {
    pub(super) fn new(q: &QGraph, steps: &[Use<'_>], placement: &Placement) -> Self {
        let graph = &q.graph;
        // First and last step at which the memory behind each root is used.
        let mut used: Vec<Option<(usize, usize)>> = vec![None; graph.values.len()];
        for (index, step) in steps.iter().enumerate() {
            for id in step.reads.iter().chain([&step.writes]) {
                let entry = &mut used[placement.root(*id).0.0];
                *entry = Some((entry.map_or(index, |(first, _)| first), index));
            }
        }
        let mut storage = Self { block: vec![None; graph.values.len()], blocks: vec![] };
        let is_callers = |id: ValueId| graph.inputs.contains(&id) || graph.outputs.contains(&id);
        let is_part = |id: ValueId| placement.parent(id).is_some();
        let mut roots: Vec<(usize, usize, ValueId)> = (0..graph.values.len())
            .map(ValueId)
            .filter(|id| !is_callers(*id) && !is_part(*id))
            .filter_map(|id| used[id.0].map(|(first, last)| (first, last, id)))
            .collect();
        roots.sort();
        for (first, last, id) in roots {
            let bytes = q.bytes(id);
            // The step that makes this value whole may write it over an input that nobody reads afterwards, unless it reads another value in
            // the same memory: a part of that input, as both operands of `concat(a, b) * b` are.
            let reads_another = |input: &ValueId| {
                let block = storage.block[input.0];
                let shares = |id: &ValueId| id != input && storage.block[placement.root(*id).0.0] == block;
                steps[first].reads.iter().any(shares)
            };
            let taken = steps[first]
                .in_place
                .iter()
                .filter(|_| steps[first].writes == id)
                .filter(|input| q.bytes(**input) == bytes && !is_part(**input) && !reads_another(input))
                .filter_map(|input| storage.block[input.0])
                .find(|block| storage.blocks[*block].last == first);
            let block = taken.unwrap_or_else(|| {
                storage.blocks.push(Block { bytes, first, last });
                storage.blocks.len() - 1
            });
            storage.blocks[block].last = last;
            storage.block[id.0] = Some(block);
        }
        storage
    }

    pub(super) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    pub(super) fn block_of(&self, root: ValueId) -> Option<usize> {
        self.block[root.0]
    }
}
