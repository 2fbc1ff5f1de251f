//! Masks as DICOM Segmentation (PS3.3, A.51): one bit a voxel, a frame for each slice of each segment, with references to the slices of the scan.
//!
//! It is the one DICOM object for masks that viewers lay over the scan by its place; a secondary capture has none.

use super::{Volume, series::STUDY};
use crate::{Error, Result, write_atomic};
use std::{collections::BTreeMap, path::Path};

/// A label of a mask.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// Its value in the mask, 1 to 255.
    pub label: u8,
    /// Its name: 1 to 64 ASCII characters without `\`.
    pub name: String,
}

impl Segment {
    /// Checks that segments can stand in one file.
    ///
    /// # Errors
    /// A label twice, the background, or a name that DICOM cannot have.
    pub fn check(segments: &[Segment]) -> Result<()> {
        check(segments).map_err(Error::Invalid)
    }
}

fn check(segments: &[Segment]) -> Result<(), String> {
    for (i, Segment { label, name }) in segments.iter().enumerate() {
        if *label == 0 || segments[..i].iter().any(|other| other.label == *label) {
            return Err(format!("the label {label} of `{name}` is taken or is the background"));
        }
        let plain = name.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'\\');
        if !plain || name.trim().is_empty() || name.len() > 64 {
            return Err(format!("a segment's name has 1 to 64 ASCII characters without \\, found `{name}`"));
        }
    }
    Ok(())
}

/// Elements in the order of their tags.
#[derive(Default)]
struct Set(BTreeMap<(u16, u16), (&'static str, Vec<u8>)>);

impl Set {
    fn put(&mut self, tag: (u16, u16), vr: &'static str, value: impl AsRef<[u8]>) {
        let mut value = value.as_ref().to_vec();
        if value.len() % 2 == 1 {
            value.push(if matches!(vr, "UI" | "OB") { 0 } else { b' ' });
        }
        self.0.insert(tag, (vr, value));
    }

    fn short(&mut self, tag: (u16, u16), value: u16) {
        self.put(tag, "US", value.to_le_bytes());
    }

    fn numbers(&mut self, tag: (u16, u16), values: &[f64]) {
        let text: Vec<String> = values.iter().map(|v| decimal(*v)).collect();
        self.put(tag, "DS", text.join("\\"));
    }

    fn sequence(&mut self, tag: (u16, u16), items: impl IntoIterator<Item = Set>) {
        let mut value = Vec::new();
        for item in items {
            let bytes = item.bytes();
            value.extend([0xfe, 0xff, 0x00, 0xe0]);
            value.extend((bytes.len() as u32).to_le_bytes());
            value.extend(bytes);
        }
        self.put(tag, "SQ", value);
    }

    /// A code: value, scheme, meaning.
    fn code(&mut self, tag: (u16, u16), [value, scheme, meaning]: [&str; 3]) {
        let mut code = Set::default();
        code.put((0x0008, 0x0100), "SH", value);
        code.put((0x0008, 0x0102), "SH", scheme);
        code.put((0x0008, 0x0104), "LO", meaning);
        self.sequence(tag, [code]);
    }

    /// Explicit, little endian.
    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for ((group, element), (vr, value)) in &self.0 {
            out.extend(group.to_le_bytes());
            out.extend(element.to_le_bytes());
            out.extend(vr.as_bytes());
            match *vr {
                "OB" | "SQ" => {
                    out.extend([0, 0]);
                    out.extend((value.len() as u32).to_le_bytes());
                }
                _ => out.extend((value.len() as u16).to_le_bytes()),
            }
            out.extend(value);
        }
        out
    }
}

/// A number of at most 16 characters, as exact as they allow.
fn decimal(value: f64) -> String {
    let shortest = format!("{value}");
    if shortest.len() <= 16 {
        return shortest;
    }
    let fixed = (0..15).rev().map(|digits| format!("{value:.digits$}")).find(|text| text.len() <= 16);
    match fixed {
        Some(text) if value.abs() >= 1e-6 || value == 0.0 => text,
        _ => format!("{value:.7e}"),
    }
}

/// An identifier that follows from what it names.
fn identifier(parts: &[&[u8]]) -> String {
    let step = |h: u128, b: &u8| (h ^ u128::from(*b)).wrapping_mul(0x0100_0000_0000_0000_0000_013b);
    let hash = parts
        .iter()
        .flat_map(|p| p.iter().chain(&[0xff]))
        .fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, step);
    format!("2.25.{hash}")
}

/// Writes the labels of a volume's voxels, `[slices, rows, columns]`, as DICOM Segmentation of the same geometry. Labels without a segment are left
/// out. For a scan from DICOM the mask belongs to its patient, study and space, and refers to its slices. Identifiers follow from the
/// contents, and the date is the study's, so that equal masks are equal files.
///
/// # Errors
/// If the number of labels is not that of the voxels, if there is no segment, one label twice, or a name that DICOM cannot have, if the
/// slices are larger than DICOM can have or the file would pass 4 GiB, or if it cannot be written.
pub fn write_segmentation(
    path: impl AsRef<Path>,
    volume: &Volume,
    labels: &[u8],
    segments: &[Segment],
) -> Result<()> {
    let path = path.as_ref();
    let bytes = encode(volume, labels, segments).map_err(|message| Error::file(path, message))?;
    write_atomic(path, &bytes)
}

