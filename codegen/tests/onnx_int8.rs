//! Quantised `.onnx` files of the field against onnxruntime's definitions, evaluated without a 16-bit sum in between: every code of the operators of codes.
//!
//! The models lie beside the checkout (`../shared/import`), or where `NIELLO_SHARED` says. Without that folder these tests say so and pass; under
//! `CI=true`, or when `NIELLO_SHARED` is set, they fail.

#[path = "common/page.rs"]
mod page;

use niello_codegen::{
    ValueId,
    execute::Executor,
    format::Format,
    graph::Node,
    import::{
        Element, End, ModelFile,
        network::{Network, NetworkOptions},
        onnx::proto::ModelProto,
    },
    lower::{Target, lower, lower_apart},
    program::{Metadata, Program},
    weights::{read_tensors, seeded_values},
};
use niello_runtime::self_test::Checksum;
use page::{row, share};
use prost::Message;
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

/// Numbers of the file's order as the bytes that a program takes, its input being codes or numbers.
fn input_of(program: &Program, end: &End, values: &[f32]) -> Vec<i8> {
    let tensor = program.tensor(program.inputs[0]);
    let in_order = order(end).into_iter().map(|i| values[i]);
    match tensor.format {
        Format::Int8(q) => {
            let code =
                |x: f32| ((x / q.scale).round_ties_even() + q.zero_point as f32).clamp(-128.0, 127.0) as i8;
            in_order.map(code).collect()
        }
        _ => in_order.flat_map(|x| x.to_le_bytes().map(|b| b as i8)).collect(),
    }
}

/// Where each element of a value is in the file's tensor.
fn order(end: &End) -> Vec<usize> {
    end.places().unwrap_or_else(|| (0..end.elements()).collect())
}

/// Codes as the file has them.
fn in_file(codes: &[i8], end: &End) -> Vec<u8> {
    let flip = if end.element == Element::UInt8 { 0x80 } else { 0 };
    let mut moved = vec![0; codes.len()];
    order(end).into_iter().zip(codes).for_each(|(at, code)| moved[at] = *code as u8 ^ flip);
    moved
}

/// All codes of every tensor of the file that is codes there, for one input.
fn tensors(file: &ModelFile, program: &Program, values: &[f32]) -> BTreeMap<String, Vec<u8>> {
    let graph = &file.quantized().expect("a quantised file").graph;
    let codes = input_of(program, &file.inputs()[0], values);
    let id_of =
        |name: &str| (0..program.tensors.len()).map(ValueId).find(|id| program.tensor(*id).name == name);
    // Complete when the last of the operands is that is written in its place.
    let made_with = |id: ValueId| {
        let is_placed = move |node: &&Node| node.op.places_inputs() && node.inputs.contains(&id);
        graph.nodes.iter().filter(is_placed).map(|node| node.output()).chain([id])
    };
    let mut made: BTreeMap<ValueId, Vec<i8>> = BTreeMap::from([(program.inputs[0], codes.clone())]);
    Executor::new(program)
        .run_observed(&[&codes], |step, view| {
            made.extend(made_with(program.steps[step].writes()).map(|id| (id, view.tensor(id))));
        })
        .unwrap();
    let is_codes = |end: &&(String, End)| matches!(end.1.element, Element::Int8 | Element::UInt8);
    let found = file.layers().iter().filter(is_codes).filter_map(|(value, end)| {
        let codes = made.get(&id_of(value)?)?;
        Some((end.name.clone(), in_file(codes, end)))
    });
    found.collect()
}

/// Checksums of the oracle, by model and tensor; their codes are as many as they are.
fn oracle() -> BTreeMap<&'static str, BTreeMap<&'static str, (usize, &'static str)>> {
    let mut all = BTreeMap::new();
    let lines = include_str!("onnx/oracle.txt").lines().filter(|line| !line.starts_with('#'));
    let mut model = "";
    for line in lines {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["model", name] => model = name,
            [tensor, _, codes, sum] => {
                let codes = codes.parse().expect("a number");
                all.entry(model).or_insert_with(BTreeMap::new).insert(tensor, (codes, sum));
            }
            _ => panic!("{line}"),
        }
    }
    all
}

/// What is found of a model.
struct Found {
    /// Tensors of the oracle that are missing or have other codes.
    other: Vec<String>,
    codes: usize,
    /// Output codes of onnxruntime without optimisations that are others, and all of them.
    outputs: [usize; 2],
    /// Tensors of onnxruntime without optimisations that are others, for the first input, in the order of the file.
    differing: Vec<String>,
    /// What a build warns about.
    warnings: Vec<(String, String)>,
}

