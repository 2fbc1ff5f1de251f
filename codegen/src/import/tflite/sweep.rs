//! Operators of the format one by one, imported, lowered and run, against LiteRT's own bytes: vectors in `../shared/import/tflite/op_sweep`.
//!
//! `tests/tflite_operators.rs` has those that are an operator here too; these are those that the importer makes of others.

use super::{
    importer::import,
    reader::{
        Activation, Code, Conv2D, Data, DepthwiseConv2D, Element, FullyConnected, Gelu, LeakyRelu, Model,
        Operator, Options, Padding, Pool2D, Quantization, TensorDef, TransposeConv,
    },
};
use crate::{
    execute::Executor,
    import::{file::Content, network::NetworkOptions},
    lower::{TARGETS, lower},
    program::Metadata,
    weights::{NamedTensor, read_tensors},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

/// Name of the vectors, operator, order of operands (inputs first, then constants) where it is another.
const SWEEPS: &[(&str, &str, &[usize])] = &[
    ("CONV_2D", "CONV_2D", &[]),
    ("CONV_2D 1x1 of one pixel", "CONV_2D", &[]),
    ("CONV_2D 1x1 of one pixel, powers of two (ties)", "CONV_2D", &[]),
    ("DEPTHWISE_CONV_2D", "DEPTHWISE_CONV_2D", &[]),
    ("TRANSPOSE_CONV", "TRANSPOSE_CONV", &[1, 2, 0, 3]),
    ("FULLY_CONNECTED", "FULLY_CONNECTED", &[]),
    ("FULLY_CONNECTED, powers of two (ties)", "FULLY_CONNECTED", &[]),
    ("FULLY_CONNECTED per channel", "FULLY_CONNECTED", &[]),
    ("GELU", "GELU", &[]),
    ("GELU tanh", "GELU", &[]),
    ("EXP", "EXP", &[]),
    ("ABS", "ABS", &[]),
    ("LEAKY_RELU", "LEAKY_RELU", &[]),
    ("HARD_SWISH", "HARD_SWISH", &[]),
    ("LOGISTIC", "LOGISTIC", &[]),
    ("TANH", "TANH", &[]),
    ("PAD", "PAD", &[]),
    ("PADV2", "PADV2", &[]),
    ("PRELU", "PRELU", &[]),
    ("SQUARED_DIFFERENCE", "SQUARED_DIFFERENCE", &[]),
    (TWO_SCALES, "AVERAGE_POOL_2D", &[]),
];

/// A pool whose operand and result have two scales, which LiteRT ignores.
const TWO_SCALES: &str = "AVERAGE_POOL_2D, scales differ";

fn folder() -> Option<PathBuf> {
    let shared = env::var_os("NIELLO_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let folder = shared.join("import/tflite/op_sweep");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(env::var_os("CI").is_none(), "{} is missing", folder.display());
    None
}

fn options(operator: &str, json: &Value) -> Options {
    let number = |key: &str| json[key].as_u64().unwrap_or(1) as usize;
    let padding = if json["padding"] == 1 { Padding::Valid } else { Padding::Same };
    let (stride_w, stride_h) = (number("strideW"), number("strideH"));
    let (dilation_w, dilation_h) = (number("dilationWFactor"), number("dilationHFactor"));
    let activation = Activation::None;
    match operator {
        "CONV_2D" => {
            Options::Conv2D(Conv2D { padding, stride_w, stride_h, activation, dilation_w, dilation_h })
        }
        "DEPTHWISE_CONV_2D" => Options::DepthwiseConv2D(DepthwiseConv2D {
            padding,
            stride_w,
            stride_h,
            activation,
            dilation_w,
            dilation_h,
        }),
        "TRANSPOSE_CONV" => Options::TransposeConv(TransposeConv { padding, stride_w, stride_h, activation }),
        "FULLY_CONNECTED" => {
            Options::FullyConnected(FullyConnected { activation, weights_format: 0, keep_num_dims: false })
        }
        "GELU" => {
            Options::Gelu(Gelu { approximate: json["approximate"] == 1 || json["approximate"] == true })
        }
        "LEAKY_RELU" => Options::LeakyRelu(LeakyRelu { alpha: json["alpha"].as_f64().unwrap() as f32 }),
        "AVERAGE_POOL_2D" => Options::Pool2D(Pool2D {
            padding,
            stride_w,
            stride_h,
            filter_w: number("filterWidth"),
            filter_h: number("filterHeight"),
            activation,
        }),
        _ => Options::None,
    }
}

/// Scales, zero points, and the axis that they lie along.
fn quantization(json: &Value) -> Option<Quantization> {
    let numbers = |json: &Value| -> Option<Vec<f64>> { json.as_array()?.iter().map(Value::as_f64).collect() };
    let scale = numbers(&json[0])?.into_iter().map(|s| s as f32).collect();
    let zero_point = numbers(&json[1])?.into_iter().map(|z| z as i64).collect();
    Some(Quantization { scale, zero_point, dimension: json[2].as_u64().unwrap_or(0) as usize })
}

fn tensor(name: &str, of: &NamedTensor, json: &Value, constant: bool) -> TensorDef {
    let quantization = quantization(json);
    let is_narrow = |code: &f32| (-128.0..=127.0).contains(code);
    // Biases and shapes have 32 bits.
    let narrow = quantization.is_some() && of.data.iter().all(is_narrow) && !name.ends_with("wide");
    let element = if narrow { Element::Int8 } else { Element::Int32 };
    let bytes = |x: &f32| match element {
        Element::Int8 => vec![*x as i8 as u8],
        _ => (*x as i32).to_le_bytes().to_vec(),
    };
    let data = constant.then(|| Data::from(of.data.iter().flat_map(bytes).collect::<Vec<u8>>()));
    TensorDef { name: name.into(), shape: of.shape.clone(), free: false, element, quantization, data }
}

/// How many bytes of one case differ, or why it is refused.
fn wrong(
    name: &str,
    (operator, order): (&'static str, &[usize]),
    json: &Value,
    number: usize,
    tensors: &BTreeMap<String, NamedTensor>,
) -> Result<usize, String> {
    let of = |what: &str| &tensors[&format!("{number}/{what}")];
    let mut all = vec![];
    let inputs = json["in"].as_array().unwrap();
    for (i, q) in inputs.iter().enumerate() {
        all.push(tensor(&format!("in{i}"), of(&format!("in{i}")), q, false));
    }
    for (i, q) in json["const"].as_array().unwrap().iter().enumerate() {
        // The last constant of a layer with weights is its bias.
        let is_bias = ["CONV", "FULLY"].iter().any(|part| name.contains(part))
            && q == json["const"].as_array().unwrap().last().unwrap();
        let name = if is_bias { format!("const{i} wide") } else { format!("const{i}") };
        all.push(tensor(&name, of(&format!("const{i}")), q, true));
    }
    let operands = if order.is_empty() { (0..all.len()).collect() } else { order.to_vec() };
    all.push(tensor("out", of("out"), &json["out"], false));
    let model = Model {
        description: "one operator".into(),
        other_graphs: 0,
        metadata_names: vec![],
        signatures: vec![],
        inputs: (0..inputs.len()).collect(),
        outputs: vec![all.len() - 1],
        operators: vec![Operator {
            code: Code::Builtin(operator),
            version: 1,
            inputs: operands.into_iter().map(Some).collect(),
            outputs: vec![all.len() - 1],
            options: options(operator, &json["options"]),
            custom_options: Data::from(vec![]),
        }],
        tensors: all,
    };
    let read = import(&model, "one operator", &NetworkOptions::default()).map_err(|p| p.join("; "))?;
    if read.warnings.is_empty() == (name == TWO_SCALES) {
        return Err(format!("its warnings are {:?}", read.warnings));
    }
    let Content::Quantized(q) = read.content else { return Err("is not quantised".into()) };
    let codes = |what: String| -> Vec<i8> { of(&what).data.iter().map(|code| *code as i8).collect() };
    let given: Vec<Vec<i8>> = (0..inputs.len()).map(|i| codes(format!("in{i}"))).collect();
    let given: Vec<&[i8]> = given.iter().map(Vec::as_slice).collect();
    let expected = codes("out".into());
    let mut wrong = 0;
    for target in TARGETS.iter().take(3) {
        let program = lower(&q, target, Metadata::default()).map_err(|e| e.to_string())?;
        let found = Executor::new(&program).run(&given).map_err(|e| e.to_string())?.remove(0);
        wrong = wrong.max(found.iter().zip(&expected).filter(|(a, b)| a != b).count());
    }
    Ok(wrong)
}

fn cases(folder: &Path, name: &str) -> (Value, BTreeMap<String, NamedTensor>) {
    let all: Value = serde_json::from_slice(&fs::read(folder.join("op_sweep.json")).unwrap()).unwrap();
    let file = name.to_lowercase().replace(' ', "_").replace(',', "");
    (all["cases"][name].clone(), read_tensors(folder.join(format!("{file}.safetensors"))).unwrap())
}

/// A row of `docs/conformance.md`, as `tests/common/page.rs` has them.
fn page(name: &str, how: &str, sets: usize, equal: usize, first: Option<&String>) {
    let equal = match equal {
        0 if first.is_none() => "–".into(),
        _ if equal == sets => format!("all {sets}"),
        _ => format!("{equal} of {sets}"),
    };
    println!("conformance\tsweeps\t{name}\t{how}\t{equal}\t{}", first.map_or("none", String::as_str));
}

#[test]
fn imported_operators_give_the_bytes_of_litert() {
    let Some(folder) = folder() else { return };
    let mut failures = vec![];
    for (name, operator, order) in SWEEPS {
        let (json, tensors) = cases(&folder, name);
        let (sets, before) = (json.as_array().unwrap(), failures.len());
        for (number, json) in sets.iter().enumerate() {
            match wrong(name, (operator, order), json, number, &tensors) {
                Ok(0) => {}
                Ok(wrong) => failures.push(format!("{name} {number}: {wrong} bytes differ")),
                Err(why) => failures.push(format!("{name} {number}: {why}")),
            }
        }
        let found = &failures[before..];
        page(name, "by the importer", sets.len(), sets.len() - found.len(), found.first());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
