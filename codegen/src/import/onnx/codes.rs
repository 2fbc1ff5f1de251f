//! What a quantised file says of its values.

use super::array::{Array, Data, Type};
use crate::{
    format::{Format, Mode, QParams},
    graph::{Graph, ValueId},
    quantize::{QGraph, label_values},
};
use niello_kernels::{Float, Rounding};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// How a tensor of 8 bits stands for numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Codes {
    /// Scale and zero point of the program's codes.
    pub params: QParams,
    /// Whether the file's codes have no sign: they are the program's plus 128.
    pub unsigned: bool,
}

impl Codes {
    /// Of the scale and the zero point of a tensor, in words of what is wrong with them.
    pub(super) fn of(scale: &Array, zero_point: Option<&Array>) -> Result<Self, String> {
        let scale = match scale.as_floats()?[..] {
            // Quotients by denormal ones are infinite.
            [scale] if scale >= f32::MIN_POSITIVE && scale.is_finite() => scale,
            [scale] => return Err(format!("a scale of {scale:?}")),
            ref all => return Err(format!("{} scales of one tensor that is no constant", all.len())),
        };
        let (unsigned, zero_point) = match zero_point {
            None => (true, 0),
            Some(array) => match (array.of, array.as_ints()?) {
                (Type::Int { bits: 8, signed }, [zero_point]) => (!signed, *zero_point),
                (Type::Int { bits: 8, .. }, all) => return Err(format!("{} zero points", all.len())),
                (other, _) => return Err(format!("codes of type {}, expected int8 or uint8", other.name())),
            },
        };
        let zero_point = (zero_point - if unsigned { 128 } else { 0 }) as i8;
        Ok(Self { params: QParams { scale, zero_point }, unsigned })
    }

    /// What a code stands for.
    pub(super) fn real(self, code: i8) -> f32 {
        (code as i32 - self.params.zero_point as i32) as f32 * self.params.scale
    }

    /// The code of a number, as `QuantizeLinear` rounds it.
    pub(super) fn code(self, x: f32) -> i8 {
        let steps = (x / self.params.scale).round_ties_even() as f64;
        (steps + self.params.zero_point as f64).clamp(-128.0, 127.0) as i8
    }

    /// The codes from -128 on in the codes of `to`, of a function of what they stand for.
    pub(super) fn table(self, to: Self, function: impl Fn(f64) -> f64) -> [i8; 256] {
        std::array::from_fn(|i| to.code(function(self.real((i as i32 - 128) as i8) as f64) as f32))
    }
}

/// Weights as codes, by what they are called behind their `DequantizeLinear`.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    /// One for all of it, or one for each element of an axis.
    pub scale: Vec<f32>,
    /// That axis.
    pub axis: usize,
    /// What is called so in the file: its zero points.
    pub zero_points: String,
    /// Whether they are all 0.
    pub centred: bool,
    /// Whether codes have a sign.
    pub signed: bool,
    /// The codes less their zero points.
    pub codes: Vec<i64>,
}

/// A file's values of 8 bits.
#[derive(Default)]
pub(super) struct Quantization {
    /// Those of the graph that are codes, and not numbers.
    pub of: HashMap<ValueId, Codes>,
    /// Copies of them that are numbers.
    pub reals: HashMap<ValueId, ValueId>,
    /// Names that stand for codes in the file, not for numbers.
    pub names: HashSet<String>,
    /// Names of numbers of which only codes are used.
    pub wanted: HashMap<String, Codes>,
    /// Names that are read once.
    pub once: HashSet<String>,
    /// Constants.
    pub weights: HashMap<String, Weights>,
    /// Inputs of the network that are codes in the file, and whether these have no sign: what reads them says what they stand for.
    pub inputs: HashMap<ValueId, bool>,
    /// Layers of which onnxruntime has several results, and why.
    pub doubts: Vec<(String, &'static str)>,
}

/// Products of codes without a sign and weights with one.
const SATURATED: &str = "multiplies codes without a sign by weights with one: niello's sums are exact, onnxruntime cuts those of two products \
    off at 16 bits on x86 without VNNI; weights of 7 bits (`reduce_range`) have the same result everywhere";
/// Means between codes of one scale.
pub(super) const TIED: &str = "averages codes of one scale: a result in the middle between two codes is the even one here, and what the noise of \
    sums makes of it in onnxruntime without optimisations";

impl Quantization {
    /// The codes that all of these values have, if they are the same.
    pub(super) fn common(&self, ids: &[ValueId]) -> Option<Codes> {
        let first = self.of.get(ids.first()?)?;
        ids.iter().all(|id| self.of.get(id) == Some(first)).then_some(*first)
    }

