//! The program beside float, layer by layer, over a set of inputs.

use crate::{
    error::Result,
    execute::Executor,
    format::Format,
    graph::{Graph, ValueId},
    program::Program,
    tensor::Tensor,
};
use serde::Serialize;

/// How one tensor of the program compares with the float reference.
#[derive(Clone, Debug, Serialize)]
pub struct LayerComparison {
    /// The layer.
    pub name: String,
    /// The operator.
    pub kind: String,
    /// Bits of a code.
    pub bits: usize,
    /// The number format of its result: `int8`, `int16`, `f16`, `f32`.
    pub format: &'static str,
    /// Signal to quantisation noise, in decibels: `10 log10(sum x^2 / sum (x - y)^2)`; `None` without noise or signal.
    pub sqnr_db: Option<f64>,
    /// Cosine of the angle between both.
    pub cosine: Option<f64>,
    /// Largest error in steps of the layer's scale; `None` in floating point, which has no steps.
    pub max_lsb: Option<f64>,
    /// Share of values that lie more than half a step outside the representable range.
    pub saturated: f64,
    /// Values of the program that are infinite or no numbers.
    pub not_finite: u64,
    /// Whether all values of the program are 0, and those of the float reference are not.
    pub is_dead: bool,
}

/// Sums over all elements of a tensor, over all inputs.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    signal: f64,
    noise: f64,
    codes: f64,
    product: f64,
    max_lsb: f64,
    outside: u64,
    not_finite: u64,
    count: u64,
}

impl Comparison {
    /// Adds one tensor: real values, the values that codes stand for, the step between codes if there is one, the representable range.
    pub fn add(&mut self, float: &[f32], coded: &[f32], step: Option<f32>, range: (f32, f32)) {
        let steps = step.map_or(0.0, |step| 1.0 / step as f64);
        let half = step.unwrap_or(0.0) as f64 / 2.0;
        for (x, y) in float.iter().zip(coded) {
            let (x, y) = (*x as f64, *y as f64);
            self.signal += x * x;
            self.codes += y * y;
            self.product += x * y;
            self.noise += (x - y) * (x - y);
            self.max_lsb = self.max_lsb.max((x - y).abs() * steps);
            self.not_finite += !y.is_finite() as u64;
            self.outside += (x < range.0 as f64 - half || x > range.1 as f64 + half) as u64;
        }
        self.count += float.len() as u64;
    }

    /// Signal to noise in decibels.
    pub fn sqnr_db(&self) -> Option<f64> {
        (self.signal > 0.0 && self.noise > 0.0).then(|| 10.0 * (self.signal / self.noise).log10())
    }

    /// Cosine of the angle.
    pub fn cosine(&self) -> Option<f64> {
        let norms = (self.signal * self.codes).sqrt();
        (norms > 0.0).then(|| self.product / norms)
    }

    fn finish(self, name: &str, kind: &str, format: Format) -> LayerComparison {
        LayerComparison {
            name: name.into(),
            kind: kind.into(),
            bits: 8 * format.bytes(),
            format: format.name(),
            sqnr_db: self.sqnr_db(),
            cosine: self.cosine(),
            max_lsb: format.step().map(|_| self.max_lsb),
            not_finite: self.not_finite,
            is_dead: self.codes == 0.0 && self.signal > 0.0,
            saturated: if self.count == 0 { 0.0 } else { self.outside as f64 / self.count as f64 },
        }
    }
}

/// Outputs of both for one input.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Float reference.
    pub float: Vec<Tensor<f32>>,
    /// The program's codes, dequantized.
    pub coded: Vec<Tensor<f32>>,
}

/// The whole comparison.
#[derive(Clone, Debug)]
pub struct Verification {
    /// Layers in order of execution.
    pub layers: Vec<LayerComparison>,
    /// The network's first output.
    pub output: Comparison,
    /// Number of inputs.
    pub inputs: usize,
}

/// Compares `program` with `graph`, the float graph that it was lowered from, on `inputs` (one tensor per graph input).
///
/// `each` sees the outputs of both for every input, in order.
///
/// # Errors
/// An input that cannot be had or has the wrong shape.
pub fn verify(
    graph: &Graph,
    program: &Program,
    inputs: impl IntoIterator<Item = Result<Vec<Tensor<f32>>>>,
    mut each: impl FnMut(usize, &Pair) -> Result<()>,
) -> Result<Verification> {
    let mut sums: Vec<Comparison> = vec![Comparison::default(); program.tensors.len()];
    let mut executor = Executor::new(program);
    let mut count = 0;
    for input in inputs {
        let input = input?;
        let codes: Vec<Vec<i8>> =
            program.inputs.iter().zip(&input).map(|(id, t)| program.tensor(*id).quantize(&t.data)).collect();
        let mut seen: Vec<Option<Vec<i8>>> = vec![None; program.tensors.len()];
        let views: Vec<&[i8]> = codes.iter().map(|c| &c[..]).collect();
        let outputs = executor.run_observed(&views, |i, view| {
            let id = program.steps[i].writes;
            seen[id.0] = Some(view.tensor(id));
        })?;
        let float = graph.observe_f32(&input, |id, tensor| {
            let format = program.tensor(id).format;
            if let (Some(codes), Some(range)) = (seen[id.0].take(), format.range()) {
                let coded = program.tensor(id).dequantize(&codes);
                sums[id.0].add(&tensor.data, &coded.data, format.step(), range);
            }
        })?;
        let coded =
            program.outputs.iter().zip(&outputs).map(|(id, o)| program.tensor(*id).dequantize(o)).collect();
        each(count, &Pair { float, coded })?;
        count += 1;
    }
    let output = sums[program.outputs[0].0].clone();
    let mut done = vec![false; program.tensors.len()];
    let mut layers = vec![];
    for step in &program.steps {
        let ValueId(id) = step.writes;
        if !std::mem::replace(&mut done[id], true) && sums[id].count > 0 {
            let format = program.tensors[id].format;
            layers.push(std::mem::take(&mut sums[id]).finish(&step.name, step.kind, format));
        }
    }
    Ok(Verification { layers, output, inputs: count })
}
