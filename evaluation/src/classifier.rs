//! Figures of classifiers.

use crate::{
    Curve, Estimate, Estimates, ScoreCase, ScoreKind, Scores, bootstrap,
    curve::Ranking,
    paired::{Compared, Flip, McNemar},
};
use serde::{Deserialize, Serialize};

/// Bins of the calibration error.
const BINS: usize = 15;

/// Figures of one class against the others, or their means over the classes where they are defined.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassFigures {
    /// `TP / (TP + FN)`.
    pub sensitivity: Estimate,
    /// `TN / (TN + FP)`.
    pub specificity: Estimate,
    /// `TP / (TP + FP)`.
    pub precision: Estimate,
    /// `2 TP / (2 TP + FP + FN)`.
    pub f1: Estimate,
    /// Area under the ROC curve.
    pub roc_area: Estimate,
    /// Area under the precision-recall curve, as average precision.
    pub average_precision: Estimate,
}

impl Estimates for ClassFigures {
    fn estimates(&mut self) -> Vec<&mut Estimate> {
        let Self { sensitivity, specificity, precision, f1, roc_area, average_precision } = self;
        vec![sensitivity, specificity, precision, f1, roc_area, average_precision]
    }
}

/// Figures of a classifier.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassifierFigures {
    /// Share of cases with the right class.
    pub accuracy: Estimate,
    /// Expected calibration error: the mean of `|accuracy - confidence|` over 15 bins of equal width.
    pub calibration_error: Estimate,
    /// Means over the classes.
    pub macro_mean: ClassFigures,
    /// By class.
    pub classes: Vec<ClassFigures>,
}

impl Estimates for ClassifierFigures {
    fn estimates(&mut self) -> Vec<&mut Estimate> {
        let mut all = vec![&mut self.accuracy, &mut self.calibration_error];
        all.extend(self.macro_mean.estimates());
        all.extend(self.classes.iter_mut().flat_map(Estimates::estimates));
        all
    }
}

/// What an evaluation of a classifier found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassifierReport {
    /// Cases.
    pub cases: usize,
    /// Cases whose two largest scores are equal: the first decides, by chance.
    pub ties: usize,
    /// Cases of each class (row) that were taken for each (column); absent without labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Vec<Vec<u64>>>,
    /// Figures; absent without labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figures: Option<ClassifierFigures>,
    /// Curves by class; empty without labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub curves: Vec<Curve>,
    /// The comparison with other scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<AgainstClassifier>,
}

/// A classifier against another on the same cases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgainstClassifier {
    /// Share of cases with the same decision; ties are none.
    pub agreement: Estimate,
    /// Figures of the other; absent without labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figures: Option<ClassifierFigures>,
    /// Confusion matrix of the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Vec<Vec<u64>>>,
    /// Own figures less the other's, with paired intervals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<ClassifierFigures>,
    /// McNemar's test of the right decisions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcnemar: Option<McNemar>,
    /// Every decision that differs.
    pub flips: Vec<Flip>,
}

/// Labels and scores, ordered for all resamples once.
struct Prepared {
    /// Class, decision, confidence.
    cases: Vec<(usize, usize, f64)>,
    rankings: Vec<Ranking>,
}

impl Prepared {
    fn new(cases: &[(usize, &Scores)], kind: ScoreKind, classes: usize) -> Self {
        let one = |(label, scores): &(usize, &Scores)| {
            let decision = scores.decision(kind);
            (*label, decision, scores.probability(kind, decision))
        };
        let ranking = |class| {
            let ranks: Vec<f64> = cases.iter().map(|(_, scores)| scores.rank(kind, class)).collect();
            Ranking::new(&ranks, |i| cases[i].0 == class)
        };
        Self { cases: cases.iter().map(one).collect(), rankings: (0..classes).map(ranking).collect() }
    }

    fn confusion(&self, weights: &[u32]) -> Vec<Vec<u64>> {
        let classes = self.rankings.len();
        let mut counts = vec![vec![0; classes]; classes];
        for ((label, decision, _), weight) in self.cases.iter().zip(weights) {
            if let Some(count) = counts.get_mut(*label).and_then(|row| row.get_mut(*decision)) {
                *count += u64::from(*weight);
            }
        }
        counts
    }

