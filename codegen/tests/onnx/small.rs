//! Small models, made here: what a tensor's way through a map of height, width and channels may not change, and what errors say.

use super::{places, to_map};
use niello_codegen::{
    Shape,
    execute::Executor,
    import::{
        network::NetworkOptions,
        onnx::{
            Model, OPERATORS, import_model,
            proto::{
                AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
                StringStringEntryProto, TensorProto, TensorShapeProto, TypeProto, TypeTensorProto,
                ValueInfoProto, attribute,
            },
        },
    },
    lower::{Target, lower},
    program::Metadata,
    weights::seeded_values,
};
use prost::Message;
use std::path::Path;

/// The value of an attribute.
pub(super) enum Of<'a> {
    Int(i64),
    Ints(&'a [i64]),
    Float(f32),
    Text(&'a str),
}
use Of::{Float, Int, Ints, Text};

pub(super) fn node(op: &str, inputs: &[&str], output: &str, attributes: &[(&str, Of<'_>)]) -> NodeProto {
    let attributes = attributes.iter().map(|(name, of)| {
        let a = AttributeProto { name: Some(name.to_string()), ..AttributeProto::default() };
        match of {
            Int(i) => AttributeProto { i: Some(*i), r#type: Some(attribute::INT), ..a },
            Ints(ints) => AttributeProto { ints: ints.to_vec(), r#type: Some(attribute::INTS), ..a },
            Float(f) => AttributeProto { f: Some(*f), r#type: Some(attribute::FLOAT), ..a },
            Text(s) => AttributeProto { s: Some(s.as_bytes().into()), r#type: Some(attribute::STRING), ..a },
        }
    });
    NodeProto {
        input: inputs.iter().map(|name| name.to_string()).collect(),
        output: vec![output.into()],
        name: Some(format!("{output}_node")),
        op_type: Some(op.into()),
        attribute: attributes.collect(),
        ..NodeProto::default()
    }
}

pub(super) fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let (name, dims, float_data) = (Some(name.into()), dims.to_vec(), values.to_vec());
    TensorProto { name, dims, data_type: Some(1), float_data, ..TensorProto::default() }
}

pub(super) fn ints(name: &str, values: &[i64]) -> TensorProto {
    let (dims, int64_data) = (vec![values.len() as i64], values.to_vec());
    TensorProto { name: Some(name.into()), dims, data_type: Some(7), int64_data, ..TensorProto::default() }
}

/// A seeded constant.
fn seeded(name: &str, dims: &[i64]) -> TensorProto {
    let count = dims.iter().product::<i64>() as usize;
    floats(name, dims, &seeded_values(name).take(count).map(|x| x as f32).collect::<Vec<_>>())
}

pub(super) fn value(name: &str, dims: Option<&[i64]>) -> ValueInfoProto {
    typed(name, 1, dims)
}

/// A value whose elements are of the type with that number.
pub(super) fn typed(name: &str, of: i32, dims: Option<&[i64]>) -> ValueInfoProto {
    let dim = |d: &i64| match *d {
        0 => DimensionProto { dim_value: None, dim_param: Some("open".into()) },
        size => DimensionProto { dim_value: Some(size), dim_param: None },
    };
    let shape = dims.map(|dims| TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let tensor_type = Some(TypeTensorProto { elem_type: Some(of), shape });
    ValueInfoProto { name: Some(name.into()), r#type: Some(TypeProto { tensor_type }) }
}

/// A file with input `x` (a size of 0 is left open) and outputs.
pub(super) fn file(
    opset: i64,
    x: &[i64],
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    outputs: &[&str],
) -> Vec<u8> {
    let outputs: Vec<ValueInfoProto> = outputs.iter().map(|name| value(name, None)).collect();
    file_of(opset, &[value("x", Some(x))], nodes, constants, &outputs)
}

/// A file with inputs and outputs of any types.
pub(super) fn file_of(
    opset: i64,
    inputs: &[ValueInfoProto],
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    outputs: &[ValueInfoProto],
) -> Vec<u8> {
    let (input, output) = (inputs.to_vec(), outputs.to_vec());
    let graph = GraphProto { node: nodes, initializer: constants, input, output, ..GraphProto::default() };
    let opset_import = vec![OperatorSetIdProto { domain: None, version: Some(opset) }];
    ModelProto { ir_version: Some(8), graph: Some(graph), opset_import, ..ModelProto::default() }
        .encode_to_vec()
}

pub(super) fn import(bytes: &[u8]) -> Result<Model, String> {
    import_model(Path::new("small.onnx"), bytes, None, &NetworkOptions::default()).map_err(|e| e.to_string())
}

/// The model, its input in the file's order, and its first output in the file's order.
pub(super) fn run(
    x: &[i64],
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
) -> (Model, Vec<f64>, Vec<f64>) {
    let model = import(&file(18, x, nodes, constants, &["y"])).unwrap();
    let input: Vec<f64> = seeded_values("x").take(x.iter().product::<i64>() as usize).collect();
    let result = model.graph.eval_f64(&[to_map(&model.inputs[0], &input).unwrap()]).unwrap().remove(0);
    let (shape, at) = places(&model.outputs[0]);
    assert_eq!(shape, result.shape);
    let mut output = vec![0.0; at.len()];
    at.iter().zip(&result.data).for_each(|(at, value)| output[*at] = *value);
    (model, input, output)
}

pub(super) fn kinds(model: &Model) -> Vec<&'static str> {
    model.graph.nodes.iter().map(|node| node.op.kind()).collect()
}

pub(super) fn assert_near(found: &[f64], wanted: &[f64]) {
    assert_eq!(found.len(), wanted.len());
    for (i, (a, b)) in found.iter().zip(wanted).enumerate() {
        assert!((a - b).abs() <= 1e-6 * b.abs().max(1.0), "element {i}: {a}, expected {b}");
    }
}

/// Elements `[b, c, h, w]` of a dense tensor of sizes `dims`.
fn at(dims: [usize; 4], [b, c, h, w]: [usize; 4]) -> usize {
    ((b * dims[1] + c) * dims[2] + h) * dims[3] + w
}

#[test]
fn tensors_lie_side_by_side_along_every_axis() {
    for axis in 1..4usize {
        for turned in [false, true] {
            // The second operand lies in another order of memory, where it is turned.
            let perm: &[i64] = if turned { &[0, 1, 3, 2] } else { &[0, 1, 2, 3] };
            let nodes = vec![
                node("Transpose", &["x"], "t", &[("perm", Ints(perm))]),
                node("Concat", &["x", "t"], "y", &[("axis", Int(axis as i64 - 4))]),
            ];
            let (model, x, y) = run(&[1, 2, 3, 3], nodes, vec![]);
            let mut wanted = vec![];
            let mut dims = [1, 2, 3, 3];
            dims[axis] *= 2;
            for i in 0..dims.iter().product() {
                let mut place = [0, i / dims[3] / dims[2], i / dims[3] % dims[2], i % dims[3]];
                let size = dims[axis] / 2;
                let second = place[axis] >= size;
                place[axis] %= size;
                if second && turned {
                    place.swap(2, 3);
                }
                wanted.push(x[at([1, 2, 3, 3], place)]);
            }
            assert_eq!(model.outputs[0].dims, dims);
            assert_near(&y, &wanted);
        }
    }
}

#[test]
fn transposes_and_reshapes_alone_move_nothing() {
    let nodes = vec![
        node("Transpose", &["x"], "a", &[("perm", Ints(&[0, 2, 3, 1]))]),
        node("Reshape", &["a", "s"], "b", &[]),
        node("Relu", &["b"], "y", &[]),
    ];
    let (model, x, y) = run(&[1, 4, 2, 3], nodes, vec![ints("s", &[1, 6, -1])]);
    assert_eq!(kinds(&model), ["Clamp", "Reshape"]);
    let wanted: Vec<f64> =
        (0..24).map(|i| x[at([1, 4, 2, 3], [0, i % 4, i / 12, i / 4 % 3])].max(0.0)).collect();
    assert_near(&y, &wanted);
}

#[test]
fn a_matrix_meets_the_elements_of_a_map_in_the_order_of_the_file() {
    let w = seeded("w", &[24, 2]);
    let nodes =
        vec![node("Flatten", &["x"], "f", &[]), node("Gemm", &["f", "w"], "y", &[("alpha", Float(2.0))])];
    let (model, x, y) = run(&[1, 4, 2, 3], nodes, vec![w.clone()]);
    assert_eq!(kinds(&model), ["Reshape", "Conv2d"]);
    let of = |n: usize| 2.0 * (0..24).map(|k| x[k] * w.float_data[2 * k + n] as f64).sum::<f64>();
    assert_near(&y, &[of(0), of(1)]);
    // A constant before the tensor: columns are what it multiplies.
    let w = seeded("w", &[2, 3]);
    let (_, x, y) = run(&[3, 4, 2], vec![node("MatMul", &["w", "x"], "y", &[])], vec![seeded("w", &[2, 4])]);
    let m = seeded("w", &[2, 4]).float_data;
    let of = |i: usize| {
        let (b, r, c) = (i / 4, i / 2 % 2, i % 2);
        (0..4).map(|k| m[r * 4 + k] as f64 * x[(b * 4 + k) * 2 + c]).sum::<f64>()
    };
    assert_near(&y, &(0..12).map(of).collect::<Vec<_>>());
    let (_, x, y) = run(&[1, 2, 3], vec![node("MatMul", &["x", "w"], "y", &[])], vec![seeded("w", &[3])]);
    let m = seeded("w", &[3]).float_data;
    assert_near(&y, &[0, 1].map(|r| (0..3).map(|k| m[k] as f64 * x[r * 3 + k]).sum::<f64>()));
    assert_eq!(w.dims, [2, 3]);
}

#[test]
fn operands_of_two_sizes_meet_as_in_numpy() {
    // A mean of each row plus a maximum of each channel.
    let nodes = vec![
        node("ReduceMean", &["x", "axes"], "rows", &[]),
        node("GlobalMaxPool", &["x"], "channels", &[]),
        node("Sub", &["rows", "channels"], "y", &[]),
    ];
    let (model, x, y) = run(&[1, 2, 3, 4], nodes, vec![ints("axes", &[1, -1])]);
    assert_eq!(model.outputs[0].dims, [1, 2, 3, 1]);
    let row = |h: usize| (0..8).map(|i| x[at([1, 2, 3, 4], [0, i / 4, h, i % 4])]).sum::<f64>() / 8.0;
    let channel = |c: usize| x[12 * c..12 * (c + 1)].iter().fold(f64::MIN, |m, x| m.max(*x));
    assert_near(&y, &(0..6).map(|i| row(i % 3) - channel(i / 3)).collect::<Vec<_>>());
    // A tensor repeated along an axis, and one that is not.
    let nodes = vec![
        node("GlobalMaxPool", &["x"], "m", &[]),
        node("Expand", &["m", "s"], "e", &[]),
        node("Mul", &["e", "x"], "y", &[]),
    ];
    let (model, x, y) = run(&[1, 2, 3, 4], nodes, vec![ints("s", &[1, 2, 3, 4])]);
    assert_eq!(kinds(&model), ["MaxPool2d", "Mul"]);
    assert_near(&y, &(0..24).map(|i| x[i] * channel_max(&x, i / 12)).collect::<Vec<_>>());
}

fn channel_max(x: &[f64], c: usize) -> f64 {
    x[12 * c..12 * (c + 1)].iter().fold(f64::MIN, |m, x| m.max(*x))
}

#[test]
fn several_operators_that_are_one_function_become_it() {
    let sigmoid = || {
        vec![
            node("Neg", &["x"], "n", &[]),
            node("Exp", &["n"], "e", &[]),
            node("Add", &["e", "one"], "s", &[]),
            node("Reciprocal", &["s"], "r", &[]),
        ]
    };
    let one = || floats("one", &[], &[1.0]);
    let nodes = [sigmoid(), vec![node("Mul", &["r", "x"], "y", &[])]].concat();
    let (model, x, y) = run(&[1, 5], nodes, vec![one()]);
    assert_eq!((kinds(&model), &model.graph.nodes[0].name[..]), (vec!["Silu"], "y"));
    assert_near(&y, &x.iter().map(|x| x / (1.0 + (-x).exp())).collect::<Vec<_>>());
    // The function of another value is not it.
    let nodes = [sigmoid(), vec![node("Mul", &["r", "e"], "y", &[])]].concat();
    let (model, ..) = run(&[1, 5], nodes, vec![one()]);
    assert!(!kinds(&model).contains(&"Silu"));
}

#[test]
fn normalisations_follow_their_definition() {
    let norm = |x: &[f64]| {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / x.len() as f64;
        x.iter().map(|x| (x - mean) / (variance + 1e-5).sqrt()).collect::<Vec<f64>>()
    };
    let ones = |n: usize| floats("w", &[n as i64], &vec![1.0; n]);
    let (_, x, y) =
        run(&[1, 4, 2, 3], vec![node("LayerNormalization", &["x", "w"], "y", &[])], vec![ones(3)]);
    assert_near(&y, &x.chunks(3).flat_map(norm).collect::<Vec<_>>());
    let instance = vec![node("InstanceNormalization", &["x", "w", "w"], "y", &[])];
    let (_, x, y) = run(&[1, 4, 2, 3], instance, vec![ones(4)]);
    assert_near(&y, &x.chunks(6).flat_map(norm).map(|x| x + 1.0).collect::<Vec<_>>());
    let group = vec![node("GroupNormalization", &["x", "w", "w"], "y", &[("num_groups", Int(2))])];
    let (_, x, y) = run(&[1, 4, 2, 3], group, vec![ones(2)]);
    assert_near(&y, &x.chunks(12).flat_map(norm).map(|x| x + 1.0).collect::<Vec<_>>());
}

#[test]
fn layers_have_the_names_of_the_checkpoint_and_outputs_those_of_the_file() {
    let conv = |weight: &str, from: &str, to: &str| node("Conv", &[from, weight], to, &[]);
    let nodes = vec![
        conv("features.0.weight", "x", "a"),
        conv("features.0.weight", "a", "b"),
        node("Identity", &["b"], "out put", &[]),
    ];
    let model = import(&file(
        18,
        &[1, 2, 3, 3],
        nodes,
        vec![seeded("features.0.weight", &[2, 2, 1, 1])],
        &["out put"],
    ));
    let model = model.unwrap();
    let names: Vec<&str> = model.graph.nodes.iter().map(|node| &node.name[..]).collect();
    assert_eq!(names, ["features.0", "out put"]);
    assert_eq!(model.graph.values[model.graph.inputs[0].0].name, "x");
}

#[test]
fn everything_that_cannot_be_imported_is_in_one_error() {
    let nodes = vec![
        node("LSTM", &["x"], "a", &[]),
        node("Relu", &["a"], "b", &[]),
        node("Celu", &["x"], "c", &[("beta", Float(1.0))]),
        node("Softmax", &["x"], "d", &[("axis", Int(7))]),
        node("Pad", &["x", "pads"], "e", &[("mode", Text("mirror"))]),
        node("Sum", &["b", "c", "d", "e"], "y", &[]),
    ];
    let pads = ints("pads", &[0, 0, 1, 0, 0, 0, 1, 0]);
    let error = import(&file(18, &[1, 2, 3, 3], nodes, vec![pads], &["y"])).unwrap_err();
    for part in [
        "node `a_node` (LSTM): recurrent networks",
        "node `c_node` (Celu): attribute `beta` is not known",
        "node `d_node` (Softmax): attribute `axis`: axis 7 of 4 dimensions",
        "node `e_node` (Pad): attribute `mode`: `mirror` is not known",
    ] {
        assert!(error.contains(part), "no {part:?} in {error}");
    }
    assert_eq!(error.lines().count(), 5, "{error}");
    let newer = file(12, &[1, 2], vec![node("Gelu", &["x"], "y", &[])], vec![], &["y"]);
    assert!(import(&newer).unwrap_err().contains("came with opset 20"));
}

#[test]
fn sizes_that_the_file_leaves_open_are_the_callers() {
    let bytes = file(18, &[0, 2, 0, 0], vec![node("Relu", &["x"], "y", &[])], vec![], &["y"]);
    let with = |input_size, input_channels| {
        let options = NetworkOptions { input_size, input_channels, ..NetworkOptions::default() };
        let model =
            import_model(Path::new("small.onnx"), &bytes, None, &options).map_err(|e| e.to_string())?;
        Ok::<Shape, String>(model.graph.shape(model.graph.outputs[0]))
    };
    assert_eq!(with(Some([5, 7]), None), Ok(Shape::new(5, 7, 2)));
    assert!(
        with(None, None)
            .unwrap_err()
            .contains("`x`: the size of axis 2 (`open`) and axis 3 (`open`) is not known")
    );
    assert!(
        with(Some([5, 7]), Some(3))
            .unwrap_err()
            .contains("axis 1 has 2 elements in the file, which 3 cannot replace")
    );
}

/// A file whose only constant is in another file.
fn with_outside(location: &str, offset: &str) -> Vec<u8> {
    let entry =
        |key: &str, value: &str| StringStringEntryProto { key: Some(key.into()), value: Some(value.into()) };
    let constant = TensorProto {
        name: Some("w".into()),
        dims: vec![2],
        data_type: Some(1),
        data_location: Some(1),
        external_data: vec![entry("location", location), entry("offset", offset), entry("length", "8")],
        ..TensorProto::default()
    };
    file(18, &[1, 2], vec![node("Add", &["x", "w"], "y", &[])], vec![constant], &["y"])
}

#[test]
fn weights_in_other_files_are_read_in_the_folder_of_the_model_only() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bytes = [[0; 4], 2f32.to_le_bytes(), 3f32.to_le_bytes()].concat();
    for place in [&folder, &elsewhere] {
        std::fs::create_dir(place.path().join("sub")).unwrap();
        std::fs::write(place.path().join("sub/w.bin"), &bytes).unwrap();
    }
    let outside = elsewhere.path().join("sub/w.bin");
    let import = |location: &str, offset: &str, folder: Option<&Path>| {
        let bytes = with_outside(location, offset);
        let options = NetworkOptions::default();
        import_model(Path::new("small.onnx"), &bytes, folder, &options).map_err(|e| e.to_string())
    };
    let model = import("sub/w.bin", "4", Some(folder.path())).unwrap();
    let zeros = to_map(&model.inputs[0], &[0.0; 2]).unwrap();
    assert_eq!(model.graph.eval_f64(&[zeros]).unwrap()[0].data, [2.0, 3.0]);
    let mut refused = vec![
        ("sub/w.bin", "8", Some(folder.path()), "8 bytes from 8 on, but it has 12"),
        ("sub/w.bin", "-4", Some(folder.path()), "`offset` is `-4`"),
        ("sub", "4", Some(folder.path()), "`sub`"),
        ("sub/../sub/w.bin", "4", Some(folder.path()), "not in the model's folder"),
        (outside.to_str().unwrap(), "4", Some(folder.path()), "not in the model's folder"),
        ("sub/w.bin", "4", None, "folder is not known"),
    ];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&outside, folder.path().join("link.bin")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("away")).unwrap();
        std::os::unix::fs::symlink("sub/w.bin", folder.path().join("near.bin")).unwrap();
        refused.push(("link.bin", "4", Some(folder.path()), "a link to another folder"));
        refused.push(("away/sub/w.bin", "4", Some(folder.path()), "a link to another folder"));
        assert!(import("near.bin", "4", Some(folder.path())).is_ok());
    }
    for (location, offset, folder, why) in refused {
        let error = import(location, offset, folder).unwrap_err();
        assert!(error.contains("tensor `w`") && error.contains(why), "{location}: {error}");
    }
}

#[test]
fn files_cannot_ask_for_memory_that_they_do_not_need() {
    let zeros = |i: usize| node("ConstantOfShape", &["s"], &format!("c{i}"), &[]);
    let sum = |i: usize| node("Add", &[&format!("s{i}"), &format!("c{i}")], &format!("s{}", i + 1), &[]);
    // Each is allowed, all of them are not.
    let mut nodes = vec![node("Identity", &["x"], "s0", &[])];
    nodes.extend((0..40).flat_map(|i| [zeros(i), sum(i)]));
    let error = import(&file(18, &[1, 2], nodes, vec![ints("s", &[1 << 21, 1])], &["s40"])).unwrap_err();
    assert!(error.contains("in all are not computed"), "{error}");
    for shape in [&[1 << 40, 1 << 40, 2][..], &[1, 1 << 30, 2], &[1, 1 << 25, 2]] {
        let nodes = vec![
            node("Expand", &["x", "s"], "e", &[]),
            node("Concat", &["e", "e"], "y", &[("axis", Int(1))]),
        ];
        assert!(import(&file(18, &[1, 1, 2], nodes, vec![ints("s", shape)], &["y"])).is_err(), "{shape:?}");
    }
}

#[test]
fn the_list_of_operators_is_in_order() {
    assert!(OPERATORS.is_sorted_by_key(|op| op.name));
    assert!(OPERATORS.iter().all(|op| op.since <= 26 && !op.limits.ends_with('.')));
}

/// A zero point of `uint8`.
fn zero_point(name: &str, value: i32) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        data_type: Some(2),
        int32_data: vec![value],
        ..TensorProto::default()
    }
}

#[test]
fn means_between_codes_of_one_scale_round_ties_to_even() {
    let (dims, scale, [z, to]) = ([1, 4, 2, 4], 0.0625f32, [3i32, 6]);
    let pool = |op: &str, attributes: &[(&str, Of<'_>)]| {
        let nodes = vec![
            node("QuantizeLinear", &["x", "s", "z"], "q", &[]),
            node("DequantizeLinear", &["q", "s", "z"], "d", &[]),
            node(op, &["d"], "mean", attributes),
            node("QuantizeLinear", &["mean", "s", "to"], "codes", &[]),
            node("DequantizeLinear", &["codes", "s", "to"], "y", &[]),
        ];
        let constants = vec![floats("s", &[], &[scale]), zero_point("z", z), zero_point("to", to)];
        file(17, &dims, nodes, constants, &["y"])
    };
    for bytes in [
        pool("GlobalAveragePool", &[]),
        pool("AveragePool", &[("kernel_shape", Ints(&[2, 4]))]),
        pool("ReduceMean", &[("axes", Ints(&[2, 3]))]),
    ] {
        let q = import(&bytes).unwrap().quantized.expect("codes");
        let program = lower(&q, Target::find("host").unwrap(), Metadata::default()).unwrap();
        // Codes without a sign of two pixels in each row of four channels: sums from -24 on, most of them no multiples of 8.
        let code = |i: usize| (i * 37 % 23) as i32;
        let input: Vec<i8> = (0..32).map(|i| (code(i) - 128) as i8).collect();
        let found = Executor::new(&program).run(&[&input]).unwrap().remove(0);
        for (c, found) in found.iter().enumerate() {
            let sum: i32 = (0..8).map(|i| code(4 * i + c) - z).sum();
            let wanted = (sum as f32 / 8.0).round_ties_even() as i32 + to - 128;
            assert_eq!(i32::from(*found), wanted, "{c}: {sum}");
        }
    }
}

#[test]
fn codes_are_no_numbers() {
    let nodes = |scale: &str, last: NodeProto| {
        vec![
            node("QuantizeLinear", &["x", "s", "z"], "q", &[]),
            node("DequantizeLinear", &["q", scale, "z"], "d", &[]),
            last,
        ]
    };
    let constants = || vec![floats("s", &[], &[0.5]), floats("t", &[], &[0.25]), zero_point("z", 3)];
    let error = |scale: &str, last: NodeProto| {
        import(&file(17, &[1, 1, 2, 2], nodes(scale, last), constants(), &["d", "y"])).unwrap_err()
    };
    assert!(error("s", node("Sigmoid", &["q"], "y", &[])).contains("a function of elements of type uint8"));
    assert!(error("t", node("Relu", &["d"], "y", &[])).contains("other scales"));
}
