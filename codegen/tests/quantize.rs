//! Number formats: which tensors share one, where it comes from, what is refused.

mod common;

use common::{calibrated, graph, quantized, sample};
use niello_codegen::{
    Graph, Shape, ValueId,
    execute::Executor,
    format::{Format, Mode, QParams},
    lower::{TARGETS, lower},
    ops::{self, ArgMax, ConvParams, Function, MaxPool2d, PointWise, Resize, ResizeMode, Softmax},
    precision::float::everywhere,
    program::Metadata,
    quantize::{
        QGraph, QuantizeOptions, RangeMethod,
        calibrate::calibrate,
        quantize,
        ranges::{Ranges, Seen, ValueRange},
        with_ranges,
    },
};
use niello_kernels::Rounding;

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

/// A branch of the range of `small` times `factor`, concatenated with `large`; a convolution reads it too, if `is_read`.
fn beside_a_larger_one(factor: f32, is_read: bool) -> QGraph {
    quantized(graph(|b| {
        let x = b.input("input", Shape::new(8, 8, 2));
        let small = b.add_op("small", PointWise(Function::LeakyRelu(0.5)), &[x]);
        let pooled = b.add_op("pooled", MaxPool2d::new(3, 1).padding(1), &[small]);
        let other = b.input("other", Shape::new(8, 8, 2));
        let scale = ops::BatchNorm { factor: vec![factor as f64; 2], offset: vec![0.0; 2] };
        let large = b.add_op("large", scale, &[other]);
        let concat = b.concat("concat", &[small, pooled, large]);
        let reads = b.conv2d("reads", if is_read { small } else { x }, ConvParams::new(2, 1));
        vec![concat, reads]
    }))
}

#[test]
fn an_operand_that_others_read_keeps_a_scale_that_is_much_finer() {
    let q = beside_a_larger_one(100.0, true);
    assert_ne!(format(&q, "small"), format(&q, "concat"));
    assert_eq!(format(&q, "pooled"), format(&q, "small"));
    assert_eq!(format(&q, "large"), format(&q, "concat"));
    assert_eq!(format(&q, "concat.small"), format(&q, "concat"), "a copy is concatenated");
    let step = |name| format(&q, name).step().unwrap();
    assert!(step("small") * 20.0 < step("concat"));
    for (factor, is_read) in [(5.0, true), (100.0, false)] {
        let q = beside_a_larger_one(factor, is_read);
        for name in ["small", "pooled"] {
            assert_eq!(format(&q, name), format(&q, "concat"), "it is not worth a copy");
        }
        assert!(q.graph.find("concat.small").is_none());
    }
}

#[test]
fn a_network_has_a_floating_point_mode_if_all_layers_have_it() {
    let all = everywhere(sharing(), Mode::F16);
    assert_eq!(all.mode(), Some(Mode::F16));
    assert_eq!(quantized(sharing()).mode(), None);
    let ids: Vec<_> = all.modes.keys().copied().collect();
    for id in [ids[0], ids[ids.len() - 1]] {
        let mut q = all.clone();
        q.modes.insert(id, Mode::F32);
        assert_eq!(q.mode(), None, "one layer differs");
        q.modes.remove(&id);
        assert_eq!(q.mode(), None, "one layer has 8 bits");
    }
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
fn outputs_keep_their_range_and_what_layers_read_has_the_method_s() {
    let net = graph(|b| {
        let x = b.input("input", Shape::new(4, 4, 2));
        let read = b.conv2d("read", x, ConvParams::new(3, 1));
        let last = b.conv2d("last", read, ConvParams::new(3, 1));
        let unread = b.conv2d("unread", x, ConvParams::new(2, 1));
        vec![read, last, unread]
    });
    let calibration = calibrated(&net);
    let options =
        QuantizeOptions { method: RangeMethod::Fixed { min: -3.0, max: 4.0 }, ..Default::default() };
    let ranges = Ranges::choose(&net, &calibration, &options).unwrap();
    let seen_by = Ranges::seen_by(&net, &calibration);
    for (name, is_fixed) in [("input", true), ("read", true), ("last", false), ("unread", false)] {
        let id = net.find(name).unwrap();
        let statistics = calibration.statistics(id).unwrap();
        let seen = (statistics.min, statistics.max);
        assert!(seen.0 < 0.0 && seen.1 > 0.0, "{name}: {seen:?}");
        let chosen = if is_fixed { (-3.0, 4.0) } else { seen };
        assert_eq!(ranges.get(id), Some(ValueRange { chosen, seen }), "{name}");
        assert_eq!(seen_by.get(id), Some(ValueRange { chosen: seen, seen }), "{name}");
        assert_eq!([ranges.seen(id), seen_by.seen(id), calibration.seen(id)], [Some(seen); 3], "{name}");
    }
    let beyond = ValueId(net.values.len());
    assert!(ranges.get(beyond).is_none() && calibration.seen(beyond).is_none());
    let q = with_ranges(net.clone(), &ranges, Rounding::Single).unwrap();
    assert_eq!(
        (q.formats, q.rounding),
        (quantize(net, &calibration, &options).unwrap().formats, Rounding::Single)
    );
}

#[test]
fn ranges_that_are_read_back_must_be_complete_and_agree() {
    let net = sharing();
    let options = QuantizeOptions { method: RangeMethod::MinMax, ..Default::default() };
    let ranges = Ranges::choose(&net, &calibrated(&net), &options).unwrap();
    let by_value: Vec<_> = (0..net.values.len()).map(|i| ranges.get(ValueId(i))).collect();
    let other = ValueRange { chosen: (-1.0, 99.0), seen: (-1.0, 99.0) };
    for (name, range, expected) in [
        ("up", None, "`up` has no range"),
        ("left", None, "`left` has no range"),
        ("up", Some(other), "`left` and `up` share a format, and have different ranges"),
    ] {
        let mut changed = by_value.clone();
        changed[net.find(name).unwrap().0] = range;
        let result = with_ranges(net.clone(), &Ranges::new(changed), Rounding::Single);
        assert_eq!(result.unwrap_err().to_string(), expected);
    }
    assert!(with_ranges(net, &Ranges::new(by_value), Rounding::Single).is_ok());
}

#[test]
fn biases_are_corrected_by_means_unless_the_options_say_no() {
    for bias_correction in [false, true] {
        let net = sharing();
        let calibration = calibrated(&net);
        let options = QuantizeOptions { bias_correction, method: RangeMethod::MinMax, ..Default::default() };
        let q = quantize(net, &calibration, &options).unwrap();
        for (i, means) in q.channel_means.iter().enumerate() {
            let seen = calibration.statistics(ValueId(i)).unwrap().channel_means();
            assert_eq!(seen.len(), q.graph.shape(ValueId(i)).c);
            assert_eq!(means.as_ref(), bias_correction.then_some(&seen));
        }
    }
}

#[test]
fn calibration_counts_its_samples() {
    let net = sharing();
    let mut done = vec![];
    let samples = ["first", "second", "third"].map(|seed| Ok(sample(&net, seed)));
    let calibration = calibrate(&net, samples, |count| done.push(count)).unwrap();
    assert_eq!((calibration.samples, done), (3, vec![1, 2, 3]));
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
