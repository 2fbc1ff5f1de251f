//! Checkpoints in the safetensors format (<https://github.com/huggingface/safetensors#format>).

use super::{Request, WeightSource, other_formats, sharded};
use crate::{
    error::{Error, Result},
    text::near_matches,
};
use niello_kernels::float::half;
use safetensors::tensor::{Dtype, Metadata};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    ops::Range,
    path::{Path, PathBuf},
};

/// A checkpoint: tensors by name, `f16`, `bf16`, `f32` or `f64`; of one file, or of an index and its shards.
///
/// Integer tensors may be in the file as long as no network requests them.
#[derive(Clone, Debug)]
pub struct SafeTensorsFile {
    name: PathBuf,
    pub(super) bytes: Vec<u8>,
    pub(super) entries: BTreeMap<String, Entry>,
    /// Of several files.
    sha256: Option<String>,
    requested: BTreeSet<String>,
    /// The prefix of every tensor's name, if wrappers added it.
    prefix: String,
}

/// Prefixes that wrappers of PyTorch put before every name: `DataParallel` and `torch.compile`.
const WRAPPERS: &[&str] = &["module.", "_orig_mod."];

/// The wrappers' prefix of all of these names; empty if there is one without it.
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

/// The wrappers' prefix of every tensor's name in a checkpoint, of which only the header (or the index) is read. Networks find their
/// tensors without it.
pub fn wrapper_prefix(path: &Path) -> Option<String> {
    let mut file = std::fs::File::open(path).ok()?;
    let mut start = [0; 8];
    file.read_exact(&mut start).ok()?;
    let names: Vec<String> = if other_formats::is_text(&start, b"{") {
        sharded::weight_map(&std::fs::read(path).ok()?)?.into_keys().collect()
    } else {
        let mut header = vec![];
        file.take(u64::from_le_bytes(start)).read_to_end(&mut header).ok()?;
        serde_json::from_slice::<Metadata>(&header).ok()?.offset_keys()
    };
    Some(prefix(names.iter())).filter(|prefix| !prefix.is_empty())
}

/// The place of a tensor in the file; `bytes` is within it and as long as `dtype` and `shape` say.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    pub(super) bytes: Range<usize>,
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
    Ok(read_tensors_of_kinds(path)?.into_iter().map(|(name, (tensor, _))| (name, tensor)).collect())
}

/// As [`read_tensors`], with whether the elements are integers.
///
/// # Errors
/// As for [`read_tensors`].
pub(crate) fn read_tensors_of_kinds(path: impl AsRef<Path>) -> Result<BTreeMap<String, (NamedTensor, bool)>> {
    let file = SafeTensorsFile::open(path)?;
    let read = |(name, entry): (&String, &Entry)| {
        let data = decode(entry.dtype, &file.bytes[entry.bytes.clone()]).ok_or_else(|| {
            Error::file(&file.name, format!("tensor `{name}`: unsupported type {}", entry.dtype))
        })?;
        Ok((name.clone(), (NamedTensor { shape: entry.shape.clone(), data }, is_integer(entry.dtype))))
    };
    file.entries.iter().map(read).collect()
}

impl SafeTensorsFile {
    /// Reads a file, or an index (`model.safetensors.index.json`) and the shards beside it.
    ///
    /// # Errors
    /// If it cannot be read, or is neither a complete safetensors file nor an index, or as [`SafeTensorsFile::from_index`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(Error::io("cannot read", path))?;
        if sharded::weight_map(&bytes).is_some() {
            return Self::from_index(path, &bytes, |shard| std::fs::read(path.with_file_name(shard)));
        }
        Self::from_bytes(path, bytes)
    }

    /// Takes a file's bytes; `name` stands for the file in errors.
    ///
    /// # Errors
    /// If they are not a complete safetensors file.
    pub fn from_bytes(name: impl Into<PathBuf>, bytes: Vec<u8>) -> Result<Self> {
        let name = name.into();
        let entries = parse(&bytes).map_err(|message| {
            // A file without a header that fits may have another format.
            Error::file(&name, other_format(&name, &bytes).unwrap_or(message))
        })?;
        Ok(Self::with_entries(name, bytes, entries, None))
    }

    pub(super) fn with_entries(
        name: PathBuf,
        bytes: Vec<u8>,
        entries: BTreeMap<String, Entry>,
        sha256: Option<String>,
    ) -> Self {
        let prefix = prefix(entries.keys());
        Self { name, bytes, entries, sha256, requested: BTreeSet::new(), prefix }
    }

    /// SHA-256 of the whole file, in hexadecimal. Of several files: of the output of `sha256sum` for all shards in the order of their names.
    pub fn sha256(&self) -> String {
        self.sha256.clone().unwrap_or_else(|| sha256_of(&self.bytes))
    }

    /// Names and shapes of all tensors, by name.
    pub fn shapes(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry.shape.as_slice()))
    }

    /// ``; did you mean `a`, `b`?``, from names that were not requested yet; empty if none is near.
    fn hint(&self, name: &str) -> String {
        let free = self.entries.keys().filter(|n| !self.requested.contains(*n)).map(String::as_str);
        let near: Vec<String> = near_matches(name, free).iter().map(|n| format!("`{n}`")).collect();
        if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(", ")) }
    }
}

impl WeightSource for SafeTensorsFile {
    fn describe(&self) -> String {
        match sharded::index_of_shard(&self.name) {
            Some(index) => {
                format!("{} (a shard of several; give their index, {})", self.name.display(), index.display())
            }
            None => self.name.display().to_string(),
        }
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
                let bytes = &self.bytes[entry.bytes.clone()];
                let data = decode(entry.dtype, bytes).expect("float types are decoded");
                if entry.dtype == Dtype::F64 {
                    let wide = bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b));
                    if let Some((wide, _)) =
                        wide.zip(&data).find(|(wide, v)| wide.is_finite() && v.is_infinite())
                    {
                        return Err(format!("holds {wide:e}, which is beyond 32-bit floating point"));
                    }
                }
                Ok(data)
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
    // Checks that the tensors follow each other without gaps and have the sizes of their shapes.
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

/// The format of a file that is not safetensors, if it is known. A header that lies within the file is one, however it begins.
fn other_format(name: &Path, bytes: &[u8]) -> Option<String> {
    let length = bytes.first_chunk().map(|length| u64::from_le_bytes(*length));
    if length.is_some_and(|length| length <= bytes.len() as u64 - 8) {
        return None;
    }
    match sharded::weight_map(bytes) {
        Some(_) => Some(
            "this is the index of a sharded checkpoint, which is read from a file beside its shards".into(),
        ),
        None => other_formats::advice(name, bytes),
    }
}

/// SHA-256 in hexadecimal.
pub fn sha256_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn is_integer(dtype: Dtype) -> bool {
    matches!(
        dtype,
        Dtype::U8 | Dtype::I8 | Dtype::U16 | Dtype::I16 | Dtype::U32 | Dtype::I32 | Dtype::U64 | Dtype::I64
    )
}

/// Little-endian elements as `f32`; `None` for types that are not plain numbers.
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
mod tests;
