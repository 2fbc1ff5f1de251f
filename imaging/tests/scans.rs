//! Volumes: NIfTI and DICOM series lie where SimpleITK says (`vectors/scans.py`), masks lie where their scan lies, and what is wrong is named.
#![cfg(feature = "scans")]

mod common;

use common::{Dicom, noise, sequence};
use niello_imaging::{
    load_frames,
    scan::{
        Geometry, Segment, Volume, Voxels, list_series, read_scan, read_scan_bytes, write_nifti,
        write_segmentation,
    },
};
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/scans")
}

fn numbers(text: &str) -> Vec<f64> {
    text.split(',').map(|n| n.parse().unwrap()).collect()
}

fn flat(geometry: &Geometry) -> Vec<f64> {
    [geometry.spacing.to_vec(), geometry.origin.to_vec(), geometry.axes.concat()].concat()
}

/// Slice, row and column of a voxel.
fn index(geometry: &Geometry, i: usize) -> [usize; 3] {
    let [_, h, w] = geometry.size;
    [i / (h * w), i / w % h, i % w]
}

/// The voxel whose centre is at a place.
fn voxel(geometry: &Geometry, place: [f64; 3]) -> usize {
    let along = |axis: usize| -> f64 {
        let from = (0..3).map(|i| (place[i] - geometry.origin[i]) * geometry.axes[axis][i]);
        from.sum::<f64>() / geometry.spacing[axis]
    };
    let steps = [0, 1, 2].map(along);
    assert!(steps.iter().all(|v| (v - v.round()).abs() < 1e-3), "{steps:?}");
    let [slice, row, column] = steps.map(|v| v.round() as usize);
    assert!(slice < geometry.size[0] && row < geometry.size[1] && column < geometry.size[2], "{steps:?}");
    (slice * geometry.size[1] + row) * geometry.size[2] + column
}

fn hash(volume: &Volume) -> String {
    let bytes: Vec<u8> = volume.voxels().iter().flat_map(|v| v.to_le_bytes()).collect();
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn scans_lie_where_simpleitk_reads_them() {
    let table = fs::read_to_string(folder().join("table.tsv")).unwrap();
    assert!(table.lines().count() >= 25);
    for line in table.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let volume = read_scan(folder().join(columns[0]), None).unwrap();
        let size = volume.geometry().size.map(|n| n as f64);
        assert_eq!(numbers(columns[1]), size, "{}", columns[0]);
        let expected = columns[2..5].iter().flat_map(|text| numbers(text));
        for (found, expected) in flat(volume.geometry()).into_iter().zip(expected) {
            assert!((found - expected).abs() < 2e-5, "{}: {found}, {expected}", columns[0]);
        }
        assert_eq!(hash(&volume), columns[5], "{}", columns[0]);
        // Files that are called as their axes.
        let letters = columns[0].trim_end_matches(".nii").to_uppercase();
        if letters.len() == 3 && letters.chars().all(|c| "LRAPIS".contains(c)) {
            assert_eq!((volume.stored_letters(), volume.geometry().letters()), (letters, "LPS".into()));
        }
        assert_eq!(volume.notes(), [""; 0], "{}", columns[0]);
    }
}

