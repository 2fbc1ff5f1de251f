//! Every format is read as its standard says.

mod common;

use common::{Dicom, checksum, jpeg, npy, png, sequence};
use niello_imaging::{Image, Samples, load_bytes};

fn shape(p: &Image) -> [usize; 3] {
    [p.height(), p.width(), p.channels()]
}

fn u8s(p: &Image) -> &[u8] {
    match p.samples() {
        Samples::U8(v) => v,
        Samples::Real(_) => panic!("real values"),
    }
}

fn reals(p: &Image) -> &[f32] {
    match p.samples() {
        Samples::Real(v) => v,
        Samples::U8(_) => panic!("8-bit samples"),
    }
}

#[test]
fn png_of_every_kind_becomes_8_bit_gray_or_rgb() {
    use png::{BitDepth::*, ColorType::*};
    type Case = (&'static str, Vec<u8>, [usize; 3], &'static [u8]);
    let cases: [Case; 8] = [
        ("gray", png(&[0, 7, 255, 9], 2, 2, Grayscale, Eight), [2, 2, 1], &[0, 7, 255, 9]),
        ("gray 1 bit", png(&[0b1010_0000], 3, 1, Grayscale, One), [1, 3, 1], &[255, 0, 255]),
        ("gray alpha", png(&[5, 0, 6, 255], 2, 1, GrayscaleAlpha, Eight), [1, 2, 1], &[5, 6]),
        ("rgb", png(&[1, 2, 3, 4, 5, 6], 1, 2, Rgb, Eight), [2, 1, 3], &[1, 2, 3, 4, 5, 6]),
        ("rgba", png(&[1, 2, 3, 0, 4, 5, 6, 128], 2, 1, Rgba, Eight), [1, 2, 3], &[1, 2, 3, 4, 5, 6]),
        ("palette", png(&[0, 1], 2, 1, Indexed, Eight), [1, 2, 3], &[10, 20, 30, 200, 100, 50]),
        // 0x8080 / 257 = 128; 0x80ff = 33023 / 257 = 128.49; 0x8101 = 33025 / 257 = 128.502.
        (
            "gray 16",
            png(&[0x80, 0x80, 0x80, 0xff, 0x81, 0x01], 3, 1, Grayscale, Sixteen),
            [1, 3, 1],
            &[128, 128, 129],
        ),
        (
            "rgba 16",
            png(&[0xff, 0xff, 0, 0, 0x12, 0x12, 0, 1], 1, 1, Rgba, Sixteen),
            [1, 1, 3],
            &[255, 0, 0x12],
        ),
    ];
    for (name, bytes, expected_shape, expected) in cases {
        let image = load_bytes(name, &bytes).unwrap();
        assert_eq!(shape(&image), expected_shape, "{name}");
        assert_eq!(u8s(&image), expected, "{name}");
    }
}

#[test]
fn jpeg_keeps_gray_gray_and_colour_rgb() {
    let gray: Vec<u8> = (0..64).map(|i| i * 3).collect();
    let image = load_bytes("gray", &jpeg(&gray, 8, 8, jpeg_encoder::ColorType::Luma)).unwrap();
    assert_eq!(shape(&image), [8, 8, 1]);
    assert!(u8s(&image).iter().zip(&gray).all(|(a, b)| a.abs_diff(*b) <= 2));

    let rgb = [200, 40, 90].repeat(17 * 9);
    let image = load_bytes("rgb", &jpeg(&rgb, 17, 9, jpeg_encoder::ColorType::Rgb)).unwrap();
    assert_eq!(shape(&image), [9, 17, 3]);
    assert!(u8s(&image).iter().zip(&rgb).all(|(a, b)| a.abs_diff(*b) <= 3));
}

