//! Quantised filters: per-channel int8 weights, int32 biases, multipliers, and the proof that nothing overflows.

use super::check_finite;
use crate::{
    error::Result,
    format::QParams,
    lower::{Lowering, Sums},
    ops::Clamp,
};
use niello_kernels::{Layout, Multiplier, OutputParams, Rounding};
use std::sync::Arc;

/// Integers that a quantised file has for the filters of a convolution.
#[derive(Clone, Debug)]
pub struct GivenFilters {
    /// One scale for each output channel, positive; weights are codes in `[-127, 127]` at it.
    pub scale: Arc<[f32]>,
    /// One bias for each output channel, at scale `s_in * s_w`.
    pub bias: Arc<[i32]>,
    /// How sums are rounded.
    pub rounding: GivenRounding,
}

/// The rounding of a layer of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenRounding {
    /// As the program says.
    Program,
    /// Once, the product in double precision and ties away from zero, as LiteRT does in fully connected layers.
    Once,
    /// The quotient of codes without a sign by so many, ties up, which are the codes of the result: biases add 128 to each code of the operand that is less its
    /// zero point.
    Mean(u32),
    /// [`Rounding::FloatEven`] with a factor in single precision, as onnxruntime does in operators of codes;
    /// the mean of so many codes, if that is said.
    SinglePrecision(Option<u32>),
    /// Once, ties to even, as operators of real numbers between codes; the mean of so many codes, if that is said.
    /// [`Rounding::FloatEven`] where no factor of 31 bits does that.
    Nearest(Option<u32>),
}

impl GivenRounding {
    /// The factor of a sum: of scales of input, weights and output.
    fn factor(self, [input, weights, output]: [f32; 3]) -> f64 {
        match self {
            Self::SinglePrecision(None) => (input * weights / output) as f64,
            Self::SinglePrecision(Some(count)) => (input / (output * count as f32)) as f64,
            Self::Nearest(Some(count)) => input as f64 / (output as f64 * count as f64),
            _ => input as f64 * weights as f64 / output as f64,
        }
    }

    /// A sum, times `real` and rounded, where that is not as the program says.
    fn of(self, sum: i64, real: f64) -> i64 {
        match self {
            Self::SinglePrecision(_) => (sum as f32 * real as f32).round_ties_even() as i64,
            Self::Nearest(_) => (sum as f64 * real).round_ties_even() as i64,
            Self::Program | Self::Once => (sum as f64 * real).round() as i64,
            Self::Mean(count) => (sum + count as i64 / 2).div_euclid(count.max(1) as i64),
        }
    }
}

/// The filters of a convolution in integers, one row per output channel.
pub(super) struct Filters {
    /// `[out][taps * in]` in the order of the float rows, each in `[-127, 127]`.
    pub(super) weights: Vec<Vec<i8>>,
    /// At scale `s_in * s_w`, input zero point not yet folded in.
    pub(super) bias: Vec<i32>,
    /// `s_in * s_w / s_out`.
    pub(super) multiplier: Vec<Multiplier>,
    /// The rounding that the multipliers are for.
    pub(super) rounding: Rounding,
    /// What is added to results, if not the zero point of their format.
    zero_point: Option<i8>,
    /// `s_w`.
    scale: Vec<f64>,
}

/// Scales of the input and the output of a convolution.
#[derive(Clone, Copy)]
pub(super) struct Scales {
    pub(super) input: f32,
    pub(super) output: f32,
}

impl Filters {
    /// Quantises `rows` (one slice of weights per output channel) with one symmetric scale each.
    ///
    /// `expected_input[i]` is the mean of the input under weight `i`, if bias correction is on: what rounding the
    /// weights adds to the output on average is taken off the bias. Where a lock has that already, it is as there.
    pub(super) fn quantize(
        cx: &mut Lowering<'_>,
        rows: &[Vec<f32>],
        bias: &[f32],
        input: QParams,
        output: QParams,
        expected_input: Option<&[f64]>,
    ) -> Result<Self> {
        let scales = Scales { input: input.scale, output: output.scale };
        Self::quantize_with(cx, rows, bias, scales, expected_input, |weights, bias| {
            Sums::narrow(largest_sum(weights, bias, input.zero_point), NOISE)
        })
    }

