//! Whatever the bytes, one error that names the file; never a panic, never half an image.

mod common;

use common::{Dicom, jpeg, noise, npy, png};
use niello_imaging::{Palette, list_images, load, load_bytes, write_label_png, write_npy, write_overlay_png};
use proptest::prelude::*;

fn good_files() -> Vec<(&'static str, Vec<u8>)> {
    let ramp: Vec<u8> = (0..=255).collect();
    let words: Vec<u16> = (0..256).collect();
    vec![
        ("gray.png", png(&ramp, 16, 16, png::ColorType::Grayscale, png::BitDepth::Eight)),
        ("deep.png", png(&ramp, 16, 8, png::ColorType::Grayscale, png::BitDepth::Sixteen)),
        ("rgba.png", png(&ramp, 8, 8, png::ColorType::Rgba, png::BitDepth::Eight)),
        ("gray.jpg", jpeg(&ramp, 16, 16, jpeg_encoder::ColorType::Luma)),
        ("rgb.jpg", jpeg(&ramp[..192], 8, 8, jpeg_encoder::ColorType::Rgb)),
        ("progressive.jpg", progressive(&noise(5, 17 * 9 * 3), 17, 9)),
        ("hu.npy", npy("<i2", "(16, 8)", &ramp)),
        ("explicit.dcm", Dicom::ct(true, [16, 16], false, &words).bytes()),
        ("implicit.dcm", Dicom::ct(false, [16, 16], true, &words).bytes()),
    ]
}

/// A progressive JPEG with chroma of half the size.
fn progressive(data: &[u8], w: u16, h: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 90);
    encoder.set_progressive(true);
    encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_2_2);
    encoder.encode(data, w, h, jpeg_encoder::ColorType::Rgb).unwrap();
    bytes
}

fn error(name: &str, bytes: &[u8]) -> String {
    let error = load_bytes(name, bytes).expect_err(name).to_string();
    assert!(error.starts_with(&format!("{name}: ")), "{error}");
    error
}

#[test]
fn every_prefix_of_a_file_is_an_error_with_its_name() {
    for (name, bytes) in good_files() {
        load_bytes(name, &bytes).unwrap();
        for length in 0..bytes.len() {
            // A PNG without its last chunk is a whole image: the result must be the image.
            if let Ok(image) = load_bytes(name, &bytes[..length]) {
                assert_eq!(
                    image,
                    load_bytes(name, &bytes).unwrap(),
                    "{name}, {length} of {} bytes",
                    bytes.len()
                );
                assert!(bytes.len() - length <= 16, "{name}: {length} of {} bytes are enough", bytes.len());
            } else {
                error(name, &bytes[..length]);
            }
        }
    }
}

#[test]
fn every_flipped_byte_is_survived() {
    for (name, bytes) in good_files() {
        for at in 0..bytes.len() {
            for value in [0, 0x7f, 0x80, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] = value;
                let _ = load_bytes(name, &bytes);
            }
        }
    }
}

