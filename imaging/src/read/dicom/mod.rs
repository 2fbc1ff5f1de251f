//! DICOM slices: uncompressed, little endian, explicit or implicit.

mod elements;

use crate::{Error, Picture, Result, Samples, picture::sample_count};
use elements::{Elements, PIXEL_DATA, Tag, show};
use std::{collections::BTreeMap, path::Path};

const MODALITY: Tag = (0x0008, 0x0060);
const TRANSFER_SYNTAX: Tag = (0x0002, 0x0010);
const SAMPLES_PER_PIXEL: Tag = (0x0028, 0x0002);
const PHOTOMETRIC: Tag = (0x0028, 0x0004);
const PLANAR: Tag = (0x0028, 0x0006);
const FRAMES: Tag = (0x0028, 0x0008);
const ROWS: Tag = (0x0028, 0x0010);
const COLUMNS: Tag = (0x0028, 0x0011);
const BITS_ALLOCATED: Tag = (0x0028, 0x0100);
const BITS_STORED: Tag = (0x0028, 0x0101);
const HIGH_BIT: Tag = (0x0028, 0x0102);
const PIXEL_REPRESENTATION: Tag = (0x0028, 0x0103);
const INTERCEPT: Tag = (0x0028, 0x1052);
const SLOPE: Tag = (0x0028, 0x1053);
const SHARED_GROUPS: Tag = (0x5200, 0x9229);

/// One frame, as `stored * slope + intercept`.
pub(super) fn read(name: &Path, bytes: &[u8]) -> Result<Picture> {
    DataSet::read(bytes).and_then(|set| set.picture(name)).map_err(|message| match message {
        Problem::Text(message) => Error::file(name, format!("DICOM: {message}")),
        Problem::Error(error) => error,
    })
}

enum Problem {
    Text(String),
    Error(Error),
}

impl From<String> for Problem {
    fn from(message: String) -> Self {
        Problem::Text(message)
    }
}

/// The elements of the top level up to the pixel data.
struct DataSet<'a> {
    elements: BTreeMap<Tag, &'a [u8]>,
}

impl<'a> DataSet<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Problem> {
        // The file meta group is explicit, whatever follows it.
        let mut reader = Elements::new(bytes, 132, true);
        let mut elements = BTreeMap::new();
        while reader.next_group() == Some(2) {
            if let Some(element) = reader.next()? {
                elements.insert(element.tag, element.value.unwrap_or_default());
            }
        }
        let mut set = Self { elements };
        reader.explicit = match set.text(TRANSFER_SYNTAX).as_deref() {
            Some("1.2.840.10008.1.2") => false,
            Some("1.2.840.10008.1.2.1") => true,
            Some(uid) => {
                return Err(format!(
                    "expected uncompressed little-endian pixel data, found transfer syntax {uid}{}; convert it, with \
                     `gdcmconv --raw` or `dcmconv`/`dcmdjpeg +te` for example",
                    syntax_name(uid)
                )
                .into());
            }
            None => return Err("the file does not name its transfer syntax (0002,0010)".to_string().into()),
        };
        while let Some(element) = reader.next()? {
            if element.tag == PIXEL_DATA && element.value.is_none() {
                return Err("pixel data is encapsulated although its transfer syntax is uncompressed"
                    .to_string()
                    .into());
            }
            set.elements.insert(element.tag, element.value.unwrap_or_default());
            if element.tag == PIXEL_DATA {
                break;
            }
        }
        Ok(set)
    }

    fn picture(&self, name: &Path) -> Result<Picture, Problem> {
        if let Some(frames) = self.text(FRAMES).filter(|f| f != "1" && !f.is_empty()) {
            return Err(format!("expected one slice, found {frames} frames").into());
        }
        let [h, w] = [self.required(ROWS, "Rows")?, self.required(COLUMNS, "Columns")?].map(usize::from);
        let photometric = self.text(PHOTOMETRIC).unwrap_or_default();
        let c = usize::from(self.number(SAMPLES_PER_PIXEL)?.unwrap_or(1));
        let count = sample_count(name, [h, w, c]).map_err(Problem::Error)?;
        let format = Format::of(self)?;
        let data = self.elements.get(&PIXEL_DATA).ok_or("no pixel data (7fe0,0010)".to_string())?;
        let expected = count * format.bytes;
        let data = data.get(..expected).ok_or_else(|| {
            format!(
                "{h}x{w}x{c} samples of {} bits take {expected} bytes, found {}",
                format.bytes * 8,
                data.len()
            )
        })?;
        let samples = match (photometric.as_str(), c, format.bytes) {
            ("MONOCHROME1" | "MONOCHROME2", 1, _) => {
                self.monochrome(&format, data, photometric == "MONOCHROME1")?
            }
            ("RGB", 3, 1) => Samples::U8(match self.number(PLANAR)? {
                Some(1) => (0..count).map(|i| data[i % 3 * (h * w) + i / 3]).collect(),
                _ => data.to_vec(),
            }),
            _ => {
                return Err(format!(
                    "expected MONOCHROME1, MONOCHROME2 or 8-bit RGB pixels, found `{photometric}` with {c} samples of \
                     {} bits",
                    format.bytes * 8
                )
                .into());
            }
        };
        Picture::new(name, [h, w, c], samples).map_err(Problem::Error)
    }

    /// Rescaled values. `MONOCHROME1` (low is white) is turned around within the stored range, except for CT, whose
    /// values are Hounsfield units however they are shown.
    fn monochrome(&self, format: &Format, data: &[u8], low_is_white: bool) -> Result<Samples, Problem> {
        if self.elements.contains_key(&SHARED_GROUPS) && !self.elements.contains_key(&SLOPE) {
            return Err("the rescale slope lies in a functional group (enhanced DICOM), which is not read"
                .to_string()
                .into());
        }
        let slope = self.decimal(SLOPE, "rescale slope")?.unwrap_or(1.0);
        let intercept = self.decimal(INTERCEPT, "rescale intercept")?.unwrap_or(0.0);
        if slope == 0.0 {
            return Err("the rescale slope is 0".to_string().into());
        }
        let ct = self.text(MODALITY).as_deref() == Some("CT");
        let (low, high) = format.range();
        let stored = data.chunks_exact(format.bytes).map(|b| format.stored(b));
        let stored = stored.map(|v| if low_is_white && !ct { low + high - v } else { v });
        if !ct && slope == 1.0 && intercept == 0.0 && (low, high) == (0, 255) {
            return Ok(Samples::U8(stored.map(|v| v as u8).collect()));
        }
        Ok(Samples::Real(stored.map(|v| (f64::from(v) * slope + intercept) as f32).collect()))
    }

    fn text(&self, tag: Tag) -> Option<String> {
        let value = self.elements.get(&tag)?;
        Some(String::from_utf8_lossy(value).trim_matches([' ', '\0']).to_string())
    }

    fn number(&self, tag: Tag) -> Result<Option<u16>, String> {
        match self.elements.get(&tag) {
            None => Ok(None),
            Some([low, high, ..]) => Ok(Some(u16::from_le_bytes([*low, *high]))),
            Some(v) => Err(format!("element {} has {} bytes, expected 2", show(tag), v.len())),
        }
    }

    fn required(&self, tag: Tag, what: &str) -> Result<u16, String> {
        self.number(tag)?.ok_or_else(|| format!("no {what} {}", show(tag)))
    }

    fn decimal(&self, tag: Tag, what: &str) -> Result<Option<f64>, String> {
        let Some(text) = self.text(tag).filter(|t| !t.is_empty()) else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(v) if v.is_finite() => Ok(Some(v)),
            _ => Err(format!("the {what} {} is `{text}`, expected a number", show(tag))),
        }
    }
}

