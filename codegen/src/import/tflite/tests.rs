//! Operators whose meaning no model of the field shows, on files made here.

use super::{
    importer::import,
    reader::{Code, Data, Element, Model, Operator, Options, Pack, TensorDef},
};
use crate::{
    import::{file::Content, network::NetworkOptions},
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
