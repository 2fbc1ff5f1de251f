//! What a layer must give for the operands that it really got, and how far it may be from that.
//!
//! Results are derived from `docs/arithmetic.md`, in double precision, by the operator's own float reference; weights are those that the
//! page says are stored. So what is left is the rounding of the result, and each bound below says what it consists of.

use niello_codegen::{
    Tensor,
    format::{Format, Mode},
    graph::{Node, Op},
    ops::{
        self, Attention, BatchNorm, Clamp, Conv2d, ConvParams, Function, HardSigmoid, LinearPair, PRelu,
        PointWise, Table, TransposedConv2d, TransposedConvParams,
    },
    program::TensorInfo,
};
use niello_kernels::{Float, float::half};
use std::any::Any;

/// A layer that ran.
pub(crate) struct Layer<'a> {
    pub(crate) node: &'a Node,
    pub(crate) inputs: Vec<&'a TensorInfo>,
    /// The real values of its operands.
    pub(crate) operands: Vec<Tensor<f64>>,
    pub(crate) output: &'a TensorInfo,
    pub(crate) mode: Option<Mode>,
    pub(crate) wide_weights: bool,
    /// What was added to biases, in steps.
    pub(crate) corrections: Option<&'a [i32]>,
}

/// The result before it saturates, and the largest error of each element.
pub(crate) struct Expected {
    pub(crate) result: Vec<f64>,
    pub(crate) bound: Vec<f64>,
}

/// Real values of codes, exactly.
pub(crate) fn reals(info: &TensorInfo, codes: &[i8]) -> Tensor<f64> {
    let wide = |pair: &[i8; 2]| i16::from_le_bytes(pair.map(|byte| byte as u8));
    let data = match info.format {
        Format::Int8(q) => codes.iter().map(|c| q.scale as f64 * (*c as f64 - q.zero_point as f64)).collect(),
        Format::Int16 { scale, .. } => {
            codes.as_chunks().0.iter().map(|c| scale as f64 * wide(c) as f64).collect()
        }
        Format::Label => codes.iter().map(|c| *c as u8 as f64).collect(),
        Format::Float(Float::F32) => {
            let single = |c: &[i8; 4]| f32::from_le_bytes(c.map(|byte| byte as u8)) as f64;
            codes.as_chunks().0.iter().map(single).collect()
        }
        Format::Float(Float::F16) => {
            codes.as_chunks().0.iter().map(|c| half::to_f32(wide(c) as u16) as f64).collect()
        }
    };
    Tensor { shape: info.shape, data }
}

/// Smallest and largest value of a format, exactly.
pub(crate) fn range(format: Format) -> (f64, f64) {
    match format {
        Format::Int8(q) => {
            let real = |code: f64| q.scale as f64 * (code - q.zero_point as f64);
            (real(-128.0), real(127.0))
        }
        Format::Int16 { scale, .. } => (-32767.0 * scale as f64, 32767.0 * scale as f64),
        Format::Float(_) => (f64::NEG_INFINITY, f64::INFINITY),
        Format::Label => (0.0, 255.0),
    }
}

fn downcast<T: Op>(node: &Node) -> Option<&T> {
    (&*node.op as &dyn Any).downcast_ref()
}

fn one(mut tensors: Vec<Tensor<f64>>) -> Vec<f64> {
    tensors.swap_remove(0).data
}

/// Half a unit in the last place of single and of half precision, relative.
const SINGLE: f64 = 1.0 / (1 << 24) as f64;
const HALF: f64 = 1.0 / (1 << 11) as f64;

