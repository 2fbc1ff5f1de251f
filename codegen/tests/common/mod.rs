//! Small networks with seeded weights, from graph to program.
#![allow(dead_code, reason = "each test file uses some of it")]

use niello_codegen::{
    Graph, GraphBuilder, Op, Shape, Tensor, ValueId,
    graph::Backward,
    lower::{Target, lower},
    ops::{
        ArgMax, BatchNormParams, ConvParams, Function, MaxPool2d, PointWise, Resize, ResizeMode, Softmax,
        TransposedConvParams,
    },
    passes::optimize,
    program::{Metadata, Program},
    quantize::{
        QGraph, QuantizeOptions,
        calibrate::{Calibration, calibrate},
        quantize,
    },
    weights::{Seeded, seeded_values},
};

/// A graph of seeded weights.
pub(crate) fn graph(build: impl FnOnce(&mut GraphBuilder<'_>) -> Vec<ValueId>) -> Graph {
    let mut weights = Seeded::new();
    let mut b = GraphBuilder::new("test", &mut weights);
    let outputs = build(&mut b);
    b.finish(&outputs).expect("the graph is well formed")
}

/// `relu(batch_norm(conv(x)))`, as `NAME.0`, `NAME.1`, `NAME`.
pub(crate) fn conv_bn_relu(b: &mut GraphBuilder<'_>, name: &str, x: ValueId, p: ConvParams) -> ValueId {
    let x = b.conv2d(&format!("{name}.0"), x, p.no_bias());
    let x = b.batch_norm(&format!("{name}.1"), x, BatchNormParams::default());
    b.relu(name, x)
}

/// Anam-Net in small: encoder, AD block (squeeze, convolve, stretch, add), decoder with a skip connection.
pub(crate) fn anam_like() -> Graph {
    graph(|b| {
        let input = b.input("input", Shape::new(12, 8, 1));
        let skip = conv_bn_relu(b, "down", input, ConvParams::new(8, 3).padding(1));
        let x = b.max_pool("pool", skip, 2, 2, false);
        let ext = conv_bn_relu(b, "ext1", x, ConvParams::new(2, 1));
        let ext = conv_bn_relu(b, "ext2", ext, ConvParams::new(2, 3).padding(1));
        let ext = conv_bn_relu(b, "ext3", ext, ConvParams::new(8, 1));
        let x = b.add("add", x, ext);
        let x = b.relu("block", x);
        let x = b.transposed_conv2d("up", x, TransposedConvParams::new(4, 2, 2));
        let x = b.batch_norm("up.norm", x, BatchNormParams::default());
        let x = b.concat("concat", &[x, skip]);
        let x = conv_bn_relu(b, "merge", x, ConvParams::new(8, 3).padding(1));
        vec![b.conv2d("logits", x, ConvParams::new(3, 1))]
    })
}

/// What the memory planner can be asked for: in-place steps, nested and copied concatenations, scratch, two outputs.
pub(crate) fn branching() -> Graph {
    graph(|b| {
        let input = b.input("input", Shape::new(9, 7, 3));
        let stem = b.conv2d("stem", input, ConvParams::new(12, 3).padding(1));
        let a = b.conv2d("a", stem, ConvParams::new(12, 1));
        let sum = b.add("sum", stem, a);
        let inner = b.conv2d("inner", sum, ConvParams::new(5, 3).padding(1));
        let pair = b.concat("pair", &[inner, a]);
        let pooled = b.add_op("pooled", MaxPool2d::new(3, 1).padding(1), &[pair]);
        let whole = b.concat("whole", &[pooled, pair, sum]);
        let small = b.conv2d("small", whole, ConvParams::new(6, 3).stride(2).padding(1));
        let active = b.add_op("active", PointWise(Function::Silu), &[small]);
        let large = b.add_op("large", Resize { size: [9, 7], mode: ResizeMode::Nearest }, &[active]);
        let last = b.concat("last", &[large, input]);
        let scores = b.conv2d("scores", last, ConvParams::new(4, 1));
        let labels = b.add_op("labels", ArgMax, &[scores]);
        let shares = b.add_op("shares", Softmax, &[scores]);
        vec![labels, shares]
    })
}

/// Convolutions with poolings behind them: overlapping windows, a window over the whole map, a map that two read.
pub(crate) fn pooling() -> Graph {
    graph(|b| {
        let input = b.input("input", Shape::new(64, 48, 3));
        let x = conv_bn_relu(b, "first", input, ConvParams::new(16, 3).padding(1));
        let x = b.max_pool("overlap", x, 3, 2, true);
        let wide = conv_bn_relu(b, "wide", input, ConvParams::new(20, 3));
        let wide = b.add_op("all", MaxPool2d::global(62, 46), &[wide]);
        let twice = b.conv2d("twice", x, ConvParams::new(8, 1));
        let pooled = b.max_pool("pooled", twice, 2, 2, false);
        let more = b.conv2d("more", twice, ConvParams::new(4, 1));
        vec![wide, pooled, more]
    })
}

/// What chains are made of: Fire modules with a pooling, an AD block, a transposed convolution, a copied skip connection.
pub(crate) fn chaining() -> Graph {
    graph(|b| {
        let fire = |b: &mut GraphBuilder<'_>, name: &str, x: ValueId, squeezed: usize, expanded: usize| {
            let x = conv_bn_relu(b, &format!("{name}.squeeze"), x, ConvParams::new(squeezed, 1));
            let one = conv_bn_relu(b, &format!("{name}.one"), x, ConvParams::new(expanded, 1));
            let three = conv_bn_relu(b, &format!("{name}.three"), x, ConvParams::new(expanded, 3).padding(1));
            b.concat(&format!("{name}.concat"), &[one, three])
        };
        let input = b.input("input", Shape::new(57, 41, 3));
        let skip = conv_bn_relu(b, "stem", input, ConvParams::new(16, 3).padding(1));
        let x = fire(b, "fire1", skip, 8, 32);
        let x = fire(b, "fire2", x, 8, 32);
        let x = b.max_pool("pool", x, 3, 2, true);
        let ext = conv_bn_relu(b, "ext1", x, ConvParams::new(8, 1));
        let ext = conv_bn_relu(b, "ext2", ext, ConvParams::new(8, 3).padding(1));
        let ext = conv_bn_relu(b, "ext3", ext, ConvParams::new(64, 1));
        let x = b.add("block", x, ext);
        let up = b.transposed_conv2d("up", x, TransposedConvParams::new(24, 3, 2));
        let x = b.concat("merged", &[up, skip]);
        let x = conv_bn_relu(b, "merge", x, ConvParams::new(24, 3).padding(1));
        vec![b.conv2d("logits", x, ConvParams::new(3, 1))]
    })
}

