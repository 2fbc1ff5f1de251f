//! Every reader of files on every seed of its fuzz target, and on thousands of damaged copies of each; see `fuzz/`.

#![cfg(feature = "imaging")]

#[path = "../../fuzz/readers.rs"]
mod readers;

use niello_codegen::weights::seeded_values;
use readers::{READERS, Reader};
use std::{fs, path::Path};

/// Damaged copies of each seed.
const COPIES: usize = 1000;

/// Seeds of a target with their names.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut seeds: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap())
        })
        .collect();
    seeds.sort();
    seeds
}

/// One to four mutations of what `draw` gives: bits and bytes changed, cut out, doubled, put in, numbers at their limits, the end cut off.
fn damage(seed: &[u8], mut draw: impl FnMut(usize) -> usize) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=draw(4) {
        let at = draw(bytes.len() + 1);
        let length = 1 << draw(8);
        let end = (at + 1 + draw(length)).min(bytes.len());
        match draw(8) {
            0 if at < end => bytes[at] ^= 1 << draw(8),
            1 if at < end => bytes[at] = draw(256) as u8,
            2 if at < end => drop(bytes.drain(at..end)),
            3 if at < end => {
                let part = bytes[at..end].to_vec();
                let to = draw(bytes.len() + 1);
                bytes.splice(to..to, part);
            }
            4 => drop(bytes.splice(at..at, (0..1 + draw(8)).map(|_| draw(256) as u8).collect::<Vec<u8>>())),
            5 => {
                let limits = [0u64, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, u64::MAX];
                let limit = limits[draw(limits.len())].to_le_bytes();
                let length = [1, 2, 4, 8][draw(4)].min(bytes.len() - at);
                bytes[at..at + length].copy_from_slice(&limit[..length]);
            }
            6 => bytes.truncate(at),
            // A digit of a text.
            _ => {
                if let Some(digit) = bytes[at..].iter_mut().find(|b| b.is_ascii_digit()) {
                    *digit = b"0123456789.-e"[draw(13)];
                }
            }
        }
    }
    bytes
}

/// Good seeds are read, bad ones are refused, and no damaged one panics.
fn check(target: &str, read: Reader) {
    let seeds = seeds(target);
    assert!(seeds.len() >= 2, "{target}: {} seeds", seeds.len());
    for (name, bytes) in seeds {
        assert_eq!(read(&bytes), name.starts_with("good"), "{target}/{name}");
        assert!(name.starts_with("good") || name.starts_with("bad"), "{target}/{name}");
        let mut numbers = seeded_values(&format!("{target}/{name}"));
        let mut draw = |n: usize| (((numbers.next().unwrap() + 1.0) / 2.0 * n as f64) as usize).min(n - 1);
        for _ in 0..COPIES {
            let damaged = damage(&bytes, &mut draw);
            let caught = std::panic::catch_unwind(|| read(&damaged));
            if caught.is_err() {
                let path = std::env::temp_dir().join(format!("niello-{target}-{name}"));
                fs::write(&path, damaged).unwrap();
                panic!("{target}: a damaged {name} panics; it lies at {}", path.display());
            }
        }
    }
}

macro_rules! readers {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name), readers::$name);
            }
        )*

        /// Every reader has a test here, a target and seeds, and every folder of seeds has a reader.
        #[test]
        fn every_reader_is_tested() {
            let names = [$(stringify!($name)),*];
            assert_eq!(READERS.map(|(name, _)| name), names);
            let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
            let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
            for name in names {
                assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"")), "{name}");
                let target = fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).unwrap();
                assert!(target.contains(&format!("readers::{name}(bytes)")), "{name}");
            }
            for folder in fs::read_dir(fuzz.join("seeds")).unwrap().map(|entry| entry.unwrap().path()).filter(|p| p.is_dir()) {
                // Those of `random_graphs.rs` are no files.
                let is_tested = |name: &str| name == "graph" || names.contains(&name);
                assert!(is_tested(folder.file_name().unwrap().to_str().unwrap()), "{}", folder.display());
            }
        }
    };
}

readers! {
    image dicom jpeg png npy scan preprocess safetensors safetensors_index recipe lock board tuning golden bundle tflite onnx
}
