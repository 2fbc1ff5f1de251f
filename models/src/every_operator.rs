//! No published network: every operator once, small enough for a Cortex-M0 with 16 KiB of RAM.

use crate::options::{Sides, choose};
use niello_codegen::{
    Graph, GraphBuilder, Result, Shape, Tensor, ValueId,
    import::network::{Network, NetworkOptions},
    ops::{
        ArgMax, Attention, AveragePool2d, BatchNormParams, Clamp, Constant, ConvParams, Coordinates, Div,
        Extremum, Function, GlobalAveragePool, HardSigmoid, Hashing, Index, Interpolation, L2Normalize,
        LogSoftmax, MaxPool2d, MaxPosition2d, MaxUnpool2d, PadChannels, Permute, PointWise, Reduce,
        ReduceKind, Resize, ResizeMode, Sampling, ShuffleChannels, SliceChannels, Softmax, SquaredDifference,
        Sub, TransposedConvParams,
    },
    weights::{Kind, WeightSource},
};

/// A graph in which each operator lowers to a step of its own, for the tests of bits and of generated code on every target.
/// It is found by its name and not listed.
///
/// Input `[h, w, 3]`, sides from 4 up; output probabilities `[1, 1, classes]`. The value `labels`, a map of class indices, is good
/// for a second output.
#[derive(Clone, Copy, Debug, Default)]
pub struct EveryOperator;

/// Channels of the maps, a multiple of all groups and heads.
const WIDTH: usize = 16;
/// Sides of the map whose pixels are tokens.
const TOKENS: [usize; 2] = [4, 4];
/// Heads of both attentions.
const HEADS: usize = 2;

impl Network for EveryOperator {
    fn name(&self) -> &'static str {
        "every_operator"
    }

    fn summary(&self) -> &'static str {
        "every operator once, for tests"
    }

    fn source(&self) -> &'static str {
        "none: made up"
    }

    fn default_input(&self) -> Shape {
        Shape::new(13, 11, 3)
    }

    fn default_classes(&self) -> &'static [&'static str] {
        &["a", "b", "c", "d", "e"]
    }

    fn build(&self, options: &NetworkOptions, weights: &mut dyn WeightSource) -> Result<Graph> {
        let chosen = choose(self, options, Sides::AtLeast(4))?;
        let mut b = GraphBuilder::new(self.name(), weights);
        let input = b.input("input", chosen.input);
        let stem = b.conv2d("stem", input, ConvParams::new(WIDTH, 3).padding(1));
        let stem = b.batch_norm("stem.norm", stem, BatchNormParams::default());
        let stem = b.relu("stem.relu", stem);
        let x = convolutions(&mut b, stem);
        let x = products(&mut b, x);
        let x = pooled_and_back(&mut b, x, stem);
        let x = tokens(&mut b, x);
        let x = labels(&mut b, x);
        let x = b.add_op("mean", GlobalAveragePool, &[x]);
        let x = b.linear("fc", x, chosen.classes);
        let probabilities = b.add_op("softmax", Softmax, &[x]);
        b.finish(&[probabilities])
    }
}

/// Groups, dilation, one filter per channel, slopes, tables, a sum with its ReLU.
fn convolutions(b: &mut GraphBuilder<'_>, x: ValueId) -> ValueId {
    let grouped = b.conv2d("grouped", x, ConvParams::new(WIDTH, 3).padding(2).dilation(2).groups(4));
    let prelu = b.prelu("prelu", grouped, WIDTH);
    let depthwise = b.conv2d("depthwise", prelu, ConvParams::new(WIDTH, 3).padding(1).groups(WIDTH));
    let silu = b.add_op("silu", PointWise(Function::Silu), &[depthwise]);
    let sum = b.add("add", prelu, silu);
    b.relu("add.relu", sum)
}

/// A factor for each channel, each pixel, each element; a difference; a batch norm with no convolution before it.
fn products(b: &mut GraphBuilder<'_>, x: ValueId) -> ValueId {
    let squeezed = b.add_op("squeezed", GlobalAveragePool, &[x]);
    let squeezed = b.add_op("squeezed.hard_swish", PointWise(Function::HardSwish), &[squeezed]);
    let excited = b.mul("excited", x, squeezed);
    let gate = b.conv2d("gate", excited, ConvParams::new(1, 1));
    let gate = b.add_op("gate.sigmoid", PointWise::sigmoid(), &[gate]);
    let gated = b.mul("gated", excited, gate);
    let difference = b.add_op("difference", Sub::default(), &[gated, x]);
    let norm = b.batch_norm("norm", difference, BatchNormParams::default());
    b.mul("product", norm, x)
}

