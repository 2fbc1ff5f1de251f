//! Small files of every format, made in memory.

#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

use std::path::PathBuf;

/// Noise that `tests/vectors/*.py` make too.
pub fn noise(seed: u64, count: usize) -> Vec<u8> {
    let sample = |i: u64| {
        let x = i.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(seed.wrapping_mul(0xbf58_476d_1ce4_e5b9));
        ((x ^ (x >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 56) as u8
    };
    (1..=count as u64).map(sample).collect()
}

/// FNV-1a.
pub fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

/// A PNG.
pub fn png(data: &[u8], w: u32, h: u32, colour: png::ColorType, depth: png::BitDepth) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, w, h);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if colour == png::ColorType::Indexed {
        encoder.set_palette(vec![10, 20, 30, 200, 100, 50]);
    }
    encoder.write_header().unwrap().write_image_data(data).unwrap();
    bytes
}

/// A JPEG of the best quality.
pub fn jpeg(data: &[u8], w: u16, h: u16, colour: jpeg_encoder::ColorType) -> Vec<u8> {
    let mut bytes = Vec::new();
    jpeg_encoder::Encoder::new(&mut bytes, 100).encode(data, w, h, colour).unwrap();
    bytes
}

/// An NPY of a given header and bytes.
pub fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

/// A DICOM slice, written element by element.
#[derive(Clone)]
pub struct Dicom {
    pub explicit: bool,
    /// Storage class.
    pub class: &'static str,
    pub syntax: &'static str,
    pub elements: Vec<((u16, u16), &'static str, Vec<u8>)>,
}

impl Dicom {
    /// A CT slice of `h x w` 16-bit samples, slope 1, intercept -1024.
    pub fn ct(explicit: bool, [h, w]: [u16; 2], signed: bool, samples: &[u16]) -> Self {
        let text = |t: &str| t.as_bytes().to_vec();
        let short = |n: u16| n.to_le_bytes().to_vec();
        let data = samples.iter().flat_map(|v| v.to_le_bytes()).collect();
        let elements = vec![
            ((0x0008, 0x0060), "CS", text("CT")),
            ((0x0028, 0x0002), "US", short(1)),
            ((0x0028, 0x0004), "CS", text("MONOCHROME2 ")),
            ((0x0028, 0x0010), "US", short(h)),
            ((0x0028, 0x0011), "US", short(w)),
            ((0x0028, 0x0100), "US", short(16)),
            ((0x0028, 0x0101), "US", short(16)),
            ((0x0028, 0x0102), "US", short(15)),
            ((0x0028, 0x0103), "US", short(signed.into())),
            ((0x0028, 0x1052), "DS", text("-1024 ")),
            ((0x0028, 0x1053), "DS", text("1 ")),
            ((0x7fe0, 0x0010), "OW", data),
        ];
        let syntax = if explicit { "1.2.840.10008.1.2.1" } else { "1.2.840.10008.1.2" };
        Self { explicit, class: "1.2.840.10008.5.1.4.1.1.2", syntax, elements }
    }

    /// Replaces, adds (in order of tags) or, with `None`, removes an element.
    pub fn with(mut self, tag: (u16, u16), vr: &'static str, value: Option<&[u8]>) -> Self {
        self.elements.retain(|e| e.0 != tag);
        self.elements.extend(value.map(|v| (tag, vr, v.to_vec())));
        self.elements.sort_by_key(|e| e.0);
        self
    }

    /// The same element a second time.
    pub fn twice(mut self, tag: (u16, u16)) -> Self {
        let at = self.elements.iter().position(|e| e.0 == tag).unwrap();
        self.elements.insert(at, self.elements[at].clone());
        self
    }

    /// With another storage class.
    pub fn class(self, class: &'static str) -> Self {
        Self { class, ..self }
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut meta = Vec::new();
        let mut class = self.class.as_bytes().to_vec();
        class.resize(class.len().next_multiple_of(2), 0);
        element(&mut meta, true, (2, 0x0002), "UI", &class);
        element(&mut meta, true, (2, 0x0003), "UI", b"1.2.3\0");
        let mut syntax = self.syntax.as_bytes().to_vec();
        syntax.resize(syntax.len().next_multiple_of(2), 0);
        element(&mut meta, true, (2, 0x0010), "UI", &syntax);
        element(&mut meta, true, (2, 0x0012), "UI", b"1.2.3\0");
        let mut bytes = vec![0; 128];
        bytes.extend(b"DICM");
        element(&mut bytes, true, (2, 0), "UL", &(meta.len() as u32).to_le_bytes());
        bytes.extend(meta);
        for (tag, vr, value) in &self.elements {
            element(&mut bytes, self.explicit, *tag, vr, value);
        }
        bytes
    }
}

/// The value of a sequence with one item. With `undefined` lengths, and the delimiters that these ask for, it is for the VR `SQ*`.
pub fn sequence(explicit: bool, undefined: bool, elements: &[((u16, u16), &str, &[u8])]) -> Vec<u8> {
    let mut item = Vec::new();
    for (tag, vr, value) in elements {
        element(&mut item, explicit, *tag, vr, value);
    }
    let length = if undefined { u32::MAX } else { item.len() as u32 };
    let mut bytes = [&[0xfe, 0xff, 0, 0xe0][..], &length.to_le_bytes(), &item].concat();
    if undefined {
        bytes.extend([0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0, 0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]);
    }
    bytes
}

/// One element; the VR `SQ*` is a sequence of undefined length, its value the bytes up to its delimiter.
fn element(out: &mut Vec<u8>, explicit: bool, tag: (u16, u16), vr: &str, value: &[u8]) {
    out.extend(tag.0.to_le_bytes());
    out.extend(tag.1.to_le_bytes());
    let undefined = vr == "SQ*";
    let length = if undefined { u32::MAX } else { value.len() as u32 };
    match (explicit, &vr[..2]) {
        (false, _) => out.extend(length.to_le_bytes()),
        (true, "OW" | "OB" | "SQ" | "UN") => {
            out.extend(&vr.as_bytes()[..2]);
            out.extend([0, 0]);
            out.extend(length.to_le_bytes());
        }
        (true, _) => {
            out.extend(vr.as_bytes());
            out.extend((length as u16).to_le_bytes());
        }
    }
    out.extend(value);
}

/// `../shared`; `None`, with a note, where there is none and this is not a CI run.
pub fn shared() -> Option<PathBuf> {
    let path = std::env::var_os("NIELLO_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    if path.join("data").is_dir() {
        return Some(path);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "CI must have the shared data, none found at {}",
        path.display()
    );
    eprintln!("skipped: no shared data at {} (set NIELLO_SHARED)", path.display());
    None
}
