//! The constants of a file, and those beside it.

use super::{
    array::{Array, Data, Type, count, extent},
    proto::TensorProto,
};
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Component, Path, PathBuf},
};

/// The tensor as an array; `folder` is where the model lies, for values in another file.
///
/// # Errors
/// A type that is not read, sizes that do not fit the values, a file outside of the folder; begins with the tensor's name.
pub(super) fn read(tensor: &TensorProto, folder: Option<&Path>) -> Result<Array, String> {
    let name = tensor.name.as_deref().unwrap_or_default();
    array(tensor, folder).map_err(|message| format!("tensor `{name}`: {message}"))
}

fn array(tensor: &TensorProto, folder: Option<&Path>) -> Result<Array, String> {
    let of = Type::of(tensor.data_type.unwrap_or_default())?;
    if let Some(bad) = tensor.dims.iter().find(|d| **d < 0) {
        return Err(format!("a size of {bad} in {:?}", tensor.dims));
    }
    let dims: Vec<usize> = tensor.dims.iter().map(|d| usize::try_from(*d).unwrap_or(usize::MAX)).collect();
    let bytes = extent(&dims).and(count(&dims)).and_then(|len| Some((len, len.checked_mul(of.bytes())?)));
    let Some((len, bytes)) = bytes else { return Err(format!("a size of {dims:?} is too large")) };
    let check = |found: usize, wanted: usize, what: &str| match found == wanted {
        true => Ok(()),
        false => {
            Err(format!("expected {wanted} {what} for a size of {dims:?} of {}, got {found}", of.name()))
        }
    };
    let data = if tensor.data_location == Some(1) {
        from_bytes(&outside(tensor, folder, bytes)?, of)
    } else if let Some(raw) = &tensor.raw_data {
        check(raw.len(), bytes, "bytes")?;
        from_bytes(raw, of)
    } else {
        let (ints, longs) = (&tensor.int32_data, &tensor.int64_data);
        let data = match of {
            Type::F32 => Data::Float(tensor.float_data[..].into()),
            Type::F64 => Data::Float(tensor.double_data.iter().map(|x| *x as f32).collect()),
            Type::F16 => Data::Float(ints.iter().map(|x| half(*x as u16)).collect()),
            Type::Bf16 => Data::Float(ints.iter().map(|x| brain(*x as u16)).collect()),
            Type::Bool => Data::Bool(ints.iter().map(|x| *x != 0).collect()),
            Type::Int { bits: 64, signed: true } => Data::Int(longs[..].into()),
            Type::Int { bits: 32 | 64, signed: false } => {
                Data::Int(tensor.uint64_data.iter().map(|x| *x as i64).collect())
            }
            Type::Int { .. } => Data::Int(ints.iter().map(|x| *x as i64).collect()),
        };
        let array = Array { dims: vec![], data, of };
        check(array.len(), len, "values")?;
        array.data
    };
    Ok(Array { dims, data, of })
}

/// Elements of little-endian bytes.
fn from_bytes(bytes: &[u8], of: Type) -> Data {
    let size = of.bytes();
    if of == Type::F32 {
        // Most of a file.
        return Data::Float(
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        );
    }
    let chunks = bytes.chunks_exact(size);
    let bits = chunks.map(|chunk| {
        let mut wide = [0; 8];
        wide[..size].copy_from_slice(chunk);
        u64::from_le_bytes(wide)
    });
    match of {
        Type::F32 | Type::F64 => Data::Float(bits.map(|b| f64::from_bits(b) as f32).collect()),
        Type::F16 => Data::Float(bits.map(|b| half(b as u16)).collect()),
        Type::Bf16 => Data::Float(bits.map(|b| brain(b as u16)).collect()),
        Type::Bool => Data::Bool(bits.map(|b| b != 0).collect()),
        Type::Int { bits: width, signed: true } => {
            Data::Int(bits.map(|b| (b << (64 - width)) as i64 >> (64 - width)).collect())
        }
        Type::Int { .. } => Data::Int(bits.map(|b| b as i64).collect()),
    }
}

fn half(bits: u16) -> f32 {
    niello_kernels::float::half::to_f32(bits)
}

fn brain(bits: u16) -> f32 {
    f32::from_bits((bits as u32) << 16)
}

/// The `bytes` bytes of a tensor that lies in a file beside the model.
fn outside(tensor: &TensorProto, folder: Option<&Path>, bytes: usize) -> Result<Vec<u8>, String> {
    let entry = |key: &str| {
        let found = tensor.external_data.iter().find(|e| e.key.as_deref() == Some(key));
        found.map(|e| e.value.as_deref().unwrap_or_default())
    };
    let number = |key: &str, default: u64| match entry(key) {
        None => Ok(default),
        Some(text) => {
            text.parse::<u64>().map_err(|_| format!("external data: `{key}` is `{text}`, expected a number"))
        }
    };
    let location = entry("location").unwrap_or_default();
    if location.is_empty() {
        return Err("external data without a location".into());
    }
    let refuse = |why: &str| Err(format!("external data in `{location}`: {why}"));
    // On every system, whatever its own separator is.
    let parts: Vec<&str> = location.split(['/', '\\']).collect();
    let relative: PathBuf = parts.iter().collect();
    let is_plain = relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if parts.contains(&"..") || parts[0].is_empty() || parts[0].contains(':') || !is_plain {
        return refuse("not in the model's folder; it is not read");
    }
    let Some(folder) = folder else { return refuse("the model's folder is not known") };
    let real = |path: &Path| path.canonicalize().map_err(|e| format!("external data in `{location}`: {e}"));
    let path = real(&folder.join(&relative))?;
    if !path.starts_with(real(folder)?) {
        return refuse("a link to another folder; it is not read");
    }
    let (offset, length) = (number("offset", 0)?, number("length", bytes as u64)?);
    if length != bytes as u64 {
        return refuse(&format!(
            "has a length of {length}, expected {bytes} bytes for a size of {:?}",
            tensor.dims
        ));
    }
    let io = |e: std::io::Error| format!("external data in `{location}`: {e}");
    let mut file = File::open(&path).map_err(io)?;
    let meta = file.metadata().map_err(io)?;
    if !meta.is_file() || offset.checked_add(length).is_none_or(|end| end > meta.len()) {
        return refuse(&format!("{length} bytes from {offset} on, but it has {}", meta.len()));
    }
    file.seek(SeekFrom::Start(offset)).map_err(io)?;
    let mut data = vec![0; bytes];
    file.read_exact(&mut data).map_err(io)?;
    Ok(data)
}
