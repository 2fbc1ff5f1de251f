//! Mixed precision: layers of 16 bits among layers of 8.

mod common;

use common::{anam_like, branching, calibrated, chaining, graph, input, sample};
use niello_codegen::{
    Graph, Shape, Tensor, ValueId,
    check::compare::verify,
    execute::Executor,
    format::Format,
    lower::{TARGETS, Target, lower, lower_apart},
    ops::{
        AveragePool2d, BatchNormParams, ConvParams, Function, GlobalAveragePool, MaxPool2d, MaxPosition2d,
        MaxUnpool2d, Mul, PRelu, PadChannels, PointWise, Resize, ResizeMode, ShuffleChannels,
    },
    passes::optimize,
    precision::int16::{Wide, choose, widen},
    program::{Metadata, Program},
    quantize::{QGraph, QuantizeOptions, calibrate::Calibration, quantize},
};

/// What squeeze-and-excitation and inverted residuals are made of.
fn excited() -> Graph {
    graph(|b| {
        let input = b.input("input", Shape::new(11, 9, 3));
        let x = b.conv2d("stem", input, ConvParams::new(12, 3).stride(2).padding(1));
        let x = b.add_op("stem.silu", PointWise(Function::Silu), &[x]);
        let deep = b.conv2d("depthwise", x, ConvParams::new(12, 3).padding(1).groups(12));
        let deep = b.add_op("depthwise.elu", PointWise(Function::Elu(1.0)), &[deep]);
        let mean = b.add_op("mean", GlobalAveragePool, &[deep]);
        let gate = b.conv2d("gate", mean, ConvParams::new(12, 1));
        let gate = b.add_op("gate.sigmoid", PointWise::sigmoid(), &[gate]);
        let deep = b.add_op("excited", Mul::default(), &[deep, gate]);
        let attention = b.conv2d("attention", deep, ConvParams::new(4, 1));
        let deep = b.add_op("attended", Mul::default(), &[deep, attention]);
        let grouped = b.conv2d("grouped", deep, ConvParams::new(12, 1).groups(3));
        let sum = b.add("sum", grouped, x);
        vec![b.conv2d("scores", sum, ConvParams::new(4, 1))]
    })
}

/// What encoders and decoders with max unpooling are made of.
fn unpooled() -> Graph {
    graph(|b| {
        let input = b.input("input", Shape::new(18, 15, 3));
        let x = b.conv2d("first", input, ConvParams::new(8, 3).padding(1));
        let x = b.add_op("first.prelu", PRelu::new([0.25].into()), &[x]);
        let pool = MaxPool2d::new(2, 2);
        let values = b.add_op("pool", pool, &[x]);
        let positions = b.add_op("positions", MaxPosition2d { pool }, &[x]);
        let padded = b.add_op("padded", PadChannels { more: 4 }, &[values]);
        let deep = b.conv2d("deep", padded, ConvParams::new(8, 3).padding(1));
        let back = b.add_op("unpool", MaxUnpool2d::new(2, [18, 15]), &[deep, positions]);
        let large = b.add_op("large", Resize { size: [18, 15], mode: ResizeMode::Nearest }, &[padded]);
        let all = b.concat("all", &[back, large]);
        vec![b.conv2d("scores", all, ConvParams::new(4, 1))]
    })
}

/// What LEDNet and MiniSeg are made of.
fn shuffled() -> Graph {
    graph(|b| {
        let input = b.input("input", Shape::new(14, 11, 3));
        let x = b.conv2d("first", input, ConvParams::new(8, 3).padding(1));
        let x = b.prelu("first.prelu", x, 8);
        let shuffled = b.add_op("shuffled", ShuffleChannels { groups: 2 }, &[x]);
        let small =
            b.add_op("small", AveragePool2d { padding: [1; 4], ..AveragePool2d::new(3, 2) }, &[shuffled]);
        let normed = b.batch_norm("normed", small, BatchNormParams::default());
        let to = |mode| Resize { size: [14, 11], mode };
        let large = b.add_op("large", to(ResizeMode::Bilinear), &[normed]);
        let aligned = b.add_op("aligned", to(ResizeMode::BilinearAligned), &[small]);
        let sum = b.add("sum", large, aligned);
        vec![b.conv2d("scores", sum, ConvParams::new(4, 1))]
    })
}

fn prepared(graph: Graph) -> (QGraph, Calibration) {
    let graph = optimize(graph);
    let calibration = calibrated(&graph);
    let q = quantize(graph, &calibration, &QuantizeOptions::default()).expect("every tensor was seen");
    (q, calibration)
}