    /// As [`Filters::quantize`]; `sums` says of a filter and its bias what its factor is for.
    pub(super) fn quantize_with(
        cx: &mut Lowering<'_>,
        rows: &[Vec<f32>],
        bias: &[f32],
        scales: Scales,
        expected_input: Option<&[f64]>,
        sums: impl Fn(&[i8], f64) -> Sums,
    ) -> Result<Self> {
        check_finite(cx, rows, bias)?;
        let (rounding, zero_point) = (cx.rounding(), None);
        let mut filters =
            Self { weights: vec![], bias: vec![], multiplier: vec![], rounding, zero_point, scale: vec![] };
        let given = cx.correction(rows.len())?;
        let mut correction = vec![];
        for (channel, (row, bias)) in rows.iter().zip(bias).enumerate() {
            let scale = scale_beside(row, *bias, scales);
            // In single precision; a scale below that is one of zeros.
            let step = (scale as f32).max(f32::MIN_POSITIVE);
            let q: Vec<i8> = row.iter().map(|w| (w / step).round().clamp(-127.0, 127.0) as i8).collect();
            let drift: f64 = expected_input.map_or(0.0, |mean| {
                q.iter().zip(row).zip(mean).map(|((q, w), m)| (*q as f64 * scale - *w as f64) * m).sum()
            });
            let accumulator_scale = scales.input as f64 * scale;
            let plain = (*bias as f64 / accumulator_scale).round();
            let bias = match &given {
                Some(steps) => plain + steps[channel] as f64,
                None => ((*bias as f64 - drift) / accumulator_scale).round(),
            };
            correction.push((bias - plain) as i32);
            if bias.abs() > i32::MAX as f64 {
                let why = "its filter is too small beside it";
                return Err(
                    cx.error(format!("output channel {channel}: bias {bias} does not fit 32 bits; {why}"))
                );
            }
            let multiplier = cx.multiplier_for(accumulator_scale / scales.output as f64, sums(&q, bias))?;
            filters.weights.push(q);
            filters.bias.push(bias as i32);
            filters.multiplier.push(multiplier);
            filters.scale.push(scale);
        }
        if given.is_some() || expected_input.is_some() {
            cx.note_correction(correction);
        }
        Ok(filters)
    }
}

impl Filters {
    /// The integers of a file: weights and biases are its own.
    ///
    /// Single precision takes fewer instructions than a factor of 31 bits where there are vectors, and more elsewhere.
    ///
    /// # Errors
    /// Sums that do not fit 32 bits, a factor that is out of range.
    pub(super) fn given(
        cx: &Lowering<'_>,
        rows: &[Vec<f32>],
        given: &GivenFilters,
        input: QParams,
        output: QParams,
    ) -> Result<Self> {
        let zero_point = matches!(given.rounding, GivenRounding::Mean(_)).then_some(i8::MIN);
        let mut filters = Self {
            weights: vec![],
            bias: given.bias.to_vec(),
            multiplier: vec![],
            rounding: cx.rounding(),
            zero_point,
            scale: given.scale.iter().map(|scale| *scale as f64).collect(),
        };
        // What is rounded: a factor, and the sums that it is for.
        let mut channels = vec![];
        for ((row, bias), scale) in rows.iter().zip(&given.bias[..]).zip(&given.scale[..]) {
            let codes: Vec<i8> = row.iter().map(|w| (w / scale).round().clamp(-127.0, 127.0) as i8).collect();
            let real = given.rounding.factor([input.scale, *scale, output.scale]);
            channels.push((real, Sums::narrow(largest_sum(&codes, *bias as f64, input.zero_point), NOISE)));
            filters.weights.push(codes);
        }
        if given.rounding == GivenRounding::Program {
            let factors = channels.iter().map(|(real, sums)| cx.multiplier_for(*real, *sums));
            filters.multiplier = factors.collect::<Result<_>>()?;
            return Ok(filters);
        }
        // Sums that fit; those that a factor would carry out of their register are saturated, or it is not taken.
        let factors = channels.iter().map(|(real, sums)| {
            cx.fitting(Some(Multiplier::ZERO), *real, *sums)?;
            cx.multiplier(*real)
        });
        let factors: Vec<Multiplier> = factors.collect::<Result<_>>()?;
        let zero_point = zero_point.unwrap_or(output.zero_point);
        let find = |(real, sums): &(f64, Sums)| equal_to(given.rounding, *real, zero_point, sums.largest);
        let takes_single_precision = matches!(given.rounding, GivenRounding::SinglePrecision(_))
            && !matches!(cx.target().layout, Layout::DSP | Layout::MVE | Layout::SCALAR);
        let found: Option<Vec<Multiplier>> =
            if takes_single_precision { None } else { channels.iter().map(find).collect() };
        (filters.rounding, filters.multiplier) = match (given.rounding, found) {
            (_, Some(found)) => (Rounding::Single, found),
            (GivenRounding::SinglePrecision(_) | GivenRounding::Nearest(_), None) => {
                (Rounding::FloatEven, factors)
            }
            (_, None) => {
                return Err(cx.error("no factors of 31 bits round its sums as the file's runtime does"));
            }
        };
        Ok(filters)
    }

