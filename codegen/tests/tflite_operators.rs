//! int8 operators against TensorFlow Lite's own reference kernels, byte for byte: vectors that LiteRT computed with random formats, in
//! `../shared/import/tflite/op_sweep` beside the checkout, or in `NIELLO_SHARED`.

#[path = "common/page.rs"]
mod page;

use niello_codegen::{
    GraphBuilder, Shape, Tensor, ValueId,
    execute::Executor,
    format::{Format, QParams},
    lower::{TARGETS, lower},
    ops::*,
    program::Metadata,
    quantize::{QuantizeOptions, calibrate::calibrate, quantize},
    weights::{NamedTensor, Seeded, read_tensors},
};
use niello_kernels::Isa;
use page::{row, share};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

/// Appends the operator of a case.
type Build = fn(&Case<'_>, &mut GraphBuilder<'_>, &[ValueId]) -> ValueId;

/// What niello has as an operator.
const OPERATORS: &[(&str, Build)] = &[
    ("ADD", |_, b, x| b.add_op("op", Add::default(), x)),
    ("SUB", |_, b, x| b.add_op("op", Sub::default(), x)),
    ("MUL", |_, b, x| b.add_op("op", Mul::default(), x)),
    ("MUL by a channel", |_, b, x| b.add_op("op", Mul::default(), x)),
    ("MAXIMUM", |_, b, x| b.add_op("op", Extremum::MAXIMUM, x)),
    ("SQUARED_DIFFERENCE", |_, b, x| b.add_op("op", SquaredDifference, x)),
    ("PRELU", |case, b, x| b.add_op("op", case.prelu(), x)),
    ("RELU", |_, b, x| b.add_op("op", Clamp { min: 0.0, max: f32::INFINITY }, x)),
    ("RELU6", |_, b, x| b.add_op("op", Clamp { min: 0.0, max: 6.0 }, x)),
    ("RELU_N1_TO_1", |_, b, x| b.add_op("op", Clamp { min: -1.0, max: 1.0 }, x)),
    ("QUANTIZE int8 to int8", |_, b, x| b.add_op("op", Rescale, x)),
    ("AVERAGE_POOL_2D 2x2", |_, b, x| {
        b.add_op("op", AveragePool2d { count_padding: false, ..AveragePool2d::new(2, 2) }, x)
    }),
    ("MEAN over 1, 2", |_, b, x| b.add_op("op", reduce(ReduceKind::Mean, [1, 1, 0]), x)),
    ("MEAN over 1, 2, keep_dims", |_, b, x| b.add_op("op", GlobalAveragePool, x)),
    ("MEAN over 1, 2, one scale", |_, b, x| b.add_op("op", reduce(ReduceKind::Mean, [1, 1, 0]), x)),
    ("MEAN over 2", |_, b, x| b.add_op("op", reduce(ReduceKind::Mean, [0, 1, 0]), x)),
    ("MEAN over 3", |_, b, x| b.add_op("op", reduce(ReduceKind::Mean, [0, 0, 1]), x)),
    ("REDUCE_MAX over 1, 2", |_, b, x| b.add_op("op", reduce(ReduceKind::Max, [1, 1, 0]), x)),
    ("RESIZE_BILINEAR half pixel", |case, b, x| b.add_op("op", case.resize(ResizeMode::Bilinear), x)),
    ("RESIZE_BILINEAR align corners", |case, b, x| {
        b.add_op("op", case.resize(ResizeMode::BilinearAligned), x)
    }),
    ("RESIZE_BILINEAR plain", |case, b, x| b.add_op("op", case.resize(ResizeMode::BilinearAsymmetric), x)),
    ("RESIZE_NEAREST half pixel", |case, b, x| b.add_op("op", case.resize(ResizeMode::NearestHalfPixel), x)),
    ("RESIZE_NEAREST align corners", |case, b, x| b.add_op("op", case.resize(ResizeMode::NearestAligned), x)),
    ("RESIZE_NEAREST plain", |case, b, x| b.add_op("op", case.resize(ResizeMode::Nearest), x)),
    ("SOFTMAX", |case, b, x| {
        let beta = case.json["options"]["beta"].as_f64().expect("a factor") as f32;
        b.add_op("op", Softmax { beta }, x)
    }),
    ("LOG_SOFTMAX", |_, b, x| b.add_op("op", LogSoftmax, x)),
    ("L2_NORMALIZATION", |_, b, x| b.add_op("op", L2Normalize, x)),
    ("LOGISTIC", |_, b, x| b.add_op("op", PointWise(Function::Sigmoid), x)),
    ("TANH", |_, b, x| b.add_op("op", PointWise(Function::Tanh), x)),
    ("PAD", |case, b, x| b.add_op("op", case.padded(0.0), x)),
    ("PADV2", |case, b, x| {
        let (scale, zero_point) = params(&case.json["const"][1]).expect("the value's format");
        let value = scale * (case.tensor("const1").data[0] - zero_point as f32);
        b.add_op("op", case.padded(value), x)
    }),
];

