//! Everything that reads a file from outside, as functions of bytes: read (`true`) or rejected, never a panic, and a value is
//! the same once it is written and read again. The fuzz targets call them, and `codegen/tests/seeds.rs` does with every seed.

use niello_codegen::{
    board::Board,
    check::golden::{Bundle, Golden},
    import::{ModelFile, network::NetworkOptions, onnx::import, tflite as format},
    lock::Lock,
    recipe::Recipe,
    tuning::{Costs, TuningFile},
    weights::{Kind, Request, SafeTensorsFile, WeightSource},
};
use niello_imaging::{Preprocess, load_bytes, load_frames, scan::read_scan_bytes};
use sha2::{Digest, Sha256};
use std::{io, path::Path};

/// A reader of a file's bytes: whether they were read.
pub(crate) type Reader = fn(&[u8]) -> bool;

/// Every reader with its name, which is that of its target and of its folder of seeds.
pub(crate) const READERS: [(&str, Reader); 17] = [
    ("image", image),
    ("dicom", dicom),
    ("jpeg", jpeg),
    ("png", png),
    ("npy", npy),
    ("scan", scan),
    ("preprocess", preprocess),
    ("safetensors", safetensors),
    ("safetensors_index", safetensors_index),
    ("recipe", recipe),
    ("lock", lock),
    ("board", board),
    ("tuning", tuning),
    ("golden", golden),
    ("bundle", bundle),
    ("tflite", tflite),
    ("onnx", onnx),
];

/// An image of any format, then pre-processing.
pub(crate) fn image(bytes: &[u8]) -> bool {
    let Ok(image) = load_bytes("image", bytes) else { return false };
    for text in [
        "minmax resize=area",
        "imagenet window=-600,1500",
        "hu:1024 resize=stretch",
        "raw resize=area colour=gray",
    ] {
        let preprocess = Preprocess::parse(text).expect("a pre-processing");
        let _ = preprocess.apply(&image, [8, 8], 3);
        let _ = preprocess.apply(&image, [image.height(), 9], 1);
        let _ = preprocess.view(&image, [8, 8]);
    }
    true
}

/// With the first bytes of a format, so that no run is spent on another.
fn image_of(magic: &[u8], at: usize, bytes: &[u8]) -> bool {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().max(at + magic.len()), 0);
    bytes[at..at + magic.len()].copy_from_slice(magic);
    image(&bytes)
}

pub(crate) fn dicom(bytes: &[u8]) -> bool {
    // A preamble with the start of another format is one of that.
    let start = bytes.len().min(8);
    image_of(b"DICM", 128, &[&[0; 8][..start], &bytes[start..]].concat())
}

pub(crate) fn jpeg(bytes: &[u8]) -> bool {
    image_of(b"\xff\xd8\xff", 0, bytes)
}

pub(crate) fn png(bytes: &[u8]) -> bool {
    image_of(b"\x89PNG\r\n\x1a\n", 0, bytes)
}

pub(crate) fn npy(bytes: &[u8]) -> bool {
    image_of(b"\x93NUMPY", 0, bytes)
}

/// A volume: NIfTI, or DICOM with a place.
pub(crate) fn scan(bytes: &[u8]) -> bool {
    let _ = load_frames("frames", bytes);
    let Ok(volume) = read_scan_bytes("scan", bytes) else { return false };
    let [slices, h, w] = volume.geometry().size;
    assert_eq!(volume.voxels().len(), slices * h * w);
    let _ = volume.slice(slices - 1);
    true
}

/// A text, or nothing.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

pub(crate) fn preprocess(bytes: &[u8]) -> bool {
    let Some(Ok(preprocess)) = text(bytes).map(Preprocess::parse) else { return false };
    assert_eq!(Preprocess::parse(&preprocess.to_string()).expect("read again"), preprocess);
    let image =
        load_bytes("p.npy", b"\x93NUMPY\x01\0\x34\0{'descr':'|u1','fortran_order':False,'shape':(1,2),}abA")
            .ok();
    for channels in [1, 3] {
        let _ = preprocess.table(channels);
        let _ = image.as_ref().map(|image| preprocess.apply(image, [3, 5], channels));
    }
    true
}

/// Loads every tensor with its own shape.
fn load_all(mut file: SafeTensorsFile) {
    let shapes: Vec<(String, Vec<usize>)> =
        file.shapes().map(|(name, shape)| (name.into(), shape.into())).collect();
    for (name, shape) in &shapes {
        if let Ok(data) = file.load(&Request { name, shape, kind: Kind::Bias }) {
            assert_eq!(data.len(), shape.iter().product::<usize>());
        }
        let start: String = name.chars().take(3).collect();
        let _ = file.load(&Request { name: &start, shape, kind: Kind::Bias });
    }
    let _ = (file.unused(), file.sha256(), file.describe());
}

