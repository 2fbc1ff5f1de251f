//! Written files can be read, and look as promised.

mod common;

use common::Dicom;
use niello_imaging::{
    GridScale, Legend, NpyData, Palette, Samples, list_folder, list_images, load, write_grid_png,
    write_heat_png, write_label_png, write_legend_png, write_npy, write_overlay_png,
};
use std::fs;

#[test]
fn label_maps_keep_their_class_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let labels = [0, 1, 2, 1, 255, 0];
    let path = dir.path().join("gray.png");
    write_label_png(&path, &labels, [2, 3], None).unwrap();
    assert_eq!(load(&path).unwrap().samples(), &Samples::U8(labels.to_vec()));

    let path = dir.path().join("indexed.png");
    write_label_png(&path, &labels, [2, 3], Some(&Palette::default())).unwrap();
    let mut reader =
        png::Decoder::new(std::io::BufReader::new(fs::File::open(&path).unwrap())).read_info().unwrap();
    assert_eq!(reader.info().color_type, png::ColorType::Indexed);
    let mut indices = [9; 6];
    reader.next_frame(&mut indices).unwrap();
    assert_eq!(indices, labels);
}

#[test]
fn an_overlay_leaves_the_background_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("overlay.png");
    let palette = Palette { alpha: 0.5, ..Palette::default() };
    write_overlay_png(&path, &[10, 100, 200], &[0, 1, 255], [1, 3], &palette).unwrap();
    let expected = vec![10, 10, 10, 157, 97, 50, 200, 200, 200];
    assert_eq!(load(&path).unwrap().samples(), &Samples::U8(expected));
}

#[test]
fn a_legend_stands_below_the_overlay() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("legend.png");
    let names =
        ["background", "abnormal lung", "a name that is much too long for any line"].map(String::from);
    let (labels, palette) = ([0, 1, 2, 1], Palette { alpha: 1.0, ..Palette::default() });
    let image = |legend: &Legend<'_>| {
        write_legend_png(&path, &[9; 4], &labels, [2, 2], &palette, legend).unwrap();
        let image = load(&path).unwrap();
        let Samples::U8(rgb) = image.samples().clone() else { panic!("8 bits") };
        (image.height(), image.width(), rgb)
    };
    let (bare, wide, rgb) = image(&Legend::default());
    assert_eq!((bare, wide), (256, 256), "small images are enlarged");
    assert_eq!((&rgb[..3], &rgb[3 * 255..3 * 256]), (&[9; 3][..], &palette.colour(1)[..]));
    let shares = [0.25, 0.5, 0.25];
    let (named, _, _) = image(&Legend { names: &names, ..Legend::default() });
    let (full, wide, rgb) = image(&Legend { names: &names, shares: Some(&shares), caption: Some("net") });
    assert_eq!((named, full, wide), (256 + 16 + 3 * 14 - 6, 256 + 16 + 4 * 14 - 6, 256));
    // The colour of a class is in the legend, letters are bright.
    let below = &rgb[3 * 256 * 256..];
    assert!(below.chunks(3).filter(|p| *p == palette.colour(1)).count() >= 64);
    assert!(below.chunks(3).filter(|p| p[0] > 200).count() > 300);
    // Many classes: those that are there, the largest first.
    let many: Vec<String> = (0..40).map(|i| format!("class {i}")).collect();
    let (few, _, _) = image(&Legend { names: &many, ..Legend::default() });
    assert_eq!(few, 256 + 16 + 4 * 14 - 6, "three classes and the number of the others");
    let error =
        write_legend_png(&path, &[1], &[0], [1, 2], &palette, &Legend::default()).unwrap_err().to_string();
    assert!(error.contains("an image of 1x2 cannot have 1 pixels"), "{error}");
}