/// What is written for a scan is read as its geometry again; for NIfTI the affine and the sizes are those of the file.
#[test]
fn masks_have_the_geometry_of_their_scan() {
    let dir = tempfile::tempdir().unwrap();
    let table = fs::read_to_string(folder().join("table.tsv")).unwrap();
    for name in table.lines().map(|line| line.split('\t').next().unwrap()) {
        let volume = read_scan(folder().join(name), None).unwrap();
        let labels = noise(3, volume.geometry().count());
        for ending in ["nii", "nii.gz"] {
            let path = dir.path().join(format!("mask.{ending}"));
            write_nifti(&path, &volume, Voxels::U8(&labels)).unwrap();
            let mask = read_scan(&path, None).unwrap();
            // Its axes may be turned: each voxel has its place.
            for (i, label) in labels.iter().enumerate() {
                let place = volume.geometry().place(index(volume.geometry(), i));
                assert_eq!(
                    mask.voxels()[voxel(mask.geometry(), place)],
                    f32::from(*label),
                    "{name}, voxel {i}"
                );
            }
        }
        let written = fs::read(dir.path().join("mask.nii")).unwrap();
        if name.ends_with(".nii") && !name.starts_with("second") {
            let source = fs::read(folder().join(name)).unwrap();
            let big = source[0] == 0;
            let side = |i: usize| {
                let b = [source[40 + i], source[41 + i]];
                if big { i16::from_be_bytes(b) } else { i16::from_le_bytes(b) }
            };
            let sides: Vec<i16> = (0..4).map(|i| side(2 * i)).collect();
            let found: Vec<i16> =
                written[40..48].as_chunks().0.iter().map(|b| i16::from_le_bytes(*b)).collect();
            assert_eq!(found, sides, "{name}");
            // The affine, if the file has it as its sform.
            if i16::from(source[254 + usize::from(big)]) > 0 {
                for at in (280..328).step_by(4) {
                    let bytes = *source[at..].first_chunk().unwrap();
                    let expected = if big { f32::from_be_bytes(bytes) } else { f32::from_le_bytes(bytes) };
                    let found = f32::from_le_bytes(*written[at..].first_chunk().unwrap());
                    assert!((found - expected).abs() < 1e-4, "{name}: {found}, {expected}");
                }
            }
        }
        let path = dir.path().join("mask.dcm");
        let segments = [(7, "lung"), (9, "lesion")].map(|(label, name)| Segment { label, name: name.into() });
        let labels: Vec<u8> = labels.iter().map(|v| 6 + v % 4).collect();
        write_segmentation(&path, &volume, &labels, &segments).unwrap();
        let bytes = fs::read(&path).unwrap();
        let frames = load_frames("mask", &bytes).unwrap();
        let slices = volume.geometry().size[0];
        assert_eq!(frames.len(), 2 * slices);
        for (i, frame) in frames.iter().enumerate() {
            let niello_imaging::Samples::Real(bits) = frame.samples() else { panic!("8 bits") };
            let slice = &labels[i % slices * bits.len()..][..bits.len()];
            let label = segments[i / slices].label;
            assert!(
                bits.iter().zip(slice).all(|(bit, l)| (*bit == 1.0) == (*l == label)),
                "{name}, frame {i}"
            );
        }
        write_segmentation(&path, &volume, &labels, &segments).unwrap();
        assert_eq!(fs::read(&path).unwrap(), bytes, "equal masks are equal files");
        // One segment alone is a volume that is read by its functional groups.
        write_segmentation(&path, &volume, &labels, &segments[..1]).unwrap();
        let mask = read_scan(&path, None).unwrap();
        assert!(mask.geometry().distance(volume.geometry()).unwrap() < 1e-4, "{name}");
    }
}

#[test]
fn volumes_are_measured() {
    let volume = read_scan(folder().join("axial"), None).unwrap();
    let geometry = volume.geometry();
    assert!((geometry.voxel_ml() - 2.5 * 0.8 * 0.6 / 1000.0).abs() < 1e-9);
    let mut labels = vec![0; geometry.count()];
    labels[3..28].fill(2);
    assert!((geometry.label_ml(&labels, 2) - 25.0 * geometry.voxel_ml()).abs() < 1e-9);
    let place = geometry.place([2, 1, 3]);
    for (found, expected) in place.into_iter().zip([-12.5 + 3.0 * 0.6, 30.0 + 0.8, 7.0 + 5.0]) {
        assert!((found - expected).abs() < 1e-6);
    }
    assert_eq!(volume.slice_file(0).unwrap().file_name().unwrap(), "1.dcm");
    assert_eq!(volume.slice(3).unwrap().height(), 4);
    assert!(volume.slice(4).unwrap_err().to_string().contains("below 4"));
}

