//! Real files, which are not part of the project: `../shared` beside the checkout, or `NIELLO_SHARED`.

mod common;

use common::shared;
use dicom_object::Tag;
use niello_imaging::{Image, Preprocess, Samples, list_images, load};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A tensor `[1, c, h, w]` of a safetensors file, as `[h, w, c]`.
fn golden(path: &Path, name: &str) -> ([usize; 3], Vec<f32>) {
    let bytes = fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor = file.tensor(name).unwrap();
    let &[1, c, h, w] = tensor.shape() else { panic!("{:?}", tensor.shape()) };
    let chw: Vec<f32> =
        tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    ([h, w, c], (0..h * w * c).map(|i| chw[i % c * (h * w) + i / c]).collect())
}

/// The reference inputs come from PIL and OpenCV.
#[test]
fn inputs_of_the_w251_networks_are_their_goldens() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("data/ct/covidnet");
    let image = load(folder.join("IMG-0001-00040.jpg")).unwrap();
    for (file, text) in [
        ("golden_w251_squeezenet_IMG40.safetensors", "imagenet"),
        ("golden_w251_baseline_cnn_IMG40.safetensors", "raw resize=area"),
    ] {
        let ([h, w, c], expected) = golden(&folder.join(file), "input");
        let found = Preprocess::parse(text).unwrap().apply(&image, [h, w], c).unwrap();
        assert_eq!(found.len(), expected.len());
        let wrong = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
        assert_eq!(wrong, 0, "{file}: {wrong} of {} differ", found.len());
    }
}

#[test]
fn every_shared_image_is_read() {
    let Some(shared) = shared() else { return };
    let mut read = 0;
    for folder in ["data/ct", "trained"] {
        for path in list_images(shared.join(folder), true).unwrap() {
            if path.to_string_lossy().ends_with("_lungmask.npy") {
                let error = load(&path).unwrap_err().to_string();
                assert!(error.contains("found shape [32768]"), "{error}");
                continue;
            }
            let image = load(&path).unwrap();
            let pixels = image.height() * image.width();
            assert!(pixels >= 100 * 100, "{}: {pixels} pixels", path.display());
            let stretched = Preprocess::parse("minmax resize=stretch").unwrap();
            assert_eq!(stretched.apply(&image, [32, 32], 3).unwrap().len(), 32 * 32 * 3);
            read += 1;
        }
    }
    assert!(read >= 100, "{read} images");
}

#[test]
fn dicom_values_are_those_of_an_independent_reader() {
    let Some(shared) = shared() else { return };
    for path in list_images(shared.join("data/ct/dicom"), false).unwrap() {
        let object = dicom_object::open_file(&path).unwrap();
        let number = |group, element| object.element(Tag(group, element)).unwrap().to_float64().unwrap();
        let (slope, intercept) = (number(0x28, 0x1053), number(0x28, 0x1052));
        let signed = number(0x28, 0x103) == 1.0;
        let bytes = object.element(Tag(0x7fe0, 0x10)).unwrap().to_bytes().unwrap().into_owned();
        let expected = bytes.chunks_exact(2).map(|b| {
            let stored = u16::from_le_bytes([b[0], b[1]]);
            let stored = if signed { f64::from(stored as i16) } else { f64::from(stored) };
            (stored * slope + intercept) as f32
        });
        let image = load(&path).unwrap();
        assert_eq!((image.height() as f64, image.width() as f64), (number(0x28, 0x10), number(0x28, 0x11)));
        let Samples::Real(found) = image.samples() else { panic!("8-bit samples") };
        assert!(found.iter().copied().eq(expected), "{}", path.display());
        let air = found.iter().filter(|v| **v < -900.0).count();
        assert!(air > found.len() / 20, "{}: a chest CT has air", path.display());
    }
}

