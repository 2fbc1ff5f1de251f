//! Files that are read as they were written, and files that are refused.

use super::*;
use crate::weights::Kind;
use proptest::prelude::*;
use safetensors::tensor::TensorView;

/// A file of one tensor per type, each `[2]` and holding 1.5 and -2 (1 and 2 where the type is an integer).
fn sample() -> Vec<u8> {
    let float = [1.5f32, -2.0];
    let tensors: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> = vec![
        ("a.f32", Dtype::F32, vec![2], float.iter().flat_map(|v| v.to_le_bytes()).collect()),
        ("a.f16", Dtype::F16, vec![2], float.iter().flat_map(|v| half::from_f32(*v).to_le_bytes()).collect()),
        (
            "a.bf16",
            Dtype::BF16,
            vec![2],
            float.iter().flat_map(|v| [v.to_le_bytes()[2], v.to_le_bytes()[3]]).collect(),
        ),
        ("a.f64", Dtype::F64, vec![2], float.iter().flat_map(|v| (*v as f64).to_le_bytes()).collect()),
        ("a.u8", Dtype::U8, vec![2], vec![1, 2]),
        ("a.i32", Dtype::I32, vec![2], [1i32, -2].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ("a.bn.num_batches_tracked", Dtype::I64, vec![], 7i64.to_le_bytes().to_vec()),
    ];
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, data)| (*name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

fn load(file: &mut SafeTensorsFile, name: &str, shape: &[usize]) -> Result<Vec<f32>, String> {
    file.load(&Request { name, shape, kind: Kind::Bias })
}

#[test]
fn every_float_type_loads_as_f32() {
    let mut file = SafeTensorsFile::from_bytes("a.safetensors", sample()).unwrap();
    for name in ["a.f32", "a.f16", "a.bf16", "a.f64"] {
        assert_eq!(load(&mut file, name, &[2]).unwrap(), [1.5, -2.0], "{name}");
    }
    assert_eq!(file.unused(), ["a.i32", "a.u8"], "integer counters are not reported");
    assert_eq!(file.describe(), "a.safetensors");
}

#[test]
fn what_is_wrong_with_a_tensor_is_said_in_one_line() {
    let mut file = SafeTensorsFile::from_bytes("a.safetensors", sample()).unwrap();
    assert_eq!(load(&mut file, "a.f32", &[3]).unwrap_err(), "expected shape [3], found [2]");
    assert_eq!(load(&mut file, "a.u8", &[2]).unwrap_err(), "expected F16, BF16, F32 or F64, found U8");
    let message = load(&mut file, "a.bf61", &[2]).unwrap_err();
    assert!(message.starts_with("missing, expected shape [2]; did you mean `a.bf16`"), "{message}");
    assert_eq!(load(&mut file, "no.such.tensor.at.all", &[]).unwrap_err(), "missing, expected shape []");
}

#[test]
fn what_wrappers_put_before_every_name_is_seen_through() {
    let bytes = 1.5f32.to_le_bytes();
    let file = |names: &[&str]| {
        let view = |name| (name, TensorView::new(Dtype::F32, vec![1], &bytes).unwrap());
        safetensors::serialize(names.iter().copied().map(view), None).unwrap()
    };
    let wrapped = file(&["module._orig_mod.a", "module._orig_mod.b"]);
    let mut read = SafeTensorsFile::from_bytes("w", wrapped.clone()).unwrap();
    assert_eq!(load(&mut read, "a", &[1]).unwrap(), [1.5]);
    assert_eq!(read.unused(), ["module._orig_mod.b"], "names stay the file's own");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w.safetensors");
    for (bytes, expected) in [
        (wrapped, Some("module._orig_mod.".to_string())),
        (file(&["module.a", "b"]), None),
        (file(&[]), None),
        (b"no such file".to_vec(), None),
    ] {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(wrapper_prefix(&path), expected);
    }
    // One without it: perhaps a name of the network's own.
    let mut mixed = SafeTensorsFile::from_bytes("w", file(&["module.a", "b"])).unwrap();
    assert!(load(&mut mixed, "a", &[1]).unwrap_err().contains("did you mean `module.a`"));
}

#[test]
fn plain_reading_takes_integers_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.safetensors");
    std::fs::write(&path, sample()).unwrap();
    let tensors = read_tensors(&path).unwrap();
    assert_eq!(tensors["a.i32"], NamedTensor { shape: vec![2], data: vec![1.0, -2.0] });
    assert_eq!(tensors["a.bn.num_batches_tracked"], NamedTensor { shape: vec![], data: vec![7.0] });
    assert_eq!(tensors.len(), 7);
}

#[test]
fn sha256_is_of_the_whole_file() {
    // FIPS 180-2, and what `sha256sum` says of this 10-byte empty checkpoint.
    let empty = SafeTensorsFile::from_bytes("e", b"\x02\0\0\0\0\0\0\0{}".to_vec()).unwrap();
    assert_eq!(empty.sha256(), "411a485216e432ece6b9af94fa32154cf79a2a56d4f81266baa50063f45092bd");
}

#[test]
fn a_truncated_file_is_an_error_that_names_it_at_every_length() {
    let whole = sample();
    for len in 0..whole.len() {
        let message = SafeTensorsFile::from_bytes("dir/cut.safetensors", whole[..len].to_vec())
            .unwrap_err()
            .to_string();
        assert!(
            message.starts_with("dir/cut.safetensors: ") && message.contains("truncated"),
            "{len}: {message}"
        );
        assert_eq!(message.lines().count(), 1, "{message}");
    }
    let mut longer = whole;
    longer.push(0);
    let message = SafeTensorsFile::from_bytes("long", longer).unwrap_err().to_string();
    assert_eq!(message, "long: 1 bytes too many after the last tensor");
}

#[test]
fn hostile_headers_are_errors() {
    for header in [
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#,
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
        r#"{"a":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,18446744073709551615]}}"#,
        r#"{"a":{"dtype":"F32","shape":[18446744073709551615,4],"data_offsets":[0,4]}}"#,
        r#"{"a":{"dtype":"U8","shape":[2305843009213693951],"data_offsets":[0,2305843009213693951]}}"#,
        r#"{"a":{"dtype":"Q7","shape":[1],"data_offsets":[0,4]}}"#,
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
        r#"[1, 2]"#,
        "",
        "\u{0}\u{0}",
    ] {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend([0; 4]);
        let message = SafeTensorsFile::from_bytes("bad", bytes).expect_err(header).to_string();
        assert!(message.starts_with("bad: "), "{message}");
    }
    let huge = [u64::MAX.to_le_bytes().to_vec(), vec![b' '; 20]].concat();
    assert!(SafeTensorsFile::from_bytes("bad", huge).unwrap_err().to_string().contains("truncated"));
}

/// A zip archive of empty files.
fn zip(names: &[&str]) -> Vec<u8> {
    let (mut files, mut directory) = (vec![], vec![]);
    for name in names {
        let at = files.len() as u32;
        files.extend(
            [
                b"PK\x03\x04".as_slice(),
                &[0; 22],
                &(name.len() as u16).to_le_bytes(),
                &[0; 2],
                name.as_bytes(),
            ]
            .concat(),
        );
        directory.extend(
            [b"PK\x01\x02".as_slice(), &[0; 24], &(name.len() as u16).to_le_bytes(), &[0; 12]].concat(),
        );
        directory.extend([&at.to_le_bytes(), name.as_bytes()].concat());
    }
    let [count, size, start] = [names.len(), directory.len(), files.len()].map(|n| n as u32);
    let end = [
        &[0u8; 4][..],
        &count.to_le_bytes()[..2],
        &count.to_le_bytes()[..2],
        &size.to_le_bytes(),
        &start.to_le_bytes(),
    ];
    [files, directory, b"PK\x05\x06".to_vec(), end.concat(), vec![0; 2]].concat()
}

#[test]
fn files_of_other_formats_are_named_with_what_to_do() {
    let torch = zip(&["archive/data.pkl", "archive/byteorder", "archive/data/0", "archive/version"]);
    for (bytes, found, advice) in [
        (
            zip(&["conv.weight.npy", "conv.bias.npy"]),
            "an archive of NumPy arrays (.npz)",
            "numpy.load('w.npz')",
        ),
        (
            torch.clone(),
            "a pickled PyTorch checkpoint (.pth, .pt, .bin)",
            "torch.load('w.pth', map_location='cpu', weights_only=True)",
        ),
        (torch[..60].to_vec(), "a pickled PyTorch checkpoint", "torch.load("),
        (
            b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.".to_vec(),
            "a pickled PyTorch checkpoint",
            "torch.load(",
        ),
        (b"\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94.".to_vec(), "a pickle of Python", "save_file"),
        (
            zip(&["m/data.pkl", "m/constants.pkl", "m/code/__torch__.py"]),
            "a TorchScript module (.pt)",
            "torch.jit.load('w.pt'",
        ),
        (
            zip(&["m/archive_format", "m/data/weights/0", "m/data.pkl"]),
            "an exported PyTorch program (.pt2)",
            "torch.export.load('w.pt2')",
        ),
        (
            zip(&["version", "serialized_exported_program.json", "serialized_state_dict.pt"]),
            "(.pt2)",
            "torch.export.load",
        ),
        (
            zip(&["metadata.json", "config.json", "model.weights.h5"]),
            "a Keras model (.keras)",
            "load_model('w.keras')",
        ),
        (b"\x89HDF\r\n\x1a\n\0\0\0\0".to_vec(), "an HDF5 (Keras) file (.h5)", "load_model('w.h5')"),
        (
            b"\x08\x08\x12\x07pytorch\x1a\x052.4.0:\x80".to_vec(),
            "an ONNX model (.onnx)",
            "onnx.load('w.onnx')",
        ),
        (b"\x1c\0\0\0TFL3\x14\0 \0".to_vec(), "a TensorFlow Lite model (.tflite)", "make it the `network`"),
        (b"\x08\x01\x12\xff\x01\x0a\x05tags..".to_vec(), "a TensorFlow SavedModel", "save_file"),
        (b"GGUF\x03\0\0\0\x10\0".to_vec(), "a GGUF file", "float checkpoint"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec(), "a gzip archive", "unpack it"),
        (zip(&["notes.txt"]), "a zip archive", "unpack it"),
        (zip(&[]), "a pickled PyTorch checkpoint", "torch.load("),
        (b"<!DOCTYPE html><html>".to_vec(), "an HTML page", "login"),
        (b"{\"architectures\": []}".to_vec(), "a JSON text", "beside it"),
        (b"version https://git-lfs.github.com".to_vec(), "a Git LFS pointer", "git lfs pull"),
        (b"\x93NUMPY\x01\0v\0{".to_vec(), "one NumPy array (.npy)", "save_file"),
        (vec![0xb5; 64], "a .bin file that is no PyTorch checkpoint", "neither names nor shapes"),
    ] {
        let message = SafeTensorsFile::from_bytes("w.bin", bytes).unwrap_err().to_string();
        assert!(message.starts_with("w.bin: expected a safetensors file, found "), "{message}");
        assert!(message.contains(found) && message.contains(advice), "{message}: {found}, {advice}");
        assert!(message.matches('`').count().is_multiple_of(2) && message.lines().count() == 1, "{message}");
    }
    let message = SafeTensorsFile::from_bytes("w.safetensors", vec![0xb5; 64]).unwrap_err().to_string();
    assert!(message.contains("truncated or not a safetensors file"), "{message}");
}

/// Tensors `[1]` of these names and values.
fn file_of(tensors: &[(&str, f32)]) -> Vec<u8> {
    let data: Vec<[u8; 4]> = tensors.iter().map(|(_, v)| v.to_le_bytes()).collect();
    let views = tensors
        .iter()
        .zip(&data)
        .map(|((name, _), data)| (*name, TensorView::new(Dtype::F32, vec![1], data).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

#[test]
fn an_index_is_read_with_its_shards() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let [one, two] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let index = at("model.safetensors.index.json");
    let map = |pairs: &[(&str, &str)]| {
        let map: BTreeMap<&str, &str> = pairs.iter().copied().collect();
        serde_json::json!({ "metadata": { "total_size": 1 }, "weight_map": map }).to_string()
    };
    let good = [("module.a", one), ("module.b", two), ("module.c", one)];
    std::fs::write(&index, map(&good)).unwrap();
    let error = |text: &str| {
        std::fs::write(&index, text).unwrap();
        let error = SafeTensorsFile::open(&index).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{}: the index of a sharded checkpoint: ", index.display())),
            "{error}"
        );
        error
    };
    assert!(error(&map(&good)).contains(&format!("its shard `{one}` cannot be read: ")), "no shards");
    std::fs::write(at(one), file_of(&[("module.a", 1.0), ("module.c", 3.0)])).unwrap();
    std::fs::write(at(two), file_of(&[("module.b", 2.0)])).unwrap();
    std::fs::write(&index, map(&good)).unwrap();

    let mut file = SafeTensorsFile::open(&index).unwrap();
    for (name, value) in [("a", 1.0), ("b", 2.0), ("module.c", 3.0)] {
        assert_eq!(load(&mut file, name, &[1]).unwrap(), [value], "{name}");
    }
    assert_eq!(file.unused(), [""; 0]);
    assert_eq!(file.describe(), index.display().to_string());
    assert_eq!(wrapper_prefix(&index).as_deref(), Some("module."));
    assert_eq!(read_tensors(&index).unwrap().len(), 3);
    assert_eq!(sharded::shards(&index), [at(one), at(two)]);
    assert!(sharded::shards(&at(one)).is_empty());
    // The hash is of every shard, and of nothing else.
    let hash = file.sha256();
    let text =
        [one, two].map(|name| format!("{}  {name}\n", sha256_of(&std::fs::read(at(name)).unwrap()))).concat();
    assert_eq!(hash, sha256_of(text.as_bytes()));
    std::fs::write(at(two), file_of(&[("module.b", 2.5)])).unwrap();
    assert_ne!(SafeTensorsFile::open(&index).unwrap().sha256(), hash);

    for (pairs, expected) in [
        (&good[..2], format!("`module.c` of `{one}` is not in it")),
        (&[good[0], good[1], ("module.c", two)], format!("`module.c` lies in `{one}`, expected in `{two}`")),
        (&[good[0], good[1], good[2], ("module.d", two)], format!("`module.d` is not in its shard `{two}`")),
        (&[("a", "../w.safetensors")], "its shard `../w.safetensors` is not a file beside it".into()),
        (&[], "names no tensor".into()),
    ] {
        let error = error(&map(pairs));
        assert!(error.contains(&expected), "{error}");
    }
    // A shard of another format, or cut.
    std::fs::write(&index, map(&good)).unwrap();
    std::fs::write(at(two), &zip(&["archive/data.pkl"])[..]).unwrap();
    let message = SafeTensorsFile::open(&index).unwrap_err().to_string();
    assert!(message.contains(two) && message.contains("pickled PyTorch"), "{message}");
    // The index by itself, and JSON that is none.
    let message = SafeTensorsFile::from_bytes("i.json", map(&good).into_bytes()).unwrap_err().to_string();
    assert!(message.contains("this is the index of a sharded checkpoint"), "{message}");
    let message = SafeTensorsFile::from_index("i.json", b"{}", |_| unreachable!()).unwrap_err().to_string();
    assert!(message.contains("expected JSON with a `weight_map`"), "{message}");
}

#[test]
fn a_shard_alone_points_to_its_index() {
    let file =
        SafeTensorsFile::from_bytes("dir/model-00001-of-00003.safetensors", file_of(&[("a", 1.0)])).unwrap();
    let expected = "dir/model-00001-of-00003.safetensors (a shard of several; give their index, dir/model.safetensors.index.json)";
    assert_eq!(file.describe(), expected);
    for name in ["model-a-of-3.safetensors", "model-1.safetensors", "of-3.safetensors", "model-1-of-3.bin"] {
        assert_eq!(SafeTensorsFile::from_bytes(name, file_of(&[("a", 1.0)])).unwrap().describe(), name);
    }
    let mut file = file;
    let mut builder = crate::GraphBuilder::new("net", &mut file);
    builder.tensor("a", &[1], Kind::Bias);
    builder.tensor("b", &[1], Kind::Bias);
    let message = builder.finish(&[]).unwrap_err().to_string();
    assert!(
        message.contains("model.safetensors.index.json") && message.contains("`b`: missing"),
        "{message}"
    );
}

/// Before any number format is chosen: the graph is built of `f32`, whatever it becomes.
#[test]
fn values_that_are_not_finite_name_their_tensor() {
    for dtype in [Dtype::F16, Dtype::BF16, Dtype::F32, Dtype::F64] {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let number = |v: f64| match dtype {
                Dtype::F16 => half::from_f32(v as f32).to_le_bytes().to_vec(),
                Dtype::BF16 => (v as f32).to_le_bytes()[2..].to_vec(),
                Dtype::F32 => (v as f32).to_le_bytes().to_vec(),
                _ => v.to_le_bytes().to_vec(),
            };
            let data = [number(1.0), number(value)].concat();
            let view = TensorView::new(dtype, vec![2], &data).unwrap();
            let bytes = safetensors::serialize([("bad.weight", view)], None).unwrap();
            let mut file = SafeTensorsFile::from_bytes("w", bytes).unwrap();
            let mut builder = crate::GraphBuilder::new("net", &mut file);
            builder.tensor("bad.weight", &[2], Kind::Bias);
            let message = builder.finish(&[]).unwrap_err().to_string();
            let expected = format!("`bad.weight`: holds {}, expected finite numbers", value as f32);
            assert!(message.contains(&expected), "{dtype}: {message}");
        }
    }
    let data = [1.0f64.to_le_bytes(), 1e300f64.to_le_bytes()].concat();
    let view = TensorView::new(Dtype::F64, vec![2], &data).unwrap();
    let bytes = safetensors::serialize([("wide", view)], None).unwrap();
    let mut file = SafeTensorsFile::from_bytes("w", bytes).unwrap();
    assert_eq!(
        load(&mut file, "wide", &[2]).unwrap_err(),
        "holds 1e300, which is beyond 32-bit floating point"
    );
}

#[test]
fn a_header_whose_length_looks_like_a_pickle_is_read() {
    let mut bytes = 0x0280u64.to_le_bytes().to_vec();
    bytes.extend(b"{}");
    bytes.resize(8 + 0x0280, b' ');
    assert_eq!(SafeTensorsFile::from_bytes("a", bytes).unwrap().shapes().count(), 0);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let message = SafeTensorsFile::open("/no/such/file.safetensors").unwrap_err().to_string();
    assert!(message.starts_with("cannot read /no/such/file.safetensors: "), "{message}");
}

proptest! {
    #[test]
    fn damaged_bytes_never_panic(
        edits in proptest::collection::vec((0usize..4096, any::<u8>()), 1..8),
        cut in proptest::option::of(0usize..4096),
    ) {
        let mut bytes = sample();
        let len = bytes.len();
        for (at, value) in edits {
            bytes[at % len] = value;
        }
        bytes.truncate(cut.unwrap_or(len));
        if let Ok(mut file) = SafeTensorsFile::from_bytes("damaged", bytes) {
            let shapes: Vec<(String, Vec<usize>)> =
                file.shapes().map(|(name, shape)| (name.to_string(), shape.to_vec())).collect();
            for (name, shape) in shapes {
                if let Ok(data) = load(&mut file, &name, &shape) {
                    prop_assert_eq!(data.len(), shape.iter().product::<usize>());
                }
            }
            file.unused();
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = SafeTensorsFile::from_bytes("random", bytes);
    }
}
