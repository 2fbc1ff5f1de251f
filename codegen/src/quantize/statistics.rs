//! Statistics of one value over the samples of a calibration.

use crate::tensor::Tensor;

/// Bins of the histogram, half of them below zero.
const BINS: usize = 8192;

/// The range of an empty histogram: `2^-149`, the smallest number in single precision, so that bins are as fine for small values as for
/// large ones.
const LEAST: f64 = f32::from_bits(1) as f64;

/// Range, distribution and channel means of one value.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
    /// The histogram covers `[-limit, limit)`; a power of two, doubled when a value does not fit. In double precision, so that it is finite
    /// whatever was seen.
    limit: f64,
    bins: Vec<f64>,
    channel_sums: Vec<f64>,
    pixels: u64,
}

impl Default for Statistics {
    fn default() -> Self {
        Self {
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
            limit: LEAST,
            bins: vec![0.0; BINS],
            channel_sums: vec![],
            pixels: 0,
        }
    }
}

impl Statistics {
    pub(super) fn record(&mut self, tensor: &Tensor<f32>) -> Result<(), ()> {
        let largest =
            tensor.data.iter().fold(0f32, |m, x| if x.is_finite() { m.max(x.abs()) } else { f32::NAN });
        // `max` ignores NaN, so look again.
        if !largest.is_finite() || tensor.data.iter().any(|x| !x.is_finite()) {
            return Err(());
        }
        self.cover(largest as f64);
        let scale = BINS as f64 / 2.0 / self.limit;
        for x in &tensor.data {
            self.min = self.min.min(*x);
            self.max = self.max.max(*x);
            let bin = (*x as f64 * scale).floor() as i64 + BINS as i64 / 2;
            self.bins[bin.clamp(0, BINS as i64 - 1) as usize] += 1.0;
        }
        let c = tensor.shape.c;
        self.channel_sums.resize(c, 0.0);
        for pixel in tensor.data.chunks(c) {
            self.channel_sums.iter_mut().zip(pixel).for_each(|(s, x)| *s += *x as f64);
        }
        self.pixels += tensor.shape.area() as u64;
        Ok(())
    }

    /// Widens the histogram until it covers `[-x, x]`.
    fn cover(&mut self, x: f64) {
        let mut doublings = 0;
        while x >= self.limit {
            self.limit *= 2.0;
            doublings += 1;
        }
        if doublings == 0 || self.pixels == 0 {
            return;
        }
        let mut wider = vec![0.0; BINS];
        let half = BINS as i64 / 2;
        for (bin, n) in self.bins.iter().enumerate() {
            // Rounds down on both sides of zero.
            wider[(((bin as i64 - half) >> doublings.min(63)) + half) as usize] += n;
        }
        self.bins = wider;
    }