#[test]
fn errors_say_what_was_expected_and_found() {
    let ct = || Dicom::ct(true, [2, 2], false, &[0; 4]);
    let rgb = |planar: u8| {
        Dicom::ct(true, [1, 1], false, &[])
            .with((0x28, 2), "US", Some(&[3, 0]))
            .with((0x28, 4), "CS", Some(b"RGB "))
            .with((0x28, 6), "US", Some(&[planar, 0]))
            .with((0x28, 0x100), "US", Some(&[8, 0]))
            .with((0x28, 0x101), "US", Some(&[8, 0]))
            .with((0x28, 0x102), "US", Some(&[7, 0]))
            .with((0x7fe0, 0x10), "OB", Some(&[1, 2, 3, 0]))
    };
    // The first element in the other order of bytes.
    let swapped = |file: &Dicom| {
        let mut bytes = file.bytes();
        let at = bytes.windows(4).position(|w| w == [8, 0, 0x60, 0]).unwrap();
        bytes[at..at + 4].copy_from_slice(&[0, 8, 0, 0x60]);
        bytes
    };
    for (name, bytes, words) in [
        ("empty", vec![], "an empty file"),
        (
            "text.png",
            b"hello world".to_vec(),
            "expected a PNG, JPEG, DICOM (part 10) or NPY file, found 11 bytes",
        ),
        ("one.npy", npy("<i2", "(4,)", &[0; 8]), "[H, W, C], found shape [4]"),
        ("short.npy", npy("<i2", "(2, 2)", &[0; 6]), "takes 8 bytes, found 6"),
        ("long.npy", npy("<i2", "(2, 2)", &[0; 10]), "takes 8 bytes, found 10"),
        ("type.npy", npy("<c8", "(1, 1)", &[0; 8]), "found `<c8`"),
        ("huge.npy", npy("<i2", "(9999999, 99999999)", &[0; 8]), "samples"),
        ("wrap.npy", npy("<i2", "(4294967296, 4294967296)", &[]), "samples"),
        ("none.npy", npy("<i2", "(0, 4)", &[]), "found 0x4x1"),
        ("nan.npy", npy("<f4", "(1, 2)", &[0, 0, 0, 0, 0, 0, 0xc0, 0x7f]), "NaN at row 0, column 1"),
        ("five.npy", npy("|u1", "(1, 1, 5)", &[0; 5]), "1 or 3 channels, found 5"),
        ("jpeg_xl.dcm", Dicom { syntax: "1.2.840.10008.1.2.4.110", ..ct() }.bytes(), "(JPEG XL)"),
        (
            "plain.dcm",
            Dicom { syntax: "1.2.840.10008.1.2.4.70", ..ct() }.bytes(),
            "pixel data is not encapsulated",
        ),
        ("frames.dcm", ct().with((0x28, 8), "IS", Some(b"12")).bytes(), "found 12 frames"),
        ("rows.dcm", ct().with((0x28, 0x10), "US", None).bytes(), "no Rows (0028,0010)"),
        ("pixels.dcm", ct().with((0x7fe0, 0x10), "OW", None).bytes(), "no pixel data"),
        ("short.dcm", ct().with((0x7fe0, 0x10), "OW", Some(&[0; 6])).bytes(), "take 8 bytes, found 6"),
        ("slope.dcm", ct().with((0x28, 0x1053), "DS", Some(b"one ")).bytes(), "is `one`, expected a number"),
        ("flat.dcm", ct().with((0x28, 0x1053), "DS", Some(b"0 ")).bytes(), "slope is 0"),
        ("bits.dcm", ct().with((0x28, 0x100), "US", Some(&[24, 0])).bytes(), "found 24 allocated"),
        ("high.dcm", ct().with((0x28, 0x102), "US", Some(&[3, 0])).bytes(), "high bit 3"),
        ("ybr.dcm", ct().with((0x28, 4), "CS", Some(b"YBR_FULL")).bytes(), "found `YBR_FULL`"),
        (
            "signed.dcm",
            ct().with((0x28, 0x103), "US", Some(&[2, 0])).bytes(),
            "pixel representation (0028,0103) is 2",
        ),
        ("twice.dcm", ct().twice((0x28, 0x10)).bytes(), "the element (0028,0010) comes twice"),
        ("smaller.dcm", ct().with((0x28, 0x10), "US", Some(&[1, 0])).bytes(), "take 4 bytes, found 8"),
        ("planar.dcm", rgb(2).bytes(), "planar configuration is 2"),
        (
            "deep.dcm",
            rgb(0).with((0x28, 0x101), "US", Some(&[7, 0])).with((0x28, 0x102), "US", Some(&[6, 0])).bytes(),
            "7 bits",
        ),
        (
            "palette.dcm",
            ct().with((0x28, 4), "CS", Some(b"PALETTE COLOR ")).bytes(),
            "the palette (0028,1101) has no descriptor",
        ),
        ("big.dcm", Dicom { syntax: "1.2.840.10008.1.2.2", ..ct() }.bytes(), "looks like little endian"),
        ("swapped.dcm", swapped(&ct()), "looks like big endian"),
        (
            "report.dcm",
            ct().class("1.2.840.10008.5.1.4.1.1.88.11").bytes(),
            "a DICOM structured report: it holds no image",
        ),
        (
            "DICOMDIR",
            ct().class("1.2.840.10008.1.3.10").bytes(),
            "a DICOMDIR, the directory of a medium: it holds no image",
        ),
        ("wide.dcm", ct().with((0x28, 2), "US", Some(&[9])).bytes(), "has 1 bytes, expected 2"),
    ] {
        let error = error(name, &bytes);
        assert!(error.contains(words), "{error}");
    }
}

