//! Small networks with seeded weights, quantised on seeded inputs, for the end-to-end tests.

use niello_codegen::{
    Graph, GraphBuilder, Shape, Tensor,
    import::network::{NetworkOptions, Networks},
    lower::{Target, lower},
    ops::{
        ArgMax, Attention, AveragePool2d, BatchNormParams, ConvParams, Function, GlobalAveragePool, Hashing,
        MaxPool2d, MaxPosition2d, MaxUnpool2d, PadChannels, PointWise, Resize, ResizeMode, ShuffleChannels,
        SliceChannels, Softmax, Sub, TransposedConvParams,
    },
    passes::optimize,
    program::{Metadata, Program},
    quantize::{QGraph, QuantizeOptions, RangeMethod, calibrate::calibrate, quantize},
    weights::{Kind, Seeded},
};
use niello_kernels::Rounding;

/// Every operator of int8 at least once, at odd sizes.
pub(crate) fn every_operator() -> Graph {
    let mut weights = Seeded::new();
    let mut b = GraphBuilder::new("every_operator", &mut weights);
    let input = b.input("input", Shape::new(13, 11, 3));
    let stem = b.conv2d("stem", input, ConvParams::new(20, 3).padding(1));
    let stem = b.batch_norm("stem.norm", stem, BatchNormParams::default());
    let stem = b.relu("stem.relu", stem);
    let grouped = b.conv2d("grouped", stem, ConvParams::new(24, 3).padding(2).dilation(2).groups(4));
    let depthwise = b.conv2d("depthwise", grouped, ConvParams::new(24, 3).padding(1).groups(24));
    let silu = b.add_op("silu", PointWise(Function::Silu), &[depthwise]);
    let add = b.add("add", grouped, silu);
    let add = b.relu("add.relu", add);
    let squeezed = b.add_op("squeezed", GlobalAveragePool, &[silu]);
    let excited = b.mul("excited", add, squeezed);
    let gate = b.conv2d("gate", excited, ConvParams::new(1, 1));
    let gate = b.add_op("gate.sigmoid", PointWise::sigmoid(), &[gate]);
    let gated = b.mul("gated", excited, gate);
    let product = b.mul("product", gated, silu);
    let add = b.add_op("difference", Sub::default(), &[product, squeezed]);
    let pooled = b.add_op("pool", MaxPool2d::new(3, 2).ceil_mode(true), &[add]);
    let average = b.add_op("average", AveragePool2d::new(2, 1), &[pooled]);
    let up =
        b.transposed_conv2d("up", average, TransposedConvParams::new(10, 3, 2).padding(1).output_padding(1));
    let near = b.add_op("near", Resize { size: [13, 11], mode: ResizeMode::Nearest }, &[up]);
    let smooth = b.add_op("smooth", Resize { size: [13, 11], mode: ResizeMode::Bilinear }, &[up]);
    let pool = MaxPool2d::new(2, 2);
    let halved = b.add_op("halved", pool, &[add]);
    let positions = b.add_op("positions", MaxPosition2d { pool }, &[add]);
    let bent = b.prelu("bent", halved, 24);
    let back = b.add_op("back", MaxUnpool2d::new(2, [13, 11]), &[bent, positions]);
    let shuffled = b.add_op("shuffled", ShuffleChannels { groups: 3 }, &[back]);
    let slice = b.add_op("slice", SliceChannels { first: 5, count: 9 }, &[shuffled]);
    let leaky = b.prelu("leaky", slice, 1);
    let padded = b.add_op("padded", PadChannels { more: 3 }, &[leaky]);
    let few = b.add_op("few", SliceChannels { first: 2, count: 4 }, &[leaky]);
    let weighed = b.mul("weighed", padded, few);
    let cat = b.concat("cat", &[near, smooth, stem, weighed]);
    let cat = b.batch_norm("cat.norm", cat, BatchNormParams::default());
    let cat = b.relu("cat.relu", cat);
    let merge = b.conv2d("merge", cat, ConvParams::new(8, 1));
    let mean = b.add_op("mean", GlobalAveragePool, &[merge]);
    let fc = b.linear("fc", mean, 5);
    let probabilities = b.add_op("softmax", Softmax, &[fc]);
    let labels = b.add_op("labels", ArgMax, &[merge]);
    b.finish(&[probabilities, labels]).expect("the graph is well formed")
}