    /// Adds what another value showed (of any number of channels; channel means are not merged).
    ///
    /// Each value counts by its own energy, not by its size: the 25 results of a global max pool matter as much as the
    /// map that they come from, so that a range chosen for both keeps the peaks.
    pub fn merge(&mut self, other: &Statistics) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        let energy = other.energy();
        let weight = if energy > 0.0 { 1.0 / energy } else { 0.0 };
        let mut other = other.clone();
        let limit = self.limit.max(other.limit);
        other.cover(limit / 2.0);
        self.cover(limit / 2.0);
        self.bins.iter_mut().zip(&other.bins).for_each(|(a, b)| *a += weight * b);
        self.pixels += other.pixels;
    }

    /// Sum of squares.
    pub fn energy(&self) -> f64 {
        self.bins.iter().enumerate().map(|(bin, n)| n * self.centre(bin).powi(2)).sum()
    }

    /// How many values lie in each of so many equal parts of `[low, high]`; the first and the last have those beyond as well. No more exact
    /// than this histogram is.
    ///
    /// # Panics
    /// Without parts.
    pub fn histogram(&self, low: f64, high: f64, parts: usize) -> Vec<f64> {
        let mut counts = vec![0.0; parts];
        let scale = parts as f64 / (high - low).max(f64::MIN_POSITIVE);
        for (bin, n) in self.bins.iter().enumerate().filter(|(_, n)| **n > 0.0) {
            let part = ((self.centre(bin) - low) * scale).max(0.0) as usize;
            counts[part.min(parts - 1)] += n;
        }
        counts
    }

    /// Mean of each channel.
    pub fn channel_means(&self) -> Vec<f64> {
        self.channel_sums.iter().map(|s| s / self.pixels as f64).collect()
    }

    fn width(&self) -> f64 {
        2.0 * self.limit / BINS as f64
    }

    fn centre(&self, bin: usize) -> f64 {
        (bin as f64 - BINS as f64 / 2.0 + 0.5) * self.width()
    }

    /// The range that keeps `percent` of the values, cutting equal shares at both ends, within what was seen.
    pub fn percentile(&self, percent: f64) -> (f32, f32) {
        let total: f64 = self.bins.iter().sum();
        let cut = total * (1.0 - percent / 100.0) / 2.0;
        let edge = |bins: &mut dyn Iterator<Item = (usize, &f64)>| {
            let mut passed = 0.0;
            for (bin, n) in bins {
                passed += n;
                if passed > cut {
                    return bin;
                }
            }
            BINS / 2
        };
        let low = edge(&mut self.bins.iter().enumerate());
        let high = edge(&mut self.bins.iter().enumerate().rev());
        let half = self.width() / 2.0;
        // Within what was seen, so that neither end is infinite in single precision.
        let (low, high) = (self.centre(low) - half, self.centre(high) + half);
        (low.max(self.min as f64) as f32, high.min(self.max as f64) as f32)
    }

    /// The range with the least squared error, by search along each end.
    pub fn least_squares(&self) -> (f32, f32) {
        let steps = 48;
        let shrink = |x: f32, i: usize| x * (1.0 - 0.9 * i as f32 / steps as f32);
        let (mut min, mut max) = (self.min.min(0.0), self.max.max(0.0));
        let (widest_min, widest_max) = (min, max);
        for _ in 0..2 {
            let error = |m: f32| self.squared_error(min, m);
            max = (0..steps)
                .map(|i| shrink(widest_max, i))
                .min_by(|a, b| error(*a).total_cmp(&error(*b)))
                .expect("steps");
            let error = |m: f32| self.squared_error(m, max);
            min = (0..steps)
                .map(|i| shrink(widest_min, i))
                .min_by(|a, b| error(*a).total_cmp(&error(*b)))
                .expect("steps");
        }
        (min, max)
    }

    /// Sum of squared errors when this value is stored in 8 bits over `[min, max]`.
    pub fn squared_error(&self, min: f32, max: f32) -> f64 {
        let (min, max) = (min.min(0.0) as f64, max.max(0.0) as f64);
        let step = (max - min) / 255.0;
        let rounding = step * step / 12.0;
        let half = self.width() / 2.0;
        self.bins
            .iter()
            .enumerate()
            .filter(|(_, n)| **n > 0.0)
            .map(|(bin, n)| {
                let x = self.centre(bin);
                let beyond = (x - half - max).max(min - x - half).max(0.0);
                // Zeros count as others do, though their code is exact.
                n * if beyond > 0.0 { beyond * beyond } else { rounding }
            })
            .sum()
    }
}

