//! Shrunk files of public bug reports of this field, and the result of this project on each. `../shared/cases` holds the
//! originals; the tests here make inputs of their own, and the last ones take those too.

mod support;

use niello_codegen::{
    Error, Graph, GraphBuilder, Shape, Tensor, ValueId,
    check::compare::verify,
    execute::Executor,
    lower::{TARGETS, lower_apart},
    ops::{Add, Clamp, ConvParams, MaxPool2d, Mul, PointWise, Softmax, Sub},
    passes::optimize,
    program::Metadata,
    quantize::{QuantizeOptions, RangeMethod, calibrate::calibrate, quantize},
    weights::SafeTensorsFile,
};
use niello_imaging::{NpyData, write_npy};
use safetensors::SafeTensors;
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use support::{Room, Tensors, safetensors, shared, tensors};

const CNN: &str = "--model w251_baseline_cnn --input 16x16";

fn write(room: &Room, name: &str, values: impl Fn(usize) -> f32) {
    let data: Vec<f32> = (0..16 * 16).map(values).collect();
    write_npy(room.path(name), NpyData::F32(&data), &[16, 16]).unwrap();
}

/// A slice of Hounsfield units between 0 and 1 after pre-processing, which is none: as the network takes it.
fn plain(seed: usize) -> impl Fn(usize) -> f32 {
    move |i| ((i * 37 + seed * 101) % 97) as f32 / 97.0
}

fn sqnr(json: &Value, layer: &str) -> f64 {
    let layers = json["layers"].as_array().unwrap();
    let found =
        layers.iter().find(|l| l["name"] == layer).unwrap_or_else(|| panic!("no layer {layer} in {json}"));
    found["sqnr_db"].as_f64().unwrap_or_else(|| panic!("{found}"))
}

/// Three filters of the first layer are pruned: `value` instead of their weights, a bias of 0.41.
fn pruned(value: f32) -> Tensors {
    let mut all = tensors("w251_baseline_cnn", 3);
    let (shape, weights) = all.get_mut("conv2d_list.0.weight").unwrap();
    let row = weights.len() / shape[0];
    for filter in [3, 11, 19] {
        weights[filter * row..(filter + 1) * row].iter_mut().for_each(|w| *w *= value);
    }
    let bias = &mut all.get_mut("conv2d_list.0.bias").unwrap().1;
    [3, 11, 19].iter().for_each(|filter| bias[*filter] = 0.41);
    all
}

/// Warnings and output of a command that works.
fn told(room: &Room, words: &str) -> String {
    told_with(room, words, 0)
}

/// Of one that ends with this status.
fn told_with(room: &Room, words: &str, status: i32) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_niello"))
        .args(words.split_whitespace())
        .current_dir(room.path(""))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(status), "niello {words}");
    String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap()
}

#[test]
fn filters_of_nothing_keep_their_bias() {
    let room = Room::new();
    write(&room, "a.npy", plain(1));
    write(&room, "b.npy", plain(2));
    let of = |value: f32| {
        room.write("w.safetensors", safetensors(&pruned(value)));
        let words = format!(
            "verify {CNN} --preprocess raw --weights w.safetensors --calibrate a.npy --data b.npy --json"
        );
        sqnr(&room.json(&words), "conv2d_list.0.relu")
    };
    let (tiny, zero, denormal) = (of(1e-30), of(0.0), of(1e-42));
    assert!(tiny > 35.0, "{tiny}");
    assert_eq!((zero, denormal), (tiny, tiny));
}

#[test]
fn a_power_of_two_changes_no_code() {
    let room = Room::new();
    let scaled = |factor: f32| {
        let mut all = tensors("w251_baseline_cnn", 3);
        let biases = all.iter_mut().filter(|(name, _)| name.ends_with("bias"));
        biases.for_each(|(_, (_, data))| data.iter_mut().for_each(|b| *b *= factor));
        room.write("w.safetensors", safetensors(&all));
        write(&room, "a.npy", |i| factor * plain(1)(i));
        write(&room, "b.npy", |i| factor * plain(2)(i));
        let words = format!(
            "verify {CNN} --preprocess raw --weights w.safetensors --calibrate a.npy --data b.npy --json"
        );
        sqnr(&room.json(&words), "conv2d_list.0.relu")
    };
    let plain = scaled(1.0);
    assert!(plain > 35.0, "{plain}");
    for exponent in [-30, -60, 40] {
        assert!((scaled(2f32.powi(exponent)) - plain).abs() < 1e-3, "2^{exponent}");
    }
}

