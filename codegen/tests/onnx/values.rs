//! What is not a real number of a single image: integers, truth values, codes as inputs, batches, tensors without elements, sizes that a file declares.

use crate::small::{
    Of::Int, assert_near, file, file_of, floats, import, ints, kinds, node, run, typed, value,
};
use niello_codegen::{
    Tensor,
    execute::Executor,
    import::{Element, onnx::proto::TensorProto},
    lower::{Target, lower},
    program::Metadata,
};

const UINT8: i32 = 2;
const INT32: i32 = 6;
const INT64: i32 = 7;
const BOOL: i32 = 9;

/// Numbers from -3 to 3, some of them equal.
fn steps(count: usize, factor: usize) -> Vec<f64> {
    (0..count).map(|i| (i * factor % 7) as f64 - 3.0).collect()
}

/// The first output for inputs of the file's order.
fn evaluated(bytes: &[u8], inputs: &[Vec<f64>]) -> Vec<f64> {
    let model = import(bytes).unwrap();
    let maps = model.graph.inputs.iter().zip(inputs);
    let maps: Vec<Tensor<f64>> =
        maps.map(|(id, x)| Tensor::new(model.graph.shape(*id), x.clone()).unwrap()).collect();
    model.graph.eval_f64(&maps).unwrap().remove(0).data
}

#[test]
fn relations_of_tensors_hold_or_do_not() {
    let (x, y) = (steps(12, 3), steps(12, 5));
    let holds: [(&str, fn(f64, f64) -> bool); 5] = [
        ("Equal", |a, b| a == b),
        ("Greater", |a, b| a > b),
        ("GreaterOrEqual", |a, b| a >= b),
        ("Less", |a, b| a < b),
        ("LessOrEqual", |a, b| a <= b),
    ];
    for (op, holds) in holds {
        let inputs = [value("x", Some(&[1, 12])), value("z", Some(&[1, 12]))];
        let of_two =
            file_of(18, &inputs, vec![node(op, &["x", "z"], "y", &[])], vec![], &[typed("y", BOOL, None)]);
        let wanted: Vec<f64> = x.iter().zip(&y).map(|(a, b)| f64::from(holds(*a, *b))).collect();
        assert_eq!(evaluated(&of_two, &[x.clone(), y.clone()]), wanted, "{op}");
        let constant = floats("one", &[], &[1.0]);
        let of_one = file(18, &[1, 12], vec![node(op, &["one", "x"], "y", &[])], vec![constant], &["y"]);
        let wanted: Vec<f64> = x.iter().map(|x| f64::from(holds(1.0, *x))).collect();
        assert_eq!(evaluated(&of_one, &[x.clone()]), wanted, "1 {op} x");
    }
}

#[test]
fn tensors_are_chosen_between() {
    let nodes = || {
        vec![
            node("Less", &["x", "zero"], "negative", &[]),
            node("Not", &["negative"], "other", &[]),
            node("Where", &["other", "x", "five"], "y", &[]),
        ]
    };
    let constants = |five: f32| vec![floats("zero", &[], &[0.0]), floats("five", &[1], &[five])];
    let x = steps(12, 3);
    let wanted: Vec<f64> = x.iter().map(|x| if *x < 0.0 { 5.0 } else { *x }).collect();
    assert_eq!(evaluated(&file(18, &[1, 12], nodes(), constants(5.0), &["y"]), &[x]), wanted);
    // 0 times infinity is no number.
    let error = import(&file(18, &[1, 12], nodes(), constants(f32::INFINITY), &["y"])).unwrap_err();
    assert!(error.contains("`y_node` (Where): `five` holds numbers that are not finite"), "{error}");
}

