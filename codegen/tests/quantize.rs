//! Number formats: which tensors share one, where it comes from, what is refused.

mod common;

use common::{calibrated, graph, quantized, sample};
use niello_codegen::{
    Graph, Shape,
    execute::Executor,
    format::{Format, Mode, QParams},
    lower::{TARGETS, lower},
    ops::{self, ArgMax, ConvParams, Function, MaxPool2d, PointWise, Resize, ResizeMode, Softmax},
    precision::float::everywhere,
    program::Metadata,
    quantize::{QGraph, QuantizeOptions, RangeMethod, calibrate::calibrate, quantize},
};

fn format(q: &QGraph, name: &str) -> Format {
    q.formats[q.graph.find(name).unwrap_or_else(|| panic!("no value `{name}`")).0]
}

/// Max pool, resize and concatenation keep scales; a convolution and an addition do not.
fn sharing() -> Graph {
    graph(|b| {
        let x = b.input("input", Shape::new(8, 8, 2));
        let left = b.conv2d("left", x, ConvParams::new(4, 3).padding(1));
        let right = b.conv2d("right", x, ConvParams::new(4, 3).padding(1));
        let pool = b.add_op("pool", MaxPool2d::new(2, 2), &[left]);
        let up = b.add_op("up", Resize { size: [8, 8], mode: ResizeMode::Nearest }, &[pool]);
        let concat = b.concat("concat", &[up, right]);
        let conv = b.conv2d("conv", concat, ConvParams::new(8, 1));
        vec![b.add("sum", conv, concat)]
    })
}

fn with_overrides(overrides: &[(&str, RangeMethod)]) -> niello_codegen::Result<QGraph> {
    let graph = sharing();
    let calibration = calibrated(&graph);
    let overrides = overrides.iter().map(|(name, method)| (name.to_string(), *method)).collect();
    quantize(graph, &calibration, &QuantizeOptions { overrides, ..Default::default() })
}

#[test]
fn tensors_of_one_group_share_one_format_and_others_do_not() {
    let q = with_overrides(&[]).unwrap();
    let shared = format(&q, "left");
    for name in ["pool", "up", "concat", "right"] {
        assert_eq!(format(&q, name), shared, "{name}");
    }
    for name in ["input", "conv", "sum"] {
        assert_ne!(format(&q, name), shared, "{name}");
    }
}

#[test]
fn an_override_of_one_member_holds_for_its_group() {
    let range = RangeMethod::Fixed { min: -3.0, max: 12.3 };
    let q = with_overrides(&[("up", range)]).unwrap();
    let wanted = Format::Int8(QParams::from_range(-3.0, 12.3));
    for name in ["left", "right", "pool", "up", "concat"] {
        assert_eq!(format(&q, name), wanted, "{name}");
    }
    assert_ne!(format(&q, "sum"), wanted);
}

#[test]
fn an_override_of_no_tensor_is_an_error_with_near_names() {
    let message = with_overrides(&[("concta", RangeMethod::MinMax)]).unwrap_err().to_string();
    assert!(message.starts_with("range override for `concta`: no such tensor"), "{message}");
    assert!(message.contains("concat"), "{message}");
}

#[test]
fn ranges_that_are_none_are_errors() {
    for (min, max) in [(f32::NAN, 1.0), (0.0, f32::INFINITY), (1.0, -1.0)] {
        let message = with_overrides(&[("up", RangeMethod::Fixed { min, max })]).unwrap_err().to_string();
        assert!(message.contains("range override for `up`: expected two finite numbers"), "{message}");
    }
    for percent in [f64::NAN, 12.0, 50.0, 100.5] {
        let message = with_overrides(&[("up", RangeMethod::Percentile(percent))]).unwrap_err().to_string();
        assert!(message.contains("expected a percentile"), "{message}");
    }
}

#[test]
fn formats_that_an_operator_defines_are_not_calibrated() {
    let q = quantized(graph(|b| {
        let x = b.input("input", Shape::new(4, 4, 3));
        let sigmoid = b.add_op("sigmoid", PointWise::sigmoid(), &[x]);
        let softmax = b.add_op("softmax", Softmax, &[x]);
        let labels = b.add_op("labels", ArgMax, &[x]);
        vec![sigmoid, softmax, labels]
    }));
    let unit = Format::Int8(QParams { scale: 1.0 / 256.0, zero_point: -128 });
    assert_eq!((format(&q, "sigmoid"), format(&q, "softmax")), (unit, unit));
    assert_eq!(format(&q, "labels"), Format::Label);
}

