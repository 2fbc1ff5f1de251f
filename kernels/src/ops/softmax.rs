//! Softmax over channels in fixed point.
//!
//! TensorFlow Lite's int8 reference: differences to the largest input are rescaled to a fixed-point number with 5
//! integer bits (Q5.26), their exponential is a Q0.31 number, the sum is kept in Q12.19, and the quotient comes from a
//! Newton-Raphson reciprocal. Everything is defined on 32-bit integers; `docs/arithmetic.md` has the steps.

use crate::{
    Memory, Multiplier, Operand,
    base::{
        arith,
        memory::{In, Out},
    },
};

/// `out = softmax over c of in`, at scale 1/256 and zero point -128. For at most 4095 classes, so that the sum fits.
/// `output` may be the same view as `input`.
#[derive(Clone, Copy, Debug)]
pub struct Softmax {
    /// Scores, `[h, w, classes]`.
    pub input: Operand,
    /// Probabilities, of the same shape.
    pub output: Operand,
    /// `min(s_in * 2^26, 2^31 - 1)`, from [`Softmax::parameters`]; its shift is in `[0, 31]`.
    pub multiplier: Multiplier,
    /// Negative or 0, from [`Softmax::parameters`]: inputs further below the largest one give probability 0.
    pub min_difference: i32,
}

/// The sum of so many exponentials fits its 12 integer bits.
pub(super) const MOST_CLASSES: usize = 4095;
/// Integer bits of the rescaled differences.
const DIFF_INTEGER_BITS: i32 = 5;
/// Integer bits of the sum.
pub(super) const SUM_INTEGER_BITS: i32 = 12;

impl Softmax {
    /// Multiplier and smallest difference for an input scale (`beta` = 1), as TensorFlow Lite's
    /// `PreprocessSoftmaxScaling` and `CalculateInputRadius` derive them. `None` if the scale is NaN, or so small
    /// (`2^-26`) that the rescaling would not be by more than 1.
    pub fn parameters(input_scale: f64) -> Option<(Multiplier, i32)> {
        if input_scale.is_nan() {
            return None;
        }
        let real = (input_scale * (1i64 << (31 - DIFF_INTEGER_BITS)) as f64).min(2_147_483_647.0);
        let fraction_bits = 31 - DIFF_INTEGER_BITS;
        // `from_real` takes factors below 2^30; larger ones are scaled down first and the shift put back.
        let m = Multiplier::from_real(real / 4.0)?;
        let multiplier = Multiplier { mantissa: m.mantissa, shift: m.shift + 2 };
        if m.mantissa == 0 || multiplier.shift < 0 {
            return None;
        }
        // Largest difference whose rescaled value still fits 5 integer bits.
        let radius = ((1i64 << DIFF_INTEGER_BITS) - 1) as f64 * (1i64 << fraction_bits) as f64
            / (1i64 << multiplier.shift.clamp(0, 62)) as f64;
        Some((multiplier, -(radius as i64).min(i32::MAX as i64) as i32))
    }

