//! DICOM in every codec, from the encoders of other people (`vectors/dicom_files.py`), and what is wrong with compressed files.

mod common;

use common::{Dicom, noise, sequence};
use niello_imaging::{Samples, load_bytes, load_frames, stored_samples};
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/dicom")
}

/// A file of `vectors/dicom`, without its ending.
fn file(name: &str) -> Vec<u8> {
    fs::read(folder().join(format!("{name}.dcm"))).unwrap()
}

/// Whether this build reads a file of `vectors/dicom`.
fn is_built_in(name: &str) -> bool {
    (cfg!(feature = "jpeg2000") || !name.starts_with("jpeg2000"))
        && (cfg!(feature = "deflate") || !name.starts_with("deflated"))
}

#[test]
fn stored_samples_are_pydicoms() {
    let table = fs::read_to_string(folder().join("table.tsv")).unwrap();
    let mut files = 0;
    for line in table.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, syntax, shape, hash, sum, _] = columns[..] else { panic!("{line}") };
        let bytes = fs::read(folder().join(name)).unwrap();
        if !is_built_in(name) {
            let error = stored_samples(name, &bytes).unwrap_err().to_string();
            assert!(error.contains("this build is without the feature"), "{error}");
            continue;
        }
        let stored = stored_samples(name, &bytes).unwrap();
        assert_eq!(stored.shape.map(|n| n.to_string()).join("x"), shape, "{name}");
        let found: String = Sha256::digest(&stored.data).iter().map(|b| format!("{b:02x}")).collect();
        if syntax.ends_with(".4.91") {
            // Floating-point numbers: a few samples are rounded to the other side.
            let found: u64 =
                stored.data.as_chunks().0.iter().map(|b| u64::from(u16::from_le_bytes(*b))).sum();
            assert!(found.abs_diff(sum.parse().unwrap()) <= 20, "{name}: {found}, {sum}");
        } else {
            assert_eq!(found, hash, "{name}");
        }
        files += 1;
    }
    assert!(files >= 48, "{files} files");
}

/// What is encoded without loss is what the plain file holds.
#[test]
fn lossless_codecs_give_the_same_image() {
    let plain = load_bytes("u12", &file("u12")).unwrap();
    for predictor in 1..=7 {
        let image = load_bytes("u12", &file(&format!("jpeg_lossless_{predictor}_u12"))).unwrap();
        assert_eq!(image, plain, "predictor {predictor}");
    }
    assert_eq!(load_bytes("a", &file("jpeg_ls_s12")).unwrap(), load_bytes("a", &file("rle_s12")).unwrap());
    let rgb = load_bytes("a", &file("jpeg_ls_line_0")).unwrap();
    for name in ["jpeg_ls_plane_0", "jpeg_ls_sample_0", "rle_rgb", "jpeg_lossless_1_rgb", "rgb_planar"] {
        assert_eq!(load_bytes("a", &file(name)).unwrap(), rgb, "{name}");
    }
}

/// As `pydicom.pixels.pixel_array` and `apply_color_lut`, to 8 bits.
#[test]
fn colours_become_rgb() {
    let ybr = stored_samples("a", &file("ybr_full")).unwrap();
    let image = load_bytes("a", &file("ybr_full")).unwrap();
    let Samples::U8(rgb) = image.samples() else { panic!("real values") };
    for (from, to) in ybr.data.as_chunks::<3>().0.iter().zip(rgb.as_chunks::<3>().0) {
        let [y, cb, cr] = from.map(f64::from);
        let expected = [
            y + 1.402 * (cr - 128.0),
            y - (0.114 * 1.772 * (cb - 128.0) + 0.299 * 1.402 * (cr - 128.0)) / 0.587,
            y + 1.772 * (cb - 128.0),
        ];
        for (value, expected) in to.iter().zip(expected) {
            assert!((f64::from(*value) - expected.clamp(0.0, 255.0)).abs() <= 0.501, "{from:?}, {to:?}");
        }
    }
    // The chroma of half the pixels, at both.
    let half = stored_samples("a", &file("ybr_422")).unwrap();
    for (i, (full, half)) in ybr.data.as_chunks::<3>().0.iter().zip(half.data.as_chunks::<3>().0).enumerate()
    {
        let left: [u8; 3] = ybr.data.as_chunks::<3>().0[i / 2 * 2];
        assert_eq!(half, &[full[0], left[1], left[2]], "pixel {i}");
    }
    let indices = stored_samples("a", &file("palette")).unwrap();
    let image = load_bytes("a", &file("palette")).unwrap();
    let Samples::U8(rgb) = image.samples() else { panic!("real values") };
    for (index, colour) in indices.data.iter().zip(rgb.as_chunks::<3>().0) {
        let entry = (i32::from(*index) - 20).clamp(0, 199);
        let expected = [1, 2, 3].map(|n| ((entry * n * 257 % 65536) >> 8) as u8);
        assert_eq!(*colour, expected, "index {index}");
    }
    // The frame's own names of components, or its JFIF segment, count for more than the data set.
    let jfif = load_bytes("a", &file("jpeg_444")).unwrap();
    let mut renamed = file("jpeg_444");
    let at = renamed.windows(8).position(|w| w == b"YBR_FULL").unwrap();
    renamed[at..at + 8].copy_from_slice(b"RGB     ");
    assert_eq!(load_bytes("a", &renamed).unwrap(), jfif);
}

