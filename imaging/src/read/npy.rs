//! NPY, the format of `numpy.save` (NEP 1): magic, version, a Python dictionary, then the array.
//!
//! Read here rather than by a crate: the header is one line of a fixed form, and the two crates for it bring a
//! grammar compiler and big integers into every build script.

use crate::{
    Error, Image, Result, Samples,
    image::{self, sample_count},
};
use std::{fs, path::Path};

/// Two or three dimensions (`[H, W]`, `[H, W, C]`), C order. 8 bits have up to four channels; of real values a network takes
/// as many as it has itself, which pre-processing checks.
pub(super) fn read(name: &Path, bytes: &[u8]) -> Result<Image> {
    let fail = |message: String| Error::file(name, message);
    let (header, data) = parts(name, bytes)?;
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
    let element = header.element(name, data, Some(count), &["u1", "i1", "i2", "u2", "i4", "f4", "f8"])?;
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

/// An array of an NPY file, of any shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its elements in C order; integers that `f32` cannot hold are rounded.
    pub data: Vec<f32>,
}

impl Array {
    /// Reads an NPY file of numbers or booleans.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, is in Fortran order, or holds anything else.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(Error::io("cannot read", path))?;
        if !bytes.starts_with(b"\x93NUMPY") {
            return Err(Error::file(path, "expected an NPY file, found something else"));
        }
        let (header, data) = parts(path, &bytes)?;
        let count = header.shape.iter().try_fold(1usize, |n, side| n.checked_mul(*side));
        let known = ["b1", "u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"];
        let element = header.element(path, data, count, &known)?;
        let data = data.chunks_exact(element.size).map(|b| element.read(b)).collect();
        Ok(Self { shape: header.shape, data })
    }
}

/// The header, of an array in C order, and the array's bytes.
fn parts<'b>(name: &Path, bytes: &'b [u8]) -> Result<(Header, &'b [u8])> {
    let fail = |message: String| Error::file(name, message);
    let (header, data) = split(bytes).map_err(|m| fail(format!("damaged NPY: {m}")))?;
    let header = Header::parse(header).map_err(|m| fail(format!("damaged NPY header: {m}")))?;
    if header.fortran_order && header.shape.len() > 1 {
        return Err(fail("expected C order, found Fortran order; save numpy.ascontiguousarray(a)".into()));
    }
    Ok((header, data))
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

    /// The type of the elements, one of the known, if the data has `count` of them.
    fn element(&self, name: &Path, data: &[u8], count: Option<usize>, known: &[&str]) -> Result<Element> {
        let element = Element::parse(&self.descr, known).ok_or_else(|| {
            let known = known.join(", ");
            Error::file(name, format!("expected elements of type {known}, found `{}`", self.descr))
        })?;
        let expected = count.and_then(|count| count.checked_mul(element.size));
        if Some(data.len()) != expected {
            let takes = expected.map_or("too many".into(), |n| n.to_string());
            return Err(Error::file(
                name,
                format!(
                    "shape {:?} of `{}` takes {takes} bytes, found {}",
                    self.shape,
                    self.descr,
                    data.len()
                ),
            ));
        }
        Ok(element)
    }
}

/// An element type: `<i2` is little-endian, signed, two bytes.
struct Element {
    big_endian: bool,
    kind: char,
    size: usize,
}

impl Element {
    fn parse(descr: &str, known: &[&str]) -> Option<Self> {
        let mut chars = descr.chars();
        let order = chars.next()?;
        let known = known.contains(&chars.as_str());
        let kind = chars.next()?;
        let size = chars.as_str().parse().ok()?;
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
            ('u' | 'b', _) => word as f32,
            ('i', 1) => f32::from(word as u8 as i8),
            ('i', 2) => f32::from(word as u16 as i16),
            ('i', 4) => word as u32 as i32 as f32,
            ('i', _) => word as i64 as f32,
            ('f', 4) => f32::from_bits(word as u32),
            _ => f64::from_bits(word) as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Array, Header};
    use std::fs;

    #[test]
    fn arrays_of_any_shape_and_type() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let load = |descr: &str, shape: &str, data: &[u8]| {
            let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
            let start = [b"\x93NUMPY\x01\0".as_slice(), &(header.len() as u16).to_le_bytes()].concat();
            fs::write(&path, [&start, header.as_bytes(), data].concat()).unwrap();
            Array::load(&path).map_err(|e| e.to_string())
        };
        let long = [(-3i64).to_le_bytes(), 70_000i64.to_le_bytes()].concat();
        assert_eq!(
            load("<i8", "(2, 1)", &long).unwrap(),
            Array { shape: vec![2, 1], data: vec![-3.0, 70_000.0] }
        );
        assert_eq!(load("|b1", "(3,)", &[0, 1, 1]).unwrap().data, [0.0, 1.0, 1.0]);
        assert_eq!(load(">u4", "()", &[0, 0, 1, 2]).unwrap(), Array { shape: vec![], data: vec![258.0] });
        assert!(load("|u1", "(1, 2, 2, 2)", &[7; 8]).is_ok());
        assert!(load("<f8", "(2,)", &[0; 8]).unwrap_err().contains("takes 16 bytes, found 8"));
        assert!(load("<c8", "(1,)", &[0; 8]).unwrap_err().contains("found `<c8`"));
        assert!(load("<i8", "(9223372036854775807, 9)", &[]).unwrap_err().contains("takes too many bytes"));
        fs::write(&path, "text").unwrap();
        assert!(Array::load(&path).unwrap_err().to_string().contains("expected an NPY file"));
    }

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
