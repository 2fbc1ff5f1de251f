//! The images that a command works on.

use crate::progress;
use niello_codegen::{Error, Result, Tensor, pipeline::Build};
use niello_evaluation::InputUse;
use std::path::{Path, PathBuf};

/// An image, or all images of a folder and the folders in it, sorted.
pub(crate) fn images(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_dir() {
        let folder = niello_imaging::list_folder(path, true)?;
        for (path, what) in &folder.skipped {
            progress::note(&format!("{}: skipped: {what}", path.display()));
        }
        return Ok(folder.images);
    }
    if !path.exists() {
        return Err(Error::file(path, "expected an image or a folder of images, found nothing there"));
    }
    Ok(vec![path.to_path_buf()])
}

/// Whether a file holds inputs as tensors, by its name.
pub(crate) fn is_tensors(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors"))
}

/// The only sample of a safetensors file.
pub(crate) fn sample(build: &Build, path: &Path) -> Result<Vec<Tensor<f32>>> {
    let mut samples = build.samples(path)?;
    let sample = samples.pop().filter(|_| samples.is_empty());
    sample.ok_or_else(|| Error::file(path, "holds several samples, expected one"))
}

/// How the format of the network's first input takes these values.
pub(crate) fn input_use(build: &Build, input: &Tensor<f32>) -> InputUse {
    let format = build.program.tensor(build.program.inputs[0]).format;
    let mut used = InputUse { values: input.data.len() as u64, ..InputUse::default() };
    if let (Some(step), Some((min, max))) = (format.step(), format.range()) {
        used.below = input.data.iter().filter(|x| **x < min - step / 2.0).count() as u64;
        used.above = input.data.iter().filter(|x| **x > max + step / 2.0).count() as u64;
    }
    used
}
