//! From stored samples to values: modality tables, slopes, palettes and colours (PS3.3, C.7.6.3 and C.11.1).

use super::{
    Dicom,
    data_set::DataSet,
    elements::Tag,
    format::Format,
    pixels::Frame,
    tags::{self, LUT_DATA, LUT_DESCRIPTOR, MODALITY, MODALITY_LUT},
};
use crate::Samples;

impl Dicom<'_> {
    /// The values of a frame. What is displayed is not among them: windows and tables for display are not applied.
    pub(super) fn values(&self, index: usize, frame: &Frame<'_>) -> Result<Samples, String> {
        let pixels = &self.pixels;
        let format = &pixels.format;
        let photometric = pixels.photometric.as_str();
        let colours = !format.signed && (8..=16).contains(&format.bits);
        match (photometric, pixels.c) {
            ("MONOCHROME1" | "MONOCHROME2", 1) => {
                self.monochrome(index, &frame.data, photometric == "MONOCHROME1")
            }
            ("PALETTE COLOR", 1) if !format.float => self.palette(&frame.data),
            ("RGB" | "YBR_FULL" | "YBR_FULL_422" | "YBR_RCT" | "YBR_ICT", 3) if colours => {
                let most = (1u64 << format.bits) - 1;
                let scaled = |v: i64| ((v as u64 * 510 + most) / (2 * most)) as u8;
                let data = frame.data.chunks_exact(format.bytes).map(|b| scaled(format.stored(b)));
                let data: Vec<u8> = data.collect();
                let converted = frame.rgb.map_or(photometric.starts_with("YBR_FULL"), |rgb| !rgb);
                Ok(Samples::U8(if converted { rgb(&data) } else { data }))
            }
            _ => Err(format!(
                "expected MONOCHROME1, MONOCHROME2, PALETTE COLOR, RGB or YBR_FULL pixels of 8 to 16 bits, found \
                 `{photometric}` with {} samples of {}{} bits",
                pixels.c,
                if format.signed { "signed " } else { "" },
                format.bits
            )),
        }
    }

    /// Transformed values. `MONOCHROME1` (low is white) is inverted within the range of the stored values,
    /// or of a table's outputs, except for CT, whose values are Hounsfield units however they are shown.
    fn monochrome(&self, index: usize, data: &[u8], low_is_white: bool) -> Result<Samples, String> {
        let format = &self.pixels.format;
        let ct = self.set.text(MODALITY).as_deref() == Some("CT");
        let turned = low_is_white && !ct;
        let words = || data.chunks_exact(format.bytes);
        if let Some(table) = self.set.item(MODALITY_LUT)? {
            let table = Table::of(&table, "modality table (0028,3000)", [LUT_DESCRIPTOR, LUT_DATA], format)?;
            let white = ((1u32 << table.bits) - 1) as f32;
            let values = words().map(|b| f32::from(table.value(format.stored(b))));
            return Ok(Samples::Real(values.map(|v| if turned { white - v } else { v }).collect()));
        }
        let (slope, intercept) = self.rescale(index)?;
        if slope == 0.0 {
            return Err("the rescale slope is 0".to_string());
        }
        if format.float {
            if turned {
                return Err("floating-point values as MONOCHROME1 have no range to invert".into());
            }
            return Ok(Samples::Real(words().map(|b| (format.real(b) * slope + intercept) as f32).collect()));
        }
        let (low, high) = format.range();
        let stored = words().map(|b| format.stored(b)).map(|v| if turned { low + high - v } else { v });
        if !ct && slope == 1.0 && intercept == 0.0 && (low, high) == (0, 255) {
            return Ok(Samples::U8(stored.map(|v| v as u8).collect()));
        }
        Ok(Samples::Real(stored.map(|v| (v as f64 * slope + intercept) as f32).collect()))
    }

    /// Slope and intercept: of the frame, of all frames (enhanced files), or of the file.
    fn rescale(&self, index: usize) -> Result<(f64, f64), String> {
        for groups in [self.frame_groups.get(index), self.shared_groups.as_ref()].into_iter().flatten() {
            if let Some(transformation) = groups.item(tags::VALUE_TRANSFORMATION)? {
                return rescale(&transformation);
            }
        }
        rescale(&self.set)
    }

    fn palette(&self, data: &[u8]) -> Result<Samples, String> {
        if self.set.value(tags::SEGMENTED_PALETTE).is_some() {
            return Err("a segmented palette (0028,1221), which is not read".into());
        }
        let format = &self.pixels.format;
        let table = |tags| Table::of(&self.set, "palette (0028,1101)", tags, format);
        let [red, green, blue] = tags::PALETTE.map(table);
        let tables = [red?, green?, blue?];
        let colour = |b: &[u8]| {
            let stored = format.stored(b);
            tables.each_ref().map(|table| (table.value(stored) >> (table.bits - 8)) as u8)
        };
        Ok(Samples::U8(data.chunks_exact(format.bytes).flat_map(colour).collect()))
    }
}