    fn views<'m>(&self, mem: &Memory<'m>) -> Option<(In<'m>, Out<'m>)> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        (input.shape() == out.shape() && out.shape()[2] <= MOST_CLASSES).then_some((input, out))
    }

    fn rescale(&self, difference: i32) -> i32 {
        rescale(self.multiplier, difference)
    }

    #[inline(always)]
    fn compute(&self, input: In<'_>, out: Out<'_>) {
        let [h, w, _] = out.shape();
        for y in 0..h {
            for x in 0..w {
                let scores = input.pixel(y, x);
                let largest = scores.iter().max().unwrap_or(0) as i32;
                let mut sum = 0i32;
                for score in scores.iter() {
                    let difference = score as i32 - largest;
                    if difference >= self.min_difference {
                        let e = exp_on_negative(self.rescale(difference));
                        sum = sum.wrapping_add(arith::rounding_shift_right(e, SUM_INTEGER_BITS));
                    }
                }
                let headroom = sum.leading_zeros() as i32;
                // The sum as 1 + s with s in Q0.31, and how far it was shifted.
                let shifted = ((sum as u32) << (headroom as u32 & 31)).wrapping_sub(1 << 31) as i32;
                let reciprocal = one_over_one_plus(shifted);
                let bits_over_unit = SUM_INTEGER_BITS - headroom;
                for (cell, score) in out.pixel(y, x).iter().zip(scores.iter()) {
                    let difference = score as i32 - largest;
                    let probability = if difference >= self.min_difference {
                        let e = exp_on_negative(self.rescale(difference));
                        let scaled = arith::doubling_high_multiply(reciprocal, e);
                        // Of a sum of 256 or more, each part is less than half a code.
                        let q = match bits_over_unit + 31 - 8 {
                            32.. => 0,
                            shift => arith::rounding_shift_right(scaled, shift.max(0)),
                        };
                        (q - 128).clamp(-128, 127)
                    } else {
                        -128
                    };
                    cell.set(probability as i8);
                }
            }
        }
    }
}

crate::schedule::kernel!(Softmax, |softmax| {
    check: |mem| softmax.views(mem),
    run: |(input, out), _| softmax.compute(input, out),
});

/// A difference of codes in Q5.26.
#[inline(always)]
pub(super) fn rescale(multiplier: Multiplier, difference: i32) -> i32 {
    // The shift is not negative here, so there is a single rounding whatever the program's mode is.
    let left = multiplier.shift.max(0) as u32;
    arith::doubling_high_multiply(difference.wrapping_shl(left), multiplier.mantissa)
}

/// `exp(a)` for `a <= 0` in Q5.26, as Q0.31 (gemmlowp's `exp_on_negative_values`).
pub(crate) fn exp_on_negative(a: i32) -> i32 {
    const FRACTION: i32 = 31 - DIFF_INTEGER_BITS;
    const QUARTER: i32 = 1 << (FRACTION - 2);
    if a == 0 {
        return i32::MAX;
    }
    // a = (a mod 1/4) - 1/4 in [-1/4, 0), plus a multiple of 1/4.
    let remainder = (a & (QUARTER - 1)) - QUARTER;
    let mut result = exp_between_minus_quarter_and_zero(remainder << DIFF_INTEGER_BITS);
    let rest = remainder.wrapping_sub(a);
    for (bit, factor) in FACTORS {
        if rest & (1 << (FRACTION + bit)) != 0 {
            result = arith::doubling_high_multiply(result, factor);
        }
    }
    result
}

/// `exp(-2^bit)` in Q0.31.
const FACTORS: [(i32, i32); 7] = [
    (-2, 1_672_461_947),
    (-1, 1_302_514_674),
    (0, 790_015_084),
    (1, 290_630_308),
    (2, 39_332_535),
    (3, 720_401),
    (4, 242),
];

/// `exp(a)` for `a` in `[-1/4, 0)`, both Q0.31: a fourth-degree Taylor polynomial around -1/8.
fn exp_between_minus_quarter_and_zero(a: i32) -> i32 {
    const EXP_MINUS_EIGHTH: i32 = 1_895_147_668;
    const THIRD: i32 = 715_827_883;
    let mul = arith::doubling_high_multiply;
    let x = a.wrapping_add(1 << 28);
    let x2 = mul(x, x);
    let x3 = mul(x2, x);
    let x4 = mul(x2, x2);
    let x4_over_4 = arith::rounding_shift_right(x4, 2);
    let tail = arith::rounding_shift_right(mul(x4_over_4.wrapping_add(x3), THIRD).wrapping_add(x2), 1);
    EXP_MINUS_EIGHTH.saturating_add(mul(EXP_MINUS_EIGHTH, x.wrapping_add(tail)))
}

