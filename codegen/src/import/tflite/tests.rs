//! Operators whose meaning no model of the field shows, on files made here.

use super::{
    importer::import,
    reader::{
        Activation, Code, Data, Element, Model, Operator, Options, Pack, Padding, Pool2D, Quantization,
        TensorDef,
    },
};
use crate::{
    execute::Executor,
    import::{
        file::{Content, Read},
        network::NetworkOptions,
    },
    lower::{TARGETS, lower},
    program::Metadata,
    tensor::Tensor,
};

fn tensor(name: &str, shape: &[usize]) -> TensorDef {
    let (name, shape) = (name.into(), shape.to_vec());
    TensorDef { name, shape, free: false, element: Element::Float32, quantization: None, data: None }
}

fn operator(name: &'static str, inputs: &[usize], output: usize, options: Options) -> Operator {
    let inputs = inputs.iter().map(|at| Some(*at)).collect();
    let custom_options = Data::from(vec![]);
    Operator { code: Code::Builtin(name), version: 1, inputs, outputs: vec![output], options, custom_options }
}

/// `x` and `-x`, stacked along a new axis.
fn stacked(axis: i32, shape: &[usize]) -> Vec<f32> {
    let model = Model {
        description: String::new(),
        other_graphs: 0,
        metadata_names: vec![],
        signatures: vec![],
        inputs: vec![0],
        outputs: vec![2],
        tensors: vec![tensor("x", &[3]), tensor("negative", &[3]), tensor("both", shape)],
        operators: vec![
            operator("NEG", &[0], 1, Options::None),
            operator("PACK", &[0, 1], 2, Options::Pack(Pack { values_count: 2, axis })),
        ],
    };
    let read = import(&model, "stacked", &NetworkOptions::default()).expect("operators that are imported");
    let Content::Float(graph) = read.content else { panic!("it is quantised") };
    let x = Tensor::new(graph.shape(graph.inputs[0]), vec![1.0, 2.0, 3.0]).expect("three numbers");
    graph.eval_f32(&[x]).expect("its input").remove(0).data
}

#[test]
fn tensors_are_stacked_along_any_axis() {
    assert_eq!(stacked(0, &[2, 3]), [1.0, 2.0, 3.0, -1.0, -2.0, -3.0]);
    assert_eq!(stacked(1, &[3, 2]), [1.0, -1.0, 2.0, -2.0, 3.0, -3.0]);
    assert_eq!(stacked(-1, &[3, 2]), [1.0, -1.0, 2.0, -2.0, 3.0, -3.0]);
}

/// An average pool of int8 from one scale to another.
fn pooled(scales: [f32; 2]) -> Read {
    let of = |name: &str, side: usize, scale: f32| TensorDef {
        element: Element::Int8,
        quantization: Some(Quantization { scale: vec![scale], zero_point: vec![3], dimension: 0 }),
        ..tensor(name, &[1, side, side, 1])
    };
    let pool = Pool2D {
        padding: Padding::Valid,
        stride_w: 2,
        stride_h: 2,
        filter_w: 2,
        filter_h: 2,
        activation: Activation::Relu,
    };
    let model = Model {
        description: String::new(),
        other_graphs: 0,
        metadata_names: vec![],
        signatures: vec![],
        inputs: vec![0],
        outputs: vec![1],
        tensors: vec![of("x", 4, scales[0]), of("pooled", 2, scales[1])],
        operators: vec![operator("AVERAGE_POOL_2D", &[0], 1, Options::Pool2D(pool))],
    };
    import(&model, "pooled", &NetworkOptions::default()).expect("a pool")
}

#[test]
fn a_pool_of_two_scales_keeps_codes_and_is_warned_of() {
    assert_eq!(pooled([0.5; 2]).warnings, []);
    let read = pooled([0.5, 0.25]);
    let [(layer, message)] = &read.warnings[..] else { panic!("{:?}", read.warnings) };
    assert_eq!(layer, "pooled");
    assert!(message.contains("scale 0.5 and zero point 3, the result 0.25 and 3"), "{message}");
    let Content::Quantized(q) = read.content else { panic!("it has codes") };
    let program = lower(&q, &TARGETS[0], Metadata::default()).expect("a program");
    // The mean of codes, and a clamp at the result's zero point.
    let codes = [5, 6, -9, 1, 7, 8, 0, 0, 100, 100, 2, 4, 100, 101, 6, 8];
    let found = Executor::new(&program).run(&[&codes]).expect("16 codes").remove(0);
    assert_eq!(found, [7, 3, 100, 5]);
}
