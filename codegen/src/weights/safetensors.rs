//! Checkpoints in the safetensors format (<https://github.com/huggingface/safetensors#format>).

use super::{Request, WeightSource, near_matches};
use crate::error::{Error, Result};
use niello_kernels::float::half;
use safetensors::tensor::{Dtype, Metadata};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    ops::Range,
    path::{Path, PathBuf},
};

/// A checkpoint: tensors by name, `f16`, `bf16`, `f32` or `f64`.
///
/// Integer tensors may be in the file as long as no network asks for them.
#[derive(Clone, Debug)]
pub struct SafeTensorsFile {
    name: PathBuf,
    bytes: Vec<u8>,
    entries: BTreeMap<String, Entry>,
    requested: BTreeSet<String>,
    /// What every tensor's name begins with, if it is what wrappers add.
    prefix: String,
}

/// What wrappers of PyTorch put before every name: `DataParallel` and `torch.compile`.
const WRAPPERS: &[&str] = &["module.", "_orig_mod."];

/// What wrappers put before all of these names; empty if there is one without it.
fn prefix<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let mut names: Vec<&str> = names.map(String::as_str).collect();
    let mut found = String::new();
    while let Some(wrapper) = WRAPPERS.iter().find(|w| names.iter().all(|name| name.starts_with(**w))) {
        if names.is_empty() {
            break;
        }
        found += wrapper;
        names.iter_mut().for_each(|name| *name = &name[wrapper.len()..]);
    }
    found
}

/// What wrappers put before the name of every tensor in a safetensors file, of which only the header is read. Networks find their tensors
/// without it.
pub fn wrapper_prefix(path: &Path) -> Option<String> {
    let mut file = std::fs::File::open(path).ok()?;
    let mut length = [0; 8];
    file.read_exact(&mut length).ok()?;
    let mut header = vec![];
    file.take(u64::from_le_bytes(length)).read_to_end(&mut header).ok()?;
    let metadata: Metadata = serde_json::from_slice(&header).ok()?;
    let names = metadata.offset_keys();
    Some(prefix(names.iter())).filter(|prefix| !prefix.is_empty())
}

/// Where a tensor lies in the file; `bytes` is within it and as long as `dtype` and `shape` say.
#[derive(Clone, Debug)]
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Range<usize>,
}

/// A tensor read as it is, for goldens and calibration inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// The file's shape, outermost first.
    pub shape: Vec<usize>,
    /// Values in C order. Integers of more than 24 bits are rounded to nearest.
    pub data: Vec<f32>,
}

/// All tensors of a safetensors file, integers included, as `f32`.
///
/// # Errors
/// If the file cannot be read, is damaged, or holds a type that is neither an integer of up to 64 bits, a boolean, `f16`,
/// `bf16`, `f32` nor `f64`.
pub fn read_tensors(path: impl AsRef<Path>) -> Result<BTreeMap<String, NamedTensor>> {
    let file = SafeTensorsFile::open(path)?;
    let read = |(name, entry): (&String, &Entry)| {
        let data = decode(entry.dtype, &file.bytes[entry.bytes.clone()]).ok_or_else(|| {
            Error::file(&file.name, format!("tensor `{name}`: unsupported type {}", entry.dtype))
        })?;
        Ok((name.clone(), NamedTensor { shape: entry.shape.clone(), data }))
    };
    file.entries.iter().map(read).collect()
}

impl SafeTensorsFile {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or is not a complete safetensors file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::from_bytes(path, std::fs::read(path).map_err(Error::io("cannot read", path))?)
    }

    /// Takes a file's bytes; `name` stands for the file in errors.
    ///
    /// # Errors
    /// If they are not a complete safetensors file.
    pub fn from_bytes(name: impl Into<PathBuf>, bytes: Vec<u8>) -> Result<Self> {
        let name = name.into();
        let entries = parse(&bytes).map_err(|message| Error::file(&name, message))?;
        let prefix = prefix(entries.keys());
        Ok(Self { name, bytes, entries, requested: BTreeSet::new(), prefix })
    }

    /// SHA-256 of the whole file, in hexadecimal.
    pub fn sha256(&self) -> String {
        Sha256::digest(&self.bytes).iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Names and shapes of all tensors, by name.
    pub fn shapes(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry.shape.as_slice()))
    }

    /// ``; did you mean `a`, `b`?``, from names that nobody asked for yet; empty if none is near.
    fn hint(&self, name: &str) -> String {
        let free = self.entries.keys().filter(|n| !self.requested.contains(*n)).map(String::as_str);
        let near: Vec<String> = near_matches(name, free).iter().map(|n| format!("`{n}`")).collect();
        if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(", ")) }
    }
}

impl WeightSource for SafeTensorsFile {
    fn describe(&self) -> String {
        self.name.display().to_string()
    }

    fn load(&mut self, request: &Request<'_>) -> Result<Vec<f32>, String> {
        let plain = |name: &str| self.entries.contains_key(name).then(|| name.to_string());
        let Some(name) = plain(request.name).or_else(|| plain(&(self.prefix.clone() + request.name))) else {
            return Err(format!("missing, expected shape {:?}{}", request.shape, self.hint(request.name)));
        };
        let entry = &self.entries[&name];
        self.requested.insert(name);
        if entry.shape != request.shape {
            return Err(format!("expected shape {:?}, found {:?}", request.shape, entry.shape));
        }
        match entry.dtype {
            Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64 => {
                Ok(decode(entry.dtype, &self.bytes[entry.bytes.clone()]).expect("float types are decoded"))
            }
            other => Err(format!("expected F16, BF16, F32 or F64, found {other}")),
        }
    }

