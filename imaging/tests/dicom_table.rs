//! The public test files of pydicom, where they are: their stored samples are pydicom's. `NIELLO_PYDICOM` names folders, divided as in `PATH`.

#![cfg(feature = "codecs")]

use niello_imaging::{Stored, stored_samples};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, env, fs};

/// `vectors/dicom_table.py` asked pydicom: name, transfer syntax, shape, hash, decoder.
const TABLE: &str = include_str!("vectors/dicom_table.tsv");

#[test]
fn samples_of_pydicoms_test_files_are_pydicoms() {
    let Some(folders) = env::var_os("NIELLO_PYDICOM") else {
        eprintln!("skipped: NIELLO_PYDICOM does not name pydicom's test files");
        return;
    };
    // Files, equal ones and refused ones by syntax.
    let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    let mut wrong = Vec::new();
    for line in TABLE.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, syntax, shape, hash, sum, _] = columns[..] else { panic!("{line}") };
        let path = env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file());
        let Some(path) = path else { continue };
        let count = counts.entry(syntax).or_default();
        count[0] += 1;
        match stored_samples(name, &fs::read(path).unwrap()) {
            Ok(stored) => {
                let found: String = Sha256::digest(&stored.data).iter().map(|b| format!("{b:02x}")).collect();
                let size = stored.shape.map(|n| n.to_string()).join("x");
                count[1] += usize::from(found == hash);
                // Lossy JPEG 2000 is computed with floating-point numbers: a few samples are rounded to the other side.
                let near = syntax == "1.2.840.10008.1.2.4.91" && {
                    let count = stored.shape.iter().product::<usize>() as u64;
                    sum.parse::<i64>().unwrap().abs_diff(sum_of(&stored)) <= count / 50
                };
                if (found != hash && !near) || size != shape {
                    wrong.push(format!("{name} ({syntax}): {size} of {shape}, other samples"));
                }
            }
            Err(error) => {
                count[2] += 1;
                wrong.push(format!("{error} ({syntax})"));
            }
        }
    }
    for (syntax, [files, equal, refused]) in &counts {
        println!("{syntax}: {files} files, {equal} equal, {refused} refused");
    }
    assert!(!counts.is_empty() && wrong.is_empty(), "{}", wrong.join("\n"));
}

fn sum_of(stored: &Stored) -> i64 {
    let value = |b: &[u8]| {
        let word = b.iter().rev().fold(0u64, |word, b| word << 8 | u64::from(*b));
        let unused = 64 - 8 * stored.bytes;
        if stored.signed { (word << unused) as i64 >> unused } else { word as i64 }
    };
    stored.data.chunks_exact(stored.bytes).map(value).sum()
}