/// A slice of a series.
fn slice(z: f64) -> Dicom {
    let text = format!("0\\0\\{z}");
    Dicom::ct(true, [2, 3], false, &[z as u16; 6])
        .with((0x08, 0x18), "UI", Some(format!("1.9.{}", (z * 10.0) as i64 + 1000).as_bytes()))
        .with((0x18, 0x50), "DS", Some(b"2 "))
        .with((0x20, 0x0e), "UI", Some(b"1.2.3\0"))
        .with((0x20, 0x32), "DS", Some(text.as_bytes()))
        .with((0x20, 0x37), "DS", Some(b"1\\0\\0\\0\\1\\0 "))
        .with((0x28, 0x30), "DS", Some(b"0.5\\0.5 "))
}

fn saved(slices: &[Dicom]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (i, slice) in slices.iter().enumerate() {
        fs::write(dir.path().join(format!("s{i}.dcm")), slice.bytes()).unwrap();
    }
    dir
}

#[test]
fn slices_out_of_place_are_named() {
    let at = |places: &[f64]| places.iter().map(|z| slice(*z)).collect::<Vec<_>>();
    let good = read_scan(saved(&at(&[4.0, 0.0, 6.0, 2.0])).path(), None).unwrap();
    assert_eq!(good.geometry().spacing, [2.0, 0.5, 0.5]);
    let first: Vec<f32> = good.voxels().chunks(6).map(|slice| slice[0]).collect();
    assert_eq!(first, [-1024.0, -1022.0, -1020.0, -1018.0]);
    // With other tags: removed, or of another value.
    let odd = |tag: (u16, u16), vr: &'static str, value: Option<&[u8]>| {
        let mut slices = at(&[0.0, 2.0, 4.0, 6.0]);
        slices[2] = slices[2].clone().with(tag, vr, value);
        slices
    };
    let tilted: Vec<Dicom> = (0..4)
        .map(|i| {
            let place = format!("0\\{}\\{}", 0.5 * f64::from(i), 2 * i);
            slice(2.0 * f64::from(i)).with((0x18, 0x1120), "DS", Some(b"14")).with(
                (0x20, 0x32),
                "DS",
                Some(place.as_bytes()),
            )
        })
        .collect();
    let two = [
        at(&[0.0, 2.0]),
        at(&[0.0, 2.0])
            .into_iter()
            .map(|s| s.with((0x20, 0x0e), "UI", Some(b"1.2.4\0")).with((0x08, 0x103e), "LO", Some(b"bone")))
            .collect(),
    ]
    .concat();
    for (slices, words) in [
        (
            at(&[0.0, 2.0, 6.0, 8.0]),
            "missing slices, as others are 2.000 mm apart: between s1.dcm and s2.dcm (4.000 mm)",
        ),
        (at(&[0.0, 2.0, 2.0, 4.0]), "doubled slices: s1.dcm and s2.dcm"),
        (
            at(&[0.0, 2.0, 4.0, 6.5, 8.5]),
            "odd slices, as others are 2.000 mm apart: s2.dcm and s3.dcm (2.500 mm)",
        ),
        (odd((0x28, 0x10), "US", Some(&[3, 0])), "samples of 16 bits take 18 bytes"),
        (odd((0x28, 0x30), "DS", None), "no pixel spacing (0028,0030) in s2.dcm"),
        (odd((0x20, 0x32), "DS", None), "no position (0020,0032) in s2.dcm"),
        (odd((0x20, 0x37), "DS", None), "no orientation (0020,0037) in s2.dcm"),
        (odd((0x20, 0x37), "DS", Some(b"0\\1\\0\\1\\0\\0 ")), "several directions, a localizer perhaps"),
        (
            odd((0x28, 0x30), "DS", Some(b"0.5\\0.6 ")),
            "several pixel spacings: most have [0.5, 0.5] mm, but not s2.dcm",
        ),
        (odd((0x28, 0x30), "DS", Some(b"0.5 ")), "is `0.5`, expected 2 numbers"),
        (odd((0x20, 0x32), "DS", Some(b"0\\a\\4 ")), "expected 3 numbers"),
        (
            tilted,
            "0.500 mm aside of the one before, 14.04 degrees (the gantry tilt (0018,1120) is 14 degrees)",
        ),
        (
            two.clone(),
            "2 series, of which one must be named: 1.2.3 (CT ``, 2 files); 1.2.4 (CT `bone`, 2 files)",
        ),
        (vec![slice(0.0).with((0x18, 0x50), "DS", None)], "one slice without a thickness"),
    ] {
        let dir = saved(&slices);
        let error = read_scan(dir.path(), None).unwrap_err().to_string();
        assert!(error.contains(words), "{error}\nexpected {words}");
    }
    let larger = Dicom { elements: Dicom::ct(true, [3, 3], false, &[0; 9]).elements, ..slice(4.0) };
    let larger = slice(4.0).with((0x28, 0x10), "US", Some(&[3, 0])).with(
        (0x7fe0, 0x10),
        "OW",
        larger.elements.last().map(|e| e.2.as_slice()),
    );
    let error = read_scan(saved(&[slice(0.0), slice(2.0), larger]).path(), None).unwrap_err().to_string();
    assert!(error.contains("several sizes: most are 2x3, but not s2.dcm"), "{error}");

    // A mask beside its scan is not another scan.
    let dir = saved(&at(&[0.0, 2.0]));
    let segment = Segment { label: 1, name: "a".into() };
    let volume = read_scan(dir.path(), None).unwrap();
    write_segmentation(dir.path().join("mask.dcm"), &volume, &[1; 12], &[segment]).unwrap();
    assert_eq!(read_scan(dir.path(), None).unwrap().voxels(), volume.voxels());
    assert_eq!(list_series(dir.path()).unwrap().len(), 2);

    let dir = saved(&two);
    let series = list_series(dir.path()).unwrap();
    assert_eq!(series.iter().map(|s| s.files.len()).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(read_scan(dir.path(), Some("1.2.4")).unwrap().geometry().size, [2, 2, 3]);
    let error = read_scan(dir.path(), Some("7")).unwrap_err().to_string();
    assert!(error.contains("no series begins with `7`; it holds 1.2.3"), "{error}");
    assert_eq!(read_scan(saved(&at(&[0.0])).path(), None).unwrap().geometry().spacing[0], 2.0);
    // Straight slices of a tilted gantry were resampled, which is no error.
    let resampled: Vec<Dicom> =
        at(&[0.0, 2.0, 4.0]).into_iter().map(|s| s.with((0x18, 0x1120), "DS", Some(b"12"))).collect();
    let volume = read_scan(saved(&resampled).path(), None).unwrap();
    assert!(volume.notes()[0].contains("the gantry tilt (0018,1120) is 12 degrees"), "{:?}", volume.notes());
}

