//! Two networks on the same cases.

use crate::{Estimate, Estimates, ScoreCase, ScoreKind};
use serde::{Deserialize, Serialize};

impl Estimates for Estimate {
    fn estimates(&mut self) -> Vec<&mut Estimate> {
        vec![self]
    }
}

/// Figures of both and their difference, from the same draws.
#[derive(Clone)]
pub(crate) struct Compared<F, A> {
    pub(crate) own: Option<F>,
    pub(crate) against: Option<F>,
    pub(crate) difference: Option<F>,
    pub(crate) agreement: Option<A>,
}

impl<F: Estimates, A: Estimates> Compared<F, A> {
    pub(crate) fn new(own: Option<F>, against: Option<F>, agreement: Option<A>) -> Self {
        let difference = own.as_ref().zip(against.as_ref()).map(|(own, against)| own.less(against));
        Self { own, against, difference, agreement }
    }
}

impl<F: Estimates, A: Estimates> Estimates for Compared<F, A> {
    fn estimates(&mut self) -> Vec<&mut Estimate> {
        let figures = self.own.iter_mut().chain(&mut self.against).chain(&mut self.difference);
        figures
            .flat_map(Estimates::estimates)
            .chain(self.agreement.iter_mut().flat_map(Estimates::estimates))
            .collect()
    }
}

/// McNemar's test (1947): whether two networks are right equally often on the same cases.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct McNemar {
    /// Cases that only this one has right.
    pub only_own: u64,
    /// Cases that only the other has right.
    pub only_against: u64,
    /// Two-sided p value of the exact binomial test: the one to read.
    pub exact_p: f64,
    /// `(|b - c| - 1)^2 / (b + c)`, with Edwards' correction; `None` where no case differs.
    pub chi_squared: Option<f64>,
    /// Its p value, with one degree of freedom: close to the exact one from about 25 cases that differ.
    pub chi_squared_p: Option<f64>,
}

impl McNemar {
    /// The test of two lists of whether each case was right.
    pub fn new(own: &[bool], against: &[bool]) -> Self {
        let count = |a: bool| own.iter().zip(against).filter(|(x, y)| **x == a && **y != a).count() as u64;
        Self::of_counts(count(true), count(false))
    }

    /// The test of the numbers of cases that only one has right.
    pub fn of_counts(only_own: u64, only_against: u64) -> Self {
        let all = only_own + only_against;
        let (few, n) = (only_own.min(only_against), all as f64);
        // Logarithms, because powers of a half vanish beyond a thousand cases.
        let choose = |k: f64| libm::lgamma(n + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(n - k + 1.0);
        let tail: f64 = (0..=few).map(|k| libm::exp(choose(k as f64) - n * std::f64::consts::LN_2)).sum();
        let difference = only_own.abs_diff(only_against) as f64;
        let chi_squared = (all > 0).then(|| (difference - 1.0).powi(2) / n);
        Self {
            only_own,
            only_against,
            exact_p: (2.0 * tail).min(1.0),
            chi_squared,
            chi_squared_p: chi_squared.map(|x| libm::erfc((x / 2.0).sqrt())),
        }
    }
}

/// A decision that differs, or that is a tie on either side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flip {
    /// The case.
    pub id: String,
    /// Its class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<usize>,
    /// The own decision.
    pub decision: usize,
    /// The own margin: the largest score less the next.
    pub margin: f64,
    /// The other's decision.
    pub against: usize,
    /// The other's margin.
    pub against_margin: f64,
}

impl Flip {
    /// Of a case that is one.
    pub(crate) fn of(case: &ScoreCase, kind: ScoreKind) -> Option<Self> {
        let other = case.against.as_ref()?;
        let (own, label) = (&case.scores, case.label);
        let flip = Self {
            id: case.id.clone(),
            label,
            decision: own.decision(kind),
            margin: own.margin(kind),
            against: other.decision(kind),
            against_margin: other.margin(kind),
        };
        let is_tied = flip.margin == 0.0 || flip.against_margin == 0.0;
        (flip.decision != flip.against || is_tied).then_some(flip)
    }
}
