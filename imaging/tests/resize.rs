//! Resizing against Pillow 11.0 and OpenCV 5.0: their results for a computed image, as checksums.

mod common;

use common::{checksum, noise};
use niello_imaging::{
    Image, Preprocess, Samples,
    resize::{area, bilinear, centre_crop, cover},
};

/// The image that both libraries were given: `(37 x + 91 y + 13 x y + 50 c) mod 256`.
fn image(h: usize, w: usize, c: usize) -> Vec<u8> {
    let sample = |i: usize| {
        let (y, x, k) = (i / c / w, i / c % w, i % c);
        ((37 * x + 91 * y + 13 * x * y + 50 * k) % 256) as u8
    };
    (0..h * w * c).map(sample).collect()
}

#[test]
fn bilinear_is_pils_to_the_bit() {
    let small = bilinear(&image(5, 7, 1), [5, 7, 1], [3, 4]);
    assert_eq!(small, [61, 128, 127, 163, 151, 142, 148, 140, 106, 125, 142, 131]);
    for (shape, size, expected) in [
        ([5, 7, 1], [9, 13], 0x737d_199b_7bf1_a7ff),
        ([40, 31, 3], [17, 23], 0xdff1_2c4d_fbe2_171f),
        ([64, 64, 3], [224, 100], 0x0991_1a15_8171_6693),
        ([100, 333, 1], [7, 50], 0xd40b_e8d9_e413_a45d),
        ([33, 20, 3], [33, 9], 0x97ba_a72b_ec18_adf1),
        ([33, 20, 3], [11, 20], 0x1f89_4640_38d4_3485),
    ] {
        let [h, w, c] = shape;
        assert_eq!(checksum(&bilinear(&image(h, w, c), shape, size)), expected, "{shape:?} to {size:?}");
    }
}

#[test]
fn bilinear_of_real_values_is_pils_mode_f() {
    let real: Vec<f32> = image(5, 7, 1).iter().map(|v| f32::from(*v) - 100.25).collect();
    let expected: [f32; 12] = [
        -38.95068, 27.29857, 26.635715, 62.164967, 51.088623, 42.123333, 47.67889, 39.363758, 5.484693,
        25.252857, 41.252857, 30.30102,
    ];
    for (a, b) in bilinear(&real, [5, 7, 1], [3, 4]).iter().zip(expected) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn area_is_opencvs() {
    let halved = area(&image(8, 8, 1), [8, 8, 1], [4, 4]);
    assert_eq!(halved, [67, 154, 113, 136, 134, 145, 156, 103, 137, 136, 135, 134, 140, 127, 178, 165]);
    let oblong = area(&image(6, 8, 1), [6, 8, 1], [3, 2]);
    assert_eq!(oblong, [111, 125, 140, 130, 137, 135]);
    for (shape, size, expected) in [
        ([40, 30, 3], [20, 15], 0xc7a1_76ba_9bdb_d279),
        ([40, 31, 3], [17, 23], 0xad86_e36d_5ac2_e1ee),
        ([100, 333, 1], [7, 50], 0xd4d9_a300_4a14_f05f),
        ([12, 12, 3], [3, 4], 0x7668_efbb_1abd_03ec),
        ([30, 30, 1], [10, 10], 0x82b0_7a2e_a2cc_59aa),
    ] {
        let [h, w, c] = shape;
        assert_eq!(checksum(&area(&image(h, w, c), shape, size)), expected, "{shape:?} to {size:?}");
    }
    // A mean of 2.5: up where both sides are halved, else to even.
    assert_eq!(area(&[2u8, 3, 2, 3], [2, 2, 1], [1, 1]), [3]);
    assert_eq!(area(&[2u8, 3], [1, 2, 1], [1, 1]), [2]);
    assert_eq!(area(&[2.0f32, 3.0], [1, 2, 1], [1, 1]), [2.5]);
}

/// Every pair of sizes: down, up, one of each, whole factors, long and thin. `tests/vectors/resize.py` asked the libraries.
#[test]
fn every_mode_is_its_librarys_to_the_bit() {
    let mut wrong = Vec::new();
    let mut lines = 0;
    for line in include_str!("vectors/resize.txt").lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [library, sizes @ .., expected] = &words[..] else { panic!("{line}") };
        let sizes: Vec<usize> = sizes.iter().map(|n| n.parse().unwrap()).collect();
        let &[h, w, c, oh, ow, seed] = &sizes[..] else { panic!("{line}") };
        let (shape, size) = ([h, w, c], [oh, ow]);
        let image = noise(seed as u64, h * w * c);
        let real = || image.iter().map(|v| f32::from(*v) * 12.25 - 1024.0).collect::<Vec<f32>>();
        let bytes = |v: Vec<f32>| v.iter().flat_map(|v| v.to_le_bytes()).collect();
        let found: Vec<u8> = match *library {
            "area8" => area(&image, shape, size),
            "area32" => bytes(area(&real(), shape, size)),
            "pil8" => bilinear(&image, shape, size),
            "pil32" => bytes(bilinear(&real(), shape, size)),
            // Through the pre-processing: `Resize(n)` and `CenterCrop(m)` are a ratio of n / m.
            "cover" => {
                let text = format!("raw resize=shorter-side-crop:{oh}/{ow}");
                let preprocess = Preprocess::parse(&text).unwrap();
                let stored = Image::new("noise", shape, Samples::U8(image)).unwrap();
                let found = preprocess.apply(&stored, [ow, ow], c).unwrap();
                found.iter().map(|v| *v as u8).collect()
            }
            other => panic!("{other}"),
        };
        lines += 1;
        if format!("{:x}", checksum(&found)) != *expected {
            wrong.push(line);
        }
    }
    assert_eq!(lines, 1160);
    assert!(wrong.is_empty(), "{} of {lines}: {:?}", wrong.len(), &wrong[..wrong.len().min(20)]);
}

#[test]
fn an_even_image_stays_even() {
    for size in [[1, 1], [3, 50], [50, 3], [31, 31]] {
        assert!(bilinear(&[77u8; 20 * 10 * 3], [20, 10, 3], size).iter().all(|v| *v == 77));
        assert!(area(&[77u8; 20 * 10 * 3], [20, 10, 3], size).iter().all(|v| *v == 77));
    }
}

#[test]
fn cover_and_crop_are_torchvisions() {
    assert_eq!(cover([512, 512], [256, 256]), [256, 256]);
    assert_eq!(cover([400, 807], [256, 256]), [256, 516]);
    assert_eq!(cover([807, 400], [256, 256]), [516, 256]);
    assert_eq!(cover([100, 100], [20, 40]), [40, 40]);
    assert_eq!(cover([100, 300], [20, 40]), [20, 60]);
    // Margins of 1/2, 3/2 and 5/2 pixels.
    for (from, top) in [(3, 0), (5, 2), (7, 2)] {
        let column: Vec<u8> = (0..from).collect();
        assert_eq!(centre_crop(&column, [column.len(), 1, 1], [2, 1]), [top, top + 1]);
    }
}