/// A seeded input in `[-2, 2)`.
pub(crate) fn input(shape: Shape, seed: &str) -> Tensor<f32> {
    let values = seeded_values(seed).take(shape.len());
    Tensor::new(shape, values.map(|v| 2.0 * v as f32).collect()).expect("as many values as elements")
}

/// One seeded sample for every input of `graph`.
pub(crate) fn sample(graph: &Graph, seed: &str) -> Vec<Tensor<f32>> {
    graph.inputs.iter().map(|id| input(graph.shape(*id), seed)).collect()
}

/// What two seeded samples show.
pub(crate) fn calibrated(graph: &Graph) -> Calibration {
    calibrate(graph, ["first", "second"].map(|seed| Ok(sample(graph, seed))), |_| {})
        .expect("finite activations")
}

/// Optimised, calibrated and quantised.
pub(crate) fn quantized(graph: Graph) -> QGraph {
    let graph = optimize(graph);
    let calibration = calibrated(&graph);
    quantize(graph, &calibration, &QuantizeOptions::default()).expect("every tensor was seen")
}

/// All the way, for a target.
pub(crate) fn program(graph: Graph, target: &str) -> Program {
    let target = Target::find(target).expect("a known target");
    lower(&quantized(graph), target, Metadata::default()).expect("nothing overflows")
}

/// For each operand of an operator of one result, how far its gradient is from a central difference along seeded directions, over the gradient's size; `None`
/// where it has none.
pub(crate) fn gradient_errors(op: &dyn Op, inputs: &[&Tensor<f64>]) -> Vec<Option<f64>> {
    const STEP: f64 = 1e-6;
    let seeded = |seed: &str, shape: Shape| {
        Tensor::new(shape, seeded_values(seed).take(shape.len()).collect())
            .expect("as many values as elements")
    };
    let output = op.eval_f64(inputs).remove(0);
    let gradient = seeded("gradient", output.shape);
    let error = |index: usize| {
        let at = Backward { inputs, output: &output, gradient: &gradient, index };
        let found = op.gradient(&at)?;
        assert_eq!(found.shape, inputs[index].shape, "{op:?}");
        let along = |direction: &str| {
            let direction = seeded(direction, found.shape);
            let moved = |step: f64| {
                let mut changed = inputs[index].clone();
                changed.data.iter_mut().zip(&direction.data).for_each(|(x, d)| *x += step * d);
                let mut inputs = inputs.to_vec();
                inputs[index] = &changed;
                op.eval_f64(&inputs).remove(0).data
            };
            let outputs = moved(STEP).into_iter().zip(moved(-STEP)).zip(&gradient.data);
            let difference: f64 = outputs.map(|((more, less), g)| g * (more - less) / (2.0 * STEP)).sum();
            let terms: Vec<f64> = found.data.iter().zip(&direction.data).map(|(g, d)| g * d).collect();
            let size = terms.iter().map(|term| term.abs()).sum::<f64>().max(1e-3);
            (terms.iter().sum::<f64>() - difference).abs() / size
        };
        Some(["first", "second", "third"].map(along).into_iter().fold(0.0, f64::max))
    };
    (0..inputs.len()).map(error).collect()
}

/// The largest of such errors that is allowed.
pub(crate) const GRADIENT_TOLERANCE: f64 = 1e-7;
