//! Every kernel against TensorFlow Lite's own reference kernels, byte for byte.
//!
//! `tests/tflite_ops/` holds what LiteRT's `BUILTIN_REF` resolver computed; its README says how the files were made.

mod common;

use common::{Arena, Conv, Tensor, packings};
use niello_kernels::*;
use safetensors::SafeTensors;
use serde_json::Value;
use std::{collections::BTreeSet, path::PathBuf};

/// One operator call: its tensors, with scales and zero points.
struct Call<'a> {
    case: &'a Case,
    json: &'a Value,
}

struct Case {
    name: String,
    json: Value,
    bytes: Vec<u8>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tflite_ops")
}

impl Case {
    fn load(name: &str) -> Self {
        let read = |ext| {
            let path = folder().join(format!("{name}.{ext}"));
            std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        };
        Self {
            name: name.into(),
            json: serde_json::from_slice(&read("json")).unwrap(),
            bytes: read("safetensors"),
        }
    }

    fn call(&self, op: &str) -> Call<'_> {
        let calls = self.json["calls"].as_array().unwrap();
        let json = calls.iter().find(|c| c["op"] == op).unwrap_or_else(|| panic!("{}: no {op}", self.name));
        Call { case: self, json }
    }

    /// Two numbers of the PyTorch layer.
    fn option(&self, name: &str) -> [usize; 2] {
        let value = &self.json["layer"][0][name];
        [0, 1].map(|i| value[i].as_u64().unwrap() as usize)
    }
}

/// A tensor of a call.
struct Value8 {
    shape: Vec<usize>,
    data: Vec<i8>,
    scales: Vec<f64>,
    zero_point: i8,
}

impl Value8 {
    /// As `[h, w, c]`, batch dropped; what has no image is one pixel.
    fn tensor(&self) -> Tensor {
        let shape = match self.shape[..] {
            [1, h, w, c] => [h, w, c],
            [1, c] => [1, 1, c],
            _ => panic!("{:?}", self.shape),
        };
        Tensor::new(shape, self.data.clone())
    }

    /// As `[h, w, c]`, from a tensor that lies as `[1, c, h, w]`.
    fn tensor_nchw(&self) -> Tensor {
        let [_, c, h, w] = self.shape[..] else { panic!("{:?}", self.shape) };
        assert_eq!(self.data.len(), c * h * w);
        Tensor::from_fn([h, w, c], |y, x, ch| self.data[(ch * h + y) * w + x])
    }

    /// As one row of single-channel pixels: for operators that see no shape.
    fn flat(&self) -> Tensor {
        Tensor::new([1, self.data.len(), 1], self.data.clone())
    }
}

impl Call<'_> {
    fn raw(&self, json: &Value) -> (Vec<usize>, Vec<u8>) {
        let tensors = SafeTensors::deserialize(&self.case.bytes).unwrap();
        let view = tensors.tensor(json["tensor"].as_str().unwrap()).unwrap();
        (view.shape().to_vec(), view.data().to_vec())
    }

    fn tensor(&self, json: &Value) -> Value8 {
        assert_eq!(json["dtype"], "int8");
        let (shape, data) = self.raw(json);
        // Scales were written as the decimal expansion of an f32: that f32 is the truth.
        let scales = json["scales"].as_array().unwrap();
        let scales = scales.iter().map(|s| s.as_f64().unwrap() as f32 as f64).collect();
        Value8 {
            shape,
            data: data.into_iter().map(|b| b as i8).collect(),
            scales,
            zero_point: json["zero_points"][0].as_i64().unwrap() as i8,
        }
    }

    fn input(&self, i: usize) -> Value8 {
        self.tensor(&self.json["inputs"][i])
    }

    fn output(&self) -> Value8 {
        self.tensor(&self.json["outputs"][0])
    }

    fn bias(&self, i: usize) -> Vec<i32> {
        let (_, data) = self.raw(&self.json["inputs"][i]);
        data.chunks_exact(4).map(|b| i32::from_le_bytes(b.try_into().unwrap())).collect()
    }
}

/// The clamp of a fused activation: `lowest` and `highest` are real values.
fn clamped(out: &Value8, lowest: f64, highest: f64) -> OutputParams {
    let q = |real: f64| ((real / out.scales[0]).round() + out.zero_point as f64).clamp(-128.0, 127.0) as i8;
    OutputParams { min: q(lowest), max: q(highest), ..common::stage(out.zero_point, Rounding::TfliteDouble) }
}