impl Layer<'_> {
    /// What comes out; `None` where no bound is known: numbers beyond a format, decisions that rounding may turn.
    pub(crate) fn expected(&self) -> Option<Expected> {
        if self.operands.iter().any(|t| t.data.iter().any(|x| !x.is_finite())) {
            return None;
        }
        let expected = match self.mode {
            Some(mode) => self.in_floats(mode)?,
            None => self.in_codes()?,
        };
        let largest = match self.output.format {
            Format::Float(Float::F16) => 60_000.0,
            _ => 1e38,
        };
        let fits = |(r, b): (&f64, &f64)| r.is_finite() && b.is_finite() && r.abs() + b < largest;
        expected.result.iter().zip(&expected.bound).all(fits).then_some(expected)
    }

    fn reference(&self) -> Vec<f64> {
        let operands: Vec<&Tensor<f64>> = self.operands.iter().collect();
        one(self.node.op.eval_f64(&operands))
    }

    fn is_wide(&self) -> bool {
        let wide = |info: &TensorInfo| matches!(info.format, Format::Int16 { .. });
        self.inputs.iter().any(|info| wide(info)) || wide(self.output)
    }

    /// Integers: `rounding` steps of the result, and a share of the result itself.
    fn within(&self, result: Vec<f64>, rounding: f64, share: f64) -> Expected {
        let step = self.output.format.step().map_or(0.0, f64::from);
        let (low, high) = range(self.output.format);
        let bound = |r: &f64| rounding * step + share * r.clamp(low, high).abs();
        let bound = result.iter().map(bound).collect();
        Expected { result, bound }
    }

    fn in_codes(&self) -> Option<Expected> {
        // Both roundings of `TfliteDouble`: half a step, and half of what is left after a shift by one bit or more. A factor has 31 bits;
        // scales are single.
        const ROUNDED: f64 = 0.7501;
        const FACTOR: f64 = 1e-6;
        let step = self.output.format.step().map_or(0.0, f64::from);
        let node = self.node;
        if let Some(conv) = downcast::<Conv2d>(node) {
            return Some(self.convolution(&Filters::of_conv(conv)));
        }
        if let Some(norm) = downcast::<BatchNorm>(node) {
            return Some(self.convolution(&Filters::of_conv(&as_conv(norm))));
        }
        if let Some(conv) = downcast::<TransposedConv2d>(node) {
            return Some(self.convolution(&Filters::of_transposed(conv)));
        }
        if let Some(PointWise(function)) = downcast::<PointWise>(node) {
            let mut expected = self.table(|x| function.eval(x));
            if matches!(function, Function::Sin | Function::Cos) {
                // The ends of an interval say nothing about a periodic function between them; its slope is 1 at most.
                let bounds = expected.bound.iter_mut().zip(&self.operands[0].data);
                bounds.for_each(|(bound, x)| *bound += (6e-7 * x.abs()).min(2.0));
            }
            return Some(expected);
        }
        if downcast::<HardSigmoid>(node).is_some() {
            return Some(self.table(|x| (x / 6.0 + 0.5).clamp(0.0, 1.0)));
        }
        if let Some(PRelu { slopes, .. }) = downcast::<PRelu>(node) {
            if let [slope] = slopes[..] {
                return Some(self.table(|x| Function::LeakyRelu(slope as f64).eval(x)));
            }
            let most: f32 = if self.is_wide() { 32767.0 } else { 127.0 };
            let largest = slopes.iter().fold(0f32, |m, s| m.max(s.abs()));
            let scale = if largest / most >= f32::MIN_POSITIVE { largest / most } else { 1.0 };
            let c = self.output.shape.c;
            let stored = |c: usize| (slopes[c] / scale).round() as f64 * scale as f64;
            let x = &self.operands[0].data;
            let result = x.iter().enumerate();
            let result = result.map(|(i, x)| if *x >= 0.0 { *x } else { stored(i % c) * x }).collect();
            return Some(self.within(result, ROUNDED, FACTOR));
        }
        if let Some(Table { entries, .. }) = downcast::<Table>(node)
            && let (Format::Int8(x), Format::Int8(q)) = (self.inputs[0].format, self.output.format)
        {
            let code = |v: &f64| (v / x.scale as f64).round() as i32 + x.zero_point as i32;
            let index = |v: &f64| (code(v) + 128).clamp(0, 255) as usize;
            let real = |v: &f64| q.scale as f64 * (entries[index(v)] as f64 - q.zero_point as f64);
            return Some(self.within(self.operands[0].data.iter().map(real).collect(), 1e-6, 0.0));
        }
        let kind = node.op.kind();
        let result = match kind {
            "Resize" => self.interpolated(),
            // Which tokens meet is decided by codes of the rotations.
            "LshAttention" => {
                let op = downcast::<Attention>(node)?;
                let mut op = op.clone();
                let hashing = op.hashing.as_mut()?;
                let width = self.output.shape.c / op.heads;
                let largest =
                    hashing.rotations.iter().fold(0f32, |m, r| m.max(r.abs())).max(f32::MIN_POSITIVE);
                let most = (i32::MAX / (255 * width as i32)).min(32767);
                let scale = most as f64 / largest as f64;
                hashing.rotations =
                    hashing.rotations.iter().map(|r| (*r as f64 * scale).round() as f32).collect();
                let operands: Vec<&Tensor<f64>> = self.operands.iter().collect();
                one(op.eval_f64(&operands))
            }
            _ => self.reference(),
        };
        Some(match kind {
            // Nothing is computed.
            "Concat" | "MaxPool2d" | "MaxPosition2d" | "MaxUnpool2d" | "PadChannels" | "SliceChannels"
            | "ShuffleChannels" | "Reshape" | "ArgMax" | "Permute" => self.within(result, 1e-6, 0.0),
            // Codes are moved, but that of the padding is rounded.
            "Index" | "Constant" => self.within(result, 0.501, 2e-7),
            "ReduceMax" | "ReduceMin" => self.within(result, 1e-6, 0.0),
            // Quotients and products in single precision.
            "Embedding" => self.within(result, 0.501, 0.0),
            // Weights have ten bits, of which those of one axis make up for each other: at most so many are off.
            "Resize" if is_sampled(node) => {
                let [least, most] =
                    [f64::min, f64::max].map(|f| self.operands[0].data.iter().copied().fold(0.0, f));
                self.within(result, 0.501 + 10.0 / 1024.0 * (most - least) / step, 0.0)
            }
            "AveragePool2d" | "Resize" => self.within(result, 0.501, 0.0),
            "Clamp" | "Mul" => self.within(result, ROUNDED, FACTOR),
            "Rescale" | "QuantizeLinear" => self.within(result, ROUNDED, FACTOR),
            // The factor's mantissa is divided by the number of pixels, at 16 bits it has 15 bits.
            "GlobalAveragePool" => {
                // Where the factor is cut, less than half a step of the operand is lost.
                let scale = self.inputs[0].format.step().map_or(0.0, f64::from);
                let lost = if scale / step > 4096.0 { 0.5 * scale / step } else { 0.0 };
                let (rounding, share) = if self.is_wide() { (0.51, 1.0 / 32768.0) } else { (ROUNDED, 1e-5) };
                self.within(result, rounding + lost, share)
            }
            "ReduceMean" | "ReduceSum" => {
                // As the mean over the image; a sum loses as much as the mean, times the number of elements.
                let scale = self.inputs[0].format.step().map_or(0.0, f64::from);
                let elements = (self.operands[0].data.len() / self.output.shape.len()) as f64;
                let largest = if kind == "ReduceSum" { elements * scale / step } else { scale / step };
                let lost = if largest > 4096.0 { 0.5 * largest } else { 0.0 };
                self.within(result, ROUNDED + lost, 1e-5)
            }
            "Add" | "Sub" | "Maximum" | "Minimum" => {
                // Each operand is rounded at the common scale, twice the larger one, with so many more bits. Where the factor to the result is cut,
                // because sums would be shifted out of 31 bits, less than half a step of an operand is lost.
                let bits = if self.is_wide() || kind.ends_with("imum") { 15 } else { 20 };
                let scale = |i: usize| self.inputs[i].format.step().map_or(0.0, f64::from);
                let coarser = scale(0).max(scale(1));
                let factor = 2.0 * coarser / (1u64 << bits) as f64 / step;
                let lost = if factor > 4.0 { 0.5 * coarser / step } else { 0.0 };
                self.within(result, ROUNDED + 1.5 * factor + lost, FACTOR)
            }
            "SquaredDifference" => {
                // Each operand is rounded at the common scale, twice the larger one over 2^7; a factor is cut as that of a sum.
                let scale = |i: usize| self.inputs[i].format.step().map_or(0.0, f64::from);
                let common = 2.0 * scale(0).max(scale(1)) / 128.0;
                let (off, half) = (1.51 * common, 32.0 * common);
                let lost = if common * common > step { half * half } else { 0.0 };
                let Expected { result, bound } = self.within(result, ROUNDED, FACTOR);
                let of_operands = |(b, r): (f64, &f64)| b + 2.0 * off * r.sqrt() + off * off + lost;
                let bound = bound.into_iter().zip(&result).map(of_operands).collect();
                Expected { result, bound }
            }
            // Single precision; products of zero points are of the size of the largest codes.
            "LinearPair" => {
                let scale = |i: usize| self.inputs[i].format.step().map_or(0.0, f64::from);
                let product = downcast::<LinearPair>(node)?.product;
                let (a, b) = (255.0 * scale(0), 255.0 * scale(1));
                let largest = if product { a * b } else { a + b };
                self.within(result, 0.501 + 16.0 * SINGLE * (largest / step + 256.0), FACTOR)
            }
            // Fixed point: the exponential's polynomial and the reciprocal are off by some 2^-16 of one, the shift by half a step.
            "Softmax" => self.within(result, 0.6, 1e-4),
            // As of softmax; what lies furthest below the largest has the lowest code, -255/16.
            "LogSoftmax" => {
                let mut expected = self.within(result, 0.6, 1e-4);
                for (bound, r) in expected.bound.iter_mut().zip(&expected.result) {
                    *bound += if *r < -15.0 { (r + 255.0 / 16.0).max(0.0) } else { 0.0 };
                }
                expected
            }
            // The reference divides by no length below 1e-12.
            "L2Normalize" => {
                let c = self.output.shape.c;
                let short = |pixel: &[f64]| pixel.iter().map(|x| x * x).sum::<f64>() < 1e-22;
                let zero = |pixel: &[f64]| pixel.iter().all(|x| *x == 0.0);
                if self.operands[0].data.chunks(c).any(|pixel| short(pixel) && !zero(pixel)) {
                    return None;
                }
                self.within(result, 0.501, 0.0)
            }
            "Attention" | "LshAttention" => {
                let op = downcast::<Attention>(node)?;
                let (query, value) = (&self.operands[0], &self.operands[self.operands.len() - 1]);
                let largest = |t: &Tensor<f64>| t.data.iter().fold(0f64, |m, x| m.max(x.abs()));
                let width = (self.output.shape.c / op.heads) as f64;
                // The reference gives a token's own key a logit of -5e4, the kernel leaves it out: another result where others are below that.
                if op.shared && largest(query) > 4.9e4 {
                    return None;
                }
                // Normalised products have 16 fraction bits of a query's step, and the root's are rounded down.
                let scale = self.inputs[0].format.step().map_or(0.0, f64::from);
                let logits = if op.shared {
                    4.0 * scale / 65536.0 / width.sqrt() + largest(query) * 1e-5
                } else {
                    0.0
                };
                let keys = self.output.shape.area() as f64;
                let weights = 2.0 * logits + 1e-5 + keys / (1u64 << 22) as f64;
                self.within(result, ROUNDED + largest(value) * weights.min(2.0) / step, FACTOR)
            }
            _ => return None,
        })
    }

    /// `round(b / (s_in * s_w)) + sum of stored weights times operands`.
    fn convolution(&self, filters: &Filters) -> Expected {
        let s_in = self.inputs[0].format.step().map_or(1.0, |s| s);
        let mut result = Filters { bias: vec![0.0; filters.out], clamp: Clamp::NONE, ..filters.clone() };
        let (mut scales, mut biases, mut noise) = (vec![], vec![], vec![]);
        let step = self.output.format.step().map_or(1.0, f64::from);
        let wide = self.is_wide() || self.wide_weights;
        for channel in 0..filters.out {
            let largest = filters.weights_of(channel).fold(0f32, |m, i| m.max(filters.weight[i].abs()));
            let bias = filters.bias[channel];
            if largest / 127.0 < f32::MIN_POSITIVE {
                // A filter that holds nothing: its bias is the result.
                filters.weights_of(channel).for_each(|i| result.weight[i] = 0.0);
                scales.push(0.0);
                biases.push(bias as f64);
                noise.push(0.0);
                continue;
            }
            let least = bias.abs() / (s_in * (1u32 << 30) as f32);
            let scale = (largest / 127.0).max(least);
            let finer = if self.wide_weights { 256.0 } else { 1.0 };
            for i in filters.weights_of(channel) {
                let w = filters.weight[i];
                result.weight[i] = if self.wide_weights {
                    (w as f64 / (scale as f64 / 256.0)).round().clamp(-32512.0, 32512.0) as f32
                } else {
                    (w / scale).round().clamp(-127.0, 127.0)
                };
            }
            let unit = s_in as f64 * scale as f64;
            let correction = self.corrections.map_or(0.0, |steps| steps[channel] as f64);
            scales.push(scale as f64 / finer);
            let steps = (bias as f64 / unit).round() + correction;
            biases.push(steps * unit);
            // Where a factor would shift sums out of their register, it is cut: then sums below 64, half a step of the operand at the weight
            // 127, are not what they would be.
            let largest: f64 = filters.weights_of(channel).map(|i| result.weight[i].abs() as f64).sum();
            let room = if wide { 14.0 } else { 31.0 - (255.0 * largest + steps.abs()).log2().ceil() };
            noise.push(if unit / step >= (room - 1.0).exp2() { 64.0 * unit } else { 0.0 });
        }
        let sums = result.eval(&self.operands[0]);
        let c = filters.out;
        let clamped = |(i, sum): (usize, &f64)| apply(filters.clamp, sum * scales[i % c] + biases[i % c]);
        let result = sums.iter().enumerate().map(clamped).collect();
        // At 16 bits, one rounding of a product with a factor of 15 bits.
        let mut expected =
            if wide { self.within(result, 0.51, 1.0 / 32768.0) } else { self.within(result, 0.7501, 1e-6) };
        expected.bound.iter_mut().enumerate().for_each(|(i, bound)| *bound += noise[i % c]);
        expected
    }

    fn table(&self, function: impl Fn(f64) -> f64) -> Expected {
        let x = &self.operands[0].data;
        let result: Vec<f64> = x.iter().map(|x| function(*x)).collect();
        if !self.is_wide() {
            // Operand, function and quotient in single precision.
            let small = |x: &f64| (function(x * (1.0 + 3e-7)) - function(x * (1.0 - 3e-7))).abs();
            let mut expected = self.within(result, 0.501, 1e-6);
            expected.bound.iter_mut().zip(x).for_each(|(b, x)| *b += small(x));
            return expected;
        }
        let (Format::Int16 { scale, .. }, step) =
            (self.inputs[0].format, self.output.format.step().map_or(0.0, f64::from))
        else {
            return self.within(result, 0.51, 1e-6);
        };
        // A line between entries 128 codes apart, each of which is rounded, and moved by half of what the line misses halfway. Entries
        // saturate, so that lines from or to a value beyond the range do too.
        let width = 128.0 * scale as f64;
        let (low, high) = range(self.output.format);
        let (low, high) = (low - step, high + step);
        let f = &function;
        let missed = |at: f64| {
            let line = (f(at) + f(at + width)) / 2.0 - f(at + width / 2.0);
            line.abs() / 2.0
        };
        let bound = |x: &f64| {
            let first = (x / width).floor() * width;
            let part = (x - first) / width;
            let ends = [f(first), f(first + width)];
            let line = ends[0] + part * (ends[1] - ends[0]);
            let beyond: f64 = ends.iter().map(|y| (y - y.clamp(low, high)).abs()).fold(0.0, f64::max);
            (line - f(*x)).abs() + missed(first).max(missed(first + width)) + beyond + 2.0 * step
        };
        let bound = x.iter().map(bound).collect();
        Expected { result, bound }
    }

    /// Bilinear positions have 10 bits behind the point.
    fn interpolated(&self) -> Vec<f64> {
        let Some(ops::Resize { mode, .. }) = downcast::<ops::Resize>(self.node) else { return vec![] };
        let bilinear = [
            ops::ResizeMode::Bilinear,
            ops::ResizeMode::BilinearAligned,
            ops::ResizeMode::BilinearAsymmetric,
        ];
        if !bilinear.contains(mode) {
            return self.reference();
        }
        let (input, to) = (&self.operands[0], self.output.shape);
        let at = |o: usize, size: usize, out: usize| {
            let (o, size, out) = (o as i64, size as i64, out as i64);
            let position = match mode {
                ops::ResizeMode::BilinearAligned if out > 1 => {
                    o * ((1024 * (size - 1) + (out - 1) / 2) / (out - 1))
                }
                ops::ResizeMode::BilinearAligned => 0,
                ops::ResizeMode::BilinearAsymmetric => o * ((1024 * size + out / 2) / out),
                _ => {
                    let step = (1024 * size + out / 2) / out;
                    o * step + step / 2 - 512
                }
            };
            let position = (position as f64 / 1024.0).clamp(0.0, (size - 1) as f64);
            let low = position.floor();
            (low as usize, (low as usize + 1).min(size as usize - 1), position - low)
        };
        let mut result = vec![];
        for y in 0..to.h {
            let (y0, y1, fy) = at(y, input.shape.h, to.h);
            for x in 0..to.w {
                let (x0, x1, fx) = at(x, input.shape.w, to.w);
                for c in 0..to.c {
                    let v = |y: usize, x: usize| input.pixel(y, x)[c];
                    let above = v(y0, x0) * (1.0 - fx) + v(y0, x1) * fx;
                    let below = v(y1, x0) * (1.0 - fx) + v(y1, x1) * fx;
                    result.push(above * (1.0 - fy) + below * fy);
                }
            }
        }
        result
    }

    /// Floating point: what is rounded in between, and the result.
    fn in_floats(&self, mode: Mode) -> Option<Expected> {
        let stored = |x: f64| match self.output.format {
            Format::Float(Float::F16) => x.abs() * HALF + 1.0 / (1u64 << 25) as f64,
            _ => x.abs() * SINGLE + 1e-44,
        };
        let with = |result: Vec<f64>, error: &dyn Fn(usize, f64) -> f64| {
            let bound =
                result.iter().enumerate().map(|(i, r)| error(i, *r) + 1.01 * stored(r.abs() + error(i, *r)));
            let bound = bound.collect();
            Some(Expected { result, bound })
        };
        let largest = |t: &Tensor<f64>| t.data.iter().fold(0f64, |m, x| m.max(x.abs()));
        let node = self.node;
        let filters = downcast::<Conv2d>(node).map(Filters::of_conv);
        let filters = filters.or_else(|| downcast::<TransposedConv2d>(node).map(Filters::of_transposed));
        if let Some(mut filters) = filters {
            let exact = filters.clone();
            if mode != Mode::F32 {
                filters.weight = filters.weight.iter().map(|w| half::to_f32(half::from_f32(*w))).collect();
            }
            let result = filters.eval(&self.operands[0]);
            // The sum of magnitudes, of which every step of the chain rounds a part.
            let magnitudes = Filters {
                weight: filters.weight.iter().map(|w| w.abs()).collect(),
                bias: filters.bias.iter().map(|b| b.abs()).collect(),
                clamp: Clamp::NONE,
                ..exact
            };
            let sums = magnitudes.eval(&self.operands[0].map(f64::abs));
            let products = filters.products() as f64;
            let is_winograd = mode == Mode::F16Winograd && filters.takes_winograd(self.output);
            if is_winograd {
                // Six times the error of `F16Native`, of sums over the whole tile: some 32 roundings of the largest sum.
                let (most, x) = (sums.iter().fold(0f64, |m, s| m.max(*s)), largest(&self.operands[0]));
                let w = filters.weight.iter().fold(0f32, |m, w| m.max(w.abs())) as f64;
                if x > 1000.0 || w * x * 30.0 * products > 60_000.0 {
                    return None;
                }
                return with(result, &|_, _| 32.0 * HALF * most + 1e-4 * w + 1e-5);
            }
            let most = if mode == Mode::F32 { 1e38 } else { 60_000.0 };
            if sums.iter().any(|s| *s > most) {
                return None;
            }
            let native = matches!(mode, Mode::F16Native | Mode::F16Winograd);
            // Chains of at most 128 products in f16; a half below 2^-14 has a step of 2^-24, a single one below 2^-126 of 2^-149.
            let chain = if native { products.min(128.0) * HALF } else { 0.0 };
            let tiny = products * if native { 1.0 / (1u64 << 25) as f64 } else { 1e-45 };
            return with(result, &|i, _| sums[i] * (chain + (products + 2.0) * SINGLE) * 1.01 + tiny);
        }
        let result = self.reference();
        if node.op.kind() == "Constant" {
            return with(result, &|_, _| 0.0);
        }
        let x = &self.operands[0].data;
        if let Some(PointWise(function)) = downcast::<PointWise>(node) {
            // Arguments of exponentials, and what is added, are rounded; angles of `Sin` beyond 2^20 are none.
            let added = |x: f64| match function {
                Function::Affine(factor, offset) => (factor * x).abs() + offset.abs(),
                Function::Sin | Function::Cos if x.abs() > 1e6 => f64::INFINITY,
                Function::Sin | Function::Cos => 2.0,
                // Some ulps of a result; x + 3 is rounded as x is.
                _ => x.abs().min(8.0),
            };
            // An exponential may overflow where the result is tiny.
            return with(result, &|i, r| 16.0 * SINGLE * r.abs() + 4.0 * SINGLE * added(x[i]) + 1e-35);
        }
        match node.op.kind() {
            "Concat" | "MaxPool2d" | "MaxUnpool2d" | "PadChannels" | "SliceChannels" | "ShuffleChannels"
            | "Reshape" | "MaxPosition2d" | "ArgMax" | "Permute" | "Index" | "ReduceMax" | "ReduceMin" => {
                let bound = vec![0.0; result.len()];
                Some(Expected { result, bound })
            }
            "Resize" => {
                let picks = |mode| match mode {
                    ops::ResizeMode::Sampled(s) => matches!(s.interpolation, ops::Interpolation::Nearest(_)),
                    ops::ResizeMode::Nearest
                    | ops::ResizeMode::NearestHalfPixel
                    | ops::ResizeMode::NearestAligned => true,
                    _ => false,
                };
                let nearest = downcast::<ops::Resize>(node).is_some_and(|r| picks(r.mode));
                let most = if nearest { 0.0 } else { largest(&self.operands[0]) };
                // A cubic one has sixteen products, of weights whose magnitudes sum to less than two.
                let steps = if is_sampled(node) { 48.0 } else { 8.0 };
                with(result, &|_, _| steps * SINGLE * most)
            }
            "BatchNorm" => {
                let norm = downcast::<BatchNorm>(node)?;
                let c = norm.factor.len();
                with(result, &|i, r| {
                    2.0 * SINGLE * ((x[i] * norm.factor[i % c]).abs() + norm.offset[i % c].abs() + r.abs())
                })
            }
            "ReduceMean" | "ReduceSum" => {
                let n = (self.operands[0].data.len() / self.output.shape.len()) as f64;
                let most = largest(&self.operands[0]);
                let sum = if node.op.kind() == "ReduceSum" { n * most } else { most };
                (n * most <= 1e38).then(|| with(result, &|_, _| (n + 2.0) * SINGLE * sum))?
            }
            "LogSoftmax" => {
                // Differences, and the logarithm of a sum that is off by its share.
                let (c, most) = (self.output.shape.c as f64, 2.0 * largest(&self.operands[0]));
                (most < 1e37).then(|| {
                    with(result, &|_, r| (c + 16.0 + 4.0 * most) * SINGLE + 4.0 * SINGLE * r.abs())
                })?
            }
            "L2Normalize" => {
                let (c, most) = (self.output.shape.c as f64, largest(&self.operands[0]));
                (most * most * c <= 1e38)
                    .then(|| with(result, &|_, r| (c + 8.0) * SINGLE * r.abs() + 1e-12))?
            }
            "AveragePool2d" | "GlobalAveragePool" => {
                // A sum of at most all pixels, and a quotient.
                let most = largest(&self.operands[0]);
                let n = self.operands[0].shape.area() as f64;
                if n * most > 1e38 {
                    return None;
                }
                with(result, &|_, _| (n + 2.0) * SINGLE * most)
            }
            "Add" | "Sub" | "Mul" | "Div" | "LinearPair" | "Maximum" | "Minimum" | "PRelu" | "Clamp"
            | "Embedding" => with(result, &|_, r| 2.0 * SINGLE * r.abs() + 1e-44),
            "HardSigmoid" => {
                // Some ulps of a result.
                with(result, &|i, r| 16.0 * SINGLE * r.abs() + 4.0 * SINGLE * x[i].abs().min(8.0) + 1e-35)
            }
            "Softmax" => {
                let (c, most) = (self.output.shape.c as f64, 2.0 * largest(&self.operands[0]).min(110.0));
                with(result, &|_, r| (c + 8.0 + 2.0 * most) * SINGLE * r.abs() + 1e-37)
            }
            "Attention" => {
                let op = downcast::<Attention>(node)?;
                let width = (self.output.shape.c / op.heads) as f64;
                let value = &self.operands[self.operands.len() - 1];
                let key = if op.shared { 1.0 } else { largest(&self.operands[1]) * width.sqrt() };
                let logit = largest(&self.operands[0]) * width.sqrt() * key / width.sqrt();
                let keys = self.output.shape.area() as f64;
                let weight = (2.0 * keys + 16.0 + 4.0 * (width + 8.0) * logit) * SINGLE;
                (weight < 0.01).then(|| with(result, &|_, _| 2.0 * weight * largest(value)))?
            }
            "Rescale" | "QuantizeLinear" => match self.output.format {
                Format::Float(_) => with(result, &|_, r| SINGLE * r.abs()),
                // A quotient in single precision, beyond 2^22 cut.
                _ => Some(self.within(result, 0.501, 2.0 * SINGLE)),
            },
            // Buckets are decided by sums that are rounded.
            _ => None,
        }
    }
}