/// How a sample lies in its word (PS3.5, section 8.1.1).
struct Format {
    /// 1 or 2.
    bytes: usize,
    bits: u32,
    shift: u32,
    signed: bool,
}

impl Format {
    fn of(set: &DataSet<'_>) -> Result<Self, String> {
        let allocated = set.required(BITS_ALLOCATED, "Bits Allocated")?;
        let stored = set.number(BITS_STORED)?.unwrap_or(allocated);
        let high = set.number(HIGH_BIT)?.unwrap_or(stored.saturating_sub(1));
        let signed = set.number(PIXEL_REPRESENTATION)? == Some(1);
        if !matches!(allocated, 8 | 16) || stored == 0 || high >= allocated || high + 1 < stored {
            return Err(format!(
                "expected 8 or 16 bits a sample, found {allocated} allocated, {stored} stored, high bit {high}"
            ));
        }
        let shift = u32::from(high + 1 - stored);
        Ok(Self { bytes: usize::from(allocated / 8), bits: u32::from(stored), shift, signed })
    }

    /// The stored value in `self.bytes` bytes.
    fn stored(&self, bytes: &[u8]) -> i32 {
        let word = bytes.iter().rev().fold(0u32, |word, b| word << 8 | u32::from(*b));
        let unused = 32 - self.bits;
        let top = (word >> self.shift) << unused;
        if self.signed { top as i32 >> unused } else { (top >> unused) as i32 }
    }

    /// The smallest and largest value that can be stored.
    fn range(&self) -> (i32, i32) {
        let values = 1 << self.bits;
        if self.signed { (-values / 2, values / 2 - 1) } else { (0, values - 1) }
    }
}

/// The name of a transfer syntax that is not read (PS3.6, annex A), in brackets.
fn syntax_name(uid: &str) -> &'static str {
    match uid {
        "1.2.840.10008.1.2.1.99" => " (deflated)",
        "1.2.840.10008.1.2.2" => " (explicit VR big endian)",
        "1.2.840.10008.1.2.4.50" => " (JPEG baseline)",
        "1.2.840.10008.1.2.4.51" => " (JPEG extended)",
        "1.2.840.10008.1.2.4.57" | "1.2.840.10008.1.2.4.70" => " (JPEG lossless)",
        "1.2.840.10008.1.2.4.80" | "1.2.840.10008.1.2.4.81" => " (JPEG-LS)",
        "1.2.840.10008.1.2.4.90" | "1.2.840.10008.1.2.4.91" => " (JPEG 2000)",
        "1.2.840.10008.1.2.5" => " (RLE lossless)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn stored_bits_are_taken_from_their_place() {
        let twelve = |signed, shift| Format { bytes: 2, bits: 12, shift, signed };
        assert_eq!(twelve(false, 0).stored(&[0xff, 0xff]), 4095);
        assert_eq!(twelve(true, 0).stored(&[0xff, 0x0f]), -1);
        assert_eq!(twelve(true, 0).stored(&[0x00, 0xf8]), -2048);
        assert_eq!(twelve(false, 4).stored(&[0x0f, 0x80]), 0x800);
        assert_eq!(Format { bytes: 1, bits: 8, shift: 0, signed: true }.stored(&[0x80]), -128);
        assert_eq!(Format { bytes: 2, bits: 16, shift: 0, signed: true }.stored(&[0x18, 0xfc]), -1000);
        assert_eq!(twelve(true, 0).range(), (-2048, 2047));
    }
}
