//! Kinds of `.tflite` operators that no model of the field shows, against the bytes of LiteRT's reference kernels and of TFLM's interpreter.
//!
//! `tflite/kinds.py` makes the models and asks the two, `tflite/int16.py` makes those with activations of 16 bits.

use niello_codegen::{
    ValueId,
    execute::Executor,
    format::{Format, Mode},
    import::{
        Element, End, ModelFile,
        network::{NetworkOptions, Reference},
    },
    lower::{TARGETS, lower},
    precision::float,
    program::Metadata,
    weights::{NamedTensor, read_tensors},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

type Tensors = BTreeMap<String, NamedTensor>;

fn kinds() -> Tensors {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tflite");
    let of = |name: &str| read_tensors(folder.join(name)).expect("tensors of bytes");
    let mut all = of("kinds.safetensors");
    all.append(&mut of("int16.safetensors"));
    all
}

fn bytes(tensors: &Tensors, name: &str) -> Option<Vec<u8>> {
    Some(tensors.get(name)?.data.iter().map(|byte| *byte as u8).collect())
}

/// Between bytes of a file and those of a program.
fn flipped(bytes: &[u8], element: Element) -> Vec<i8> {
    let sign = if element == Element::UInt8 { 0x80 } else { 0 };
    bytes.iter().map(|byte| (byte ^ sign) as i8).collect()
}

/// The outputs of a model that a reference gave other bytes for.
fn differing(tensors: &Tensors, name: &str, reference: Reference, by: &str) -> Vec<String> {
    let options = NetworkOptions { reference: Some(reference), ..NetworkOptions::default() };
    let model = bytes(tensors, &format!("{name}/model")).expect("a model");
    let file = match ModelFile::from_bytes(Path::new("kind.tflite"), &model, &options) {
        Ok(file) => file,
        Err(error) => return vec![format!("{name}: {error}")],
    };
    let q = file.quantized().expect("codes");
    let inputs = file.inputs().iter().enumerate();
    let inputs: Vec<Vec<i8>> = inputs
        .map(|(i, end)| flipped(&bytes(tensors, &format!("{name}/in{i}")).expect("an input"), end.element))
        .collect();
    let inputs: Vec<&[i8]> = inputs.iter().map(Vec::as_slice).collect();
    let mut found = vec![];
    for target in TARGETS.iter().take(3) {
        let program = lower(q, target, Metadata::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let outputs = Executor::new(&program).run(&inputs).expect("inputs that fit");
        assert_eq!(outputs.len(), file.outputs().len(), "{name}");
        for (i, (output, end)) in outputs.iter().zip(file.outputs()).enumerate() {
            let Some(expected) = bytes(tensors, &format!("{name}/{by}{i}")) else {
                panic!("{name}: `{by}` was not asked for output {i}")
            };
            let is_label = program.tensor(program.outputs[i]).format == Format::Label;
            // Labels are bytes here, and integers of 32 bits there.
            let expected: Vec<u8> = expected.into_iter().step_by(if is_label { 4 } else { 1 }).collect();
            let expected = flipped(&expected, end.element);
            let wrong = output.iter().zip(&expected).filter(|(a, b)| a != b).count();
            if wrong > 0 || output.len() != expected.len() {
                found.push(format!("{name}, {by}: {wrong} of {} bytes differ", expected.len()));
            }
        }
    }
    found
}

#[test]
fn every_kind_gives_the_bytes_of_the_references() {
    let tensors = kinds();
    let names: BTreeSet<&str> = tensors.keys().filter_map(|key| key.split('/').next()).collect();
    assert!(names.len() > 130, "{} kinds", names.len());
    let mut found = vec![];
    for name in names.into_iter().filter(|name| !name.starts_with("refused, ")) {
        found.extend(differing(&tensors, name, Reference::LiteRt, "litert"));
        if tensors.contains_key(&format!("{name}/tflm0")) {
            found.extend(differing(&tensors, name, Reference::TflmInterpreter, "tflm"));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The two references differ where TFLM has fixed point, or the test above could not tell them apart.
#[test]
fn the_references_differ() {
    let tensors = kinds();
    for name in ["LOGISTIC 0.0027657035", "TANH 0.0027657035"] {
        let [litert, tflm] =
            ["litert0", "tflm0"].map(|by| bytes(&tensors, &format!("{name}/{by}")).expect("both"));
        assert_ne!(litert, tflm, "{name}");
    }
}

#[test]
fn what_no_reference_computes_is_refused_by_name() {
    let tensors = kinds();
    let refused = |key: &&String| key.starts_with("refused, ") && key.ends_with("/model");
    let all = [
        ("SUM of int8", "(SUM `t2`): of int8 is no sum"),
        ("NEG of int8", "(NEG `t1`): is supported in floating point only"),
        ("L2_NORMALIZATION of uint8", "(L2_NORMALIZATION `t1`): is not supported for uint8"),
        ("DIV by a small constant", "(DIV `t2`): the reference kernel shifts the quotient"),
        ("blocks that are left", "output `t3`: lacks a BATCH_TO_SPACE_ND"),
        ("blocks from nowhere", "(BATCH_TO_SPACE_ND `t3`): is supported only behind a SPACE_TO_BATCH_ND"),
        ("a pool between blocks", "(MAX_POOL_2D `t4`): is not supported between SPACE_TO_BATCH_ND"),
        ("a stride between blocks", "(CONV_2D `t6`): a stride between SPACE_TO_BATCH_ND"),
        ("int16, HARD_SWISH", "(HARD_SWISH `t1`): is not supported between activations of 16 bits"),
        ("int16, CONCATENATION, scales differ", "(CONCATENATION `t2`): an operand has scale 0.0004"),
        ("int16, zero point", "`t0` has 16 bits and not one scale and the zero point 0"),
        ("int16, ADD by shifts", "(ADD `t2`): of scales that are powers of 2"),
        ("int16, a large bias", "(CONV_2D `t3`): a bias of 8589934592 does not fit 32 bits"),
    ];
    assert_eq!(tensors.keys().filter(refused).count(), all.len());
    for (name, why) in all {
        let model = bytes(&tensors, &format!("refused, {name}/model")).expect("a model");
        let path = Path::new("kind.tflite");
        let Err(error) = ModelFile::from_bytes(path, &model, &NetworkOptions::default()) else {
            panic!("{name} is imported")
        };
        assert!(error.to_string().contains(why), "{name}: {error}");
    }
}

/// A quantised file in floating point: functions that are tables in integers are themselves, with the numbers that the codes stand for.
#[test]
fn tables_are_functions_in_floating_point() {
    let tensors = kinds();
    for name in [
        "LOGISTIC 0.03",
        "TANH 0.03",
        "HARD_SWISH of uint8",
        "LEAKY_RELU of uint8",
        "CONCATENATION of uint8, scales differ",
        "RESIZE_BILINEAR of uint8",
    ] {
        let model = bytes(&tensors, &format!("{name}/model")).expect("a model");
        let file = ModelFile::from_bytes(Path::new("kind.tflite"), &model, &NetworkOptions::default())
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let q = file.quantized().expect("codes");
        let numbers = |id: ValueId, bytes: Vec<u8>, end: &End| -> Vec<f32> {
            let Format::Int8(of) = q.formats[id.0] else { panic!("{name}: other than codes") };
            flipped(&bytes, end.element).into_iter().map(|code| of.dequantize(code)).collect()
        };
        let ends = q.graph.inputs.iter().zip(file.inputs()).enumerate();
        let inputs: Vec<Vec<i8>> = ends
            .map(|(i, (id, end))| {
                let of = numbers(*id, bytes(&tensors, &format!("{name}/in{i}")).expect("an input"), end);
                of.iter().flat_map(|x| x.to_le_bytes()).map(|byte| byte as i8).collect()
            })
            .collect();
        let inputs: Vec<&[i8]> = inputs.iter().map(Vec::as_slice).collect();
        let q32 = float::everywhere(file.graph().clone(), Mode::F32);
        let program = lower(&q32, &TARGETS[0], Metadata::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let found = Executor::new(&program).run(&inputs).expect("inputs that fit").remove(0);
        let found: Vec<u8> = found.into_iter().map(|byte| byte as u8).collect();
        let found = found.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
        let id = q.graph.outputs[0];
        let expected = bytes(&tensors, &format!("{name}/litert0")).expect("an output");
        let expected = numbers(id, expected, &file.outputs()[0]);
        let (step, range) =
            (q.formats[id.0].step().expect("a scale"), q.formats[id.0].range().expect("a range"));
        for (found, expected) in found.zip(expected) {
            let found = found.clamp(range.0, range.1);
            assert!((found - expected).abs() <= 1.5 * step, "{name}: {found}, expected {expected}");
        }
    }
}