#[test]
fn integers_are_real_numbers_where_that_is_exact() {
    let cast = |to: i32| node("Cast", &["x"], "y", &[("to", Int(to as i64))]);
    let of = |input: i32, node| {
        file_of(18, &[typed("x", input, Some(&[1, 4]))], vec![node], vec![], &[typed("y", INT32, None)])
    };
    assert_eq!(evaluated(&of(1, cast(INT64)), &[vec![-2.7, -0.2, 0.9, 3.0]]), [-2.0, 0.0, 0.0, 3.0]);
    assert_eq!(evaluated(&of(1, cast(BOOL)), &[vec![-2.7, 0.0, 0.1, 3.0]]), [1.0, 0.0, 1.0, 1.0]);
    assert_eq!(
        evaluated(&of(INT32, node("Add", &["x", "x"], "y", &[])), &[vec![1.0, 2.0, -3.0, 0.0]]),
        [2.0, 4.0, -6.0, 0.0]
    );
    for (input, node, why) in [
        (INT32, node("Div", &["x", "x"], "y", &[]), "a quotient of int32"),
        (UINT8, node("Add", &["x", "x"], "y", &[]), "arithmetic on elements of type uint8"),
        (BOOL, node("Add", &["x", "x"], "y", &[]), "arithmetic on elements of type bool"),
        (INT64, node("Exp", &["x"], "y", &[]), "a function of elements of type int64"),
        (INT64, node("Softmax", &["x"], "y", &[]), "`x` holds elements of type int64, expected real numbers"),
        (INT32, cast(UINT8), "elements of type int32 to uint8"),
        (1, node("And", &["x", "x"], "y", &[]), "`x` holds real numbers, expected truth values"),
        (11, node("Relu", &["x"], "y", &[]), "is of type double"),
    ] {
        let error = import(&of(input, node)).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

/// The codes that a file makes of codes.
fn codes(bytes: &[u8], input: &[i8]) -> Vec<f32> {
    let q = import(bytes).unwrap().quantized.expect("codes");
    let program = lower(&q, Target::find("host").unwrap(), Metadata::default()).unwrap();
    let outputs = Executor::new(&program).run(&[input]).unwrap();
    program.tensor(program.outputs[0]).dequantize(&outputs[0]).data
}

fn zero_points(name: &str, values: &[i32]) -> TensorProto {
    let dims = if values.len() == 1 { vec![] } else { vec![values.len() as i64] };
    let (data_type, int32_data) = (Some(UINT8), values.to_vec());
    TensorProto { name: Some(name.into()), dims, data_type, int32_data, ..TensorProto::default() }
}

#[test]
fn codes_are_inputs_of_a_network() {
    let x = typed("x", UINT8, Some(&[1, 2, 1, 2]));
    let of = |nodes, constants| file_of(18, &[x.clone()], nodes, constants, &[value("y", None)]);
    // A picture of bytes.
    let nodes =
        vec![node("Cast", &["x"], "numbers", &[("to", Int(1))]), node("Div", &["numbers", "most"], "y", &[])];
    let bytes = of(nodes, vec![floats("most", &[], &[255.0])]);
    assert_eq!(import(&bytes).unwrap().inputs[0].element, Element::UInt8);
    // Channels come last in the program.
    let found = codes(&bytes, &[-128, 127, -26, 25]);
    assert_near(&found.iter().map(|x| *x as f64).collect::<Vec<_>>(), &[0.0, 1.0, 0.4, 0.6]);
    // A scale for each channel.
    let nodes = vec![node("DequantizeLinear", &["x", "s", "z"], "y", &[("axis", Int(1))])];
    let bytes = of(nodes, vec![floats("s", &[2], &[0.5, 2.0]), zero_points("z", &[128, 100])]);
    assert_eq!(codes(&bytes, &[-128, -28, 127, 0]), [-64.0, 0.0, 63.5, 56.0]);
    // What moves codes knows nothing of their scale; what reads them behind it does.
    let nodes =
        vec![node("Transpose", &["x"], "t", &[]), node("DequantizeLinear", &["t", "s", "z"], "y", &[])];
    let bytes = of(nodes, vec![floats("s", &[], &[0.5]), zero_points("z", &[128])]);
    assert_eq!(codes(&bytes, &[-128, -28, 127, 0]).iter().sum::<f32>(), 0.5 * (-128.0 - 28.0 + 127.0));
}

#[test]
fn batches_are_axes_like_others_until_an_operator_needs_an_image() {
    let (_, x, y) = run(&[3, 2, 2, 2], vec![node("Softmax", &["x"], "y", &[("axis", Int(0))])], vec![]);
    let sum: f64 = (0..3).map(|n| x[n * 8].exp()).sum();
    assert_near(&[y[8]], &[x[8].exp() / sum]);
    let nodes = vec![node("Relu", &["x"], "r", &[]), node("GlobalMaxPool", &["r"], "y", &[])];
    let error = import(&file(18, &[3, 2, 2, 2], nodes, vec![], &["y"])).unwrap_err();
    assert!(error.contains("input `x`: a batch of 3, expected 1") && error.contains("y_node"), "{error}");
}

#[test]
fn tensors_without_elements_are_constants() {
    let inputs = [value("x", Some(&[2, 3]))];
    let slice = vec![node("Slice", &["x", "from", "to"], "y", &[])];
    let bounds = || vec![ints("from", &[2]), ints("to", &[5])];
    let model = import(&file_of(18, &inputs, slice, bounds(), &[value("y", None)])).unwrap();
    assert_eq!((model.outputs[0].dims.clone(), model.graph.outputs.len()), (vec![0, 3], 1));
    let sum = vec![
        node("Slice", &["x", "from", "to"], "none", &[]),
        node("ReduceSum", &["none", "axes"], "y", &[]),
    ];
    let constants = [bounds(), vec![ints("axes", &[0])]].concat();
    assert_eq!(
        evaluated(&file_of(18, &inputs, sum, constants, &[value("y", None)]), &[vec![1.0; 6]]),
        [0.0; 3]
    );
}

#[test]
fn sizes_that_depend_on_others_are_those_that_the_file_declares() {
    let inputs = [value("x", Some(&[1, 6])), typed("s", INT64, Some(&[2]))];
    let reshape = || vec![node("Reshape", &["x", "s"], "y", &[])];
    let model = import(&file_of(18, &inputs, reshape(), vec![], &[value("y", Some(&[3, 2]))])).unwrap();
    assert_eq!(model.outputs[0].dims, [3, 2]);
    let error = import(&file_of(18, &inputs, reshape(), vec![], &[value("y", Some(&[0, 2]))])).unwrap_err();
    assert!(error.contains("`s` must be a constant"), "{error}");
}

#[test]
fn the_last_of_equal_elements_may_be_meant() {
    let nodes =
        |last| vec![node("ArgMax", &["x"], "y", &[("axis", Int(1)), ("select_last_index", Int(last))])];
    let x = vec![1.0, 3.0, 0.0, 3.0, 2.0];
    for (last, wanted) in [(0, 1.0), (1, 3.0)] {
        assert_eq!(evaluated(&file(18, &[1, 5], nodes(last), vec![], &["y"]), &[x.clone()]), [wanted]);
    }
}

#[test]
fn pools_of_powers_and_norms_of_near_channels_follow_their_definition() {
    let sums = vec![node(
        "LpPool",
        &["x"],
        "y",
        &[("kernel_shape", crate::small::Of::Ints(&[1, 3])), ("p", Int(3))],
    )];
    let (model, x, y) = run(&[1, 1, 1, 3], sums, vec![]);
    assert_near(&y, &[x.iter().map(|x| x.abs().powi(3)).sum::<f64>().cbrt()]);
    assert!(
        kinds(&model).contains(&"Conv2d") || kinds(&model).contains(&"DepthwiseConv2d"),
        "{:?}",
        kinds(&model)
    );
    let near = vec![node("LRN", &["x"], "y", &[("size", Int(4)), ("alpha", crate::small::Of::Float(0.5))])];
    let (_, x, y) = run(&[1, 6, 1, 1], near, vec![]);
    // One channel before, two behind.
    let wanted = |c: usize| {
        let sum: f64 = x[c.saturating_sub(1)..6.min(c + 3)].iter().map(|x| x * x).sum();
        x[c] * (1.0 + 0.5 / 4.0 * sum).powf(-0.75)
    };
    assert_near(&y, &(0..6).map(wanted).collect::<Vec<_>>());
}
