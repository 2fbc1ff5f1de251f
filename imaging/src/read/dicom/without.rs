//! DICOM files that hold no image.

use super::{
    data_set::text,
    elements::{Elements, PIXEL_DATA},
    tags::{ROWS, SOP_CLASS},
};

/// A description of a DICOM file without an image, from its first bytes; `whole` if they are all. `None` if it may hold one.
pub(crate) fn without_image(start: &[u8], whole: bool) -> Option<&'static str> {
    let mut reader = Elements::new(start, 132, true);
    let mut class = String::new();
    while reader.next_group() == Some(2) {
        let element = reader.next().ok()??;
        if element.tag == SOP_CLASS {
            class = text(element.value);
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
pub(super) fn imageless(class: &str) -> Option<&'static str> {
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
