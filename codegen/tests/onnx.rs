//! ONNX files: small ones that are made here, and, where they are found beside the checkout (or where `NIELLO_SHARED` says), exports of six
//! networks, what exporters write, what the format allows, what must be refused, and broken files.
//!
//! Without that folder its tests say so and pass; under `CI=true`, or when `NIELLO_SHARED` is set, they fail.

#[path = "common/page.rs"]
mod page;
#[path = "onnx/small.rs"]
mod small;
#[path = "onnx/values.rs"]
mod values;

use niello_codegen::{
    Shape, Tensor,
    import::{
        network::NetworkOptions,
        onnx::{Model, Port, import, import_model},
    },
    passes::optimize,
};
use page::{row, share};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

/// The folder of ONNX files.
fn shared(folder: &str) -> Option<PathBuf> {
    let chosen = std::env::var_os("NIELLO_SHARED").map(PathBuf::from);
    let required = chosen.is_some() || std::env::var("CI").is_ok_and(|v| v == "true");
    let shared = chosen.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"));
    let folder = shared.join("import").join(folder);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(!required, "no {}", folder.display());
    println!("skipped: no {}", folder.display());
    None
}

/// The ONNX files of a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|e| e == "onnx")).collect();
    files.sort();
    files
}

fn load(path: &Path, options: &NetworkOptions) -> niello_codegen::Result<Model> {
    import_model(path, &fs::read(path).unwrap(), path.parent(), options)
}

/// Where each element of the graph's map is in the file's dense tensor.
fn places(port: &Port) -> (Shape, Vec<usize>) {
    let mut steps = vec![1; port.dims.len()];
    (1..port.dims.len()).rev().for_each(|axis| steps[axis - 1] = steps[axis] * port.dims[axis]);
    let axes: Vec<usize> = port.axes.concat();
    let mut at = vec![0];
    for axis in &axes {
        at = at
            .iter()
            .flat_map(|first| (0..port.dims[*axis]).map(move |i| (first, i)))
            .map(|(f, i)| f + i * steps[*axis])
            .collect();
    }
    let size = |axes: &[usize]| axes.iter().map(|axis| port.dims[*axis]).product();
    let [h, w, c] = &port.axes;
    (Shape::new(size(h), size(w), size(c)), at)
}

/// The file's dense tensor as the graph's map.
fn to_map(port: &Port, values: &[f64]) -> Option<Tensor<f64>> {
    let (shape, at) = places(port);
    Tensor::new(shape, at.iter().map(|i| values.get(*i).copied()).collect::<Option<_>>()?)
}

fn numbers(tensor: &safetensors::tensor::TensorView<'_>) -> Vec<f64> {
    let bytes = tensor.data();
    match tensor.dtype() {
        Dtype::F32 => bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()) as f64).collect(),
        Dtype::I64 => bytes.chunks(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64).collect(),
        other => panic!("{other:?}"),
    }
}