fn stage(out: &Value8) -> OutputParams {
    clamped(out, f64::NEG_INFINITY, f64::INFINITY)
}

fn real(factor: f64) -> Multiplier {
    Multiplier::from_real(factor).unwrap()
}

/// Runs a kernel between dense tensors on every instruction set.
fn check(
    name: &str,
    inputs: &[Tensor],
    expected: &Tensor,
    kernel: impl Fn(&[Operand], Operand) -> Box<dyn Kernel>,
) {
    for isa in Isa::available() {
        let mut arena = Arena::new();
        let operands: Vec<_> = inputs.iter().map(|t| arena.place(t, t.shape[2])).collect();
        let out = arena.reserve(expected.shape, expected.shape[2]);
        let got = arena.run(&*kernel(&operands, out), isa, &out, Region::EMPTY);
        assert_eq!(&got, expected, "{name} on {}", isa.name());
    }
}

/// Convolution and full connection: filter `[cout, kh, kw, cin / groups]`.
fn conv(case: &Case, op: &str, stage: fn(&Value8) -> OutputParams) {
    let call = case.call(op);
    let (input, filter, out) = (call.input(0), call.input(1), call.output());
    let linear = filter.shape.len() == 2;
    let (image, expected) = (input.tensor(), out.tensor());
    let depthwise = op == "DEPTHWISE_CONV_2D";
    let [cout, kh, kw, cin] = match filter.shape[..] {
        [cout, cin] => [cout, 1, 1, cin],
        // One input channel with many filters is an ordinary convolution, its filter transposed.
        [1, kh, kw, cout] if depthwise => [cout, kh, kw, 1],
        [cout, kh, kw, cin] => [cout, kh, kw, cin],
        _ => panic!(),
    };
    let weights = if depthwise {
        (0..cout).flat_map(|n| filter.data.iter().skip(n).step_by(cout).copied()).collect()
    } else {
        filter.data.clone()
    };
    // A padding that stands as a call of its own is already in the input.
    let padded = case.json["calls"][0]["op"] == "PAD";
    let option = |name, default| if linear { [default; 2] } else { case.option(name) };
    let conv = Conv {
        kernel: [kh, kw],
        stride: option("stride", 1),
        dilation: option("dilation", 1),
        padding: if padded { [0, 0] } else { option("padding", 0) },
        groups: image.shape[2] / cin,
        cin: image.shape[2],
        cout,
        weights,
        bias: call.bias(2),
        multipliers: multipliers(&input, &filter, &out),
        input_zero_point: input.zero_point,
        stage: stage(&out),
    };
    for isa in Isa::available() {
        for (layout, gather) in packings(cin) {
            for chunk in [1, 5, 64] {
                let mut arena = Arena::new();
                let (i, o) = (arena.place(&image, image.shape[2]), arena.reserve(expected.shape, cout + 3));
                let got = conv.run(&mut arena, &i, &o, layout, gather, chunk, isa);
                assert_eq!(got, expected, "{} {layout:?} {gather:?} chunk {chunk} {}", case.name, isa.name());
            }
        }
    }
}

/// `s_in * s_w / s_out` in double precision.
fn multipliers(input: &Value8, filter: &Value8, out: &Value8) -> Vec<Multiplier> {
    filter.scales.iter().map(|s| real(input.scales[0] * s / out.scales[0])).collect()
}

fn transposed_conv(case: &Case) {
    let call = case.call("TRANSPOSE_CONV");
    let (filter, input, out) = (call.input(1), call.input(2), call.output());
    let (image, expected) = (input.tensor(), out.tensor());
    let [cout, kh, kw, cin] = filter.shape[..] else { panic!() };
    let conv = Conv {
        kernel: [kh, kw],
        stride: case.option("stride"),
        dilation: [1, 1],
        padding: case.option("padding"),
        groups: 1,
        cin,
        cout,
        weights: filter.data.clone(),
        bias: call.bias(3),
        multipliers: multipliers(&input, &filter, &out),
        input_zero_point: input.zero_point,
        stage: stage(&out),
    };
    for isa in Isa::available() {
        for (layout, gather) in packings(cin) {
            let mut arena = Arena::new();
            let (i, o) = (arena.place(&image, cin), arena.reserve(expected.shape, cout));
            let got = conv.run_transposed(&mut arena, &i, &o, layout, gather, 7, isa);
            assert_eq!(got, expected, "{} {layout:?} {gather:?} {}", case.name, isa.name());
        }
    }
}