/// A classifier that ends in the mean over a map and a linear layer.
pub(crate) fn linear_ending() -> Graph {
    let mut weights = Seeded::new();
    let mut b = GraphBuilder::new("linear_ending", &mut weights);
    let x = b.input("input", Shape::new(12, 9, 2));
    let x = b.conv2d("conv", x, ConvParams::new(9, 3).stride(2).padding(1));
    let x = b.relu("relu", x);
    let x = b.add_op("mean", GlobalAveragePool, &[x]);
    let x = b.linear("fc", x, 3);
    b.finish(&[x]).expect("the graph is well formed")
}

/// Several inputs, one of them labels, and the operators of generators and attention.
pub(crate) fn generator() -> Graph {
    let mut weights = Seeded::new();
    let mut b = GraphBuilder::new("generator", &mut weights);
    let numbers = b.input("numbers", Shape::new(1, 1, 7));
    let label = b.input("label", Shape::new(1, 1, 1));
    let row = b.embedding("embedding", label, 5, 6);
    let plane = b.linear("plane", row, 4 * 4 * 8);
    let plane = b.reshape("plane.map", plane, Shape::new(4, 4, 8));
    let x = b.linear("numbers.linear", numbers, 4 * 4 * 16);
    let x = b.reshape("numbers.map", x, Shape::new(4, 4, 16));
    let x = b.add_op("leaky", PointWise(Function::LeakyRelu(0.2)), &[x]);
    let x = b.concat("cat", &[x, plane]);
    let rotations = b.tensor("rotations", &[12, 2, 2], Kind::LshRotation);
    let hashing = Hashing { bucket: 4, rounds: 2, rotations };
    let x = b.add_op("lsh", Attention::shared(2, Some(hashing)), &[x, x]);
    let x = b.add_op("attention", Attention::new(3), &[x, x, x]);
    let x = b.transposed_conv2d("up", x, TransposedConvParams::new(3, 5, 2).same());
    let x = b.add_op("tanh", PointWise(Function::Tanh), &[x]);
    b.finish(&[x]).expect("the graph is well formed")
}

/// A published network with seeded weights at a small size.
pub(crate) fn network(name: &str, size: usize) -> Graph {
    let network = niello_models::Registry.find(name).expect("registered");
    let options = NetworkOptions { input_size: Some([size; 2]), ..Default::default() };
    network.build(&options, &mut Seeded::new()).expect("seeded weights fit")
}

/// A seeded input in `[-2, 2)` or as given.
pub(crate) fn input(shape: Shape, seed: &str) -> Tensor<f32> {
    let values = niello_codegen::weights::seeded_values(seed).take(shape.len());
    Tensor::new(shape, values.map(|v| 2.0 * v as f32).collect()).expect("as many values as elements")
}

/// Optimised and quantised on two seeded inputs.
pub(crate) fn quantized(graph: Graph, rounding: Rounding) -> QGraph {
    quantized_with(graph, QuantizeOptions { rounding, ..Default::default() })
}

/// With ranges that do not depend on how this machine's float reference rounds: for checked-in results.
pub(crate) fn quantized_at_fixed_ranges(graph: Graph) -> QGraph {
    let method = RangeMethod::Fixed { min: -4.0, max: 4.0 };
    quantized_with(graph, QuantizeOptions { method, bias_correction: false, ..Default::default() })
}

fn quantized_with(graph: Graph, options: QuantizeOptions) -> QGraph {
    let graph = optimize(graph);
    let samples = ["first", "second"]
        .map(|seed| Ok(graph.inputs.iter().map(|id| input(graph.shape(*id), seed)).collect()));
    let calibration = calibrate(&graph, samples, |_| {}).expect("finite activations");
    quantize(graph, &calibration, &options).expect("every tensor was seen")
}

/// Lowered for a target.
pub(crate) fn program(q: &QGraph, target: &str) -> Program {
    let metadata = Metadata {
        network: q.graph.name.clone(),
        classes: vec!["one".into(), "two".into()],
        sources: vec![("seeded".into(), "0".repeat(64))],
        preprocess: "raw".into(),
        cam: false,
    };
    lower(q, Target::find(target).expect("known"), metadata).expect("nothing overflows")
}