    fn figures(&self, weights: &[u32]) -> ClassifierFigures {
        let confusion = self.confusion(weights);
        let all: u64 = weights.iter().map(|w| u64::from(*w)).sum();
        let right: u64 = (0..confusion.len()).map(|i| confusion[i][i]).sum();
        let one = |(class, ranking): (usize, &Ranking)| {
            let hits = confusion[class][class];
            let misses = confusion[class].iter().sum::<u64>() - hits;
            let alarms = confusion.iter().map(|row| row[class]).sum::<u64>() - hits;
            let (roc, average) = ranking.areas(weights);
            ClassFigures {
                sensitivity: share(hits, hits + misses).into(),
                specificity: share(all - hits - misses - alarms, all - hits - misses).into(),
                precision: share(hits, hits + alarms).into(),
                f1: share(2 * hits, 2 * hits + alarms + misses).into(),
                roc_area: roc.into(),
                average_precision: average.into(),
            }
        };
        let classes: Vec<ClassFigures> = self.rankings.iter().enumerate().map(one).collect();
        ClassifierFigures {
            accuracy: share(right, all).into(),
            calibration_error: self.calibration_error(weights).into(),
            macro_mean: mean(&classes),
            classes,
        }
    }

    /// Guo et al. 2017, equation 3: bins `((b - 1) / 15, b / 15]` of the probability of the decision.
    fn calibration_error(&self, weights: &[u32]) -> Option<f64> {
        let mut bins = [(0.0, 0.0); BINS];
        let mut all = 0.0;
        for ((label, decision, confidence), weight) in self.cases.iter().zip(weights) {
            let weight = f64::from(*weight);
            let bin = ((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
            bins[bin].0 += weight * f64::from(u8::from(label == decision));
            bins[bin].1 += weight * confidence;
            all += weight;
        }
        (all > 0.0).then(|| bins.iter().map(|(right, sure)| (right - sure).abs()).sum::<f64>() / all)
    }
}

/// A part of a whole; `None` of nothing.
pub(crate) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The mean of each figure over the classes where it is defined.
fn mean(classes: &[ClassFigures]) -> ClassFigures {
    let mut mean = ClassFigures::default();
    for (i, estimate) in mean.estimates().into_iter().enumerate() {
        let values: Vec<f64> = classes.iter().filter_map(|c| c.clone().estimates()[i].value).collect();
        *estimate = (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64).into();
    }
    mean
}

/// The figures of these cases, whose labels and decisions are below `classes`; sets that have no label for a case, or no other scores, are compared
/// without.
pub fn report(cases: &[ScoreCase], kind: ScoreKind, classes: usize) -> ClassifierReport {
    let prepare = |scores: fn(&ScoreCase) -> Option<&Scores>| {
        let pairs: Option<Vec<_>> = cases.iter().map(|case| Some((case.label?, scores(case)?))).collect();
        pairs.filter(|pairs| !pairs.is_empty()).map(|pairs| Prepared::new(&pairs, kind, classes))
    };
    let own = prepare(|case| Some(&case.scores));
    let other = prepare(|case| case.against.as_ref());
    let is_compared = !cases.is_empty() && cases.iter().all(|case| case.against.is_some());
    let tied = |scores: &Scores| scores.margin(kind) == 0.0;
    let same = |case: &ScoreCase| {
        let other = case.against.as_ref()?;
        let is_sure = !tied(&case.scores) && !tied(other);
        Some(is_sure && case.scores.decision(kind) == other.decision(kind))
    };
    let same: Vec<bool> = cases.iter().map(|case| same(case) == Some(true)).collect();
    let agreement = |weights: &[u32]| {
        let sum = |chosen: &dyn Fn(usize) -> bool| {
            weights.iter().enumerate().filter(|(i, _)| chosen(*i)).map(|(_, w)| u64::from(*w)).sum::<u64>()
        };
        Estimate::from(share(sum(&|i| same[i]), sum(&|_| true)))
    };
    let found = bootstrap(cases.len(), |weights| {
        Compared::new(
            own.as_ref().map(|p| p.figures(weights)),
            other.as_ref().map(|p| p.figures(weights)),
            is_compared.then(|| agreement(weights)),
        )
    });
    let once = vec![1; cases.len()];
    let right = |prepared: &Prepared| {
        prepared.cases.iter().map(|(label, decision, _)| label == decision).collect::<Vec<_>>()
    };
    let against = found.agreement.map(|agreement| AgainstClassifier {
        agreement,
        figures: found.against,
        confusion: other.as_ref().map(|p| p.confusion(&once)),
        difference: found.difference,
        mcnemar: own
            .as_ref()
            .zip(other.as_ref())
            .map(|(own, other)| McNemar::new(&right(own), &right(other))),
        flips: cases.iter().filter_map(|case| Flip::of(case, kind)).collect(),
    });
    ClassifierReport {
        cases: cases.len(),
        ties: cases.iter().filter(|case| tied(&case.scores)).count(),
        confusion: own.as_ref().map(|p| p.confusion(&once)),
        curves: own.iter().flat_map(|p| p.rankings.iter().map(Ranking::curve)).collect(),
        figures: found.own,
        against,
    }
}
