//! Number formats: a scale and zero point for every tensor.
//!
//! Ranges come from [`crate::ranges`]. Tensors that must share a scale (both sides of a max pool, see [`crate::format::RangeRule`]) form one
//! group with one range. So do the operands and the result of a concatenation, where that costs nothing: an operand whose format an operator
//! fixes, or that is much smaller than the result and read by others too, keeps a format of its own, and a rescaled copy is concatenated.
//! Weights are quantised later, by the operators, from what is decided here.

use crate::{
    calibrate::{Calibration, Statistics},
    error::Result,
    format::{Format, Mode, QParams, RangeRule},
    graph::{Graph, Node, Value, ValueId},
    ops::Rescale,
    ranges::{Ranges, Seen},
};
use niello_kernels::Rounding;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// How a tensor's range is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RangeMethod {
    /// The one of the others with the least squared error on the calibration set; of percentiles this one, and those that
    /// cut a tenth and ten times as much.
    Auto(f64),
    /// Smallest to largest value seen.
    MinMax,
    /// Cuts off this share of the values at either end: 99.99 keeps all but 0.01 %.
    Percentile(f64),
    /// The range with the least squared error.
    LeastSquares,
    /// Given.
    Fixed {
        /// Smallest value.
        min: f32,
        /// Largest value.
        max: f32,
    },
}

/// Choices of quantisation.
#[derive(Clone, Debug)]
pub struct QuantizeOptions {
    /// For tensors without an override.
    pub method: RangeMethod,
    /// By tensor name.
    pub overrides: BTreeMap<String, RangeMethod>,
    /// Whether biases make up for what rounding weights adds on average.
    pub bias_correction: bool,
    /// The rounding of the program.
    pub rounding: Rounding,
}

impl Default for QuantizeOptions {
    fn default() -> Self {
        Self {
            method: RangeMethod::Auto(99.99),
            overrides: BTreeMap::new(),
            bias_correction: true,
            rounding: Rounding::TfliteDouble,
        }
    }
}

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

    /// Lets the concatenation that is node `at` read copies of some operands, in its own format.
    pub(crate) fn concatenate_copies(&mut self, at: usize, operands: BTreeSet<ValueId>) {
        let format = self.formats[self.graph.nodes[at].output().0];
        for (at, id) in (at..).zip(operands) {
            // The concatenation is behind the copies that have been inserted.
            let copy = ValueId(self.graph.values.len());
            let node = &mut self.graph.nodes[at];
            let name = format!("{}.{}", node.name, self.graph.values[id.0].name);
            node.inputs.iter_mut().filter(|input| **input == id).for_each(|input| *input = copy);
            self.insert_copy(at, name, id, format);
        }
    }

    /// Inserts, as node `at`, a copy of a value in another format; it becomes the last value.
    pub(crate) fn insert_copy(&mut self, at: usize, name: String, of: ValueId, format: Format) {
        let copy = ValueId(self.graph.values.len());
        self.graph.values.push(Value { name: name.clone(), shape: self.graph.shape(of) });
        self.formats.push(format);
        self.channel_means.push(self.channel_means[of.0].clone());
        let node = Node { name, op: Arc::new(Rescale), inputs: vec![of], outputs: vec![copy] };
        self.graph.nodes.insert(at, node);
    }

    /// Bytes of a value.
    pub fn bytes(&self, id: ValueId) -> usize {
        self.formats[id.0].bytes() * self.graph.shape(id).len()
    }
}

/// Chooses formats from what calibration saw.
///
/// # Errors
/// An override that names no tensor; a tensor that calibration never saw.
pub fn quantize(graph: Graph, calibration: &Calibration, options: &QuantizeOptions) -> Result<QGraph> {
    let ranges = Ranges::choose(&graph, calibration, options)?;
    let mut q = with_ranges(graph, &ranges, options.rounding)?;
    if options.bias_correction {
        q.correct_by_means(calibration);
    }
    Ok(q)
}

/// Formats from ranges that have been chosen before; no bias is corrected. A concatenation whose operand has another format reads a copy.
///
/// # Errors
/// A tensor without a range; tensors that must share a format and have different ranges.
pub fn with_ranges(graph: Graph, ranges: &Ranges, rounding: Rounding) -> Result<QGraph> {
    let count = graph.values.len();
    let mut formats = vec![None; count];
    for members in Groups::new(&graph, ranges).members() {
        let format = match given_format(&graph, &members) {
            Some(format) => format,
            None => {
                let (min, max) = ranges.of_group(&graph, &members)?;
                Format::Int8(QParams::from_range(min, max))
            }
        };
        members.iter().for_each(|id| formats[id.0] = Some(format));
    }
    let formats = formats.into_iter().map(|f| f.expect("every value is in a group")).collect();
    let (channel_means, corrections) = (vec![None; count], BTreeMap::new());
    let (wide_weights, modes) = (BTreeSet::new(), BTreeMap::new());
    let mut q = QGraph { graph, formats, rounding, channel_means, corrections, wide_weights, modes };
    for at in (0..q.graph.nodes.len()).rev() {
        let node = &q.graph.nodes[at];
        if !node.op.places_inputs() {
            continue;
        }
        let format = q.formats[node.output().0];
        // Labels that are concatenated with numbers are an error when it is lowered.
        let is_other = |id: &&ValueId| ![format, Format::Label].contains(&q.formats[id.0]);
        let apart = node.inputs.iter().filter(is_other).copied().collect();
        q.concatenate_copies(at, apart);
    }
    Ok(q)
}