/// A branch of the range of `small` times `factor` that a convolution reads too, concatenated with `large`.
fn beside_a_larger_one(factor: f32) -> QGraph {
    quantized(graph(|b| {
        let x = b.input("input", Shape::new(8, 8, 2));
        let small = b.add_op("small", PointWise(Function::LeakyRelu(0.5)), &[x]);
        let other = b.input("other", Shape::new(8, 8, 2));
        let scale = ops::BatchNorm { factor: vec![factor as f64; 2], offset: vec![0.0; 2] };
        let large = b.add_op("large", scale, &[other]);
        let concat = b.concat("concat", &[small, large]);
        let reads = b.conv2d("reads", small, ConvParams::new(2, 1));
        vec![concat, reads]
    }))
}

#[test]
fn an_operand_that_others_read_keeps_a_scale_that_is_much_finer() {
    let q = beside_a_larger_one(100.0);
    assert_ne!(format(&q, "small"), format(&q, "concat"));
    assert_eq!(format(&q, "large"), format(&q, "concat"));
    assert_eq!(format(&q, "concat.small"), format(&q, "concat"), "a copy is concatenated");
    let step = |name| format(&q, name).step().unwrap();
    assert!(step("small") * 20.0 < step("concat"));
    let q = beside_a_larger_one(5.0);
    assert_eq!(format(&q, "small"), format(&q, "concat"), "it is not worth a copy");
    assert!(q.graph.find("concat.small").is_none());
}

#[test]
fn fixed_formats_stay_with_those_whose_they_are() {
    for nested in [false, true] {
        let q = quantized(graph(|b| {
            let x = b.input("input", Shape::new(4, 4, 3));
            let sigmoid = b.add_op("sigmoid", PointWise::sigmoid(), &[x]);
            let tanh = b.add_op("tanh", PointWise(Function::Tanh), &[x]);
            let pool = b.add_op("pool", MaxPool2d::new(3, 1).padding(1), &[tanh]);
            let softmax = b.add_op("softmax", Softmax, &[x]);
            let first = if nested { b.concat("inner", &[sigmoid, x]) } else { sigmoid };
            let all = b.concat("all", &[x, first, pool, softmax]);
            vec![b.add_op("max", MaxPool2d::new(2, 2), &[all])]
        }));
        let unit = Format::Int8(QParams { scale: 1.0 / 256.0, zero_point: -128 });
        let signed = Format::Int8(QParams { scale: 1.0 / 128.0, zero_point: 0 });
        assert_eq!((format(&q, "sigmoid"), format(&q, "softmax")), (unit, unit));
        assert_eq!((format(&q, "tanh"), format(&q, "pool")), (signed, signed));
        let (min, max) = format(&q, "input").range().unwrap();
        assert!(min < -1.9 && max > 1.9, "{min}..{max}");
        for name in ["all", "max", "all.pool", "all.softmax"] {
            assert_eq!(format(&q, name), format(&q, "input"), "{name}");
        }
    }
    let q = quantized(graph(|b| {
        let x = b.input("input", Shape::new(4, 4, 3));
        let [one, two] = ["one", "two"].map(|name| b.add_op(name, PointWise::sigmoid(), &[x]));
        vec![b.concat("both", &[one, two])]
    }));
    assert_eq!(format(&q, "both"), format(&q, "one"), "formats that are all alike need no copies");
    assert_eq!(q.graph.nodes.len(), 3);
}

#[test]
fn what_is_concatenated_from_different_formats_is_near_float() {
    let built = || {
        graph(|b| {
            let x = b.input("input", Shape::new(6, 5, 4));
            let sigmoid = b.add_op("sigmoid", PointWise::sigmoid(), &[x]);
            let tanh = b.add_op("tanh", PointWise(Function::Tanh), &[x]);
            let inner = b.concat("inner", &[tanh, x]);
            vec![b.concat("all", &[x, sigmoid, inner, tanh])]
        })
    };
    let float = built().eval_f32(&sample(&built(), "first")).unwrap().remove(0);
    for target in TARGETS {
        let program = lower(&quantized(built()), target, Metadata::default()).unwrap();
        let info = program.tensor(program.inputs[0]);
        let codes = info.quantize(&sample(&built(), "first")[0].data);
        let output = Executor::new(&program).run(&[&codes]).unwrap().remove(0);
        let info = program.tensor(program.outputs[0]);
        let step = info.format.step().unwrap();
        for (x, y) in float.data.iter().zip(&info.dequantize(&output).data) {
            assert!((x - y).abs() <= 1.01 * step, "{}: {y}, expected {x}", target.name);
        }
    }
}

#[test]
fn a_tensor_that_calibration_did_not_see_is_an_error_that_names_it() {
    let small = graph(|b| vec![b.input("input", Shape::new(8, 8, 2))]);
    let message =
        quantize(sharing(), &calibrated(&small), &QuantizeOptions::default()).unwrap_err().to_string();
    assert!(message.contains("`right` was not seen in calibration"), "{message}");
}

