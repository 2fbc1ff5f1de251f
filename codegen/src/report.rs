//! The figures of a program: shapes, multiply-accumulates, bytes, the arena.

use crate::program::{Choices, Program};
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
        weights_bytes: layers.iter().map(|l| l.weights_bytes).sum(),
        flash_bytes: program.constant_bytes(),
        layers,
    }
}