#[test]
fn npy_of_every_element_type_is_read() {
    let le = |v: [i16; 2]| v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let cases: [(&str, Vec<u8>, &[f32]); 8] = [
        ("<i2", le([-1024, 300]), &[-1024.0, 300.0]),
        (">i2", vec![0xfc, 0x00, 0x01, 0x2c], &[-1024.0, 300.0]),
        ("<u2", vec![0xff, 0xff, 1, 0], &[65535.0, 1.0]),
        ("|i1", vec![0x80, 1], &[-128.0, 1.0]),
        ("<i4", [-70000i32, 5].iter().flat_map(|v| v.to_le_bytes()).collect(), &[-70000.0, 5.0]),
        ("<f4", [0.25f32, -3.5].iter().flat_map(|v| v.to_le_bytes()).collect(), &[0.25, -3.5]),
        ("<f8", [0.25f64, -3.5].iter().flat_map(|v| v.to_le_bytes()).collect(), &[0.25, -3.5]),
        (">f4", [0.25f32, -3.5].iter().flat_map(|v| v.to_be_bytes()).collect(), &[0.25, -3.5]),
    ];
    for (descr, data, expected) in cases {
        let image = load_bytes(descr, &npy(descr, "(1, 2)", &data)).unwrap();
        assert_eq!((shape(&image), reals(&image)), ([1, 2, 1], expected), "{descr}");
    }
    let rgba = load_bytes("rgba", &npy("|u1", "(1, 2, 4)", &[1, 2, 3, 9, 4, 5, 6, 9])).unwrap();
    assert_eq!((shape(&rgba), u8s(&rgba)), ([1, 2, 3], &[1, 2, 3, 4, 5, 6][..]));
}

#[test]
fn dicom_samples_are_rescaled_whatever_their_representation() {
    for explicit in [true, false] {
        let unsigned = Dicom::ct(explicit, [1, 3], false, &[0, 1024, 65535]);
        let image = load_bytes("unsigned", &unsigned.bytes()).unwrap();
        assert_eq!((shape(&image), reals(&image)), ([1, 3, 1], &[-1024.0, 0.0, 64511.0][..]));

        let signed = Dicom::ct(explicit, [3, 1], true, &[0xfc18, 0, 5])
            .with((0x28, 0x1052), "DS", Some(b"0.5 "))
            .with((0x28, 0x1053), "DS", Some(b" 2.5"));
        let image = load_bytes("signed", &signed.bytes()).unwrap();
        assert_eq!((shape(&image), reals(&image)), ([3, 1, 1], &[-2499.5, 0.5, 13.0][..]));
    }
}

#[test]
fn dicom_low_is_white_turns_intensities_but_not_hounsfield_units() {
    let ct = Dicom::ct(true, [1, 2], false, &[0, 100]).with((0x28, 4), "CS", Some(b"MONOCHROME1 "));
    assert_eq!(reals(&load_bytes("ct", &ct.bytes()).unwrap()), [-1024.0, -924.0]);
    let film = ct
        .with((8, 0x60), "CS", Some(b"DX"))
        .with((0x28, 0x100), "US", Some(&[8, 0]))
        .with((0x28, 0x101), "US", Some(&[8, 0]))
        .with((0x28, 0x102), "US", Some(&[7, 0]))
        .with((0x28, 0x1052), "DS", None)
        .with((0x28, 0x1053), "DS", None)
        .with((0x7fe0, 0x10), "OW", Some(&[0, 100]));
    assert_eq!(u8s(&load_bytes("film", &film.bytes()).unwrap()), [255, 155]);
    let twelve_bits = Dicom::ct(false, [1, 2], false, &[0, 0xf064])
        .with((8, 0x60), "CS", Some(b"DX"))
        .with((0x28, 4), "CS", Some(b"MONOCHROME1 "))
        .with((0x28, 0x101), "US", Some(&[12, 0]))
        .with((0x28, 0x102), "US", Some(&[11, 0]))
        .with((0x28, 0x1052), "DS", None);
    assert_eq!(reals(&load_bytes("12", &twelve_bits.bytes()).unwrap()), [4095.0, 3995.0]);
}

/// Each sequence with defined and undefined lengths; the VR to write it with.
const LENGTHS: [(bool, &str); 2] = [(false, "SQ"), (true, "SQ*")];

