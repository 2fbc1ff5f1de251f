//! The table of operators: each is built, lowered in every format for every target, executed with every instruction set, and compared with the float
//! reference; `docs/operators.md` prints what was found. `NIELLO_UPDATE=1 cargo test -p niello-codegen --test operators` writes it again.

mod common;

use niello_codegen::{
    Graph, GraphBuilder, Op, Shape, Tensor, ValueId,
    execute::Executor,
    format::{Format, Mode, RangeRule},
    graph::Node,
    lower::{TARGETS, lower, lower_apart},
    ops::*,
    precision::{float, int16},
    program::{Metadata, Program},
    quantize::{QGraph, QuantizeOptions, calibrate::calibrate, quantize},
    weights::{Kind, seeded_values},
};
use niello_kernels::Isa;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

/// One operator.
struct Row {
    /// Appends it to a graph, as `op`.
    build: fn(&mut GraphBuilder<'_>) -> ValueId,
    /// Its operator.
    about: &'static str,
    /// Limits of its operands and parameters.
    limits: &'static str,
    /// The largest error in int8, in steps of the result's scale; 0 for class indices and positions, which must be equal.
    steps: f32,
}

/// Every operator, in the order of the page.
const ROWS: &[Row] = &[
    Row {
        build: |b| {
            let x = image(b, [16, 16, 32]);
            b.conv2d("op", x, ConvParams::new(32, 3).padding(1))
        },
        about: "convolution with any kernel, stride, dilation, padding and groups; fully connected layers; per-channel weight scales; ReLU or ReLU6 fused",
        limits: "sums must fit 32 bits (proved per channel)",
        steps: 3.0,
    },
    Row {
        build: |b| {
            let x = image(b, [7, 6, 9]);
            b.conv2d("op", x, ConvParams::new(9, 3).padding(1).groups(9))
        },
        about: "the same operator with one input channel per output channel",
        limits: "channels in = channels out = groups",
        steps: 3.0,
    },
    Row {
        build: |b| {
            let x = image(b, [5, 4, 6]);
            b.transposed_conv2d("op", x, TransposedConvParams::new(5, 3, 2).padding(1))
        },
        about: "one dense convolution per output phase; output padding; ReLU fused",
        limits: "one group, dilation 1",
        steps: 3.0,
    },
    Row {
        build: |b| {
            let x = image(b, [5, 4, 6]);
            b.batch_norm("op", x, BatchNormParams::default())
        },
        about: "folded into the convolution before it; alone, a depthwise 1x1 convolution",
        limits: "variances of at least 0",
        steps: 3.0,
    },
    Row {
        build: |b| unary(b, Clamp::RELU6),
        about: "ReLU, ReLU6; fused into the operator before it where that is a convolution, `BatchNorm`, `Add`, `Sub` or `Mul`",
        limits: "",
        steps: 2.02,
    },
    Row {
        build: |b| {
            let x = image(b, [5, 4, 6]);
            b.prelu("op", x, 6)
        },
        about: "`x` where positive, else `slope * x`: one slope (a table), or one per channel",
        limits: "",
        steps: 2.52,
    },
    Row {
        build: |b| unary(b, PointWise(Function::Sigmoid)),
        about: "`1 / (1 + exp(-x))`: a table",
        limits: "",
        steps: 2.02,
    },
    Row { build: |b| unary(b, HardSigmoid), about: "`relu6(x + 3) / 6`: a table", limits: "", steps: 2.02 },
    Row {
        build: |b| unary(b, PointWise(Function::Tanh)),
        about: "hyperbolic tangent: a table",
        limits: "",
        steps: 2.02,
    },
    Row {
        build: |b| unary(b, PointWise(Function::Silu)),
        about: "`x * sigmoid(x)`: a table",
        limits: "",
        steps: 2.52,
    },
    Row {
        build: |b| unary(b, PointWise(Function::HardSwish)),
        about: "`x * relu6(x + 3) / 6`: a table",
        limits: "",
        steps: 2.52,
    },
    Row {
        build: |b| unary(b, PointWise(Function::Elu(1.0))),
        about: "`x` where positive, else `alpha * (exp(x) - 1)`: a table",
        limits: "finite alpha",
        steps: 2.52,
    },
    Row {
        build: |b| unary(b, PointWise(Function::LeakyRelu(0.1))),
        about: "`x` where positive, else `slope * x`: a table",
        limits: "finite slope",
        steps: 2.52,
    },
    Row {
        build: |b| binary(b, [6, 5, 7], [6, 5, 7], Add::default()),
        about: "sum of two tensors, rescaled to a common scale; ReLU fused",
        limits: "the second operand as for `Sub`",
        steps: 2.52,
    },
    Row {
        build: |b| binary(b, [6, 5, 7], [1, 1, 7], Add::default()),
        about: "the same operator with an operand that is repeated",
        limits: "",
        steps: 2.52,
    },
    Row {
        build: |b| binary(b, [6, 5, 6], [6, 5, 3], Sub::default()),
        about: "difference; ReLU fused",
        limits: "the second operand has the same shape, or one pixel, or a divisor of the channels",
        steps: 2.52,
    },
    Row {
        build: |b| binary(b, [6, 5, 6], [6, 5, 6], SquaredDifference),
        about: "the square of a difference",
        limits: "the second operand as for `Sub`; int8",
        steps: 4.0,
    },
    Row {
        build: |b| unary(b, QuantizeLinear { of_codes: false, unsigned: false }),
        about: "the same values in another format, as ONNX rounds them",
        limits: "",
        steps: 1.52,
    },
    Row {
        build: |b| {
            let pair = LinearPair { product: true, of_codes: true, swapped: false, unsigned: [true; 3] };
            binary(b, [6, 5, 6], [1, 1, 6], pair)
        },
        about: "a sum or a product as onnxruntime computes it",
        limits: "the second operand as for `Sub`; int8",
        steps: 2.5,
    },
    Row {
        build: |b| binary(b, [6, 5, 6], [1, 1, 6], Mul::default()),
        about: "product; ReLU fused",
        limits: "the second operand as for `Sub`",
        steps: 2.52,
    },
    Row {
        build: |b| binary(b, [6, 5, 6], [6, 5, 6], Extremum::MAXIMUM),
        about: "the larger one of two elements",
        limits: "the second operand as for `Sub`",
        steps: 2.02,
    },
    Row {
        build: |b| binary(b, [6, 5, 6], [6, 5, 3], Extremum::MINIMUM),
        about: "the smaller one of two elements",
        limits: "the second operand as for `Sub`",
        steps: 2.02,
    },
    Row {
        build: |b| binary(b, [6, 5, 6], [6, 5, 3], Concat),
        about: "joins channels; zero-copy where the producers can write in place; an operand with a much narrower range or a fixed scale is rescaled",
        limits: "one height and width",
        steps: 1.02,
    },
    Row {
        build: |b| unary(b, MaxPool2d::new(3, 2)),
        about: "maximum of windows, with padding and ceil mode; fused with the convolution before it",
        limits: "a window must meet the image",
        steps: 1.02,
    },
    Row {
        build: |b| unary(b, AveragePool2d { padding: [1; 4], ..AveragePool2d::new(3, 2) }),
        about: "mean of windows, with or without the padding counted",
        limits: "2^23 pixels per window; 2^15 in int16",
        steps: 1.52,
    },
    Row {
        build: |b| unary(b, GlobalAveragePool),
        about: "mean of each channel over the image",
        limits: "2^23 pixels",
        steps: 2.52,
    },
    Row {
        build: |b| unary(b, MaxPosition2d { pool: MaxPool2d::new(2, 2) }),
        about: "index of the maximum within its window; reads int16 as it is",
        limits: "128 pixels per window",
        steps: 0.0,
    },
    Row {
        build: |b| {
            let x = image(b, [6, 4, 5]);
            let pool = MaxPool2d::new(2, 2);
            let pooled = b.add_op("pooled", pool, &[x]);
            let positions = b.add_op("positions", MaxPosition2d { pool }, &[x]);
            b.add_op("op", MaxUnpool2d::new(2, [6, 4]), &[pooled, positions])
        },
        about: "places values at the indices of `MaxPosition2d`, zeros elsewhere",
        limits: "windows side by side (stride = kernel)",
        steps: 1.02,
    },
    Row {
        build: |b| unary(b, Resize { size: [11, 3], mode: ResizeMode::Bilinear }),
        about: "nearest, or bilinear with half-pixel centres, aligned corners or neither",
        limits: "sides up to 32768",
        steps: 2.02,
    },
    Row {
        build: |b| unary(b, Reshape { to: Shape::new(2, 10, 6) }),
        about: "the same elements in another shape",
        limits: "as many elements",
        steps: 1.02,
    },
    Row {
        build: |b| unary(b, PadChannels { more: 3 }),
        about: "appends channels of zeros",
        limits: "2^20 channels",
        steps: 1.02,
    },
    Row {
        build: |b| unary(b, SliceChannels { first: 2, count: 3 }),
        about: "some of the channels",
        limits: "",
        steps: 1.02,
    },
    Row {
        build: |b| unary(b, ShuffleChannels { groups: 3 }),
        about: "interleaves the channels of several groups",
        limits: "groups that divide the channels",
        steps: 1.02,
    },
    Row {
        build: |b| unary(b, Rescale),
        about: "another scale or another format; niello inserts it where formats meet",
        limits: "",
        steps: 1.52,
    },
    Row {
        build: |b| unary(b, Softmax),
        about: "`exp(x)` over the sum of it, over channels",
        limits: "4095 classes",
        steps: 2.52,
    },
    Row {
        build: |b| unary(b, ArgMax),
        about: "index of the largest channel; the first of equal ones",
        limits: "128 classes",
        steps: 0.0,
    },
    Row {
        build: |b| {
            let x = image(b, [4, 4, 8]);
            b.add_op("op", Attention::new(2), &[x, x, x])
        },
        about: "softmax attention of several heads over all tokens (pixels)",
        limits: "65,535 tokens, 4096 channels per head",
        steps: 3.0,
    },
    Row {
        build: |b| {
            let x = image(b, [4, 4, 8]);
            let rotations = b.tensor("rotations", &[4, 1, 1], Kind::LshRotation);
            let hashing = Some(Hashing { bucket: 8, rounds: 1, rotations });
            b.add_op("op", Attention::shared(2, hashing), &[x, x])
        },
        about: "the same over the tokens that locality-sensitive hashing brings together",
        limits: "2^20 keys per token",
        // A token that hashes elsewhere meets others.
        steps: f32::INFINITY,
    },
    Row {
        build: |b| {
            let x = image(b, [4, 4, 8]);
            let classes = b.add_op("classes", ArgMax, &[x]);
            b.embedding("op", classes, 8, 6)
        },
        about: "row of a trained table for each class index",
        limits: "128 rows",
        steps: 1.02,
    },
    Row {
        build: |b| unary(b, PointWise(Function::Gelu)),
        about: "`x / 2 * (1 + erf(x / sqrt(2)))`, also with tanh (`GeluTanh`): a table",
        limits: "",
        steps: 2.52,
    },
    Row {
        build: |b| unary(b, PointWise(Function::Exp)),
        about: "`e^x`; in the same way `Abs`, `Neg`, `Square`, `Reciprocal`, `Erf`, `Softplus`, `Softsign`, `Mish`, `Selu`, `Celu`, `Sin`, \
                `Cos`, `Floor`, `Ceil`, `Round`, `Sign`, `Affine`, `ThresholdedRelu`, `Shrink`: a table",
        limits: "",
        steps: 3.0,
    },
    Row {
        build: |b| {
            let x = image(b, [5, 4, 6]);
            let x = b.add_op("positive", Clamp { min: 0.5, max: 2.0 }, &[x]);
            b.add_op("op", PointWise(Function::Log), &[x])
        },
        about: "natural logarithm; in the same way `Sqrt`, `Rsqrt`, `Power`: a table",
        limits: "what has no value is the code of 0, infinities the last codes",
        steps: 3.0,
    },
    Row {
        build: |b| {
            let entries = std::array::from_fn(|i| (i as i32 - 128) as i8);
            unary(b, Table { kind: "Given", entries: entries.into(), function: Arc::new(|x| x) })
        },
        about: "any function of one value whose table a file gives",
        limits: "int8",
        steps: 1.02,
    },
    Row {
        build: |b| {
            let entries = std::array::from_fn(|i| (i as i32 - 128) as i8);
            unary(b, TabledFunction::new(Function::Affine(1.0, 0.0), entries))
        },
        about: "a function with a name whose table a file gives",
        limits: "int8, floating point",
        steps: 1.02,
    },
    Row {
        build: |b| {
            let (x, y) = (image(b, [6, 5, 6]), named_image(b, "second", [1, 1, 6]));
            let y = b.add_op("positive", Clamp { min: 0.5, max: 2.0 }, &[y]);
            b.add_op("op", Div::default(), &[x, y])
        },
        about: "quotient; ReLU fused",
        limits: "the second operand as for `Sub`; floating point",
        steps: 0.0,
    },
    Row {
        build: |b| {
            unary(b, Permute { sizes: vec![5, 2, 2, 6], order: vec![2, 0, 3, 1], to: Shape::new(10, 6, 2) })
        },
        about: "axes in another order: transposes, space to depth, depth to space",
        limits: "6 axes",
        steps: 1.02,
    },
    Row {
        build: |b| {
            let [rows, columns, channels] =
                [&[-1, 0, 1, 2, 3, 4, 3][..], &[3, 1], &[5, -1, 0, 0]].map(|axis| Some(Arc::from(axis)));
            unary(b, Index { rows, columns, channels, pad: 0.5 })
        },
        about: "rows, columns and channels by their indices: padding of any kind, crops, steps, flips, repetition",
        limits: "indices that are constants",
        steps: 1.02,
    },
    Row {
        build: |b| {
            image(b, [5, 4, 6]);
            let values = seeded_values("constant").take(120).map(|v| v as f32);
            let value =
                Tensor::new(Shape::new(5, 4, 6), values.collect()).expect("as many values as elements");
            b.add_op("op", Constant { value }, &[])
        },
        about: "a tensor that the network holds",
        limits: "",
        steps: 1.02,
    },
    Row {
        build: |b| unary(b, MaxPool2d::new(2, 1).padding(1).dilation(2)),
        about: "the same of windows with holes",
        limits: "padding on each side less than the window",
        steps: 1.02,
    },
    Row {
        build: |b| unary(b, Reduce { axes: [false, true, false], kind: ReduceKind::Mean }),
        about: "mean along any of the axes, which keep size 1",
        limits: "2^23 elements",
        steps: 2.52,
    },
    Row {
        build: |b| unary(b, Reduce { axes: [false, false, true], kind: ReduceKind::Sum }),
        about: "sum along any of the axes",
        limits: "2^23 elements",
        steps: 4.02,
    },
    Row {
        build: |b| unary(b, Reduce { axes: [true, true, false], kind: ReduceKind::Max }),
        about: "the largest element along any of the axes",
        limits: "2^23 elements",
        steps: 1.02,
    },
    Row {
        build: |b| unary(b, Reduce { axes: [true, false, false], kind: ReduceKind::Min }),
        about: "the smallest element along any of the axes",
        limits: "2^23 elements",
        steps: 1.02,
    },
    Row {
        build: |b| unary(b, Resize { size: [3, 7], mode: ResizeMode::NearestHalfPixel }),
        about: "nearest by other positions: a copy of rows and columns",
        limits: "sides up to 32768",
        steps: 1.02,
    },
    Row {
        build: |b| {
            let interpolation = Interpolation::Cubic { a: -0.75, exclude_outside: false };
            let sampling =
                Sampling { coordinates: Coordinates::HalfPixel, interpolation, scales: Some([1.75, 0.8]) };
            unary(b, Resize { size: [9, 3], mode: ResizeMode::Sampled(sampling) })
        },
        about: "linear or cubic as ONNX describes it, by tables",
        limits: "sides up to 32768",
        steps: 3.02,
    },
    Row {
        build: |b| unary(b, Softmax { beta: 0.5 }),
        about: "the same with a factor of the scores",
        limits: "4095 classes, a positive factor",
        steps: 2.52,
    },
    Row {
        build: |b| unary(b, LogSoftmax),
        about: "logarithm of `Softmax`; down to -16 in int8",
        limits: "4095 classes",
        steps: 1.52,
    },
    Row {
        build: |b| unary(b, L2Normalize),
        about: "each pixel over the root of its sum of squares over channels",
        limits: "32768 channels",
        steps: 4.02,
    },
];

/// Formats in which an operator cannot be lowered, by its name in reports.
const WITHOUT: &[(&str, &str)] = &[("Div", "int8"), ("Given", "float"), ("SquaredDifference", "float")];

/// An image that is no input of the network: it may have 16 bits.
fn image(b: &mut GraphBuilder<'_>, shape: [usize; 3]) -> ValueId {
    named_image(b, "image", shape)
}

fn named_image(b: &mut GraphBuilder<'_>, name: &str, [h, w, c]: [usize; 3]) -> ValueId {
    let input = b.input(&format!("{name}.input"), Shape::new(h, w, c));
    b.add_op(name, Clamp::NONE, &[input])
}

fn unary(b: &mut GraphBuilder<'_>, op: impl Op) -> ValueId {
    let x = image(b, [5, 4, 6]);
    b.add_op("op", op, &[x])
}

fn binary(b: &mut GraphBuilder<'_>, first: [usize; 3], second: [usize; 3], op: impl Op) -> ValueId {
    let (x, y) = (image(b, first), named_image(b, "second", second));
    b.add_op("op", op, &[x, y])
}

impl Row {
    /// The operator alone; with `behind`, something after it that reads its result, which then may have 16 bits.
    fn graph(&self, behind: bool) -> Graph {
        common::graph(|b| {
            let op = (self.build)(b);
            if behind { vec![b.add_op("behind", Clamp::NONE, &[op])] } else { vec![op] }
        })
    }
}

/// The kernels that make the result of `op`, for every target, after the bytes were compared between instruction sets; then its error in int8.
fn kernels(q: &QGraph, inputs: &[Tensor<f32>]) -> (BTreeSet<&'static str>, Program) {
    let mut kernels = BTreeSet::new();
    let mut last = None;
    for target in TARGETS {
        let program =
            lower(q, target, Metadata::default()).unwrap_or_else(|e| panic!("{e} for {}", target.name));
        // Those of layers before and behind it are left out: no steps are fused.
        let apart = lower_apart(q, target, Metadata::default()).expect("as with fused steps");
        let of_op = apart.steps.iter().filter(|step| step.layers.iter().any(|layer| layer == "op"));
        kernels.extend(of_op.flat_map(|step| step.call.kernels()));
        let bytes = |isa| {
            Executor::with_isa(&program, isa)
                .run(&given(&program, inputs).iter().map(Vec::as_slice).collect::<Vec<_>>())
        };
        let expected = bytes(Isa::scalar()).expect("inputs that fit");
        for isa in Isa::available() {
            assert_eq!(bytes(isa).expect("inputs that fit"), expected, "{} for {}", isa.name(), target.name);
        }
        last = Some(program);
    }
    (kernels, last.expect("there are targets"))
}

/// The inputs, in the formats of the program.
fn given(program: &Program, inputs: &[Tensor<f32>]) -> Vec<Vec<i8>> {
    program.inputs.iter().zip(inputs).map(|(id, input)| program.tensor(*id).quantize(&input.data)).collect()
}

/// The entry of one operator in the page.
struct Found {
    kind: &'static str,
    scale: &'static str,
    /// `result`, `weights`.
    int16: Vec<&'static str>,
    /// Whether all of its operands that are no labels have a gradient.
    has_gradient: bool,
    /// Kernels in int8, in int16, and in floating point.
    kernels: [BTreeSet<&'static str>; 3],
}

fn find(row: &Row) -> Found {
    let graph = row.graph(false);
    let at = graph.find("op").expect("a row builds `op`");
    let node = &graph.nodes[graph.producer(at).expect("an operator makes it")];
    let (kind, rule, takes_int16, has_weights) =
        (node.op.kind(), node.op.range_rule(), node.op.takes_int16(), node.op.weight_noise().is_some());
    let seeded = |(i, id): (usize, &ValueId)| {
        let shape = graph.shape(*id);
        let values = seeded_values(&format!("input{i}")).take(shape.len()).map(|v| 2.0 * v as f32);
        Tensor::new(shape, values.collect()).expect("as many values as elements")
    };
    let inputs: Vec<Tensor<f32>> = graph.inputs.iter().enumerate().map(seeded).collect();
    let has_gradient = has_gradient(&graph, node, &inputs);
    let quantized = |behind: bool| {
        let graph = row.graph(behind);
        let calibration = calibrate(&graph, [Ok(inputs.clone())], |_| {}).expect("finite values");
        (quantize(graph, &calibration, &QuantizeOptions::default()).expect("all were seen"), calibration)
    };
    let is_missing = |format: &str| WITHOUT.contains(&(kind, format));
    let refused = |q: &QGraph| {
        for target in TARGETS {
            let message = lower(q, target, Metadata::default()).expect_err(kind).to_string();
            assert!(message.contains("`op`"), "{message}");
        }
    };
    // int8, and its error.
    let (q, _) = quantized(false);
    // Positions of equal codes may differ from those of real numbers.
    let is_index = q.formats[q.graph.outputs[0].0] == Format::Label;
    let mut int8 = BTreeSet::new();
    if is_missing("int8") {
        refused(&q);
    } else {
        let (found, program) = kernels(&q, &inputs);
        let codes = given(&program, &inputs);
        let codes: Vec<&[i8]> = codes.iter().map(Vec::as_slice).collect();
        let output = Executor::new(&program).run(&codes).expect("inputs that fit").remove(0);
        let float = graph.eval_f32(&inputs).expect("inputs that fit").remove(0);
        let info = program.tensor(program.outputs[0]);
        let step = info.format.step().unwrap_or(1.0);
        let error = |(a, b): (&f32, &f32)| (a - b).abs() / step;
        let worst = float.data.iter().zip(&info.dequantize(&output).data).map(error).fold(0f32, f32::max);
        assert!(worst <= row.steps || is_index, "{kind}: {worst} steps, expected at most {}", row.steps);
        int8.extend(found);
    }
    // int16.
    let mut widths = vec![];
    let mut in_int16 = BTreeSet::new();
    let (mut wide, calibration) = quantized(true);
    let activations = BTreeSet::from(["op".to_string()]);
    match int16::widen(&mut wide, &calibration, &int16::Wide { activations, ..Default::default() }) {
        Ok(()) => {
            widths.push("result");
            in_int16.extend(kernels(&wide, &inputs).0);
        }
        Err(_) => assert!(!takes_int16 || is_index, "{kind} says that it takes int16"),
    }
    if has_weights {
        let (mut wide, calibration) = quantized(true);
        let weights = BTreeSet::from(["op".to_string()]);
        int16::widen(&mut wide, &calibration, &int16::Wide { weights, ..Default::default() })
            .expect("it has weights");
        widths.push("weights");
        in_int16.extend(kernels(&wide, &inputs).0);
    }
    // Floating point.
    let mut in_float = BTreeSet::new();
    for mode in [Mode::F32, Mode::F16, Mode::F16Native, Mode::F16Winograd] {
        let q = float::everywhere(row.graph(false), mode);
        if is_missing("float") {
            refused(&q);
            continue;
        }
        in_float.extend(kernels(&q, &inputs).0);
    }
    let scale = match rule {
        RangeRule::Calibrated => "own",
        RangeRule::SameAsInputs => "shared",
        RangeRule::Fixed(_) => "fixed",
        RangeRule::Labels => "index",
    };
    Found { kind, scale, int16: widths, has_gradient, kernels: [int8, in_int16, in_float] }
}

/// Whether the node's operands have gradients, all that are no labels or none, and then as central differences have them.
fn has_gradient(graph: &Graph, node: &Node, inputs: &[Tensor<f32>]) -> bool {
    let mut operands = BTreeMap::new();
    let inputs: Vec<Tensor<f64>> = inputs.iter().map(|input| input.map(f64::from)).collect();
    let observe = |id, value: &Tensor<f64>| {
        operands.insert(id, value.clone());
    };
    graph.observe_f64(&inputs, observe).expect("inputs that fit");
    let operands: Vec<&Tensor<f64>> = node.inputs.iter().map(|id| &operands[id]).collect();
    let is_number = |id: &ValueId| {
        graph.producer(*id).is_none_or(|at| graph.nodes[at].op.range_rule() != RangeRule::Labels)
    };
    let errors = common::gradient_errors(&*node.op, &operands);
    let of_numbers: Vec<_> =
        node.inputs.iter().zip(errors).filter(|(id, _)| is_number(id)).map(|(_, error)| error).collect();
    let has = !of_numbers.is_empty() && of_numbers.iter().all(Option::is_some);
    for error in of_numbers {
        assert_eq!(error.is_some(), has, "{:?}", node.op);
        assert!(error.unwrap_or(0.0) <= common::GRADIENT_TOLERANCE, "{:?}: {error:?}", node.op);
    }
    has
}

/// The page's tables.
fn tables(found: &[Found]) -> String {
    let list =
        |names: &BTreeSet<&str>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let mut text = String::from(
        "| operator | what it computes | limits | scale | int16 | gradient |\n|---|---|---|---|---|---|\n",
    );
    for (row, f) in ROWS.iter().zip(found) {
        let int16 = if f.int16.is_empty() { "no".into() } else { f.int16.join(", ") };
        let gradient = if f.has_gradient { "yes" } else { "no" };
        text += &format!(
            "| `{}` | {} | {} | {} | {int16} | {gradient} |\n",
            f.kind, row.about, row.limits, f.scale
        );
    }
    text += "\nThe kernels of `niello-kernels` that compute it, over all targets:\n\n| operator | int8 | int16 | f16, f32 |\n|---|---|---|---|\n";
    for f in found {
        let [int8, int16, float] = f.kernels.each_ref().map(list);
        text += &format!("| `{}` | {int8} | {int16} | {float} |\n", f.kind);
    }
    text
}

#[test]
fn every_operator_runs_in_every_format_and_the_page_says_so() {
    let found: Vec<Found> = ROWS.iter().map(find).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operators.md");
    let page = fs::read_to_string(&path).expect("the page");
    let (begin, end) = ("<!-- begin: codegen/tests/operators.rs -->\n", "<!-- end -->");
    let (head, rest) = page.split_once(begin).expect("the mark where the tables begin");
    let (_, tail) = rest.split_once(end).expect("the mark where they end");
    let new = format!("{head}{begin}{}{end}{tail}", tables(&found));
    if std::env::var_os("NIELLO_UPDATE").is_some() {
        fs::write(&path, new).expect("the page can be written");
    } else {
        assert!(page == new, "docs/operators.md is out of date: NIELLO_UPDATE=1 writes it again");
    }
}

#[test]
fn every_operator_has_a_row() {
    let mut missing = BTreeMap::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ops")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).expect("source");
            for name in text.lines().filter_map(|line| line.strip_prefix("impl Op for ")?.strip_suffix(" {"))
            {
                missing.insert(name.to_string(), path.clone());
            }
        }
    }
    assert!(missing.len() > 20, "{missing:?}");
    for row in ROWS {
        let graph = row.graph(false);
        let op = graph.find("op").and_then(|id| graph.producer(id)).expect("a row builds `op`");
        let text = format!("{:?}", graph.nodes[op].op);
        missing.remove(text.split([' ', '(', '{']).next().unwrap_or_default());
    }
    assert!(missing.is_empty(), "no row of ROWS has {missing:?}");
}
