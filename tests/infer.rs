//! `niello infer`, and other commands on model files. `models/` holds small ones, made by `models/make.py`.

mod support;

use safetensors::{
    SafeTensors,
    tensor::{Dtype, TensorView},
};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path};
use support::Room;

/// Tensors of a file: type, shape, bytes.
type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn file(tensors: &Tensors) -> Vec<u8> {
    let views = tensors
        .iter()
        .map(|(name, (dtype, shape, bytes))| (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

fn tensors(path: &Path) -> Tensors {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let one =
        |(name, t): (String, TensorView<'_>)| (name, (t.dtype(), t.shape().to_vec(), t.data().to_vec()));
    file.tensors().into_iter().map(one).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

fn real(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}

/// A room with the small models.
fn room() -> Room {
    let room = Room::new();
    for name in ["tiny_int8.tflite", "tiny.onnx"] {
        room.write(
            name,
            fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models").join(name)).unwrap(),
        );
    }
    room
}

fn bytes(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i as u8).wrapping_mul(37).wrapping_add(seed)).collect()
}

/// What `tiny_int8.tflite` computes: the map, the scores, the best.
fn tiny(input: &[u8]) -> (Vec<u8>, Vec<u8>, i32) {
    const CONV: [[i32; 2]; 3] = [[1, -1], [2, 0], [0, 3]];
    const BIAS: [i32; 3] = [10, -5, 0];
    let clamp = |x: i32| x.clamp(-128, 127);
    let map: Vec<i32> = input
        .chunks(2)
        .flat_map(|pixel| {
            let x: Vec<i32> = pixel.iter().map(|b| i32::from(*b) - 131).collect();
            CONV.iter()
                .zip(BIAS)
                .map(move |(w, b)| clamp((w[0] * x[0] + w[1] * x[1] + b).max(0) - 100))
                .collect::<Vec<_>>()
        })
        .collect();
    let weight = |i: usize| ((7 * i * i + 3 * i) % 5) as i32 - 2;
    let score = |class: usize| {
        let sum: i32 = map.iter().enumerate().map(|(i, q)| weight(36 * class + i) * (q + 100)).sum();
        clamp((f64::from(sum) * (0.25 * 0.5 / 2.0)).round() as i32 - 7)
    };
    let scores: Vec<i32> = (0..4).map(score).collect();
    let best = (0..4).rev().max_by_key(|i| scores[*i]).unwrap();
    let codes = |values: Vec<i32>| values.into_iter().map(|q| q as i8 as u8).collect();
    (codes(map), codes(scores), best as i32)
}

#[test]
fn codes_go_in_and_come_out_as_the_file_declares_them() {
    let room = room();
    let shape = vec![1, 4, 3, 2];
    let cases = [("a", bytes(1, 24)), ("with/slash", bytes(99, 24))];
    let mut inputs: Tensors = cases
        .iter()
        .map(|(case, codes)| {
            (format!("{case}/serving_default_image:0"), (Dtype::U8, shape.clone(), codes.clone()))
        })
        .collect();
    // The same as real numbers, without the batch, and with a name that is the case's alone.
    let numbers = cases[0].1.iter().map(|code| (f32::from(*code) - 131.0) * 0.5);
    inputs.insert("real".into(), (Dtype::F32, shape[1..].to_vec(), real(numbers)));
    room.write("in.safetensors", file(&inputs));
    let words = "infer --model tiny_int8.tflite --inputs in.safetensors --outputs out.safetensors";
    let json = room.json(&format!("{words} --layers --json"));
    assert_eq!((&json["cases"], &json["layers"], &json["format"]), (&3.into(), &5.into(), &"int8".into()));
    assert_eq!(json["inputs"][0]["element"], "uint8");
    assert_eq!(json["outputs"][1]["shape"], serde_json::json!([1]));
    let found = tensors(&room.path("out.safetensors"));
    for (case, input) in [("a", &cases[0].1), ("with/slash", &cases[1].1), ("real", &cases[0].1)] {
        let (map, scores, best) = tiny(input);
        let of = |name: &str| found[&format!("{case}/{name}")].clone();
        assert_eq!(of("StatefulPartitionedCall:0"), (Dtype::I8, vec![1, 4], scores), "{case}");
        assert_eq!(
            of("StatefulPartitionedCall:1"),
            (Dtype::I32, vec![1], best.to_le_bytes().into()),
            "{case}"
        );
        let signed: Vec<u8> = input.iter().map(|b| b ^ 0x80).collect();
        assert_eq!(of("layer/quantized"), (Dtype::I8, shape.clone(), signed), "{case}");
        let name = "layer/net/conv/Relu;net/conv/BiasAdd;net/bn/FusedBatchNorm";
        assert_eq!(of(name), (Dtype::I8, vec![1, 4, 3, 3], map.clone()), "{case}");
        assert_eq!(of("layer/flat"), (Dtype::I8, vec![1, 36], map), "{case}");
    }
    assert_eq!(found.len(), 3 * 7);
    room.text(words);
    let outputs = tensors(&room.path("out.safetensors"));
    assert_eq!(outputs.len(), 3 * 2);
    assert!(outputs.iter().all(|(name, tensor)| found[name] == *tensor));
}

#[test]
fn channels_first_stay_first() {
    let room = room();
    let image: Vec<f32> = (0..24).map(|i| i as f32 - 9.5).collect();
    let offsets = [-3.0, 2.0];
    let mut inputs = Tensors::new();
    inputs.insert("image".into(), (Dtype::F32, vec![1, 2, 3, 4], real(image.clone())));
    inputs.insert("offsets".into(), (Dtype::F32, vec![2, 1, 1], real(offsets)));
    room.write("in.safetensors", file(&inputs));
    let words = "infer --model tiny.onnx --inputs in.safetensors --outputs out.safetensors --layers";
    room.text(&format!("{words} --format f32"));
    let found = tensors(&room.path("out.safetensors"));
    let sum: Vec<f32> = image.iter().enumerate().map(|(i, x)| x + offsets[i / 12]).collect();
    let map: Vec<f32> = sum.iter().map(|x| x.max(0.0)).collect();
    let mean = map.chunks(12).map(|plane| plane.iter().sum::<f32>() / 12.0);
    // One case without a name.
    assert_eq!(found["map"], (Dtype::F32, vec![1, 2, 3, 4], real(map.clone())));
    assert_eq!((found["mean"].0, &found["mean"].1), (Dtype::F32, &vec![1, 2, 1, 1]));
    let near = floats(&found["mean"].2).into_iter().zip(mean).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(near, "{:?}", floats(&found["mean"].2));
    // In int8 the file's types stay.
    let int8 = room.json(&format!("{words} --calibrate in.safetensors --json"));
    assert_eq!((&int8["format"], &int8["outputs"][0]["element"]), (&"int8".into(), &"float32".into()));
    let step = int8["outputs"][0]["scale"].as_f64().unwrap() as f32;
    let coded = tensors(&room.path("out.safetensors"));
    let worst = floats(&coded["map"].2).iter().zip(&map).fold(0f32, |w, (a, b)| w.max((a - b).abs()));
    assert!(step > 0.0 && worst < 2.5 * step, "{worst} of {step}");
}

#[test]
fn truth_values_are_numbers_and_nothing_is_nothing() {
    let nodes = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/node/nodes.safetensors");
    let nodes = fs::read(nodes).unwrap();
    let nodes = SafeTensors::deserialize(&nodes).unwrap();
    let room = Room::new();
    let infer = |name: &str, inputs: Tensors| {
        let model = nodes.tensor(&format!("{name}/model.onnx")).unwrap().data().to_vec();
        room.write(&format!("{name}.onnx"), model);
        room.write("in.safetensors", file(&inputs));
        let words = "--format f32 --inputs in.safetensors --outputs out.safetensors";
        room.text(&format!("infer --model {name}.onnx {words}"));
        tensors(&room.path("out.safetensors"))
    };
    let truths = |step: usize| (0..12).map(|i| u8::from(i % step == 0)).collect::<Vec<u8>>();
    let inputs = [("x", truths(2)), ("y", truths(3))];
    let inputs = inputs.map(|(name, truths)| (name.to_string(), (Dtype::BOOL, vec![3, 4], truths)));
    let either = real((0..12).map(|i| if i % 2 == 0 || i % 3 == 0 { 1.0 } else { 0.0 }));
    assert_eq!(infer("test_or2d", inputs.into())["or"], (Dtype::F32, vec![3, 4], either));
    let input = ("x".to_string(), (Dtype::F32, vec![3, 4, 5], real([0.0; 60])));
    let found = infer("test_shape_start_greater_than_end", [input].into());
    assert_eq!((&found["y"].1, found["y"].2.len()), (&vec![0], 0));
}

#[test]
fn networks_that_no_file_declares_are_taken_as_in_pytorch() {
    let room = Room::new();
    let values = niello_codegen::weights::seeded_values("x").map(|v| v as f32);
    let mut inputs = Tensors::new();
    inputs.insert("a".into(), (Dtype::F32, vec![1, 1, 16, 32], real(values.take(512))));
    room.write("in.safetensors", file(&inputs));
    let model = "--model anam_net --seeded --width 8 --input 16x32";
    let json = room.json(&format!("infer {model} --inputs in.safetensors --outputs out.safetensors --json"));
    let found = tensors(&room.path("out.safetensors"));
    let (dtype, shape, _) = &found[&format!("a/{}", json["outputs"][0]["name"].as_str().unwrap())];
    assert_eq!((*dtype, &shape[2..]), (Dtype::I8, &[16, 32][..]));
}

#[test]
fn errors_name_case_and_tensor() {
    let room = room();
    let image = || (Dtype::U8, vec![1, 4, 3, 2], bytes(0, 24));
    let floats = |shape: &[usize]| (Dtype::F32, shape.to_vec(), vec![0; 4 * shape.iter().product::<usize>()]);
    for (model, inputs, expected) in [
        (
            "tiny_int8.tflite",
            vec![],
            "holds no tensors, expected CASE/INPUT with the inputs `serving_default_image:0`",
        ),
        (
            "tiny_int8.tflite",
            vec![("a/serving_default_image:0", (Dtype::U8, vec![1, 4, 2, 3], bytes(0, 24)))],
            "case `a`: tensor `a/serving_default_image:0`: expected the shape [1, 4, 3, 2], found [1, 4, 2, 3]",
        ),
        (
            "tiny_int8.tflite",
            vec![("a", (Dtype::I8, vec![1, 4, 3, 2], bytes(0, 24)))],
            "case `a`: tensor `a`: expected uint8 codes or float numbers, found elements of type I8",
        ),
        (
            "tiny_int8.tflite",
            vec![("a", image()), ("a/serving_default_image:0", image())],
            "case `a`: `a` and `a/serving_default_image:0` are the same input",
        ),
        (
            "tiny.onnx --format f32",
            vec![("a/image", floats(&[1, 2, 3, 4]))],
            "case `a`: no tensor for the input `offsets`",
        ),
        (
            "tiny.onnx --format f32",
            vec![("a/picture", floats(&[1, 2, 3, 4]))],
            "tensor `a/picture`: expected the name CASE/INPUT with one of the inputs `image`, `offsets`",
        ),
        (
            "tiny.onnx --format f32",
            vec![("image", image()), ("offsets", floats(&[2]))],
            "case ``: tensor `image`: expected the shape [1, 2, 3, 4], found [1, 4, 3, 2]",
        ),
    ] {
        let inputs: Tensors = inputs.into_iter().map(|(name, tensor)| (name.to_string(), tensor)).collect();
        room.write("in.safetensors", file(&inputs));
        let output =
            room.niello(&format!("infer --model {model} --inputs in.safetensors --outputs out.safetensors"));
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(expected), "{error}\nexpected: {expected}");
    }
    assert!(!room.path("out.safetensors").exists());
    room.write("in.safetensors", "no tensors");
    let output =
        room.niello("infer --model tiny_int8.tflite --inputs in.safetensors --outputs out.safetensors");
    assert!(String::from_utf8_lossy(&output.stderr).contains("no safetensors file"));
}

/// Codes of a case, as `tools/goldens.py` makes them; `None` for pictures.
fn codes(folder: &Path, case: &Value, shape: &[usize], zero_point: i64) -> Option<Vec<u8>> {
    let len: usize = shape.iter().product();
    let seeded = |len: usize| {
        let mut codes = vec![0i8; len];
        niello::self_test::Codes::new(case["seed"].as_u64().unwrap()).fill(&mut codes);
        codes
    };
    let codes = match case["kind"].as_str().unwrap() {
        "noise" => seeded(len),
        "constant" => vec![case["code"].as_i64().unwrap_or(zero_point) as i8; len],
        "file" => {
            return Some(fs::read(folder.join("natural").join(case["file"].as_str().unwrap())).unwrap());
        }
        "blocks" => match shape[..] {
            [_, h, w, c] => {
                let columns = w.div_ceil(8);
                let blocks = seeded(h.div_ceil(8) * columns * c);
                let at = |i: usize| blocks[(i / (w * c) / 8 * columns + i / c % w / 8) * c + i % c];
                (0..len).map(at).collect()
            }
            _ => {
                let blocks = seeded(len.div_ceil(8));
                (0..len).map(|i| blocks[i / 8]).collect()
            }
        },
        _ => return None,
    };
    Some(codes.into_iter().map(|q| q as u8).collect())
}

#[test]
fn models_of_the_field_have_the_outputs_of_litert() {
    let Some(folder) = support::shared() else { return };
    let (folder, room) = (folder.join("import/tflite"), Room::new());
    for name in ["ds_cnn_kws_int8", "micro_speech_int8"] {
        let doc: Value =
            serde_json::from_slice(&fs::read(folder.join(format!("{name}.json"))).unwrap()).unwrap();
        let input = &doc["inputs"][0];
        let shape: Vec<usize> = serde_json::from_value(input["shape"].clone()).unwrap();
        let mut inputs = Tensors::new();
        for case in doc["cases"].as_array().unwrap() {
            if let Some(codes) = codes(&folder, case, &shape, input["zero_point"].as_i64().unwrap()) {
                inputs.insert(case["name"].as_str().unwrap().into(), (Dtype::I8, shape.clone(), codes));
            }
        }
        assert_eq!(inputs.len(), 20, "{name}");
        room.write("in.safetensors", file(&inputs));
        let model = folder.join(doc["model"].as_str().unwrap());
        let mut command =
            room.command("infer --inputs in.safetensors --outputs out.safetensors --layers --model");
        let output = command.arg(&model).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let found = tensors(&room.path("out.safetensors"));
        for (key, expected) in tensors(&folder.join(format!("{name}.outputs.safetensors"))) {
            let (case, _) = key.split_once('/').unwrap();
            let output = &found[&format!("{case}/{}", doc["outputs"][0]["name"].as_str().unwrap())];
            assert_eq!(*output, expected, "{name}, {case}");
        }
        for case in doc["cases"].as_array().unwrap().iter().filter(|case| case["layers"].is_array()) {
            for (layer, expected) in
                doc["layers"].as_array().unwrap().iter().zip(case["layers"].as_array().unwrap())
            {
                let key =
                    format!("{}/layer/{}", case["name"].as_str().unwrap(), layer["name"].as_str().unwrap());
                let (_, shape, bytes) = &found[&key];
                assert_eq!(serde_json::json!(shape), layer["shape"], "{name}, {key}");
                let sum = niello::self_test::Checksum::of(bytes);
                assert_eq!(format!("{sum:016x}"), expected.as_str().unwrap(), "{name}, {key}");
            }
        }
    }
}

#[test]
fn every_command_takes_a_model_file() {
    let room = room();
    let model = "--model tiny_int8.tflite";
    let json = room.json(&format!("inspect {model} --json"));
    assert_eq!(json["summary"], "TensorFlow Lite model, int8: made by make.py");
    assert_eq!(
        (&json["inputs"][0]["zero_point"], &json["inputs"][0]["element"]),
        (&131.into(), &"uint8".into())
    );
    assert_eq!(
        (&json["layers"][0]["scale"], &json["layers"][0]["zero_point"]),
        (&0.25.into(), &(-100).into())
    );
    let text = room.text(&format!("inspect {model}"));
    assert!(text.contains("serving_default_image:0") && text.contains("[1, 4, 3, 2]"), "{text}");
    let onnx = room.text("inspect --model tiny.onnx");
    assert!(
        onnx.contains("ONNX model") && onnx.contains("[1, 2, 3, 4]") && !onnx.contains("zero point"),
        "{onnx}"
    );

    let report = room.json(&format!("report {model} --json"));
    assert_eq!(report["network"], "tiny_int8");
    assert!(room.text(&format!("bench {model} --repetitions 1")).contains("tiny_int8"));
    room.text(&format!("golden {model} --out tiny.golden"));
    assert!(room.text(&format!("golden {model} --check tiny.golden")).contains("every byte as recorded"));

    // Codes of a file are codes: the reference is the network that they stand for.
    let mut inputs = Tensors::new();
    let codes: Vec<u8> = bytes(5, 24).iter().map(|b| 100 + b % 64).collect();
    inputs.insert("a".into(), (Dtype::U8, vec![1, 4, 3, 2], codes.clone()));
    room.write("in.safetensors", file(&inputs));
    let verified = room.json(&format!("verify {model} --data in.safetensors --json"));
    assert_eq!(verified["images"], 1);
    room.text(&format!("golden {model} --data in.safetensors --checksums-only --out tiny.golden"));
    room.text(&format!("golden {model} --data in.safetensors --check tiny.golden"));
    assert!(verified["layers"][0]["max_lsb"].as_f64().unwrap() < 0.01, "{verified}");
    let (_, scores, _) = tiny(&codes);
    let ran = room.json(&format!("run {model} in.safetensors --json"));
    let best = (0..4).rev().max_by_key(|i| scores[*i] as i8).unwrap();
    assert_eq!(ran["class"], format!("class {best}"));
    // The first of the joined names is enough.
    room.text(&format!("run {model} in.safetensors --dump net/conv/Relu --dump-to maps"));
    assert_eq!(room.contents("maps").len(), 2);

    // A recipe names it relative to its own folder.
    room.write("recipes/net.toml", "network = '../tiny_int8.tflite'\nclasses = ['a', 'b', 'c', 'd']\n");
    assert_eq!(
        room.json("run --recipe recipes/net.toml in.safetensors --json")["classes"]["a"],
        ran["classes"]["class 0"]
    );
    let config = niello_codegen::Config::new(&niello_models::Registry).out_dir(room.path("out"));
    let build = config.compile(room.path("recipes/net.toml")).unwrap();
    assert_eq!((build.classes[3].as_str(), build.program.name.as_str()), ("d", "tiny_int8"));
    assert!(room.path("out/net.rs").is_file());

    room.text(&format!("compile {model} --out made --c-api --target portable"));
    assert!(fs::read_to_string(room.path("made/include/tiny_int8.h")).unwrap().contains("tiny_int8_infer"));
    room.write("float.safetensors", "");
    for (words, expected) in [
        (format!("calibrate {model} --out x.lock"), "a quantised file has its own scales"),
        (
            format!("report {model} --rounding single"),
            "`format.rounding` is for networks whose scales niello chooses",
        ),
        (format!("report {model} --input 7x7"), "`input.size` is 7x7, the file's input is"),
        (format!("report {model} --seeded"), "`seeded` is for networks that are built from a checkpoint"),
        ("report --model tiny.onnx".into(), "int8 needs sample inputs"),
        ("report --model nothing.onnx".into(), "cannot read nothing.onnx"),
        ("report --model net.tfl".into(), "no network `net.tfl`"),
    ] {
        let output = room.niello(&words);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(expected), "{words}: {error}");
    }
}

#[test]
fn float_files_are_calibrated_and_locked() {
    let room = room();
    let values = |key: &str, len: usize| {
        real(niello_codegen::weights::seeded_values(key).take(len).map(|v| v as f32).collect::<Vec<f32>>())
    };
    let mut inputs = Tensors::new();
    for sample in ["0", "1"] {
        inputs.insert(format!("{sample}/image"), (Dtype::F32, vec![1, 2, 3, 4], values(sample, 24)));
        inputs.insert(format!("{sample}/offsets"), (Dtype::F32, vec![1, 2, 1, 1], values(sample, 2)));
    }
    room.write("in.safetensors", file(&inputs));
    room.write("net.toml", "network = 'tiny.onnx'\n[calibrate]\nimages = 'in.safetensors'\n");
    assert!(room.text("calibrate net.toml").contains("calibrated on 2 inputs"));
    assert!(room.path("net.lock").is_file());
    let report = room.text("report net.toml");
    assert!(report.contains("net.lock"), "{report}");
    let verified = room.json("verify net.toml --data in.safetensors --json");
    assert!(verified["output"]["sqnr_db"].as_f64().unwrap() > 25.0, "{verified}");
    // An image is one input of two.
    room.png("a.png", 8);
    let output = room.niello("run --recipe net.toml a.png");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("tiny has the inputs `image`, `offsets`"), "{error}");
}