/// Frames of one file, out of order, with their places in functional groups.
#[test]
fn enhanced_files_are_volumes() {
    for explicit in [true, false] {
        let group = |places: &[&[u8]]| {
            let frames = places.iter().map(|place| {
                let position = sequence(explicit, false, &[((0x20, 0x32), "DS", place)]);
                sequence(explicit, false, &[((0x20, 0x9113), "SQ", &position)])
            });
            frames.collect::<Vec<_>>().concat()
        };
        let orientation = sequence(explicit, true, &[((0x20, 0x37), "DS", b"1\\0\\0\\0\\1\\0 ")]);
        let measures = sequence(explicit, true, &[((0x28, 0x30), "DS", b"0.5\\0.25")]);
        let shared = sequence(
            explicit,
            false,
            &[((0x20, 0x9116), "SQ*", &orientation[..]), ((0x28, 0x9110), "SQ*", &measures)],
        );
        let samples: Vec<u16> = (0..18).collect();
        let file = |places: &[&[u8]]| {
            Dicom::ct(explicit, [2, 3], false, &samples[..6 * places.len()])
                .with((0x28, 8), "IS", Some(format!("{} ", places.len()).as_bytes()))
                .with((0x5200, 0x9229), "SQ", Some(&shared))
                .with((0x5200, 0x9230), "SQ", Some(&group(places)))
                .bytes()
        };
        let volume = read_scan_bytes("a", &file(&[b"1\\2\\6 ", b"1\\2\\0 ", b"1\\2\\3 "])).unwrap();
        let geometry = volume.geometry();
        assert_eq!(
            (geometry.size, geometry.spacing, geometry.origin),
            ([3, 2, 3], [3.0, 0.5, 0.25], [1., 2., 0.])
        );
        let first: Vec<f32> = volume.voxels().chunks(6).map(|slice| slice[0] + 1024.0).collect();
        assert_eq!(first, [6.0, 12.0, 0.0]);
        let error = read_scan_bytes("a", &file(&[b"1\\2\\6 ", b"1\\2\\6 "])).unwrap_err().to_string();
        assert!(error.contains("doubled slices: a frame 1 and a frame 2"), "{error}");
    }
    // The place of a file is not that of its frames.
    let plain = slice(0.0).with((0x28, 8), "IS", Some(b"2 ")).with((0x7fe0, 0x10), "OW", Some(&[0; 24]));
    let error = read_scan_bytes("a", &plain.bytes()).unwrap_err().to_string();
    assert!(
        error.contains("no position (0020,0032) in a frame 1, a frame 2, and it is not guessed"),
        "{error}"
    );
}