impl Found {
    /// Whether builds warn of this.
    fn warns(&self, of: &str) -> bool {
        self.warnings.iter().any(|(_, message)| message.contains(of))
    }
}

fn compare(folder: &Path, name: &str, config: &str, doc: &Value) -> Found {
    let key = format!("{name}.{config}");
    let file = ModelFile::open(&folder.join(format!("{key}.onnx")), &NetworkOptions::default()).unwrap();
    let q = file.quantized().expect("a quantised file");
    let target = |name: &str| Target::find(name).unwrap();
    let program = lower(q, target("host"), Metadata::default()).unwrap();
    // On cores without vectors, factors of 31 bits stand for single precision where they round alike.
    let apart =
        ["x86-vnni", "portable"].map(|name| lower_apart(q, target(name), Metadata::default()).unwrap());
    let end = &file.inputs()[0];
    let numbers = read_tensors(folder.join(format!("{name}.outputs.safetensors"))).unwrap();
    let mut found =
        Found { other: vec![], codes: 0, outputs: [0; 2], differing: vec![], warnings: file.warnings() };
    let mut all: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for k in 0..4 {
        let values = seeded_values(&format!("q/{name}/{k}")).take(end.elements()).map(|x| x as f32);
        let values: Vec<f32> = values.collect();
        let layers = tensors(&file, &apart[0], &values);
        assert!(layers == tensors(&file, &apart[1], &values), "{key}: targets differ");
        let output = &Executor::new(&program).run(&[&input_of(&program, end, &values)]).unwrap()[0];
        let tensor = program.tensor(program.outputs[0]);
        let Format::Int8(format) = tensor.format else { panic!("{key}: an output in floating point") };
        let last = &apart[1].tensor(apart[1].outputs[0]).name;
        let of_last =
            file.layers().iter().find(|(value, end)| value == last && layers.contains_key(&end.name));
        let (_, of_last) = of_last.expect("the last codes");
        assert!(in_file(output, of_last) == layers[&of_last.name], "{key}: the output of whole layers");
        // Numbers behind the last `DequantizeLinear`.
        let expected = &numbers[&format!("{config}/off/{k}")].data;
        let is_other = |(code, at): (&i8, usize)| {
            let step = (expected[at] / format.scale).round() as i32 + format.zero_point as i32;
            *code as i32 != step
        };
        found.outputs[0] += output.iter().zip(order(&file.outputs()[0])).filter(|x| is_other(*x)).count();
        found.outputs[1] += output.len();
        if k == 0 {
            let rows = doc["layers_of_input_0_optimisations_off"].as_array().unwrap().iter();
            for (layer, sum) in rows.map(|row| (row[0].as_str().unwrap(), &row[3])) {
                let same = layers.get(layer).map(|codes| format!("{:016x}", Checksum::of(codes)));
                if same.as_deref() != sum.as_str() {
                    found.differing.push(layer.into());
                }
            }
        }
        layers.into_iter().for_each(|(name, codes)| all.entry(name).or_default().extend(codes));
    }
    for (tensor, (codes, sum)) in &oracle()[&key[..]] {
        let same = all.get(*tensor).map(|codes| (codes.len(), format!("{:016x}", Checksum::of(codes))));
        if same != Some((*codes, sum.to_string())) {
            found.other.push(tensor.to_string());
        }
        found.codes += codes;
    }
    found
}

const NAMES: [&str; 4] = ["squeezenet", "resnet8", "efficientnet", "unet"];

/// What is found of each model of these configurations, printed; all of their tensors are the oracle's.
fn all(folder: &Path, configs: &[&str]) -> BTreeMap<String, Found> {
    let doc: Value = serde_json::from_slice(&fs::read(folder.join("quantized.json")).unwrap()).unwrap();
    let mut all = BTreeMap::new();
    for (name, config) in NAMES.iter().flat_map(|name| configs.iter().map(move |config| (name, config))) {
        let key = format!("{name}.{config}");
        let found = compare(folder, name, config, &doc["models"][format!("{key}.onnx")]);
        let Found { other, codes, outputs: [differing, outputs], .. } = &found;
        println!("{key}: of {codes} codes, other tensors: {other:?}");
        let tensors = oracle()[&key[..]].len();
        let why = match found.differing.first() {
            None => "",
            Some(_) if found.warns("at 16 bits") && !found.warns("noise") => {
                "onnxruntime's sums saturate at 16 bits where it was recorded"
            }
            Some(_) => "means between codes of one scale: onnxruntime's noise decides ties",
        };
        let cells = [
            format!("`{name}`"),
            format!("`{config}`"),
            share(tensors - other.len(), tensors),
            share(outputs - differing, *outputs),
            found.differing.first().map_or("none", String::as_str).into(),
            why.into(),
        ];
        row("onnx-int8", &cells);
        println!("    onnxruntime: {differing} of {outputs} output codes, tensors: {:?}", found.differing);
        all.insert(key, found);
    }
    let other = all.iter().filter(|(_, found)| !found.other.is_empty());
    let other: Vec<String> = other.map(|(key, found)| format!("{key}: {:?}", found.other)).collect();
    assert!(other.is_empty(), "{}", other.join("\n"));
    all
}