/// A JPEG of 8x8 RGB pixels with one byte of its frame header (from the marker on) or of its scan header changed.
#[test]
fn jpeg_of_other_kinds_and_damaged_ones_say_why() {
    let good = jpeg(&(0..192).collect::<Vec<u8>>(), 8, 8, jpeg_encoder::ColorType::Rgb);
    let find = |marker: u8| good.windows(2).position(|w| w == [0xff, marker]).unwrap();
    let (frame, scan) = (find(0xc0), find(0xda));
    let patched = |from: usize, patches: &[(usize, u8)]| {
        let mut bytes = good.clone();
        patches.iter().for_each(|(at, value)| bytes[from + at] = *value);
        bytes
    };
    let cases = [
        (patched(frame, &[(1, 0xc3)]), "JPEG with lossless coding, which is not read"),
        (patched(frame, &[(1, 0xc6)]), "hierarchical coding"),
        (patched(frame, &[(1, 0xc9)]), "arithmetic coding"),
        (patched(frame, &[(4, 12)]), "12 bits a sample"),
        (patched(frame, &[(6, 0)]), "DNL"),
        (patched(frame, &[(8, 0)]), "found 8x0x3"),
        (patched(frame, &[(5, 0xff), (7, 0xff)]), "samples"),
        (patched(frame, &[(11, 0x31), (14, 0x21)]), "sampling factors 2x1 of 3x1"),
        (patched(frame, &[(11, 0x51)]), "sampling factors"),
        (patched(frame, &[(13, good[frame + 10])]), "a frame header of another form"),
        (patched(frame, &[(12, 3)]), "no quantisation table 3"),
        // Twice as high: the scan ends in the middle.
        (patched(frame, &[(6, 16)]), "a scan ends within a code"),
        (patched(scan, &[(5, 9)]), "component 9 that is not there"),
        (patched(scan, &[(6, 0x22)]), "a Huffman table is missing"),
        (patched(0, &[(scan + 1, 0xd8)]), "a second start marker"),
        ([&good[..frame], &good[scan..]].concat(), "a scan before the frame header"),
        ([&good[..frame], &good[frame..scan], &good[frame..]].concat(), "two frame headers"),
        ([&good[..scan], &[0xff, 0xd9]].concat(), "no scan of component"),
        ([&good[..good.len() - 2], &[0xff, 0xda, 0, 3, 1]].concat(), "a scan header of another form"),
        (good[..good.len() - 2].to_vec(), "no end marker"),
    ];
    for (bytes, words) in cases {
        let error = error("a.jpg", &bytes);
        assert!(error.contains(words), "{error}, expected {words}");
    }
    // A progressive file is its scans: without one of them it is refused, not blurred.
    let progressive = progressive(&noise(3, 16 * 16 * 3), 16, 16);
    load_bytes("a.jpg", &progressive).unwrap();
    let scans: Vec<usize> =
        (0..progressive.len() - 1).filter(|at| progressive[*at..*at + 2] == [0xff, 0xda]).collect();
    assert!(scans.len() > 2, "{scans:?}");
    for (at, end) in scans.iter().zip(scans[1..].iter().chain(&[progressive.len() - 2])) {
        let less = [&progressive[..*at], &progressive[*end..]].concat();
        assert!(error("a.jpg", &less).contains("scan"), "{}", error("a.jpg", &less));
    }
}

#[test]
fn a_claimed_length_takes_no_memory() {
    let mut bytes = Dicom::ct(true, [2, 2], false, &[0; 4]).bytes();
    let length = bytes.len() - 8 - 4;
    bytes[length..length + 4].copy_from_slice(&0xffff_fffeu32.to_le_bytes());
    assert!(error("huge.dcm", &bytes).contains("claims 4294967294 bytes"));
}

#[test]
fn deep_nesting_is_survived() {
    let mut deep = Vec::new();
    for _ in 0..100_000 {
        deep.extend([0xfe, 0xff, 0x00, 0xe0, 0xff, 0xff, 0xff, 0xff]);
        deep.extend([0x40, 0, 0x10, 0, 0xff, 0xff, 0xff, 0xff]);
    }
    let file = Dicom::ct(false, [1, 1], false, &[0]).with((8, 0x1140), "SQ*", Some(&deep));
    error("deep.dcm", &file.bytes());
}

#[test]
fn files_and_folders_that_are_not_there_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = load(dir.path().join("none.png")).unwrap_err().to_string();
    assert!(error.starts_with("cannot read") && error.contains("none.png"), "{error}");
    let error = list_images(dir.path(), true).unwrap_err().to_string();
    assert!(error.contains("found none"), "{error}");
    let error = list_images(dir.path().join("none"), false).unwrap_err().to_string();
    assert!(error.starts_with("cannot list folder"), "{error}");
}

#[test]
fn what_cannot_be_written_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing/out.png");
    let error = write_label_png(&missing, &[0; 4], [2, 2], None).unwrap_err().to_string();
    assert!(error.starts_with("cannot write") && error.contains("missing"), "{error}");
    let path = dir.path().join("out");
    write_label_png(&path, &[0; 3], [2, 2], None).unwrap_err();
    write_overlay_png(&path, &[0; 4], &[0; 3], [2, 2], &Palette::default()).unwrap_err();
    write_npy(&path, niello_imaging::NpyData::U8(&[0; 4]), &[5]).unwrap_err();
    // A folder in the way: the rename fails, the temporary file goes.
    std::fs::create_dir(&path).unwrap();
    write_label_png(&path, &[0; 4], [2, 2], None).unwrap_err();
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["out"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(which in 0usize..5, body in proptest::collection::vec(any::<u8>(), 0..600)) {
        let magic: &[u8] = match which {
            0 => b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR",
            1 => b"\xff\xd8\xff\xe0",
            2 => b"\x93NUMPY\x01\x00\x40\x00",
            3 => &[[0; 128].as_slice(), b"DICM"].concat(),
            _ => b"",
        };
        let _ = load_bytes("random", &[magic, &body].concat());
    }

    #[test]
    fn no_damage_panics(
        file in 0usize..9,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let (name, mut bytes) = good_files().swap_remove(file);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = load_bytes(name, &bytes);
        bytes.truncate(cut.index(bytes.len()));
        let _ = load_bytes(name, &bytes);
    }
}
