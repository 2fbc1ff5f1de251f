//! Models written here, and where they are (`../shared/import`) broken files and files of the field.

use super::{write::Part, *};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

fn tensor(
    name: &str,
    shape: &[usize],
    element: Element,
    quantization: Option<(&[f32], i64)>,
    data: Option<Vec<u8>>,
) -> TensorDef {
    let quantization = quantization.map(|(scale, zero_point)| Quantization {
        scale: scale.into(),
        zero_point: vec![zero_point; scale.len()],
        dimension: 0,
    });
    TensorDef {
        name: name.into(),
        shape: shape.into(),
        free: false,
        element,
        quantization,
        data: data.map(Data::from),
    }
}

fn operator(code: Code, inputs: &[Option<usize>], output: usize, options: Options) -> Operator {
    Operator {
        code,
        version: 2,
        inputs: inputs.into(),
        outputs: vec![output],
        options,
        custom_options: vec![].into(),
    }
}

/// A convolution, a custom operator and a reshape.
fn small() -> Model {
    let conv = Conv2D {
        padding: Padding::Valid,
        stride_w: 1,
        stride_h: 2,
        activation: Activation::Relu6,
        dilation_w: 1,
        dilation_h: 1,
    };
    let mut custom = operator(Code::Custom("Mine".into()), &[Some(3), None], 4, Options::None);
    custom.custom_options = vec![1, 2, 3].into();
    Model {
        other_graphs: 0,
        description: "small".into(),
        metadata_names: vec!["one".into(), "two".into()],
        signatures: vec![Signature {
            key: "run".into(),
            inputs: vec![("image".into(), 0)],
            outputs: vec![("scores".into(), 6)],
        }],
        inputs: vec![0],
        outputs: vec![6],
        tensors: vec![
            tensor("x", &[1, 5, 4, 2], Element::Int8, Some((&[0.5], -128)), None),
            tensor("w", &[3, 3, 3, 2], Element::Int8, Some((&[0.1, 0.2, 0.3], 0)), Some((0..54).collect())),
            tensor("b", &[3], Element::Int32, Some((&[0.05, 0.1, 0.15], 0)), Some((0..12).collect())),
            tensor("mid", &[1, 2, 2, 3], Element::Int8, Some((&[0.25], 127)), None),
            tensor("floats", &[1, 2, 2, 3], Element::Float32, None, None),
            tensor("shape", &[2], Element::Int32, None, Some(vec![1, 0, 0, 0, 12, 0, 0, 0])),
            tensor("y", &[1, 12], Element::Float32, None, None),
        ],
        operators: vec![
            operator(Code::Builtin("CONV_2D"), &[Some(0), Some(1), Some(2)], 3, Options::Conv2D(conv)),
            custom,
            operator(
                Code::Builtin("RESHAPE"),
                &[Some(4), Some(5)],
                6,
                Options::Reshape(Reshape { new_shape: vec![1, 12] }),
            ),
        ],
    }
}

/// One operator of `x`.
fn single(code: Code, options: Options) -> Model {
    Model {
        other_graphs: 0,
        signatures: vec![Signature { key: String::new(), inputs: vec![("in".into(), 0)], outputs: vec![] }],
        inputs: vec![0],
        outputs: vec![1],
        tensors: vec![
            tensor("x", &[4], Element::Float32, None, None),
            tensor("y", &[4], Element::Float32, None, None),
        ],
        operators: vec![operator(code, &[Some(0)], 1, options)],
        ..small()
    }
}

fn read(bytes: Vec<u8>) -> Result<Model, String> {
    Model::read("m", bytes).map_err(|error| error.to_string())
}

