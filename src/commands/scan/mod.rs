//! `niello scan`.

mod blocks;
mod figures;
mod files;
mod lungs;
mod page;

use self::{
    figures::{Found, Judged},
    lungs::Roles,
};
use super::Done;
use crate::{
    args::{ModelArgs, build_with_progress},
    inputs::input_use,
    networks,
    output::{self, check_writable, writing},
    progress::{self, Step},
    scans,
};
use clap::Args;
use niello_codegen::{
    Error, Result,
    pipeline::{Build, Task, find_network},
};
use niello_imaging::scan::{Segment, Volume, Voxels, write_nifti, write_segmentation};
use std::{
    path::{Path, PathBuf},
    time::Instant,
};

/// Run a network on every slice of a scan: volumes, masks, a page
#[derive(Args)]
#[command(
    after_help = "Examples:\n  niello scan --model anam_net series/ --mask mask.nii.gz --html scan.html\n  \
                        niello scan --recipe lesions.toml scan.nii.gz --lungs lungs.nii.gz --abnormal infection --segmentation mask.dcm\n  \
                        niello scan --recipe covid.toml series/ --csv slices.csv --json\n\n\
                        Slices are sorted by their places; missing, doubled and odd ones are errors, and so are several scans in one folder, a tilted \
                        gantry, a sheared grid, and a scan without spacing or directions: nothing is guessed. Figures and files: docs/scans.md."
)]
pub(crate) struct Scan {
    /// Folder of a DICOM series, a DICOM file of several frames, or NIfTI (.nii, .nii.gz)
    #[arg(value_name = "SCAN")]
    source: PathBuf,
    /// Of a folder with several series: the start of the Series Instance UID of one
    #[arg(long, value_name = "UID")]
    series: Option<String>,
    /// Write the classes of all voxels as NIfTI of the scan's geometry; `.gz` is compressed
    #[arg(long, value_name = "NIFTI")]
    mask: Option<PathBuf>,
    /// Write the classes but the first, the background, as DICOM Segmentation
    #[arg(long, value_name = "DICOM")]
    segmentation: Option<PathBuf>,
    /// Mask of the lungs on the scan's grid, NIfTI or DICOM: every value but 0 is lung
    #[arg(long, value_name = "FILE")]
    lungs: Option<PathBuf>,
    /// A class that counts as abnormal, by name or index (may be repeated); absent: those whose name begins with `abnormal`
    #[arg(long, value_name = "CLASS")]
    abnormal: Vec<String>,
    /// Write one line per slice
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write a page with figures, curves and slices, which needs no network and no script
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

impl Scan {
    pub(crate) fn run(self) -> Result<Done> {
        let files = [&self.mask, &self.segmentation, &self.csv, &self.html];
        files.into_iter().flatten().try_for_each(|path| check_writable(path))?;
        if let Some(mask) = self.mask.as_ref().filter(|mask| !scans::is_nifti(mask)) {
            return Err(Error::file(mask, "expected a name that ends in .nii or .nii.gz"));
        }
        let recipe = self.model.recipe()?;
        if find_network(&recipe, networks())?.generates() {
            let name = recipe.network_name();
            return Err(Error::Invalid(format!("{name} makes images, and reads no scan")));
        }
        // Before minutes of calibration.
        let volume = scans::read(&self.source, self.series.as_deref())?;
        let lungs = self.lungs.as_deref().map(|path| read_lungs(path, &volume)).transpose()?;
        if recipe.seeded {
            progress::note("weights are random numbers (`--seeded`): the figures say nothing");
        }
        // On one thread each: slices are spread over the cores.
        let build = build_with_progress(&recipe)?;
        let is_segmentation = build.task == Task::Segmentation;
        if !is_segmentation {
            let masks = [&self.mask, &self.segmentation, &self.lungs].into_iter().any(Option::is_some);
            if masks || !self.abnormal.is_empty() {
                let message = "classifies whole slices: `--mask`, `--segmentation`, `--lungs` and `--abnormal` are for segmentations";
                return Err(Error::Invalid(format!("{} {message}", build.program.metadata.network)));
            }
        }
        if self.segmentation.is_some() {
            Segment::check(&segments(&build))?;
        }
        let roles = Roles::new(&build.label_names(), &self.abnormal, self.lungs.as_deref())?;
        let start = Instant::now();
        let judged = judge(&build, &volume)?;
        let seconds = start.elapsed().as_secs_f64();
        let found = Found::new(&build, &volume, &judged, (&roles, lungs.as_deref()), seconds);
        self.write(&build, &volume, &judged, &found)?;
        let text = if self.json { output::json(&found)? } else { crate::blocks::text(&blocks::of(&found)) };
        Ok(text.into())
    }

    /// The files that are wanted.
    fn write(&self, build: &Build, volume: &Volume, judged: &Judged, found: &Found) -> Result<()> {
        let page = self.html.as_ref().map(|_| page::of(build, volume, judged, found)).transpose()?;
        let csv = self.csv.as_ref().map(|_| files::csv(found)).transpose()?;
        let _writing = writing();
        for (path, text) in [(&self.html, page), (&self.csv, csv)] {
            if let (Some(path), Some(text)) = (path, text) {
                niello_imaging::write_atomic(path, text.as_bytes())?;
            }
        }
        let Judged::Labels { labels, .. } = judged else { return Ok(()) };
        if let Some(path) = &self.mask {
            write_nifti(path, volume, Voxels::U8(labels))?;
        }
        if let Some(path) = &self.segmentation {
            write_segmentation(path, volume, labels, &segments(build))?;
        }
        Ok(())
    }
}

/// Every class but the background.
fn segments(build: &Build) -> Vec<Segment> {
    let segment = |(label, name): (u8, String)| Segment { label, name };
    (0..=u8::MAX).zip(build.label_names()).skip(1).map(segment).collect()
}

/// Which voxels of a scan a mask marks.
fn read_lungs(path: &Path, volume: &Volume) -> Result<Vec<bool>> {
    let mask = scans::read(path, None)?.on_grid_of(volume)?;
    let lungs: Vec<bool> = mask.iter().map(|value| *value != 0.0).collect();
    match lungs.contains(&true) {
        true => Ok(lungs),
        false => Err(Error::file(path, "expected a mask of the lungs, found zeros alone")),
    }
}

/// The program on every slice.
fn judge(build: &Build, volume: &Volume) -> Result<Judged> {
    let step = Step::new("running", volume.geometry().size[0] as u64);
    if build.task == Task::Segmentation {
        let slices = scans::each_slice(build, volume, Some(&step), |_, input, output| {
            Ok((scans::slice_labels(build, volume, output)?, input_use(build, input)))
        })?;
        let (labels, used): (Vec<Vec<u8>>, Vec<_>) = slices.into_iter().unzip();
        return Ok(Judged::Labels { labels: labels.concat(), used });
    }
    let slices = scans::each_slice(build, volume, Some(&step), |_, input, output| {
        let class = build.class(&output.data);
        Ok(((class, build.probabilities(&output.data)), input_use(build, input)))
    })?;
    let (classes, used) = slices.into_iter().unzip();
    Ok(Judged::Classes { classes, used })
}