#[cfg(test)]
impl Statistics {
    /// A value that was seen so many times, for each of a list; all below `limit`, a power of two.
    pub(super) fn of_counts(limit: f64, counts: &[(f32, f64)]) -> Self {
        let mut s = Self { limit, pixels: 1, ..Self::default() };
        for &(x, n) in counts {
            (s.min, s.max) = (s.min.min(x), s.max.max(x));
            let bin = (x as f64 / s.width()).floor() as i64 + BINS as i64 / 2;
            s.bins[bin as usize] += n;
        }
        s
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Shape;

    fn recorded(values: &[f32]) -> Statistics {
        let mut s = Statistics::default();
        for v in values {
            s.record(&Tensor::filled(Shape::new(1, 1, 1), *v)).unwrap();
        }
        s
    }

    #[test]
    fn histogram_widens_without_losing_values() {
        let s = recorded(&[0.0001, -0.5, 3.0, 100.0, -7.0]);
        assert_eq!((s.min, s.max), (-7.0, 100.0));
        assert_eq!(s.bins.iter().sum::<f64>(), 5.0);
        assert_eq!(s.limit, 128.0);
        for v in [-0.5f32, 3.0, 100.0, -7.0] {
            let bin = (v as f64 / s.width()).floor() as i64 + BINS as i64 / 2;
            assert!(s.bins[bin as usize] > 0.0, "{v}");
        }
    }

    #[test]
    fn parts_of_a_histogram_have_all_values() {
        let s = recorded(&[-1.0, -0.9, 0.0, 0.1, 0.1, 0.9, 5.0]);
        assert_eq!(s.histogram(-1.0, 1.0, 4), [2.0, 0.0, 3.0, 2.0]);
        assert_eq!(s.histogram(-8.0, 8.0, 2), [2.0, 5.0]);
        assert_eq!(s.histogram(0.0, 0.0, 1), [7.0]);
    }

    #[test]
    fn a_power_of_two_scales_what_is_chosen_and_nothing_else() {
        let values: Vec<f32> =
            (0..4000).map(|i| ((i * 37) % 1000) as f32 / 1000.0 - 0.3).chain([3.5]).collect();
        let chosen = |exponent: i32| {
            let factor = 2f64.powi(exponent);
            let scaled: Vec<f32> = values.iter().map(|v| (*v as f64 * factor) as f32).collect();
            let s = recorded(&scaled);
            let ranges = [s.percentile(99.9), s.least_squares(), (s.min, s.max)];
            ranges.map(|(min, max)| [min, max].map(|x| (x as f64 / factor) as f32))
        };
        for exponent in [-100, -30, -22, 10, 100, 126] {
            assert_eq!(chosen(exponent), chosen(0), "2^{exponent}");
        }
    }

    #[test]
    fn the_largest_and_the_smallest_numbers_are_covered() {
        for largest in [f32::MAX, 1.8e38, f32::MIN_POSITIVE, f32::from_bits(1), 0.0] {
            for values in [[largest, -0.0], [-largest, 0.0], [largest, -largest]] {
                let mut both = recorded(&values);
                both.merge(&recorded(&values));
                let (min, max) = (values[0].min(values[1]), values[0].max(values[1]));
                for (low, high) in [both.least_squares(), both.percentile(99.99)] {
                    assert!(min <= low && high <= max, "{values:?}: {low}..{high}");
                }
                assert!(both.squared_error(min, max).is_finite());
            }
        }
    }

    #[test]
    fn one_outlier_is_cut_by_least_squares_and_percentile_but_not_by_min_max() {
        let mut values: Vec<f32> = (0..10_000).map(|i| (i % 100) as f32 / 100.0).collect();
        values.push(50.0);
        let s = recorded(&values);
        assert_eq!((s.min, s.max), (0.0, 50.0));
        assert!(s.percentile(99.9).1 < 1.1);
        // With one outlier among 10^4 the squared clipping error of 49^2 weighs less than coarse steps do.
        let (_, max) = s.least_squares();
        assert!(s.squared_error(0.0, max) <= s.squared_error(0.0, 50.0));
    }

    #[test]
    fn a_small_tensor_of_peaks_weighs_as_much_as_the_map_that_they_come_from() {
        let mut map: Vec<f32> = (0..1_000_000).map(|i| (i % 100) as f32 / 100.0).collect();
        map.push(9.0);
        let mut seen = Statistics::default();
        let shape = Shape::new(1, map.len(), 1);
        seen.record(&Tensor::new(shape, map).unwrap()).unwrap();
        let mut both = Statistics::default();
        both.merge(&seen);
        assert!(both.least_squares().1 < 5.0, "alone, the map gives its peak away");
        both.merge(&recorded(&[9.0]));
        assert!(both.least_squares().1 > 8.5);
    }

    #[test]
    fn values_that_are_not_finite_are_refused() {
        let mut s = Statistics::default();
        assert!(s.record(&Tensor::filled(Shape::new(1, 1, 2), f32::NAN)).is_err());
        assert!(s.record(&Tensor::filled(Shape::new(1, 1, 2), f32::INFINITY)).is_err());
        for values in [[f32::NAN, 1.0], [1.0, f32::NAN], [1.0, f32::NEG_INFINITY]] {
            assert!(
                s.record(&Tensor::new(Shape::new(1, 1, 2), values.to_vec()).unwrap()).is_err(),
                "{values:?}"
            );
        }
    }

    #[test]
    fn means_are_those_of_all_pixels_by_channel() {
        let mut s = Statistics::default();
        s.record(&Tensor::new(Shape::new(1, 2, 2), vec![1.0, 10.0, 3.0, 30.0]).unwrap()).unwrap();
        s.record(&Tensor::new(Shape::new(1, 1, 2), vec![8.0, -10.0]).unwrap()).unwrap();
        assert_eq!(s.channel_means(), [4.0, 10.0]);
    }

    /// Bins of the values, which must be the only ones that are not empty, as shares of the sum.
    fn shares<const N: usize>(s: &Statistics, values: [f32; N]) -> [f64; N] {
        let bins = values.map(|v| (v as f64 / s.width()).floor() as i64 + BINS as i64 / 2);
        let sum: f64 = s.bins.iter().sum();
        assert_eq!(bins.map(|bin| s.bins[bin as usize]).iter().sum::<f64>(), sum, "nothing lies elsewhere");
        bins.map(|bin| s.bins[bin as usize] / sum)
    }

    #[test]
    fn merged_values_lie_in_their_bins_and_count_by_their_energy() {
        let width = 8.0 / BINS as f64;
        let energy = (3.0 + width / 2.0).powi(2) + (1.0 - width / 2.0).powi(2);
        assert!((recorded(&[3.0, -1.0]).energy() / energy - 1.0).abs() < 1e-12);
        for order in [[0, 1], [1, 0]] {
            let parts = [recorded(&[3.0, 3.0, 3.0]), recorded(&[-100.0])];
            let mut both = Statistics::default();
            order.iter().for_each(|part| both.merge(&parts[*part]));
            assert_eq!((both.min, both.max, both.limit), (-100.0, 3.0, 128.0));
            let [small, large] = shares(&both, [3.0, -100.0]);
            // Three values of 3 have the weight 1 / 3^2 together.
            assert!((small / large / (1e4 / 9.0) - 1.0).abs() < 1e-2, "{small} beside {large}");
            let before = both.bins.clone();
            both.merge(&Statistics::default());
            assert_eq!(both.bins, before, "nothing was merged");
        }
    }

    #[test]
    fn percentiles_lie_at_the_edges_of_bins() {
        let values: Vec<f32> = (-400..600).map(|i| i as f32 / 8.0).collect();
        let s = recorded(&values);
        let width = 2.0 * 128.0 / BINS as f32;
        for (percent, cut) in [(100.0, 0), (98.5, 7), (75.0, 125), (50.0, 250)] {
            // The bin of the last value that is kept ends above it, but not above the largest value.
            let (low, high) = (values[cut], (values[999 - cut] + width).min(values[999]));
            assert_eq!(s.percentile(percent), (low, high), "{percent}");
        }
    }

    #[test]
    fn squared_errors_are_those_of_rounding_within_and_of_clamping_beyond() {
        let s = recorded(&[0.0, 1.0, -2.0, 3.0]);
        let width = 8.0 / BINS as f64;
        let rounding = |range: f64| (range / 255.0).powi(2) / 12.0;
        let near = |(min, max), expected: f64| {
            let error = s.squared_error(min, max);
            assert!((error / expected - 1.0).abs() < 1e-9, "{min}..{max}: {error}, expected {expected}");
        };
        near((-2.0, 4.0), 4.0 * rounding(6.0));
        near((-1.0, 2.0), 2.0 * rounding(3.0) + (1.0 - width).powi(2) + 1.0);
        // Ranges hold 0.
        near((-4.0, -1.0), 2.0 * rounding(4.0) + 1.0 + 9.0);
        near((1.0, 4.0), 3.0 * rounding(4.0) + (2.0 - width).powi(2));
    }

    #[test]
    fn no_end_on_the_grid_has_a_smaller_error_than_the_least() {
        let mut values: Vec<f32> = (0..1 << 16).map(|i| (i % 1024) as f32 / 512.0 - 1.0).collect();
        values.extend([8.0, -4.0]);
        let mut s = Statistics::default();
        s.record(&Tensor::new(Shape::new(1, values.len(), 1), values).unwrap()).unwrap();
        let (min, max) = s.least_squares();
        let grid = |x: f32| (0..48).map(move |i| x * (1.0 - 0.9 * i as f32 / 48.0));
        let least = s.squared_error(min, max);
        assert!(grid(8.0).all(|x| least <= s.squared_error(min, x)), "{min}..{max}");
        assert!(grid(-4.0).all(|x| least <= s.squared_error(x, max)), "{min}..{max}");
        let places = [grid(-4.0).position(|x| x == min), grid(8.0).position(|x| x == max)];
        assert_eq!(places, [Some(12), Some(6)], "{min}..{max}");
    }
}