fn depthwise(case: &Case) {
    let call = case.call("DEPTHWISE_CONV_2D");
    let (input, filter, out) = (call.input(0), call.input(1), call.output());
    let multipliers = multipliers(&input, &filter, &out);
    let channels = filter.shape[3];
    let weights: &'static [i8] = filter.data.clone().leak();
    let bias: Vec<i32> = (call.bias(2).iter().enumerate())
        .map(|(c, b)| {
            let sum: i32 = weights.iter().skip(c).step_by(channels).map(|w| *w as i32).sum();
            b - sum * input.zero_point as i32
        })
        .collect();
    let bias: &'static [i32] = bias.leak();
    let mantissa: &'static [i32] = multipliers.iter().map(|m| m.mantissa).collect::<Vec<_>>().leak();
    let shift: &'static [i8] = multipliers.iter().map(|m| m.shift as i8).collect::<Vec<_>>().leak();
    let pair = |name| case.option(name).map(|d| d as u32);
    check(&case.name, &[input.tensor()], &out.tensor(), |i, o| {
        Box::new(DepthwiseConv2d {
            input: i[0],
            output: o,
            kernel: [filter.shape[1] as u32, filter.shape[2] as u32],
            stride: pair("stride"),
            dilation: pair("dilation"),
            padding: pair("padding"),
            weights,
            bias,
            mantissa,
            shift,
            input_zero_point: input.zero_point,
            stage: stage(&out),
        })
    });
}

fn sub(case: &Case) {
    let call = case.call("SUB");
    let (a, b, out) = (call.input(0), call.input(1), call.output());
    let twice_largest = 2.0 * a.scales[0].max(b.scales[0]);
    check(&case.name, &[a.tensor(), b.tensor()], &out.tensor(), |i, o| {
        Box::new(Sub {
            a: i[0],
            b: i[1],
            output: o,
            a_zero_point: a.zero_point,
            b_zero_point: b.zero_point,
            a_multiplier: real(a.scales[0] / twice_largest),
            b_multiplier: real(b.scales[0] / twice_largest),
            multiplier: real(twice_largest / (f64::from(1 << add::LEFT_SHIFT) * out.scales[0])),
            stage: stage(&out),
        })
    });
}

fn add(case: &Case, stage: fn(&Value8) -> OutputParams) {
    let call = case.call("ADD");
    let (a, b, out) = (call.input(0), call.input(1), call.output());
    let twice_largest = 2.0 * a.scales[0].max(b.scales[0]);
    check(&case.name, &[a.tensor(), b.tensor()], &out.tensor(), |i, o| {
        Box::new(Add {
            a: i[0],
            b: i[1],
            output: o,
            a_zero_point: a.zero_point,
            b_zero_point: b.zero_point,
            a_multiplier: real(a.scales[0] / twice_largest),
            b_multiplier: real(b.scales[0] / twice_largest),
            multiplier: real(twice_largest / (f64::from(1 << add::LEFT_SHIFT) * out.scales[0])),
            stage: stage(&out),
        })
    });
}

/// `nchw`: whether the operands lie channel by channel.
fn mul(case: &Case, nchw: bool) {
    let call = case.call("MUL");
    let (a, b, out) = (call.input(0), call.input(1), call.output());
    let tensor = |value: &Value8| if nchw { value.tensor_nchw() } else { value.tensor() };
    // Single precision, as in the operator.
    let [s_a, s_b, s_out] = [&a, &b, &out].map(|value| value.scales[0] as f32);
    check(&case.name, &[tensor(&a), tensor(&b)], &tensor(&out), |i, o| {
        Box::new(Mul {
            a: i[0],
            b: i[1],
            output: o,
            a_zero_point: a.zero_point,
            b_zero_point: b.zero_point,
            multiplier: real((s_a * s_b / s_out).into()),
            stage: stage(&out),
        })
    });
}

/// A sigmoid and a product.
fn silu(case: &Case) {
    table(case, "LOGISTIC", |i, o| float_table(i, o, sigmoid));
    mul(case, true);
}

