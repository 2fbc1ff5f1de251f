//! Gradients of operators against central differences, in the variants that `tests/operators.rs` has no row for; and Grad-CAM, which is made of them.

mod common;

use common::{GRADIENT_TOLERANCE, anam_like, conv_bn_relu, gradient_errors, graph, input, sample};
use niello_codegen::{
    Graph, GraphBuilder, Op, Shape, Tensor, ValueId,
    grad_cam::{Over, grad_cam, usual_layer},
    graph::Backward,
    ops::*,
    passes::{cam, optimize},
};
use std::sync::Arc;

fn seeded(shape: [usize; 3], seed: &str) -> Tensor<f64> {
    input(Shape::new(shape[0], shape[1], shape[2]), seed).map(f64::from)
}

/// Operands of these shapes give `op` gradients that are those of its reference.
#[track_caller]
fn assert_gradients(op: &dyn Op, shapes: &[[usize; 3]], change: impl Fn(f64) -> f64) {
    let seeds = ["first operand", "second operand", "third operand"];
    let inputs: Vec<Tensor<f64>> =
        shapes.iter().zip(seeds).map(|(shape, seed)| seeded(*shape, seed).map(&change)).collect();
    let shapes: Vec<Shape> = inputs.iter().map(|input| input.shape).collect();
    op.output_shapes(&shapes).unwrap_or_else(|why| panic!("{op:?}: {why}"));
    for error in gradient_errors(op, &inputs.iter().collect::<Vec<_>>()) {
        let error = error.unwrap_or_else(|| panic!("{op:?} has no gradient"));
        assert!(error <= GRADIENT_TOLERANCE, "{op:?}: {error:e}");
    }
}