/// Values of 4 GiB each in single precision; 8 GiB may be alive at a time. There are no samples, so nothing is computed.
#[test]
fn activations_that_no_machine_holds_are_refused_with_the_layer() {
    let refused = |skip: bool| {
        let large = graph(|b| {
            let x = b.input("input", Shape::new(1 << 15, 1 << 15, 1));
            let one = b.relu("one", x);
            let two = b.relu("two", one);
            let three = b.relu("three", two);
            vec![b.add("sum", three, if skip { one } else { three })]
        });
        calibrate(&large, [], |_| {}).unwrap_err().to_string()
    };
    assert_eq!(refused(false), "calibration needs at least one input, got none");
    let expected = "layer `three` (Clamp): the float reference would keep 12.9 GB of activations here, expected at most 8.6; \
                    choose a smaller input";
    assert_eq!(refused(true), expected);
}

#[test]
fn every_range_holds_zero_exactly() {
    for (min, max, zero_point) in [
        (0.0, 6.0, -128),
        (-6.0, 0.0, 127),
        (-1.0, 1.0, 0),
        (2.0, 6.0, -128),  // widened to 0
        (-6.0, -2.0, 127), // widened to 0
        (0.0, 0.0, -128),  // nothing but zeros
        (-1e-42, 1e-42, -128),
    ] {
        let q = QParams::from_range(min, max);
        assert_eq!(q.dequantize(q.zero_point), 0.0);
        assert_eq!(q.quantize(0.0), q.zero_point);
        assert_eq!([q.quantize(f32::NAN), q.quantize(-f32::NAN)], [q.zero_point; 2]);
        assert!(q.scale > 0.0 && q.scale.is_normal(), "[{min}, {max}]: {q:?}");
        assert!((q.zero_point as i32 - zero_point).abs() <= 1, "[{min}, {max}]: {q:?}");
        for x in [min, max] {
            assert!((q.dequantize(q.quantize(x)) - x).abs() <= q.scale, "[{min}, {max}]: {q:?}");
        }
    }
}

#[test]
fn labels_that_are_handed_on_stay_labels() {
    let built = |mixed: bool| {
        graph(|b| {
            let x = b.input("input", Shape::new(4, 4, 3));
            let labels = b.add_op("labels", ArgMax, &[x]);
            let shaped = b.reshape("shaped", labels, Shape::new(2, 8, 1));
            let back = b.reshape("back", shaped, Shape::new(4, 4, 1));
            let pair = b.concat("pair", &[labels, if mixed { x } else { back }]);
            vec![labels, labels, pair]
        })
    };
    let q = quantized(built(false));
    for name in ["back", "pair", "labels.copy"] {
        assert_eq!(format(&q, name), Format::Label, "{name}");
    }
    let float = everywhere(built(false), Mode::F16);
    for q in [q, float] {
        let program = lower(&q, &TARGETS[0], Metadata::default()).unwrap();
        let codes = program.tensor(program.inputs[0]).quantize(&sample(&q.graph, "first")[0].data);
        let outputs = Executor::new(&program).run(&[&codes]).unwrap();
        assert_eq!(outputs[0], outputs[1]);
        let twice: Vec<i8> = outputs[0].iter().flat_map(|label| [*label; 2]).collect();
        assert_eq!(outputs[2], twice);
        assert!(outputs[0].iter().any(|label| *label != outputs[0][0]));
    }
    for q in [quantized(built(true)), everywhere(built(true), Mode::F32)] {
        let message = lower(&q, &TARGETS[0], Metadata::default()).unwrap_err().to_string();
        assert!(message.contains("`labels` is label, the result"), "{message}");
    }
}

#[test]
fn labels_are_labels_wherever_they_are_handed_on_from() {
    let q = quantized(graph(|b| {
        let given = b.input("given", Shape::new(4, 4, 1));
        let row = b.reshape("row", given, Shape::new(1, 16, 1));
        let part = b.add_op("part", Resize { size: [2, 8], mode: ResizeMode::Nearest }, &[row]);
        vec![b.embedding("rows", part, 5, 3)]
    }));
    for name in ["given", "row", "part"] {
        assert_eq!(format(&q, name), Format::Label, "{name}");
    }
}

#[test]
fn labels_are_not_mixed() {
    for mode in [ResizeMode::Bilinear, ResizeMode::BilinearAligned] {
        let q = quantized(graph(|b| {
            let x = b.input("input", Shape::new(4, 4, 3));
            let labels = b.add_op("labels", ArgMax, &[x]);
            vec![b.add_op("large", Resize { size: [7, 7], mode }, &[labels])]
        }));
        let refused = lower(&q, &TARGETS[0], Metadata::default()).unwrap_err().to_string();
        assert!(refused.contains("`large` (Resize): `labels` holds labels"), "{refused}");
    }
}
