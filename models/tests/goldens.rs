//! Every network against PyTorch's golden vectors (`tests/goldens/`), output and intermediate values, in both precisions.

#[path = "common/accuracy.rs"]
mod accuracy;
mod common;
#[path = "common/float_formats.rs"]
mod float_formats;

use common::{Golden, from_torch, relative_error, sweep, tests_folder, values, weights_checksum};
use niello_codegen::{
    Graph, Shape, Tensor,
    import::network::{NetworkOptions, Networks},
    ops::{Attention, MaxPool2d, MaxPosition2d},
    passes::cam,
    weights::seeded_input,
};
use niello_models::Registry;
use std::{any::Any, collections::BTreeMap};

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
    ("resnext50_block", "resnext50_32x4d"),
    ("dccgan_generator", "dccgan_generator"),
    ("shallow_cgan_generator", "shallow_cgan_generator"),
    ("residual_attention_unet", "residual_attention_unet"),
    ("unet_plus_plus", "unet_plus_plus"),
    ("attention_unet", "attention_unet"),
    ("deeplab_v3_plus", "deeplab_v3_plus"),
    ("polsinelli_cnn", "polsinelli_cnn"),
    ("efficientnet_b0", "efficientnet_b0"),
    ("efficientnet_b0_tf_same", "efficientnet_b0_tf_same"),
    ("efficientnet_b5", "efficientnet_b5"),
    ("segnet", "segnet"),
    ("enet", "enet"),
    ("enet_anam", "enet_anam"),
    ("lednet", "lednet"),
    ("lednet_160", "lednet"),
    ("miniseg", "miniseg"),
    ("w251_cnn_64", "w251_baseline_cnn"),
    ("w251_cnn", "w251_baseline_cnn"),
];

/// Cases that take a second or more; another case has each of their operators.
const LARGE: &[&str] = &[
    "attention_unet",
    "dccgan_generator",
    "deeplab_v3_plus",
    "efficientnet_b5",
    "segnet",
    "unet_anam",
    "unet_plus_plus",
];

/// Goldens of a part of a network.
const PARTS: &[Part] = &[Part {
    case: "resnext50_block",
    whole: Shape::new(48, 48, 3),
    from: "maxpool",
    to: "layer2.0",
    // The golden has two of the first stage's three blocks.
    without: ("layer1", "layer1.1"),
}];

/// The part.
struct Part {
    case: &'static str,
    /// Input of the whole network with which `from` has the golden's input size.
    whole: Shape,
    /// The value that stands for the golden's input.
    from: &'static str,
    /// The value that is the golden's output.
    to: &'static str,
    /// Readers of the first read the second.
    without: (&'static str, &'static str),
}

impl Part {
    fn of(&self, mut graph: Graph) -> Graph {
        let find = |name| graph.find(name).unwrap_or_else(|| panic!("{}: no `{name}`", self.case));
        let (from, to) = (find(self.from), find(self.to));
        let (left_out, instead) = (find(self.without.0), find(self.without.1));
        for id in graph.nodes.iter_mut().flat_map(|n| &mut n.inputs).filter(|id| **id == left_out) {
            *id = instead;
        }
        let mut needed = vec![to];
        for i in (0..graph.nodes.len()).rev() {
            let node = &graph.nodes[i];
            if node.output() != from && needed.contains(&node.output()) {
                needed.extend(&node.inputs);
            } else {
                graph.nodes.remove(i);
            }
        }
        Graph { inputs: vec![from], outputs: vec![to], ..graph }
    }
}

/// Largest difference allowed, relative to the largest magnitude.
const TOLERANCE: f64 = 1e-4;

fn open(case: &str) -> Golden {
    Golden::open(&tests_folder().join("goldens"), case)
}

fn build(network: &str, golden: &Golden, input: &Tensor<f32>) -> Graph {
    let part = PARTS.iter().find(|part| golden.json["name"] == part.case);
    let shape = part.map_or(input.shape, |part| part.whole);
    let classes = golden.json["classes"].as_array().unwrap().len();
    let options = NetworkOptions {
        input_size: Some([shape.h, shape.w]),
        input_channels: Some(shape.c),
        classes: (classes > 0).then_some(classes),
        width: None,
        ..NetworkOptions::default()
    };
    let graph = Registry.find(network).unwrap().build(&options, &mut golden.seeded()).unwrap();
    part.into_iter().fold(graph, |graph, part| part.of(graph))
}

/// The golden's `output`, `logits`, and `values` and `indices` of a max pool, by our value names.
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
    for node in &graph.nodes {
        let op: &dyn Any = &*node.op;
        if let (Some(op), Some(module)) = (op.downcast_ref::<Attention>(), node.name.strip_suffix(".attend"))
        {
            // `[tokens, channels]`, and the buckets `[heads, rounds, tokens]` of the queries.
            let shape = graph.shape(node.output());
            all.get_mut(module).unwrap().shape = Shape::new(shape.area(), shape.c, 1);
            let buckets = op.buckets(&all[&graph.values[node.inputs[0].0].name]);
            let buckets: Vec<f64> = buckets.into_iter().map(|bucket| bucket as f64).collect();
            let rounds = buckets.len() / op.heads / shape.area();
            let buckets = Tensor::from_chw(Shape::new(rounds, shape.area(), op.heads), &buckets).unwrap();
            all.insert(format!("{module}.buckets"), buckets);
        }
        if let Some(op) = op.downcast_ref::<MaxPosition2d>() {
            let pool = node.name.strip_suffix(".positions").unwrap();
            let indices = indices(&op.pool, graph.shape(node.inputs[0]).w, &all[&node.name]);
            let values = all[pool].clone();
            all.extend([(format!("{pool}.indices"), indices), (format!("{pool}.values"), values)]);
        }
    }
    all
}

/// PyTorch's indices `row * width + column` in the map that was pooled, from positions in windows.
fn indices(pool: &MaxPool2d, width: usize, positions: &Tensor<f64>) -> Tensor<f64> {
    let mut indices = positions.clone();
    for (i, index) in indices.data.iter_mut().enumerate() {
        let (pixel, position) = (i / positions.shape.c, *index as usize);
        let [y, x] = [pixel / positions.shape.w, pixel % positions.shape.w];
        let row = y * pool.stride[0] + position / pool.kernel[1] - pool.padding[0];
        let column = x * pool.stride[1] + position % pool.kernel[1] - pool.padding[1];
        *index = (row * width + column) as f64;
    }
    indices
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
        assert_eq!(recipe["name"], "input", "{case}");
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
        let inputs = golden.inputs();
        let mut graph = build(network, &golden, &inputs[0]);
        if golden.names("outputs").contains(&cam::NAME) {
            graph = cam::with_map(graph).unwrap();
        }
        // In single precision everywhere; in double, which shows that formulas are the same, of the largest in a sweep only.
        for double in [true, false] {
            if double && LARGE.contains(&case) && !sweep() {
                continue;
            }
            let ours = with_golden_names(&graph, values(&graph, &inputs, double));
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
