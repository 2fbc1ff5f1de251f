//! Quantised `.onnx` files of the field against onnxruntime's definitions, evaluated without a 16-bit sum in between: every code of the operators of codes.
//!
//! The models lie beside the checkout (`../shared/import`), or where `NIELLO_SHARED` says. Without that folder these tests say so and pass; under
//! `CI=true`, or when `NIELLO_SHARED` is set, they fail.

#[path = "common/page.rs"]
mod page;

use niello_codegen::{
    Shape,
    execute::Executor,
    format::Format,
    import::{End, ModelFile, network::NetworkOptions},
    lower::{Target, lower, lower_apart},
    program::{Metadata, Program},
    weights::{read_tensors, seeded_values},
};
use niello_runtime::self_test::Checksum;
use page::{row, share};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

fn shared() -> Option<PathBuf> {
    let chosen = std::env::var_os("NIELLO_SHARED").map(PathBuf::from);
    let required = chosen.is_some() || std::env::var("CI").is_ok_and(|v| v == "true");
    let folder = chosen.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"));
    let folder = folder.join("import/onnx/quantized");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(!required, "no shared data in {}", folder.display());
    println!("skipped: no shared data in {}", folder.display());
    None
}

/// Where each element of a map of `[1, C, H, W]` or `[1, C]` is in the file's tensor.
fn places(shape: Shape) -> impl Iterator<Item = usize> {
    let area = shape.area();
    (0..shape.len()).map(move |i| i % shape.c * area + i / shape.c)
}

/// Numbers of the file's order as the bytes that a program takes.
fn input(program: &Program, values: &[f32]) -> Vec<i8> {
    let tensor = program.tensor(program.inputs[0]);
    let in_order = places(tensor.shape).map(|i| values[i]);
    match tensor.format {
        Format::Int8(q) => {
            let code =
                |x: f32| ((x / q.scale).round_ties_even() + q.zero_point as f32).clamp(-128.0, 127.0) as i8;
            in_order.map(code).collect()
        }
        _ => in_order.flat_map(|x| x.to_le_bytes().map(|b| b as i8)).collect(),
    }
}

/// Codes of an output in the file's order, and those of the numbers that are expected.
fn codes(program: &Program, bytes: &[i8], expected: &[f32]) -> Vec<(i8, i8)> {
    let tensor = program.tensor(program.outputs[0]);
    let Format::Int8(q) = tensor.format else { panic!("an output in floating point") };
    let code = |x: f32| (x / q.scale).round() as i32 + q.zero_point as i32;
    bytes.iter().zip(places(tensor.shape)).map(|(found, at)| (*found, code(expected[at]) as i8)).collect()
}

/// Checksums of layers for input 0, by name.
fn layers(doc: &Value) -> BTreeMap<String, (bool, String)> {
    let row = |row: &Value| {
        let text = |i: usize| row[i].as_str().unwrap().to_string();
        (text(0), (text(1) == "uint8", text(3)))
    };
    doc["layers_of_input_0_optimisations_off"].as_array().unwrap().iter().map(row).collect()
}

struct Found {
    outputs: usize,
    differing: usize,
    layers: usize,
    differing_layers: Vec<String>,
}

fn compare(folder: &Path, name: &str, config: &str, doc: &Value) -> Result<Found, String> {
    let path = folder.join(format!("{name}.{config}.onnx"));
    let file = ModelFile::open(&path, &NetworkOptions::default()).map_err(|e| e.to_string())?;
    let q = file.quantized().ok_or("is not quantised")?;
    let program = lower(q, Target::find("host").unwrap(), Metadata::default()).map_err(|e| e.to_string())?;
    let apart =
        lower_apart(q, Target::find("portable").unwrap(), Metadata::default()).map_err(|e| e.to_string())?;
    let expected = read_tensors(folder.join(format!("{name}.oracle.safetensors"))).unwrap();
    let mut found = Found { outputs: 0, differing: 0, layers: 0, differing_layers: vec![] };
    let End { shape, .. } = &file.inputs()[0];
    let len = shape.iter().product();
    for k in 0..4 {
        let values: Vec<f32> = seeded_values(&format!("q/{name}/{k}")).take(len).map(|x| x as f32).collect();
        let outputs = Executor::new(&program).run(&[&input(&program, &values)]).unwrap();
        let pairs = codes(&program, &outputs[0], &expected[&format!("{config}/{k}")].data);
        found.outputs += pairs.len();
        found.differing += pairs.iter().filter(|(a, b)| a != b).count();
        if k > 0 {
            continue;
        }
        let wanted = layers(doc);
        let mut seen: BTreeMap<String, (Vec<i8>, Shape)> = BTreeMap::new();
        Executor::new(&apart)
            .run_observed(&[&input(&apart, &values)], |step, view| {
                let id = apart.steps[step].writes();
                let tensor = apart.tensor(id);
                if matches!(tensor.format, Format::Int8(_)) {
                    seen.insert(tensor.name.clone(), (view.tensor(id), tensor.shape));
                }
            })
            .unwrap();
        for (layer, (unsigned, sum)) in wanted {
            // Codes of numbers have the name of the numbers, where these are not in memory.
            let numbers = layer.trim_end_matches("_QuantizeLinear_Output");
            let Some((bytes, shape)) = seen.get(&layer).or_else(|| seen.get(numbers)) else { continue };
            let mut in_file = vec![0u8; bytes.len()];
            let flip = if unsigned { 0x80 } else { 0 };
            places(*shape).zip(bytes).for_each(|(at, b)| in_file[at] = *b as u8 ^ flip);
            found.layers += 1;
            if format!("{:016x}", Checksum::of(&in_file)) != sum {
                found.differing_layers.push(layer);
            }
        }
    }
    Ok(found)
}

