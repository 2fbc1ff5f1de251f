//! Data elements of a DICOM file, one after the other (PS3.5, sections 7.1 and 7.5; PS3.10, section 7).
//!
//! A slice needs a dozen elements of the top level. This walks over them without recursion and without allocating the
//! length that a header claims: a general DICOM library trusts lengths of up to 4 GiB and calls itself for each nested
//! sequence, which damaged files turn into an abort. `tests/shared_data.rs` compares with one.

/// Group and element number.
pub(super) type Tag = (u16, u16);

/// Pixel Data.
pub(super) const PIXEL_DATA: Tag = (0x7fe0, 0x0010);

const ITEM: Tag = (0xfffe, 0xe000);
const ITEM_END: Tag = (0xfffe, 0xe00d);
const SEQUENCE_END: Tag = (0xfffe, 0xe0dd);

/// One element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Element<'a> {
    pub tag: Tag,
    /// The value; of a sequence of undefined length, up to and with its delimiter; of encapsulated pixel data, the rest of the file.
    pub value: &'a [u8],
    /// Whether this is encapsulated pixel data, whose length is undefined.
    pub encapsulated: bool,
    /// Whether the value is of 16-bit words (`OW`), by its representation.
    pub words: bool,
    /// Whether elements within it, if it is a sequence, name their value representation.
    explicit: bool,
    big: bool,
}

impl<'a> Element<'a> {
    /// The elements of each item of a sequence, at most the first `most` of them.
    pub(super) fn items(&self, most: usize) -> Result<Vec<Vec<Element<'a>>>, String> {
        let mut reader = Elements { bytes: self.value, at: 0, explicit: self.explicit, big: self.big };
        let mut items = Vec::new();
        while items.len() < most && reader.at < reader.bytes.len() {
            let Header { tag, length, .. } = reader.header(self.explicit)?;
            let mut inner = match (tag, length) {
                (SEQUENCE_END, _) => break,
                (ITEM, Some(length)) => Elements { bytes: reader.take(length, tag)?, at: 0, ..reader },
                (ITEM, None) => Elements { ..reader },
                _ => return Err(format!("element {} is no item of a sequence", show(tag))),
            };
            let mut item = Vec::new();
            while let Some(element) = inner.next()?.filter(|element| element.tag != ITEM_END) {
                item.push(element);
            }
            if length.is_none() {
                reader.at = inner.at;
            }
            items.push(item);
        }
        Ok(items)
    }

    /// The values of 16 bits.
    pub(super) fn numbers(&self) -> Vec<u16> {
        let read = if self.big { u16::from_be_bytes } else { u16::from_le_bytes };
        self.value.as_chunks().0.iter().map(|b| read(*b)).collect()
    }

    /// Whether numbers are stored with their highest byte first.
    pub(super) fn is_big_endian(&self) -> bool {
        self.big
    }
}

/// Value representations (PS3.5, table 6.2-1).
const REPRESENTATIONS: &[u8] = b"AEASATCSDADSDTFDFLISLOLTOBODOFOLOVOWPNSHSLSQSSSTSVTMUCUIULUNURUSUTUV";

/// Reads elements.
#[derive(Clone, Copy)]
pub(super) struct Elements<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Whether elements name their value representation.
    pub explicit: bool,
    /// Whether the highest byte comes first.
    pub big: bool,
}

struct Header {
    tag: Tag,
    vr: [u8; 2],
    /// `None`: undefined.
    length: Option<usize>,
}

/// An open sequence or item of undefined length, and whether the elements inside are explicit.
#[derive(Clone, Copy, PartialEq)]
enum Open {
    Sequence { explicit: bool },
    Item { explicit: bool },
}

impl<'a> Elements<'a> {
    /// A reader from byte `at` of a file, of little-endian elements.
    pub(super) fn new(bytes: &'a [u8], at: usize, explicit: bool) -> Self {
        Self { bytes, at, explicit, big: false }
    }

    /// The place of the next element.
    #[cfg(feature = "deflate")]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The group of the next element.
    pub(super) fn next_group(&self) -> Option<u16> {
        let read = if self.big { u16::from_be_bytes } else { u16::from_le_bytes };
        self.bytes.get(self.at..).and_then(<[u8]>::first_chunk).map(|b| read(*b))
    }

