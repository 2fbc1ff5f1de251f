//! Readers, one file per format. The first bytes determine the format; the extension plays no part.

pub(crate) mod dicom;
mod jpeg;
mod jpeg_ls;
mod npy;
mod png;

pub(crate) use dicom::without_image;
pub use dicom::{Stored, load_frames, stored_samples};
pub use npy::Array;

use crate::{Error, Image, Result};
use std::{fs, path::Path};

/// Reads a PNG, JPEG, DICOM or NPY image.
///
/// | format | samples |
/// |---|---|
/// | PNG, JPEG | 8-bit gray or RGB. Palettes are expanded; 16-bit samples become `round(v / 257)`; alpha is dropped and the stored colour kept, as PIL's `convert("RGB")` does |
/// | DICOM | real values `stored * slope + intercept` (HU for CT), or those of a modality table; 8-bit gray where 8 bits are stored without either; 8-bit RGB from colours. One frame: [`load_frames`] reads several |
/// | NPY | `uint8`: 8-bit gray or RGB (alpha dropped); `int8`, `int16`, `uint16`, `int32`, `float32`, `float64`: real values |
///
/// # Errors
/// If the file cannot be read, is damaged, is none of these, or passes [`crate::MAX_SAMPLES`].
pub fn load(path: impl AsRef<Path>) -> Result<Image> {
    let path = path.as_ref();
    let bytes = fs::read(path).map_err(Error::io("cannot read", path))?;
    load_bytes(path, &bytes)
}

/// [`load`] of a file's bytes; `name` is its name in errors.
///
/// # Errors
/// As [`load`].
pub fn load_bytes(name: impl AsRef<Path>, bytes: &[u8]) -> Result<Image> {
    let name = name.as_ref();
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        png::read(name, bytes)
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        jpeg::read(name, bytes)
    } else if bytes.starts_with(b"\x93NUMPY") {
        npy::read(name, bytes)
    } else if is_dicom(bytes) {
        dicom::read(name, bytes)
    } else {
        let start: Vec<String> = bytes.iter().take(8).map(|b| format!("{b:02x}")).collect();
        let found = match start.len() {
            0 => "an empty file".to_string(),
            _ => format!("{} bytes that start with {}", bytes.len(), start.join(" ")),
        };
        Err(Error::file(name, format!("expected a PNG, JPEG, DICOM (part 10) or NPY file, found {found}")))
    }
}

/// Whether the bytes have DICOM's preamble and magic.
pub(crate) fn is_dicom(bytes: &[u8]) -> bool {
    bytes.get(128..132) == Some(b"DICM")
}

/// The first `keep` of every `channels` samples: drops alpha.
fn keep_channels(data: Vec<u8>, channels: usize, keep: usize) -> Vec<u8> {
    if channels == keep {
        return data;
    }
    data.chunks_exact(channels).flat_map(|pixel| &pixel[..keep]).copied().collect()
}

/// A decoded frame of a compressed file: samples by pixel, in the lowest `bits` bits.
struct Coded {
    samples: Vec<u16>,
    /// 2 to 16.
    bits: u8,
    /// Whether the highest of these bits is the sign, if samples are signed; else those of the data set say where it is.
    extend: bool,
    /// Whether the colours are red, green and blue, if the frame says so.
    rgb: Option<bool>,
}

/// An error about the size of a compressed frame, before memory is taken for it.
fn other_size([h, w, c]: [usize; 3], [rows, columns, samples]: [usize; 3]) -> String {
    format!("expected {rows}x{columns}x{samples} samples, as the data set says, found {h}x{w}x{c}")
}