#[test]
fn inputs_may_be_codes() {
    let Some(folder) = shared() else { return };
    for (name, element) in [
        ("squeezenet.qop_u8u8_pt", Element::UInt8),
        ("resnet8.qdq_s8s8_pc", Element::Int8),
        ("efficientnet.qdq_u8s8_pc", Element::UInt8),
    ] {
        let path = folder.join(format!("{name}.onnx"));
        let bytes = fs::read(&path).unwrap();
        let mut model = ModelProto::decode(&bytes[..]).unwrap();
        let graph = model.graph.as_mut().unwrap();
        // Without the first node.
        let first = graph.node.iter().position(|node| node.op_type.as_deref() == Some("QuantizeLinear"));
        let quantize = graph.node.remove(first.unwrap());
        assert_eq!(quantize.input[0], "input", "{name}");
        let input = &mut graph.input[0];
        input.name = Some(quantize.output[0].clone());
        let tensor = input.r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
        tensor.elem_type = Some(if element == Element::UInt8 { 2 } else { 3 });
        let options = NetworkOptions::default();
        let [of_numbers, of_codes] = [bytes, model.encode_to_vec()].map(|bytes| {
            let file = ModelFile::from_bytes(&path, &bytes, &options).unwrap();
            let target = Target::find("host").unwrap();
            (lower(file.quantized().unwrap(), target, Metadata::default()).unwrap(), file)
        });
        assert_eq!(of_codes.1.inputs()[0].element, element, "{name}");
        let end = &of_numbers.1.inputs()[0];
        let values: Vec<f32> = seeded_values("codes").take(end.elements()).map(|x| x as f32).collect();
        let codes = input_of(&of_numbers.0, end, &values);
        let run = |program| Executor::new(program).run(&[&codes]).unwrap();
        assert_eq!(run(&of_numbers.0), run(&of_codes.0), "{name}");
    }
}

#[test]
fn operators_of_codes_have_every_code_of_their_definition_and_of_onnxruntime() {
    let Some(folder) = shared() else { return };
    let all = all(&folder, &["qop_s8s8_pc", "qop_u8u8_pt", "qop_u8s8_pc"]);
    for (key, found) in all {
        // Where weights have signs and codes have none, sums of onnxruntime were saturated.
        let saturated = key.ends_with("u8s8_pc");
        if !saturated {
            assert!(found.outputs[0] == 0 && found.differing.is_empty(), "{key}: {:?}", found.differing);
        }
        assert_eq!(
            [found.warns("at 16 bits"), found.warnings.len() == 1],
            [saturated; 2],
            "{key}: {:?}",
            found.warnings
        );
    }
}

#[test]
fn numbers_between_codes_have_every_code_of_their_definition() {
    let Some(folder) = shared() else { return };
    let all = all(&folder, &["qdq_s8s8_pc", "qdq_s8s8_pt", "qdq_s8s8_pc_sym", "qdq_u8s8_pc"]);
    for (key, found) in all {
        // From an average pool of one scale on, where a quarter of the means are ties, codes of onnxruntime are
        // those of its noise: so many of its outputs.
        let (differing, first) = match &key[..] {
            "unet.qdq_s8s8_pc" | "unet.qdq_u8s8_pc" => {
                (1771, Some("/AveragePool_output_0_QuantizeLinear_Output"))
            }
            "unet.qdq_s8s8_pt" => (1805, Some("/AveragePool_output_0_QuantizeLinear_Output")),
            "unet.qdq_s8s8_pc_sym" => (1758, Some("/AveragePool_output_0_QuantizeLinear_Output")),
            _ => (0, None),
        };
        assert_eq!(found.outputs[0], differing, "{key}");
        assert_eq!(found.differing.first().map(String::as_str), first, "{key}");
        assert_eq!(found.warns("noise"), first.is_some(), "{key}: {:?}", found.warnings);
        assert_eq!(found.warns("at 16 bits"), key.contains("u8s8"), "{key}: {:?}", found.warnings);
    }
}