    /// The next element; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Element<'a>>, String> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let Header { tag, vr, length } = self.header(self.explicit)?;
        // PS3.5, 6.2.2, note 4: the contents of an unknown value are implicit.
        let explicit = self.explicit && &vr != b"UN";
        let encapsulated = length.is_none() && tag == PIXEL_DATA;
        let value = match length {
            Some(length) => self.take(length, tag)?,
            None if encapsulated => &self.bytes[self.at..],
            None => {
                let start = self.at;
                self.skip_open(Open::Sequence { explicit })?;
                &self.bytes[start..self.at]
            }
        };
        let words = &vr == b"OW" || (!self.explicit && tag == PIXEL_DATA);
        Ok(Some(Element { tag, value, encapsulated, words, explicit, big: self.big }))
    }

    /// Where pixel data begins and ends by its header, which may be beyond the bytes. An error before that: more bytes are needed.
    #[cfg(feature = "deflate")]
    pub(super) fn pixel_data(mut self) -> Result<Option<[usize; 2]>, String> {
        while self.at < self.bytes.len() {
            let mut after = self;
            match after.header(self.explicit)? {
                Header { tag: PIXEL_DATA, length: Some(length), .. } => {
                    return Ok(Some([self.at, after.at.saturating_add(length)]));
                }
                _ => drop(self.next()?),
            }
        }
        Ok(None)
    }

    /// Whether the next element names its value representation, regardless of the transfer syntax.
    pub(super) fn looks_explicit(&self) -> bool {
        let vr = self.bytes.get(self.at + 4..self.at + 6);
        vr.is_some_and(|vr| REPRESENTATIONS.chunks_exact(2).any(|known| known == vr))
    }

    fn take(&mut self, length: usize, tag: Tag) -> Result<&'a [u8], String> {
        let rest = &self.bytes[self.at..];
        let value = rest.get(..length).ok_or_else(|| {
            format!("element {} claims {length} bytes, the file has {} more", show(tag), rest.len())
        })?;
        self.at += length;
        Ok(value)
    }

    fn header(&mut self, explicit: bool) -> Result<Header, String> {
        let at = self.at;
        let bytes = |from: usize, n: usize| {
            let end = format!("the file ends within the element at byte {at}");
            self.bytes.get(at + from..at + from + n).ok_or(end)
        };
        let number = |b: &[u8]| {
            let join = |word: u32, b: &u8| word << 8 | u32::from(*b);
            if self.big { b.iter().fold(0, join) } else { b.iter().rev().fold(0, join) }
        };
        let u16_at = |from| bytes(from, 2).map(|b| number(b) as u16);
        let u32_at = |from| bytes(from, 4).map(number);
        let tag = (u16_at(0)?, u16_at(2)?);
        let (vr, length, size) = if !explicit || tag.0 == 0xfffe {
            ([0; 2], u32_at(4)?, 8)
        } else {
            let vr = bytes(4, 2)?;
            let vr = [vr[0], vr[1]];
            if !vr.iter().all(u8::is_ascii_uppercase) {
                let message = "has no value representation; is this explicit VR?";
                return Err(format!("element {} at byte {at} {message}", show(tag)));
            }
            match &vr {
                b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN" | b"UR"
                | b"UT" | b"UV" => (vr, u32_at(8)?, 12),
                _ => (vr, u32::from(u16_at(6)?), 8),
            }
        };
        self.at = at + size;
        Ok(Header { tag, vr, length: (length != u32::MAX).then_some(length as usize) })
    }

    /// Passes over a value of undefined length, up to its delimiter.
    fn skip_open(&mut self, first: Open) -> Result<(), String> {
        let mut open = vec![first];
        while let Some(&inner) = open.last() {
            let explicit = match inner {
                Open::Sequence { explicit } | Open::Item { explicit } => explicit,
            };
            let at = self.at;
            let Header { tag, vr, length } = self.header(explicit)?;
            match (inner, tag) {
                (Open::Sequence { .. }, SEQUENCE_END) | (Open::Item { .. }, ITEM_END) => {
                    open.pop();
                }
                (Open::Sequence { .. }, ITEM) => match length {
                    Some(length) => drop(self.take(length, tag)?),
                    None => open.push(Open::Item { explicit }),
                },
                (Open::Item { .. }, tag) if tag.0 != 0xfffe => match length {
                    Some(length) => drop(self.take(length, tag)?),
                    None => open.push(Open::Sequence { explicit: explicit && &vr != b"UN" }),
                },
                (_, tag) => {
                    return Err(format!("element {} at byte {at} has no place in a sequence", show(tag)));
                }
            }
        }
        Ok(())
    }
}

/// `(0028,0010)`
pub(super) fn show((group, element): Tag) -> String {
    format!("({group:04x},{element:04x})")
}