/// The largest difference of the model's outputs from the stored ones, relative to the largest of these; in both precisions, and with all passes.
fn difference(model: &Model, stored: &SafeTensors<'_>) -> Result<f64, String> {
    let name = |kind: &str, i: usize| if i == 0 { kind.to_string() } else { format!("{kind}{i}") };
    let tensor = |name: &str| stored.tensor(name).map_err(|e| format!("{name}: {e}"));
    let mut inputs = vec![];
    for (i, port) in model.inputs.iter().enumerate() {
        let (values, (shape, at)) = (numbers(&tensor(&name("input", i))?), places(port));
        inputs.push(
            Tensor::new(shape, at.iter().map(|i| values[*i]).collect()).ok_or("an input of another size")?,
        );
    }
    let singles: Vec<Tensor<f32>> = inputs.iter().map(|t| t.map(|x| x as f32)).collect();
    let optimized = optimize(model.graph.clone());
    let outputs = stored.names().iter().filter(|name| name.starts_with("output")).count();
    if model.outputs.len() != outputs {
        return Err(format!("{} outputs, expected {outputs}", model.outputs.len()));
    }
    let mut largest = 0f64;
    for graph in [&model.graph, &optimized] {
        let double = graph.eval_f64(&inputs).map_err(|e| e.to_string())?;
        let single = graph.eval_f32(&singles).map_err(|e| e.to_string())?;
        let single: Vec<Tensor<f64>> = single.iter().map(|t| t.map(f64::from)).collect();
        for results in [double, single] {
            for (i, (port, result)) in model.outputs.iter().zip(&results).enumerate() {
                let stored = tensor(&name("output", i))?;
                let ((shape, at), wanted) = (places(port), numbers(&stored));
                if stored.shape() != port.dims || shape != result.shape || wanted.len() != at.len() {
                    return Err(format!(
                        "output {i}: {:?} as {:?}, expected {:?}",
                        result.shape,
                        port,
                        stored.shape()
                    ));
                }
                let scale = wanted.iter().fold(1e-3f64, |m, x| m.max(x.abs()));
                for (found, at) in result.data.iter().zip(&at) {
                    let off = (found - wanted[*at]).abs() / scale;
                    largest = if off.is_finite() { largest.max(off) } else { f64::INFINITY };
                }
            }
        }
    }
    Ok(largest)
}

/// Imports every file of a folder and compares its outputs with those stored beside it. `group` is the row of the page that a file is in.
fn reproduce(
    folder: &str,
    count: usize,
    group: impl Fn(&str) -> String,
    options: impl Fn(&str) -> NetworkOptions,
) {
    let Some(folder) = shared(folder) else { return };
    let (files, mut failures) = (files(&folder), vec![]);
    // Of each group: files, those that are near, the largest difference of these, the first failure.
    let mut groups: BTreeMap<String, (usize, usize, f64, Option<String>)> = BTreeMap::new();
    for path in &files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let stored =
            fs::read(folder.join(name.split('.').next().unwrap()).with_extension("safetensors")).unwrap();
        let stored = SafeTensors::deserialize(&stored).unwrap();
        let made = load(path, &options(name))
            .map_err(|e| e.to_string())
            .and_then(|model| difference(&model, &stored));
        let failure = match &made {
            Ok(difference) if *difference < 1e-4 => None,
            Ok(difference) => Some(format!("{name}: {difference:e}")),
            Err(error) => Some(format!("{name}: {error}")),
        };
        let (all, near, largest, first) = groups.entry(group(name)).or_default();
        *all += 1;
        *near += usize::from(failure.is_none());
        *largest = made.ok().filter(|_| failure.is_none()).map_or(*largest, |found| largest.max(found));
        if first.is_none() {
            first.clone_from(&failure);
        }
        failures.extend(failure);
    }
    for (group, (all, near, largest, first)) in groups {
        let first = first.unwrap_or("none".into()).replace(['|', '\n'], "/");
        row("onnx-float", &[group, share(near, all), format!("{largest:.0e}"), first]);
    }
    println!("{}: {} of {} files", folder.display(), files.len() - failures.len(), files.len());
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), files.len(), failures.join("\n"));
    assert_eq!(files.len(), count);
}

#[test]
fn exports_of_six_networks_give_the_outputs_of_their_frameworks() {
    let size = Some([64, 64]);
    let network = |name: &str| format!("exports of `{}`", name.split('.').next().unwrap());
    reproduce("onnx/float", 36, network, |name| match name.contains("dynamic_hw") {
        true => NetworkOptions { input_size: size, ..NetworkOptions::default() },
        false => NetworkOptions::default(),
    });
}

#[test]
fn what_exporters_write_is_understood() {
    let exporter = |name: &str| {
        let by = if name.contains("dynamo") { "the dynamo exporter" } else { "the TorchScript exporter" };
        format!("patterns by {by}")
    };
    reproduce("onnx/patterns", 73, exporter, |_| NetworkOptions::default());
}

#[test]
fn what_the_format_allows_is_understood() {
    reproduce("onnx/handmade", 66, |_| "what the format allows".into(), |_| NetworkOptions::default());
}