#[test]
fn what_is_written_is_read() {
    let relu = Activation::Relu;
    let numbers = [
        small(),
        single(Code::Unknown(999), Options::None),
        single(Code::Builtin("COMPLEX"), Options::None),
        single(Code::Builtin("ADD"), Options::Add(Add { activation: relu, pot_scale_int16: false })),
        single(Code::Builtin("SOFTMAX"), Options::Softmax(Softmax { beta: 0.5 })),
        single(
            Code::Builtin("FULLY_CONNECTED"),
            Options::FullyConnected(FullyConnected {
                activation: relu,
                weights_format: 1,
                keep_num_dims: true,
            }),
        ),
        single(Code::Builtin("MIRROR_PAD"), Options::MirrorPad(MirrorPad { mode: Mirror::Symmetric })),
        single(Code::Builtin("SUM"), Options::Reducer(Reducer { keep_dims: true })),
        single(
            Code::Builtin("RESIZE_BILINEAR"),
            Options::ResizeBilinear(ResizeBilinear { align_corners: false, half_pixel_centers: true }),
        ),
        single(Code::Builtin("SPLIT_V"), Options::SplitV(SplitV { num_splits: 3 })),
        single(Code::Builtin("GATHER"), Options::Gather(Gather { axis: -1, batch_dims: 2 })),
    ];
    for model in numbers {
        let read = read(model.tables().file()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(format!("{read:?}"), format!("{model:?}"));
        let data = |model: &Model| -> Vec<Option<Vec<u8>>> {
            model.tensors.iter().map(|tensor| tensor.data.as_ref().map(|data| data.to_vec())).collect()
        };
        assert_eq!(data(&read), data(&model));
    }
}

/// A change of tables, and what the error has then.
type Change<'a> = (&'a str, &'a dyn Fn(&mut Part));

const TENSORS: [usize; 3] = [2, 0, 0];
const OPERATORS: [usize; 3] = [2, 0, 3];

/// A part of the graph.
fn part<'a>(root: &'a mut Part, vector: &[usize], path: &[usize]) -> &'a mut Part {
    root.at(&[vector, path].concat())
}

#[test]
fn errors_name_what_is_wrong() {
    let set = |root: &mut Part, path: &[usize], number, part| root.at(path).set(number, Some(part));
    let changes: &[Change<'_>] = &[
        ("version 2 of the schema", &|root| root.set(0, Some(Part::int(2)))),
        ("0 subgraphs", &|root| root.set(2, None)),
        ("its code is number 0 of 0", &|root| root.set(1, None)),
        ("one of the graph's outputs is tensor 7 of 7", &|root| set(root, &[2, 0], 2, Part::ints([7]))),
        ("the graph has no outputs", &|root| root.at(&[2, 0]).set(2, None)),
        ("signature `run`: `scores` is tensor 9 of 7", &|root| set(root, &[7, 0, 1, 0], 1, Part::int(9))),
        ("`w`: its data are buffer 88 of 4", &|root| part(root, &TENSORS, &[1]).set(2, Some(Part::int(88)))),
        ("`w`: its data are 54 bytes at offset 9999999, which leaves", &|root| {
            *root.at(&[4, 1]) = Part::Table(vec![
                (1, Part::Number(9999999u64.to_le_bytes().into())),
                (2, Part::Number(54u64.to_le_bytes().into())),
            ]);
        }),
        ("`b`: it is sparse", &|root| part(root, &TENSORS, &[2]).set(6, Some(Part::Table(vec![])))),
        ("`mid`: it keeps its value", &|root| part(root, &TENSORS, &[3]).set(5, Some(Part::byte(1)))),
        ("`mid`: it is quantised in a way that is not supported", &|root| {
            part(root, &TENSORS, &[3, 4]).set(4, Some(Part::byte(1)))
        }),
        ("`x`: 9 axes", &|root| part(root, &TENSORS, &[0]).set(0, Some(Part::ints([1; 9])))),
        ("`w`: shape [3, 2147483647, 2147483647, 2147483647] has more than", &|root| {
            part(root, &TENSORS, &[1]).set(0, Some(Part::ints([3, i32::MAX, i32::MAX, i32::MAX])));
            part(root, &TENSORS, &[1, 4]).set(2, Some(Part::floats(&[0.1, 0.0, 0.1])));
        }),
        ("operator 0 (CONV_2D `mid`) makes `mid`, which has no elements", &|root| {
            part(root, &TENSORS, &[3]).set(0, Some(Part::ints([1, 0, 2, 3])));
        }),
        ("input `x` has no elements", &|root| part(root, &TENSORS, &[0]).set(0, Some(Part::ints([0])))),
        ("operator 2 (RESHAPE `x`) writes `x`, an input", &|root| {
            part(root, &OPERATORS, &[2]).set(2, Some(Part::ints([0])))
        }),
        ("operator 2 (RESHAPE `w`) writes `w`, a constant", &|root| {
            part(root, &OPERATORS, &[2]).set(2, Some(Part::ints([1])))
        }),
        ("operator 2 (RESHAPE): output 0 is tensor -1 of 7", &|root| {
            part(root, &OPERATORS, &[2]).set(2, Some(Part::ints([-1])))
        }),
        ("operator 1 (custom operator Mine `floats`): its options are 5 bytes at offset 77777777", &|root| {
            part(root, &OPERATORS, &[1]).set(9, Some(Part::Number(77777777u64.to_le_bytes().into())));
            part(root, &OPERATORS, &[1]).set(10, Some(Part::Number(5u64.to_le_bytes().into())));
        }),
        ("operator 0 (CONV_2D `mid`): dilation_h is -3, expected at least 1", &|root| {
            part(root, &OPERATORS, &[0, 4]).set(5, Some(Part::int(-3)));
        }),
    ];
    for (expected, change) in changes {
        let mut root = small().tables();
        change(&mut root);
        let error = read(root.file()).expect_err(expected);
        assert!(error.contains(expected), "expected {expected}, found {error}");
    }
}