/// What the importer makes of several operators, or of tables that it fills, and why. Its tests have these.
const IMPORTED: &[(&str, &str)] = &[
    ("CONV_2D", "weights are codes in the file"),
    ("CONV_2D 1x1 of one pixel", "weights are codes in the file"),
    ("CONV_2D 1x1 of one pixel, powers of two (ties)", "weights are codes in the file"),
    ("DEPTHWISE_CONV_2D", "weights are codes in the file"),
    ("TRANSPOSE_CONV", "weights are codes in the file"),
    ("FULLY_CONNECTED", "weights are codes in the file, and another rounding"),
    ("FULLY_CONNECTED, powers of two (ties)", "weights are codes in the file, and another rounding"),
    ("FULLY_CONNECTED per channel", "weights are codes in the file, and another rounding"),
    ("GELU", "a table"),
    ("GELU tanh", "a table"),
    ("EXP", "a table"),
    ("ABS", "a table of two factors"),
    ("LEAKY_RELU", "a table of two factors"),
    ("HARD_SWISH", "a table in 16-bit fixed point"),
    ("AVERAGE_POOL_2D, scales differ", "LiteRT ignores the scales"),
];

/// Quantised at the end of a network, where the caller's numbers become codes: checked below.
const ENDS: &[&str] = &["QUANTIZE float to int8"];

/// One set of formats, and its tensors.
struct Case<'a> {
    json: &'a Value,
    number: usize,
    tensors: &'a BTreeMap<String, NamedTensor>,
}

impl Case<'_> {
    fn tensor(&self, name: &str) -> &NamedTensor {
        &self.tensors[&format!("{}/{name}", self.number)]
    }

    /// Height, width, channels of a tensor that may lack some of its axes: which, the shape that the operator makes says.
    fn image(&self, name: &str) -> Shape {
        match self.tensor(name).shape[..] {
            [1, h, w, c] => Shape::new(h, w, c),
            [1, h, w] => Shape::new(1, h, w),
            [1, c] => Shape::new(1, 1, c),
            ref other => panic!("a tensor of {other:?}"),
        }
    }

    fn prelu(&self) -> PRelu {
        let (scale, _) = params(&self.json["const"][0]).expect("the slopes' format");
        let slopes = self.tensor("const0").data.iter().map(|code| scale * code).collect();
        PRelu { slopes, scale: Some(scale) }
    }

    fn resize(&self, mode: ResizeMode) -> Resize {
        let Shape { h, w, .. } = self.image("out");
        Resize { size: [h, w], mode }
    }

    fn padded(&self, pad: f32) -> Index {
        let margins: Vec<usize> = self.tensor("const0").data.iter().map(|n| *n as usize).collect();
        let s = self.image("in0");
        let axis = |before: usize, size: usize, after: usize| {
            let all = std::iter::repeat_n(-1, before).chain(0..size as i32);
            Some(all.chain(std::iter::repeat_n(-1, after)).collect())
        };
        let (rows, columns) = (axis(margins[2], s.h, margins[3]), axis(margins[4], s.w, margins[5]));
        Index { rows, columns, channels: None, pad }
    }

    /// How many bytes of the result are not LiteRT's, for the target and the instruction set of which most are not.
    fn wrong(&self, name: &str, build: Build) -> usize {
        let expected: Vec<i8> = self.tensor("out").data.iter().map(|code| *code as i8).collect();
        let formats: Vec<QParams> =
            self.json["in"].as_array().expect("operands").iter().map(format).collect();
        let images: Vec<Shape> = (0..formats.len()).map(|i| self.image(&format!("in{i}"))).collect();
        let mut weights = Seeded::new();
        let mut b = GraphBuilder::new("one operator", &mut weights);
        let inputs: Vec<_> =
            images.iter().enumerate().map(|(i, s)| b.input(&format!("input{i}"), *s)).collect();
        let result = build(self, &mut b, &inputs);
        let graph = b.finish(&[result]).expect("an operator that takes the shapes");
        assert_eq!(graph.shape(result).len(), expected.len(), "{name}");
        // What calibration finds is replaced.
        let any = images.iter().map(|s| {
            let values = (0..s.len()).map(|i| (i % 7) as f32 - 3.0).collect();
            Tensor::new(*s, values).expect("as many values as elements")
        });
        let calibration = calibrate(&graph, [Ok(any.collect())], |_| {}).expect("finite values");
        let options = QuantizeOptions { bias_correction: false, ..QuantizeOptions::default() };
        let mut q = quantize(graph, &calibration, &options).expect("all were seen");
        inputs.iter().zip(&formats).for_each(|(id, q_of)| q.formats[id.0] = Format::Int8(*q_of));
        q.formats[result.0] = Format::Int8(format(&self.json["out"]));
        let codes: Vec<Vec<i8>> = (0..formats.len())
            .map(|i| self.tensor(&format!("in{i}")).data.iter().map(|code| *code as i8).collect())
            .collect();
        let codes: Vec<&[i8]> = codes.iter().map(Vec::as_slice).collect();
        let mut wrong = 0;
        for target in TARGETS {
            let program = lower(&q, target, Metadata::default())
                .unwrap_or_else(|e| panic!("{name} {}: {e}", self.number));
            for isa in Isa::available() {
                let found = Executor::with_isa(&program, isa).run(&codes).expect("inputs that fit").remove(0);
                wrong = wrong.max(found.iter().zip(&expected).filter(|(a, b)| a != b).count());
            }
        }
        wrong
    }
}

