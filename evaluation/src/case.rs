//! Records of single cases: what a network said, and what it should have said.

use serde::{Deserialize, Serialize};

/// What the scores of a classifier are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScoreKind {
    /// One for each class, before a softmax; or a single one, before a sigmoid.
    Logits,
    /// One for each class, behind a softmax; or a single one, behind a sigmoid.
    Probabilities,
    /// The index of a class.
    Labels,
}

/// The scores of an image, as the network gives them. A single one is that of class 1, against class 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scores(pub Vec<f32>);

/// The largest score of these, the first of equals, and the difference to the next.
fn top(scores: &[f32]) -> (usize, f64) {
    let mut best = 0;
    (0..scores.len()).for_each(|i| {
        if scores[i] > scores[best] {
            best = i
        }
    });
    let others = scores.iter().enumerate().filter(|(i, _)| *i != best).map(|(_, s)| *s);
    let second = others.fold(f32::NEG_INFINITY, f32::max);
    (best, scores.get(best).map_or(0.0, |s| f64::from(*s) - f64::from(second)))
}

impl Scores {
    /// The class that they stand for: the largest, the first of equals; of a single one, 1 above 0 or for a probability above 0.5.
    pub fn decision(&self, kind: ScoreKind) -> usize {
        match (&self.0[..], kind) {
            ([label], ScoreKind::Labels) => *label as usize,
            ([one], _) => usize::from(f64::from(*one) > threshold(kind)),
            (many, _) => top(many).0,
        }
    }

    /// How far the decision is from another, in the scores' unit: the largest score less the next; the distance of a single one to its threshold; infinite
    /// for a label.
    pub fn margin(&self, kind: ScoreKind) -> f64 {
        match (&self.0[..], kind) {
            ([_], ScoreKind::Labels) => f64::INFINITY,
            ([one], _) => (f64::from(*one) - threshold(kind)).abs(),
            (many, _) => top(many).1,
        }
    }

    /// The probability of a class: of logits the softmax or the sigmoid.
    pub fn probability(&self, kind: ScoreKind, class: usize) -> f64 {
        match kind {
            ScoreKind::Logits => 1.0 / (1.0 + libm::exp(-self.rank(kind, class))),
            _ => self.rank(kind, class),
        }
    }

    /// What cases are ranked by for the curves of a class. Of logits the logarithm of the odds, which does not saturate as a probability does; else the
    /// probability.
    pub(crate) fn rank(&self, kind: ScoreKind, class: usize) -> f64 {
        let scores = &self.0[..];
        match (scores, kind) {
            ([_], ScoreKind::Labels) => f64::from(u8::from(self.decision(kind) == class)),
            ([one], ScoreKind::Logits) => f64::from(*one) * if class == 1 { 1.0 } else { -1.0 },
            ([one], _) => {
                if class == 1 {
                    f64::from(*one)
                } else {
                    1.0 - f64::from(*one)
                }
            }
            (many, ScoreKind::Logits) => {
                let others =
                    || many.iter().enumerate().filter(|(i, _)| *i != class).map(|(_, s)| f64::from(*s));
                let largest = others().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = others().map(|s| libm::exp(s - largest)).sum();
                many.get(class).map_or(f64::NEG_INFINITY, |s| f64::from(*s) - largest - libm::log(sum))
            }
            (many, _) => many.get(class).map_or(0.0, |p| f64::from(*p)),
        }
    }
}

/// Where a single score changes its class.
fn threshold(kind: ScoreKind) -> f64 {
    if kind == ScoreKind::Probabilities { 0.5 } else { 0.0 }
}

/// How the input's number format took the values of a case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputUse {
    /// All values.
    pub values: u64,
    /// Those more than half a step below the range.
    pub below: u64,
    /// Those more than half a step above it.
    pub above: u64,
}

/// A case of a classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreCase {
    /// Its name: the path of the image below the data's folder.
    pub id: String,
    /// Index of its class; `None` where there are no labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<usize>,
    /// The program's scores.
    pub scores: Scores,
    /// The scores that they are compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<Scores>,
    /// Its input.
    pub input: InputUse,
}