#[test]
fn frames_are_found_by_every_kind_of_table() {
    let expected = load_frames("a", &file("frames_basic")).unwrap();
    assert_eq!(expected.len(), 3);
    assert!(expected[0] != expected[1] && expected[1] != expected[2]);
    for name in ["frames_fragments", "frames_no_table", "frames_fragments_no_table", "frames_extended"] {
        assert_eq!(load_frames("a", &file(name)).unwrap(), expected, "{name}");
    }
    let error = load_bytes("a", &file("frames_basic")).unwrap_err().to_string();
    assert!(error.contains("expected one slice, found 3 frames"), "{error}");
    let plain = load_frames("a", &file("frames_u12")).unwrap();
    assert_eq!(load_frames("a", &file("encapsulated_frames_u12")).unwrap(), plain);
    let bits = load_frames("a", &file("bits_1")).unwrap();
    let Samples::Real(values) = bits[1].samples() else { panic!("8 bits") };
    assert!(values.contains(&0.0) && values.contains(&1.0));
}

/// In enhanced files, each frame may have a slope of its own.
#[test]
fn frames_have_their_own_slopes() {
    let group = |slope: &[u8]| {
        let elements: [((u16, u16), &str, &[u8]); 2] =
            [((0x28, 0x1052), "DS", b"-10 "), ((0x28, 0x1053), "DS", slope)];
        let transformation = sequence(true, false, &elements);
        sequence(true, false, &[((0x28, 0x9145), "SQ", &transformation)])
    };
    let groups = [group(b"2 "), group(b"3 ")].concat();
    let file = Dicom::ct(true, [1, 2], false, &[1, 2, 3, 4]).with((0x28, 8), "IS", Some(b"2 ")).with(
        (0x5200, 0x9230),
        "SQ",
        Some(&groups),
    );
    let frames = load_frames("a", &file.bytes()).unwrap();
    let expected = [[-8.0, -6.0], [-1.0, 2.0]];
    for (frame, expected) in frames.iter().zip(expected) {
        assert_eq!(frame.samples(), &Samples::Real(expected.to_vec()));
    }
    // A file may not claim frames without end.
    let many = file.with((0x28, 8), "IS", Some(b"131073"));
    let error = load_frames("a", &many.bytes()).unwrap_err().to_string();
    assert!(error.contains("the number of frames (0028,0008) is `131073`"), "{error}");
}

#[test]
fn floating_point_and_32_bit_pixels_are_values() {
    let values = |name: &str| match load_bytes("a", &file(name)).unwrap().samples() {
        Samples::Real(values) => values.clone(),
        Samples::U8(_) => panic!("8 bits"),
    };
    let (real, wide) = (values("float"), values("u32"));
    assert!(real.iter().zip(&wide).all(|(real, wide)| (real * 7.0 - wide / 65537.0).abs() < 0.01));
}