/// `1 / (1 + a)` for `a` in `[0, 1)`, both Q0.31: three Newton-Raphson steps on the half denominator.
fn one_over_one_plus(a: i32) -> i32 {
    const Q2_ONE: i32 = 1 << 29;
    let mul = arith::doubling_high_multiply;
    // (a + 1) / 2, rounded half up, in Q0.31.
    let half = ((a as i64 + i32::MAX as i64 + 1) / 2) as i32;
    // 48/17 - 32/17 * half, in Q2.29.
    let mut x = 1_515_870_810i32.wrapping_add(mul(half, -1_010_580_540));
    for _ in 0..3 {
        let error = Q2_ONE.wrapping_sub(mul(half, x));
        // Q2 * Q2 is Q4: two saturating doublings bring it back.
        x = x.wrapping_add(saturating_shift_left_2(mul(x, error)));
    }
    // Q2.29 to Q0.31, and the halving undone: one doubling, saturating.
    (x as i64 * 2).clamp(i32::MIN as i64, i32::MAX as i64) as i32
}

fn saturating_shift_left_2(x: i32) -> i32 {
    (x as i64 * 4).clamp(i32::MIN as i64, i32::MAX as i64) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Isa, Kernel};

    const UNIT: f64 = 2_147_483_648.0;

    #[test]
    fn factors_are_the_nearest_exponentials() {
        for (bit, factor) in FACTORS {
            let exact = UNIT * (-(2f64.powi(bit))).exp();
            assert!((factor as f64 - exact).abs() <= 0.51, "exp(-2^{bit}): {factor} for {exact}");
        }
    }

    #[test]
    fn the_exponential_and_the_reciprocal_are_precise() {
        for i in (0..100_000).step_by(if cfg!(miri) { 9973 } else { 1 }) {
            let a = -(i * 21_001); // to -31.3 in Q5.26
            let exact = UNIT * (a as f64 / 67_108_864.0).exp();
            let error = exp_on_negative(a) as f64 - exact;
            assert!(error.abs() < 700.0, "exp of {a}: off by {error}");
            let a = i * 21_001;
            let exact = UNIT / (1.0 + a as f64 / UNIT);
            let error = one_over_one_plus(a) as f64 - exact;
            assert!(error.abs() < 40.0, "1 / (1 + {a}): off by {error}");
        }
    }

    #[test]
    fn parts_of_a_large_sum_are_less_than_half_a_code() {
        let (multiplier, min_difference) = Softmax::parameters(0.1).unwrap();
        // Equal scores: 256 / classes codes each.
        for (classes, code) in
            [(1, 127), (2, 0), (255, -127), (511, -127), (513, -128), (1024, -128), (4095, -128)]
        {
            let (scores, mut shares) = (std::vec![5i8; classes], std::vec![9i8; classes]);
            let shape = [1, 1, classes as u32];
            let (input, output) = (Operand::input(0, shape), Operand::output(0, shape));
            let cells = core::cell::Cell::from_mut(&mut shares[..]).as_slice_of_cells();
            let softmax = Softmax { input, output, multiplier, min_difference };
            softmax.run(&Memory::new(&[], &[&scores], &[cells]), Isa::scalar());
            assert!(shares.iter().all(|share| *share == code), "{classes}: {:?}, expected {code}", shares[0]);
        }
    }

    #[test]
    fn parameters_are_those_of_the_reference() {
        // PreprocessSoftmaxScaling and CalculateInputRadius, worked by hand: 0.1 * 2^26 = 0.8 * 2^23.
        let (multiplier, min_difference) = Softmax::parameters(0.1).unwrap();
        assert_eq!((multiplier.mantissa, multiplier.shift), (1_717_986_918, 23));
        assert_eq!(min_difference, -((31 * (1 << 26)) >> 23));
        // Large scales saturate at 2^31 - 1.
        assert_eq!(Softmax::parameters(100.0).unwrap().0, Multiplier { mantissa: i32::MAX, shift: 31 });
        assert_eq!(Softmax::parameters(-1.0), None);
        assert_eq!(Softmax::parameters(f64::NAN), None);
    }
}