    /// The output stage, with a fused activation.
    pub(super) fn stage(&self, cx: &Lowering<'_>, to: QParams, clamp: Clamp) -> OutputParams {
        let stage = cx.stage(to, clamp.min, clamp.max);
        OutputParams {
            rounding: self.rounding,
            zero_point: self.zero_point.unwrap_or(stage.zero_point),
            ..stage
        }
    }

    /// Turns weights of 8 bits into the upper half of ones of 16, and returns the lower half.
    pub(super) fn add_low_bits(&mut self, rows: &[Vec<f32>]) -> Vec<Vec<i8>> {
        for multiplier in self.multiplier.iter_mut().filter(|m| m.mantissa != 0) {
            multiplier.shift -= 8;
        }
        let low = |((row, scale), codes): ((&Vec<f32>, &f64), &mut Vec<i8>)| -> Vec<i8> {
            let scale = *scale / 256.0;
            let halves = row.iter().zip(codes.iter_mut()).map(|(w, high)| {
                let code = (*w as f64 / scale).round().clamp(-32512.0, 32512.0) as i32;
                *high = ((code + 128) >> 8) as i8;
                (code - 256 * *high as i32) as i8
            });
            halves.collect()
        };
        rows.iter().zip(&self.scale).zip(&mut self.weights).map(low).collect()
    }
}

/// The factor with which [`Rounding::Single`] gives the same code as `rounding` by `real`, for every sum up to `largest`. Both grow with the sum, so
/// they are equal everywhere if they step to every code at the same sum, which is what is tried, for mantissas near that of `real`.
fn equal_to(rounding: GivenRounding, real: f64, zero_point: i8, largest: i64) -> Option<Multiplier> {
    let plain = Multiplier::from_real(real)?;
    if plain == Multiplier::ZERO {
        return Some(plain);
    }
    if largest << plain.shift.max(0) > i32::MAX as i64 {
        return None;
    }
    let codes = (-127 - zero_point as i64)..=(127 - zero_point as i64);
    // The least sum that gives a code, for those that some sum gives.
    let step = |code: i64| {
        let (mut below, mut first) = (-largest - 2, largest + 1);
        while first - below > 1 {
            let middle = (below + first).div_euclid(2);
            *(if rounding.of(middle, real) >= code { &mut first } else { &mut below }) = middle;
        }
        (first, code)
    };
    let steps: Vec<(i64, i64)> = codes.map(step).filter(|(sum, _)| sum.abs() <= largest).collect();
    let agrees = |multiplier: &Multiplier| {
        let code = |sum: i64| multiplier.apply(sum as i32, Rounding::Single) as i64;
        steps.iter().all(|(sum, at)| code(*sum) >= *at && (*sum <= -largest || code(*sum - 1) < *at))
    };
    // 0, 1, -1, 2, -2, …
    let nearby = (0..256).map(|i| if i % 2 == 1 { (i + 1) / 2 } else { -(i / 2) });
    nearby.map(|more| Multiplier { mantissa: plain.mantissa.saturating_add(more), ..plain }).find(agrees)
}