#[test]
fn nifti_that_is_wrong_says_why() {
    let good = fs::read(folder().join("i2.nii")).unwrap();
    let gzipped = fs::read(folder().join("gz.nii.gz")).unwrap();
    let with = |patches: &[(usize, &[u8])]| {
        let mut bytes = good.clone();
        patches.iter().for_each(|(at, value)| bytes[*at..*at + value.len()].copy_from_slice(value));
        bytes
    };
    let float = |v: f32| v.to_le_bytes();
    for (bytes, words) in [
        (with(&[(0, &540i32.to_le_bytes())]), "the header takes 540 bytes, found 472"),
        (with(&[(344, b"ni1\0")]), "NIfTI in two files"),
        (with(&[(344, b"\0\0\0\0")]), "Analyze 7.5"),
        (with(&[(42, &(-1i16).to_le_bytes())]), "damaged NIfTI: dimensions"),
        (with(&[(40, &[9, 0])]), "damaged NIfTI: dimensions"),
        (with(&[(40, &[4, 0]), (48, &[2, 0])]), "several volumes in one file, dimensions [5, 4, 3, 2]"),
        (with(&[(42, &[0xff, 0x7f, 0xff, 0x7f, 0xff, 0x7f])]), "expected at most 536870912 voxels"),
        (with(&[(42, &[0xff, 0x7f, 0xff, 0x3f, 1, 0])]), "voxels of I16 takes"),
        (with(&[(70, &[128, 0])]), "type 128 (colours)"),
        (with(&[(70, &[32, 0])]), "(complex numbers)"),
        (with(&[(72, &[8, 0])]), "8 bits a voxel of I16"),
        (with(&[(108, &float(0.0))]), "begin at byte 0 (vox_offset)"),
        (with(&[(108, &float(1e30))]), "vox_offset"),
        (with(&[(252, &[0; 4])]), "neither qform nor sform"),
        (with(&[(280, &float(f32::NAN))]), "not finite"),
        (with(&[(284, &float(0.2))]), "rows and columns are sheared: 102.53 degrees"),
        (with(&[(280, &float(0.0))]), "steps of"),
        (with(&[(254, &[0, 0]), (256, &float(3.0))]), "which is no rotation"),
        (with(&[(123, &[7])]), "a unit of length 7"),
        (good[..400].to_vec(), "takes 120 bytes, found 48"),
        (good[..300].to_vec(), "the header takes 348 bytes, found 300"),
        (gzipped[..60].to_vec(), "damaged"),
        ([&gzipped[..gzipped.len() - 6], &[0; 6]].concat(), "damaged gzip"),
        (vec![], "expected a DICOM file or NIfTI"),
    ] {
        let error = read_scan_bytes("a", &bytes).unwrap_err().to_string();
        assert!(error.starts_with("a: ") && error.contains(words), "{error}\nexpected {words}");
    }
    // What follows the voxels is not inflated.
    let long = [&good[..], &vec![0; 1 << 26]].concat();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &long).unwrap();
    assert_eq!(
        hash(&read_scan_bytes("a", &encoder.finish().unwrap()).unwrap()),
        hash(&read_scan_bytes("a", &good).unwrap())
    );
    let notes = |bytes: Vec<u8>| read_scan_bytes("a", &bytes).unwrap().notes().join("");
    assert!(notes(with(&[(268, &float(9.0))])).contains("qform and sform are different places"));
    assert!(notes(with(&[(123, &[0])])).contains("names no unit"));
    let metres = read_scan_bytes("a", &with(&[(123, &[1])])).unwrap();
    assert!((metres.geometry().spacing[0] - 2500.0).abs() < 1e-3);
}

