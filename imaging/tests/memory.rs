//! Headers that claim more than there is are refused before memory is taken for it. One test, as memory is counted for the whole process.

mod common;

use common::Dicom;
use niello_imaging::load_frames;
use std::{
    alloc::{GlobalAlloc, Layout, System},
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// The system's allocator, with what is taken and the most that was.
struct Counting {
    taken: AtomicUsize,
    most: AtomicUsize,
}

// SAFETY: every call is the system allocator's; the counters touch no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let taken = self.taken.fetch_add(layout.size(), Relaxed) + layout.size();
        self.most.fetch_max(taken, Relaxed);
        // SAFETY: the caller's layout is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        self.taken.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's place and layout are passed on, and came from `alloc`.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static MEMORY: Counting = Counting { taken: AtomicUsize::new(0), most: AtomicUsize::new(0) };

/// The most bytes that a call takes at once.
fn peak(call: impl FnOnce()) -> usize {
    let before = MEMORY.taken.load(Relaxed);
    MEMORY.most.store(before, Relaxed);
    call();
    MEMORY.most.load(Relaxed) - before
}

/// A file of `vectors`.
fn file(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)).unwrap()
}

/// The file with bytes replaced, at an offset from where `near` stands.
fn patched(bytes: &[u8], near: &[u8], offset: usize, value: &[u8]) -> Vec<u8> {
    let at = bytes.windows(near.len()).rposition(|w| w == near).unwrap() + offset;
    let mut bytes = bytes.to_vec();
    bytes[at..at + value.len()].copy_from_slice(value);
    bytes
}

#[test]
fn claims_take_no_memory() {
    const ROWS: [u8; 6] = [0x28, 0, 0x10, 0, b'U', b'S'];
    // 16384 rows or columns; in the data set, then in the frame.
    let large = [0, 0x40];
    let in_data_set = |bytes: &[u8]| {
        let rows = patched(bytes, &ROWS, 8, &large);
        patched(&rows, &[0x28, 0, 0x11, 0, b'U', b'S'], 8, &[0, 8])
    };
    let mut cases = Vec::new();
    for name in [
        "rle_u16",
        "jpeg_gray",
        "jpeg_extended_u12",
        "jpeg_lossless_1_u12",
        "jpeg_ls_u16",
        "jpeg2000_u16",
        "encapsulated_frames_u12",
        "frames_u12",
        "bits_1",
    ] {
        cases.push((name, in_data_set(&file(&format!("dicom/{name}.dcm")))));
    }
    let big = [0x40, 0, 0x10, 0];
    for (name, marker, offset) in [
        ("jpeg_gray", &[0xff, 0xc0, 0, 11][..], 5),
        ("jpeg_extended_u12", &[0xff, 0xc1, 0, 11], 5),
        ("jpeg_lossless_1_u12", &[0xff, 0xc3, 0, 11], 5),
        ("jpeg_ls_u16", &[0xff, 0xf7, 0, 11], 5),
        ("jpeg2000_u16", &[0xff, 0x51, 0, 41], 6),
    ] {
        let bytes = file(&format!("dicom/{name}.dcm"));
        let value = if name.starts_with("jpeg2000") { [0, 0, 0x40, 0] } else { big };
        cases.push((name, patched(&bytes, marker, offset, &value)));
    }
    let many = Dicom::ct(true, [1, 1], false, &[1]).with((0x28, 8), "IS", Some(b"131072"));
    cases.push(("frames", many.bytes()));
    for (name, bytes) in &cases {
        let taken = peak(|| {
            let error = load_frames(name, bytes).unwrap_err().to_string();
            let words = ["as the data set says", "cannot hold", "bytes, found", "without the feature"];
            assert!(words.iter().any(|words| error.contains(words)), "{error}");
        });
        assert!(taken < 64 << 10, "{name}: {taken} bytes");
    }
    #[cfg(feature = "scans")]
    for name in ["i2.nii", "f8.nii"] {
        let mut bytes = file(&format!("scans/{name}"));
        bytes[42..48].copy_from_slice(&[0, 8, 0, 8, 100, 0]);
        let taken = peak(|| {
            niello_imaging::scan::read_scan_bytes(name, &bytes).unwrap_err();
        });
        assert!(taken < 64 << 10, "{name}: {taken} bytes");
    }
}
