//! Class-activation maps: found whatever the ending is called, equal to the formula in float, within what the scales allow in int8.

mod common;

use common::{conv_bn_relu, graph, quantized, sample};
use niello_codegen::{
    Graph, GraphBuilder, Shape, ValueId,
    execute::Executor,
    format::Format,
    intermediates::float_intermediates,
    lower::{Target, lower},
    ops::{AveragePool2d, ConvParams, GlobalAveragePool, PointWise},
    passes::cam::{self, of_class, peak, with_map},
    program::{Metadata, Program},
};

/// Maps of 12 channels, 7x5.
fn maps(b: &mut GraphBuilder<'_>) -> ValueId {
    let input = b.input("input", Shape::new(14, 10, 3));
    let x = conv_bn_relu(b, "stem", input, ConvParams::new(8, 3).stride(2).padding(1));
    conv_bn_relu(b, "maps", x, ConvParams::new(12, 3).padding(1))
}

/// The mean and a linear layer: ResNet's ending.
fn linear() -> Graph {
    graph(|b| {
        let x = maps(b);
        let x = b.add_op("pool", GlobalAveragePool, &[x]);
        vec![b.linear("fc", x, 4)]
    })
}

/// A convolution to the classes, ReLU, the mean: SqueezeNet's ending.
fn pooled_last() -> Graph {
    graph(|b| {
        let x = maps(b);
        let x = b.conv2d("classes", x, ConvParams::new(4, 1));
        let x = b.relu("classes.relu", x);
        vec![b.add_op("pool", GlobalAveragePool, &[x])]
    })
}

fn program(graph: Graph) -> Program {
    let metadata = Metadata { cam: true, ..Metadata::default() };
    lower(&quantized(graph), Target::find("portable").unwrap(), metadata).unwrap()
}

/// Real values of both outputs for the first calibration sample, and of `value` by name.
fn int8(program: &Program, graph: &Graph, value: &str) -> [Vec<f32>; 3] {
    let input = sample(graph, "first");
    let codes = program.tensor(program.inputs[0]).quantize(&input[0].data);
    let id = program.tensors.iter().position(|t| t.name == value).map(ValueId).unwrap();
    let mut seen = vec![];
    let outputs = Executor::new(program)
        .run_observed(&[&codes], |i, view| {
            if program.steps[i].writes() == id {
                seen = view.tensor(id);
            }
        })
        .unwrap();
    let real = |id: ValueId, codes: &[i8]| program.tensor(id).dequantize(codes).data;
    [real(program.outputs[0], &outputs[0]), real(program.outputs[1], &outputs[1]), real(id, &seen)]
}

#[test]
fn the_mean_of_the_map_is_the_score_without_its_bias() {
    for (original, with_bias, name) in [(linear(), true, "cam"), (pooled_last(), false, "classes.relu")] {
        let input = sample(&original, "x").remove(0);
        let input =
            niello_codegen::Tensor::new(input.shape, input.data.iter().map(|v| f64::from(*v)).collect())
                .unwrap();
        let scores = original.eval_f64(std::slice::from_ref(&input)).unwrap().remove(0);
        let with = with_map(original).unwrap();
        assert_eq!(with.values[with.outputs[1].0].name, name);
        assert_eq!(with.shape(with.outputs[1]), Shape::new(7, 5, 4));
        let single = with.eval_f32(&sample(&with, "x")).unwrap();
        let outputs = with.eval_f64(&[input]).unwrap();
        assert_eq!(outputs[0], scores, "the scores stay");
        // From the map alone, which anybody may have computed.
        let ending = cam::Linear::of(&with).unwrap();
        let map = float_intermediates(&with, &sample(&with, "x"), &[ending.map]).unwrap().remove(0);
        assert_eq!(ending.apply(&map).unwrap(), single[1]);
        let bias = niello_codegen::weights::seeded_values("fc.bias").map(|v| f64::from((0.1 * v) as f32));
        for (class, bias) in (0..4).zip(bias) {
            let map = outputs[1].data.iter().skip(class).step_by(4);
            let score = map.sum::<f64>() / 35.0 + if with_bias { bias } else { 0.0 };
            assert!((score - scores.data[class]).abs() < 1e-12, "{class}: {score}, {}", scores.data[class]);
        }
    }
}

