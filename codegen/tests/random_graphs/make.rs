//! A graph from bytes: any operator on any earlier value, with numbers of any kind.

use super::bytes::{Bytes, HEADER, NODE, Rng};
use niello_codegen::{
    Graph, GraphBuilder, Result, Shape, Tensor, ValueId,
    format::RangeRule,
    graph::Op,
    ops::{
        Add, ArgMax, Attention, AveragePool2d, BatchNormParams, Clamp, Concat, Constant, ConvParams,
        Coordinates, Div, Extremum, Function, GlobalAveragePool, HardSigmoid, Hashing, Index, Interpolation,
        L2Normalize, LinearPair, LogSoftmax, MaxPool2d, MaxPosition2d, MaxUnpool2d, Mul, Nearest,
        PadChannels, Permute, PointWise, QuantizeLinear, Reduce, ReduceKind, Rescale, Resize, ResizeMode,
        Sampling, ShuffleChannels, SliceChannels, Softmax, SquaredDifference, Sub, Table,
        TransposedConvParams,
    },
    weights::{Kind, Request, WeightSource},
};
use std::{cell::Cell, rc::Rc, sync::Arc};

/// How the numbers of a tensor are spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Spread {
    /// Evenly, so that activations keep their size.
    Even,
    /// As [`Spread::Even`], by a factor.
    Times(f32),
    /// One number is 100 times as large as the others can be.
    Outlier,
    /// Three quarters are zero.
    Sparse,
    /// Each second filter is zero.
    DeadFilters,
    /// Each second filter is 1e-30 in size.
    FadedFilters,
    Zeros,
    Ones,
    /// One is NaN.
    Nan,
}

const SPREADS: [Spread; 16] = [
    Spread::Even,
    Spread::Even,
    Spread::Even,
    Spread::Even,
    Spread::Even,
    Spread::Even,
    Spread::Even,
    Spread::Times(100.0),
    Spread::Times(0.01),
    Spread::Times(1e-30),
    Spread::Outlier,
    Spread::Sparse,
    Spread::DeadFilters,
    Spread::FadedFilters,
    Spread::Zeros,
    Spread::Ones,
];

/// Makes the tensors that are asked for, as the generator says just before.
struct Source {
    rng: Rng,
    spread: Rc<Cell<(Spread, Spread)>>,
}

impl WeightSource for Source {
    fn describe(&self) -> String {
        "random weights".into()
    }

    fn load(&mut self, request: &Request<'_>) -> Result<Vec<f32>, String> {
        let len = request.shape.iter().try_fold(1usize, |len, d| len.checked_mul(*d)).unwrap_or(usize::MAX);
        if len > 1 << 20 {
            return Err("too large".into());
        }
        let fan_in = len.checked_div(request.shape[0]).unwrap_or(1).max(1);
        let (weights, biases) = self.spread.get();
        let (spread, size, around) = match request.kind {
            Kind::ConvWeight | Kind::ConvTransposeWeight | Kind::LinearWeight => {
                (weights, (3.0 / fan_in as f32).sqrt(), 0.0)
            }
            Kind::Bias | Kind::BatchNormBias | Kind::BatchNormMean => (biases, 0.2, 0.0),
            Kind::BatchNormWeight => (weights, 0.5, 1.0),
            // A variance is positive.
            Kind::BatchNormVariance => (Spread::Even, 0.5, 1.0),
            Kind::PReluSlope => (weights, 0.3, 0.2),
            Kind::Embedding | Kind::LshRotation => (weights, 1.0, 0.0),
        };
        let mut values: Vec<f32> = (0..len)
            .map(|i| {
                let value = size * self.rng.unit() + around;
                let filter = i / fan_in;
                match spread {
                    Spread::Times(factor) => factor * value,
                    Spread::Sparse if !self.rng.next().is_multiple_of(4) => 0.0,
                    Spread::DeadFilters if filter % 2 == 1 => 0.0,
                    Spread::FadedFilters if filter % 2 == 1 => 1e-30 * value,
                    Spread::Zeros => 0.0,
                    Spread::Ones => 1.0,
                    _ => value,
                }
            })
            .collect();
        let place = self.rng.next() as usize;
        if let (Spread::Outlier | Spread::Nan, 1..) = (spread, len) {
            values[place % len] = if spread == Spread::Nan { f32::NAN } else { 100.0 * size };
        }
        Ok(values)
    }
}

/// What is made from bytes.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) graph: Graph,
    pub(crate) setup: Setup,
    pub(crate) samples: Vec<Vec<Tensor<f32>>>,
}

/// How the graph becomes a program.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Chooses whatever else there is to choose.
    pub(crate) rng: Rng,
    /// The number format.
    pub(crate) format: Format,
    pub(crate) optimize: bool,
    pub(crate) method: usize,
    pub(crate) bias_correction: bool,
    pub(crate) single: bool,
    pub(crate) overrides: usize,
    /// Whether to look at everything that takes longer: text, tuning, threads.
    pub(crate) slow: bool,
    /// Invalid parameters, which must be refused.
    pub(crate) hostile: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Int8,
    /// Some results and weights of 16 bits, some layers in floating point.
    Mixed {
        wide: bool,
        float: bool,
    },
    /// All in floating point, by the index of the mode.
    Float(usize),
    /// 16 bits as a budget needs.
    Budget,
}

const FORMATS: [Format; 16] = [
    Format::Int8,
    Format::Int8,
    Format::Int8,
    Format::Int8,
    Format::Int8,
    Format::Int8,
    Format::Mixed { wide: true, float: false },
    Format::Mixed { wide: true, float: false },
    Format::Mixed { wide: true, float: true },
    Format::Mixed { wide: false, float: true },
    Format::Float(0),
    Format::Float(1),
    Format::Float(2),
    Format::Float(3),
    Format::Float(3),
    Format::Budget,
];

