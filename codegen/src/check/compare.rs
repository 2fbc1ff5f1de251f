//! The program beside float, layer by layer, over a set of inputs.

use crate::{
    error::Result,
    execute::Executor,
    format::Format,
    graph::{Graph, ValueId},
    program::{Program, TensorInfo},
    tensor::Tensor,
};
use serde::Serialize;

/// How one tensor of the program compares with the float reference.
#[derive(Clone, Debug, Serialize)]
pub struct LayerComparison {
    /// The tensor.
    #[serde(skip)]
    pub id: ValueId,
    /// The layer, or the input of the network.
    pub name: String,
    /// The operator; `input` of an input.
    pub kind: String,
    /// Bits of a code.
    pub bits: usize,
    /// The number format of its result: `int8`, `int16`, `f16`, `f32`.
    pub format: &'static str,
    /// The step between codes; `None` in floating point.
    pub scale: Option<f32>,
    /// The code of 0; `None` in floating point.
    pub zero_point: Option<i8>,
    /// Smallest and largest value that can be represented.
    pub range: (f32, f32),
    /// Smallest and largest value of the float reference.
    pub seen: (f32, f32),
    /// Signal to quantisation noise, in decibels: `10 log10(sum x^2 / sum (x - y)^2)`; `None` without noise or signal.
    pub sqnr_db: Option<f64>,
    /// The same of the layer alone: its operands are those of the float reference, in their formats.
    pub own_sqnr_db: Option<f64>,
    /// Cosine of the angle between both.
    pub cosine: Option<f64>,
    /// Largest error in steps of the layer's scale; `None` in floating point, which has no steps.
    pub max_lsb: Option<f64>,
    /// The same of the layer alone.
    pub own_max_lsb: Option<f64>,
    /// Share of values that lie more than half a step outside the representable range: `below` and `above` together.
    pub saturated: f64,
    /// Share of values below the range.
    pub below: f64,
    /// Share of values above the range.
    pub above: f64,
    /// Share of the layer's own noise in the values that are cut off.
    pub own_cut_noise: f64,
    /// Share that comes of rounding its other values to the format; the rest is of its operands' formats and of its weights.
    pub own_rounding_noise: f64,
    /// Values of the program that are infinite or no numbers.
    pub not_finite: u64,
    /// Whether all values of the program are 0, and those of the float reference are not.
    pub is_dead: bool,
}

/// Sums over all elements of a tensor, over all inputs.
#[derive(Clone, Debug)]
pub struct Comparison {
    signal: f64,
    noise: f64,
    cut_noise: f64,
    rounding_noise: f64,
    codes: f64,
    product: f64,
    max_lsb: f64,
    below: u64,
    above: u64,
    not_finite: u64,
    count: u64,
    seen: (f32, f32),
}

impl Default for Comparison {
    fn default() -> Self {
        Self {
            signal: 0.0,
            noise: 0.0,
            cut_noise: 0.0,
            rounding_noise: 0.0,
            codes: 0.0,
            product: 0.0,
            max_lsb: 0.0,
            below: 0,
            above: 0,
            not_finite: 0,
            count: 0,
            seen: (f32::INFINITY, f32::NEG_INFINITY),
        }
    }
}

impl Comparison {
    /// Adds one tensor: real values, the values that codes stand for, the step between codes if there is one, the representable range.
    pub fn add(&mut self, float: &[f32], coded: &[f32], step: Option<f32>, range: (f32, f32)) {
        let steps = step.map_or(0.0, |step| 1.0 / step as f64);
        let half = step.unwrap_or(0.0) as f64 / 2.0;
        for (x, y) in float.iter().zip(coded) {
            self.seen = (self.seen.0.min(*x), self.seen.1.max(*x));
            let (x, y) = (*x as f64, *y as f64);
            self.signal += x * x;
            self.codes += y * y;
            self.product += x * y;
            let noise = (x - y) * (x - y);
            self.noise += noise;
            self.max_lsb = self.max_lsb.max((x - y).abs() * steps);
            self.not_finite += !y.is_finite() as u64;
            let (below, above) = (x < range.0 as f64 - half, x > range.1 as f64 + half);
            self.below += below as u64;
            self.above += above as u64;
            if below || above {
                self.cut_noise += noise;
            } else if let Some(step) = step.map(f64::from) {
                self.rounding_noise += (x - (x * steps).round() * step).powi(2);
            }
        }
        self.count += float.len() as u64;
    }

    /// Adds a tensor's codes, if they stand for numbers.
    fn add_codes(&mut self, float: &Tensor<f32>, info: &TensorInfo, codes: &[i8]) {
        if let Some(range) = info.format.range() {
            self.add(&float.data, &info.dequantize(codes).data, info.format.step(), range);
        }
    }

    /// Signal to noise in decibels.
    pub fn sqnr_db(&self) -> Option<f64> {
        (self.signal > 0.0 && self.noise > 0.0).then(|| 10.0 * (self.signal / self.noise).log10())
    }

    /// Shares of the noise: in values that are cut off, and of rounding. 0 without noise, or with noise that is infinite.
    fn shares(&self) -> [f64; 2] {
        let share = |part: f64| Some(part / self.noise).filter(|share| share.is_finite());
        [self.cut_noise, self.rounding_noise].map(|part| share(part).map_or(0.0, |share| share.min(1.0)))
    }

    /// Cosine of the angle.
    pub fn cosine(&self) -> Option<f64> {
        let norms = (self.signal * self.codes).sqrt();
        (norms > 0.0).then(|| self.product / norms)
    }