/// As `pydicom.pixels.apply_modality_lut`: before any slope, ends repeated, the first stored value signed as the pixels are.
#[test]
fn dicom_modality_tables_are_applied() {
    let words = |v: &[u16]| v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    for explicit in [true, false] {
        for (undefined, vr) in LENGTHS {
            let read = |signed: bool, stored: &[u16], first: u16, bits: u16, entries: u16, data: &[u8]| {
                let descriptor = words(&[entries, first, bits]);
                let (tag, kind) = ((0x28, 0x3002), if signed { "SS" } else { "US" });
                let table = [(tag, kind, &descriptor[..]), ((0x28, 0x3006), "OW", data)];
                let table = sequence(explicit, undefined, &table);
                let file = Dicom::ct(explicit, [1, stored.len() as u16], signed, stored);
                load_bytes("lut", &file.with((0x28, 0x3000), vr, Some(&table)).bytes())
                    .map(|p| reals(&p).to_vec())
            };
            let table = words(&[7, 100, 65535]);
            assert_eq!(
                read(false, &[0, 5, 6, 7, 8, 65535], 5, 16, 3, &table).unwrap(),
                [7., 7., 100., 65535., 65535., 65535.]
            );
            let found = read(true, &[0x8000, 0xffff, 0, 1, 2, 9], 0xffff, 16, 3, &table).unwrap();
            assert_eq!(found, [7., 7., 100., 65535., 65535., 65535.]);
            // Entries of 8 bits, in words and packed; 0 entries are 65536.
            assert_eq!(read(false, &[0, 1, 2], 0, 8, 3, &words(&[3, 2, 1])).unwrap(), [3., 2., 1.]);
            assert_eq!(read(false, &[0, 1, 2], 0, 8, 3, &[3, 2, 1, 0]).unwrap(), [3., 2., 1.]);
            let all: Vec<u16> = (0..=65535).rev().collect();
            assert_eq!(read(false, &[0, 65535], 0, 16, 0, &words(&all)).unwrap(), [65535., 0.]);
            for (bits, data, expected) in
                [(16, &table[..4], "has 4 bytes for 3 entries"), (7, &table, "entries of 7 bits")]
            {
                let error = read(false, &[0], 0, bits, 3, data).unwrap_err().to_string();
                assert!(
                    error.contains("the modality table (0028,3000)") && error.contains(expected),
                    "{error}"
                );
            }
        }
    }
    // Low is white: inverted within the table's range.
    let table = sequence(
        true,
        false,
        &[((0x28, 0x3002), "US", &words(&[2, 0, 10])), ((0x28, 0x3006), "US", &words(&[0, 1000]))],
    );
    let film = Dicom::ct(true, [1, 2], false, &[0, 1])
        .with((8, 0x60), "CS", Some(b"DX"))
        .with((0x28, 4), "CS", Some(b"MONOCHROME1 "))
        .with((0x28, 0x3000), "SQ", Some(&table));
    assert_eq!(reals(&load_bytes("film", &film.bytes()).unwrap()), [1023.0, 23.0]);
    let broken =
        Dicom::ct(true, [1, 1], false, &[0]).with((0x28, 0x3000), "SQ", Some(&sequence(true, false, &[])));
    let error = load_bytes("broken", &broken.bytes()).unwrap_err().to_string();
    assert!(error.contains("no descriptor"), "{error}");
}

#[test]
fn dicom_functional_groups_hold_the_rescale_of_enhanced_files() {
    for explicit in [true, false] {
        for (undefined, vr) in LENGTHS {
            let group = |slope: &[u8]| {
                let elements: [((u16, u16), &str, &[u8]); 2] =
                    [((0x28, 0x1052), "DS", b"-10 "), ((0x28, 0x1053), "DS", slope)];
                let transformation = sequence(explicit, undefined, &elements);
                sequence(explicit, undefined, &[((0x28, 0x9145), vr, &transformation)])
            };
            let other =
                sequence(explicit, undefined, &[((0x18, 0x9006), vr, &sequence(explicit, undefined, &[]))]);
            let read = |shared: Option<&[u8]>, frame: Option<&[u8]>, own: bool| {
                let mut file = Dicom::ct(explicit, [1, 2], false, &[0, 3]).with((0x28, 8), "IS", Some(b"1 "));
                if !own {
                    file = file.with((0x28, 0x1052), "DS", None).with((0x28, 0x1053), "DS", None);
                }
                // Groups come before the pixel data.
                let file = file
                    .with((0x5200, 0x9229), if shared == Some(&[]) { "SQ" } else { vr }, shared)
                    .with((0x5200, 0x9230), vr, frame);
                reals(&load_bytes("enhanced", &file.bytes()).unwrap()).to_vec()
            };
            assert_eq!(read(Some(&group(b"2 ")), None, false), [-10.0, -4.0]);
            assert_eq!(read(Some(&group(b"2 ")), Some(&group(b"3 ")), true), [-10.0, -1.0]);
            assert_eq!(read(Some(&other), Some(&other), false), [0.0, 3.0], "stored values");
            assert_eq!(read(Some(&other), None, true), [-1024.0, -1021.0], "the file's own");
            assert_eq!(read(Some(&[]), None, false), [0.0, 3.0], "an empty sequence");
        }
    }
}

