//! `niello scan` and `niello evaluate --scans` on scans of the bundled slices: figures, masks, pages, bad input, exit status.

mod support;

use niello_imaging::{
    Samples, load, load_frames,
    scan::{Geometry, Volume, Voxels, read_scan, write_nifti},
};
use serde_json::Value;
use std::{fs, path::Path};
use support::{Element, Room};

const SIDE: usize = 64;
const SLICES: usize = 5;
const ANAM: &str = "--model anam_net --input 64x64 --calibrate series/c.dcm";
const NAMES: [&str; 3] = ["background", "abnormal lung", "normal lung"];

/// Hounsfield units of crops of a bundled slice, whole as DICOM has them.
fn hounsfield() -> Vec<f32> {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/assets/ct");
    let image = load(assets.join("val_05_image.png")).unwrap();
    let Samples::U8(all) = image.samples() else { panic!("8 bits") };
    let crop = |slice: usize| {
        (0..SIDE).flat_map(move |y| &all[(200 + 12 * slice + y) * 512 + 100..][..SIDE]).map(|gray| {
            let hu: f32 = f32::from(*gray) * 1500.0 / 255.0 - 1350.0;
            hu.max(-1024.0).round()
        })
    };
    (0..SLICES).flat_map(crop).collect()
}

/// Slices 2.5 mm apart, rows and columns 0.75 mm, from left to right, front to back, foot to head.
fn geometry() -> Geometry {
    let axes = [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]];
    Geometry { size: [SLICES, SIDE, SIDE], spacing: [2.5, 0.75, 0.75], axes, origin: [-24.0, 10.0, 100.0] }
}

fn volume() -> Volume {
    Volume::new("scan", geometry(), hounsfield()).unwrap()
}

/// A DICOM slice at a place, with elements of its own.
fn slice(room: &Room, name: &str, at: usize, z: f64, more: &[Element<'_>]) {
    let all = hounsfield();
    let samples: Vec<u16> =
        all[at * SIDE * SIDE..][..SIDE * SIDE].iter().map(|hu| (hu + 1024.0) as u16).collect();
    let (place, uid) = (format!("-24\\10\\{z}"), format!("1.9.{}", name.len() * 1000 + at));
    let own = [
        ((0x0008, 0x0018), "UI", uid.as_str()),
        ((0x0018, 0x0050), "DS", "2.5"),
        ((0x0020, 0x000e), "UI", "1.2.3"),
        ((0x0020, 0x0032), "DS", &place),
        ((0x0020, 0x0037), "DS", "1\\0\\0\\0\\1\\0"),
        ((0x0028, 0x0030), "DS", "0.75\\0.75"),
    ];
    room.ct(name, [SIDE; 2], &samples, &[&own, more].concat());
}

/// The same scan as a series, whose names are in another order, and as NIfTI.
fn room() -> Room {
    let room = Room::new();
    for (at, name) in ["c", "e", "a", "d", "b"].into_iter().enumerate() {
        slice(&room, &format!("series/{name}.dcm"), at, 100.0 + 2.5 * at as f64, &[]);
    }
    write_nifti(room.path("scan.nii.gz"), &volume(), Voxels::F32(volume().voxels())).unwrap();
    room
}

fn number(value: &Value, path: &str) -> f64 {
    let found = path.split('.').fold(value, |v, key| &v[key]);
    found.as_f64().unwrap_or_else(|| panic!("`{path}` of {value}"))
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-6 * (1.0 + expected.abs()), "{found}, {expected}");
}

/// The error of a command that must end with this status, and write nothing.
fn error(room: &Room, words: &str, code: i32) -> String {
    let before = room.contents("");
    let output = room.niello(words);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "niello {words}: {text}");
    assert!(output.stdout.is_empty() && text.starts_with("error: "), "niello {words}: {text}");
    assert!(room.contents("") == before, "niello {words} left something");
    text
}

