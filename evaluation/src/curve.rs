//! Receiver operating characteristic and precision-recall curve of one class against the others.

use serde::{Deserialize, Serialize};

/// Points of a curve that a document holds at most.
const POINTS: usize = 257;

/// Both curves of a class. Long ones are thinned to 257 points; the areas are of all points.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// False-positive rate and sensitivity, rising.
    pub roc: Vec<[f64; 2]>,
    /// Recall and precision, recall rising.
    pub precision_recall: Vec<[f64; 2]>,
}

/// The cases of one class and of the others, ordered by a score of the class.
pub(crate) struct Ranking {
    /// Index of the case, whether it has the class, whether the next case has a lower score; the highest score first.
    cases: Vec<(u32, bool, bool)>,
}

impl Ranking {
    /// `scores[i]` is case `i`'s score of the class, `is_class[i]` whether it has the class.
    pub(crate) fn new(scores: &[f64], is_class: impl Fn(usize) -> bool) -> Self {
        let mut order: Vec<u32> = (0..scores.len() as u32).collect();
        order.sort_by(|a, b| scores[*b as usize].total_cmp(&scores[*a as usize]));
        // Zeros of both signs are the same score.
        let ends = |i: usize| {
            order.get(i + 1).is_none_or(|next| scores[*next as usize] != scores[order[i] as usize])
        };
        let cases =
            order.iter().enumerate().map(|(i, case)| (*case, is_class(*case as usize), ends(i))).collect();
        Self { cases }
    }

    /// Calls `at` with the true and the false positives of every threshold, falling.
    fn thresholds(&self, weights: &[u32], mut at: impl FnMut(f64, f64)) {
        let (mut yes, mut no) = (0u64, 0u64);
        for (case, is_class, is_last) in &self.cases {
            let weight = u64::from(weights[*case as usize]);
            *if *is_class { &mut yes } else { &mut no } += weight;
            if *is_last {
                at(yes as f64, no as f64);
            }
        }
    }

    /// Area under the ROC curve by trapezoids, and the average precision `sum (R_n - R_(n-1)) P_n`. `None` where there is no case of the class
    /// or, for the first, none of another.
    pub(crate) fn areas(&self, weights: &[u32]) -> (Option<f64>, Option<f64>) {
        let (mut before, mut area, mut average) = ((0.0, 0.0), 0.0, 0.0);
        self.thresholds(weights, |yes, no| {
            area += (no - before.1) * (yes + before.0) / 2.0;
            if yes > before.0 {
                average += (yes - before.0) * yes / (yes + no);
            }
            before = (yes, no);
        });
        let (all, others) = before;
        ((all * others > 0.0).then(|| area / all / others), (all > 0.0).then(|| average / all))
    }

    /// The points; each curve is empty where its area is not defined.
    pub(crate) fn curve(&self) -> Curve {
        let mut points = vec![(0.0, 0.0)];
        let weights = vec![1; self.cases.len()];
        self.thresholds(&weights, |yes, no| points.push((yes, no)));
        let (all, others) = points[points.len() - 1];
        let roc = points.iter().map(|(yes, no)| [no / others, yes / all]).collect();
        let precision_recall = points.iter().skip(1).map(|(yes, no)| [yes / all, yes / (yes + no)]).collect();
        Curve {
            roc: if all * others > 0.0 { thinned(roc) } else { vec![] },
            precision_recall: if all > 0.0 { thinned(precision_recall) } else { vec![] },
        }
    }
}

/// The first, the last, and evenly spaced ones between.
fn thinned(points: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
    if points.len() <= POINTS {
        return points;
    }
    (0..POINTS).map(|i| points[i * (points.len() - 1) / (POINTS - 1)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_are_one_threshold() {
        let ranking = Ranking::new(&[0.5, 0.5, 0.9, 0.1], |i| i == 0 || i == 2);
        assert_eq!(ranking.areas(&[1; 4]), (Some(0.875), Some(0.5 + 0.5 * 2.0 / 3.0)));
        let curve = ranking.curve();
        assert_eq!(curve.roc, [[0.0, 0.0], [0.0, 0.5], [0.5, 1.0], [1.0, 1.0]]);
        assert_eq!(curve.precision_recall, [[0.5, 1.0], [1.0, 2.0 / 3.0], [1.0, 0.5]]);
    }

    #[test]
    fn without_a_case_of_a_side_there_is_no_area() {
        let ranking = Ranking::new(&[1.0, 2.0], |_| true);
        assert_eq!(ranking.areas(&[1; 2]), (None, Some(1.0)));
        assert!(ranking.curve().roc.is_empty());
        assert_eq!(Ranking::new(&[1.0, 2.0], |_| false).areas(&[1; 2]), (None, None));
    }

    #[test]
    fn long_curves_keep_their_ends() {
        let scores: Vec<f64> = (0..2000).map(f64::from).collect();
        let curve = Ranking::new(&scores, |i| i % 2 == 0).curve();
        assert_eq!((curve.roc.len(), curve.roc[0], curve.roc[256]), (257, [0.0; 2], [1.0; 2]));
    }
}