#[test]
fn scales_may_be_tiny_where_all_codes_are_zero() {
    let mut model = small();
    model.tensors[1].data =
        Some((0..54).map(|i| if i / 18 == 1 { 0 } else { 1 }).collect::<Vec<u8>>().into());
    for scale in [0.0, 1e-40] {
        model.tensors[1].quantization.as_mut().unwrap().scale[1] = scale;
        assert!(read(model.tables().file()).is_ok());
    }
    let quantization = model.tensors[1].quantization.as_mut().unwrap();
    quantization.scale = vec![0.1, 0.2, 0.0];
    let error = read(model.tables().file()).unwrap_err();
    assert!(error.contains("`w`: scale 0.0 (number 2 of 3)"), "{error}");
    // Along the last axis.
    model.tensors[1].quantization =
        Some(Quantization { scale: vec![0.0, 0.1], zero_point: vec![0, 0], dimension: 3 });
    assert!(read(model.tables().file()).is_err());
    model.tensors[1].data = Some([0, 7].repeat(27).into());
    assert!(read(model.tables().file()).is_ok());
}

#[test]
fn a_free_batch_is_one() {
    let mut root = small().tables();
    part(&mut root, &TENSORS, &[0]).set(0, Some(Part::ints([-1, 5, 4, 2])));
    part(&mut root, &TENSORS, &[0]).set(7, Some(Part::ints([-1, 5, 4, 2])));
    part(&mut root, &TENSORS, &[3]).set(7, Some(Part::ints([-1, -1, -1, 3])));
    let model = read(root.file()).unwrap();
    assert_eq!(model.tensors[0].shape, [1, 5, 4, 2]);
    assert_eq!([0, 3].map(|i: usize| model.tensors[i].free), [false, true]);
}