fn rescale(set: &DataSet<'_>) -> Result<(f64, f64), String> {
    let slope = set.decimal(tags::SLOPE, "rescale slope")?.unwrap_or(1.0);
    Ok((slope, set.decimal(tags::INTERCEPT, "rescale intercept")?.unwrap_or(0.0)))
}

/// Luma and chroma to red, green and blue, as pydicom does it.
fn rgb(ybr: &[u8]) -> Vec<u8> {
    let convert = |p: &[u8; 3]| {
        let [y, cb, cr] = [f32::from(p[0]), f32::from(p[1]) - 128.0, f32::from(p[2]) - 128.0];
        let green = [-0.114 * 1.772 / 0.587, -0.299 * 1.402 / 0.587].map(|v: f64| v as f32);
        [y + 1.402 * cr, y + green[0] * cb + green[1] * cr, y + 1.772 * cb]
            .map(|v| (v + 0.5).floor().clamp(0.0, 255.0) as u8)
    };
    ybr.as_chunks().0.iter().flat_map(convert).collect()
}

/// A table of outputs (PS3.3, C.11.1.1 and C.7.6.3.1.5).
struct Table {
    /// The stored value of the first entry.
    first: i64,
    /// Bits of an entry, 8 to 16.
    bits: u32,
    entries: Vec<u16>,
}

impl Table {
    fn of(
        item: &DataSet<'_>,
        what: &str,
        [descriptor, data]: [Tag; 2],
        format: &Format,
    ) -> Result<Self, String> {
        let wrong = |message: String| format!("the {what} {message}");
        let descriptor = item.element(descriptor).map(|element| element.numbers()).unwrap_or_default();
        let &[count, first, bits] = descriptor.as_slice() else {
            return Err(wrong("has no descriptor of three numbers".into()));
        };
        let count = if count == 0 { 1 << 16 } else { usize::from(count) };
        let bytes = item.value(data).unwrap_or_default();
        // Entries of 8 bits may lie two in a word.
        let entries = match (item.element(data), bytes.get(..count)) {
            _ if !(8..=16).contains(&bits) => {
                return Err(wrong(format!("has entries of {bits} bits, expected 8 to 16")));
            }
            (Some(element), _) if bytes.len() >= 2 * count => element.numbers()[..count].to_vec(),
            (Some(element), Some(bytes)) if bits == 8 && !element.is_big_endian() => {
                bytes.iter().map(|v| u16::from(*v)).collect()
            }
            _ => return Err(wrong(format!("has {} bytes for {count} entries", bytes.len()))),
        };
        let first = if format.signed { i64::from(first as i16) } else { i64::from(first) };
        Ok(Self { first, bits: bits.into(), entries })
    }

    /// The output for a stored value; values beyond the table are clamped to its ends.
    fn value(&self, stored: i64) -> u16 {
        self.entries[(stored - self.first).clamp(0, self.entries.len() as i64 - 1) as usize]
    }
}