#[test]
fn a_ct_slice_enters_every_kind_of_network() {
    let Some(shared) = shared() else { return };
    let slice: Image = load(shared.join("data/ct/hu/lung1_z24.npy")).unwrap();
    for (text, size, channels, range) in [
        ("window:-600,1500", [512, 512], 1, 0.0..=1.0),
        ("hu:1024", [512, 512], 1, 0.0..=2509.0),
        ("minmax", [512, 512], 1, 0.0..=1.0),
        ("imagenet window=-600,1500", [224, 224], 3, -2.2..=2.7),
        ("raw window=-600,1500 resize=area", [256, 256], 1, 0.0..=255.0),
        ("standardize window=-600,1500", [512, 512], 3, -4.0..=4.0),
        ("mean-std:0.45,0.225 window=-600,1500 resize=stretch", [227, 227], 3, -2.01..=2.45),
    ] {
        let found = Preprocess::parse(text).unwrap().apply(&slice, size, channels).unwrap();
        assert_eq!(found.len(), size[0] * size[1] * channels, "{text}");
        assert!(found.iter().all(|v| range.contains(v)), "{text}");
    }
}

/// A folder of `../shared/cases`, and the numbers that its `expected.json` calls right.
fn case(name: &str) -> Option<(PathBuf, Vec<f32>)> {
    let folder = shared()?.join("cases").join(name);
    let text = fs::read_to_string(folder.join("expected.json")).unwrap_or_else(|e| panic!("{name}: {e}"));
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let (mut numbers, mut open) = (vec![], vec![&json["right"]]);
    while let Some(value) = open.pop() {
        numbers.extend(value.as_f64().map(|v| v as f32));
        open.extend(value.as_array().into_iter().flatten().rev());
    }
    Some((folder, numbers))
}

#[test]
fn case_npy_leading_axis_window_gray() {
    let Some((folder, _)) = case("npy_leading_axis_window_gray") else { return };
    let text = "mean-std:0.45,0.225 resize=stretch colour=gray window=-600,1500";
    let made =
        |file: &str| Preprocess::parse(text).unwrap().apply(&load(folder.join(file)).unwrap(), [65, 65], 1);
    assert_eq!(made("hw.npy").unwrap().len(), 65 * 65);
    let error = made("chw1.npy").unwrap_err().to_string();
    assert!(error.contains("64 (1x64x64 as height, width, channels"), "{error}");
}

#[test]
fn case_resize_area_one_side_up_one_down() {
    let Some((folder, right)) = case("resize_area_one_side_up_one_down") else { return };
    let image = load(folder.join("area.png")).unwrap();
    assert_eq!(Preprocess::parse("raw resize=area").unwrap().apply(&image, [3, 4], 1).unwrap(), right);
}

#[test]
fn case_jpeg_422_last_column() {
    let Some((folder, right)) = case("jpeg_422_last_column") else { return };
    let image = load(folder.join("jpeg422.jpg")).unwrap();
    let Samples::U8(samples) = image.samples() else { panic!("real values") };
    let found: Vec<f32> = samples
        .chunks_exact(image.width() * 3)
        .flat_map(|row| row[row.len() - 3..].iter().map(|v| f32::from(*v)))
        .collect();
    assert_eq!(found, right);
}

#[test]
fn case_jpeg_bytes_after_the_end() {
    let Some((folder, _)) = case("jpeg_bytes_after_the_end") else { return };
    let image = load(folder.join("trailer.jpg")).unwrap();
    let mut shape = [image.height(), image.width(), image.channels()];
    shape[..2].sort_unstable();
    assert_eq!(shape, [40, 56, 3]);
}

#[test]
fn case_dicom_modality_lut_sequence() {
    let Some((folder, right)) = case("dicom_modality_lut_sequence") else { return };
    let image = load(folder.join("ct.dcm")).unwrap();
    let Samples::Real(found) = image.samples() else { panic!("8 bits") };
    assert_eq!(found[..right.len()], right);
}

#[test]
fn case_dicom_shared_groups_without_rescale() {
    let Some((folder, _)) = case("dicom_shared_groups_without_rescale") else { return };
    let path = folder.join("mr.dcm");
    let object = dicom_object::open_file(&path).unwrap();
    let bytes = object.element(Tag(0x7fe0, 0x10)).unwrap().to_bytes().unwrap().into_owned();
    let image = load(&path).unwrap();
    let found: Vec<f32> = match image.samples() {
        Samples::Real(v) => v.clone(),
        Samples::U8(v) => v.iter().map(|v| f32::from(*v)).collect(),
    };
    assert_eq!(found.len() % image.width(), 0);
    let width = bytes.len() / found.len();
    let stored =
        bytes.chunks_exact(width).map(|b| b.iter().rev().fold(0, |w: u32, b| w << 8 | u32::from(*b)) as f32);
    assert!(stored.eq(found), "stored values");
}
