//! Number formats: a scale and zero point for every tensor.
//!
//! Ranges come from [`crate::ranges`]. Tensors that must share a scale (all inputs and the output of a
//! concatenation, both sides of a max pool, see [`crate::ops::RangeRule`]) form one group with one range. Weights are
//! quantised later, by the operators, from what is decided here.

use crate::{
    calibrate::{Calibration, Statistics},
    error::Result,
    float::Mode,
    graph::{Graph, Node, ValueId},
    ops::RangeRule,
    ranges::Ranges,
};
use niello_kernels::{Float, Rounding};
use std::collections::{BTreeMap, BTreeSet};

/// Scale and zero point of an int8 tensor: `real = scale * (q - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QParams {
    /// Positive; single precision, as in TensorFlow Lite files.
    pub scale: f32,
    /// The code of 0.
    pub zero_point: i8,
}

impl QParams {
    /// The finest format that covers `[min, max]` and 0.
    pub fn from_range(min: f32, max: f32) -> Self {
        let (min, max) = (min.min(0.0) as f64, max.max(0.0) as f64);
        let scale = ((max - min) / 255.0) as f32;
        // All values 0 (or denormal): any scale will do.
        let scale = if scale >= f32::MIN_POSITIVE { scale } else { 1.0 / 255.0 };
        let zero_point = (-128.0 - min / scale as f64).round().clamp(-128.0, 127.0) as i8;
        Self { scale, zero_point }
    }

    /// Nearest code, ties away from zero, clamped; for what is no number the code of 0.
    pub fn quantize(self, x: f32) -> i8 {
        let x = if x.is_nan() { 0.0 } else { x };
        ((x / self.scale).round() + self.zero_point as f32).clamp(-128.0, 127.0) as i8
    }

    /// What a code stands for.
    pub fn dequantize(self, q: i8) -> f32 {
        self.scale * (q as i32 - self.zero_point as i32) as f32
    }

    /// Smallest and largest value that can be represented.
    pub fn range(self) -> (f32, f32) {
        (self.dequantize(-128), self.dequantize(127))
    }
}

/// What the bytes of a tensor mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    /// Quantised numbers.
    Int8(QParams),
    /// Numbers of 16 bits, two bytes each, little-endian: `real = scale * q`, `q` in `[-32767, 32767]`.
    Int16 {
        /// Positive.
        scale: f32,
    },
    /// Numbers in floating point, little-endian.
    Float(Float),
    /// Class labels, 0 to 127.
    Label,
}

impl Format {
    /// Bytes of one code.
    pub fn bytes(self) -> usize {
        match self {
            Self::Int8(_) | Self::Label => 1,
            Self::Int16 { .. } => 2,
            Self::Float(float) => float.bytes(),
        }
    }

    /// Its name: `int8`, `int16`, `f16`, `f32` or `label`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int8(_) => "int8",
            Self::Int16 { .. } => "int16",
            Self::Float(Float::F16) => "f16",
            Self::Float(Float::F32) => "f32",
            Self::Label => "label",
        }
    }

    /// The step between codes; `None` for labels and floating point.
    pub fn step(self) -> Option<f32> {
        match self {
            Self::Int8(q) => Some(q.scale),
            Self::Int16 { scale } => Some(scale),
            Self::Float(_) | Self::Label => None,
        }
    }

    /// Smallest and largest value that can be represented; `None` for labels.
    pub fn range(self) -> Option<(f32, f32)> {
        match self {
            Self::Int8(q) => Some(q.range()),
            Self::Int16 { scale } => Some((-32767.0 * scale, 32767.0 * scale)),
            Self::Float(Float::F16) => Some((-65504.0, 65504.0)),
            Self::Float(Float::F32) => Some((f32::MIN, f32::MAX)),
            Self::Label => None,
        }
    }
}

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

/// Formats from ranges that have been chosen before; no bias is corrected.
///
/// # Errors
/// A tensor without a range; tensors that must share a format and have different ranges.
pub fn with_ranges(graph: Graph, ranges: &Ranges, rounding: Rounding) -> Result<QGraph> {
    let count = graph.values.len();
    let mut formats = vec![None; count];
    for members in Groups::new(&graph).members() {
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
    Ok(QGraph { graph, formats, rounding, channel_means, corrections, wide_weights, modes })
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

impl Groups {
    pub(crate) fn new(graph: &Graph) -> Self {
        Self::joined(graph, |_, _| true)
    }

    /// As [`Groups::new`], but what shares a scale with an input of the network only because both are concatenated does not:
    /// the operand can be given the scale of the result in between.
    pub(crate) fn apart_from_inputs(graph: &Graph) -> Self {
        let without = Self::joined(graph, |node, _| !node.op.places_inputs());
        let given: BTreeSet<usize> = graph.inputs.iter().map(|id| without.root(id.0)).collect();
        let is_given = |id: ValueId| given.contains(&without.root(id.0));
        Self::joined(graph, |node, id| !node.op.places_inputs() || is_given(id) == is_given(node.output()))
    }

    /// Operators that say so join their result with those operands that `joins` says.
    fn joined(graph: &Graph, joins: impl Fn(&Node, ValueId) -> bool) -> Self {
        let mut groups = Self { parent: (0..graph.values.len()).collect() };
        let is_label = |id: ValueId| {
            graph.producer(id).is_some_and(|n| graph.nodes[n].op.range_rule() == RangeRule::Labels)
        };
        for node in graph.nodes.iter().filter(|n| n.op.range_rule() == RangeRule::SameAsInputs) {
            let inputs = node.inputs.iter().filter(|id| !is_label(**id) && joins(node, **id));
            for id in inputs.chain(&node.outputs) {
                let (a, b) = (groups.root(id.0), groups.root(node.outputs[0].0));
                groups.parent[a.max(b)] = a.min(b);
            }
        }
        groups
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
