//! The position of a sample in its word (PS3.5, section 8.1.1).

use super::{data_set::DataSet, elements::PIXEL_DATA, tags};

/// What a sample is.
pub(crate) struct Format {
    /// Bytes of a sample, once a frame is decoded: 1, 2, 4 or 8.
    pub bytes: usize,
    /// Bits of a sample in the file.
    pub allocated: usize,
    /// Bits that are used.
    pub bits: u32,
    pub shift: u32,
    pub signed: bool,
    /// Whether samples are floating-point numbers.
    pub float: bool,
    /// Whether bytes lie two in a word.
    pub words: bool,
}

impl Format {
    pub(super) fn of(set: &DataSet<'_>) -> Result<Self, String> {
        let (float, double) =
            (set.element(tags::FLOAT_PIXEL_DATA).is_some(), set.element(tags::DOUBLE_PIXEL_DATA).is_some());
        if float || double {
            let bits = if float { 32 } else { 64 };
            let bytes = bits / 8;
            return Ok(Self {
                bytes,
                allocated: bits,
                bits: bits as u32,
                shift: 0,
                signed: true,
                float: true,
                words: false,
            });
        }
        let allocated = set.required(tags::BITS_ALLOCATED, "Bits Allocated")?;
        let stored = set.number(tags::BITS_STORED)?.unwrap_or(allocated);
        let high = set.number(tags::HIGH_BIT)?.unwrap_or(stored.saturating_sub(1));
        let signed = match set.number(tags::PIXEL_REPRESENTATION)? {
            None | Some(0) => false,
            Some(1) => true,
            Some(other) => {
                return Err(format!("the pixel representation (0028,0103) is {other}, expected 0 or 1"));
            }
        };
        if !matches!(allocated, 1 | 8 | 16 | 32) || stored == 0 || high >= allocated || high + 1 < stored {
            return Err(format!(
                "expected 1, 8, 16 or 32 bits a sample, found {allocated} allocated, {stored} stored, high bit {high}"
            ));
        }
        let shift = u32::from(high + 1 - stored);
        let bytes = usize::from(allocated.div_ceil(8));
        let words = set.element(PIXEL_DATA).is_some_and(|element| element.words);
        let bits = u32::from(stored);
        Ok(Self { bytes, allocated: allocated.into(), bits, shift, signed, float: false, words })
    }

    /// The stored value in `self.bytes` bytes.
    pub(super) fn stored(&self, bytes: &[u8]) -> i64 {
        let word = bytes.iter().rev().fold(0u64, |word, b| word << 8 | u64::from(*b));
        let unused = 64 - self.bits;
        let top = (word >> self.shift) << unused;
        if self.signed { top as i64 >> unused } else { (top >> unused) as i64 }
    }

    /// The stored number, of any kind.
    pub(super) fn real(&self, bytes: &[u8]) -> f64 {
        match *bytes {
            [a, b, c, d] if self.float => f32::from_le_bytes([a, b, c, d]).into(),
            [a, b, c, d, e, f, g, h] if self.float => f64::from_le_bytes([a, b, c, d, e, f, g, h]),
            _ => self.stored(bytes) as f64,
        }
    }

    /// The smallest and largest value that can be stored.
    pub(super) fn range(&self) -> (i64, i64) {
        let values = 1 << self.bits.min(62);
        if self.signed { (-values / 2, values / 2 - 1) } else { (0, values - 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn stored_bits_are_taken_from_their_place() {
        let eight =
            Format { bytes: 1, allocated: 8, bits: 8, shift: 0, signed: true, float: false, words: false };
        let of = |bits, signed, shift| Format { bytes: 2, allocated: 16, bits, shift, signed, ..eight };
        let twelve = |signed, shift| of(12, signed, shift);
        assert_eq!(twelve(false, 0).stored(&[0xff, 0xff]), 4095);
        assert_eq!(twelve(true, 0).stored(&[0xff, 0x0f]), -1);
        assert_eq!(twelve(true, 0).stored(&[0x00, 0xf8]), -2048);
        assert_eq!(twelve(false, 4).stored(&[0x0f, 0x80]), 0x800);
        assert_eq!(eight.stored(&[0x80]), -128);
        assert_eq!(of(16, true, 0).stored(&[0x18, 0xfc]), -1000);
        assert_eq!(twelve(true, 0).range(), (-2048, 2047));
        let wide = Format { bytes: 4, allocated: 32, bits: 32, ..eight };
        assert_eq!(wide.stored(&[0xff, 0xff, 0xff, 0xff]), -1);
        assert_eq!(wide.range(), (i32::MIN.into(), i32::MAX.into()));
    }
}