/// Most elements of a value, most multiply-accumulates of a layer.
const MOST_ELEMENTS: usize = 4000;
const MOST_MACS: usize = 150_000;
/// As many of a larger graph, of which there are few.
const LARGE: usize = 12;

/// Sizes that are no sizes.
const ODD: [usize; 7] = [0, 1 << 20, 1 << 31, 1 << 33, usize::MAX, usize::MAX / 2, usize::MAX - 1];

struct Maker<'w, 'l> {
    b: GraphBuilder<'w>,
    log: &'l mut Vec<String>,
    /// Values to choose operands from, and whether they are labels.
    values: Vec<(ValueId, bool)>,
    spread: Rc<Cell<(Spread, Spread)>>,
    hostile: bool,
    odd_names: bool,
    scale: usize,
    rng: Rng,
    count: usize,
}

/// Makes the graph; `log` gets the calls of the builder as text.
pub(crate) fn make(bytes: &[u8], log: &mut Vec<String>) -> Result<Made> {
    let (header, nodes) = bytes.split_at(bytes.len().min(HEADER));
    let mut h = Bytes(header);
    let seed = (0..4).fold(0, |seed, _| seed << 8 | h.byte() as u64);
    let mut rng = Rng(seed);
    let format = h.pick(&FORMATS);
    let flags = h.byte();
    let hostile = h.byte() > 240;
    let slow = h.byte() > 250;
    let (large, odd_names) = (h.byte() > 250, h.byte() > 247);
    let setup = Setup {
        rng: Rng(seed ^ 0x5eed),
        format,
        optimize: flags & 3 != 3,
        bias_correction: flags & 4 == 0,
        single: flags & 8 != 0,
        method: h.below(32),
        overrides: [0, 0, 0, 1, 2][h.below(5)],
        slow: slow || large,
        hostile,
    };
    let spread = Rc::new(Cell::new((Spread::Even, Spread::Even)));
    let mut source = Source { rng: Rng(rng.next()), spread: spread.clone() };
    let b = GraphBuilder::new(if odd_names { "3 odd \"names\"" } else { "random" }, &mut source);
    let scale = if large { LARGE } else { 1 };
    let (values, count) = (vec![], 0);
    let rng_of_maker = Rng(rng.next());
    let mut m = Maker { b, log, values, spread, hostile, odd_names, scale, rng: rng_of_maker, count };
    m.log.push(format!("{format:?} {setup:?}"));
    // Inputs.
    let mut scales = vec![];
    let inputs = [1, 1, 1, 2, 3][h.below(5)];
    for _ in 0..inputs {
        let side = |h: &mut Bytes<'_>| h.pick(&[4, 1, 2, 3, 5, 6, 7, 8, 9, 12, 16, 20, 5, 6, 8, 8]);
        let (rows, columns) = (side(&mut h), side(&mut h));
        let c = h.pick(&[3, 1, 2, 4, 5, 6, 7, 8, 12, 16, 24, 32, 40, 8, 16, 3]);
        let (rows, columns) = if large { (rows + 8, columns + 8) } else { (rows, columns) };
        let c = if hostile && h.once_in(16) { 0 } else { c.min(m.most_elements() / rows / columns).max(1) };
        let labels = h.once_in(12);
        let shape = Shape::new(rows, columns, if labels { 1 } else { c });
        let name = m.name("input");
        let id = m.b.input(&name, shape);
        m.log.push(format!("v{} = input({name:?}, {shape})  labels: {labels}", id.0));
        m.values.push((id, labels));
        scales.push((h.byte(), labels));
    }
    for node in nodes.chunks(NODE) {
        m.node(&mut Bytes(node));
    }
    if m.values.len() == inputs && !h.once_in(8) {
        let input = m.values[0].0;
        m.add(Clamp::RELU, &[input]);
    }
    // Outputs: the last value, and some others; seldom an input.
    let mut outputs = vec![m.values[m.values.len() - 1].0];
    let first = if h.once_in(8) { 0 } else { inputs.min(m.values.len() - 1) };
    for _ in 0..[0, 0, 1, 2][h.below(4)] {
        outputs.push(m.values[first + h.below(m.values.len() - first)].0);
    }
    m.log.push(format!("outputs: {:?}", outputs.iter().map(|id| id.0).collect::<Vec<_>>()));
    let count = 1 + h.below(3);
    let graph = m.b.finish(&outputs)?;
    let mut samples = vec![];
    if !too_large(&graph) {
        for _ in 0..count {
            let of = |(id, (spread, labels)): (&ValueId, &(usize, bool))| {
                sample(graph.shape(*id), *spread, *labels || graph.holds_labels(*id), &mut rng)
            };
            samples.push(graph.inputs.iter().zip(&scales).map(of).collect());
        }
    }
    Ok(Made { graph, setup, samples })
}

/// Whether nothing should be computed: sizes that no machine has.
pub(crate) fn too_large(graph: &Graph) -> bool {
    let len = |s: Shape| s.h.saturating_mul(s.w).saturating_mul(s.c);
    graph.values.iter().any(|v| len(v.shape) > 1 << 20)
}