/// Pixels of one class in two label maps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// In both.
    pub both: u64,
    /// In the map that is right.
    pub truth: u64,
    /// In the map that was found.
    pub found: u64,
}

/// A label map beside the right one: for each class, pixels and distance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MaskOutcome {
    /// Pixels that are scored.
    pub pixels: u64,
    /// By class.
    pub counts: Vec<Counts>,
    /// [`crate::hausdorff_95`] by class, in pixels; `None` for volumes.
    pub hausdorff_95: Vec<Option<f64>>,
}

impl MaskOutcome {
    /// Compares label maps `[h, w]` of `classes` classes. Pixels that `truth` marks with other values are not scored: in neither map they belong to a class.
    pub fn new(truth: &[u8], found: &[u8], size: [usize; 2], classes: usize) -> Self {
        Self::compared(truth, found, classes, |right, seen| crate::hausdorff_95(right, seen, size))
    }

    /// Compares the labels of a volume's voxels, without distances.
    pub fn of_volume(truth: &[u8], found: &[u8], classes: usize) -> Self {
        Self::compared(truth, found, classes, |_, _| None)
    }

    fn compared(
        truth: &[u8],
        found: &[u8],
        classes: usize,
        distance: impl Fn(&[bool], &[bool]) -> Option<f64>,
    ) -> Self {
        let scored = |label: u8| usize::from(label) < classes;
        let mut outcome =
            Self { pixels: truth.iter().filter(|l| scored(**l)).count() as u64, ..Self::default() };
        for class in 0..classes {
            let is = |label: u8| usize::from(label) == class;
            let right: Vec<bool> = truth.iter().map(|label| is(*label)).collect();
            let seen: Vec<bool> = truth.iter().zip(found).map(|(t, f)| scored(*t) && is(*f)).collect();
            let count = |mask: &[bool]| mask.iter().filter(|m| **m).count() as u64;
            let both = right.iter().zip(&seen).filter(|(r, s)| **r && **s).count() as u64;
            outcome.counts.push(Counts { both, truth: count(&right), found: count(&seen) });
            outcome.hausdorff_95.push(distance(&right, &seen));
        }
        outcome
    }
}

/// A case of a segmentation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaskCase {
    /// Its name: the path of the image below the data's folder.
    pub id: String,
    /// Pixels that the program gave to each class.
    pub found: Vec<u64>,
    /// Against the right map; `None` where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<MaskOutcome>,
    /// The other map against the right one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<MaskOutcome>,
    /// The program's map against the other one, which counts as right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<MaskOutcome>,
    /// Its input.
    pub input: InputUse,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_score_or_many() {
        use ScoreKind::*;
        for (scores, kind, decision, margin, of_first) in [
            (&[1.0, 3.0, 3.0][..], Logits, 1, 0.0, 1.0 / (1.0 + 2.0 * 2f64.exp())),
            (&[0.25, 0.75], Probabilities, 1, 0.5, 0.25),
            (&[2.0], Logits, 1, 2.0, 1.0 / (1.0 + 2f64.exp())),
            (&[0.0], Logits, 0, 0.0, 0.5),
            (&[0.25], Probabilities, 0, 0.25, 0.75),
            (&[2.0], Labels, 2, f64::INFINITY, 0.0),
        ] {
            let given = Scores(scores.to_vec());
            assert_eq!((given.decision(kind), given.margin(kind)), (decision, margin), "{scores:?}");
            assert!((given.probability(kind, 0) - of_first).abs() < 1e-15, "{scores:?}");
        }
    }

    #[test]
    fn pixels_without_a_class_are_in_neither_map() {
        let outcome = MaskOutcome::new(&[0, 1, 255, 1], &[0, 1, 1, 0], [2, 2], 2);
        assert_eq!(outcome.pixels, 3);
        assert_eq!(outcome.counts[1], Counts { both: 1, truth: 2, found: 1 });
    }
}
