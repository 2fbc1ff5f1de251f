//! Figures of segmentations.

use crate::{
    Counts, Estimate, Estimates, MaskCase, MaskOutcome, bootstrap, classifier::share, paired::Compared,
    quantile::weighted,
};
use serde::{Deserialize, Serialize};

/// Overlap of one class in two maps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Overlap {
    /// `2 TP / (2 TP + FP + FN)`, which is F1 of the pixels.
    pub dice: Estimate,
    /// `TP / (TP + FP + FN)`.
    pub iou: Estimate,
    /// `TP / (TP + FN)`.
    pub sensitivity: Estimate,
    /// `TN / (TN + FP)`.
    pub specificity: Estimate,
    /// `(TP + TN) / pixels`.
    pub accuracy: Estimate,
    /// `TP / (TP + FP)`.
    pub precision: Estimate,
}

impl Overlap {
    /// Of counts among so many pixels.
    fn new(Counts { both, truth, found }: Counts, pixels: u64) -> Self {
        let either = truth + found - both;
        Self {
            dice: share(2 * both, truth + found).into(),
            iou: share(both, either).into(),
            sensitivity: share(both, truth).into(),
            specificity: share(pixels - either, pixels - truth).into(),
            accuracy: share(pixels - either + both, pixels).into(),
            precision: share(both, found).into(),
        }
    }
}

impl Estimates for Overlap {
    fn estimates(&mut self) -> Vec<&mut Estimate> {
        let Self { dice, iou, sensitivity, specificity, accuracy, precision } = self;
        vec![dice, iou, sensitivity, specificity, accuracy, precision]
    }
}

/// A figure over the images in which it is defined.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ByImage {
    /// Images in which it is defined.
    pub images: usize,
    /// The mean.
    pub mean: Estimate,
    /// The lower quartile.
    pub q1: Estimate,
    /// The median.
    pub median: Estimate,
    /// The upper quartile.
    pub q3: Estimate,
    /// The smallest.
    pub minimum: Option<f64>,
    /// The largest.
    pub maximum: Option<f64>,
}

impl Estimates for ByImage {
    fn estimates(&mut self) -> Vec<&mut Estimate> {
        vec![&mut self.mean, &mut self.q1, &mut self.median, &mut self.q3]
    }
}

/// Figures of a class by image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageFigures {
    /// As in [`Overlap`].
    pub dice: ByImage,
    /// As in [`Overlap`].
    pub iou: ByImage,
    /// As in [`Overlap`].
    pub sensitivity: ByImage,
    /// As in [`Overlap`].
    pub specificity: ByImage,
    /// As in [`Overlap`].
    pub accuracy: ByImage,
    /// As in [`Overlap`].
    pub precision: ByImage,
    /// [`crate::hausdorff_95`], in pixels.
    pub hausdorff_95: ByImage,
}

impl ImageFigures {
    fn all(&mut self) -> [&mut ByImage; 7] {
        let Self { dice, iou, sensitivity, specificity, accuracy, precision, hausdorff_95 } = self;
        [dice, iou, sensitivity, specificity, accuracy, precision, hausdorff_95]
    }
}

/// Figures of one class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassMasks {
    /// Pixels of all images taken together.
    pub pooled: Overlap,
    /// Image by image.
    pub by_image: ImageFigures,
}

/// Figures of a segmentation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MaskFigures {
    /// Share of all pixels with the right class.
    pub accuracy: Estimate,
    /// By class.
    pub classes: Vec<ClassMasks>,
}

impl Estimates for MaskFigures {
    fn estimates(&mut self) -> Vec<&mut Estimate> {
        let mut all = vec![&mut self.accuracy];
        for class in &mut self.classes {
            all.extend(class.pooled.estimates());
            all.extend(class.by_image.all().into_iter().flat_map(Estimates::estimates));
        }
        all
    }
}

impl MaskFigures {
    /// The smallest pooled Dice of any class that is in a map.
    pub fn lowest_dice(&self) -> Option<f64> {
        self.classes.iter().filter_map(|class| class.pooled.dice.value).min_by(f64::total_cmp)
    }
}

/// What an evaluation of a segmentation found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaskReport {
    /// Images.
    pub cases: usize,
    /// Figures; absent without masks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figures: Option<MaskFigures>,
    /// The comparison with other maps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<AgainstMasks>,
}

/// A segmentation against another on the same images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgainstMasks {
    /// The own maps against the other's, which count as right.
    pub agreement: MaskFigures,
    /// Figures of the other; absent without masks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figures: Option<MaskFigures>,
    /// Own figures less the other's, with paired intervals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<MaskFigures>,
    /// Images with other pixels than the other's, most changed first.
    pub changed: Vec<Changed>,
}

/// An image whose map differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// The image.
    pub id: String,
    /// Share of its pixels with another class.
    pub share: f64,
    /// Dice of both maps, by class.
    pub dice: Vec<Option<f64>>,
}

