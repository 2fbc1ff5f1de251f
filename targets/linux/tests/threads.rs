//! The number of threads changes the time, nothing else.

use niello::{BufferError, Elements, Metadata, Model, TensorInfo, kernels::Rounding};
use niello_imaging::write_label_png;
use niello_linux::segment;
use std::{fs, path::PathBuf};

const SIDE: usize = 16;

/// Class 1 where a code is positive, else class 0. Remembers nothing.
#[derive(Default)]
struct Sign;

const fn tensor(name: &'static str, c: usize) -> TensorInfo {
    TensorInfo {
        name,
        shape: [SIDE, SIDE, c],
        elements: Elements::Codes,
        scale: 1.0 / 255.0,
        zero_point: -128,
    }
}

impl Model for Sign {
    const NAME: &'static str = "sign";
    const ARENA_BYTES: usize = 0;
    const FLASH_BYTES: usize = 0;
    const INPUTS: &'static [TensorInfo] = &[tensor("input", 1)];
    const OUTPUTS: &'static [TensorInfo] = &[tensor("output", 2)];
    const LAYERS: &'static [niello::LayerInfo] = &[];
    const METADATA: Metadata = Metadata {
        network: "sign",
        format: "int8",
        rounding: Rounding::Single,
        target: "portable",
        classes: &["dark", "bright"],
        preprocess: "unit",
        sources: &[],
    };

    fn infer(&mut self, inputs: &[&[i8]], outputs: &mut [&mut [i8]]) -> Result<(), BufferError> {
        Self::check_buffers(inputs, outputs)?;
        for (scores, code) in outputs[0].chunks_exact_mut(2).zip(inputs[0]) {
            scores.copy_from_slice(&[0, *code]);
        }
        Ok(())
    }
}

fn images(folder: &std::path::Path) -> Vec<PathBuf> {
    (0..7u8)
        .map(|i| {
            let path = folder.join(format!("{i}.png"));
            let gray: Vec<u8> = (0..SIDE * SIDE).map(|p| (p as u8).wrapping_mul(2 * i + 1)).collect();
            write_label_png(&path, &gray[..], [SIDE, SIDE], None).unwrap();
            path
        })
        .collect()
}

#[test]
fn results_come_in_order_and_do_not_depend_on_the_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let images = images(folder.path());
    let [one, three] = [1, 3].map(|threads| {
        let out = folder.path().join(format!("out{threads}"));
        fs::create_dir(&out).unwrap();
        let slices = segment::<Sign>(&images, threads, Some(&out)).unwrap();
        assert!(slices.iter().map(|s| &s.image).eq(&images));
        let files: Vec<Vec<u8>> = images
            .iter()
            .flat_map(|p| ["mask", "overlay"].map(|kind| (p.file_stem().unwrap().to_str().unwrap(), kind)))
            .map(|(stem, kind)| fs::read(out.join(format!("{stem}_{kind}.png"))).unwrap())
            .collect();
        (slices.into_iter().map(|s| (s.labels, s.counts)).collect::<Vec<_>>(), files)
    });
    assert!(one.0.iter().any(|(_, counts)| counts.iter().all(|n| *n > 0)), "both classes occur");
    assert!(one == three);
}

#[test]
fn the_first_image_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut images = images(folder.path());
    images.insert(2, folder.path().join("absent.png"));
    images.push(folder.path().join("also-absent.png"));
    let error = segment::<Sign>(&images, 3, None).unwrap_err().to_string();
    assert!(error.contains("/absent.png"), "{error}");
}