/// Everything that can have 16 bits.
fn everything(q: &QGraph, calibration: &Calibration) -> Wide {
    let names = |can: &dyn Fn(&mut QGraph, Wide) -> bool, of: &dyn Fn(String) -> Wide| {
        let all = q.graph.values.iter().map(|v| v.name.clone());
        all.filter(|name| can(&mut q.clone(), of(name.clone()))).collect()
    };
    let can = |q: &mut QGraph, wide: Wide| widen(q, calibration, &wide).is_ok();
    Wide {
        activations: names(&can, &|name| Wide { activations: [name].into(), ..Wide::default() }),
        weights: names(&can, &|name| Wide { weights: [name].into(), ..Wide::default() }),
    }
}

fn sqnr(q: &QGraph, program: &Program) -> f64 {
    let samples = ["first", "second"].map(|seed| Ok(sample(&q.graph, seed)));
    verify(&q.graph, program, samples, |_, _| Ok(())).unwrap().output.sqnr_db().unwrap_or(f64::INFINITY)
}

fn outputs(q: &QGraph, program: &Program) -> Vec<Vec<i8>> {
    let codes: Vec<Vec<i8>> = sample(&q.graph, "third")
        .iter()
        .zip(&program.inputs)
        .map(|(tensor, id)| program.tensor(*id).quantize(&tensor.data))
        .collect();
    let views: Vec<&[i8]> = codes.iter().map(|c| &c[..]).collect();
    Executor::new(program).run(&views).unwrap()
}

#[test]
fn sixteen_bits_bring_the_layers_near_float_and_the_same_bytes_for_every_target() {
    for graph in [anam_like(), branching(), chaining(), excited(), unpooled(), shuffled()] {
        let (mut q, calibration) = prepared(graph);
        let wide = everything(&q, &calibration);
        assert!(!wide.activations.is_empty() && !wide.weights.is_empty());
        widen(&mut q, &calibration, &wide).unwrap();
        let expected = outputs(&q, &lower_apart(&q, &TARGETS[0], Metadata::default()).unwrap());
        for target in TARGETS {
            for program in
                [lower(&q, target, Metadata::default()), lower_apart(&q, target, Metadata::default())]
            {
                assert_eq!(outputs(&q, &program.unwrap()), expected, "{} for {}", q.graph.name, target.name);
            }
        }
    }
}

#[test]
fn layers_inside_have_far_less_noise() {
    for graph in [anam_like(), excited(), shuffled()] {
        let (mut q, calibration) = prepared(graph);
        let program = lower_apart(&q, &TARGETS[0], Metadata::default()).unwrap();
        let layers = |q: &QGraph, program: &Program| {
            verify(&q.graph, program, [Ok(sample(&q.graph, "first"))], |_, _| Ok(())).unwrap().layers
        };
        let before = layers(&q, &program);
        let wide = everything(&q, &calibration);
        widen(&mut q, &calibration, &wide).unwrap();
        let after = layers(&q, &lower_apart(&q, &TARGETS[0], Metadata::default()).unwrap());
        let mut compared = 0;
        for layer in after.iter().filter(|layer| layer.bits == 16) {
            let old = before.iter().find(|old| old.name == layer.name).unwrap();
            let (new, old) = (layer.sqnr_db.unwrap(), old.sqnr_db.unwrap());
            // The input has 8 bits: what it lost, no layer gives back.
            assert!(new > old && new > 40.0, "{}: {new:.1} dB, {old:.1} dB before", layer.name);
            compared += 1;
        }
        assert!(compared >= 5, "{compared}");
    }
}

#[test]
fn a_budget_is_met_with_the_least_that_the_order_allows() {
    let (q, calibration) = prepared(excited());
    let samples: Vec<Vec<Tensor<f32>>> = ["first", "second"].map(|seed| sample(&q.graph, seed)).into();
    let host = Target::find("host").unwrap();
    let narrow = sqnr(&q, &lower_apart(&q, host, Metadata::default()).unwrap());
    let with = |budget: f64| {
        let mut q = q.clone();
        let choice = choose(&mut q, &calibration, &samples, budget);
        choice.map(|choice| (sqnr(&q, &lower(&q, host, Metadata::default()).unwrap()), choice))
    };
    let (found, choice) = with(narrow - 1.0).unwrap();
    assert_eq!((choice.wide, found), (Wide::default(), narrow), "8 bits are enough");
    let (found, choice) = with(narrow + 2.0).unwrap();
    let count = choice.wide.activations.len() + choice.wide.weights.len();
    assert!(count > 0 && found >= narrow + 2.0, "{found} dB with {:?}", choice.wide);
    assert_eq!(found, choice.sqnr_db, "what was measured is what is built");
    let message = with(200.0).unwrap_err().to_string();
    assert!(
        message.contains("asked for 200 dB") && message.contains("16 bits wherever possible"),
        "{message}"
    );
}

