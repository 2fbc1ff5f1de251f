//! NPY, the format of `numpy.save` (NEP 1): magic, version, a Python dictionary, then the array.
//!
//! Read here rather than by a crate: the header is one line of a fixed form, and the two crates for it bring a
//! grammar compiler and big integers into every build script.

use crate::{
    Error, Image, Result, Samples,
    image::{self, sample_count},
};
use std::path::Path;

/// Two or three dimensions (`[H, W]`, `[H, W, C]`), C order. 8 bits have up to four channels; of real values a network takes
/// as many as it has itself, which pre-processing checks.
pub(super) fn read(name: &Path, bytes: &[u8]) -> Result<Image> {
    let fail = |message: String| Error::file(name, message);
    let (header, data) = split(bytes).map_err(|m| fail(format!("damaged NPY: {m}")))?;
    let header = Header::parse(header).map_err(|m| fail(format!("damaged NPY header: {m}")))?;
    if header.fortran_order && header.shape.len() > 1 {
        return Err(fail("expected C order, found Fortran order; save numpy.ascontiguousarray(a)".into()));
    }
    let [h, w, c] = match header.shape[..] {
        [h, w] => [h, w, 1],
        [h, w, c] => [h, w, c],
        _ => {
            let advice = if header.shape.len() > 3 { "; save one image of it, a[0] for example" } else { "" };
            return Err(fail(format!(
                "expected an array [H, W] or [H, W, C], found shape {:?}{advice}",
                header.shape
            )));
        }
    };
    let count = sample_count(name, [h, w, c])?;
    let element = Element::parse(&header.descr).ok_or_else(|| {
        let known = "u1, i1, i2, u2, i4, f4, f8";
        fail(format!("expected elements of type {known}, found `{}`", header.descr))
    })?;
    let expected = count * element.size;
    if data.len() != expected {
        return Err(fail(format!(
            "shape {:?} of `{}` takes {expected} bytes, found {}",
            header.shape,
            header.descr,
            data.len()
        )));
    }
    if element.kind == 'u' && element.size == 1 {
        // RGBA and gray with alpha, as PNG readers of Python make them.
        let keep = match c {
            2 => 1,
            4 => 3,
            1 | 3 => c,
            _ => {
                return Err(fail(format!(
                    "an 8-bit image has 1 or 3 channels, found {}",
                    image::channels([h, w, c])
                )));
            }
        };
        return Image::new(name, [h, w, keep], Samples::U8(super::keep_channels(data.to_vec(), c, keep)));
    }
    let values = data.chunks_exact(element.size).map(|b| element.read(b)).collect();
    Image::new(name, [h, w, c], Samples::Real(values))
}

/// Header text and array bytes.
fn split(bytes: &[u8]) -> Result<(&str, &[u8]), String> {
    let short = || format!("the file ends within its header ({} bytes)", bytes.len());
    let version = *bytes.get(6).ok_or_else(short)?;
    let (length, start) = match version {
        1 => (bytes.get(8..10).map(|b| u16::from_le_bytes([b[0], b[1]]) as usize), 10),
        2 | 3 => (bytes.get(8..12).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize), 12),
        v => return Err(format!("expected version 1, 2 or 3, found {v}")),
    };
    let end = length.ok_or_else(short)?.checked_add(start).ok_or_else(short)?;
    let header = bytes.get(start..end).ok_or_else(short)?;
    let header = std::str::from_utf8(header).map_err(|_| "the header is not text".to_string())?;
    Ok((header, &bytes[end..]))
}

/// `{'descr': '<i2', 'fortran_order': False, 'shape': (512, 512), }`
#[derive(Debug, PartialEq)]
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Header {
    fn parse(text: &str) -> Result<Self, String> {
        let shown = || text.chars().take(80).collect::<String>();
        let value = |key: &str| {
            let quoted = [format!("'{key}':"), format!("\"{key}\":")];
            let rest =
                quoted.iter().find_map(|q| text.split_once(q.as_str())).map(|(_, rest)| rest.trim_start());
            rest.ok_or_else(|| format!("expected the key '{key}', found {}", shown()))
        };
        let descr = value("descr")?;
        let descr = descr.strip_prefix(['\'', '"']).and_then(|d| d.split_once(['\'', '"'])).map(|(d, _)| d);
        let descr = descr.ok_or_else(|| format!("expected one element type, found {}", shown()))?;
        let order = value("fortran_order")?;
        let fortran_order = if order.starts_with("False") {
            false
        } else if order.starts_with("True") {
            true
        } else {
            return Err(format!("expected fortran_order True or False, found {}", shown()));
        };
        let shape = value("shape")?.strip_prefix('(').and_then(|s| s.split_once(')')).map(|(s, _)| s);
        let shape = shape.ok_or_else(|| format!("expected a tuple as shape, found {}", shown()))?;
        let shape: Option<Vec<usize>> =
            shape.split(',').map(str::trim).filter(|s| !s.is_empty()).map(|s| s.parse().ok()).collect();
        let shape = shape.ok_or_else(|| format!("expected whole numbers as shape, found {}", shown()))?;
        Ok(Self { descr: descr.to_string(), fortran_order, shape })
    }
}

/// An element type: `<i2` is little-endian, signed, two bytes.
struct Element {
    big_endian: bool,
    kind: char,
    size: usize,
}

impl Element {
    fn parse(descr: &str) -> Option<Self> {
        let mut chars = descr.chars();
        let order = chars.next()?;
        let kind = chars.next()?;
        let size = chars.as_str().parse().ok()?;
        let known = matches!((kind, size), ('u', 1 | 2) | ('i', 1 | 2 | 4) | ('f', 4 | 8));
        let ordered = matches!(order, '<' | '>' | '=') || (order == '|' && size == 1);
        (known && ordered).then_some(Self { big_endian: order == '>', kind, size })
    }

    /// One element of `self.size` bytes.
    fn read(&self, bytes: &[u8]) -> f32 {
        let mut le = [0u8; 8];
        le[..self.size].copy_from_slice(bytes);
        if self.big_endian {
            le[..self.size].reverse();
        }
        let word = u64::from_le_bytes(le);
        match (self.kind, self.size) {
            ('u', 2) => f32::from(word as u16),
            ('i', 1) => f32::from(word as u8 as i8),
            ('i', 2) => f32::from(word as u16 as i16),
            ('i', 4) => word as u32 as i32 as f32,
            ('f', 4) => f32::from_bits(word as u32),
            _ => f64::from_bits(word) as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Header;

    #[test]
    fn numpy_headers_are_read() {
        let header =
            Header::parse("{'descr': '<i2', 'fortran_order': False, 'shape': (512, 3), }   \n").unwrap();
        assert_eq!(header, Header { descr: "<i2".into(), fortran_order: false, shape: vec![512, 3] });
    }

    #[test]
    fn other_headers_say_what_is_wrong() {
        for (text, word) in [
            ("", "'descr'"),
            ("{'descr': [('a', '<i2')], 'fortran_order': False, 'shape': (1,)}", "one element type"),
            ("{'descr': '<i2', 'fortran_order': 1, 'shape': (1,)}", "fortran_order"),
            ("{'descr': '<i2', 'fortran_order': True, 'shape': 1}", "tuple"),
            ("{'descr': '<i2', 'fortran_order': True, 'shape': (-1,)}", "whole numbers"),
        ] {
            let error = Header::parse(text).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
