//! The elements of a file or an item by their tags.

use super::{
    elements::{Element, Elements, PIXEL_DATA, Tag, show},
    syntax::Syntax,
    tags, without,
};
use std::{borrow::Cow, collections::BTreeMap};

/// The elements of the top level up to the pixel data, or of an item.
#[derive(Clone)]
pub(crate) struct DataSet<'a> {
    elements: BTreeMap<Tag, Element<'a>>,
}

/// The meta group, its syntax, and a reader behind it.
pub(super) fn meta<'a>(bytes: &'a [u8]) -> Result<(DataSet<'a>, Syntax, Elements<'a>), String> {
    // The file meta group is always explicit and little endian.
    let mut reader = Elements::new(bytes, 132, true);
    let mut set = DataSet { elements: BTreeMap::new() };
    while reader.next_group() == Some(2) {
        set.elements.extend(reader.next()?.map(|element| (element.tag, element)));
    }
    if let Some(kind) = set.text(tags::SOP_CLASS).as_deref().and_then(without::imageless) {
        return Err(format!("this is {kind}: it holds no image"));
    }
    let uid = set.text(tags::TRANSFER_SYNTAX);
    let uid = uid.ok_or("the file does not name its transfer syntax (0002,0010)")?;
    let syntax = Syntax::of(&uid)?;
    Ok((set, syntax, reader))
}

/// The bytes of a file, inflated if they are deflated. No more is taken than the pixels take that its header names.
pub(super) fn plain(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let (_, syntax, _reader) = meta(bytes)?;
    match syntax.deflated {
        #[cfg(feature = "deflate")]
        true => super::deflate::inflate(bytes, _reader.at()).map(Cow::Owned),
        _ => Ok(Cow::Borrowed(bytes)),
    }
}

impl<'a> DataSet<'a> {
    /// The elements of plain bytes, and their syntax.
    pub(super) fn read(bytes: &'a [u8]) -> Result<(Self, Syntax), String> {
        let (mut set, syntax, mut reader) = meta(bytes)?;
        reader.big = syntax.big;
        // Some writers name the other one: the elements decide, as for pydicom.
        reader.explicit = reader.looks_explicit();
        if let Some(group) = reader.next_group().filter(|group| group & 0xff == 0 && *group > 0) {
            let [found, said] = if syntax.big { ["little", "big"] } else { ["big", "little"] };
            return Err(format!(
                "the first element has the group {group:04x}: this looks like {found} endian, although the file says {said} \
                 endian"
            ));
        }
        set.extend(reader)?;
        match set.elements.get(&PIXEL_DATA) {
            Some(pixels) if pixels.encapsulated && syntax.codec.is_none() => {
                Err("pixel data is encapsulated although its transfer syntax is uncompressed".into())
            }
            Some(pixels) if !pixels.encapsulated && syntax.codec.is_some() => {
                Err("pixel data is not encapsulated although its transfer syntax is compressed".into())
            }
            _ => Ok((set, syntax)),
        }
    }

    fn extend(&mut self, mut reader: Elements<'a>) -> Result<(), String> {
        while let Some(element) = reader.next()? {
            if self.elements.insert(element.tag, element).is_some() {
                return Err(format!("the element {} comes twice", show(element.tag)));
            }
            if element.tag == PIXEL_DATA {
                break;
            }
        }
        Ok(())
    }

    /// The elements of the start of a data set, up to `end`.
    #[cfg(feature = "deflate")]
    pub(super) fn start(bytes: &'a [u8], at: usize) -> Result<Self, String> {
        let mut set = Self { elements: BTreeMap::new() };
        let mut reader = Elements::new(bytes, at, true);
        reader.explicit = reader.looks_explicit();
        set.extend(reader)?;
        Ok(set)
    }

    /// The first item of a sequence.
    pub(crate) fn item(&self, tag: Tag) -> Result<Option<DataSet<'a>>, String> {
        Ok(self.items(tag, 1)?.into_iter().next())
    }

    /// The first `most` items of a sequence.
    pub(crate) fn items(&self, tag: Tag, most: usize) -> Result<Vec<DataSet<'a>>, String> {
        let items = self.elements.get(&tag).map(|element| element.items(most)).transpose()?;
        let set =
            |item: Vec<Element<'a>>| DataSet { elements: item.into_iter().map(|e| (e.tag, e)).collect() };
        Ok(items.unwrap_or_default().into_iter().map(set).collect())
    }

    pub(super) fn element(&self, tag: Tag) -> Option<&Element<'a>> {
        self.elements.get(&tag)
    }

    pub(crate) fn value(&self, tag: Tag) -> Option<&'a [u8]> {
        self.elements.get(&tag).map(|element| element.value)
    }

    pub(crate) fn text(&self, tag: Tag) -> Option<String> {
        self.value(tag).map(text)
    }

    pub(crate) fn number(&self, tag: Tag) -> Result<Option<u16>, String> {
        let Some(element) = self.elements.get(&tag) else { return Ok(None) };
        match element.numbers().first() {
            Some(value) => Ok(Some(*value)),
            None => Err(format!("element {} has {} bytes, expected 2", show(tag), element.value.len())),
        }
    }

    pub(super) fn required(&self, tag: Tag, what: &str) -> Result<u16, String> {
        self.number(tag)?
            .ok_or_else(|| format!("no {what} {}: it holds no image that could be read", show(tag)))
    }

    pub(crate) fn decimal(&self, tag: Tag, what: &str) -> Result<Option<f64>, String> {
        let Some(text) = self.text(tag).filter(|t| !t.is_empty()) else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(v) if v.is_finite() => Ok(Some(v)),
            _ => Err(format!("the {what} {} is `{text}`, expected a number", show(tag))),
        }
    }

    /// `N` numbers of a text, divided by `\`; `None` if there is no text.
    #[cfg(feature = "scans")]
    pub(crate) fn decimals<const N: usize>(&self, tag: Tag, what: &str) -> Result<Option<[f64; N]>, String> {
        let Some(text) = self.text(tag).filter(|t| !t.is_empty()) else { return Ok(None) };
        let numbers: Option<Vec<f64>> =
            text.split('\\').map(|n| n.trim().parse().ok().filter(|v: &f64| v.is_finite())).collect();
        match numbers.and_then(|n| n.try_into().ok()) {
            Some(numbers) => Ok(Some(numbers)),
            None => Err(format!("the {what} {} is `{text}`, expected {N} numbers", show(tag))),
        }
    }
}

pub(super) fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).trim_matches([' ', '\0']).to_string()
}