#[test]
fn heat_is_invisible_where_it_is_least_and_yellow_where_it_is_most() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("heat.png");
    let pixels = |gray: &[u8], size, map: &[f32], map_size| {
        write_heat_png(&path, gray, size, map, map_size).unwrap();
        let Samples::U8(rgb) = load(&path).unwrap().samples().clone() else { panic!("8 bits") };
        rgb
    };
    // Half a pixel at either end is outside the map: four pixels of two are at 0, 1/4, 3/4 and 1.
    let rgb = pixels(&[10, 0, 0, 10], [1, 4], &[-3.0, 5.0], [1, 2]);
    assert_eq!(rgb[..3], [10; 3]);
    let yellow = [(10.0 * 0.25 + 252.0 * 0.75f32).round() as u8, 183, 93];
    assert_eq!(rgb[9..], yellow);
    let luma = |p: &[u8]| 3 * u32::from(p[0]) + 6 * u32::from(p[1]) + u32::from(p[2]);
    assert!(
        luma(&rgb[3..6]) > 0 && luma(&rgb[3..6]) < luma(&rgb[6..9]) && luma(&rgb[6..9]) < luma(&rgb[9..])
    );
    assert_eq!(pixels(&[7, 8], [2, 1], &[2.5], [1, 1]), [7, 7, 7, 8, 8, 8]);
    let error = write_heat_png(&path, &[1], [1, 1], &[1.0], [1, 2]).unwrap_err().to_string();
    assert!(error.contains("a map of 1x2 cannot have 1 pixels"), "{error}");
}

#[test]
fn a_grid_shows_every_channel_in_its_cell() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("grid.png");
    // Three channels of one row: a ramp, a weaker one upside down, and an even one.
    let (h, w, c) = (1, 24, 3);
    let map: Vec<f32> = (0..w).flat_map(|i| [i as f32, -0.5 * i as f32, 7.0]).collect();
    let pixels = |scale| {
        write_grid_png(&path, &map, [h, w, c], scale).unwrap();
        let image = load(&path).unwrap();
        assert_eq!([image.height(), image.width(), image.channels()], [5, 24, 1]);
        let Samples::U8(gray) = image.samples() else { panic!("8 bits") };
        gray.clone()
    };
    let level = |v: f64| v.round() as u8;
    let each = pixels(GridScale::Channel);
    assert!((0..w).all(|i| each[i] == level(255.0 * i as f64 / 23.0)));
    assert!((0..w).all(|i| each[2 * w + i] == level(255.0 - 255.0 * i as f64 / 23.0)));
    let all = pixels(GridScale::Map);
    let of_map = |v: f64| level(255.0 * (v + 11.5) / 34.5);
    assert!((0..w).all(|i| all[i] == of_map(i as f64) && all[2 * w + i] == of_map(-0.5 * i as f64)));
    assert!(all[4 * w..].iter().all(|v| *v == of_map(7.0)));
    for gray in [&each, &all] {
        assert!(gray[w..2 * w].iter().chain(&gray[3 * w..4 * w]).all(|v| *v == 255), "lines in between");
    }
    assert!(each[4 * w..].iter().all(|v| *v == 0), "one value only is black");
}

#[test]
fn small_maps_are_enlarged_and_spare_cells_are_white() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("grid.png");
    write_grid_png(&path, &[0.0, f32::NAN, 1.0], [1, 1, 3], GridScale::Map).unwrap();
    let image = load(&path).unwrap();
    assert_eq!([image.height(), image.width()], [49, 49]);
    let Samples::U8(gray) = image.samples() else { panic!("8 bits") };
    let at = |y: usize, x: usize| gray[y * 49 + x];
    assert_eq!([at(0, 0), at(23, 23), at(0, 25), at(48, 0), at(25, 25)], [0, 0, 0, 255, 255]);
    let error = write_grid_png(&path, &[1.0], [1, 1, 2], GridScale::Map).unwrap_err().to_string();
    assert!(error.contains("a map of 1x1x2 cannot have 1 values"), "{error}");
}

#[test]
fn arrays_survive_a_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    write_npy(&path, NpyData::F32(&[1.5, -2.0, 0.0, 7.0, 8.0, 9.0]), &[1, 2, 3]).unwrap();
    let image = load(&path).unwrap();
    assert_eq!([image.height(), image.width(), image.channels()], [1, 2, 3]);
    assert_eq!(image.samples(), &Samples::Real(vec![1.5, -2.0, 0.0, 7.0, 8.0, 9.0]));
    write_npy(&path, NpyData::U8(&[1, 255]), &[2, 1]).unwrap();
    assert_eq!(load(&path).unwrap().samples(), &Samples::U8(vec![1, 255]));
    write_npy(&path, NpyData::I8(&[-128, 127]), &[2, 1]).unwrap();
    assert_eq!(load(&path).unwrap().samples(), &Samples::Real(vec![-128.0, 127.0]));
    // The array begins at a multiple of 64 bytes, as numpy's own.
    assert_eq!(fs::read(&path).unwrap().len() % 64, 2);
}

