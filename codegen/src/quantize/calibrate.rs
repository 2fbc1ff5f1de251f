//! Measures the activations of a float graph on sample inputs.

use super::statistics::Statistics;
use crate::{
    error::{Error, Result},
    graph::{Graph, ValueId},
    tensor::Tensor,
};

/// The statistics of calibration, by value.
#[derive(Clone, Debug)]
pub struct Calibration {
    seen: Vec<Option<Statistics>>,
    /// Number of inputs.
    pub samples: usize,
}

impl Calibration {
    /// The statistics of a value.
    pub fn statistics(&self, id: ValueId) -> Option<&Statistics> {
        self.seen.get(id.0)?.as_ref()
    }
}

/// Runs the float reference on every sample (one tensor per graph input) and records each value.
///
/// `progress` is called after each sample with the number done.
///
/// # Errors
/// A graph too large for memory; no samples; a sample of the wrong shape; an activation that is not finite (named).
pub fn calibrate(
    graph: &Graph,
    samples: impl IntoIterator<Item = Result<Vec<Tensor<f32>>>>,
    mut progress: impl FnMut(usize),
) -> Result<Calibration> {
    check_memory(graph)?;
    let mut calibration = Calibration { seen: vec![None; graph.values.len()], samples: 0 };
    for sample in samples {
        let mut broken = None;
        graph.observe_f32(&sample?, |id, tensor| {
            let seen = calibration.seen[id.0].get_or_insert_with(Statistics::default);
            if seen.record(tensor).is_err() {
                broken.get_or_insert(id);
            }
        })?;
        if let Some(id) = broken {
            let name = &graph.values[id.0].name;
            return Err(Error::Invalid(format!("calibration: `{name}` has values that are not finite")));
        }
        calibration.samples += 1;
        progress(calibration.samples);
    }
    if calibration.samples == 0 {
        return Err(Error::Invalid("calibration needs at least one input, got none".into()));
    }
    Ok(calibration)
}

/// The most bytes of activations that the float reference may keep at a time: as `int8` they are the 2 GiB that an arena
/// may have.
const MAX_LIVE_BYTES: usize = 1 << 33;

/// Whether the float reference fits in memory, by the largest sum of values that are alive at the same time.
fn check_memory(graph: &Graph) -> Result<()> {
    let mut last = vec![0; graph.values.len()];
    for (step, node) in graph.nodes.iter().enumerate() {
        node.inputs.iter().chain(&node.outputs).for_each(|id| last[id.0] = step);
    }
    graph.outputs.iter().for_each(|id| last[id.0] = graph.nodes.len());
    let bytes = |id: &ValueId| 4 * graph.shape(*id).len();
    let mut live: usize = graph.inputs.iter().map(bytes).sum();
    for (step, node) in graph.nodes.iter().enumerate() {
        live += node.outputs.iter().map(bytes).sum::<usize>();
        if live > MAX_LIVE_BYTES {
            let message = format!(
                "the float reference would keep {:.1} GB of activations here, expected at most {:.1}; choose a smaller \
                 input",
                live as f64 / 1e9,
                MAX_LIVE_BYTES as f64 / 1e9
            );
            return Err(Error::Layer { layer: node.name.clone(), kind: node.op.kind(), message });
        }
        let mut read: Vec<&ValueId> = node.inputs.iter().chain(&node.outputs).collect();
        read.sort();
        read.dedup();
        live -= read.into_iter().filter(|id| last[id.0] == step).map(bytes).sum::<usize>();
    }
    Ok(())
}
