//! The figures of a program: shapes, multiply-accumulates, bytes, the arena over time.

use crate::{
    graph::ValueId,
    program::{Choices, Program},
};
use niello_kernels::Space;
use serde::Serialize;

/// One layer.
#[derive(Clone, Debug, Serialize)]
pub struct LayerReport {
    /// The layer.
    pub name: String,
    /// The operator.
    pub kind: String,
    /// Height, width, channels of its result.
    pub shape: [usize; 3],
    /// Multiply-accumulates.
    pub macs: u64,
    /// Bytes of its constants.
    pub weights_bytes: usize,
    /// The memory of its result: `arena`, `output 0`, ….
    pub space: String,
    /// Byte offset there.
    pub offset: u32,
    /// Bytes from pixel to pixel; more than the channels inside a concatenation.
    pub stride: u32,
    /// Bytes of its result.
    pub bytes: usize,
    /// Scratch bytes while it runs.
    pub scratch_bytes: u32,
    /// Choices that a tuning made in it, by layer.
    #[serde(skip_serializing_if = "Choices::is_empty")]
    pub tuned: Choices,
}

/// A piece of the arena, and when it must keep its contents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ArenaBlock {
    /// The tensor, or the step whose scratch it is.
    pub name: String,
    /// Whether it is scratch.
    pub scratch: bool,
    /// Byte offset.
    pub offset: usize,
    /// Size.
    pub bytes: usize,
    /// The first step that uses it, an index of [`Report::layers`].
    pub first: usize,
    /// The last one.
    pub last: usize,
}

/// The arena over time.
#[derive(Clone, Debug, Serialize)]
pub struct Arena {
    /// What lies where and when, by first step.
    pub blocks: Vec<ArenaBlock>,
    /// By step: bytes that must keep their contents.
    pub live_bytes: Vec<usize>,
}

/// The whole program.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Network.
    pub network: String,
    /// Target that the weights are packed for.
    pub target: String,
    /// Rounding of every requantisation.
    pub rounding: String,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// RAM for activations and scratch.
    pub arena_bytes: usize,
    /// Largest sum of live bytes at any step.
    pub arena_lower_bound_bytes: usize,
    /// The strategy that packed the arena.
    pub arena_strategy: String,
    /// Which tensor lies where and when.
    pub arena: Arena,
    /// Bytes of packed weights, biases, multipliers and tables, per layer summed.
    pub weights_bytes: usize,
    /// Bytes of the constants as they go to flash; equal ones are stored once.
    pub flash_bytes: usize,
    /// Layers in order of execution.
    pub layers: Vec<LayerReport>,
}

/// Describes `program`.
pub fn report(program: &Program) -> Report {
    let layers: Vec<LayerReport> = program
        .steps
        .iter()
        .map(|step| {
            let tensor = program.tensor(step.writes);
            let space = match tensor.location.space {
                Space::Arena => "arena".into(),
                Space::Input(i) => format!("input {i}"),
                Space::Output(i) => format!("output {i}"),
            };
            LayerReport {
                name: step.name.clone(),
                kind: step.kind.into(),
                shape: [tensor.shape.h, tensor.shape.w, tensor.shape.c],
                macs: step.macs,
                weights_bytes: step.constant_bytes,
                space,
                offset: tensor.location.offset,
                stride: tensor.location.stride,
                bytes: tensor.bytes(),
                scratch_bytes: step.scratch.len,
                tuned: step
                    .layers
                    .iter()
                    .filter_map(|layer| Some((layer.clone(), *program.tuned.get(layer)?)))
                    .collect(),
            }
        })
        .collect();
    Report {
        network: program.metadata.network.clone(),
        target: program.target.clone(),
        rounding: format!("{:?}", program.rounding),
        macs: program.macs(),
        arena_bytes: program.plan.arena_bytes,
        arena_lower_bound_bytes: program.plan.lower_bound_bytes,
        arena_strategy: program.plan.strategy.into(),
        arena: arena(program),
        weights_bytes: layers.iter().map(|l| l.weights_bytes).sum(),
        flash_bytes: program.constant_bytes(),
        layers,
    }
}

/// What lies in the arena: tensors that are no part of a concatenation, and scratch.
fn arena(program: &Program) -> Arena {
    let slice_of = &program.plan.slice_of;
    let root = |id: ValueId| std::iter::successors(Some(id), |id| slice_of[id.0]).last().unwrap_or(id);
    let mut used: Vec<Option<(usize, usize)>> = vec![None; program.tensors.len()];
    for (i, step) in program.steps.iter().enumerate() {
        for id in step.reads.iter().chain([&step.writes]) {
            let span = &mut used[root(*id).0];
            *span = Some((span.map_or(i, |(first, _)| first), i));
        }
    }
    let tensors = used.iter().zip(&program.tensors).filter_map(|(span, tensor)| {
        let (first, last) = span.filter(|_| tensor.location.space == Space::Arena)?;
        let (name, offset, bytes) = (tensor.name.clone(), tensor.location.offset as usize, tensor.bytes());
        Some(ArenaBlock { name, scratch: false, offset, bytes, first, last })
    });
    let scratch = program.steps.iter().enumerate().filter(|(_, step)| step.scratch.len > 0);
    let scratch = scratch.map(|(i, step)| ArenaBlock {
        name: step.name.clone(),
        scratch: true,
        offset: step.scratch.offset as usize,
        bytes: step.scratch.len as usize,
        first: i,
        last: i,
    });
    let mut blocks: Vec<ArenaBlock> = tensors.chain(scratch).collect();
    blocks.sort_by_key(|block| (block.first, block.offset));
    let live_bytes = (0..program.steps.len()).map(|step| live(&blocks, step)).collect();
    Arena { blocks, live_bytes }
}

/// Bytes that are in use at a step, each once: a result may take over the memory of what its step reads.
fn live(blocks: &[ArenaBlock], step: usize) -> usize {
    let mut spans: Vec<(usize, usize)> = blocks
        .iter()
        .filter(|block| (block.first..=block.last).contains(&step))
        .map(|block| (block.offset, block.offset + block.bytes))
        .collect();
    spans.sort_unstable();
    let add = |(sum, end): (usize, usize), (from, to): (usize, usize)| {
        (sum + to.max(end) - from.max(end), to.max(end))
    };
    spans.into_iter().fold((0, 0), add).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_two_blocks_share_count_once() {
        let block = |offset, bytes, first, last| ArenaBlock {
            name: String::new(),
            scratch: false,
            offset,
            bytes,
            first,
            last,
        };
        let blocks = [block(0, 16, 0, 2), block(0, 16, 2, 3), block(8, 4, 2, 2), block(32, 8, 1, 2)];
        assert_eq!([0, 1, 2, 3, 4].map(|step| live(&blocks, step)), [16, 24, 24, 16, 0]);
    }
}