#[test]
fn the_largest_numbers_end_in_a_report_or_an_error_at_once() {
    let room = Room::new();
    room.write("w.safetensors", safetensors(&tensors("w251_baseline_cnn", 3)));
    for value in [1.7e38, 1.8e38, f32::MAX, -f32::MAX] {
        write(&room, "a.npy", |i| if i == 100 { value } else { plain(1)(i) });
        let start = Instant::now();
        let output =
            room.niello(&format!("report {CNN} --preprocess raw --weights w.safetensors --calibrate a.npy"));
        assert!(start.elapsed() < Duration::from_secs(20), "{value}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() || text.contains("not finite"), "{value}: {text}");
    }
}

#[test]
fn a_variance_below_zero_names_its_tensor_in_every_format() {
    let room = Room::new();
    let mut all = tensors("unet_small_lung", 2);
    all.get_mut("conv1.1.running_var").unwrap().1[5] = -5.0;
    room.write("w.safetensors", safetensors(&all));
    for format in ["int8", "f16", "f16-native", "f16-winograd", "f32"] {
        let words = format!(
            "compile --model unet_small_lung --input 64x64 --weights w.safetensors --format {format} --out crate"
        );
        let output = room.niello(&words);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{format}");
        assert!(text.contains("`conv1.1.running_var`: holds -5 for channel 5"), "{format}: {text}");
        assert!(!room.path("crate").exists());
    }
}

#[test]
fn overflow_in_half_precision_is_a_warning_of_the_build_and_of_verify() {
    let room = Room::new();
    let mut all = tensors("w251_baseline_cnn", 3);
    all.get_mut("conv2d_list.0.bias").unwrap().1.iter_mut().for_each(|b| *b = 1e5);
    room.write("w.safetensors", safetensors(&all));
    write(&room, "a.npy", plain(1));
    let words = |format: &str| {
        format!("{CNN} --preprocess raw --weights w.safetensors --calibrate a.npy --format {format}")
    };
    let told = |command: &str, format: &str| told(&room, &format!("{command} {}", words(format)));
    for format in ["f16", "f16-native", "f16-winograd"] {
        let built = told("report", format);
        assert!(built.contains("warning: `conv2d_list.0.relu` reaches 100"), "{format}: {built}");
        let verified = told_with(&room, &format!("verify --data a.npy {}", words(format)), 1);
        assert!(verified.contains("values that are not finite"), "{format}: {verified}");
    }
    let exact = told("verify --data a.npy", "f32");
    assert!(!exact.contains("warning"), "{exact}");
}

#[test]
fn a_layer_that_died_is_a_warning() {
    let room = Room::new();
    let mut all = tensors("w251_baseline_cnn", 3);
    all.get_mut("conv2d_list.0.bias").unwrap().1.iter_mut().for_each(|b| *b = -1e3);
    room.write("w.safetensors", safetensors(&all));
    write(&room, "a.npy", plain(1));
    let line = format!("report {CNN} --preprocess raw --weights w.safetensors --calibrate a.npy");
    let text = told(&room, &line);
    assert!(text.contains("warning: `conv2d_list.0.relu` is 0 for every calibration input"), "{text}");
}

/// A graph of `net.json`: operators in order, with the tensors of `w.safetensors`.
fn described(folder: &Path, net: &Value) -> Graph {
    let mut weights = SafeTensorsFile::open(folder.join("w.safetensors")).unwrap();
    let mut b = GraphBuilder::new("described", &mut weights);
    let mut made: Vec<(String, ValueId)> = vec![];
    let numbers = |v: &Value| -> Vec<usize> {
        v.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect()
    };
    for input in net["inputs"].as_array().unwrap() {
        let (name, shape) = (input["name"].as_str().unwrap(), numbers(&input["shape"]));
        made.push((name.into(), b.input(name, Shape::new(shape[0], shape[1], shape[2]))));
    }
    let find = |made: &[(String, ValueId)], name: &Value| {
        made.iter().find(|(n, _)| *n == name.as_str().unwrap()).unwrap_or_else(|| panic!("no {name}")).1
    };
    for node in net["nodes"].as_array().unwrap() {
        let (op, name) = (node["op"].as_str().unwrap(), node["name"].as_str().unwrap());
        let x: Vec<ValueId> = node["in"].as_array().unwrap().iter().map(|i| find(&made, i)).collect();
        let id = match op {
            "conv2d" => {
                let pair = |key: &str| <[usize; 2]>::try_from(numbers(&node[key])).unwrap();
                let params = ConvParams {
                    out: node["out"].as_u64().unwrap() as usize,
                    kernel: pair("kernel"),
                    stride: pair("stride"),
                    dilation: pair("dilation"),
                    padding: [0; 4],
                    groups: node["groups"].as_u64().unwrap() as usize,
                    bias: node["bias"].as_bool().unwrap(),
                };
                assert_eq!(node["padding"], "same", "{folder:?}");
                let Shape { h, w, .. } = b.shape(x[0]);
                b.conv2d(name, x[0], params.same([h, w]))
            }
            "concat" => b.concat(name, &x),
            "add" => b.add_op(name, Add::default(), &x),
            "sub" => b.add_op(name, Sub::default(), &x),
            "mul" => b.add_op(name, Mul::default(), &x),
            "relu" => b.add_op(name, Clamp::RELU, &x),
            "sigmoid" => b.add_op(name, PointWise::sigmoid(), &x),
            "softmax" => b.add_op(name, Softmax, &x),
            "max_pool" => b.add_op(name, MaxPool2d::new(2, 2), &x),
            other => panic!("{folder:?}: operator {other}"),
        };
        made.push((name.into(), id));
    }
    let outputs: Vec<ValueId> =
        net["outputs"].as_array().unwrap().iter().map(|name| find(&made, name)).collect();
    b.finish(&outputs).unwrap()
}

/// The samples of a file whose tensors are called `INDEX/INPUT`.
fn samples(path: &Path, graph: &Graph) -> Vec<Vec<Tensor<f32>>> {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    (0..)
        .map_while(|i| {
            let of_input = |id: &ValueId| {
                let view = file.tensor(&format!("{i}/{}", graph.values[id.0].name)).ok()?;
                let data = view.data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
                Some(Tensor::new(graph.shape(*id), data).unwrap())
            };
            graph.inputs.iter().map(of_input).collect::<Option<Vec<_>>>()
        })
        .collect()
}

/// Every output of a described network, for every target, with the smallest SQNR of the outputs.
fn outputs_of(folder: &Path) -> (Vec<Vec<f32>>, f64) {
    let net: Value = serde_json::from_slice(&fs::read(folder.join("net.json")).unwrap()).unwrap();
    assert_eq!(net["options"]["method"], "auto", "{folder:?}");
    let graph = optimize(described(folder, &net));
    let options = QuantizeOptions {
        method: RangeMethod::Auto(99.99),
        bias_correction: net["options"]["bias_correction"].as_bool().unwrap(),
        ..QuantizeOptions::default()
    };
    let set = samples(&folder.join("calib.safetensors"), &graph);
    let calibration = calibrate(&graph, set.into_iter().map(Ok::<_, Error>), |_| {}).unwrap();
    let test = samples(&folder.join("test.safetensors"), &graph);
    let q = quantize(graph, &calibration, &options).unwrap();
    let (mut all, mut min) = (vec![], f64::INFINITY);
    for target in TARGETS {
        let program = lower_apart(&q, target, Metadata::default()).unwrap();
        let result = verify(&q.graph, &program, [Ok(test[0].clone())], |_, pair| {
            all.push(pair.coded.iter().map(|t| t.data.clone()).collect::<Vec<_>>());
            Ok(())
        })
        .unwrap();
        let names: Vec<&str> = program.outputs.iter().map(|id| &*program.tensor(*id).name).collect();
        for layer in result.layers.iter().filter(|layer| names.contains(&&*layer.name)) {
            min = min.min(layer.sqnr_db.unwrap_or(f64::INFINITY));
        }
        let codes: Vec<Vec<i8>> = program
            .inputs
            .iter()
            .zip(&test[0])
            .map(|(id, t)| program.tensor(*id).quantize(&t.data))
            .collect();
        let codes: Vec<&[i8]> = codes.iter().map(|c| &c[..]).collect();
        Executor::new(&program).run(&codes).unwrap();
    }
    assert!(all.iter().all(|outputs| *outputs == all[0]), "{folder:?}: targets differ");
    (all.swap_remove(0), min)
}

/// The tests of the folders of `../shared/cases`: here, or with the readers of images and weights.
const ELSEWHERE: &[&str] = &[
    "calibration_folder_with_dicomdir",
    "dicom_modality_lut_sequence",
    "dicom_shared_groups_without_rescale",
    "jpeg_422_last_column",
    "jpeg_bytes_after_the_end",
    "npy_leading_axis_window_gray",
    "resize_area_one_side_up_one_down",
    "safetensors_index_json",
    // Folders whose `describe.md` the tests above follow; `docs/arithmetic.md` has the figures.
    "bn_negative_variance_in_floats",
    "f16_overflow_is_silent",
    "hard_swish_table_against_litert",
];

#[test]
fn the_shared_cases_give_what_is_right() {
    let Some(shared) = shared() else { return };
    let cases = shared.join("cases");
    let room = Room::new();
    let mut tried = 0;
    for entry in fs::read_dir(&cases).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        if !folder.is_dir() || ELSEWHERE.contains(&&*name) {
            continue;
        }
        tried += 1;
        let at = |file: &str| folder.join(file).display().to_string();
        let expected: Value =
            serde_json::from_slice(&fs::read(folder.join("expected.json")).unwrap()).unwrap();
        match &*name {
            "calibration_flt_max_hangs" => {
                for file in ["fltmax.npy", "1p7e38.npy"] {
                    let (weights, image) = (at("w251_small.safetensors"), at(file));
                    let start = Instant::now();
                    let output =
                        room.niello(&format!("report {CNN} --weights {weights} --calibrate {image}"));
                    let text = String::from_utf8(output.stderr).unwrap();
                    assert!(output.status.success() || text.contains("not finite"), "{file}: {text}");
                    assert!(start.elapsed() < Duration::from_secs(20), "{file}");
                }
            }
            "dead_filter_bias" => {
                let images = format!(
                    "--calibrate {} --calibrate {} --data {}",
                    at("g0.npy"),
                    at("g1.npy"),
                    at("g2.npy")
                );
                for file in ["w251_dead_zero.safetensors", "w251_dead_tiny.safetensors"] {
                    let json = room.json(&format!("verify {CNN} --weights {} {images} --json", at(file)));
                    let db = sqnr(&json, "conv2d_list.0.relu");
                    assert!((db - 53.2).abs() < 0.1, "{file}: {db}");
                }
            }
            "tiny_values_auto_range" => {
                let (weights, a, b) = (at("w251_plain.safetensors"), at("adc0.npy"), at("adc1.npy"));
                for range in ["", "--range minmax", "--range mse"] {
                    let words =
                        format!("verify {CNN} --weights {weights} --calibrate {a} --data {b} {range} --json");
                    let db = sqnr(&room.json(&words), "conv2d_list.0.relu");
                    assert!(db > 45.0, "`{range}`: {db}");
                }
            }
            "concat_shares_the_coarser_scale" => {
                let net: Value = serde_json::from_slice(&fs::read(folder.join("net.json")).unwrap()).unwrap();
                let (_, min) = outputs_of(&folder);
                assert!(min >= net["min_sqnr"].as_f64().unwrap(), "{min} dB");
            }
            "concat_input_with_sigmoid" | "plan_concat_times_its_part" => {
                let (outputs, _) = outputs_of(&folder);
                let right: Vec<f32> = expected["right"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|v| v.as_f64().unwrap() as f32)
                    .collect();
                let largest = right.iter().fold(0f32, |m, x| m.max(x.abs()));
                assert_eq!(outputs[0].len(), right.len());
                for (found, right) in outputs[0].iter().zip(&right) {
                    // Two steps of 255 over a range of twice the largest value at most.
                    assert!(
                        (found - right).abs() <= 4.0 * largest / 255.0,
                        "{name}: {outputs:?}, expected {right:?}"
                    );
                }
            }
            other => panic!("{other}: no test tries this case"),
        }
    }
    assert_eq!(tried, 6, "in {}", cases.display());
}