    /// The row of a tensor; `own` has the layer alone.
    fn finish(self, own: &Self, id: ValueId, name: &str, kind: &str, format: Format) -> LayerComparison {
        let share = |values: u64| if self.count == 0 { 0.0 } else { values as f64 / self.count as f64 };
        let in_steps = |lsb: f64| format.step().map(|_| lsb);
        let [own_cut_noise, own_rounding_noise] = own.shares();
        LayerComparison {
            id,
            name: name.into(),
            kind: kind.into(),
            bits: 8 * format.bytes(),
            format: format.name(),
            scale: format.step(),
            zero_point: match format {
                Format::Int8(q) => Some(q.zero_point),
                Format::Int16 { .. } => Some(0),
                Format::Float(_) | Format::Label => None,
            },
            range: format.range().unwrap_or_default(),
            seen: self.seen,
            sqnr_db: self.sqnr_db(),
            own_sqnr_db: own.sqnr_db(),
            cosine: self.cosine(),
            max_lsb: in_steps(self.max_lsb),
            own_max_lsb: in_steps(own.max_lsb),
            own_cut_noise,
            own_rounding_noise,
            not_finite: self.not_finite,
            is_dead: self.codes == 0.0 && self.signal > 0.0,
            saturated: share(self.below + self.above),
            below: share(self.below),
            above: share(self.above),
        }
    }
}

/// Outputs of both for one input.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The input: one tensor per input of the graph.
    pub inputs: Vec<Tensor<f32>>,
    /// Float reference.
    pub float: Vec<Tensor<f32>>,
    /// The program's codes, dequantized.
    pub coded: Vec<Tensor<f32>>,
}

/// The whole comparison.
#[derive(Clone, Debug)]
pub struct Verification {
    /// The network's inputs.
    pub of_inputs: Vec<LayerComparison>,
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
    let mut own = sums.clone();
    let mut executor = Executor::new(program);
    let mut count = 0;
    for input in inputs {
        let input = input?;
        let codes: Vec<Vec<i8>> =
            program.inputs.iter().zip(&input).map(|(id, t)| program.tensor(*id).quantize(&t.data)).collect();
        let mut seen: Vec<Option<Vec<i8>>> = vec![None; program.tensors.len()];
        program.inputs.iter().zip(&codes).for_each(|(id, codes)| seen[id.0] = Some(codes.clone()));
        let views: Vec<&[i8]> = codes.iter().map(|c| &c[..]).collect();
        let outputs = executor.run_observed(&views, |i, view| {
            let id = program.steps[i].writes;
            seen[id.0] = Some(view.tensor(id));
        })?;
        let mut float = vec![];
        // Once more, each layer by itself.
        executor.run_stepwise(&views, |run| {
            float = graph.observe_f32(&input, |id, tensor| {
                let info = program.tensor(id);
                if let Some(codes) = seen[id.0].take() {
                    sums[id.0].add_codes(tensor, info, &codes);
                }
                if run.run_to(id) {
                    own[id.0].add_codes(tensor, info, &run.view().tensor(id));
                    run.replace(id, &info.format.encode(&tensor.data));
                }
            })?;
            Ok(())
        })?;
        let coded =
            program.outputs.iter().zip(&outputs).map(|(id, o)| program.tensor(*id).dequantize(o)).collect();
        each(count, &Pair { inputs: input, float, coded })?;
        count += 1;
    }
    let output = sums[program.outputs[0].0].clone();
    let mut done = vec![false; program.tensors.len()];
    let mut row = |id: ValueId, name: &str, kind: &str| {
        let is_new = !std::mem::replace(&mut done[id.0], true) && sums[id.0].count > 0;
        is_new.then(|| {
            let found = std::mem::take(&mut sums[id.0]);
            found.finish(&own[id.0], id, name, kind, program.tensor(id).format)
        })
    };
    let of_inputs = program.inputs.iter().filter_map(|id| row(*id, &program.tensor(*id).name, "input"));
    let of_inputs = of_inputs.collect();
    let layers = program.steps.iter().filter_map(|step| row(step.writes, &step.name, step.kind)).collect();
    Ok(Verification { of_inputs, layers, output, inputs: count })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_beyond_either_end_are_counted_apart() {
        let mut c = Comparison::default();
        c.add(&[-3.0, -1.4, 0.0, 1.0, 1.6, 9.0], &[-1.0, -1.0, 0.0, 1.0, 1.0, 1.0], Some(1.0), (-1.0, 1.0));
        let row = c.finish(
            &Comparison::default(),
            ValueId(0),
            "a",
            "Add",
            Format::Float(niello_kernels::Float::F32),
        );
        assert_eq!((row.below, row.above, row.saturated), (1.0 / 6.0, 2.0 / 6.0, 0.5));
        assert_eq!((row.seen, row.own_sqnr_db), ((-3.0, 9.0), None));
        assert_eq!(row.own_cut_noise, 0.0);
    }

    #[test]
    fn noise_of_what_is_cut_off_is_told_from_rounding() {
        let mut c = Comparison::default();
        // Rounding: 0.3^2 and 0.4^2. Cut off: 1.5^2. A code beside the nearest one: 1.
        c.add(&[0.3, 0.6, 2.5, 0.0], &[0.0, 1.0, 1.0, 1.0], Some(1.0), (-1.0, 1.0));
        let near = |share: f64, expected: f64| assert!((share - expected / 3.5).abs() < 1e-6, "{share}");
        let [cut, rounding] = c.shares();
        near(cut, 2.25);
        near(rounding, 0.25);
        c.add(&[3.0], &[f32::INFINITY], None, (-1.0, 1.0));
        assert_eq!(c.shares(), [0.0, 0.0]);
    }
}