/// Down with positions and up again, three ways; channels moved, left out and added.
fn pooled_and_back(b: &mut GraphBuilder<'_>, x: ValueId, skip: ValueId) -> ValueId {
    let shape = b.shape(x);
    let size = [shape.h, shape.w];
    let pool = MaxPool2d::new(2, 2);
    let pooled = b.add_op("pool", pool, &[x]);
    let positions = b.add_op("pool.positions", MaxPosition2d { pool }, &[x]);
    let unpooled = b.add_op("unpool", MaxUnpool2d::new(2, size), &[pooled, positions]);
    let leaky = b.add_op("leaky", PointWise(Function::LeakyRelu(0.1)), &[unpooled]);
    let shuffled = b.add_op("shuffle", ShuffleChannels { groups: 4 }, &[leaky]);
    let slice = b.add_op("slice", SliceChannels { first: 3, count: 5 }, &[shuffled]);
    let padded = b.add_op("pad", PadChannels { more: 2 }, &[slice]);
    let average =
        b.add_op("average", AveragePool2d { padding: [1; 4], ..AveragePool2d::new(2, 2) }, &[pooled]);
    let up =
        b.transposed_conv2d("up", average, TransposedConvParams::new(6, 3, 2).padding(1).output_padding(1));
    let near = b.add_op("near", Resize { size, mode: ResizeMode::Nearest }, &[up]);
    let cat = b.concat("cat", &[near, padded, skip]);
    b.conv2d("merge", cat, ConvParams::new(WIDTH, 1))
}

/// Attention with hashing and over all tokens.
fn tokens(b: &mut GraphBuilder<'_>, x: ValueId) -> ValueId {
    let x = b.add_op("tokens", Resize { size: TOKENS, mode: ResizeMode::Bilinear }, &[x]);
    let x = b.add_op("tokens.relu6", Clamp::RELU6, &[x]);
    let query = b.conv2d("query", x, ConvParams::new(WIDTH, 1).no_bias());
    let value = b.conv2d("value", x, ConvParams::new(WIDTH, 1).no_bias());
    let (bucket, rounds) = (4, 2);
    let shape = [WIDTH / HEADS, rounds, TOKENS[0] * TOKENS[1] / bucket / 2];
    let rotations = b.tensor("hashed.rotations", &shape, Kind::LshRotation);
    let hashing = Some(Hashing { bucket, rounds, rotations });
    let hashed = b.add_op("hashed", Attention::shared(HEADS, hashing), &[query, value]);
    let hashed = b.add_op("hashed.elu", PointWise(Function::Elu(1.0)), &[hashed]);
    let seen = b.add_op("seen", Attention::new(HEADS), &[query, value, hashed]);
    b.add_op("seen.tanh", PointWise(Function::Tanh), &[seen])
}

/// Another shape, the class of each pixel, and its row in a table.
fn labels(b: &mut GraphBuilder<'_>, x: ValueId) -> ValueId {
    let x = b.reshape("reshape", x, Shape::new(2, 2 * TOKENS[0], TOKENS[1] * WIDTH / 4));
    let labels = b.add_op("labels", ArgMax, &[x]);
    let rows = b.shape(x).c;
    let embedded = b.embedding("embedding", labels, rows, 6);
    b.concat("described", &[embedded, x])
}

/// As [`EveryOperator`], of the operators that came after its bytes had been recorded: so those stay as they are. Each is in the graph as often as it has
/// kernels, for a recipe that gives layers other formats.
///
/// Input `[h, w, 3]`, sides from 2 up; output logits `[h, w, classes]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct MoreOperators;

impl Network for MoreOperators {
    fn name(&self) -> &'static str {
        "more_operators"
    }

    fn summary(&self) -> &'static str {
        "operators that came after every_operator, for tests"
    }

    fn source(&self) -> &'static str {
        "none: made up"
    }

    fn default_input(&self) -> Shape {
        Shape::new(13, 11, 3)
    }

    fn default_classes(&self) -> &'static [&'static str] {
        &["a", "b", "c"]
    }

    fn build(&self, options: &NetworkOptions, weights: &mut dyn WeightSource) -> Result<Graph> {
        let chosen = choose(self, options, Sides::AtLeast(2))?;
        let mut b = GraphBuilder::new(self.name(), weights);
        let x = b.input("input", chosen.input);
        let mut x = b.conv2d("stem", x, ConvParams::new(WIDTH, 3).padding(1));
        for format in ["int8", "int16", "float"] {
            let name = |word: &str| format!("{format}.{word}");
            let other = b.conv2d(&name("other"), x, ConvParams::new(WIDTH, 1));
            let mean = b.add_op(&name("mean"), GlobalAveragePool, &[other]);
            let larger = b.add_op(&name("maximum"), Extremum::MAXIMUM, &[x, other]);
            let smaller = b.add_op(&name("minimum"), Extremum::MINIMUM, &[larger, mean]);
            let gate = b.add_op(&name("hard_sigmoid"), HardSigmoid, &[smaller]);
            x = b.mul(&name("gated"), larger, gate);
            x = moved(&mut b, &name("moved"), x);
        }
        let x = quotients(&mut b, x);
        let x = gathered(&mut b, "int8.gathered", x);
        let x = gathered(&mut b, "float.gathered", x);
        let mean = b.add_op("int8.squares.mean", GlobalAveragePool, &[x]);
        let x = b.add_op("int8.squares", SquaredDifference, &[x, mean]);
        let x = b.conv2d("last", x, ConvParams::new(chosen.classes, 1));
        b.finish(&[x])
    }
}