#[test]
fn positions_are_those_of_wide_values() {
    let (mut q, calibration) = prepared(unpooled());
    let wide = Wide { activations: ["pool".into(), "unpool".into()].into(), ..Wide::default() };
    widen(&mut q, &calibration, &wide).unwrap();
    let format = |name: &str| q.formats[q.graph.find(name).unwrap().0];
    for name in ["first.prelu", "pool", "padded", "deep", "unpool"] {
        assert!(matches!(format(name), Format::Int16 { .. }), "{name}: {:?}", format(name));
    }
    assert_eq!(format("positions"), Format::Label);
    assert!(q.graph.values.iter().all(|v| !v.name.ends_with(".int8")), "nothing needs a copy");
    // The values before the pool are as good as their 8-bit input, and so most positions are those of float.
    let program = lower(&q, &TARGETS[0], Metadata::default()).unwrap();
    let result = verify(&q.graph, &program, [Ok(sample(&q.graph, "first"))], |_, _| Ok(())).unwrap();
    let unpooled = result.layers.iter().find(|layer| layer.name == "unpool").unwrap();
    assert!(unpooled.sqnr_db.unwrap() > 20.0, "{unpooled:?}");
}

#[test]
fn what_cannot_have_sixteen_bits_is_named() {
    let (q, calibration) = prepared(branching());
    let refused = |activations: &[&str], weights: &[&str]| {
        let set = |names: &[&str]| names.iter().map(|n| n.to_string()).collect();
        let wide = Wide { activations: set(activations), weights: set(weights) };
        widen(&mut q.clone(), &calibration, &wide).unwrap_err().to_string()
    };
    for (activations, weights, expected) in [
        (&["inpt"][..], &[][..], "no layer `inpt`; near: input"),
        (&["input"], &[], "`input` is an input of the network"),
        (&["shares"], &[], "`shares` is an output of the network"),
        (&[], &["sum"], "`sum` has no weights"),
        (&[], &["input"], "`input` has no weights"),
    ] {
        let message = refused(activations, weights);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn what_is_concatenated_with_an_input_can_be_wide() {
    let (mut q, calibration) = prepared(branching());
    let before = q.formats.clone();
    let wide = Wide { activations: ["last".into()].into(), ..Wide::default() };
    widen(&mut q, &calibration, &wide).unwrap();
    let at = |name: &str| q.graph.find(name).unwrap().0;
    for name in ["active", "large", "last"] {
        assert!(matches!(q.formats[at(name)], Format::Int16 { .. }), "{name}");
    }
    assert_eq!(q.formats[at("last.input")], q.formats[at("last")], "a copy in the format of the whole");
    assert_eq!(q.formats[at("input")], before[at("input")]);
    // A scale of 1/32767 of the largest magnitude: the copy is as good as the input's codes.
    let program = lower_apart(&q, &TARGETS[0], Metadata::default()).unwrap();
    let input = program.tensor(program.inputs[0]);
    let coded = input.dequantize(&input.quantize(&sample(&q.graph, "first")[0].data));
    let result = verify(&q.graph, &program, [Ok(vec![coded])], |_, _| Ok(())).unwrap();
    let copy = result.layers.iter().find(|layer| layer.name == "last.input").unwrap();
    assert!(copy.sqnr_db.is_none_or(|db| db > 70.0), "{copy:?}");
}

#[test]
fn what_shares_a_scale_is_widened_together_and_others_read_a_copy() {
    let (mut q, calibration) = prepared(branching());
    let wide = Wide { activations: ["stem".into()].into(), weights: ["a".into()].into() };
    widen(&mut q, &calibration, &wide).unwrap();
    let format = |q: &QGraph, name: &str| q.formats[q.graph.find(name).unwrap().0];
    assert!(matches!(format(&q, "stem"), Format::Int16 { .. }));
    assert!(matches!(format(&q, "sum"), Format::Int8(_)), "a sum takes either width");
    assert!(q.graph.find("stem.int8").is_none(), "all that read it take either width");
    assert_eq!(q.bytes(q.graph.find("stem").unwrap()), 2 * 9 * 7 * 12);
    let program = lower(&q, &TARGETS[0], Metadata::default()).unwrap();
    let bytes = |id: ValueId| program.tensor(id).bytes();
    assert_eq!(bytes(q.graph.find("stem").unwrap()), 2 * 9 * 7 * 12);
    let fourth = input(Shape::new(9, 7, 3), "fourth");
    let codes = program.tensor(program.inputs[0]).quantize(&fourth.data);
    assert_eq!(Executor::new(&program).run(&[&codes]).unwrap().len(), 2);
}