const NAMES: [&str; 4] = ["squeezenet", "resnet8", "efficientnet", "unet"];

/// What is found of each model of these configurations, printed.
fn all(folder: &Path, configs: &[&str]) -> BTreeMap<String, Result<Found, String>> {
    let doc: Value = serde_json::from_slice(&fs::read(folder.join("quantized.json")).unwrap()).unwrap();
    let mut all = BTreeMap::new();
    for name in NAMES {
        for config in configs {
            let key = format!("{name}.{config}");
            let found = compare(folder, name, config, &doc["models"][format!("{key}.onnx")]);
            // Why layers differ where they may.
            let why = match *config {
                _ if found.as_ref().is_ok_and(|f| f.differing_layers.is_empty()) => "",
                "qop_u8s8_pc" => {
                    "layers were recorded where sums saturate at 16 bits; outputs are the oracle's"
                }
                _ if name == "unet" => "an average pool of one scale: noise of single precision decides ties",
                _ => "",
            };
            let cells = match &found {
                Ok(f) => [
                    share(f.outputs - f.differing, f.outputs),
                    share(f.layers - f.differing_layers.len(), f.layers),
                    f.differing_layers.first().map_or("none", String::as_str).into(),
                ],
                Err(error) => ["none".into(), "none".into(), error.replace(['|', '\n'], "/")],
            };
            row(
                "onnx-int8",
                &[&[format!("`{name}`"), format!("`{config}`")], &cells[..], &[why.into()]].concat(),
            );
            match &found {
                Ok(f) => println!(
                    "{key}: {} of {} output codes differ; {} of {} layers: {:?}",
                    f.differing,
                    f.outputs,
                    f.differing_layers.len(),
                    f.layers,
                    f.differing_layers
                ),
                Err(error) => println!("{key}: {error}"),
            }
            all.insert(key, found);
        }
    }
    all
}

#[test]
fn operators_of_codes_have_every_code_of_onnxruntime() {
    let Some(folder) = shared() else { return };
    let mut failures = vec![];
    for (name, found) in all(&folder, &["qop_s8s8_pc", "qop_u8u8_pt", "qop_u8s8_pc"]) {
        // One sum of one layer, which single precision rounds onto a tie.
        let allowed = if name == "efficientnet.qop_u8u8_pt" { 3 } else { 0 };
        match found {
            // Layers of uint8 by int8 were recorded where sums saturate.
            Ok(f)
                if f.differing <= allowed && (f.differing_layers.is_empty() || name.ends_with("u8s8_pc")) => {
            }
            Ok(f) => failures.push(format!("{name}: {} codes, layers {:?}", f.differing, f.differing_layers)),
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn numbers_between_codes_have_every_code_of_their_definition() {
    let Some(folder) = shared() else { return };
    let mut failures = vec![];
    for (name, found) in all(&folder, &["qdq_s8s8_pc", "qdq_s8s8_pt", "qdq_s8s8_pc_sym", "qdq_u8s8_pc"]) {
        match found {
            // Behind an average pool with ties the layers of onnxruntime are those of its noise.
            Ok(f) if f.differing == 0 && (f.differing_layers.is_empty() || name.starts_with("unet")) => {}
            Ok(f) => failures.push(format!("{name}: {} codes, layers {:?}", f.differing, f.differing_layers)),
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