    fn unused(&self) -> Vec<String> {
        let counter =
            |name: &str, entry: &Entry| name.ends_with("num_batches_tracked") && is_integer(entry.dtype);
        self.entries
            .iter()
            .filter(|(name, entry)| !self.requested.contains(*name) && !counter(name, entry))
            .map(|(name, _)| name.clone())
            .collect()
    }
}

/// Checks the whole layout: after this, every entry's range lies in `bytes`.
fn parse(bytes: &[u8]) -> Result<BTreeMap<String, Entry>, String> {
    if let Some(message) = other_format(bytes) {
        return Err(message);
    }
    let truncated = |needed: u64| {
        format!("truncated or not a safetensors file: needs {needed} bytes, has {}", bytes.len())
    };
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(truncated(8));
    };
    let length = u64::from_le_bytes(*length);
    let header = usize::try_from(length)
        .ok()
        .and_then(|n| rest.get(..n))
        .ok_or_else(|| truncated(length.saturating_add(8)))?;
    // Checks that the tensors follow each other without gaps and have the sizes that their shapes say.
    let metadata: Metadata =
        serde_json::from_slice(header).map_err(|e| format!("damaged safetensors header: {e}"))?;
    let start = 8 + header.len();
    let (expected, found) = (metadata.data_len(), bytes.len() - start);
    if found < expected {
        return Err(format!("truncated: tensors need {expected} bytes after the header, has {found}"));
    }
    if found > expected {
        return Err(format!("{} bytes too many after the last tensor", found - expected));
    }
    let entry = |name: String| {
        let info = metadata.info(&name)?;
        let (from, to) = info.data_offsets;
        let bytes = start.checked_add(from)?..start.checked_add(to)?;
        Some((name, Entry { dtype: info.dtype, shape: info.shape.clone(), bytes }))
    };
    Ok(metadata.offset_keys().into_iter().filter_map(entry).collect())
}

/// Files that people take for safetensors.
fn other_format(bytes: &[u8]) -> Option<String> {
    let (found, advice) = if bytes.starts_with(b"version https://git-lfs") {
        ("a Git LFS pointer", "fetch the file itself: git lfs pull")
    } else if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\x80\x02\x8a\x0a") {
        ("a pickled PyTorch checkpoint", "convert it: safetensors.torch.save_file(torch.load(…), …)")
    } else if bytes.starts_with(b"\x89HDF") {
        ("an HDF5 (Keras) file", "export its tensors with safetensors.numpy.save_file")
    } else {
        return None;
    };
    Some(format!("expected a safetensors file, found {found}; {advice}"))
}

fn is_integer(dtype: Dtype) -> bool {
    matches!(
        dtype,
        Dtype::U8 | Dtype::I8 | Dtype::U16 | Dtype::I16 | Dtype::U32 | Dtype::I32 | Dtype::U64 | Dtype::I64
    )
}

/// Little-endian elements as `f32`; `None` for types that have no plain meaning as one number.
fn decode(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    fn each<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks::<N>().0.iter().map(|chunk| convert(*chunk)).collect()
    }
    Some(match dtype {
        Dtype::F16 => each(bytes, |b| half::to_f32(u16::from_le_bytes(b))),
        Dtype::BF16 => each(bytes, |[low, high]| f32::from_le_bytes([0, 0, low, high])),
        Dtype::F32 => each(bytes, f32::from_le_bytes),
        Dtype::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
        Dtype::BOOL | Dtype::U8 => each(bytes, |b| u8::from_le_bytes(b) as f32),
        Dtype::I8 => each(bytes, |b| i8::from_le_bytes(b) as f32),
        Dtype::U16 => each(bytes, |b| u16::from_le_bytes(b) as f32),
        Dtype::I16 => each(bytes, |b| i16::from_le_bytes(b) as f32),
        Dtype::U32 => each(bytes, |b| u32::from_le_bytes(b) as f32),
        Dtype::I32 => each(bytes, |b| i32::from_le_bytes(b) as f32),
        Dtype::U64 => each(bytes, |b| u64::from_le_bytes(b) as f32),
        Dtype::I64 => each(bytes, |b| i64::from_le_bytes(b) as f32),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::Kind;
    use proptest::prelude::*;
    use safetensors::tensor::TensorView;

    /// A file of one tensor per type, each `[2]` and holding 1.5 and -2 (1 and 2 where the type is an integer).
    fn sample() -> Vec<u8> {
        let float = [1.5f32, -2.0];
        let tensors: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> = vec![
            ("a.f32", Dtype::F32, vec![2], float.iter().flat_map(|v| v.to_le_bytes()).collect()),
            (
                "a.f16",
                Dtype::F16,
                vec![2],
                float.iter().flat_map(|v| half::from_f32(*v).to_le_bytes()).collect(),
            ),
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

    #[test]
    fn files_of_other_formats_are_named() {
        for (start, expected) in [
            (&b"PK\x03\x04rest"[..], "PyTorch"),
            (b"version https://git-lfs.github.com", "Git LFS"),
            (b"\x89HDF\r", "HDF5"),
        ] {
            let message = SafeTensorsFile::from_bytes("w.bin", start.to_vec()).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
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
}