    /// The codes of a value, which are those that its reader says for an input of which nothing is known yet.
    pub(super) fn read_as(&mut self, id: ValueId, read: Codes) -> Option<Codes> {
        if self.inputs.get(&id) == Some(&read.unsigned) {
            self.of.entry(id).or_insert(read);
        }
        self.of.get(&id).copied()
    }

    /// Of each doubt the first layer, and how many others.
    pub(super) fn warnings(&self) -> Vec<(String, String)> {
        let of = |why: &'static str| {
            let mut layers = self.doubts.iter().filter(|(_, found)| *found == why).map(|(layer, _)| layer);
            let (first, others) = (layers.next()?.clone(), layers.count());
            Some((first, if others > 0 { format!("{why} (and {others} more layers)") } else { why.into() }))
        };
        [SATURATED, TIED].into_iter().filter_map(of).collect()
    }

    /// Notes a product of codes and weights, which have a sign or not.
    pub(super) fn multiply(&mut self, layer: &str, input: ValueId, weights: &[i64], have_sign: bool) {
        let unsigned = self.of.get(&input).is_some_and(|codes| codes.unsigned);
        // Two products of 255 and 64 fit.
        if unsigned && have_sign && weights.iter().any(|w| w.abs() > 64) {
            self.doubts.push((layer.into(), SATURATED));
        }
    }

    /// The graph with formats, if any value is of 8 bits.
    pub(super) fn apply(self, graph: &Graph) -> Option<QGraph> {
        let labels = label_values(graph);
        let mut formats: Vec<Format> = (0..graph.values.len())
            .map(|i| match self.of.get(&ValueId(i)) {
                _ if labels[i] => Format::Label,
                Some(codes) => Format::Int8(codes.params),
                None => Format::Float(Float::F32),
            })
            .collect();
        // Copies for outputs.
        for node in graph.nodes.iter().filter(|node| node.op.kind() == "Reshape") {
            formats[node.output().0] = formats[node.inputs[0].0];
        }
        let is_used = |id: &ValueId| matches!(formats[id.0], Format::Int8(_));
        if !graph.nodes.iter().any(|node| node.inputs.iter().chain(&node.outputs).any(is_used)) {
            return None;
        }
        let is_float = |id: &ValueId| matches!(formats[id.0], Format::Float(_));
        let modes: BTreeMap<ValueId, Mode> = (graph.nodes.iter())
            .filter(|node| node.inputs.iter().chain(&node.outputs).any(is_float))
            .map(|node| (node.output(), Mode::F32))
            .collect();
        let mut q = QGraph {
            graph: graph.clone(),
            formats,
            rounding: Rounding::FloatEven,
            channel_means: vec![None; graph.values.len()],
            corrections: BTreeMap::new(),
            wide_weights: BTreeSet::new(),
            modes,
        };
        q.concatenate_in_one_format();
        Some(q)
    }
}

/// Codes less their zero points, and what they stand for: `dims` has the size of the axis that has scales of its own, and 1 for the others.
pub(super) fn dequantized(
    codes: &Array,
    scales: &Array,
    zeros: Option<&Array>,
    dims: Vec<usize>,
) -> Result<(Vec<i64>, Array), String> {
    let values = codes.as_ints()?;
    let steps = scales.with_dims(dims).broadcast_steps(&codes.dims);
    let scales = scales.as_floats()?;
    let zeros = zeros.map(|zeros| zeros.as_ints()).transpose()?;
    let each: Vec<(i64, usize)> =
        (values.iter().copied()).zip(super::array::places(&codes.dims, &steps, 0)).collect();
    let less = |(q, i): &(i64, usize)| q - zeros.map_or(0, |zeros| zeros[*i]);
    let data = Data::Float(each.iter().map(|pair| less(pair) as f32 * scales[pair.1]).collect());
    Ok((each.iter().map(less).collect(), Array { dims: codes.dims.clone(), data, of: Type::F32 }))
}
