//! DICOM slices: uncompressed, little endian, explicit or implicit. Values are those behind the modality transformation (PS3.3, C.11.1):
//! a table, or a slope and an intercept, also those of enhanced files. Windows and tables for display (VOI, presentation) are not applied.

mod elements;

use crate::{Error, Image, Result, Samples, image::sample_count};
use elements::{Element, Elements, PIXEL_DATA, Tag, show};
use std::{collections::BTreeMap, path::Path};

const SOP_CLASS: Tag = (0x0002, 0x0002);
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
const MODALITY_LUT: Tag = (0x0028, 0x3000);
const LUT_DESCRIPTOR: Tag = (0x0028, 0x3002);
const LUT_DATA: Tag = (0x0028, 0x3006);
const VALUE_TRANSFORMATION: Tag = (0x0028, 0x9145);
const SHARED_GROUPS: Tag = (0x5200, 0x9229);
const FRAME_GROUPS: Tag = (0x5200, 0x9230);

/// One frame, as its modality transformation makes it.
pub(super) fn read(name: &Path, bytes: &[u8]) -> Result<Image> {
    DataSet::read(bytes).and_then(|set| set.image(name)).map_err(|message| match message {
        Problem::Text(message) => Error::file(name, format!("DICOM: {message}")),
        Problem::Error(error) => error,
    })
}

/// A description of a DICOM file without an image, from its first bytes; `whole` if they are all. `None` if it may hold one.
pub(crate) fn without_image(start: &[u8], whole: bool) -> Option<&'static str> {
    let mut reader = Elements::new(start, 132, true);
    let mut class = String::new();
    while reader.next_group() == Some(2) {
        let element = reader.next().ok()??;
        if element.tag == SOP_CLASS {
            class = text(element.value.unwrap_or_default());
        }
    }
    if let Some(kind) = imageless(&class) {
        return Some(kind);
    }
    reader.explicit = reader.looks_explicit();
    let mut empty = true;
    loop {
        match reader.next() {
            Ok(Some(element)) if element.tag != ROWS && element.tag != PIXEL_DATA => empty = false,
            Ok(None) if whole && !empty => return Some("a DICOM file without an image"),
            _ => return None,
        }
    }
}

/// Storage classes of files without images (PS3.4, B.5; PS3.10, 8.6).
fn imageless(class: &str) -> Option<&'static str> {
    let stored = class.strip_prefix("1.2.840.10008.5.1.4.1.1.");
    match (class, stored) {
        ("1.2.840.10008.1.3.10", _) => Some("a DICOMDIR, the directory of a medium"),
        (_, Some(kind)) if kind.starts_with("88.") => Some("a DICOM structured report"),
        (_, Some(kind)) if kind.starts_with("11.") => Some("a DICOM presentation state"),
        (_, Some("481.3" | "481.5" | "481.8" | "481.4")) => Some("a DICOM file of a radiotherapy plan"),
        (_, Some(kind)) if kind.starts_with("104.") => Some("a document in DICOM"),
        _ => None,
    }
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

/// The elements of the top level up to the pixel data, or of an item.
struct DataSet<'a> {
    elements: BTreeMap<Tag, Element<'a>>,
}