/// The encoding of the elements counts, as for pydicom.
#[test]
fn dicom_with_the_other_uncompressed_syntax_in_its_header_is_read() {
    for explicit in [true, false] {
        let right = Dicom::ct(explicit, [16, 16], false, &(0..256).collect::<Vec<u16>>());
        let other = Dicom::ct(!explicit, [1, 1], false, &[]).syntax;
        let lying = Dicom { syntax: other, ..right.clone() };
        assert_eq!(
            reals(&load_bytes("a", &lying.bytes()).unwrap()),
            reals(&load_bytes("a", &right.bytes()).unwrap())
        );
    }
}

#[test]
fn dicom_colour_is_read_by_pixel_and_by_plane() {
    let rgb = |planar: u8, data: &[u8]| {
        let file = Dicom::ct(true, [1, 2], false, &[])
            .with((8, 0x60), "CS", Some(b"OT"))
            .with((0x28, 2), "US", Some(&[3, 0]))
            .with((0x28, 4), "CS", Some(b"RGB "))
            .with((0x28, 6), "US", Some(&[planar, 0]))
            .with((0x28, 0x100), "US", Some(&[8, 0]))
            .with((0x28, 0x101), "US", Some(&[8, 0]))
            .with((0x28, 0x102), "US", Some(&[7, 0]))
            .with((0x7fe0, 0x10), "OB", Some(data));
        u8s(&load_bytes("rgb", &file.bytes()).unwrap()).to_vec()
    };
    assert_eq!(rgb(0, &[1, 2, 3, 4, 5, 6]), [1, 2, 3, 4, 5, 6]);
    assert_eq!(rgb(1, &[1, 4, 2, 5, 3, 6]), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn dicom_sequences_of_undefined_length_are_passed_over() {
    // A sequence of one item, both of undefined length, that holds an element and a sequence of its own.
    let short: [u8; 6] = [0xfe, 0xff, 0x00, 0xe0, 0xff, 0xff];
    let end = |element: u8| [0xfe, 0xff, element, 0xe0, 0, 0, 0, 0];
    for explicit in [true, false] {
        let mut sequence = [&short[..], &[0xff, 0xff]].concat();
        let rows: &[u8] =
            if explicit { &[0x28, 0, 0x10, 0, b'U', b'S', 2, 0] } else { &[0x28, 0, 0x10, 0, 2, 0, 0, 0] };
        sequence.extend([rows, &[99, 0]].concat());
        let inner: &[u8] = if explicit { &[0x40, 0, 0x10, 0, b'S', b'Q', 0, 0] } else { &[0x40, 0, 0x10, 0] };
        sequence.extend([inner, &[0xff; 4], &end(0xdd)].concat());
        sequence.extend([end(0x0d), end(0xdd)].concat());
        let file =
            Dicom::ct(explicit, [1, 2], false, &[1024, 1025]).with((0x8, 0x1140), "SQ*", Some(&sequence));
        let image = load_bytes("sequence", &file.bytes()).unwrap();
        assert_eq!(reals(&image), [0.0, 1.0], "explicit: {explicit}");
    }
}

/// `tests/vectors/jpeg.py` asked libjpeg-turbo: narrow images, every chroma sampling, progressive, restart markers, trailers.
#[test]
fn jpeg_is_libjpeg_turbos_to_the_bit() {
    let mut rest: &[u8] = include_bytes!("vectors/jpeg.bin");
    let mut files = 0;
    while let Some((head, tail)) = rest.split_first_chunk::<15>() {
        let word = |at: usize| usize::from(u16::from_le_bytes([head[at], head[at + 1]]));
        let (bytes, after) = tail.split_at(word(0));
        let image = load_bytes("a.jpg", bytes).unwrap_or_else(|e| panic!("file {files}: {e}"));
        assert_eq!(shape(&image), [word(3), word(5), head[2].into()], "file {files}");
        let expected = u64::from_le_bytes(*head[7..].first_chunk().unwrap());
        assert_eq!(checksum(u8s(&image)), expected, "file {files}, {}x{}", word(3), word(5));
        (rest, files) = (after, files + 1);
    }
    assert!(rest.is_empty() && files > 100, "{files} files");
}
