//! Arrays for Python: NPY version 1 (NEP 1).

use super::write_atomic;
use crate::{Error, Result};
use std::path::Path;

/// Elements of an NPY file.
#[derive(Clone, Copy, Debug)]
pub enum NpyData<'a> {
    /// `uint8`.
    U8(&'a [u8]),
    /// `int8`.
    I8(&'a [i8]),
    /// `float32`.
    F32(&'a [f32]),
}

impl NpyData<'_> {
    fn len(&self) -> usize {
        match self {
            NpyData::U8(v) => v.len(),
            NpyData::I8(v) => v.len(),
            NpyData::F32(v) => v.len(),
        }
    }
}

/// Writes an array in C order, little endian; any number of dimensions.
///
/// # Errors
/// If the shape does not fit the data, or the file cannot be written.
pub fn write_npy(path: impl AsRef<Path>, data: NpyData<'_>, shape: &[usize]) -> Result<()> {
    let path = path.as_ref();
    let count = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
    if count != Some(data.len()) {
        return Err(Error::file(path, format!("shape {shape:?} does not fit {} elements", data.len())));
    }
    let descr = match data {
        NpyData::U8(_) => "|u1",
        NpyData::I8(_) => "|i1",
        NpyData::F32(_) => "<f4",
    };
    let dimensions: String = shape.iter().map(|d| format!("{d}, ")).collect();
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({dimensions}), }}");
    // Magic, version and length take 10 bytes; the array begins at a multiple of 64, after a newline.
    let padding = (10 + header.len() + 1).next_multiple_of(64) - (10 + header.len() + 1);
    header.push_str(&" ".repeat(padding));
    header.push('\n');
    let length = u16::try_from(header.len()).map_err(|_| Error::file(path, "too many dimensions for NPY"))?;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(length.to_le_bytes());
    bytes.extend(header.as_bytes());
    match data {
        NpyData::U8(v) => bytes.extend(v),
        NpyData::I8(v) => bytes.extend(v.iter().map(|x| *x as u8)),
        NpyData::F32(v) => bytes.extend(v.iter().flat_map(|x| x.to_le_bytes())),
    }
    write_atomic(path, &bytes)
}