impl<'a> DataSet<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Problem> {
        // The file meta group is always explicit.
        let mut reader = Elements::new(bytes, 132, true);
        let mut set = Self { elements: BTreeMap::new() };
        while reader.next_group() == Some(2) {
            set.elements.extend(reader.next()?.map(|element| (element.tag, element)));
        }
        if let Some(kind) = set.text(SOP_CLASS).as_deref().and_then(imageless) {
            return Err(format!("this is {kind}: it holds no image").into());
        }
        match set.text(TRANSFER_SYNTAX).as_deref() {
            Some("1.2.840.10008.1.2" | "1.2.840.10008.1.2.1") => {}
            Some(uid) => {
                return Err(format!(
                    "expected uncompressed little-endian pixel data, found transfer syntax {uid}{}; convert it, with \
                     `gdcmconv --raw` or `dcmconv`/`dcmdjpeg +te` for example",
                    syntax_name(uid)
                )
                .into());
            }
            None => return Err("the file does not name its transfer syntax (0002,0010)".to_string().into()),
        }
        // Some writers name the other one: the elements decide, as for pydicom.
        reader.explicit = reader.looks_explicit();
        if let Some(group) = reader.next_group().filter(|group| group & 0xff == 0 && *group > 0) {
            return Err(format!(
                "the first element has the group {group:04x}: this looks like big endian, which is not read, although the \
                 file says little endian"
            )
            .into());
        }
        while let Some(element) = reader.next()? {
            if element.tag == PIXEL_DATA && element.value.is_none() {
                return Err("pixel data is encapsulated although its transfer syntax is uncompressed"
                    .to_string()
                    .into());
            }
            if set.elements.insert(element.tag, element).is_some() {
                return Err(format!("the element {} comes twice", show(element.tag)).into());
            }
            if element.tag == PIXEL_DATA {
                break;
            }
        }
        Ok(set)
    }

    /// The first item of a sequence.
    fn item(&self, tag: Tag) -> Result<Option<DataSet<'a>>, String> {
        let item = self.elements.get(&tag).map(Element::first_item).transpose()?.flatten();
        Ok(item.map(|item| DataSet { elements: item.into_iter().map(|e| (e.tag, e)).collect() }))
    }

    fn value(&self, tag: Tag) -> Option<&'a [u8]> {
        self.elements.get(&tag).map(|element| element.value.unwrap_or_default())
    }

    fn image(&self, name: &Path) -> Result<Image, Problem> {
        if let Some(frames) = self.text(FRAMES).filter(|f| !f.is_empty() && f.parse() != Ok(1)) {
            return Err(format!("expected one slice, found {frames} frames").into());
        }
        let [h, w] = [self.required(ROWS, "Rows")?, self.required(COLUMNS, "Columns")?].map(usize::from);
        let photometric = self.text(PHOTOMETRIC).unwrap_or_default();
        let c = usize::from(self.number(SAMPLES_PER_PIXEL)?.unwrap_or(1));
        let count = sample_count(name, [h, w, c]).map_err(Problem::Error)?;
        let format = Format::of(self)?;
        let colour = match (photometric.as_str(), c, format.bytes) {
            ("MONOCHROME1" | "MONOCHROME2", 1, _) => false,
            ("RGB", 3, 1) if (format.bits, format.signed) == (8, false) => true,
            _ => {
                return Err(format!(
                    "expected MONOCHROME1, MONOCHROME2 or 8-bit RGB pixels, found `{photometric}` with {c} samples of \
                     {}{} bits",
                    if format.signed { "signed " } else { "" },
                    format.bits
                )
                .into());
            }
        };
        let data = self.value(PIXEL_DATA).ok_or("no pixel data (7fe0,0010)".to_string())?;
        let (expected, length) = (count * format.bytes, data.len());
        // Padding behind it is harmless, but not another image of that size: then the header is wrong.
        let data = data.get(..expected).filter(|_| length < (2 * expected).max(3)).ok_or_else(|| {
            let bits = format.bytes * 8;
            format!("{h}x{w}x{c} samples of {bits} bits take {expected} bytes, found {length}")
        })?;
        let samples = match self.number(PLANAR)? {
            _ if !colour => self.monochrome(&format, data, photometric == "MONOCHROME1")?,
            None | Some(0) => Samples::U8(data.to_vec()),
            Some(1) => Samples::U8((0..count).map(|i| data[i % 3 * (h * w) + i / 3]).collect()),
            Some(other) => return Err(format!("the planar configuration is {other}, expected 0 or 1").into()),
        };
        Image::new(name, [h, w, c], samples).map_err(Problem::Error)
    }

    /// Transformed values. `MONOCHROME1` (low is white) is inverted within the range of the stored values,
    /// or of a table's outputs, except for CT, whose values are Hounsfield units however they are shown.
    fn monochrome(&self, format: &Format, data: &[u8], low_is_white: bool) -> Result<Samples, Problem> {
        let ct = self.text(MODALITY).as_deref() == Some("CT");
        let turned = low_is_white && !ct;
        let stored = data.chunks_exact(format.bytes).map(|b| format.stored(b));
        if let Some(table) = self.item(MODALITY_LUT)? {
            let table = Table::of(&table, format)?;
            let white = ((1u32 << table.bits) - 1) as f32;
            let values = stored.map(|v| table.value(v)).map(|v| if turned { white - v } else { v });
            return Ok(Samples::Real(values.collect()));
        }
        let (slope, intercept) = self.rescale()?;
        if slope == 0.0 {
            return Err("the rescale slope is 0".to_string().into());
        }
        let (low, high) = format.range();
        let stored = stored.map(|v| if turned { low + high - v } else { v });
        if !ct && slope == 1.0 && intercept == 0.0 && (low, high) == (0, 255) {
            return Ok(Samples::U8(stored.map(|v| v as u8).collect()));
        }
        Ok(Samples::Real(stored.map(|v| (f64::from(v) * slope + intercept) as f32).collect()))
    }

    /// Slope and intercept: of the frame, of all frames (enhanced files), or of the file.
    fn rescale(&self) -> Result<(f64, f64), String> {
        for groups in [FRAME_GROUPS, SHARED_GROUPS] {
            if let Some(groups) = self.item(groups)?
                && let Some(transformation) = groups.item(VALUE_TRANSFORMATION)?
            {
                return transformation.own_rescale();
            }
        }
        self.own_rescale()
    }

    fn own_rescale(&self) -> Result<(f64, f64), String> {
        let slope = self.decimal(SLOPE, "rescale slope")?.unwrap_or(1.0);
        Ok((slope, self.decimal(INTERCEPT, "rescale intercept")?.unwrap_or(0.0)))
    }

    fn text(&self, tag: Tag) -> Option<String> {
        self.value(tag).map(text)
    }

    fn number(&self, tag: Tag) -> Result<Option<u16>, String> {
        match self.value(tag) {
            None => Ok(None),
            Some([low, high, ..]) => Ok(Some(u16::from_le_bytes([*low, *high]))),
            Some(v) => Err(format!("element {} has {} bytes, expected 2", show(tag), v.len())),
        }
    }

    fn required(&self, tag: Tag, what: &str) -> Result<u16, String> {
        self.number(tag)?
            .ok_or_else(|| format!("no {what} {}: it holds no image that could be read", show(tag)))
    }

    fn decimal(&self, tag: Tag, what: &str) -> Result<Option<f64>, String> {
        let Some(text) = self.text(tag).filter(|t| !t.is_empty()) else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(v) if v.is_finite() => Ok(Some(v)),
            _ => Err(format!("the {what} {} is `{text}`, expected a number", show(tag))),
        }
    }
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).trim_matches([' ', '\0']).to_string()
}

