//! Files that are taken for safetensors: their format, recognised by their contents, and the way to safetensors.

use std::path::Path;

const NUMPY: &str = "import numpy, safetensors.numpy; safetensors.numpy.save_file(dict(numpy.load('w.npz')), 'w.safetensors')";
const TORCH: &str = "import torch, safetensors.torch; state = torch.load('w.pth', map_location='cpu', weights_only=True); \
                     safetensors.torch.save_file({k: v.contiguous() for k, v in state.items()}, 'w.safetensors')` (of a training \
                     checkpoint take `state['state_dict']`, or the key it has)";
const SCRIPT: &str = "import torch, safetensors.torch; state = torch.jit.load('w.pt', map_location='cpu').state_dict(); \
                      safetensors.torch.save_file({k: v.contiguous() for k, v in state.items()}, 'w.safetensors')";
const EXPORTED: &str = "import torch, safetensors.torch; state = torch.export.load('w.pt2').state_dict; \
                        safetensors.torch.save_file({k: v.contiguous() for k, v in state.items()}, 'w.safetensors')";
const KERAS: &str = "import keras, safetensors.numpy; weights = keras.saving.load_model('w.keras').weights; \
                     safetensors.numpy.save_file({w.path: w.numpy() for w in weights}, 'w.safetensors')` (names and the order of axes \
                     must become those of PyTorch, `niello inspect` lists them)";
const ONNX: &str = "import onnx, safetensors.numpy as s; weights = onnx.load('w.onnx').graph.initializer; \
                    s.save_file({w.name: onnx.numpy_helper.to_array(w).copy() for w in weights}, 'w.safetensors')";
const WHOLE: &str = "it is a whole network: make it the `network` of the recipe, or give it as `--model`";

/// The format of a file, if it is known, and the way to safetensors: one sentence.
pub(super) fn advice(name: &Path, bytes: &[u8]) -> Option<String> {
    let convert = |code: &str| match code.contains('`') {
        true => format!("convert it: `{code}"),
        false => format!("convert it: `{code}`"),
    };
    let (found, advice) = match bytes {
        _ if bytes.starts_with(b"version https://git-lfs") => {
            ("a Git LFS pointer", "fetch the file itself: git lfs pull".into())
        }
        _ if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") => archive(name, bytes, convert),
        // Numbers that torch wrote first before it wrote archives.
        [0x80, 2..=5, 0x8a, 0x0a, ..] => ("a pickled PyTorch checkpoint (.pth, .pt, .bin)", convert(TORCH)),
        [0x80, 2..=5, b'}' | b']' | b'c' | b'(' | b'X' | 0x8c | 0x95, ..] => {
            ("a pickle of Python", "save its tensors with safetensors.numpy.save_file or safetensors.torch.save_file".into())
        }
        [b'\x89', b'H', b'D', b'F', ..] => ("an HDF5 (Keras) file (.h5)", convert(&KERAS.replace("w.keras", "w.h5"))),
        [_, _, _, _, b'T', b'F', b'L', b'3', ..] => ("a TensorFlow Lite model (.tflite)", WHOLE.into()),
        // A protocol buffer that begins with the version of its representation, and then a field of an ONNX model.
        [8, 3..=20, 0x12 | 0x1a | 0x22 | 0x2a | 0x32 | 0x3a | 0x42, ..] => ("an ONNX model (.onnx)", format!("{WHOLE}; or take its weights: `{ONNX}`")),
        [8, 1, 0x12, ..] => ("a TensorFlow SavedModel", "save its variables with safetensors.numpy.save_file".into()),
        [b'G', b'G', b'U', b'F', ..] => ("a GGUF file", "give the float checkpoint that it was made of".into()),
        [0x1f, 0x8b, ..] => ("a gzip archive", "unpack it".into()),
        [b'\x93', b'N', b'U', b'M', b'P', b'Y', ..] => {
            ("one NumPy array (.npy)", "save all tensors by their names with safetensors.numpy.save_file".into())
        }
        _ if is_text(bytes, b"<") => ("an HTML page", "its download failed or asks for a login".into()),
        _ if is_text(bytes, b"{") => ("a JSON text", "give the file of weights that lies beside it".into()),
        _ if name.extension().is_some_and(|e| e.eq_ignore_ascii_case("bin")) => (
            "a .bin file that is no PyTorch checkpoint",
            "raw numbers have neither names nor shapes: save them with safetensors.numpy.save_file({name: array, …}, 'w.safetensors')".into(),
        ),
        _ => return None,
    };
    Some(format!("expected a safetensors file, found {found}; {advice}"))
}

/// Whether the bytes are a text that begins with `start`.
pub(super) fn is_text(bytes: &[u8], start: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes.trim_ascii_start().starts_with(start) && !bytes.iter().take(256).any(|b| *b == 0)
}

/// The contents of a zip archive, by the names in it, or by its own name if it shows none.
fn archive(name: &Path, bytes: &[u8], convert: impl Fn(&str) -> String) -> (&'static str, String) {
    let members = members(bytes);
    let called = |endings: [&str; 3]| {
        name.extension().is_some_and(|e| endings.iter().any(|end| e.eq_ignore_ascii_case(end)))
    };
    let any = |end: &str| members.iter().any(|name| name == end || name.ends_with(&format!("/{end}")));
    if any("model.weights.h5") || any("metadata.json") && any("config.json") {
        return ("a Keras model (.keras)", convert(KERAS));
    }
    if any("archive_format") || any("serialized_exported_program.json") || any("serialized_state_dict.pt") {
        return ("an exported PyTorch program (.pt2)", convert(EXPORTED));
    }
    if any("constants.pkl") {
        return ("a TorchScript module (.pt)", convert(SCRIPT));
    }
    if any("data.pkl") || members.is_empty() && called(["pt", "pth", "bin"]) {
        return ("a pickled PyTorch checkpoint (.pth, .pt, .bin)", convert(TORCH));
    }
    if !members.is_empty() && members.iter().all(|name| name.ends_with(".npy")) {
        return ("an archive of NumPy arrays (.npz)", convert(NUMPY));
    }
    ("a zip archive", "unpack it, or convert what is in it".into())
}

/// Names in a zip archive's directory; of an archive that was cut, the first.
fn members(bytes: &[u8]) -> Vec<String> {
    let word = |at: usize| bytes.get(at..at + 2).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]])));
    let name = |at: usize, length: Option<usize>| {
        Some(String::from_utf8_lossy(bytes.get(at..at + length?)?).into_owned())
    };
    let tail = bytes.len().saturating_sub(22 + 65535);
    let end = bytes[tail..].windows(4).rposition(|w| w == b"PK\x05\x06").map(|at| tail + at);
    let start = end
        .and_then(|end| bytes.get(end + 16..end + 20))
        .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let mut names = vec![];
    let mut at = start.map_or(usize::MAX, |start| start as usize);
    while bytes.get(at..).is_some_and(|rest| rest.starts_with(b"PK\x01\x02")) {
        let lengths = [28, 30, 32].map(|field| word(at + field));
        names.extend(name(at + 46, lengths[0]));
        at += 46 + lengths.iter().flatten().sum::<usize>();
    }
    if names.is_empty() && bytes.starts_with(b"PK\x03\x04") {
        names.extend(name(30, word(26)));
    }
    names
}
