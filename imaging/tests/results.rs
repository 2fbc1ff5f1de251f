//! What is written can be read, and looks as promised.

use niello_imaging::{
    NpyData, Palette, Samples, list_images, load, write_label_png, write_npy, write_overlay_png,
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
fn arrays_survive_a_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    write_npy(&path, NpyData::F32(&[1.5, -2.0, 0.0, 7.0, 8.0, 9.0]), &[1, 2, 3]).unwrap();
    let picture = load(&path).unwrap();
    assert_eq!([picture.height(), picture.width(), picture.channels()], [1, 2, 3]);
    assert_eq!(picture.samples(), &Samples::Real(vec![1.5, -2.0, 0.0, 7.0, 8.0, 9.0]));
    write_npy(&path, NpyData::U8(&[1, 255]), &[2, 1]).unwrap();
    assert_eq!(load(&path).unwrap().samples(), &Samples::U8(vec![1, 255]));
    write_npy(&path, NpyData::I8(&[-128, 127]), &[2, 1]).unwrap();
    assert_eq!(load(&path).unwrap().samples(), &Samples::Real(vec![-128.0, 127.0]));
    // The array begins at a multiple of 64 bytes, as numpy's own.
    assert_eq!(fs::read(&path).unwrap().len() % 64, 2);
}

#[test]
fn a_folder_lists_its_pictures_in_order() {
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
