//! Figures with intervals.

use crate::quantile::quantile;
use serde::{Deserialize, Serialize};
use std::thread;

/// Resamples behind each interval.
pub const RESAMPLES: usize = 1000;
/// Every interval follows from this seed and the number of cases.
const SEED: u64 = 20_260_101;
/// Cases that need no second thread.
const FEW: usize = 200;

/// A figure, and the interval that holds it in 95 % of the bootstrap's resamples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The figure; `None` where it is not defined, as the sensitivity of a class that no case has.
    pub value: Option<f64>,
    /// 2.5 % and 97.5 % quantile over the resamples in which the figure is defined.
    pub interval: Option<[f64; 2]>,
}

impl From<Option<f64>> for Estimate {
    fn from(value: Option<f64>) -> Self {
        Self { value, interval: None }
    }
}

/// A set of figures.
pub trait Estimates: Clone {
    /// All of them, in an order that depends on the number of classes only.
    fn estimates(&mut self) -> Vec<&mut Estimate>;

    /// This set less another, figure by figure; a difference is defined where both are.
    fn less(&self, other: &Self) -> Self {
        let (mut difference, mut other) = (self.clone(), other.clone());
        for (own, other) in difference.estimates().into_iter().zip(other.estimates()) {
            *own = own.value.zip(other.value).map(|(a, b)| a - b).into();
        }
        difference
    }
}

/// The figures of `cases` cases with intervals by the percentile bootstrap (Efron and Tibshirani 1993, chapter 13): [`RESAMPLES`] times as many
/// cases are drawn with replacement. `figures` gets how often each case was drawn. The draws depend on the number of cases only, not on the threads
/// that share the work.
pub fn bootstrap<F: Estimates + Send>(cases: usize, figures: impl Fn(&[u32]) -> F + Sync) -> F {
    let threads = if cases > FEW { thread::available_parallelism().map_or(1, |n| n.get()) } else { 1 };
    shared_by(threads, cases, figures)
}

fn shared_by<F: Estimates + Send>(threads: usize, cases: usize, figures: impl Fn(&[u32]) -> F + Sync) -> F {
    let mut whole = figures(&vec![1; cases]);
    let count = whole.estimates().len();
    let resamples = if cases > 0 { RESAMPLES } else { 0 };
    let part = |first: usize| {
        let mut seen = vec![vec![]; count];
        for resample in (first..resamples).step_by(threads) {
            // Each has its own numbers, so that any thread may draw them.
            let mut numbers = SplitMix64(SplitMix64(SEED + resample as u64).next());
            let mut weights = vec![0; cases];
            (0..cases).for_each(|_| weights[numbers.below(cases)] += 1);
            let mut found = figures(&weights);
            seen.iter_mut().zip(found.estimates()).for_each(|(seen, estimate)| seen.extend(estimate.value));
        }
        seen
    };
    let mut seen: Vec<Vec<f64>> = vec![vec![]; count];
    thread::scope(|scope| {
        let part = &part;
        let others: Vec<_> = (1..threads).map(|first| scope.spawn(move || part(first))).collect();
        let parts =
            std::iter::once(part(0)).chain(others.into_iter().filter_map(|thread| thread.join().ok()));
        parts.for_each(|part| seen.iter_mut().zip(part).for_each(|(all, more)| all.extend(more)));
    });
    for (estimate, mut seen) in whole.estimates().into_iter().zip(seen) {
        seen.sort_unstable_by(f64::total_cmp);
        let ends = [0.025, 0.975].map(|q| quantile(&seen, q));
        estimate.interval = match (estimate.value, ends) {
            (Some(_), [Some(low), Some(high)]) => Some([low, high]),
            _ => None,
        };
    }
    whole
}

/// The generator SplitMix64 (Steele, Lea, Flood 2014): written here, because the crates for random numbers do not promise the same numbers in later versions.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`; the bias of at most `n / 2^64` is not seen.
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Mean(Estimate);

    impl Estimates for Mean {
        fn estimates(&mut self) -> Vec<&mut Estimate> {
            vec![&mut self.0]
        }
    }

    /// The mean of the cases' indices.
    fn mean(weights: &[u32]) -> Mean {
        let sum: f64 = weights.iter().enumerate().map(|(i, w)| i as f64 * f64::from(*w)).sum();
        Mean(Some(sum / f64::from(weights.iter().sum::<u32>())).into())
    }

    #[test]
    fn numbers_are_those_of_the_published_generator() {
        let mut numbers = SplitMix64(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(expected.map(|_| numbers.next()), expected);
    }

    #[test]
    fn an_interval_of_a_mean_is_as_wide_as_its_standard_error_says() {
        let found = bootstrap(400, mean).0;
        let error = (400.0f64 * 400.0 / 12.0).sqrt() / 20.0;
        let [low, high] = found.interval.unwrap();
        assert_eq!(found.value, Some(199.5));
        assert!((high - low - 2.0 * 1.96 * error).abs() < 0.1 * error * 3.92, "{low} to {high}");
    }

    #[test]
    fn threads_change_no_interval() {
        let alone = shared_by(1, 50, mean).0;
        assert!((2..5).all(|threads| shared_by(threads, 50, mean).0 == alone));
    }

    #[test]
    fn one_case_varies_in_nothing_and_none_has_no_interval() {
        assert_eq!(bootstrap(1, mean).0.interval, Some([0.0, 0.0]));
        assert_eq!(bootstrap(0, |_| Mean(None.into())).0, Estimate::default());
    }
}