/// Axes in another order, by indices, a constant that is added to every pixel, and functions that came later.
fn moved(b: &mut GraphBuilder<'_>, name: &str, x: ValueId) -> ValueId {
    let name = |word: &str| format!("{name}.{word}");
    let s = b.shape(x);
    let permute = Permute {
        sizes: vec![s.h, s.w, 4, WIDTH / 4],
        order: vec![1, 0, 3, 2],
        to: Shape::new(s.w, s.h, WIDTH),
    };
    let turned = b.add_op(&name("permute"), permute, &[x]);
    // A pixel around it of which three sides go again.
    let around = |size: usize| Some((-1..size as i32).collect());
    let index = Index { rows: around(s.w), columns: around(s.h), channels: around(WIDTH), pad: -0.25 };
    let padded = b.add_op(&name("index"), index, &[turned]);
    let part = |size: usize| Some((0..size as i32).rev().collect());
    let index = Index { rows: part(s.w), columns: part(s.h), channels: part(WIDTH), pad: 0.0 };
    let cut = b.add_op(&name("cut"), index, &[padded]);
    let back = Permute { sizes: vec![s.w, s.h, WIDTH], order: vec![1, 0, 2], to: s };
    let cut = b.add_op(&name("back"), back, &[cut]);
    let data = (0..WIDTH).map(|i| i as f32 / 16.0 - 0.5).collect();
    let constant = Constant { value: Tensor { shape: Shape::new(1, 1, WIDTH), data } };
    let constant = b.add_op(&name("constant"), constant, &[]);
    let sum = b.add(&name("sum"), cut, constant);
    b.add_op(&name("gelu"), PointWise(Function::Gelu), &[sum])
}

/// What is computed in floating point alone.
fn quotients(b: &mut GraphBuilder<'_>, x: ValueId) -> ValueId {
    let size = b.add_op("float.abs", PointWise(Function::Abs), &[x]);
    let size = b.add_op("float.more", PointWise(Function::Affine(0.5, 1.0)), &[size]);
    b.add_op("float.quotient", Div::default(), &[x, size])
}

/// Windows with holes, resizing by tables, what becomes of elements along axes, and pixels of one scale.
fn gathered(b: &mut GraphBuilder<'_>, name: &str, x: ValueId) -> ValueId {
    let name = |word: &str| format!("{name}.{word}");
    let s = b.shape(x);
    let pooled = b.add_op(&name("holes"), MaxPool2d::new(2, 1).padding(1).dilation(2), &[x]);
    let sampling = Sampling {
        coordinates: Coordinates::HalfPixel,
        interpolation: Interpolation::Cubic { a: -0.75, exclude_outside: false },
        scales: Some([1.25, 0.75]),
    };
    let resize = Resize { size: [s.h, s.w], mode: ResizeMode::Sampled(sampling) };
    let resized = b.add_op(&name("cubic"), resize, &[pooled]);
    let reduce = |axes, kind| Reduce { axes, kind };
    let sum = b.add_op(&name("sum"), reduce([false, false, true], ReduceKind::Sum), &[resized]);
    let product = b.mul(&name("product"), resized, sum);
    let mean = b.add_op(&name("mean"), reduce([true, true, false], ReduceKind::Mean), &[product]);
    let smallest = b.add_op(&name("smallest"), reduce([true, true, false], ReduceKind::Min), &[product]);
    let largest = b.add_op(&name("largest"), reduce([true, true, false], ReduceKind::Max), &[product]);
    let range = b.add_op(&name("range"), Sub::default(), &[largest, smallest]);
    let difference = b.add_op(&name("difference"), Sub::default(), &[product, range]);
    let centred = b.add_op(&name("centred"), Sub::default(), &[difference, mean]);
    let unit = b.add_op(&name("unit"), L2Normalize, &[centred]);
    b.add_op(&name("shares"), LogSoftmax, &[unit])
}