/// A calibration sample.
fn sample(shape: Shape, spread: usize, labels: bool, rng: &mut Rng) -> Tensor<f32> {
    let size =
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 255.0, 1e-3, 1e-12, 1e6, 1e4, 0.1, 3.0, 1.0, 1.0, 30.0][spread % 16];
    let data = (0..shape.len())
        .map(|i| {
            let value = rng.unit();
            match spread / 16 {
                _ if labels => (64.0 * (value + 1.0)).floor().min(127.0),
                0 => size * value.abs(),
                1 => -size * value.abs(),
                2 => size,
                3 => 0.0,
                4 => size * if i == 7 { 100.0 } else { value },
                5 => size * (value.abs() + 1.0),
                _ => size * value,
            }
        })
        .collect();
    Tensor { shape, data }
}

impl Maker<'_, '_> {
    fn most_elements(&self) -> usize {
        self.scale * MOST_ELEMENTS
    }

    fn name(&mut self, kind: &str) -> String {
        self.count += 1;
        if self.odd_names {
            let odd =
                ["", "self", "a b", "é", "\"", "n1", "*/ //", "line\nbreak", "fn", "n1.int8", "\\", "{x}"];
            let at = self.rng.next() as usize % (2 * odd.len());
            if let Some(name) = odd.get(at) {
                return (*name).into();
            }
        }
        format!("{}{}", kind.chars().next().unwrap_or('n'), self.count)
    }

    /// A number that somebody could have got wrong.
    fn odd(&mut self, n: &mut Bytes<'_>, right: usize) -> usize {
        if self.hostile && n.once_in(6) { n.pick(&ODD) } else { right }
    }

    fn shape(&self, id: ValueId) -> Shape {
        self.b.shape(id)
    }

    /// An earlier value that `fits`: mostly a late one.
    fn value(&mut self, n: &mut Bytes<'_>, fits: impl Fn(Shape) -> bool) -> Option<ValueId> {
        self.any_value(n, false, fits)
    }

    fn any_value(
        &mut self,
        n: &mut Bytes<'_>,
        labels: bool,
        fits: impl Fn(Shape) -> bool,
    ) -> Option<ValueId> {
        let choice = n.byte();
        // Labels where numbers belong, and the other way round.
        let mistaken = self.hostile && choice % 32 == 31;
        let of_kind = |v: &&(ValueId, bool)| (v.1 == labels) != mistaken && fits(self.b.shape(v.0));
        let found: Vec<ValueId> = self.values.iter().filter(of_kind).map(|v| v.0).collect();
        let last = found.len().checked_sub(1)?;
        Some(found[if choice < 150 { last } else { choice % found.len() }])
    }

    fn add(&mut self, op: impl Op, inputs: &[ValueId]) -> ValueId {
        let is_label = |id: &ValueId| self.values.iter().any(|v| v.0 == *id && v.1);
        let labels = match op.range_rule() {
            RangeRule::Labels => true,
            RangeRule::SameAsInputs => inputs.iter().all(is_label),
            _ => false,
        };
        let name = self.name("node");
        let mut text = format!("{op:?}");
        text.truncate(text.char_indices().nth(160).map_or(text.len(), |(at, _)| at));
        let operands: Vec<usize> = inputs.iter().map(|id| id.0).collect();
        self.log.push(format!("v? = add_op({name:?}, {text}, {operands:?})"));
        let id = self.b.add_op(&name, op, inputs);
        self.made(id, labels)
    }

    fn made(&mut self, id: ValueId, labels: bool) -> ValueId {
        let shape = self.shape(id);
        let line = self.log.last_mut().expect("the call was written down");
        *line = format!("{}  {shape}", line.replacen("v?", &format!("v{}", id.0), 1));
        self.values.push((id, labels));
        id
    }

    fn set_spread(&mut self, n: &mut Bytes<'_>) {
        let choice = n.byte();
        let mut spread = (SPREADS[choice % 16], SPREADS[choice / 16]);
        if let Spread::Times(1e-30) = spread.1 {
            spread.1 = Spread::Times(1e4);
        }
        if self.hostile && n.once_in(16) {
            spread.0 = Spread::Nan;
        }
        self.spread.set(spread);
        self.log.push(format!("    weights {:?}, biases {:?}", spread.0, spread.1));
    }

    fn conv(&mut self, x: ValueId, p: ConvParams) -> ValueId {
        let name = self.name("conv");
        self.log.push(format!("v? = conv2d({name:?}, v{}, {p:?})", x.0));
        let id = self.b.conv2d(&name, x, p);
        // A refused one gives its input back.
        if id == x { id } else { self.made(id, false) }
    }