/// Offsets may lead to one place many times.
#[test]
fn small_files_do_not_unfold() {
    let name = || "y".repeat(1 << 20);
    let times = 1 << 18;
    let same = |root: &mut Part, path: &[usize], number: usize, entry: usize| {
        let table = root.at(path).at(&[number, entry]).clone();
        root.at(path).set(number, Some(Part::Same(times, table.into())));
    };
    let mut model = single(Code::Custom(name()), Options::None);
    model.tensors[1].name = name();
    let root = model.tables();
    let tables: [(&[usize], usize, usize); 5] =
        [(&[], 1, 0), (&[], 4, 0), (&[], 7, 0), (&[2, 0], 0, 1), (&[2, 0], 3, 0)];
    for (path, number, entry) in tables {
        let mut root = root.clone();
        same(&mut root, path, number, entry);
        let bytes = root.file();
        let (length, start) = (bytes.len(), Instant::now());
        let error = read(bytes).unwrap_err();
        assert!(error.contains("unfold"), "{path:?} {number}: {}", &error[..200]);
        assert!(error.len() < length && start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    }
}

#[test]
fn damaged_files_do_not_panic() {
    let bytes = small().tables().file();
    let mut damaged = vec![];
    for at in 0..bytes.len() {
        damaged.push(bytes[..at].to_vec());
        for change in [1, 0x7f, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[at] ^= change;
            damaged.push(bytes);
        }
        if at % 4 == 0 {
            for number in [u32::MAX, 1 << 31, bytes.len() as u32, 4] {
                let mut bytes = bytes.clone();
                bytes.splice(at..(at + 4).min(bytes.len()), number.to_le_bytes());
                damaged.push(bytes);
            }
        }
    }
    let read = damaged.into_iter().filter(|bytes| read(bytes.clone()).is_ok()).count();
    assert!(read > 0);
}

/// A folder of the data for imports; `None` if that is not there, which is a failure under CI.
fn shared(folder: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/import").join(folder);
    assert!(folder.is_dir() || std::env::var_os("CI").is_none(), "{} is missing", folder.display());
    folder.is_dir().then_some(folder)
}

#[test]
fn files_of_the_field_are_read() {
    let Some(folder) = shared("tflite/models") else { return };
    let mut count = 0;
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let model = Model::read(&path.display().to_string(), fs::read(&path).unwrap())
            .unwrap_or_else(|e| panic!("{e}"));
        assert!(model.operators.len() >= 3, "{}", path.display());
        count += 1;
    }
    assert!(count >= 15);
}

/// Broken in ways that only the operators' import can see, and what it may support.
const LEFT_TO_THE_IMPORT: &str = "\
    activation_tanh batch_2 bias_minus_one bias_scale_wrong channels_do_not_fit concat_axis_9 \
    custom_operator dynamic_shape float_weights int16_between int4_weights long_chain no_bias \
    no_quantization operator_version_50 output_shape_lies per_channel_dimension_3 pool_scales_differ rank_3 \
    reshape_sizes_differ softmax_scale too_few_inputs two_subgraphs type_99 unknown_operator unsupported_operator \
    weight_zero_point";

#[test]
fn broken_files_are_refused_by_name() {
    let Some(folder) = shared("malformed/tflite") else { return };
    let list: Value = serde_json::from_slice(&fs::read(folder.join("malformed.json")).unwrap()).unwrap();
    let list = list.as_object().unwrap();
    assert!(list.len() >= 90);
    for (name, broken) in list {
        let bytes = fs::read(folder.join(name).with_extension("tflite")).unwrap();
        let start = Instant::now();
        let read = Model::read(name, bytes);
        assert!(start.elapsed() < Duration::from_secs(60), "{name}: {:?}", start.elapsed());
        let left = name.starts_with("ok_") || LEFT_TO_THE_IMPORT.split_whitespace().any(|left| left == name);
        assert!(read.is_ok() == left || name.starts_with("bit_flips"), "{name}: {:?}", read.err());
        let Err(error) = read else { continue };
        let error = error.to_string().to_lowercase();
        for words in broken["the_error_should_name"].as_array().unwrap() {
            let mut words = words.as_str().unwrap().split(", ").flat_map(|words| words.split(" or "));
            let is_named = |word: &str| word == "the file" || error.contains(&word.to_lowercase());
            assert!(
                words.any(is_named),
                "{name}: expected {}, found {error}",
                broken["the_error_should_name"]
            );
        }
    }
}