/// Windows for display, several of them, and padding are not applied.
#[test]
fn windows_and_padding_leave_values_as_they_are() {
    let plain = Dicom::ct(true, [1, 3], true, &[0xf830, 0, 40]);
    let shown = plain
        .clone()
        .with((0x28, 0x120), "SS", Some(&0xf830u16.to_le_bytes()))
        .with((0x28, 0x1050), "DS", Some(b"40\\-600 "))
        .with((0x28, 0x1051), "DS", Some(b"400\\1500"))
        .with((0x28, 0x1055), "LO", Some(b"SOFT\\LUNG "));
    let image = load_bytes("a", &shown.bytes()).unwrap();
    assert_eq!(image.samples(), &Samples::Real(vec![-3024.0, -1024.0, -984.0]));
    assert_eq!(image, load_bytes("a", &plain.bytes()).unwrap());
}

/// Where encapsulated pixel data begins: behind the header of the element.
fn encapsulated(bytes: &[u8]) -> usize {
    bytes.windows(6).position(|w| w == [0xe0, 0x7f, 0x10, 0, b'O', b'B']).unwrap() + 12
}

/// A file with the items of its pixel data replaced: an offset table and fragments.
fn repacked(name: &str, table: &[u8], fragments: &[&[u8]]) -> Vec<u8> {
    let bytes = file(name);
    let mut out = bytes[..encapsulated(&bytes)].to_vec();
    for item in [&[table], fragments].concat() {
        out.extend([0xfe, 0xff, 0x00, 0xe0]);
        out.extend((item.len() as u32).to_le_bytes());
        out.extend(item);
    }
    out.extend([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]);
    out
}

/// The fragments of a file.
fn fragments(name: &str) -> Vec<Vec<u8>> {
    let bytes = file(name);
    let mut rest = &bytes[encapsulated(&bytes)..];
    let mut found = Vec::new();
    while rest[2..4] == [0x00, 0xe0] {
        let length = u32::from_le_bytes(*rest[4..].first_chunk().unwrap()) as usize;
        found.push(rest[8..8 + length].to_vec());
        rest = &rest[8 + length..];
    }
    found.remove(0);
    found
}