#[test]
fn a_series_is_measured_and_its_masks_lie_where_it_lies() {
    let room = room();
    let files = "--mask mask.nii.gz --segmentation mask.dcm --html page.html --csv slices.csv";
    let json = room.json(&format!("scan {ANAM} series {files} --json"));
    let mask = read_scan(room.path("mask.nii.gz"), None).unwrap();
    assert!(mask.geometry().distance(&geometry()).unwrap() < 1e-4);
    let labels = mask.voxels();
    let count = |label: usize, of: &[f32]| of.iter().filter(|v| **v == label as f32).count() as f64;
    let voxel_ml = 2.5 * 0.75 * 0.75 / 1000.0;
    for (label, name) in NAMES.iter().enumerate() {
        let class = &json["classes"][name];
        let voxels = count(label, labels);
        assert!(voxels > 0.0, "{name}");
        near(number(class, "voxels"), voxels);
        near(number(class, "ml"), voxels * voxel_ml);
        near(number(class, "share"), voxels / labels.len() as f64);
        for (slice, of) in labels.chunks(SIDE * SIDE).enumerate() {
            near(number(&json["slices"][slice]["area_cm2"], name), count(label, of) * 0.75 * 0.75 / 100.0);
        }
    }
    let both = &json["lungs"]["both"];
    let (abnormal, lung) = (count(1, labels), count(1, labels) + count(2, labels));
    near(number(both, "ml"), lung * voxel_ml);
    near(number(both, "abnormal_percent"), 100.0 * abnormal / lung);
    assert_eq!(json["lungs"]["from"], "classes abnormal lung, normal lung");
    // A crop within one lung has no left and right.
    assert!(json["lungs"].get("left").is_none());
    assert!(json["notes"][0].as_str().unwrap().contains("cannot be told apart"));
    // Sorted by place, and each slice as `run` sees its file.
    assert_eq!(json["slices"][2]["file"], "series/a.dcm");
    near(number(&json["slices"][2], "position_mm"), 105.0);
    let ran = room.json(&format!("run {ANAM} series/a.dcm --json"));
    let area = number(&json["slices"][2]["area_cm2"], "normal lung");
    near(number(&ran["pixels"], "normal lung"), area * 100.0 / (0.75 * 0.75) / (SIDE * SIDE) as f64);
    assert_eq!(json["grid"]["axes"], "LPS");
    assert_eq!(json["series"], "1.2.3");
    // A frame of each slice for each segment.
    let frames = load_frames("mask", &fs::read(room.path("mask.dcm")).unwrap()).unwrap();
    assert_eq!(frames.len(), 2 * SLICES);
    let csv = fs::read_to_string(room.path("slices.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + SLICES);
    assert!(csv.starts_with("slice,file,position_mm,class,background cm2,abnormal lung cm2,normal lung cm2"));
    let page = fs::read_to_string(room.path("page.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    assert!(!page.contains("<script") && !page.contains("http"), "nothing is fetched");
    assert_eq!((page.matches("<img ").count(), page.matches("<table>").count()), (SLICES, 2));
    // Two classes, and the abnormal share, unbroken as every slice has lung.
    assert_eq!(page.matches("<polyline ").count(), 3);
    for part in [
        "data:image/png;base64,",
        "color-scheme: light dark",
        "abnormal lung",
        json["program"].as_str().unwrap(),
    ] {
        assert!(page.contains(part), "{part}");
    }

    // The same voxels from NIfTI.
    let nifti = room.json(&format!("scan {ANAM} scan.nii.gz --mask again.nii --json"));
    assert_eq!(nifti["classes"], json["classes"]);
    assert_eq!(read_scan(room.path("again.nii"), None).unwrap().voxels(), labels);
    // And from NIfTI whose columns are stored from left to right, which its affine says.
    let mut flipped = geometry();
    flipped.axes[2] = [-1.0, 0.0, 0.0];
    flipped.origin = geometry().place([0, 0, SIDE - 1]);
    let voxels: Vec<f32> = hounsfield().chunks(SIDE).flat_map(|row| row.iter().rev().copied()).collect();
    let flipped = Volume::new("flipped", flipped, voxels).unwrap();
    write_nifti(room.path("flipped.nii"), &flipped, Voxels::F32(flipped.voxels())).unwrap();
    let turned = room.json(&format!("scan {ANAM} flipped.nii --json"));
    assert_eq!((&turned["classes"], &turned["grid"]["axes"]), (&json["classes"], &"LPS".into()));
    assert_eq!(turned["grid"]["stored_axes"], "RPS");
    let text = room.text(&format!("scan {ANAM} scan.nii.gz"));
    for part in ["scan.nii.gz: 5 slices of 64x64, 2.500 x 0.750 x 0.750 mm, axes LPS", "abnormal ml"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// Labels of boxes, each from a column to before another, on the grid of the scan.
fn boxes(room: &Room, name: &str, columns: &[[usize; 2]], label: u8) {
    let inside = |i: usize| columns.iter().any(|[from, to]| (*from..*to).contains(&(i % SIDE)));
    let labels: Vec<u8> = (0..SLICES * SIDE * SIDE).map(|i| if inside(i) { label } else { 0 }).collect();
    write_nifti(room.path(name), &volume(), Voxels::U8(&labels)).unwrap();
}

#[test]
fn a_mask_of_the_lungs_gives_the_share_of_each() {
    let room = room();
    // Columns run to the patient's left.
    boxes(&room, "lungs.nii", &[[4, 24], [40, 62]], 3);
    boxes(&room, "one.nii", &[[20, 60]], 1);
    boxes(&room, "none.nii", &[], 1);
    let small = Geometry { size: [SLICES, SIDE, 32], ..geometry() };
    let small = Volume::new("small", small, vec![1.0; SLICES * SIDE * 32]).unwrap();
    write_nifti(room.path("small.nii"), &small, Voxels::F32(small.voxels())).unwrap();
    let json = room.json(&format!("scan {ANAM} scan.nii.gz --lungs lungs.nii --mask mask.nii --json"));
    let mask = read_scan(room.path("mask.nii"), None).unwrap();
    let count = |columns: &[[usize; 2]]| {
        let inside = |i: &usize| columns.iter().any(|[from, to]| (*from..*to).contains(&(i % SIDE)));
        let abnormal = |i: &usize| mask.voxels()[*i] == 1.0;
        let all = 0..mask.voxels().len();
        [all.clone().filter(inside).count() as f64, all.filter(inside).filter(abnormal).count() as f64]
    };
    let voxel_ml = geometry().voxel_ml();
    for (name, columns) in [("right", &[[4, 24]][..]), ("left", &[[40, 62]]), ("both", &[[4, 24], [40, 62]])]
    {
        let [all, abnormal] = count(columns);
        near(number(&json["lungs"][name], "ml"), all * voxel_ml);
        near(number(&json["lungs"][name], "abnormal_ml"), abnormal * voxel_ml);
        near(number(&json["lungs"][name], "abnormal_percent"), 100.0 * abnormal / all);
    }
    let [_, outside] = count(&[[0, 4], [24, 40], [62, 64]]);
    near(number(&json["lungs"], "abnormal_outside_ml"), outside * voxel_ml);
    let other = room.json(&format!("scan {ANAM} scan.nii.gz --lungs one.nii --abnormal 2 --json"));
    assert!(other["lungs"].get("left").is_none() && other["lungs"].get("right").is_none());
    let normal = mask.voxels().iter().enumerate();
    let normal = normal.filter(|(i, v)| **v == 2.0 && (20..60).contains(&(i % SIDE))).count() as f64;
    near(number(&other["lungs"]["both"], "abnormal_ml"), normal * voxel_ml);
    for (words, expected) in [
        ("--lungs none.nii", "none.nii: expected a mask of the lungs, found zeros alone"),
        ("--lungs small.nii", "small.nii: expected the grid of scan.nii.gz, 5 slices of 64x64"),
        ("--lungs lost.nii", "lost.nii: expected a folder of DICOM slices"),
        ("--abnormal flu", "no class `flu`; known: background, abnormal lung, normal lung"),
        ("--mask mask.png", "mask.png: expected a name that ends in .nii or .nii.gz"),
    ] {
        let text = error(&room, &format!("scan {ANAM} scan.nii.gz {words}"), 1);
        assert!(text.contains(expected), "{words}: {text}");
    }
}

#[test]
fn a_classifier_gives_the_class_of_each_slice() {
    let room = room();
    room.checkpoint("cnn.safetensors", "w251_baseline_cnn", 3);
    let cnn = "--model w251_baseline_cnn --weights cnn.safetensors --classes Normal,Pneumonia,COVID --input 32x32 \
               --window=-600,1500 --calibrate series/c.dcm";
    let json = room.json(&format!("scan {cnn} series --html page.html --csv slices.csv --json"));
    let mut slices = 0.0;
    for class in ["Normal", "Pneumonia", "COVID"] {
        let of = json["slices"].as_array().unwrap().iter();
        let own = of.clone().filter(|slice| slice["class"] == class).count() as f64;
        near(number(&json["classes"][class], "slices"), own);
        near(number(&json["classes"][class], "share"), own / SLICES as f64);
        let sum: f64 = of.map(|slice| number(&slice["probabilities"], class)).sum();
        near(number(&json["classes"][class], "mean_probability"), sum / SLICES as f64);
        slices += own;
    }
    near(slices, SLICES as f64);
    let ran = room.json(&format!("run {cnn} series/e.dcm --json"));
    assert_eq!(json["slices"][1]["class"], ran["class"]);
    let page = fs::read_to_string(room.path("page.html")).unwrap();
    assert_eq!((page.matches("<img ").count(), page.matches("<polyline ").count()), (SLICES, 3));
    let text = error(&room, &format!("scan {cnn} series --mask m.nii"), 1);
    assert!(text.contains("classifies whole slices: `--mask`"), "{text}");
    let text = error(&room, &format!("evaluate {cnn} --data series --masks scan.nii.gz --scans"), 1);
    assert!(text.contains("`--scans` is for segmentations"), "{text}");
}

/// The bytes of the NIfTI without compression, changed.
fn patched(room: &Room, name: &str, patches: &[(usize, &[u8])]) {
    let path = room.path(name);
    write_nifti(&path, &volume(), Voxels::F32(volume().voxels())).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    patches.iter().for_each(|(at, value)| bytes[*at..*at + value.len()].copy_from_slice(value));
    fs::write(path, bytes).unwrap();
}

#[test]
fn scans_that_are_none_are_named() {
    let room = room();
    let float = |v: f32| v.to_le_bytes();
    let short = |n: i16| n.to_le_bytes();
    // A series of four slices, of which the third is odd.
    let odd = |folder: &str, z: [f64; 4], more: &[Element<'_>]| {
        for (at, z) in z.into_iter().enumerate() {
            let more = if at == 2 { more } else { &[] };
            slice(&room, &format!("{folder}/s{at}.dcm"), at, z, more);
        }
    };
    let even = [0.0, 2.5, 5.0, 7.5];
    odd("missing", [0.0, 2.5, 7.5, 10.0], &[]);
    odd("doubled", [0.0, 2.5, 2.5, 5.0], &[]);
    odd("uneven", [0.0, 2.5, 5.0, 8.0], &[]);
    odd("two", even, &[((0x0020, 0x000e), "UI", "1.2.4")]);
    odd("spacing", even, &[((0x0028, 0x0030), "DS", "")]);
    odd("place", even, &[((0x0020, 0x0032), "DS", "")]);
    odd("direction", even, &[((0x0020, 0x0037), "DS", "")]);
    odd("localizer", even, &[((0x0020, 0x0037), "DS", "0\\1\\0\\0\\0\\-1")]);
    odd("sizes", even, &[]);
    room.ct(
        "sizes/s2.dcm",
        [32; 2],
        &[0; 1024],
        &[
            ((0x0020, 0x000e), "UI", "1.2.3"),
            ((0x0020, 0x0032), "DS", "-24\\10\\5"),
            ((0x0020, 0x0037), "DS", "1\\0\\0\\0\\1\\0"),
            ((0x0028, 0x0030), "DS", "0.75\\0.75"),
        ],
    );
    for at in 0..4 {
        let place = format!("-24\\{}\\{}", 0.5 * f64::from(at), 2.5 * f64::from(at));
        let tilt = [((0x0018, 0x1120), "DS", "11.3"), ((0x0020, 0x0032), "DS", place.as_str())];
        slice(&room, &format!("tilted/s{at}.dcm"), at as usize, 0.0, &tilt);
    }
    slice(&room, "one/a.dcm", 0, 0.0, &[((0x0018, 0x0050), "DS", "")]);
    patched(&room, "sheared.nii", &[(284, &float(0.2))]);
    patched(&room, "nowhere.nii", &[(252, &[0; 4])]);
    patched(&room, "bomb.nii", &[(42, &[0xff, 0x7f, 0xff, 0x7f, 0xff, 0x7f])]);
    patched(&room, "claims.nii", &[(42, &short(4096)), (44, &short(4096)), (46, &short(32))]);
    room.write("cut.nii.gz", &fs::read(room.path("scan.nii.gz")).unwrap()[..900]);
    room.write("text.nii", "no scan");
    for (source, expected) in [
        (
            "missing",
            "missing: missing slices, as others are 2.500 mm apart: between s1.dcm and s2.dcm (5.000 mm)",
        ),
        (
            "doubled",
            "doubled slices: s1.dcm and s2.dcm (0.000 mm) lie at the same place; are these two scans",
        ),
        ("uneven", "odd slices, as others are 2.500 mm apart: s2.dcm and s3.dcm (3.000 mm)"),
        ("two", "2 series, of which one must be named: 1.2.3 (CT ``, 3 files); 1.2.4 (CT ``, 1 files)"),
        ("spacing", "no pixel spacing (0028,0030) in s2.dcm, and it is not guessed"),
        ("place", "no position (0020,0032) in s2.dcm"),
        ("direction", "no orientation (0020,0037) in s2.dcm"),
        ("localizer", "several directions, a localizer perhaps"),
        ("sizes", "slices of several sizes: most are 64x64, but not s2.dcm"),
        (
            "tilted",
            "0.500 mm aside of the one before, 11.31 degrees (the gantry tilt (0018,1120) is 11.3 degrees)",
        ),
        ("one", "one slice without a thickness (0018,0050)"),
        ("sheared.nii", "sheared.nii: rows and columns are sheared"),
        ("nowhere.nii", "neither qform nor sform says where voxels lie, and it is not guessed"),
        ("bomb.nii", "expected at most 536870912 voxels, found [32767, 32767, 32767]"),
        ("claims.nii", "voxels of F32 takes 2147483648 bytes, found 81920"),
        ("cut.nii.gz", "cut.nii.gz: damaged"),
        ("text.nii", "text.nii: expected a DICOM file or NIfTI"),
        ("lost", "lost: expected a folder of DICOM slices, a DICOM file or NIfTI, found nothing there"),
    ] {
        let text = error(&room, &format!("scan --model anam_net --input 64x64 {source} --mask m.nii"), 1);
        assert!(text.contains(expected), "{source}: {text}");
    }
    error(&room, "scan --model anam_net", 2);
    // One of two series is chosen by the start of its identifier.
    let text = error(&room, "scan --model anam_net two --series 1.9", 1);
    assert!(text.contains("no series begins with `1.9`"), "{text}");
    let json = room.json(&format!("scan {ANAM} two --series 1.2.4 --json"));
    assert_eq!((&json["grid"]["slices"], &json["series"]), (&1.into(), &"1.2.4".into()));
    // A crop of the network's would leave margins without labels.
    let words = format!("scan {ANAM} --resize shorter-side-crop:256/224 series --mask m.nii");
    let text = error(&room, &words, 1);
    assert!(text.contains("says nothing of the margins"), "{text}");
    // `run` says what reads a volume.
    let text = error(&room, "run --model anam_net scan.nii.gz", 1);
    assert!(text.contains("scan.nii.gz: holds a volume, which `niello scan` reads"), "{text}");
}

#[test]
fn scans_are_judged_by_their_masks() {
    let room = room();
    fs::create_dir(room.path("masks")).unwrap();
    room.text(&format!("scan {ANAM} series --mask masks/series.nii.gz"));
    // The own masks are right everywhere, also where they are stored in another order of axes.
    let words = format!("evaluate {ANAM} --scans --data");
    let json = room.json(&format!("{words} series --masks masks/series.nii.gz --against float --json"));
    let figures = &json["figures"]["figures"];
    for class in figures["classes"].as_array().unwrap() {
        assert_eq!(number(&class["pooled"], "dice.value"), 1.0);
        assert_eq!(number(&class["by_image"], "dice.minimum"), 1.0);
        assert!(class["by_image"]["hausdorff_95"]["mean"]["value"].is_null());
    }
    let case = &json["records"]["cases"][0];
    assert_eq!((&case["id"], &case["outcome"]["pixels"]), (&"series".into(), &(5 * 64 * 64).into()));
    assert!(number(&json["figures"]["against"]["agreement"], "accuracy.value") > 0.9);

    // Several scans: one with a mask of other voxels, one whose mask is mirrored, one of another size, one without.
    fs::create_dir(room.path("scans")).unwrap();
    for name in ["a", "mirrored", "other", "without"] {
        fs::copy(room.path("scan.nii.gz"), room.path(&format!("scans/{name}.nii.gz"))).unwrap();
    }
    let own = read_scan(room.path("masks/series.nii.gz"), None).unwrap();
    let mut labels: Vec<u8> = own.voxels().iter().map(|v| *v as u8).collect();
    let wrong = labels.iter_mut().take(SIDE * SIDE).map(|label| std::mem::replace(label, 0));
    let wrong = wrong.filter(|label| *label == 2).count() as f64;
    write_nifti(room.path("masks/a_mask.nii"), &volume(), Voxels::U8(&labels)).unwrap();
    let mut mirrored = geometry();
    mirrored.axes[2] = [-1.0, 0.0, 0.0];
    let mirrored = Volume::new("m", mirrored, vec![0.0; labels.len()]).unwrap();
    write_nifti(room.path("masks/mirrored.nii"), &mirrored, Voxels::U8(&labels)).unwrap();
    let small = Geometry { size: [SLICES, SIDE, 32], ..geometry() };
    let small = Volume::new("s", small, vec![0.0; SLICES * SIDE * 32]).unwrap();
    write_nifti(room.path("masks/other.nii"), &small, Voxels::U8(&vec![0; SLICES * SIDE * 32])).unwrap();
    fs::rename(room.path("masks/series.nii.gz"), room.path("masks/alone.nii.gz")).unwrap();
    let json = room.json(&format!("{words} scans --masks masks --json"));
    let left_out = json["left_out"].as_array().unwrap();
    let why = |id: &str| {
        let case = left_out.iter().find(|case| case["id"] == id).unwrap_or_else(|| panic!("{id}"));
        case["why"].as_str().unwrap()
    };
    for (id, expected) in [
        (
            "mirrored.nii.gz",
            "masks/mirrored.nii: expected the grid of scans/mirrored.nii.gz, 5 slices of 64x64",
        ),
        ("mirrored.nii.gz", "mm away from it; a flipped axis, or another scan"),
        ("other.nii.gz", "masks/other.nii: expected the grid of scans/other.nii.gz"),
        ("other.nii.gz", "found 5 slices of 64x32"),
        ("without.nii.gz", "no mask in masks"),
        ("masks/alone.nii.gz", "a mask without a scan in scans"),
    ] {
        assert!(why(id).contains(expected), "{id}: {}", why(id));
    }
    assert_eq!(left_out.len(), 4);
    let counts = &json["records"]["cases"][0]["outcome"]["counts"][2];
    assert_eq!(number(counts, "found") - number(counts, "truth"), wrong);
    // None is left of a scan alone whose mask lies elsewhere.
    let text = room.niello(&format!("{words} scans/other.nii.gz --masks masks/other.nii"));
    assert_eq!(text.status.code(), Some(1));
    let errors = String::from_utf8(text.stderr).unwrap();
    assert!(errors.contains("none of 1 cases has a result"), "{errors}");
    // The mask in another order of axes is the same mask.
    let turned = Geometry {
        size: [SIDE, SIDE, SLICES],
        spacing: [0.75, 0.75, 2.5],
        axes: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0]],
        origin: geometry().place([SLICES - 1, 0, 0]),
    };
    let at = |i: usize| {
        let [x, y, z] = [i / (SIDE * SLICES), i / SLICES % SIDE, SLICES - 1 - i % SLICES];
        (z * SIDE + y) * SIDE + x
    };
    let values: Vec<f32> = (0..labels.len()).map(|i| own.voxels()[at(i)]).collect();
    let turned = Volume::new("t", turned, values).unwrap();
    assert_eq!(turned.on_grid_of(&volume()).unwrap(), own.voxels());
}