/// The symmetric scale of a filter; one of zeros (or of denormals) has any.
fn scale(row: &[f32]) -> f32 {
    let largest = row.iter().fold(0f32, |m, w| m.max(w.abs()));
    if holds_something(row) { largest / 127.0 } else { 1.0 }
}

/// Whether a filter has weights that can be told from zero.
fn holds_something(row: &[f32]) -> bool {
    row.iter().any(|w| w.abs() / 127.0 >= f32::MIN_POSITIVE)
}

/// The largest magnitude of a bias, `2^30`: the other half of 32 bits is for the sum.
const LARGEST_BIAS: f64 = (1 << 30) as f64;

/// That scale, unless the bias would be too large at `s_in * s_w` then (training with weight decay, or pruning, leaves such filters behind):
/// then that of the largest bias, which is that of a filter of zeros too, so that its bias is as exact as any.
/// Single precision, but for filters of zeros, whose inputs may be so large that it ends above what their bias needs.
fn scale_beside(row: &[f32], bias: f32, scales: Scales) -> f64 {
    let (input, output) = (scales.input as f64, scales.output as f64);
    let least = bias.abs() as f64 / (input * LARGEST_BIAS);
    // With nothing at all, the factor between scales is 1.
    let least = if holds_something(row) || bias != 0.0 { least } else { output / input };
    if row.iter().all(|w| *w == 0.0) && least < f32::MIN_POSITIVE.into() {
        return least;
    }
    let least = least.clamp(f32::MIN_POSITIVE.into(), f32::MAX.into()) as f32;
    if holds_something(row) { scale(row).max(least) } else { least }.into()
}

/// The rounding noise of filters in 8 bits over their signal: sums of squares.
pub(super) fn rounding_noise(rows: &[Vec<f32>]) -> f64 {
    let (mut noise, mut signal) = (0.0, 0.0);
    for row in rows {
        let scale = scale(row) as f64;
        for w in row.iter().map(|w| *w as f64) {
            noise += (w - (w / scale).round() * scale).powi(2);
            signal += w * w;
        }
    }
    if signal > 0.0 { noise / signal } else { 0.0 }
}

/// Half a step of the input times the largest weight, 127: sums below that are noise.
const NOISE: i64 = 64;

/// The largest magnitude of `bias + sum w * (x - z)` over all inputs `x`.
///
/// The kernels add modulo `2^32`, so intermediate sums and the folded bias may wrap; only the true value matters.
fn largest_sum(weights: &[i8], bias: f64, zero_point: i8) -> i64 {
    let (low, high) = (-128 - zero_point as i64, 127 - zero_point as i64);
    let (mut least, mut most) = (0i64, 0i64);
    for w in weights {
        let (a, b) = (*w as i64 * low, *w as i64 * high);
        least += a.min(b);
        most += a.max(b);
    }
    (least + bias as i64).abs().max((most + bias as i64).abs())
}