#[test]
fn volumes_and_masks_that_do_not_fit_are_refused() {
    let volume = read_scan(folder().join("axial"), None).unwrap();
    let count = volume.geometry().count();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.nii");
    let error = write_nifti(&path, &volume, Voxels::F32(&[0.0; 3])).unwrap_err().to_string();
    assert!(error.contains("3 values for 80 voxels"), "{error}");
    let segment = |label, name: &str| Segment { label, name: name.into() };
    for (labels, segments, words) in [
        (&vec![0; 3], vec![segment(1, "a")], "3 labels for 80 voxels"),
        (&vec![0; count], vec![], "0 segments"),
        (&vec![0; count], vec![segment(0, "a")], "the label 0 of `a`"),
        (&vec![0; count], vec![segment(1, "a"), segment(1, "b")], "the label 1 of `b`"),
        (&vec![0; count], vec![segment(1, "a\\b")], "ASCII characters"),
        (&vec![0; count], vec![segment(1, " ")], "ASCII characters"),
    ] {
        let error = write_segmentation(&path, &volume, labels, &segments).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert!(!path.exists());
    let geometry = volume.geometry().clone();
    assert!(Volume::new("a", geometry.clone(), vec![0.0; 3]).unwrap_err().to_string().contains("found 3"));
    let error = Volume::new("a", geometry, vec![f32::NAN; count]).unwrap_err().to_string();
    assert!(error.contains("found NaN in slice 0"), "{error}");
}

#[test]
fn damaged_scans_are_survived() {
    let mut numbers = noise(17, 1 << 16).into_iter().cycle();
    let mut draw = || numbers.next().unwrap();
    for name in ["i2.nii", "oblique.nii", "gz.nii.gz", "big_f4.nii", "axial/0.dcm"] {
        let good = fs::read(folder().join(name)).unwrap();
        for _ in 0..500 {
            let mut bytes = good.clone();
            for _ in 0..1 + draw() % 4 {
                let at = (usize::from(draw()) << 8 | usize::from(draw())) % bytes.len();
                bytes[at] = draw();
            }
            let _ = read_scan_bytes("a", &bytes);
            bytes.truncate((usize::from(draw()) << 8 | usize::from(draw())) % bytes.len());
            let _ = read_scan_bytes("a", &bytes);
        }
    }
}