fn requantize(case: &Case, op: &str, stage: fn(&Value8) -> OutputParams) {
    let call = case.call(op);
    let (input, out) = (call.input(0), call.output());
    check(&case.name, &[input.flat()], &out.flat(), |i, o| {
        Box::new(Requantize {
            input: i[0],
            output: o,
            input_zero_point: input.zero_point,
            multiplier: real(input.scales[0] / out.scales[0]),
            stage: stage(&out),
        })
    });
}

/// A concatenation is two copies into one strided buffer.
fn concat(case: &Case) {
    let call = case.call("CONCATENATION");
    let parts = [call.input(0).tensor_nchw(), call.input(1).tensor_nchw()];
    let expected = call.output().tensor_nchw();
    for isa in Isa::available() {
        let mut arena = Arena::new();
        let whole = arena.reserve(expected.shape, expected.shape[2]);
        let mut first = 0;
        for part in &parts {
            let input = arena.place(part, part.shape[2]);
            let shape = part.shape.map(|d| d as u32);
            let output = Operand { offset: whole.offset + first, shape, ..whole };
            arena.run(&CopyElements { input, output }, isa, &output, Region::EMPTY);
            first += shape[2];
        }
        assert_eq!(arena.read(&whole), expected, "{}", isa.name());
    }
    requantize(case, "QUANTIZE", self::stage);
}

fn max_pool(case: &Case) {
    let call = case.call("MAX_POOL_2D");
    check(&case.name, &[call.input(0).tensor()], &call.output().tensor(), |i, o| {
        let (kernel, stride, padding) = ([3, 3], [2, 2], [0, 0]);
        Box::new(MaxPool2d { input: i[0], output: o, kernel, stride, padding, min: -128, max: 127 })
    });
}

fn average_pool(case: &Case) {
    let call = case.call("AVERAGE_POOL_2D");
    let input = call.input(0);
    check(&case.name, &[input.tensor()], &call.output().tensor(), |i, o| {
        Box::new(AveragePool2d {
            input: i[0],
            output: o,
            kernel: [2, 2],
            stride: [2, 2],
            padding: [0, 0],
            padding_end: [0, 0],
            count_padding: false,
            zero_point: input.zero_point,
            min: -128,
            max: 127,
        })
    });
}

fn mean(case: &Case) {
    let call = case.call("MEAN");
    let (input, out) = (call.input(0), call.output());
    let image = input.tensor_nchw();
    let pixels = (image.shape[0] * image.shape[1]) as u32;
    check(&case.name, &[image], &out.tensor(), |i, o| {
        Box::new(GlobalAveragePool {
            input: i[0],
            output: o,
            input_zero_point: input.zero_point,
            multiplier: GlobalAveragePool::multiplier(input.scales[0], out.scales[0], pixels).unwrap(),
            stage: stage(&out),
        })
    });
}

fn softmax(case: &Case) {
    let call = case.call("SOFTMAX");
    let (input, out) = (call.input(0), call.output());
    let (multiplier, min_difference) = Softmax::parameters(input.scales[0]).unwrap();
    check(&case.name, &[input.tensor()], &out.tensor(), |i, o| {
        Box::new(Softmax { input: i[0], output: o, multiplier, min_difference })
    });
}

/// A function of one value as a table, in single precision as TensorFlow Lite's `LUTPopulate` builds it.
fn float_table(input: &Value8, out: &Value8, function: fn(f32) -> f32) -> Vec<i8> {
    let inverse = 1.0 / out.scales[0] as f32;
    (-128..=127i32)
        .map(|q| {
            let x = input.scales[0] as f32 * (q - input.zero_point as i32) as f32;
            let rescaled = (function(x) * inverse).round();
            (rescaled + out.zero_point as f32).clamp(-128.0, 127.0) as i8
        })
        .collect()
}

fn table(case: &Case, op: &str, table: impl Fn(&Value8, &Value8) -> Vec<i8>) {
    let call = case.call(op);
    let (input, out) = (call.input(0), call.output());
    let table: &'static [i8] = table(&input, &out).leak();
    check(&case.name, &[input.flat()], &out.flat(), |i, o| Box::new(Lut { input: i[0], output: o, table }));
}

fn resize(case: &Case, corners: Option<resize::Corners>) {
    let call = case.call(if corners.is_some() { "RESIZE_BILINEAR" } else { "RESIZE_NEAREST_NEIGHBOR" });
    check(&case.name, &[call.input(0).tensor()], &call.output().tensor(), |i, o| match corners {
        Some(corners) => Box::new(ResizeBilinear { input: i[0], output: o, corners }),
        None => Box::new(ResizeNearest { input: i[0], output: o }),
    });
}

