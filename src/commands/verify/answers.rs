//! Outputs of the program beside those of float: classes, masks, scores.

use crate::output::ByClass;
use niello_codegen::{
    check::compare::{Pair, Verification},
    pipeline::{Build, Task},
};
use niello_imaging::metrics::{self, DiceCounts};
use serde::Serialize;

/// The first output of the program beside float's, over all inputs.
#[derive(Serialize)]
pub(crate) struct Output {
    /// SQNR of the network's output.
    pub(crate) sqnr_db: Option<f64>,
    /// Cosine of the angle between both outputs.
    pub(crate) cosine: Option<f64>,
    /// Share of images with the same class (classification); an image whose best scores are equal has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) top1_agreement: Option<f64>,
    /// Images whose best int8 scores are equal (classification).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ties: Option<usize>,
    /// Share of pixels with the same class (segmentation).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pixel_agreement: Option<f64>,
    /// Dice of int8 against float by class, pixels of all images pooled (segmentation).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dice: Option<ByClass<Option<f64>>>,
    /// The smallest Dice of any image, by class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) worst_dice: Option<ByClass<Option<f64>>>,
}

/// Dice of one class.
#[derive(Clone, Default)]
struct ClassDice {
    pooled: DiceCounts,
    worst: Option<f64>,
}

impl ClassDice {
    fn add(&mut self, coded: &[u8], float: &[u8], class: u8) {
        self.pooled.add(coded, float, class, None);
        if let Some(dice) = metrics::dice(coded, float, class, None) {
            self.worst = Some(self.worst.map_or(dice, |worst| worst.min(dice)));
        }
    }
}

/// Answers of all inputs.
pub(super) struct Answers {
    same: usize,
    ties: usize,
    dice: Vec<ClassDice>,
    /// Pixels with the same class, and all.
    pixels: (usize, usize),
    /// Of each score, the smallest and the largest of all inputs: of float and of the program.
    spread: Vec<[(f32, f32); 2]>,
    inputs: usize,
}

impl Answers {
    pub(super) fn new(build: &Build) -> Self {
        let dice = vec![ClassDice::default(); build.label_names().len()];
        Self { same: 0, ties: 0, dice, pixels: (0, 0), spread: vec![], inputs: 0 }
    }

    pub(super) fn add(&mut self, build: &Build, pair: &Pair) {
        let (float, coded) = (&pair.float[0], &pair.coded[0]);
        self.inputs += 1;
        self.spread.resize(float.data.len(), [(f32::INFINITY, f32::NEG_INFINITY); 2]);
        for (spread, values) in self.spread.iter_mut().zip(float.data.iter().zip(&coded.data)) {
            for ((min, max), x) in spread.iter_mut().zip([*values.0, *values.1]) {
                (*min, *max) = (min.min(x), max.max(x));
            }
        }
        match build.task {
            Task::Generation => {}
            Task::Segmentation => {
                let (float, coded) = (build.labels(float), build.labels(coded));
                self.dice.iter_mut().zip(0..).for_each(|(d, class)| d.add(&coded, &float, class));
                self.pixels.0 += float.iter().zip(&coded).filter(|(a, b)| a == b).count();
                self.pixels.1 += float.len();
            }
            Task::Classification => {
                let is_tie = is_tie(&coded.data);
                self.ties += is_tie as usize;
                self.same += (!is_tie && build.class(&float.data) == build.class(&coded.data)) as usize;
            }
        }
    }

    /// Whether the program gives one output for all inputs where float's differ by more than two steps.
    pub(super) fn is_constant(&self, build: &Build) -> bool {
        let step = build.program.tensor(build.program.outputs[0]).format.step().unwrap_or(0.0);
        let varies = |[(min, max), _]: &[(f32, f32); 2]| max - min > 2.0 * step;
        self.inputs > 1
            && self.spread.iter().all(|[_, (min, max)]| min == max)
            && self.spread.iter().any(varies)
    }

    pub(super) fn finish(&self, build: &Build, result: &Verification) -> Output {
        let names = build.label_names();
        let (classifies, segments) = (build.task == Task::Classification, build.task == Task::Segmentation);
        let same = if self.is_constant(build) { 0 } else { self.same };
        Output {
            sqnr_db: result.output.sqnr_db(),
            cosine: result.output.cosine(),
            top1_agreement: classifies.then(|| same as f64 / result.inputs as f64),
            ties: classifies.then_some(self.ties),
            pixel_agreement: segments.then(|| self.pixels.0 as f64 / self.pixels.1.max(1) as f64),
            dice: segments.then(|| ByClass::new(&names, self.dice.iter().map(|d| d.pooled.dice()))),
            worst_dice: segments.then(|| ByClass::new(&names, self.dice.iter().map(|d| d.worst))),
        }
    }
}

/// Whether no score is larger than all others.
fn is_tie(scores: &[f32]) -> bool {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.len() > 1 && scores.iter().filter(|s| **s == largest).count() > 1
}
