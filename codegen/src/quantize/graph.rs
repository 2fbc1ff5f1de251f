//! A graph with number formats: what calibration and recipes decided, before anything is lowered.

use super::{calibrate::Calibration, statistics::Statistics};
use crate::{
    format::{Format, Mode},
    graph::{Graph, ValueId},
};
use niello_kernels::Rounding;
use std::collections::{BTreeMap, BTreeSet};

/// A graph whose tensors have number formats.
#[derive(Clone, Debug)]
pub struct QGraph {
    /// The float graph, after the passes.
    pub graph: Graph,
    /// By value.
    pub formats: Vec<Format>,
    /// The rounding of every requantisation.
    pub rounding: Rounding,
    /// By value: mean of each channel over the calibration set, from which biases are corrected; `None` without bias correction, and where
    /// [`QGraph::corrections`] say it all.
    pub channel_means: Vec<Option<Vec<f64>>>,
    /// By the result of a layer: the steps that are added to its biases, one per channel, as a lock has them.
    pub corrections: BTreeMap<ValueId, Vec<i32>>,
    /// Values whose makers have weights of 16 bits.
    pub wide_weights: BTreeSet<ValueId>,
    /// Values whose makers compute in floating point, and how.
    pub modes: BTreeMap<ValueId, Mode>,
}

impl QGraph {
    /// How all layers compute, if all do so in floating point in the same way.
    pub fn mode(&self) -> Option<Mode> {
        let mut modes = self.graph.nodes.iter().map(|node| self.modes.get(&node.output()).copied());
        let first = modes.next().flatten()?;
        modes.all(|mode| mode == Some(first)).then_some(first)
    }

    /// Lets biases make up for what rounding weights adds on average, by the means that calibration saw.
    pub fn correct_by_means(&mut self, calibration: &Calibration) {
        let means = |i| calibration.statistics(ValueId(i)).map(Statistics::channel_means);
        self.channel_means = (0..self.graph.values.len()).map(means).collect();
    }

    /// Bytes of a value.
    pub fn bytes(&self, id: ValueId) -> usize {
        self.formats[id.0].bytes() * self.graph.shape(id).len()
    }
}