/// Whether an operator resizes by tables of weights.
fn is_sampled(node: &Node) -> bool {
    downcast::<ops::Resize>(node).is_some_and(|r| {
        matches!(r.mode, ops::ResizeMode::Sampled(s) if !matches!(s.interpolation, ops::Interpolation::Nearest(_)))
    })
}

fn apply(clamp: Clamp, x: f64) -> f64 {
    let x = if clamp.min.is_finite() { x.max(clamp.min as f64) } else { x };
    if clamp.max.is_finite() { x.min(clamp.max as f64) } else { x }
}

/// The convolution that a lone batch norm is.
fn as_conv(norm: &BatchNorm) -> Conv2d {
    let c = norm.factor.len();
    let single = |values: &[f64]| values.iter().map(|v| *v as f32).collect();
    Conv2d::new(ConvParams::new(c, 1).groups(c), c, single(&norm.factor), single(&norm.offset))
}

/// Filters of a convolution of either kind.
#[derive(Clone)]
struct Filters {
    weight: Vec<f32>,
    bias: Vec<f32>,
    clamp: Clamp,
    out: usize,
    channels: usize,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Plain(ConvParams),
    Transposed(TransposedConvParams),
}

impl Filters {
    fn of_conv(conv: &Conv2d) -> Self {
        let (weight, bias) = (conv.weight.to_vec(), conv.bias.to_vec());
        let (clamp, out, channels) = (conv.clamp, conv.params.out, conv.channels);
        Self { weight, bias, clamp, out, channels, kind: Kind::Plain(conv.params) }
    }