#[test]
fn wrong_tables_and_fragments_are_named() {
    let frames = fragments("frames_basic");
    let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    let offsets = |offsets: &[u32]| offsets.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
    let [first, second] = [0, 1].map(|i| frames[i].len() as u32 + 8);
    let right = repacked("frames_basic", &offsets(&[0, first, first + second]), &frames);
    assert_eq!(load_frames("a", &right).unwrap(), load_frames("a", &file("frames_basic")).unwrap());
    for (table, fragments, words) in [
        (offsets(&[0, first]), &frames[..], "2 offsets for 3 frames"),
        (offsets(&[0, first, first + second + 2]), &frames, "names frame 1"),
        (offsets(&[0, first + second, first]), &frames, "where no fragment of it begins"),
        (offsets(&[4, first, first + second]), &frames, "names frame 0 at 4"),
        (vec![0; 3], &frames, "an offset table of 3 bytes"),
        (vec![], &frames[..2], "2 fragments of encapsulated pixel data for 3 frames"),
        (vec![], &[], "0 fragments of encapsulated pixel data for 3 frames"),
    ] {
        let error = load_frames("a", &repacked("frames_basic", &table, fragments)).unwrap_err().to_string();
        assert!(error.contains(words), "{error}, expected {words}");
    }
    let good = file("frames_extended");
    let at = good.windows(4).position(|w| w == [0xe0, 0x7f, 1, 0]).unwrap() + 12;
    for (value, words) in [(u64::MAX, "where no such fragment begins"), (2, "bytes at 2")] {
        let mut bytes = good.clone();
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        let error = load_frames("a", &bytes).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let mut cut = file("frames_basic");
    cut.truncate(cut.len() - 8);
    assert!(load_frames("a", &cut).unwrap_err().to_string().contains("ends within its encapsulated"));
    let mut long = file("jpeg_gray");
    let at = encapsulated(&long) + 16;
    long[at..at + 4].copy_from_slice(&(u32::MAX - 1).to_le_bytes());
    assert!(load_frames("a", &long).unwrap_err().to_string().contains("claims 4294967294 bytes"));
}

/// Headers that claim more than the frame does, or the reverse, before memory is taken.
#[test]
fn sizes_of_the_data_set_and_of_the_frame_must_agree() {
    for name in
        ["rle_u8", "jpeg_gray", "jpeg_extended_u12", "jpeg_lossless_1_u12", "jpeg_ls_u8", "jpeg2000_u8"]
    {
        let good = file(name);
        if !is_built_in(name) {
            continue;
        }
        load_bytes("a", &good).unwrap();
        let rows = good.windows(6).position(|w| w == [0x28, 0, 0x10, 0, b'U', b'S']).unwrap() + 8;
        for value in [1u16, 14, 8000, 65535] {
            let mut bytes = good.clone();
            bytes[rows..rows + 2].copy_from_slice(&value.to_le_bytes());
            let error = load_bytes("a", &bytes).unwrap_err().to_string();
            let words = ["as the data set says", "samples", "byte plane"];
            assert!(words.iter().any(|w| error.contains(w)), "{name}: {error}");
        }
    }
    // A frame of 8 bits in the place of one of 12, and of 12 in that of 8.
    let wide = repacked("jpeg_gray", &[], &[&fragments("jpeg_lossless_1_u12")[0]]);
    let error = load_bytes("a", &wide).unwrap_err().to_string();
    assert!(error.contains("bits a sample, of which 8 are allocated"), "{error}");
    let colours = repacked("jpeg_gray", &[], &[&fragments("jpeg_444")[0]]);
    assert!(load_bytes("a", &colours).unwrap_err().to_string().contains("found 13x18x3"));
}

/// Nothing is inflated beyond what the header names.
#[cfg(feature = "deflate")]
#[test]
fn a_deflated_bomb_takes_no_memory() {
    use std::io::Write;
    let deflated = |file: &Dicom, more: usize| {
        let bytes = file.bytes();
        let head = bytes.windows(4).position(|w| w == [8, 0, 0x60, 0]).unwrap();
        let mut encoder =
            flate2::write::DeflateEncoder::new(bytes[..head].to_vec(), flate2::Compression::fast());
        encoder.write_all(&bytes[head..]).unwrap();
        encoder.write_all(&vec![0; more]).unwrap();
        encoder.finish().unwrap()
    };
    let ct = Dicom { syntax: "1.2.840.10008.1.2.1.99", ..Dicom::ct(true, [2, 2], false, &[1, 2, 3, 4]) };
    let image = load_bytes("a", &deflated(&ct, 0)).unwrap();
    assert_eq!(image.samples(), &Samples::Real(vec![-1023.0, -1022.0, -1021.0, -1020.0]));
    assert_eq!(load_bytes("a", &deflated(&ct, 1 << 20)).unwrap(), image);
    let large = ct.clone().with((0x7fe0, 0x10), "OW", Some(&vec![0; 1 << 22]));
    let error = load_bytes("a", &deflated(&large, 0)).unwrap_err().to_string();
    assert!(error.contains("pixel data of 4194"), "{error}");
    let hidden = ct.clone().with((0x18, 0x1000), "UN", Some(&vec![0; 1 << 25]));
    let error = load_bytes("a", &deflated(&hidden, 0)).unwrap_err().to_string();
    assert!(error.contains("no pixel data within the first"), "{error}");
    let frames = ct.clone().with((0x28, 8), "IS", Some(b"9000")).with((0x28, 0x10), "US", Some(&[0, 0x40]));
    let frames = frames.with((0x28, 0x11), "US", Some(&[0, 1]));
    let error = load_frames("a", &deflated(&frames, 1 << 26)).unwrap_err().to_string();
    assert!(error.contains("expected at most 536870912 samples"), "{error}");
    let mut cut = deflated(&ct, 0);
    cut.truncate(cut.len() - 8);
    load_bytes("a", &cut).unwrap_err();
}

/// Damaged frames are errors or other pixels, never a panic.
#[test]
fn damaged_frames_are_survived() {
    let mut numbers = noise(11, 1 << 16).into_iter().cycle();
    let mut draw = || numbers.next().unwrap();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "dcm") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let start = bytes.windows(4).position(|w| w == [0x28, 0, 0x10, 0]).unwrap_or(200);
        for _ in 0..150 {
            let mut bytes = bytes.clone();
            for _ in 0..1 + draw() % 4 {
                let place = usize::from(draw()) << 8 | usize::from(draw());
                let at = start + place % (bytes.len() - start);
                bytes[at] = draw();
            }
            let _ = load_frames("a", &bytes);
            bytes.truncate(start + usize::from(draw()) * (bytes.len() - start) / 256);
            let _ = load_frames("a", &bytes);
        }
    }
}
