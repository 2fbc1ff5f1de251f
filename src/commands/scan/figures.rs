//! What a network found in a scan.

use super::lungs::{Lungs, Roles};
use crate::output::ByClass;
use niello_codegen::{
    pipeline::{Build, Calibrated},
    weights::sha256_of,
};
use niello_evaluation::InputUse;
use niello_imaging::{metrics::class_counts, scan::Volume};
use serde::Serialize;
use std::path::PathBuf;

/// Results of all slices.
pub(super) enum Judged {
    /// Of a segmentation: the label of each voxel.
    Labels { labels: Vec<u8>, used: Vec<InputUse> },
    /// Of a classifier: the class of each slice, and the probabilities of all.
    Classes { classes: Vec<(usize, Vec<f32>)>, used: Vec<InputUse> },
}

/// Where the voxels of a scan lie.
#[derive(Serialize)]
pub(super) struct Grid {
    pub(super) slices: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Between slices, rows, columns.
    pub(super) spacing_mm: [f64; 3],
    /// Directions to which columns, rows and slices are counted, as the network sees them.
    pub(super) axes: String,
    /// The same of the file's own axes, the fastest first.
    pub(super) stored_axes: String,
    /// The centre of the first voxel: to the left, the back, the head.
    pub(super) origin_mm: [f64; 3],
}

/// Figures of a class: of voxels for a segmentation, of slices for a classifier.
#[derive(Serialize)]
pub(super) struct Class {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) voxels: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ml: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) slices: Option<u64>,
    /// Share of all voxels, or slices.
    pub(super) share: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mean_probability: Option<f64>,
}

/// A slice, in the order of places.
#[derive(Serialize)]
pub(super) struct Slice {
    pub(super) slice: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<PathBuf>,
    /// Along the normal of the slices.
    pub(super) position_mm: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) probabilities: Option<ByClass<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) area_cm2: Option<ByClass<f64>>,
    /// Of the lung in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) abnormal_percent: Option<f64>,
}

/// Everything that is said of a scan.
#[derive(Serialize)]
pub(super) struct Found {
    pub(super) scan: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) series: Option<String>,
    pub(super) network: String,
    pub(super) format: String,
    /// Hash of program, weights and pre-processing.
    pub(super) program: String,
    /// Files and their hashes: weights, recipe.
    pub(super) sources: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ranges: Option<String>,
    pub(super) preprocess: String,
    pub(super) grid: Grid,
    pub(super) notes: Vec<String>,
    pub(super) seconds: f64,
    /// Share of the input's values that its range cuts off.
    pub(super) cut_off: f64,
    pub(super) classes: ByClass<Class>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lungs: Option<Lungs>,
    pub(super) slices: Vec<Slice>,
}

impl Found {
    pub(super) fn new(
        build: &Build,
        volume: &Volume,
        judged: &Judged,
        (roles, mask): (&Roles, Option<&[bool]>),
        seconds: f64,
    ) -> Self {
        let geometry = volume.geometry();
        let [slices, rows, columns] = geometry.size;
        let names = build.label_names();
        let [_, down, across] = geometry.spacing;
        let plain = |slice: usize| Slice {
            slice,
            file: volume.slice_file(slice).map(PathBuf::from),
            position_mm: geometry.position(slice),
            class: None,
            probabilities: None,
            area_cm2: None,
            abnormal_percent: None,
        };
        let (classes, of_slices, lungs, used): (Vec<Class>, Vec<Slice>, _, _) = match judged {
            Judged::Labels { labels, used } => {
                let lungs = Lungs::new(geometry, labels, roles, mask);
                let of_class = |voxels: u64| Class {
                    voxels: Some(voxels),
                    ml: Some(voxels as f64 * geometry.voxel_ml()),
                    slices: None,
                    share: voxels as f64 / labels.len() as f64,
                    mean_probability: None,
                };
                let of_slice = |(slice, labels): (usize, &[u8])| {
                    let areas = class_counts(labels, names.len());
                    let areas = areas.into_iter().map(|n| n as f64 * down * across / 100.0);
                    let share = lungs.as_ref().and_then(|l| l.by_slice.get(slice).copied().flatten());
                    Slice {
                        area_cm2: Some(ByClass::new(&names, areas)),
                        abnormal_percent: share,
                        ..plain(slice)
                    }
                };
                let of_slices = labels.chunks(rows * columns).enumerate().map(of_slice).collect();
                let counts = class_counts(labels, names.len());
                (counts.into_iter().map(of_class).collect(), of_slices, lungs, used)
            }
            Judged::Classes { classes, used } => {
                let of_class = |class: usize| {
                    let own = classes.iter().filter(|(found, _)| *found == class).count();
                    let sum: f64 =
                        classes.iter().filter_map(|(_, p)| p.get(class)).map(|p| f64::from(*p)).sum();
                    Class {
                        voxels: None,
                        ml: None,
                        slices: Some(own as u64),
                        share: own as f64 / slices as f64,
                        mean_probability: Some(sum / slices as f64),
                    }
                };
                let of_slice = |(slice, (class, p)): (usize, &(usize, Vec<f32>))| Slice {
                    class: names.get(*class).cloned(),
                    probabilities: Some(ByClass::new(&names, p.iter().map(|p| f64::from(*p)))),
                    ..plain(slice)
                };
                let of_slices = classes.iter().enumerate().map(of_slice).collect();
                ((0..names.len()).map(of_class).collect(), of_slices, None, used)
            }
        };
        let sum = |count: fn(&InputUse) -> u64| used.iter().map(count).sum::<u64>();
        let mut notes = volume.notes().to_vec();
        notes.extend(directions(volume));
        if lungs.as_ref().is_some_and(|lungs| lungs.left.is_none()) {
            notes.push(
                "left and right lung cannot be told apart: there is no plane with little lung between them"
                    .into(),
            );
        }
        let metadata = &build.program.metadata;
        let recipe = build
            .recipe
            .file
            .as_ref()
            .and_then(|path| Some((path.display().to_string(), sha256_of(&std::fs::read(path).ok()?))));
        Self {
            scan: volume.name().to_path_buf(),
            series: volume.series().map(String::from),
            network: metadata.network.clone(),
            format: build.program.format().into(),
            program: build.sha256(),
            sources: metadata.sources.iter().cloned().chain(recipe).collect(),
            ranges: build.calibrated.as_ref().map(Calibrated::summary),
            preprocess: metadata.preprocess.clone(),
            grid: Grid {
                slices,
                rows,
                columns,
                spacing_mm: geometry.spacing,
                axes: geometry.letters(),
                stored_axes: volume.stored_letters(),
                origin_mm: geometry.origin,
            },
            notes,
            seconds,
            cut_off: sum(|used| used.below + used.above) as f64 / sum(|used| used.values).max(1) as f64,
            classes: ByClass::new(&names, classes),
            lungs,
            slices: of_slices,
        }
    }

    /// Whether voxels were labelled, not slices.
    pub(super) fn is_segmentation(&self) -> bool {
        self.slices.first().is_some_and(|slice| slice.area_cm2.is_some())
    }
}

/// Whether the network sees slices in other directions than axial ones.
fn directions(volume: &Volume) -> Option<String> {
    let geometry = volume.geometry();
    let (letters, angle) = (geometry.letters(), geometry.obliqueness());
    if letters == "LPS" && angle < 20.0 {
        return None;
    }
    Some(format!(
        "the network sees slices whose columns, rows and slices run to {letters}, up to {angle:.0} degrees oblique: axial ones run to the left, the back and the \
         head (LPS)"
    ))
}