fn encode(volume: &Volume, labels: &[u8], segments: &[Segment]) -> Result<Vec<u8>, String> {
    let geometry = &volume.geometry;
    let [slices, h, w] = geometry.size;
    if labels.len() != geometry.count() {
        return Err(format!("{} labels for {} voxels", labels.len(), geometry.count()));
    }
    let [Ok(rows), Ok(columns)] = [h, w].map(u16::try_from) else {
        return Err(format!("slices of {h}x{w} voxels, of which DICOM has at most 65535"));
    };
    let frames = slices * segments.len();
    if segments.is_empty() || segments.len() > 255 || geometry.count() * segments.len() / 8 > 1 << 31 {
        return Err(format!("{} segments of {} voxels", segments.len(), geometry.count()));
    }
    check(segments)?;
    let source = volume.source.as_ref();
    let study = source.map(|source| &source.study);
    let series = source.map_or("", |source| source.series_uid.as_str());
    let place = format!("{geometry:?} {segments:?}");
    let uid = |what: &str| identifier(&[what.as_bytes(), series.as_bytes(), place.as_bytes(), labels]);

    let mut set = Set::default();
    for (tag, vr) in STUDY {
        let value = study.and_then(|study| study.get(&tag)).cloned();
        let missing = match tag {
            (0x0008, 0x0005) => "ISO_IR 192".to_string(),
            (0x0020, 0x000d) => uid("study"),
            (0x0020, 0x0052) => uid("space"),
            _ => String::new(),
        };
        set.put(tag, vr, value.filter(|v| !v.is_empty()).unwrap_or_else(|| missing.into_bytes()));
    }
    let dated = |tag, otherwise: &str| {
        let value = study.and_then(|study| study.get(&tag)).filter(|v| !v.is_empty());
        value.cloned().unwrap_or_else(|| otherwise.as_bytes().to_vec())
    };
    let class = "1.2.840.10008.5.1.4.1.1.66.4";
    for (tag, vr, text) in [
        ((0x0008, 0x0008), "CS", "DERIVED\\PRIMARY"),
        ((0x0008, 0x0016), "UI", class),
        ((0x0008, 0x0018), "UI", &uid("instance")),
        ((0x0008, 0x0060), "CS", "SEG"),
        ((0x0008, 0x0070), "LO", "niello"),
        ((0x0008, 0x103e), "LO", "niello mask"),
        ((0x0008, 0x1090), "LO", "niello"),
        ((0x0018, 0x1000), "LO", "0"),
        ((0x0018, 0x1020), "LO", env!("CARGO_PKG_VERSION")),
        ((0x0020, 0x000e), "UI", &uid("series")),
        ((0x0020, 0x0011), "IS", "1000"),
        ((0x0020, 0x0013), "IS", "1"),
        ((0x0020, 0x1040), "LO", ""),
        ((0x0020, 0x9311), "CS", "3D"),
        ((0x0028, 0x0004), "CS", "MONOCHROME2"),
        ((0x0028, 0x0008), "IS", &frames.to_string()),
        ((0x0028, 0x2110), "CS", "00"),
        ((0x0062, 0x0001), "CS", "BINARY"),
        ((0x0070, 0x0080), "CS", "MASK"),
        ((0x0070, 0x0081), "LO", "Labels of a network, not for diagnosis"),
        ((0x0070, 0x0084), "PN", "niello"),
    ] {
        set.put(tag, vr, text);
    }
    set.put((0x0008, 0x0023), "DA", dated((0x0008, 0x0020), "19700101"));
    set.put((0x0008, 0x0033), "TM", dated((0x0008, 0x0030), "000000"));
    for (element, value) in
        [(0x0002, 1), (0x0010, rows), (0x0011, columns), (0x0100, 1), (0x0101, 1), (0x0102, 0), (0x0103, 0)]
    {
        set.short((0x0028, element), value);
    }
    dimensions(&mut set, &uid("dimensions"));
    set.sequence(
        (0x0062, 0x0002),
        segments.iter().zip(1..).map(|(segment, number)| described(segment, number)),
    );
    if let Some(source) = source.filter(|source| source.slices.len() == slices) {
        let mut referenced = Set::default();
        referenced.put((0x0020, 0x000e), "UI", &source.series_uid);
        let instances: BTreeMap<&str, &str> =
            source.slices.iter().map(|slice| (slice.uid.as_str(), slice.class.as_str())).collect();
        referenced
            .sequence((0x0008, 0x114a), instances.into_iter().map(|(uid, class)| instance(class, uid, None)));
        set.sequence((0x0008, 0x1115), [referenced]);
    }

    let mut shared = Set::default();
    let mut orientation = Set::default();
    orientation.numbers((0x0020, 0x0037), &[geometry.axes[2], geometry.axes[1]].concat());
    shared.sequence((0x0020, 0x9116), [orientation]);
    let mut measures = Set::default();
    measures.numbers((0x0018, 0x0050), &[geometry.spacing[0]]);
    measures.numbers((0x0018, 0x0088), &[geometry.spacing[0]]);
    measures.numbers((0x0028, 0x0030), &geometry.spacing[1..]);
    shared.sequence((0x0028, 0x9110), [measures]);
    set.sequence((0x5200, 0x9229), [shared]);
    let frame = |i: usize| frame_groups(volume, (i / slices) as u16 + 1, i % slices);
    set.sequence((0x5200, 0x9230), (0..frames).map(frame));

    let mut bits = vec![0u8; (geometry.count() * segments.len()).div_ceil(8)];
    for (i, segment) in segments.iter().enumerate() {
        for (at, _) in labels.iter().enumerate().filter(|(_, label)| **label == segment.label) {
            let bit = i * labels.len() + at;
            bits[bit / 8] |= 1 << (bit % 8);
        }
    }
    set.put((0x7fe0, 0x0010), "OB", bits);

    let mut meta = Set::default();
    meta.put((0x0002, 0x0001), "OB", [0, 1]);
    meta.put((0x0002, 0x0002), "UI", class);
    meta.put((0x0002, 0x0003), "UI", uid("instance"));
    meta.put((0x0002, 0x0010), "UI", "1.2.840.10008.1.2.1");
    meta.put((0x0002, 0x0012), "UI", identifier(&[b"niello"]));
    let meta = meta.bytes();
    let mut length = Set::default();
    length.put((0x0002, 0x0000), "UL", (meta.len() as u32).to_le_bytes());
    Ok([&[0; 128], &b"DICM"[..], &length.bytes(), &meta, &set.bytes()].concat())
}