/// By value, whether it holds labels or positions, not numbers: given as such, made so, or handed on.
pub(crate) fn label_values(graph: &Graph) -> Vec<bool> {
    let mut is_label: Vec<bool> = (0..graph.values.len()).map(|i| graph.holds_labels(ValueId(i))).collect();
    for node in &graph.nodes {
        let made = match node.op.range_rule() {
            RangeRule::Labels => true,
            RangeRule::SameAsInputs => node.inputs.iter().all(|id| is_label[id.0]),
            _ => false,
        };
        node.outputs.iter().for_each(|id| is_label[id.0] |= made);
    }
    is_label
}

/// The format of values that share one, where no range decides it: labels, and results of operators that fix theirs.
pub(crate) fn given_format(graph: &Graph, members: &[ValueId]) -> Option<Format> {
    members.iter().find_map(|id| {
        if graph.holds_labels(*id) {
            return Some(Format::Label);
        }
        match graph.producer(*id).map(|n| graph.nodes[n].op.range_rule()) {
            Some(RangeRule::Labels) => Some(Format::Label),
            Some(RangeRule::Fixed(q)) => Some(Format::Int8(q)),
            _ => None,
        }
    })
}

/// Values that must share one scale, as a union-find forest.
pub(crate) struct Groups {
    parent: Vec<usize>,
}

/// How many times wider than an operand a concatenation may be at most to share its scale with one that others read too: four of its eight bits
/// are left then. A copy takes time and memory, so less than that is only told ([`crate::warnings`]).
const TOO_WIDE: f32 = 16.0;

impl Groups {
    /// Of a graph as it is quantised. An operand of a concatenation keeps to itself, and is rescaled for it, if an operator fixes its format
    /// and not that of all operands, or if it is [`TOO_WIDE`] and something else reads the operand.
    pub(crate) fn new(graph: &Graph, seen: &impl Seen) -> Self {
        let mut groups = Self::joined(graph, |node, _| !node.op.places_inputs());
        for node in graph.nodes.iter().filter(|node| node.op.places_inputs()) {
            let fixed = |groups: &Self, id: ValueId| {
                let members = groups.members_of(id);
                (given_format(graph, &members), members)
            };
            let of: Vec<_> = node.inputs.iter().map(|id| fixed(&groups, *id)).collect();
            let all_fixed_alike = of.iter().all(|(format, _)| format.is_some() && *format == of[0].0);
            let whole = seen.seen(node.output()).map(width);
            for (id, (format, members)) in node.inputs.iter().zip(of) {
                let narrow = seen.seen(*id).zip(whole).is_some_and(|(s, whole)| width(s) * TOO_WIDE < whole);
                let joins = match format {
                    Some(_) => all_fixed_alike,
                    None => !(narrow && is_read_elsewhere(graph, &members)),
                };
                if joins {
                    groups.join(*id, node.output());
                }
            }
        }
        groups
    }

    /// All operands and results that share a scale as they are, but what does so with an input of the network only because both are
    /// concatenated does not: the operand can be given the scale of the result in between.
    pub(crate) fn apart_from_inputs(graph: &Graph) -> Self {
        let without = Self::joined(graph, |node, _| !node.op.places_inputs());
        let given: BTreeSet<usize> = graph.inputs.iter().map(|id| without.root(id.0)).collect();
        let is_given = |id: ValueId| given.contains(&without.root(id.0));
        Self::joined(graph, |node, id| !node.op.places_inputs() || is_given(id) == is_given(node.output()))
    }

    /// Operators that say so join their result with those operands that `joins` says.
    fn joined(graph: &Graph, joins: impl Fn(&Node, ValueId) -> bool) -> Self {
        let mut groups = Self { parent: (0..graph.values.len()).collect() };
        let is_label = label_values(graph);
        for node in graph.nodes.iter().filter(|n| n.op.range_rule() == RangeRule::SameAsInputs) {
            // Positions beside values have no scale; what hands labels on has labels.
            let alike = |id: &&ValueId| is_label[id.0] == is_label[node.output().0];
            let inputs = node.inputs.iter().filter(alike).filter(|id| joins(node, **id));
            for id in inputs.chain(&node.outputs) {
                groups.join(*id, node.output());
            }
        }
        groups
    }

    fn join(&mut self, a: ValueId, b: ValueId) {
        let (a, b) = (self.root(a.0), self.root(b.0));
        self.parent[a.max(b)] = a.min(b);
    }

    fn members_of(&self, id: ValueId) -> Vec<ValueId> {
        let root = self.root(id.0);
        (0..self.parent.len()).filter(|i| self.root(*i) == root).map(ValueId).collect()
    }

    fn root(&self, mut i: usize) -> usize {
        while self.parent[i] != i {
            i = self.parent[i];
        }
        i
    }

    /// Every group.
    pub(crate) fn members(&self) -> impl Iterator<Item = Vec<ValueId>> {
        let mut by_root: BTreeMap<usize, Vec<ValueId>> = BTreeMap::new();
        for i in 0..self.parent.len() {
            by_root.entry(self.root(i)).or_default().push(ValueId(i));
        }
        by_root.into_values()
    }
}

/// From the smallest to the largest value of a range, 0 included.
pub(crate) fn width((min, max): (f32, f32)) -> f32 {
    // Half of each, so that it is finite.
    max.max(0.0) / 2.0 - min.min(0.0) / 2.0
}

/// Whether the caller or a layer reads one of `members` as it is, not only concatenations and what hands it on in the same format.
fn is_read_elsewhere(graph: &Graph, members: &[ValueId]) -> bool {
    let reads = |node: &&Node| node.inputs.iter().any(|id| members.contains(id));
    members.iter().any(|id| graph.outputs.contains(id))
        || graph
            .nodes
            .iter()
            .filter(reads)
            .any(|node| !node.op.places_inputs() && !members.contains(&node.output()))
}