fn reduce(kind: ReduceKind, axes: [usize; 3]) -> Reduce {
    Reduce { axes: axes.map(|axis| axis == 1), kind }
}

/// Scale and zero point, where a tensor has some.
fn params(json: &Value) -> Option<(f32, i8)> {
    // Scales were written as the decimal expansion of an f32: that f32 is the truth.
    Some((json[0][0].as_f64()? as f32, json[1][0].as_f64()? as i8))
}

fn format(json: &Value) -> QParams {
    let (scale, zero_point) = params(json).expect("scale and zero point");
    QParams { scale, zero_point }
}

/// The vectors; `None`, with a note, where there are none and this is not a CI run.
fn folder() -> Option<PathBuf> {
    let shared = env::var_os("NIELLO_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let folder = shared.join("import/tflite/op_sweep");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(env::var_os("CI").is_none(), "{} is missing", folder.display());
    eprintln!("skipped: no {}", folder.display());
    None
}

fn cases(folder: &Path) -> Value {
    let text = fs::read(folder.join("op_sweep.json")).expect("the list of cases");
    serde_json::from_slice::<Value>(&text).expect("JSON")["cases"].take()
}

fn tensors(folder: &Path, name: &str) -> BTreeMap<String, NamedTensor> {
    let file = name.to_lowercase().replace(' ', "_").replace(',', "");
    read_tensors(folder.join(format!("{file}.safetensors"))).expect("a file of tensors")
}

/// A row of the page.
fn sweep(name: &str, how: &str, sets: usize, differences: &[String]) {
    let equal = share(sets - differences.len(), sets);
    let first = differences.first().map_or("none", String::as_str);
    row("sweeps", &[name.into(), how.into(), equal, first.into()]);
}

#[test]
fn every_operator_gives_litert_s_bytes() {
    let Some(folder) = folder() else { return };
    let all = cases(&folder);
    let mut failures = vec![];
    for (name, build) in OPERATORS {
        let (tensors, mut differences) = (tensors(&folder, name), vec![]);
        let sets = all[*name].as_array().expect("cases");
        for (number, json) in sets.iter().enumerate() {
            let case = Case { json, number, tensors: &tensors };
            let wrong = case.wrong(name, *build);
            if wrong > 0 {
                differences.push(format!("{name} {number}: {wrong} bytes differ"));
            }
        }
        sweep(name, "as an operator", sets.len(), &differences);
        failures.append(&mut differences);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn numbers_become_litert_s_codes() {
    let Some(folder) = folder() else { return };
    let all = cases(&folder);
    for name in ENDS {
        let tensors = tensors(&folder, name);
        let sets = all[*name].as_array().expect("cases");
        for (number, json) in sets.iter().enumerate() {
            let case = Case { json, number, tensors: &tensors };
            let found = Format::Int8(format(&json["out"])).encode(&case.tensor("in0").data);
            let found: Vec<f32> = found.into_iter().map(f32::from).collect();
            assert_eq!(found, case.tensor("out").data, "{name} {number}");
        }
        sweep(name, "where the caller's numbers become codes", sets.len(), &[]);
    }
}

/// A file that no list has, or two have, is an error; so is one that is gone.
#[test]
fn every_file_is_covered() {
    let Some(folder) = folder() else { return };
    let all = cases(&folder);
    let files: BTreeSet<&str> = all.as_object().expect("cases").keys().map(String::as_str).collect();
    let listed = OPERATORS.iter().map(|(name, _)| *name);
    let listed = listed.chain(IMPORTED.iter().map(|(name, _)| *name)).chain(ENDS.iter().copied());
    assert_eq!(listed.clone().count(), files.len());
    assert_eq!(listed.collect::<BTreeSet<_>>(), files);
    let is_file = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|e| e == "safetensors");
    let entries = fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry"));
    assert_eq!(entries.filter(is_file).count(), files.len());
}