fn relu(out: &Value8) -> OutputParams {
    clamped(out, 0.0, f64::INFINITY)
}

fn relu6(out: &Value8) -> OutputParams {
    clamped(out, 0.0, 6.0)
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The cases and what checks them.
type Check = fn(&Case);
const COVERED: &[(&str, Check)] = &[
    ("add", |c| add(c, stage)),
    ("add_relu", |c| add(c, relu)),
    ("avg_pool2x2", average_pool),
    ("concat", concat),
    ("conv1x1", |c| conv(c, "CONV_2D", stage)),
    ("conv2x2", |c| conv(c, "DEPTHWISE_CONV_2D", stage)),
    ("conv3x3", |c| conv(c, "CONV_2D", stage)),
    ("conv3x3_dilation2", |c| conv(c, "CONV_2D", stage)),
    ("conv3x3_relu", |c| conv(c, "CONV_2D", relu)),
    ("conv3x3_relu6", |c| conv(c, "CONV_2D", relu6)),
    ("conv3x3_stride2", |c| conv(c, "CONV_2D", stage)),
    ("conv5x5_stride2_valid", |c| conv(c, "CONV_2D", stage)),
    ("conv7x7_stem", |c| conv(c, "CONV_2D", stage)),
    ("conv_groups4", |c| conv(c, "CONV_2D", stage)),
    ("depthwise3x3", depthwise),
    ("depthwise5x5_stride2", depthwise),
    ("fully_connected", |c| conv(c, "FULLY_CONNECTED", stage)),
    ("fully_connected_relu", |c| conv(c, "FULLY_CONNECTED", relu)),
    ("gelu", |c| table(c, "GELU", |i, o| float_table(i, o, gelu))),
    ("hard_swish", |c| table(c, "HARD_SWISH", |i, o| float_table(i, o, hard_swish))),
    ("max_pool3x3s2", max_pool),
    ("mean_hw", mean),
    ("mul", |c| mul(c, false)),
    ("mul_channel", |c| mul(c, true)),
    ("relu", |c| requantize(c, "RELU", relu)),
    ("resize_bilinear2x", |c| resize(c, Some(resize::Corners::HalfPixel))),
    ("resize_bilinear_align", |c| resize(c, Some(resize::Corners::Aligned))),
    ("resize_nearest2x", |c| resize(c, None)),
    ("sigmoid", |c| table(c, "LOGISTIC", |i, o| float_table(i, o, sigmoid))),
    ("silu", silu),
    ("softmax", softmax),
    ("sub", sub),
    ("tanh", |c| table(c, "TANH", |i, o| float_table(i, o, f32::tanh))),
    ("transpose_conv2x2", transposed_conv),
];

/// `x / 2 * (1 + erf(x / sqrt 2))`, with the error function from its Taylor series in double precision.
fn gelu(x: f32) -> f32 {
    let z = f64::from(x) / std::f64::consts::SQRT_2;
    let (mut term, mut erf) = (z, z);
    for n in 1..200 {
        term *= -z * z / f64::from(n);
        erf += term / f64::from(2 * n + 1);
    }
    erf *= std::f64::consts::FRAC_2_SQRT_PI;
    (f64::from(x) / 2.0 * (1.0 + erf.clamp(-1.0, 1.0))) as f32
}

fn hard_swish(x: f32) -> f32 {
    x * (x + 3.0).clamp(0.0, 6.0) / 6.0
}

#[test]
fn kernels_return_tensorflow_lites_bytes() {
    let mut failed = Vec::new();
    for (name, check) in COVERED {
        let result = std::panic::catch_unwind(|| check(&Case::load(name)));
        if result.is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn every_case_is_covered() {
    let listed: BTreeSet<String> = COVERED.iter().map(|c| c.0.into()).collect();
    let files = std::fs::read_dir(folder()).unwrap().map(|f| f.unwrap().path());
    let cases: BTreeSet<String> = files
        .filter(|f| f.extension().is_some_and(|e| e == "safetensors"))
        .map(|f| f.file_stem().unwrap().to_str().unwrap().into())
        .collect();
    assert_eq!(listed, cases);
}
