//! Number formats: which tensors share one, where it comes from, what is refused.

mod common;

use common::{calibrated, graph, quantized};
use niello_codegen::{
    Graph, Shape,
    graph::ConvParams,
    ops::{ArgMax, MaxPool2d, PointWise, Resize, ResizeMode, Softmax},
    quantize::{Format, QGraph, QParams, QuantizeOptions, RangeMethod, quantize},
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

#[test]
fn a_tensor_that_calibration_did_not_see_is_an_error_that_names_it() {
    let small = graph(|b| vec![b.input("input", Shape::new(8, 8, 2))]);
    let message =
        quantize(sharing(), &calibrated(&small), &QuantizeOptions::default()).unwrap_err().to_string();
    assert!(message.contains("`left` was not seen in calibration"), "{message}");
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