    /// One record.
    fn node(&mut self, n: &mut Bytes<'_>) {
        let most = self.most_elements();
        // The last kinds came later: graphs of most other bytes stay what they were.
        let kind = match n.byte() {
            byte @ 240.. => byte - 176,
            byte @ 224.. => byte - 144,
            byte @ 208.. => byte - 112,
            byte => byte % 64,
        };
        // Labels can be moved, too.
        let moves = matches!(kind, 34..44 | 49..56 | 60 | 64..69) && n.once_in(8);
        let labels = moves.then(|| self.any_value(n, true, |_| true)).flatten();
        let Some(x) = labels.or_else(|| self.value(n, |_| true)) else { return };
        let s = self.shape(x);
        // A refused layer leaves a shape that the next ones can go on with.
        if s.h.saturating_mul(s.w).saturating_mul(s.c) > 64 * most || s.len() == 0 {
            return;
        }
        match kind {
            0..14 => self.random_conv(n, x, s),
            14..17 => self.transposed(n, x, s),
            17 => {
                self.set_spread(n);
                let x = if s.area() == 1 { x } else { self.add(GlobalAveragePool, &[x]) };
                let (name, out) = (self.name("linear"), n.pick(&[10, 1, 3, 8, 16, 33]));
                self.log.push(format!("v? = linear({name:?}, v{}, {out})", x.0));
                let id = self.b.linear(&name, x, out);
                self.made(id, false);
            }
            18 | 19 => {
                self.set_spread(n);
                let name = self.name("batch_norm");
                let epsilon = n.pick(&[1e-5, 1e-3, 0.0]);
                self.log.push(format!("v? = batch_norm({name:?}, v{}, {epsilon})", x.0));
                let id = self.b.batch_norm(&name, x, BatchNormParams { epsilon });
                self.made(id, false);
            }
            20 | 21 => self.clamp(n, x),
            22 => {
                self.set_spread(n);
                let (name, slopes) = (self.name("prelu"), n.pick(&[1, s.c]));
                let slopes = self.odd(n, slopes).min(1 << 16);
                self.log.push(format!("v? = prelu({name:?}, v{}, {slopes})", x.0));
                let id = self.b.prelu(&name, x, slopes);
                self.made(id, false);
            }
            23..26 => {
                let function = n.pick(&[
                    Some(Function::Sigmoid),
                    Some(Function::Tanh),
                    Some(Function::Silu),
                    Some(Function::HardSwish),
                    Some(Function::Elu(1.0)),
                    Some(Function::Elu(0.3)),
                    None,
                    Some(Function::LeakyRelu(-2.0)),
                ]);
                match function {
                    Some(function) => self.add(PointWise(function), &[x]),
                    None => self.add(HardSigmoid, &[x]),
                };
            }
            26..34 => self.two(n, x, s, kind - 26),
            34..41 => {
                let count = n.pick(&[2, 2, 2, 3, 4, 1]);
                let mut all = vec![x];
                for _ in 1..count {
                    let of_labels = labels.is_some() && !n.once_in(8);
                    all.extend(self.any_value(n, of_labels, |other| (other.h, other.w) == (s.h, s.w)));
                }
                if all.iter().map(|id| self.shape(*id).len()).sum::<usize>() <= most {
                    self.add(Concat, &all);
                }
            }
            41..44 => {
                let pool = self.window(n, s);
                self.add(pool, &[x]);
            }
            44 | 45 => {
                let MaxPool2d { kernel, stride, padding, ceil_mode, .. } = self.window(n, s);
                let count_padding = n.once_in(2);
                self.add(AveragePool2d { kernel, stride, padding, ceil_mode, count_padding }, &[x]);
            }
            46 => drop(self.add(GlobalAveragePool, &[x])),
            47 | 48 => self.unpooled(n, x, s),
            49..52 => {
                let side = |n: &mut Bytes<'_>, size: usize| {
                    let size = n.pick(&[2 * size, size, size / 2, size + 1, 1, 3, 7, 3 * size, 14]);
                    size.clamp(1, 24)
                };
                let (h, w) = (side(n, s.h), side(n, s.w));
                let mode = n.pick(&[ResizeMode::Nearest, ResizeMode::Bilinear, ResizeMode::BilinearAligned]);
                if h * w * s.c <= most {
                    let size = [self.odd(n, h), self.odd(n, w)];
                    self.add(Resize { size, mode }, &[x]);
                }
            }
            52 => {
                let more = n.pick(&[0, 1, 2, 3, 8, 13]);
                if s.area() * (s.c + more) <= most {
                    let more = self.odd(n, more);
                    self.add(PadChannels { more }, &[x]);
                }
            }
            53 => {
                let first = n.below(s.c);
                let count = 1 + n.below(s.c - first);
                let (first, count) = (self.odd(n, first), self.odd(n, count));
                self.add(SliceChannels { first, count }, &[x]);
            }
            54 => {
                let divisors: Vec<usize> = (1..=s.c).filter(|d| s.c.is_multiple_of(*d)).collect();
                let groups = n.pick(&divisors);
                let groups = self.odd(n, groups);
                self.add(ShuffleChannels { groups }, &[x]);
            }
            55 => {
                let to = n.pick(&[
                    Shape::new(1, 1, s.len()),
                    Shape::new(s.w, s.h, s.c),
                    Shape::new(1, s.area(), s.c),
                    Shape::new(s.h, s.w * s.c, 1),
                    Shape::new(s.len(), 1, 1),
                ]);
                let to = Shape { c: self.odd(n, to.c), ..to };
                self.add(niello_codegen::ops::Reshape { to }, &[x]);
            }
            56 => drop(self.add(Softmax, &[x])),
            57 if s.c <= 128 => drop(self.add(ArgMax, &[x])),
            57 => {}
            58 => {
                let labels = self.any_value(n, true, |s| s.c == 1);
                let Some(labels) = labels.or_else(|| (s.c <= 128).then(|| self.add(ArgMax, &[x]))) else {
                    return;
                };
                self.set_spread(n);
                let (rows, width) = (n.pick(&[5, 1, 2, 128, 64]), n.pick(&[4, 1, 3, 8, 16]));
                if self.shape(labels).area() * width > most {
                    return;
                }
                let rows = self.odd(n, rows).min(1000);
                let name = self.name("embedding");
                self.log.push(format!("v? = embedding({name:?}, v{}, {rows}, {width})", labels.0));
                let id = self.b.embedding(&name, labels, rows, width);
                self.made(id, false);
            }
            59 => self.attention(n, x, s),
            60 => drop(self.add(Rescale, &[x])),
            61 if s.c * s.c > MOST_MACS => {}
            61 => {
                // Squeeze and excite.
                self.set_spread(n);
                let mean = self.add(GlobalAveragePool, &[x]);
                let factor = self.conv(mean, ConvParams::new(s.c, 1));
                let factor = self.add(PointWise(Function::Sigmoid), &[factor]);
                self.add(Mul::default(), &[x, factor]);
            }
            62 => {
                // A residual block.
                self.set_spread(n);
                let inner = self.conv(x, ConvParams::new(s.c.min(8), 1));
                let inner = self.add(Clamp::RELU, &[inner]);
                let inner = self.conv(inner, ConvParams::new(s.c, 1));
                self.add(Add::default(), &[x, inner]);
            }
            64 | 65 => self.permuted(n, x, s),
            66..69 => self.indexed(n, x, labels.is_some()),
            69 | 70 => {
                let shape = n.pick(&[s, Shape::new(1, 1, s.c), Shape { c: 1, ..s }]);
                let size = n.pick(&[1.0, 100.0, 1e-3, 0.0]);
                let data = (0..shape.len()).map(|_| size * self.rng.unit()).collect();
                let constant = self.add(Constant { value: Tensor { shape, data } }, &[]);
                match n.below(3) {
                    0 => drop(self.add(Mul::default(), &[x, constant])),
                    1 => drop(self.add(Sub::default(), &[x, constant])),
                    _ => drop(self.add(Add::default(), &[x, constant])),
                }
            }
            71..76 => {
                let function = n.pick(&[
                    Function::Gelu,
                    Function::GeluTanh,
                    Function::Abs,
                    Function::Neg,
                    Function::Square,
                    Function::Erf,
                    Function::Softplus,
                    Function::Softsign,
                    Function::Mish,
                    Function::Selu(1.75, 1.0625),
                    Function::Celu(0.5),
                    Function::HardSigmoid(0.25, 0.5),
                    Function::Sin,
                    Function::Cos,
                    Function::Floor,
                    Function::Ceil,
                    Function::Round,
                    Function::Sign,
                    Function::Affine(-1.5, 0.75),
                    Function::ThresholdedRelu(0.25),
                    Function::Shrink(0.25, 0.5),
                ]);
                self.add(PointWise(function), &[x]);
            }
            76..80 => {
                // A row, a column or a number, repeated.
                let size = n.pick(&[[1, s.w, s.c], [s.h, 1, s.c], [1, 1, 1], [1, s.w, 1], [s.h, 1, 1]]);
                let part = size.map(|size| size as i32).map(|size| Some((0..size).rev().collect()));
                let [rows, columns, channels] = part;
                let y = self.add(Index { rows, columns, channels, pad: 0.0 }, &[x]);
                let name = self.name("broadcast");
                let (a, b) = if n.once_in(2) { (x, y) } else { (y, x) };
                self.log.push(format!("v? = broadcast({name:?}, v{}, v{})", a.0, b.0));
                let (a, b) = self.b.broadcast(&name, a, b);
                match n.below(3) {
                    0 => drop(self.add(Extremum::MINIMUM, &[a, b])),
                    1 => drop(self.add(Sub::default(), &[a, b])),
                    _ => drop(self.add(Add::default(), &[a, b])),
                }
            }
            80..84 => {
                let axes = n.pick(&[[1, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 1, 1], [0, 1, 1]]);
                let kind = n.pick(&[ReduceKind::Mean, ReduceKind::Sum, ReduceKind::Max, ReduceKind::Min]);
                self.add(Reduce { axes: axes.map(|axis| axis == 1), kind }, &[x]);
            }
            84 => drop(self.add(LogSoftmax, &[x])),
            85 => drop(self.add(L2Normalize, &[x])),
            86..90 => self.uneven(n, x, s),
            90..96 => self.sampled(n, x, s),
            96..99 => self.pair(n, x, s, |_, _| SquaredDifference),
            99 | 100 => {
                let entries = Arc::new(std::array::from_fn(|_| self.rng.next() as i8));
                let function: Arc<dyn Fn(f64) -> f64 + Send + Sync> =
                    if n.once_in(2) { Arc::new(|x| -x) } else { Arc::new(|x| 0.5 * x * x) };
                self.add(Table { kind: "Table", entries, function }, &[x]);
            }
            101 | 102 => {
                // Away from zero, and as it comes.
                let y = self.add(Clamp { min: n.pick(&[0.25, f32::NEG_INFINITY]), max: 4.0 }, &[x]);
                let (a, b) = if n.once_in(2) { (x, y) } else { (y, x) };
                self.add(Div::default(), &[a, b]);
            }
            103..108 => self.pair(n, x, s, |n, swapped| {
                let unsigned = [n.once_in(2), n.once_in(2), n.once_in(2)];
                LinearPair { product: n.once_in(2), of_codes: n.once_in(2), swapped, unsigned }
            }),
            108..112 => {
                let op = QuantizeLinear { of_codes: n.once_in(2), unsigned: n.once_in(2) };
                self.add(op, &[x]);
            }
            _ => {
                // A concatenation, and one of its parts again.
                let second = self.add(Clamp::RELU, &[x]);
                let both = self.add(Concat, &[x, second]);
                if n.once_in(2) {
                    self.add(Sub::default(), &[both, second]);
                } else {
                    self.add(Mul::default(), &[both, x]);
                }
            }
        }
    }

    fn clamp(&mut self, n: &mut Bytes<'_>, x: ValueId) {
        let mut clamp = n.pick(&[
            Clamp::RELU,
            Clamp::RELU6,
            Clamp { min: -1.0, max: 1.0 },
            Clamp { min: 0.5, max: 0.75 },
            Clamp { min: -3.0, max: -1.0 },
            Clamp { min: f32::NEG_INFINITY, max: 0.0 },
            Clamp { min: -1e-20, max: 1e20 },
            Clamp::NONE,
        ]);
        if self.hostile {
            clamp = n.pick(&[clamp, Clamp { min: 1.0, max: -1.0 }, Clamp { min: f32::NAN, max: f32::NAN }]);
        }
        self.add(clamp, &[x]);
    }

    fn random_conv(&mut self, n: &mut Bytes<'_>, x: ValueId, s: Shape) {
        let most = self.most_elements();
        self.set_spread(n);
        let mut kernel =
            n.pick(&[[3, 3], [1, 1], [3, 3], [2, 2], [1, 3], [3, 1], [5, 5], [1, 1], [4, 3], [7, 7]]);
        let mut stride = n.pick(&[[1, 1], [1, 1], [1, 1], [2, 2], [1, 2], [2, 1], [3, 3], [1, 1]]);
        let mut dilation = n.pick(&[[1, 1], [1, 1], [1, 1], [1, 1], [2, 2], [1, 2], [3, 3], [1, 1]]);
        let style = n.byte();
        let groups = match style % 5 {
            0..3 => 1,
            3 => s.c,
            _ => n.pick(&(1..=s.c).filter(|d| s.c.is_multiple_of(*d)).collect::<Vec<_>>()),
        };
        let out = match style % 5 {
            3 if !style.is_multiple_of(7) => s.c,
            _ => {
                n.pick(&[8usize, 1, 2, 3, 4, 5, 6, 8, 12, 16, 17, 24, 32, 40, 8, 16]).next_multiple_of(groups)
            }
        };
        let reach = |i: usize| dilation[i] * (kernel[i] - 1) + 1;
        let mut padding = match style / 5 % 4 {
            0 => [reach(0) / 2, reach(0) / 2, reach(1) / 2, reach(1) / 2],
            1 => [0; 4],
            2 => {
                let p = ConvParams { stride, kernel, dilation, ..ConvParams::new(1, 1) };
                p.same([s.h, s.w]).padding
            }
            _ => [n.below(3), n.below(3), n.below(3), n.below(3)],
        };
        // What does not fit is padded until it does.
        for (i, size) in [s.h, s.w].into_iter().enumerate() {
            padding[2 * i] += reach(i).saturating_sub(size + padding[2 * i] + padding[2 * i + 1]);
        }
        let extent =
            |i: usize, size: usize| (size + padding[2 * i] + padding[2 * i + 1] - reach(i)) / stride[i] + 1;
        let (pixels, taps) = (extent(0, s.h) * extent(1, s.w), kernel[0] * kernel[1]);
        let weights = |out: usize| out * taps * (s.c / groups);
        let fits = |out: usize| {
            weights(out).max(4) * pixels <= self.scale * MOST_MACS
                && weights(out) <= MOST_MACS
                && pixels * out <= most
        };
        let Some(mut out) = [out, groups].into_iter().find(|out| fits(*out)) else { return };
        let mut groups = groups;
        if self.hostile {
            let axis = n.below(2);
            match n.below(10) {
                0 => kernel[axis] = n.pick(&[0, 100]),
                1 => stride[axis] = n.pick(&ODD),
                2 => dilation[axis] = n.pick(&ODD),
                3 => padding[2 * axis] = n.pick(&ODD),
                4 => groups = n.pick(&ODD),
                5 => out = n.pick(&[0, 7]),
                _ => {}
            }
        }
        let bias = style % 3 != 2;
        self.conv(x, ConvParams { out, kernel, stride, dilation, padding, groups, bias });
    }

    fn transposed(&mut self, n: &mut Bytes<'_>, x: ValueId, s: Shape) {
        self.set_spread(n);
        let mut kernel = n.pick(&[[2, 2], [3, 3], [4, 4], [1, 1], [2, 3], [5, 5], [3, 1]]);
        let mut stride = n.pick(&[[2, 2], [1, 1], [2, 1], [3, 3], [1, 2], [4, 4]]);
        let mut out = n.pick(&[4, 1, 2, 3, 5, 8, 16, 17]);
        let style = n.byte();
        let mut output_padding = if style % 4 == 3 { [n.below(2), n.below(2)] } else { [0; 2] };
        let mut padding = [0; 4];
        if style % 3 == 1 {
            padding = [n.below(3), n.below(3), n.below(3), n.below(3)];
        }
        let p = TransposedConvParams { out, kernel, stride, padding, output_padding, bias: true };
        if style % 3 == 2 {
            (padding, output_padding) = (p.same().padding, p.same().output_padding);
        }
        for (i, size) in [s.h, s.w].into_iter().enumerate() {
            let extent = (size - 1) * stride[i] + kernel[i] + output_padding[i];
            while padding[2 * i] + padding[2 * i + 1] >= extent {
                padding[2 * i] = padding[2 * i].saturating_sub(1);
                padding[2 * i + 1] = padding[2 * i + 1].saturating_sub(1);
            }
        }
        let extent =
            |i: usize, size: usize| (size - 1) * stride[i] + kernel[i] + output_padding[i] - padding[2 * i];
        if extent(0, s.h) * extent(1, s.w) * out > self.most_elements()
            || s.len() * out * kernel[0] * kernel[1] > self.scale * MOST_MACS
        {
            return;
        }
        if self.hostile {
            let axis = n.below(2);
            match n.below(8) {
                0 => kernel[axis] = n.pick(&[0, 100]),
                1 => stride[axis] = n.pick(&ODD),
                2 => output_padding[axis] = n.pick(&ODD),
                3 => padding[2 * axis] = n.pick(&ODD),
                4 => out = 0,
                _ => {}
            }
        }
        let p = TransposedConvParams { out, kernel, stride, padding, output_padding, bias: style % 5 != 4 };
        let name = self.name("transposed");
        self.log.push(format!("v? = transposed_conv2d({name:?}, v{}, {p:?})", x.0));
        let id = self.b.transposed_conv2d(&name, x, p);
        self.made(id, false);
    }

    /// Sum, difference, product.
    fn two(&mut self, n: &mut Bytes<'_>, x: ValueId, s: Shape, kind: usize) {
        let fits = |other: Shape| {
            let same = other == s;
            let broadcast = other == Shape::new(1, 1, s.c)
                || (other.h, other.w) == (s.h, s.w) && other.c > 0 && s.c.is_multiple_of(other.c);
            same || kind >= 4 && broadcast
        };
        // `x` itself is one of them, and the last.
        let Some(y) = self.value(n, fits) else { return };
        let y = if y == x && !n.once_in(4) {
            let others = self.values.iter().filter(|v| !v.1 && v.0 != x && fits(self.b.shape(v.0)));
            others.map(|v| v.0).next_back().unwrap_or(x)
        } else {
            y
        };
        let fits = |a: Shape, b: Shape| a == b;
        let swapped = n.once_in(3) && fits(s, self.shape(y));
        let (a, b) = if swapped { (y, x) } else { (x, y) };
        match kind {
            0..3 => drop(self.add(Add::default(), &[a, b])),
            3 => drop(self.add(Extremum { largest: swapped }, &[a, b])),
            4 | 5 => drop(self.add(Sub::default(), &[a, b])),
            _ => drop(self.add(Mul::default(), &[a, b])),
        }
    }

    /// An operator of the value and one that it broadcasts over it.
    fn pair<T: Op>(
        &mut self,
        n: &mut Bytes<'_>,
        x: ValueId,
        s: Shape,
        op: impl Fn(&mut Bytes<'_>, bool) -> T,
    ) {
        let fits = |other: Shape| {
            let parts = (other.h, other.w) == (s.h, s.w) && other.c > 0 && s.c.is_multiple_of(other.c);
            parts || other == Shape::new(1, 1, s.c)
        };
        let Some(y) = self.value(n, fits) else { return };
        let swapped = n.once_in(3) && self.shape(y) == s;
        let op = op(n, swapped);
        let inputs = if swapped { [y, x] } else { [x, y] };
        self.add(op, &inputs);
    }

    /// Axes in another order: of the tensor as it is, or of a side cut in two.
    fn permuted(&mut self, n: &mut Bytes<'_>, x: ValueId, s: Shape) {
        let divisors: Vec<usize> = (1..=s.c).filter(|d| s.c.is_multiple_of(*d)).collect();
        let part = n.pick(&divisors);
        let mut sizes = n.pick(&[[s.h, s.w, part, s.c / part], [s.area(), 1, part, s.c / part]]).to_vec();
        let mut order =
            n.pick(&[[2, 0, 1, 3], [1, 0, 2, 3], [0, 1, 3, 2], [3, 2, 1, 0], [0, 2, 1, 3]]).to_vec();
        let to = n.pick(&[
            Shape::new(1, 1, s.len()),
            Shape::new(s.c, s.h, s.w),
            Shape::new(s.w, s.h, s.c),
            Shape::new(s.h * part, s.w, s.c / part),
        ]);
        let axis = n.below(4);
        sizes[axis] = self.odd(n, sizes[axis]);
        order[axis] = self.odd(n, order[axis]);
        self.add(Permute { sizes, order, to }, &[x]);
    }

    /// Padding, crops, flips, repetition.
    fn indexed(&mut self, n: &mut Bytes<'_>, x: ValueId, labels: bool) {
        let s = self.shape(x);
        let mut axis = |m: &mut Self, size: usize| -> Option<Arc<[i32]>> {
            let last = size as i32 - 1;
            let indices: Vec<i32> = match n.below(7) {
                0 | 1 => return None,
                2 => (-1..=last).chain([-1, -1]).collect(),
                3 => (0..=last).rev().collect(),
                4 => (0..=last).step_by(2).collect(),
                5 => vec![last; 3],
                // As mirrors do.
                _ => (0..=last).chain([last, (last - 1).max(0), -1]).collect(),
            };
            let odd = m.odd(n, 0) as i32;
            Some(indices.into_iter().map(|i| if odd != 0 && i == 0 { odd } else { i }).collect())
        };
        let [rows, columns, channels] = [s.h, s.w, s.c].map(|size| axis(self, size));
        let len = |axis: &Option<Arc<[i32]>>, size: usize| axis.as_ref().map_or(size, |axis| axis.len());
        if len(&rows, s.h) * len(&columns, s.w) * len(&channels, s.c) <= self.most_elements() {
            let pad = n.pick(if labels { &[0.0, 100.0] } else { &[0.0, 0.5, -1.0, 100.0] });
            self.add(Index { rows, columns, channels, pad }, &[x]);
        }
    }

    /// Pools with padding of its own on each side, or with holes in their windows.
    fn uneven(&mut self, n: &mut Bytes<'_>, x: ValueId, s: Shape) {
        let kernel = n.pick(&[[2, 2], [3, 3], [1, 4], [3, 2]]);
        let dilation = n.pick(&[[2, 2], [1, 1], [1, 2], [3, 1]]);
        let stride = n.pick(&[[1, 1], [2, 2], [1, 3]]);
        let dilation = [self.odd(n, dilation[0]), dilation[1]];
        let spans: [usize; 2] = [0, 1].map(|i| dilation[i].saturating_mul(kernel[i] - 1).min(s.h.max(s.w)));
        let margins = [spans[0], spans[0] / 2, spans[1] / 2, spans[1]];
        let padding = if n.once_in(3) { [0; 4] } else { margins };
        let ceil_mode = n.once_in(3);
        // What does not fit is refused, and only drawn where something may be wrong.
        let holes = MaxPool2d { kernel, stride, padding, dilation, ceil_mode };
        if n.once_in(2) && (self.hostile || holes.output_shapes(&[s]).is_ok()) {
            self.add(holes, &[x]);
            return;
        }
        let padding = [kernel[0] - 1, 0, 0, self.odd(n, kernel[1] - 1)];
        let count_padding = n.once_in(2);
        let means = AveragePool2d { kernel, stride, padding, ceil_mode, count_padding };
        if self.hostile || means.output_shapes(&[s]).is_ok() {
            self.add(means, &[x]);
        }
    }

    /// Resizing in the other ways.
    fn sampled(&mut self, n: &mut Bytes<'_>, x: ValueId, s: Shape) {
        let size = [s.h, s.w].map(|side| (n.pick(&[2 * side, side, side + 1, 1, 3, 7])).clamp(1, 24));
        let interpolation = n.pick(&[
            Interpolation::Linear,
            Interpolation::Cubic { a: -0.75, exclude_outside: false },
            Interpolation::Cubic { a: -0.5, exclude_outside: true },
            Interpolation::Nearest(Nearest::RoundPreferFloor),
            Interpolation::Nearest(Nearest::Ceil),
        ]);
        let coordinates = n.pick(&[
            Coordinates::HalfPixel,
            Coordinates::HalfPixelSymmetric,
            Coordinates::PytorchHalfPixel,
            Coordinates::AlignCorners,
            Coordinates::Asymmetric,
        ]);
        let scales = n.pick(&[None, Some([1.25, 0.6]), Some([2.0, 3.0])]);
        let sampling = Sampling { coordinates, interpolation, scales };
        let plain =
            [ResizeMode::NearestHalfPixel, ResizeMode::NearestAligned, ResizeMode::BilinearAsymmetric];
        let mode = if n.once_in(3) { n.pick(&plain) } else { ResizeMode::Sampled(sampling) };
        if size[0] * size[1] * s.c <= self.most_elements() {
            let size = [self.odd(n, size[0]), size[1]];
            self.add(Resize { size, mode }, &[x]);
        }
    }

    fn window(&mut self, n: &mut Bytes<'_>, s: Shape) -> MaxPool2d {
        let mut kernel = n.pick(&[[2, 2], [3, 3], [2, 1], [1, 3], [5, 5], [s.h, s.w], [3, 2], [1, 1]]);
        let stride = n.pick(&[[2, 2], [1, 1], [2, 1], [3, 3], [1, 2]]);
        let ceil_mode = n.once_in(3);
        let mut padding = if n.once_in(3) { [kernel[0] / 2, kernel[1] / 2] } else { [0; 2] };
        for (i, size) in [s.h, s.w].into_iter().enumerate() {
            kernel[i] = kernel[i].min(size);
            padding[i] = padding[i].min(kernel[i] / 2);
        }
        let axis = n.below(2);
        kernel[axis] = self.odd(n, kernel[axis]);
        let stride = [self.odd(n, stride[0]), stride[1]];
        padding[axis] = self.odd(n, padding[axis]);
        let padding = [padding[0], padding[0], padding[1], padding[1]];
        MaxPool2d { kernel, stride, padding, ceil_mode, ..MaxPool2d::new(1, 1) }
    }

    /// Pooling, positions, and back.
    fn unpooled(&mut self, n: &mut Bytes<'_>, x: ValueId, s: Shape) {
        let kernel = n.pick(&[[2, 2], [1, 2], [3, 2], [3, 3], [2, 1]]);
        let kernel = [kernel[0].min(s.h), kernel[1].min(s.w)];
        let pool = MaxPool2d { kernel, stride: kernel, ..MaxPool2d::new(1, 1) };
        let values = self.add(pool, &[x]);
        let positions = self.add(MaxPosition2d { pool }, &[x]);
        let values = if n.once_in(3) { self.add(Clamp::RELU, &[values]) } else { values };
        let values = if n.once_in(3) {
            let wanted = self.shape(values);
            self.value(n, |s| s == wanted).unwrap_or(values)
        } else {
            values
        };
        let size = [self.odd(n, s.h), s.w];
        self.add(MaxUnpool2d { kernel, size }, &[values, positions]);
    }

    fn attention(&mut self, n: &mut Bytes<'_>, x: ValueId, s: Shape) {
        if s.area() > 100 {
            return;
        }
        let divisors: Vec<usize> = (1..=s.c).filter(|d| s.c.is_multiple_of(*d)).collect();
        let heads = n.pick(&divisors);
        let width = s.c / heads;
        let heads = self.odd(n, heads);
        let other = |m: &mut Self, n: &mut Bytes<'_>| m.value(n, |other| other == s).unwrap_or(x);
        let (y, z) = (other(self, n), other(self, n));
        match n.below(3) {
            0 => drop(self.add(Attention::new(heads), &[x, y, z])),
            1 => drop(self.add(Attention::shared(heads, None), &[x, y])),
            _ => {
                let fitting: Vec<usize> =
                    (2..=s.area() / 2).filter(|b| s.area().is_multiple_of(2 * b)).collect();
                if fitting.is_empty() {
                    return;
                }
                let (bucket, rounds) = (n.pick(&fitting), 1 + n.below(3));
                self.spread.set((Spread::Even, Spread::Even));
                let name = self.name("rotations");
                let shape = [width, rounds, s.area() / bucket / 2];
                let rotations = self.b.tensor(&name, &shape, Kind::LshRotation);
                let (bucket, rounds) = (self.odd(n, bucket), self.odd(n, rounds));
                let hashing = Hashing { bucket, rounds, rotations };
                self.add(Attention::shared(heads, Some(hashing)), &[x, y]);
            }
        }
    }
}