/// The operator that `build` appends as `op`.
fn built(build: impl FnOnce(&mut GraphBuilder<'_>) -> ValueId) -> Arc<dyn Op> {
    graph(|b| vec![build(b)]).nodes.pop().expect("an operator was added").op
}

#[test]
fn convolutions_of_every_kind() {
    let kinds = [
        ConvParams::new(6, 1),
        ConvParams::new(8, 3).stride(2).padding(1).groups(2),
        ConvParams::new(4, 3).dilation(2).padding(2),
        ConvParams::new(12, 2).groups(4).dilation(3),
        ConvParams { kernel: [5, 2], stride: [3, 1], padding: [2, 0, 0, 1], ..ConvParams::new(4, 1) },
        ConvParams::new(4, 5).stride(2).padding(2).groups(4),
    ];
    for p in kinds {
        let op = built(|b| {
            let x = b.input("input", Shape::new(9, 8, 4));
            b.conv2d("op", x, p)
        });
        assert_gradients(&*op, &[[9, 8, 4]], |x| x);
    }
    // More channels than one thread takes, behind a clamp.
    let op = optimize(graph(|b| {
        let x = b.input("input", Shape::new(3, 3, 70));
        let x = b.conv2d("conv", x, ConvParams::new(6, 3).padding(1));
        vec![b.add_op("op", Clamp::RELU6, &[x])]
    }));
    assert_eq!(op.nodes.len(), 1);
    assert_gradients(&*op.nodes[0].op, &[[3, 3, 70]], |x| x);
}

#[test]
fn transposed_convolutions_of_every_kind() {
    let kinds = [
        TransposedConvParams::new(3, 2, 2),
        TransposedConvParams::new(3, 3, 2).padding(1).output_padding(1),
        TransposedConvParams::new(5, 8, 4).padding(2),
        TransposedConvParams {
            kernel: [5, 1],
            stride: [2, 3],
            padding: [1, 2, 0, 0],
            ..TransposedConvParams::new(2, 1, 1)
        }
        .same(),
        // Output padding of a stride and more, beyond what is cropped.
        TransposedConvParams { padding: [0, 1, 1, 0], ..TransposedConvParams::new(2, 3, 2) }
            .output_padding(5),
    ];
    for p in kinds {
        let op = built(|b| {
            let x = b.input("input", Shape::new(4, 5, 3));
            b.transposed_conv2d("op", x, p)
        });
        assert_gradients(&*op, &[[4, 5, 3]], |x| x);
    }
}

#[test]
fn pools_resizes_and_moves() {
    let alone: Vec<Box<dyn Op>> = vec![
        Box::new(MaxPool2d::new(3, 2).padding(1)),
        Box::new(MaxPool2d::new(2, 2).ceil_mode(true)),
        Box::new(AveragePool2d { padding: [1, 0, 0, 1], count_padding: false, ..AveragePool2d::new(3, 2) }),
        Box::new(AveragePool2d { padding: [1; 4], ceil_mode: true, ..AveragePool2d::new(3, 3) }),
        Box::new(Resize { size: [3, 13], mode: ResizeMode::Nearest }),
        Box::new(Resize { size: [14, 4], mode: ResizeMode::BilinearAligned }),
        Box::new(Resize { size: [9, 9], mode: ResizeMode::BilinearAsymmetric }),
        Box::new(Index { rows: None, columns: Some([2, 2, -1, 0].into()), channels: None, pad: 3.0 }),
        Box::new(Permute { sizes: vec![7, 6, 4], order: vec![2, 0, 1], to: Shape::new(4, 7, 6) }),
        Box::new(Reduce { axes: [false, false, true], kind: ReduceKind::Max }),
        Box::new(Reduce { axes: [true, false, true], kind: ReduceKind::Mean }),
        Box::new(PRelu::new([0.25].into())),
        Box::new(PRelu::new([0.25, -0.5, 1.5, 0.0].into())),
        Box::new(Clamp { min: -1.0, max: f32::INFINITY }),
    ];
    for op in &alone {
        assert_gradients(&**op, &[[7, 6, 4]], |x| x);
    }
    assert_gradients(&Concat, &[[3, 2, 4], [3, 2, 1], [3, 2, 5]], |x| x);
}

#[test]
fn attention_of_every_kind() {
    let sides = [4, 4, 8];
    assert_gradients(&Attention::new(2), &[sides; 3], |x| x);
    assert_gradients(&Attention::shared(2, None), &[sides; 2], |x| x);
    let rotations = seeded([4, 4, 1], "rotations").data.iter().map(|x| *x as f32).collect();
    let hashing = Hashing { bucket: 4, rounds: 2, rotations };
    assert_gradients(&Attention::shared(2, Some(hashing)), &[sides; 2], |x| x);
}

#[test]
fn pairs_whose_second_operand_is_repeated() {
    let pairs: Vec<Box<dyn Op>> = vec![
        Box::new(Add { clamp: Clamp::RELU }),
        Box::new(Sub { clamp: Clamp { min: -1.0, max: 0.5 } }),
        Box::new(Mul { clamp: Clamp::RELU6 }),
        Box::new(Div::default()),
        Box::new(Extremum::MAXIMUM),
        Box::new(Extremum::MINIMUM),
        Box::new(SquaredDifference),
        Box::new(LinearPair { product: false, of_codes: false, swapped: false, unsigned: [false; 3] }),
    ];
    for op in &pairs {
        for second in [[4, 3, 6], [1, 1, 6], [4, 3, 1], [4, 3, 2]] {
            // Away from 0, where a quotient has no end.
            assert_gradients(&**op, &[[4, 3, 6], second], |x| x + 0.25_f64.copysign(x));
        }
    }
}

#[test]
fn functions_of_one_value() {
    use Function::*;
    let anywhere = [
        Sigmoid,
        Tanh,
        Silu,
        HardSwish,
        Elu(0.75),
        LeakyRelu(0.1),
        Abs,
        Neg,
        Square,
        Reciprocal,
        Exp,
        Erf,
        Gelu,
        GeluTanh,
        Softplus,
        Softsign,
        Mish,
        Selu(1.67326, 1.0507),
        Celu(0.75),
        HardSigmoid(0.2, 0.5),
        Sin,
        Cos,
        Floor,
        Ceil,
        Round,
        Sign,
        Affine(-1.25, 0.75),
        Power(3.0),
        Power(-2.0),
        Power(0.0),
        ThresholdedRelu(0.5),
        Shrink(0.25, 0.5),
    ];
    for function in anywhere {
        // From -6 to 6, but not near 0.
        assert_gradients(&PointWise(function), &[[4, 5, 6]], |x| 3.0 * x + 0.25_f64.copysign(x));
    }
    for function in [Sqrt, Rsqrt, Log, Power(1.5), Power(-0.25)] {
        assert_gradients(&PointWise(function), &[[4, 5, 6]], |x| x.abs() + 0.25);
    }
    let table = Table { kind: "Given", entries: [0; 256].into(), function: Arc::new(|x| x * x * x) };
    assert_gradients(&table, &[[4, 5, 6]], |x| x);
}

#[test]
fn kinks_and_ties_are_pytorchs() {
    let row = |values: &[f64]| Tensor::new(Shape::new(1, values.len(), 1), values.to_vec()).unwrap();
    let back = |op: &dyn Op, inputs: &[&Tensor<f64>], index: usize| {
        let output = op.eval_f64(inputs).remove(0);
        let gradient = output.map(|_| 2.0);
        op.gradient(&Backward { inputs, output: &output, gradient: &gradient, index }).unwrap().data
    };
    let x = row(&[-1.0, 0.0, 1.0, 6.0, 7.0]);
    assert_eq!(back(&Clamp::RELU, &[&x], 0), [0.0, 0.0, 2.0, 2.0, 2.0]);
    assert_eq!(back(&Clamp::RELU6, &[&x], 0), [0.0, 0.0, 2.0, 0.0, 0.0]);
    assert_eq!(back(&PRelu::new([0.25].into()), &[&x], 0), [0.5, 0.5, 2.0, 2.0, 2.0]);
    let ends = row(&[-3.0, 0.0, 3.0]);
    assert_eq!(back(&HardSigmoid, &[&ends], 0), [0.0, 1.0 / 3.0, 0.0]);
    assert_eq!(back(&PointWise(Function::HardSwish), &[&ends], 0), [0.0, 1.0, 2.0]);
    assert_eq!(back(&PointWise(Function::Abs), &[&ends], 0), [-2.0, 0.0, 2.0]);
    // The first of equal ones; of two tensors each has half.
    let ties = row(&[4.0, 5.0, 5.0, 5.0]);
    let pool = MaxPool2d { kernel: [1, 2], stride: [1, 2], ..MaxPool2d::new(1, 1) };
    assert_eq!(back(&pool, &[&ties], 0), [0.0, 2.0, 2.0, 0.0]);
    let largest = Reduce { axes: [false, true, false], kind: ReduceKind::Max };
    assert_eq!(back(&largest, &[&ties], 0), [0.0, 2.0, 0.0, 0.0]);
    let other = row(&[9.0, 5.0, 3.0, 5.0]);
    assert_eq!(back(&Extremum::MAXIMUM, &[&ties, &other], 0), [0.0, 1.0, 2.0, 1.0]);
    assert_eq!(back(&Extremum::MAXIMUM, &[&ties, &other], 1), [2.0, 1.0, 0.0, 1.0]);
}

/// Maps, and an ending that is its own class-activation map.
fn classifier() -> Graph {
    optimize(graph(|b| {
        let x = b.input("input", Shape::new(14, 10, 3));
        let x = conv_bn_relu(b, "stem", x, ConvParams::new(8, 3).stride(2).padding(1));
        let gate = b.add_op("squeezed", GlobalAveragePool, &[x]);
        let gate = b.conv2d("excited", gate, ConvParams::new(8, 1));
        let gate = b.add_op("gate", PointWise::sigmoid(), &[gate]);
        let x = b.mul("gated", x, gate);
        let x = conv_bn_relu(b, "maps", x, ConvParams::new(12, 3).padding(1));
        let x = b.add_op("pool", GlobalAveragePool, &[x]);
        let x = b.linear("scores", x, 4);
        vec![b.add_op("probabilities", Softmax, &[x])]
    }))
}

#[test]
fn before_a_mean_and_a_linear_layer_it_is_the_class_activation_map() {
    let graph = classifier();
    let inputs = sample(&graph, "first");
    let layer = graph.find("maps").expect("the last map");
    assert_eq!(usual_layer(&graph), Some(layer));
    // Before any head.
    let mut headless = graph.clone();
    headless.outputs = vec![graph.find("scores").expect("before the softmax")];
    let [scores, maps] = &cam::with_map(headless).unwrap().eval_f32(&inputs).unwrap()[..] else {
        panic!("scores and a map")
    };
    let mut seen = 0;
    for class in 0..4 {
        let found = grad_cam(&graph, &inputs, layer, class, Over::Image).unwrap();
        assert!((found.score - f64::from(scores.data[class])).abs() < 1e-4);
        for (ours, cam) in found.map.data.iter().zip(cam::of_class(maps, class)) {
            // The mean is over 35 places.
            let expected = cam.max(0.0) / 35.0;
            assert!((ours - expected).abs() < 1e-5, "{class}: {ours}, expected {expected}");
            seen += usize::from(expected > 0.0);
        }
    }
    assert!(seen > 35, "{seen} of 140 places are not 0");
    // Through the gate, which reads the map too.
    let stem = graph.find("stem").expect("a map");
    let through = grad_cam(&graph, &inputs, stem, 1, Over::Image).unwrap();
    assert_eq!((through.map.shape, through.weights.len()), (Shape::new(7, 5, 1), 8));
}

/// The mean gradient of a sum of scores by the channels of the input, by central differences.
#[test]
fn weights_of_channels_are_mean_slopes_of_the_score() {
    for graph in [optimize(anam_like()), classifier()] {
        let inputs = sample(&graph, "first");
        let (layer, at) = (graph.inputs[0], |graph: &Graph, inputs: &[Tensor<f32>]| {
            grad_cam(graph, inputs, graph.inputs[0], 1, Over::Image).unwrap()
        });
        let found = at(&graph, &inputs);
        let shape = graph.shape(layer);
        for (channel, weight) in found.weights.iter().enumerate() {
            let score = |step: f32| {
                let mut inputs = inputs.clone();
                inputs[0].data.iter_mut().skip(channel).step_by(shape.c).for_each(|x| *x += step);
                at(&graph, &inputs).score
            };
            // A step that single precision holds.
            let step = 2f32.powi(-14);
            let slope = (score(step) - score(-step)) / f64::from(2.0 * step) / shape.area() as f64;
            assert!(
                (slope - weight).abs() < 2e-3 * weight.abs().max(0.1),
                "{}: {slope}, {weight}",
                graph.name
            );
        }
    }
}

#[test]
fn a_mask_counts_the_pixels_of_its_class() {
    let graph = optimize(anam_like());
    let inputs = sample(&graph, "first");
    let block = graph.find("block").expect("the smallest map");
    assert_eq!(usual_layer(&graph), Some(block));
    let labels = ArgMax.eval_f32(&[&graph.eval_f32(&inputs).unwrap()[0]]).remove(0);
    let logits = graph.eval_f64(&[inputs[0].map(f64::from)]).unwrap().remove(0);
    let mut all = 0.0;
    for class in 0..3 {
        let of_class = |i: &usize| labels.data[*i] == class as f32;
        let score: f64 = (0..96).filter(of_class).map(|i| logits.data[3 * i + class]).sum();
        match grad_cam(&graph, &inputs, block, class, Over::Mask) {
            Ok(found) => assert!((found.score - score).abs() < 1e-9, "{class}"),
            Err(error) => {
                assert!(error.to_string().contains("gives no pixel that class"), "{error}");
                assert_eq!((0..96).filter(of_class).count(), 0);
            }
        }
        all += grad_cam(&graph, &inputs, block, class, Over::Image).unwrap().score;
    }
    assert!((all - logits.data.iter().sum::<f64>()).abs() < 1e-9);
}

#[test]
fn a_single_score_tells_two_classes_apart() {
    let graph = optimize(graph(|b| {
        let x = b.input("input", Shape::new(6, 6, 2));
        let x = conv_bn_relu(b, "maps", x, ConvParams::new(4, 3).padding(1));
        let x = b.conv2d("score", x, ConvParams::new(1, 1));
        vec![b.add_op("probability", PointWise::sigmoid(), &[x])]
    }));
    let inputs = sample(&graph, "first");
    let maps = graph.find("maps").unwrap();
    let [no, yes] = [0, 1].map(|class| grad_cam(&graph, &inputs, maps, class, Over::Image).unwrap());
    assert_eq!(no.score, -yes.score);
    assert!(no.weights.iter().zip(&yes.weights).all(|(no, yes)| *no == -yes));
    let [of_no, of_yes] =
        [0, 1].map(|class| grad_cam(&graph, &inputs, maps, class, Over::Mask).unwrap().score);
    assert!(of_no > 0.0 && of_yes > 0.0 && (of_yes - of_no - yes.score).abs() < 1e-9);
}

#[test]
fn what_has_no_map_is_named() {
    let graph = classifier();
    let inputs = sample(&graph, "first");
    let error = |graph: &Graph, layer: &str, class: usize| {
        let layer = graph.find(layer).expect("a layer");
        grad_cam(graph, &sample(graph, "first"), layer, class, Over::Image).unwrap_err().to_string()
    };
    for (layer, class, message) in [
        ("maps", 4, "test: no Grad-CAM at `maps`: there are 4 classes, from 0 on, and no 4"),
        ("pool", 0, "test: no Grad-CAM at `pool`: 1x1x12 is one place, and a map needs more"),
        ("probabilities", 0, "test: no Grad-CAM at `probabilities`: no scores come from it"),
    ] {
        assert_eq!(error(&graph, layer, class), message);
    }
    let wrong = input(Shape::new(3, 3, 3), "first");
    let maps = graph.find("maps").unwrap();
    assert!(
        grad_cam(&graph, &[wrong], maps, 0, Over::Image)
            .unwrap_err()
            .to_string()
            .contains("expected 14x10x3")
    );
    let mut broken = inputs.clone();
    broken[0].data[7] = f32::NAN;
    let not_finite = grad_cam(&graph, &broken, maps, 0, Over::Image).unwrap_err().to_string();
    assert!(not_finite.ends_with("the gradient is not finite"), "{not_finite}");
    // Rows of a table have no gradient by the labels that choose them: behind them there is a map.
    let chosen = common::graph(|b| {
        let x = b.input("input", Shape::new(4, 4, 8));
        let x = b.add_op("labels", ArgMax, &[x]);
        let x = b.embedding("rows", x, 8, 6);
        vec![b.conv2d("logits", x, ConvParams::new(3, 1))]
    });
    let message = "layer `rows` (Embedding): has no gradient: Grad-CAM needs a layer behind it";
    assert_eq!(error(&chosen, "labels", 0), message);
    assert_eq!(error(&chosen, "input", 0), "test: no Grad-CAM at `input`: no scores come from it");
    let rows = chosen.find("rows").unwrap();
    grad_cam(&chosen, &sample(&chosen, "first"), rows, 0, Over::Image).unwrap();
}