/// Whether the error names what it should: a name, or one of several with `or` between them.
fn names(error: &str, wanted: &str) -> bool {
    let error = error.to_lowercase();
    wanted.split(" or ").any(|name| match name {
        "the file" => error.contains(".onnx"),
        name => error.contains(&name.to_lowercase()),
    })
}

fn wanted(case: &Value) -> Vec<&str> {
    case["the_error_should_name"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect()
}

fn cases(path: &Path) -> BTreeMap<String, Value> {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn what_cannot_be_imported_is_named() {
    let Some(folder) = shared("onnx") else { return };
    let cases = cases(&folder.join("handmade/handmade.json"));
    let mut failures = vec![];
    let files = files(&folder.join("refuse"));
    for path in &files {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let wanted = cases.get(&format!("refuse/{name}")).map_or_else(|| vec!["Loop"], wanted);
        match load(path, &NetworkOptions::default()) {
            Ok(_) => failures.push(format!("{name}: imported")),
            Err(error) => {
                let error = error.to_string();
                // Quantised networks are refused as such.
                let missing: Vec<_> = wanted
                    .iter()
                    .filter(|n| !names(&error, n) && !error.contains("quantised network"))
                    .collect();
                if !missing.is_empty() {
                    failures.push(format!("{name}: no {missing:?} in: {error}"));
                }
            }
        }
    }
    let refused = files.len() - failures.iter().filter(|failure| failure.ends_with(": imported")).count();
    row(
        "broken",
        &page::refusals("right `.onnx` files beyond niello", refused, files.len() - refused, &failures),
    );
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), files.len(), failures.join("\n"));
    assert_eq!(files.len(), 21);
    // A size that the file leaves open is the caller's choice.
    let options = NetworkOptions { input_size: Some([8, 10]), ..NetworkOptions::default() };
    assert!(load(&folder.join("refuse/dynamic_height.onnx"), &options).is_ok());
}

#[test]
fn broken_files_end_in_an_error_that_names_what_is_wrong() {
    let Some(folder) = shared("malformed/onnx") else { return };
    let all = cases(&folder.join("malformed.json"));
    let (files, mut failures, mut imported) = (files(&folder), vec![], vec![]);
    let mut checked = 0;
    for path in &files {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let Some(case) = all.get(name) else { continue };
        checked += 1;
        let begin = Instant::now();
        let made = load(path, &NetworkOptions::default());
        if begin.elapsed().as_secs_f64() > 60.0 {
            failures.push(format!("{name}: {:?}", begin.elapsed()));
        }
        match made {
            // Whether the result is right, a person has looked up.
            Ok(_) if ACCEPTED.contains(&name) || name.starts_with("ok_") => imported.push(name),
            Ok(_) => failures.push(format!("{name}: imported")),
            Err(error) => {
                let error = error.to_string();
                let missing: Vec<_> = wanted(case)
                    .into_iter()
                    .filter(|n| !names(&error, n) && !error.contains("quantised network"))
                    .collect();
                if !missing.is_empty() {
                    failures.push(format!("{name}: no {missing:?} in: {error}"));
                }
            }
        }
    }
    println!("{checked} files, of which {imported:?} are imported");
    let models = failures.iter().filter(|failure| failure.ends_with(": imported")).count() + imported.len();
    row("broken", &page::refusals("broken or odd `.onnx` files", checked - models, models, &failures));
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), checked, failures.join("\n"));
}

/// Broken files that have one meaning all the same.
const ACCEPTED: [&str; 3] = ["unsorted", "wide_fan", "long_chain"];

#[test]
fn bytes_of_another_kind_are_refused() {
    for bytes in [&b""[..], b"\x89PNG", &[0xff; 64], &[0x3a; 3]] {
        let error = import(Path::new("a.onnx"), bytes, None, &NetworkOptions::default()).unwrap_err();
        assert!(error.to_string().starts_with("a.onnx: "), "{error}");
    }
}
