//! Every network against PyTorch's golden vectors (`tests/goldens/`), output and intermediate values, in both precisions.

mod common;

use common::{Golden, from_torch, relative_error, tests_folder, values, weights_checksum};
use niello_codegen::{
    Graph, Tensor,
    network::{NetworkOptions, Networks},
    weights::seeded_input,
};
use niello_models::Registry;
use std::collections::BTreeMap;

/// Golden case, our network.
const CASES: &[(&str, &str)] = &[
    ("anam_net", "anam_net"),
    ("anam_net_paper", "anam_net_paper"),
    ("squeezenet1_0", "squeezenet1_0"),
    ("squeezenet1_0_224", "squeezenet1_0"),
    ("squeezenet1_1", "squeezenet1_1"),
    ("squeezenet1_1_224", "squeezenet1_1"),
    ("squeezenet1_0_bypass", "squeezenet1_0_bypass"),
    ("unet_anam", "unet_anam"),
    ("resnet18", "resnet18"),
    ("w251_cnn_64", "w251_baseline_cnn"),
    ("w251_cnn", "w251_baseline_cnn"),
];

/// Largest difference allowed, relative to the largest magnitude.
const TOLERANCE: f64 = 1e-4;

fn open(case: &str) -> Golden {
    Golden::open(&tests_folder().join("goldens"), case)
}

fn build(network: &str, golden: &Golden, input: &Tensor<f32>) -> Graph {
    let options = NetworkOptions {
        input_size: Some([input.shape.h, input.shape.w]),
        input_channels: Some(input.shape.c),
        classes: Some(golden.json["classes"].as_array().unwrap().len()),
        width: None,
    };
    Registry.find(network).unwrap().build(&options, &mut golden.seeded()).unwrap()
}

/// What the golden calls `output` and `logits`, by our value names.
fn with_golden_names(graph: &Graph, mut all: BTreeMap<String, Tensor<f64>>) -> BTreeMap<String, Tensor<f64>> {
    let output = all[&graph.values[graph.outputs[0].0].name].clone();
    if graph.name == "w251_baseline_cnn" {
        // The original ends in log-softmax.
        let sum: f64 = output.data.iter().map(|x| x.exp()).sum();
        all.insert("output".into(), output.map(|x| x - sum.ln()));
        all.insert("logits".into(), output);
    } else {
        all.insert("output".into(), output);
    }
    all
}

#[test]
fn seeded_weights_have_the_published_checksums() {
    for (case, _) in CASES.iter().copied() {
        let golden = open(case);
        assert_eq!(weights_checksum(&golden.json), golden.json["weights_checksum"], "{case}");
    }
}

#[test]
fn seeded_inputs_are_the_golden_inputs() {
    for (case, _) in CASES.iter().copied() {
        let golden = open(case);
        let recipe = &golden.json["inputs"][0];
        let [scale, offset] = ["scale", "offset"].map(|f| recipe[f].as_f64().unwrap());
        let stored = &golden.tensors["input"].data;
        let ours = seeded_input(recipe["prng_key"].as_str().unwrap(), stored.len(), scale, offset);
        assert!(ours == *stored, "{case}");
    }
}

#[test]
fn parameter_counts_are_the_published_ones() {
    for (case, network) in CASES.iter().copied() {
        let golden = open(case);
        let graph = build(network, &golden, &from_torch(&golden.tensors["input"]));
        assert_eq!(graph.parameters() as u64, golden.json["parameters"].as_u64().unwrap(), "{case}");
    }
}

#[test]
fn values_agree_with_pytorch_in_f64_and_f32() {
    for (case, network) in CASES.iter().copied() {
        let golden = open(case);
        let input = from_torch(&golden.tensors["input"]);
        let graph = build(network, &golden, &input);
        for double in [true, false] {
            let ours = with_golden_names(&graph, values(&graph, &input, double));
            for name in golden.names("outputs").into_iter().chain(golden.names("intermediates")) {
                let error = relative_error(&ours[name], &from_torch(&golden.tensors[name]));
                let precision = if double { "f64" } else { "f32" };
                println!("{case} {name} {precision}: {error:.1e}");
                assert!(error <= TOLERANCE, "{case} {name} {precision}: {error:e}");
                // The goldens are f64 results rounded once to f32: half a unit of 2^-24 and no more.
                assert!(!double || error <= 1e-7, "{case} {name}: {error:e}");
            }
        }
    }
}