/// By segment, then by place.
fn dimensions(set: &mut Set, uid: &str) {
    let mut organization = Set::default();
    organization.put((0x0020, 0x9164), "UI", uid);
    set.sequence((0x0020, 0x9221), [organization]);
    let index = |pointer: [u16; 2], group: [u16; 2], label: &str| {
        let mut index = Set::default();
        let tag = |[group, element]: [u16; 2]| [group.to_le_bytes(), element.to_le_bytes()].concat();
        index.put((0x0020, 0x9164), "UI", uid);
        index.put((0x0020, 0x9165), "AT", tag(pointer));
        index.put((0x0020, 0x9167), "AT", tag(group));
        index.put((0x0020, 0x9421), "LO", label);
        index
    };
    let segment = index([0x0062, 0x000b], [0x0062, 0x000a], "Segment Number");
    let place = index([0x0020, 0x0032], [0x0020, 0x9113], "Image Position Patient");
    set.sequence((0x0020, 0x9222), [segment, place]);
}

fn described(segment: &Segment, number: u16) -> Set {
    let mut set = Set::default();
    set.short((0x0062, 0x0004), number);
    set.put((0x0062, 0x0005), "LO", &segment.name);
    set.put((0x0062, 0x0008), "CS", "AUTOMATIC");
    set.put((0x0062, 0x0009), "LO", "niello");
    set.code((0x0062, 0x0003), ["85756007", "SCT", "Tissue"]);
    set.code((0x0062, 0x000f), ["85756007", "SCT", "Tissue"]);
    set
}

/// A reference to an instance, or to a frame of it.
fn instance(class: &str, uid: &str, frame: Option<usize>) -> Set {
    let mut set = Set::default();
    set.put((0x0008, 0x1150), "UI", class);
    set.put((0x0008, 0x1155), "UI", uid);
    if let Some(frame) = frame {
        set.put((0x0008, 0x1160), "IS", frame.to_string());
    }
    set
}

/// The functional groups of a frame.
fn frame_groups(volume: &Volume, segment: u16, slice: usize) -> Set {
    let mut set = Set::default();
    let mut content = Set::default();
    let place = [u32::from(segment), slice as u32 + 1].map(u32::to_le_bytes).concat();
    content.put((0x0020, 0x9157), "UL", place);
    set.sequence((0x0020, 0x9111), [content]);
    let mut position = Set::default();
    position.numbers((0x0020, 0x0032), &volume.geometry.place([slice, 0, 0]));
    set.sequence((0x0020, 0x9113), [position]);
    let mut number = Set::default();
    number.short((0x0062, 0x000b), segment);
    set.sequence((0x0062, 0x000a), [number]);
    if let Some(slice) = volume.source.as_ref().and_then(|source| source.slices.get(slice)) {
        let mut source = instance(&slice.class, &slice.uid, slice.frame);
        source.code((0x0040, 0xa170), ["121322", "DCM", "Source image for image processing operation"]);
        source.put((0x0028, 0x135a), "CS", "YES");
        let mut derivation = Set::default();
        derivation.code((0x0008, 0x9215), ["113076", "DCM", "Segmentation"]);
        derivation.sequence((0x0008, 0x2112), [source]);
        set.sequence((0x0008, 0x9124), [derivation]);
    }
    set
}