#[test]
fn a_folder_lists_its_images_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("deeper")).unwrap();
    let dicom = [[0; 128].as_slice(), b"DICM"].concat();
    for (name, bytes) in [
        ("b.PNG", &b""[..]),
        ("a.jpeg", b""),
        (".hidden.png", b""),
        ("notes.txt", b""),
        ("IM0001", &dicom),
        ("1.2.840.7", &dicom),
        ("LICENSE", b"text"),
        ("deeper/c.npy", b""),
    ] {
        fs::write(at(name), bytes).unwrap();
    }
    let flat = ["1.2.840.7", "IM0001", "a.jpeg", "b.PNG"].map(at);
    assert_eq!(list_images(dir.path(), false).unwrap(), flat);
    let all = ["1.2.840.7", "IM0001", "a.jpeg", "b.PNG", "deeper/c.npy"].map(at);
    assert_eq!(list_images(dir.path(), true).unwrap(), all);
}

/// The folder of a CD: files without an image are skipped and listed, under any name; by themselves they are errors.
#[test]
fn a_folder_with_a_dicomdir_is_its_images() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let slice = Dicom::ct(true, [2, 2], false, &[0; 4]);
    let of = |class| {
        let report =
            slice.clone().class(class).with((0x28, 0x10), "US", None).with((0x7fe0, 0x10), "OW", None);
        report.bytes()
    };
    let mut long =
        slice.clone().class("1.2.840.10008.5.1.4.1.1.88.22").with((0x40, 0xa730), "OW", Some(&[0; 1 << 17]));
    long.elements.retain(|e| e.0.0 != 0x28 && e.0.0 != 0x7fe0);
    for (name, bytes) in [
        ("slice.IMA", slice.bytes()),
        ("IM0001", slice.bytes()),
        ("slice.000", slice.bytes()),
        ("slice.img", slice.bytes()),
        // An image of a kind that is not read is an error of its own, not skipped.
        ("compressed", Dicom { syntax: "1.2.840.10008.1.2.4.90", ..slice.clone() }.bytes()),
        ("DICOMDIR", of("1.2.840.10008.1.3.10")),
        ("report.dcm", of("1.2.840.10008.5.1.4.1.1.88.11")),
        ("long", long.bytes()),
        ("state", of("1.2.840.10008.5.1.4.1.1.11.1")),
        ("ecg", of("1.2.840.10008.5.1.4.1.1.9.1.1")),
        ("readme.txt", b"text".to_vec()),
    ] {
        fs::write(at(name), bytes).unwrap();
    }
    let folder = list_folder(dir.path(), false).unwrap();
    assert_eq!(folder.images, ["IM0001", "compressed", "slice.000", "slice.IMA", "slice.img"].map(at));
    let skipped: Vec<_> = folder
        .skipped
        .iter()
        .map(|(path, what)| (path.file_name().unwrap().to_str().unwrap(), *what))
        .collect();
    let expected = [
        ("DICOMDIR", "a DICOMDIR, the directory of a medium"),
        ("ecg", "a DICOM file without an image"),
        ("long", "a DICOM structured report"),
        ("report.dcm", "a DICOM structured report"),
        ("state", "a DICOM presentation state"),
    ];
    assert_eq!(skipped, expected);
    for path in folder.skipped.iter().map(|(path, _)| path) {
        let error = load(path).unwrap_err().to_string();
        assert!(error.contains("it holds no image"), "{error}");
    }
    for image in ["slice.IMA", "IM0001", "slice.000", "slice.img", "compressed"] {
        fs::remove_file(at(image)).unwrap();
    }
    let error = list_folder(dir.path(), true).unwrap_err().to_string();
    assert!(error.contains("found none in it or in its folders; DICOMDIR is a DICOMDIR"), "{error}");
}