/// `bias - (zero_point + activation_offset) * sum of weights`, modulo `2^32`.
pub(super) fn fold_bias(bias: i32, weights: impl Iterator<Item = i8>, zero_point: i8, offset: u8) -> i32 {
    let sum: i64 = weights.map(i64::from).sum();
    (bias as i64 - (zero_point as i64 + offset as i64) * sum) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_reach_what_the_extremes_of_the_input_give() {
        assert_eq!(largest_sum(&[127, -127, 0], 10.0, -128), 127 * 255 + 10);
        assert_eq!(largest_sum(&[127, 100], -1.0, 127), 227 * 255 + 1);
        assert_eq!(largest_sum(&[], -5.0, 0), 5);
    }

    #[test]
    fn one_rounding_of_31_bits_is_that_of_double_precision() {
        // Powers of two tie often; others hardly ever.
        for real in
            [0.5, 0.25, 1.0 / 1024.0, 3.0 / 4096.0, 0.1, 0.00341796875, 1.0 / 3.0, 0.7f32 as f64 * 1e-3]
        {
            for zero_point in [-128, -3, 0, 127] {
                let factor = equal_to(GivenRounding::Once, real, zero_point, 1 << 20).expect("a factor");
                for sum in -(1 << 20)..(1 << 20) {
                    let clamp = |code: i64| (code + zero_point as i64).clamp(-128, 127);
                    let expected = clamp((sum as f64 * real).round() as i64);
                    let found = clamp(factor.apply(sum, Rounding::Single).into());
                    assert_eq!(found, expected, "{sum} * {real} + {zero_point}");
                }
            }
        }
    }

    #[test]
    fn one_rounding_of_31_bits_is_that_of_single_precision() {
        for (input, weights, output) in
            [(0.023_417, 0.003_071_3, 0.051_933), (0.017_31, 1.2371e-4, 0.083_119), (0.51, 0.1103, 0.007_13)]
        {
            for rounding in [GivenRounding::SinglePrecision(None), GivenRounding::Nearest(None)] {
                let real = rounding.factor([input, weights, output]);
                let factor = equal_to(rounding, real, -3, 1 << 20).expect("a factor");
                for sum in -(1 << 20)..(1 << 20) {
                    let clamp = |code: i64| (code - 3).clamp(-128, 127);
                    let found = clamp(factor.apply(sum, Rounding::Single).into());
                    assert_eq!(found, clamp(rounding.of(sum.into(), real)), "{sum} * {real}");
                }
            }
        }
        // Ties to even are no factor's steps.
        assert_eq!(equal_to(GivenRounding::Nearest(None), 0.25, 0, 1 << 10), None);
    }

    #[test]
    fn means_of_codes_round_ties_up() {
        for count in [1u32, 2, 3, 4, 6, 10, 16, 49, 56, 64, 196] {
            let (mean, largest) = (GivenRounding::Mean(count), 255 * count as i64);
            let factor = equal_to(mean, 1.0 / count as f64, -128, largest).expect("a factor");
            for sum in 0..=largest {
                let expected = (sum as f64 / count as f64 + 0.5).floor() as i32;
                assert_eq!(factor.apply(sum as i32, Rounding::Single), expected, "{sum} / {count}");
            }
        }
    }

    #[test]
    fn scales_leave_room_for_the_bias() {
        let scale_beside = |row: &[f32], bias| scale_beside(row, bias, Scales { input: 0.05, output: 0.25 });
        assert_eq!(scale_beside(&[1.0, -2.54], 3.0), f64::from(0.02f32));
        // 1 / (0.05 * 0.02) would be far below; a filter a million million times smaller gives way to its bias, as one of nothing does.
        for row in [[1e-12, -2.54e-12], [0.0, 0.0], [1e-40, -0.0]] {
            let scale = scale_beside(&row, 3.0);
            assert!(scale > 2e-14);
            let bias = 3.0 / (0.05 * scale);
            assert!((bias / LARGEST_BIAS - 1.0).abs() < 1e-6, "{row:?}: {bias}");
        }
        assert_eq!(scale_beside(&[0.0, 1e-40], 0.0), 5.0);
    }

    #[test]
    fn filters_of_zeros_keep_their_bias_beside_inputs_of_any_size() {
        let of_bias = |bias| super::scale_beside(&[0.0; 9], bias, Scales { input: 2.6e36, output: 5e-4 });
        assert!((0.11f32 as f64 / (2.6e36f32 as f64 * of_bias(0.11)) / LARGEST_BIAS - 1.0).abs() < 1e-6);
        assert!((2.6e36f32 as f64 * of_bias(0.0) / 5e-4f32 as f64 - 1.0).abs() < 1e-6);
    }

    #[test]
    fn folding_moves_the_zero_point_into_the_bias() {
        let weights = [3i8, -5, 127];
        let x = [7i32, -128, 100];
        let true_value: i32 = 11 + weights.iter().zip(x).map(|(w, x)| *w as i32 * (x - -9)).sum::<i32>();
        for offset in [0u8, 128] {
            let folded = fold_bias(11, weights.into_iter(), -9, offset);
            let sum: i32 = weights.iter().zip(x).map(|(w, x)| *w as i32 * (x + offset as i32)).sum();
            assert_eq!(folded + sum, true_value);
        }
    }
}
