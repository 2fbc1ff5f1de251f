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
    /// The value; of a sequence of undefined length, up to and with its delimiter; `None` for encapsulated pixel data.
    pub value: Option<&'a [u8]>,
    /// Whether elements within it, if it is a sequence, name their value representation.
    explicit: bool,
}

impl<'a> Element<'a> {
    /// The elements of the first item of a sequence; `None` if it has no item.
    pub(super) fn first_item(&self) -> Result<Option<Vec<Element<'a>>>, String> {
        let mut inner = Elements::new(self.value.unwrap_or_default(), 0, self.explicit);
        if inner.bytes.is_empty() {
            return Ok(None);
        }
        let Header { tag, length, .. } = inner.header(self.explicit)?;
        match (tag, length) {
            (SEQUENCE_END, _) => return Ok(None),
            (ITEM, Some(length)) => {
                inner.bytes = inner.take(length, tag)?;
                inner.at = 0;
            }
            (ITEM, None) => {}
            _ => return Err(format!("element {} is no item of a sequence", show(tag))),
        }
        let mut item = Vec::new();
        while let Some(element) = inner.next()?.filter(|element| element.tag != ITEM_END) {
            item.push(element);
        }
        Ok(Some(item))
    }
}

/// Value representations (PS3.5, table 6.2-1).
const REPRESENTATIONS: &[u8] = b"AEASATCSDADSDTFDFLISLOLTOBODOFOLOVOWPNSHSLSQSSSTSVTMUCUIULUNURUSUTUV";

/// Reads elements, little endian.
pub(super) struct Elements<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Whether elements name their value representation.
    pub explicit: bool,
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
    /// A reader from byte `at` of a file.
    pub(super) fn new(bytes: &'a [u8], at: usize, explicit: bool) -> Self {
        Self { bytes, at, explicit }
    }

    /// The group of the next element.
    pub(super) fn next_group(&self) -> Option<u16> {
        self.bytes.get(self.at..self.at + 2).map(|b| u16::from_le_bytes([b[0], b[1]]))
    }

    /// The next element; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Element<'a>>, String> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let Header { tag, vr, length } = self.header(self.explicit)?;
        // PS3.5, 6.2.2, note 4: the contents of an unknown value are implicit.
        let explicit = self.explicit && &vr != b"UN";
        let value = match length {
            Some(length) => Some(self.take(length, tag)?),
            None if tag == PIXEL_DATA => None,
            None => {
                let start = self.at;
                self.skip_open(Open::Sequence { explicit })?;
                Some(&self.bytes[start..self.at])
            }
        };
        Ok(Some(Element { tag, value, explicit }))
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
        let u16_at = |from| bytes(from, 2).map(|b| u16::from_le_bytes([b[0], b[1]]));
        let u32_at = |from| bytes(from, 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let tag = (u16_at(0)?, u16_at(2)?);
        let (vr, length, size) = if !explicit || tag.0 == 0xfffe {
            ([0; 2], u32_at(4)?, 8)
        } else {
            let vr = bytes(4, 2)?;
            let vr = [vr[0], vr[1]];
            if !vr.iter().all(u8::is_ascii_uppercase) {
                let message = "has no value representation; is this explicit VR little endian?";
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