    fn of_transposed(conv: &TransposedConv2d) -> Self {
        let (weight, bias) = (conv.weight.to_vec(), conv.bias.to_vec());
        let (clamp, out, channels) = (conv.clamp, conv.params.out, conv.channels);
        Self { weight, bias, clamp, out, channels, kind: Kind::Transposed(conv.params) }
    }

    /// Indices of the weights of an output channel.
    fn weights_of(&self, channel: usize) -> Box<dyn Iterator<Item = usize>> {
        let (out, len) = (self.out, self.weight.len());
        match self.kind {
            Kind::Plain(_) => {
                let row = len / out;
                Box::new(channel * row..(channel + 1) * row)
            }
            Kind::Transposed(p) => {
                let taps = p.kernel[0] * p.kernel[1];
                Box::new((0..len).filter(move |i| i / taps % out == channel))
            }
        }
    }

    /// Products of a sum, at most.
    fn products(&self) -> usize {
        self.weight.len() / self.out
    }

    fn takes_winograd(&self, output: &TensorInfo) -> bool {
        let Kind::Plain(p) = self.kind else { return false };
        let dense = p.kernel == [3, 3] && p.stride == [1, 1] && p.dilation == [1, 1] && p.groups == 1;
        let s = output.shape;
        dense && self.channels.is_multiple_of(8) && p.out >= 8 && s.h >= 3 && s.w >= 3
    }

    fn eval(&self, input: &Tensor<f64>) -> Vec<f64> {
        let (weight, bias) = (self.weight.clone().into(), self.bias.clone().into());
        match self.kind {
            Kind::Plain(p) => {
                let conv = Conv2d { clamp: self.clamp, ..Conv2d::new(p, self.channels, weight, bias) };
                one(conv.eval_f64(&[input]))
            }
            Kind::Transposed(p) => {
                let conv = TransposedConv2d::new(p, self.channels, weight, bias);
                one(TransposedConv2d { clamp: self.clamp, ..conv }.eval_f64(&[input]))
            }
        }
    }
}
