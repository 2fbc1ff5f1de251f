//! Float `.onnx` files in int8, with niello's own calibration: how near their outputs are to those in floating point.
//!
//! The models lie beside the checkout (`../shared/import`), or where `NIELLO_SHARED` says. Without that folder this test says so and passes; under
//! `CI=true`, or when `NIELLO_SHARED` is set, it fails.

use niello_codegen::{
    Graph, Tensor, ValueId,
    execute::Executor,
    format::Format,
    import::{ModelFile, network::NetworkOptions},
    lower::{Target, lower},
    passes::optimize,
    program::Metadata,
    quantize::{QuantizeOptions, calibrate::calibrate, quantize},
    weights::seeded_values,
};
use rayon::prelude::*;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The least ratio of signal to noise.
const LEAST_DB: f64 = 25.0;

/// The largest share of labels that may differ: scores that are nearly equal.
const MOST_LABELS: f64 = 0.05;

/// Files that stay below it, each with the reason.
const BELOW: [(&str, &str); 1] = [(
    "maxpool_indices.dynamo20.onnx",
    "where the largest of an input's pixels is, which are equal in int8 more often than in floating point: values go to other places",
)];

fn shared() -> Option<PathBuf> {
    let chosen = std::env::var_os("NIELLO_SHARED").map(PathBuf::from);
    let required = chosen.is_some() || std::env::var("CI").is_ok_and(|v| v == "true");
    let folder = chosen.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"));
    let folder = folder.join("import/onnx");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(!required, "no shared data in {}", folder.display());
    println!("skipped: no shared data in {}", folder.display());
    None
}

/// Numbers from -1 to 1, as the files' own inputs are.
fn sample(graph: &Graph, seed: &str) -> Vec<Tensor<f32>> {
    let one = |(i, id): (usize, &ValueId)| {
        let shape = graph.shape(*id);
        let values = seeded_values(&format!("{seed}/{i}")).take(shape.len()).map(|x| x as f32);
        Tensor::new(shape, values.collect()).expect("as many values as elements")
    };
    graph.inputs.iter().enumerate().map(one).collect()
}

/// Signal to noise of the worst output of inputs that calibration has seen among others, so that ranges are those of the numbers; of labels, how
/// many agree.
fn decibels(path: &Path) -> Result<f64, String> {
    let input_size = path.to_string_lossy().contains("dynamic_hw").then_some([64, 64]);
    let options = NetworkOptions { input_size, ..NetworkOptions::default() };
    let file = ModelFile::open(path, &options).map_err(|e| e.to_string())?;
    let graph = optimize(file.graph().clone());
    let samples = (0..4).map(|i| Ok(sample(&graph, &format!("sample {i}"))));
    let calibration = calibrate(&graph, samples, |_| {}).map_err(|e| e.to_string())?;
    let q = quantize(graph.clone(), &calibration, &QuantizeOptions::default()).map_err(|e| e.to_string())?;
    let target = Target::find("portable").map_err(|e| e.to_string())?;
    let program = lower(&q, target, Metadata::default()).map_err(|e| e.to_string())?;
    let (mut worst, mut labels) = (f64::INFINITY, 0f64);
    for i in 0..2 {
        let inputs = sample(&graph, &format!("sample {i}"));
        let tensors = program.inputs.iter().map(|id| program.tensor(*id));
        let codes: Vec<Vec<i8>> = tensors.zip(&inputs).map(|(t, x)| t.quantize(&x.data)).collect();
        let views: Vec<&[i8]> = codes.iter().map(|c| &c[..]).collect();
        let outputs = Executor::new(&program).run(&views).map_err(|e| e.to_string())?;
        let wanted = graph.eval_f32(&inputs).map_err(|e| e.to_string())?;
        for ((bytes, id), wanted) in outputs.iter().zip(&program.outputs).zip(&wanted) {
            let found = program.tensor(*id).dequantize(bytes);
            if program.tensor(*id).format == Format::Label {
                let differing = found.data.iter().zip(&wanted.data).filter(|(a, b)| a != b).count();
                labels = labels.max(differing as f64 / wanted.data.len() as f64);
                continue;
            }
            let pairs = || found.data.iter().zip(&wanted.data).map(|(a, b)| (*a as f64, *b as f64));
            let noise: f64 = pairs().map(|(a, b)| (a - b).powi(2)).sum();
            let signal: f64 = pairs().map(|(_, b)| b * b).sum();
            if noise > 0.0 {
                worst = worst.min(10.0 * (signal / noise).log10());
            }
        }
    }
    if labels > MOST_LABELS {
        return Err(format!("{:.1} % of labels differ", 100.0 * labels));
    }
    Ok(worst)
}

#[test]
fn float_files_compile_to_int8() {
    let Some(shared) = shared() else { return };
    let mut files: Vec<PathBuf> = vec![];
    for folder in ["float", "patterns", "handmade"] {
        let all = fs::read_dir(shared.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        files.extend(all.filter(|path| path.extension().is_some_and(|e| e == "onnx")));
    }
    files.sort();
    let found: Vec<(String, Result<f64, String>)> = files
        .par_iter()
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), decibels(path)))
        .collect();
    let mut problems = vec![];
    for (name, found) in &found {
        let excused = BELOW.iter().any(|(file, _)| file == name);
        match found {
            Ok(db) if (*db >= LEAST_DB) != excused => println!("{name}: {db:.1} dB"),
            Ok(db) => problems.push(format!("{name}: {db:.1} dB")),
            Err(error) => problems.push(format!("{name}: {error}")),
        }
    }
    assert!(problems.is_empty(), "{} of {}:\n{}", problems.len(), found.len(), problems.join("\n"));
    assert_eq!(found.len(), 36 + 73 + 66);
}
