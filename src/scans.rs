//! Networks on the slices of whole scans.

use crate::progress::{self, Step};
use niello_codegen::{Error, Result, Tensor, execute::Executor, pipeline::Build};
use niello_imaging::scan::{Volume, read_scan};
use std::{
    path::Path,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

/// Whether a file is NIfTI, by its name.
pub(crate) fn is_nifti(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.ends_with(".nii") || name.ends_with(".nii.gz")
}

/// A scan: a folder of DICOM slices, of which `series` names one, a DICOM file, or NIfTI. What was noticed of it goes to standard error.
pub(crate) fn read(path: &Path, series: Option<&str>) -> Result<Volume> {
    if !path.exists() {
        let message = "expected a folder of DICOM slices, a DICOM file or NIfTI, found nothing there";
        return Err(Error::file(path, message));
    }
    let volume = read_scan(path, series)?;
    volume.notes().iter().for_each(|note| progress::note(&format!("{}: {note}", path.display())));
    Ok(volume)
}

/// Runs the program on every slice, on all cores; `work` makes something of the slice's index, its input and the program's output.
pub(crate) fn each_slice<T: Send>(
    build: &Build,
    volume: &Volume,
    step: Option<&Step>,
    work: impl Fn(usize, &Tensor<f32>, &Tensor<f32>) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let count = volume.geometry().size[0];
    let threads = thread::available_parallelism().map_or(1, |n| n.get()).min(count);
    let next = AtomicUsize::new(0);
    let mut results: Vec<Option<T>> = (0..count).map(|_| None).collect();
    thread::scope(|scope| -> Result<()> {
        let (sender, received) = mpsc::channel();
        for _ in 0..threads {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                let mut executor = Executor::new(&build.program);
                loop {
                    let slice = next.fetch_add(1, Ordering::Relaxed);
                    // Nobody listens any more after an error.
                    if slice >= count
                        || sender.send((slice, one(build, volume, slice, &mut executor, work))).is_err()
                    {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (slice, result) in received {
            results[slice] = Some(result?);
            step.into_iter().for_each(Step::advance);
        }
        Ok(())
    })?;
    Ok(results.into_iter().flatten().collect())
}

fn one<T>(
    build: &Build,
    volume: &Volume,
    slice: usize,
    executor: &mut Executor<'_>,
    work: impl Fn(usize, &Tensor<f32>, &Tensor<f32>) -> Result<T>,
) -> Result<T> {
    let input = build.input(&volume.slice(slice)?)?;
    let codes = build.codes(std::slice::from_ref(&input));
    let outputs = executor.run(&[&codes[0]])?;
    let program = &build.program;
    let output = program.tensor(program.outputs[0]).dequantize(&outputs[0]);
    if !output.data.iter().all(|score| score.is_finite()) {
        return Err(Error::file(volume.name(), format!("slice {slice}: scores are not finite")));
    }
    work(slice, &input, &output)
}

/// The label of each pixel of a slice, from a network's output.
pub(crate) fn slice_labels(build: &Build, volume: &Volume, output: &Tensor<f32>) -> Result<Vec<u8>> {
    let [_, h, w] = volume.geometry().size;
    let map = [output.shape.h, output.shape.w];
    let labels = build.preprocess.restore(&build.labels(output), map, [h, w]);
    labels.map_err(|e| Error::file(volume.name(), e.to_string()))
}