/// A modality table (PS3.3, C.11.1.1).
struct Table {
    /// The stored value of the first entry.
    first: i32,
    /// Bits of an entry.
    bits: u32,
    entries: Vec<u16>,
}

impl Table {
    fn of(item: &DataSet<'_>, format: &Format) -> Result<Self, String> {
        let wrong = |message: String| format!("the modality table (0028,3000) {message}");
        let words =
            |v: &[u8]| -> Vec<u16> { v.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b)).collect() };
        let descriptor = item.value(LUT_DESCRIPTOR).map(words).unwrap_or_default();
        let &[count, first, bits] = descriptor.as_slice() else {
            return Err(wrong("has no descriptor of three numbers".into()));
        };
        let count = if count == 0 { 1 << 16 } else { usize::from(count) };
        let data = item.value(LUT_DATA).unwrap_or_default();
        // Entries of 8 bits may lie two in a word.
        let entries = match (data.get(..2 * count), data.get(..count)) {
            _ if !(8..=16).contains(&bits) => {
                return Err(wrong(format!("has entries of {bits} bits, expected 8 to 16")));
            }
            (Some(data), _) => words(data),
            (None, Some(data)) if bits == 8 => data.iter().map(|v| u16::from(*v)).collect(),
            _ => return Err(wrong(format!("has {} bytes for {count} entries", data.len()))),
        };
        let first = if format.signed { i32::from(first as i16) } else { i32::from(first) };
        Ok(Self { first, bits: bits.into(), entries })
    }

    /// The output for a stored value; values beyond the table are clamped to its ends.
    fn value(&self, stored: i32) -> f32 {
        f32::from(self.entries[(stored - self.first).clamp(0, self.entries.len() as i32 - 1) as usize])
    }
}

/// The position of a sample in its word (PS3.5, section 8.1.1).
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
        let signed = match set.number(PIXEL_REPRESENTATION)? {
            None | Some(0) => false,
            Some(1) => true,
            Some(other) => {
                return Err(format!("the pixel representation (0028,0103) is {other}, expected 0 or 1"));
            }
        };
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