pub(crate) fn safetensors(bytes: &[u8]) -> bool {
    SafeTensorsFile::from_bytes("checkpoint", bytes.to_vec()).map(load_all).is_ok()
}

/// An index up to the first zero byte, then its shards, each after its length (16 bits).
pub(crate) fn safetensors_index(bytes: &[u8]) -> bool {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let mut shards = bytes.get(end + 1..).unwrap_or_default();
    let next = |_: &str| {
        let (length, rest) = shards.split_first_chunk::<2>().ok_or(io::ErrorKind::NotFound)?;
        let (shard, rest) = rest.split_at(rest.len().min(u16::from_le_bytes(*length).into()));
        shards = rest;
        Ok(shard.to_vec())
    };
    SafeTensorsFile::from_index("index.json", &bytes[..end], next).map(load_all).is_ok()
}

pub(crate) fn recipe(bytes: &[u8]) -> bool {
    let Some(Ok(recipe)) = text(bytes).map(|text| Recipe::parse(text, "")) else { return false };
    let written = recipe.to_toml().expect("a recipe that was read can be written");
    assert_eq!(Recipe::parse(&written, "").expect("read again"), recipe);
    true
}

/// As it is; and with the seal that the text should have, as no mutation has the right one.
pub(crate) fn lock(bytes: &[u8]) -> bool {
    let Some(text) = text(bytes) else { return false };
    let parse = |text: &str| {
        let lock = Lock::parse(Path::new("a.lock"), text).ok()?;
        assert_eq!(Lock::parse(Path::new("again"), &lock.to_text()).expect("read again"), lock);
        let _ = lock.check(&lock.origin, None);
        Some(lock)
    };
    const SEAL: &str = "# sha256 of the lines above: ";
    let body = &text[..text.rfind(SEAL).unwrap_or(text.len())];
    let hash: String = Sha256::digest(body.as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
    let _ = parse(&format!("{body}{SEAL}{hash}\n"));
    parse(text).is_some()
}

pub(crate) fn board(bytes: &[u8]) -> bool {
    text(bytes).is_some_and(|text| Board::parse("board.toml", text).is_ok())
}

/// A tuning file, or the output of a runner.
pub(crate) fn tuning(bytes: &[u8]) -> bool {
    let Some(text) = text(bytes) else { return false };
    if let Ok(costs) = Costs::parse(text) {
        let _ = costs.total();
    }
    let Ok(file) = TuningFile::parse(Path::new("t.toml"), text) else { return false };
    let written = file.to_toml().expect("a tuning that was read can be written");
    assert_eq!(TuningFile::parse(Path::new("again"), &written).expect("read again"), file);
    true
}

/// A golden file, or a device's log, which is held against a small golden file.
pub(crate) fn golden(bytes: &[u8]) -> bool {
    let Some(text) = text(bytes) else { return false };
    let small: Golden = "# niello golden 1\nnetwork n\nrounding single\ncase seed:1\nlayer 0 a 1x1x1 0000000000000000\nrows 0\noutput 0 0"
        .parse()
        .expect("a golden file");
    let _ = small.check_log(text);
    let Ok(golden) = text.parse::<Golden>() else { return false };
    assert_eq!(golden.to_string().parse::<Golden>().expect("read again"), golden);
    true
}

/// The bytes beside a golden file.
pub(crate) fn bundle(bytes: &[u8]) -> bool {
    let Ok(bundle) = Bundle::from_bytes(Path::new("b.safetensors"), bytes) else { return false };
    let written = bundle.to_bytes().expect("a bundle that was read can be written");
    let again = Bundle::from_bytes(Path::new("again"), &written).expect("read again");
    assert_eq!((again.layers, again.inputs), (bundle.layers, bundle.inputs));
    true
}

/// A model of TensorFlow Lite, with its identifier put in place.
pub(crate) fn tflite(bytes: &[u8]) -> bool {
    let mut bytes = bytes.to_vec();
    if let Some(identifier) = bytes.get_mut(4..8) {
        identifier.copy_from_slice(b"TFL3");
    }
    // Operators that are not imported are in files that can be read.
    let _ = ModelFile::from_bytes(Path::new("model.tflite"), &bytes, &NetworkOptions::default());
    format::outline("model.tflite", bytes).is_ok()
}

/// A model; the graph that comes of it is one that passes can take.
pub(crate) fn onnx(bytes: &[u8]) -> bool {
    let options = NetworkOptions::default();
    let Ok(graph) = import(Path::new("model.onnx"), bytes, None, &options) else { return false };
    // Passes take time that grows with the square of the layers.
    if graph.nodes.len() < 100 {
        let _ = niello_codegen::passes::optimize(graph);
    }
    true
}