/// Outcomes, ordered for all resamples once.
struct Prepared<'a> {
    outcomes: Vec<&'a MaskOutcome>,
    /// By class and figure: values in rising order, each with its image.
    sorted: Vec<[Vec<(f64, u32)>; 7]>,
}

impl<'a> Prepared<'a> {
    fn new(outcomes: Vec<&'a MaskOutcome>, classes: usize) -> Self {
        let mut sorted: Vec<[Vec<(f64, u32)>; 7]> = vec![Default::default(); classes];
        for (image, outcome) in (0..).zip(&outcomes) {
            for (class, (counts, distance)) in
                outcome.counts.iter().zip(&outcome.hausdorff_95).enumerate().take(classes)
            {
                let mut overlap = Overlap::new(*counts, outcome.pixels);
                let values = overlap.estimates().into_iter().map(|e| e.value).chain([*distance]);
                sorted[class]
                    .iter_mut()
                    .zip(values)
                    .for_each(|(list, value)| list.extend(value.map(|v| (v, image))));
            }
        }
        sorted.iter_mut().flatten().for_each(|list| list.sort_by(|a, b| a.0.total_cmp(&b.0)));
        Self { outcomes, sorted }
    }

    fn figures(&self, weights: &[u32]) -> MaskFigures {
        let mut counts = vec![Counts::default(); self.sorted.len()];
        let (mut pixels, mut right) = (0, 0);
        for (outcome, weight) in self.outcomes.iter().zip(weights) {
            let weight = u64::from(*weight);
            pixels += weight * outcome.pixels;
            for (sum, of_image) in counts.iter_mut().zip(&outcome.counts) {
                sum.both += weight * of_image.both;
                sum.truth += weight * of_image.truth;
                sum.found += weight * of_image.found;
                right += weight * of_image.both;
            }
        }
        let one = |(counts, lists): (&Counts, &[Vec<(f64, u32)>; 7])| {
            let mut by_image = ImageFigures::default();
            by_image
                .all()
                .into_iter()
                .zip(lists)
                .for_each(|(figure, list)| *figure = by_images(list, weights));
            ClassMasks { pooled: Overlap::new(*counts, pixels), by_image }
        };
        MaskFigures {
            accuracy: share(right, pixels).into(),
            classes: counts.iter().zip(&self.sorted).map(one).collect(),
        }
    }
}

fn by_images(sorted: &[(f64, u32)], weights: &[u32]) -> ByImage {
    let weighed = || sorted.iter().map(|(value, image)| (*value, weights[*image as usize]));
    let (total, sum) = weighed().fold((0, 0.0), |(total, sum), (value, weight)| {
        (total + u64::from(weight), sum + value * f64::from(weight))
    });
    let quartiles = weighted(total, [0.25, 0.5, 0.75], weighed());
    let [q1, median, q3] = std::array::from_fn(|i| quartiles.map(|q| q[i]).into());
    let mean = (total > 0).then(|| sum / total as f64).into();
    let value = |at: Option<&(f64, u32)>| at.map(|(value, _)| *value);
    ByImage {
        images: sorted.len(),
        mean,
        q1,
        median,
        q3,
        minimum: value(sorted.first()),
        maximum: value(sorted.last()),
    }
}

/// The figures of these images with `classes` classes; sets that lack a mask or another map for an image are compared without.
pub fn report(cases: &[MaskCase], classes: usize) -> MaskReport {
    let prepare = |outcome: fn(&MaskCase) -> Option<&MaskOutcome>| {
        let outcomes: Option<Vec<_>> = cases.iter().map(outcome).collect();
        outcomes.filter(|all| !all.is_empty()).map(|all| Prepared::new(all, classes))
    };
    let own = prepare(|case| case.outcome.as_ref());
    let other = prepare(|case| case.against.as_ref());
    let agreement = prepare(|case| case.agreement.as_ref());
    let found = bootstrap(cases.len(), |weights| {
        let [own, other, agreement] =
            [&own, &other, &agreement].map(|p| p.as_ref().map(|p| p.figures(weights)));
        Compared::new(own, other, agreement)
    });
    let mut changed: Vec<Changed> = cases.iter().filter_map(Changed::of).collect();
    changed.sort_by(|a, b| b.share.total_cmp(&a.share));
    let Compared { own, against, difference, agreement } = found;
    MaskReport {
        cases: cases.len(),
        figures: own,
        against: agreement.map(|agreement| AgainstMasks { agreement, figures: against, difference, changed }),
    }
}

impl Changed {
    fn of(case: &MaskCase) -> Option<Self> {
        let outcome = case.agreement.as_ref()?;
        let same: u64 = outcome.counts.iter().map(|c| c.both).sum();
        let dice = |c: &Counts| share(2 * c.both, c.truth + c.found);
        (same < outcome.pixels).then(|| Self {
            id: case.id.clone(),
            share: 1.0 - same as f64 / outcome.pixels as f64,
            dice: outcome.counts.iter().map(dice).collect(),
        })
    }
}