#[test]
fn int8_is_as_near_to_float_as_the_scales_allow() {
    let with = with_map(linear()).unwrap();
    let input = sample(&with, "first");
    let mut maps = vec![];
    let find = with.find("maps").unwrap();
    let float = with
        .observe_f32(&input, |id, tensor| {
            if id == find {
                maps = tensor.data.clone();
            }
        })
        .unwrap()
        .remove(1)
        .data;
    let q = quantized(with_map(linear()).unwrap());
    let means = q.channel_means[q.graph.find("maps").unwrap().0].clone().unwrap();
    let program = program(with_map(linear()).unwrap());
    let [_, cam, coded] = int8(&program, &with, "maps");
    let Format::Int8(to) = program.tensor(program.outputs[1]).format else { panic!("numbers") };
    let Format::Int8(from) = program.tensor(q.graph.find("maps").unwrap()).format else { panic!("numbers") };
    let weights: Vec<f64> = niello_codegen::weights::seeded_values("fc.weight")
        .take(4 * 12)
        .map(|v| f64::from((v * (6.0f64 / 12.0).sqrt()) as f32))
        .collect();
    let mut largest = 0f64;
    for (i, (cam, float)) in cam.iter().zip(&float).enumerate() {
        let (pixel, row) = (i / 4, &weights[12 * (i % 4)..][..12]);
        let step = row.iter().fold(0f64, |m, w| m.max(w.abs())) / 127.0;
        // A step of the output for its rounding; what the maps' own codes are off; half a step for each rounded weight, of what the
        // bias does not make up for; half a step of the bias.
        let each = row.iter().zip(&means).enumerate().map(|(k, (w, mean))| {
            let (x, code) = (f64::from(maps[12 * pixel + k]), f64::from(coded[12 * pixel + k]));
            w.abs() * (x - code).abs() + (code - mean).abs() * step / 2.0
        });
        let allowed = f64::from(to.scale) + each.sum::<f64>() + f64::from(from.scale) * step / 2.0;
        let error = f64::from((cam - float).abs());
        assert!(error <= allowed, "{i}: {error} beyond {allowed}");
        largest = largest.max(error / f64::from(to.scale));
    }
    assert!(largest > 0.0 && largest < 4.0, "{largest} steps");
}

#[test]
fn the_scores_are_the_same_bytes_with_and_without_the_map() {
    for build in [linear, pooled_last] {
        let (plain, with) = (program(build()), program(with_map(build()).unwrap()));
        let inputs = plain.seeded_inputs(1);
        let run = |program: &Program| Executor::new(program).run(&[&inputs[0]]).unwrap().remove(0);
        assert_eq!(run(&plain), run(&with));
        assert_eq!(plain.tensor(plain.outputs[0]).format, with.tensor(with.outputs[0]).format);
    }
}

#[test]
fn a_window_over_the_whole_map_and_several_linear_layers_are_an_ending_too() {
    let with = with_map(graph(|b| {
        let x = maps(b);
        let x = b.add_op("pool", AveragePool2d { kernel: [7, 5], ..AveragePool2d::new(1, 1) }, &[x]);
        let x = b.linear("fc1", x, 6);
        vec![b.linear("fc2", x, 4)]
    }))
    .unwrap();
    let names: Vec<&str> = with.nodes.iter().rev().take(2).map(|n| &*n.name).collect();
    assert_eq!(names, [cam::NAME, "cam.0"]);
    assert_eq!(with.shape(with.outputs[1]), Shape::new(7, 5, 4));
}

#[test]
fn other_endings_are_refused_and_say_why() {
    let refused = |graph: Graph, why: &str| {
        let error = with_map(graph).unwrap_err().to_string();
        assert!(error.starts_with("test: no class-activation map: ") && error.contains(why), "{error}");
    };
    refused(graph(|b| vec![maps(b)]), "the network's output is a map itself");
    refused(
        graph(|b| {
            let x = maps(b);
            let x = b.add_op("pool", GlobalAveragePool, &[x]);
            let x = b.linear("fc", x, 4);
            vec![b.add_op("gate", PointWise::sigmoid(), &[x])]
        }),
        "`gate` (Sigmoid) stands between",
    );
    refused(
        graph(|b| {
            let x = maps(b);
            let kernel = ConvParams { kernel: [7, 5], ..ConvParams::new(4, 1) };
            vec![b.conv2d("whole", x, kernel)]
        }),
        "`whole` (Conv2d) stands between",
    );
    refused(
        graph(|b| {
            let x = maps(b);
            let a = b.add_op("pool", GlobalAveragePool, &[x]);
            vec![b.concat("both", &[a, a])]
        }),
        "`both` (Concat) reads several values",
    );
    refused(
        graph(|b| {
            let x = b.input("input", Shape::new(1, 1, 3));
            vec![b.linear("fc", x, 4)]
        }),
        "no mean over a map",
    );
}

#[test]
fn the_peak_is_the_first_of_the_largest() {
    let map = niello_codegen::Tensor::new(
        Shape::new(2, 3, 2),
        vec![9., 1., 0., 2., 0., 5., 0., 5., 0., 0., 0., 4.],
    )
    .unwrap();
    let of_second = of_class(&map, 1);
    assert_eq!(of_second, [1., 2., 5., 5., 0., 4.]);
    let found = peak(&of_second, 3);
    assert_eq!((found.row, found.column, found.value), (0, 2, 5.0));
}

/// The map is the input, or an output already.
#[test]
fn a_map_that_somebody_else_has_is_copied() {
    for twice in [false, true] {
        let original = graph(|b| {
            let x = b.input("input", Shape::new(6, 5, 3));
            let x = if twice { b.conv2d("maps", x, ConvParams::new(4, 3)) } else { x };
            let mean = b.add_op("mean", GlobalAveragePool, &[x]);
            if twice { vec![mean, x] } else { vec![mean] }
        });
        let program = program(with_map(original).unwrap());
        let input: Vec<i8> = (0..90).map(|i| (i * 37 % 256) as u8 as i8).collect();
        let outputs = Executor::new(&program).run(&[&input]).unwrap();
        let map = outputs.last().unwrap();
        assert_eq!(map, if twice { &outputs[1] } else { &input });
        assert!(map.iter().any(|code| *code != 0));
    }
}
