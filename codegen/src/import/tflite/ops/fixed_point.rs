//! LOGISTIC and TANH in fixed point, as TFLM and CMSIS-NN compute them: gemmlowp's functions of numbers with four integer bits.

use crate::format::QParams;
use niello_kernels::{Multiplier, Rounding, arith};

/// Integer bits of an operand: Q4.27.
const INTEGER_BITS: i32 = 4;

/// The entries of a function from Q4.27 to Q0.31, whose result has `bits` fraction bits and the codes `ends` beyond what four integer bits hold.
pub(super) fn entries(
    from: QParams,
    [low, high]: [i8; 2],
    bits: i32,
    zero_point: i32,
    function: fn(i32) -> i32,
) -> Result<[i8; 256], String> {
    let by = Multiplier::from_real(from.scale as f64 * (1i64 << (31 - INTEGER_BITS)) as f64);
    let by = by.ok_or_else(|| format!("an operand's scale {} is out of range", from.scale))?;
    // The largest difference that does not overflow.
    let radius =
        ((1i64 << INTEGER_BITS) - 1) as f64 * (1i64 << (31 - INTEGER_BITS)) as f64 / 2f64.powi(by.shift);
    let radius = radius.floor() as i64;
    Ok(std::array::from_fn(|i| {
        let x = i as i32 - 128 - from.zero_point as i32;
        match x as i64 {
            x if x <= -radius => low,
            x if x >= radius => high,
            _ => {
                let result = function(by.apply(x, Rounding::TfliteDouble));
                (arith::rounding_shift_right(result, 31 - bits) + zero_point).clamp(-128, 127) as i8
            }
        }
    }))
}

/// `1 / (1 + exp(-a))` of Q4.27 as Q0.31.
pub(super) fn logistic(a: i32) -> i32 {
    if a == 0 {
        return 1 << 30;
    }
    // Q2.29 to Q0.31, less the halving: one doubling.
    let positive = saturated(halves(exp_on_negative::<4>(-a.abs())), 1);
    if a > 0 { positive } else { i32::MAX - positive }
}

/// The hyperbolic tangent of Q4.27 as Q0.31: `(1 - exp(-2 a)) / (1 + exp(-2 a))`.
pub(super) fn tanh(a: i32) -> i32 {
    if a == 0 {
        return 0;
    }
    // The same bits as Q5.26 are twice the number.
    let positive = saturated(halves(exp_on_negative::<5>(-a.abs())) - (1 << 29), 2);
    if a > 0 { positive } else { -positive }
}

/// A positive number's reciprocal as Q0.31, and the bits that it is to be shifted to the right.
pub(super) fn reciprocal(x: i32) -> (i32, i32) {
    let headroom = x.leading_zeros();
    let fraction = ((x as u32) << headroom).wrapping_sub(1 << 31) as i32;
    (saturated(halves(fraction), 1), 31 - headroom as i32)
}

/// `exp(a)` of a number that is not positive and has so many integer bits, as Q0.31.
fn exp_on_negative<const BITS: i32>(a: i32) -> i32 {
    /// `exp(-2^bit)` as Q0.31.
    const FACTORS: [(i32, i32); 7] = [
        (-2, 1_672_461_947),
        (-1, 1_302_514_674),
        (0, 790_015_084),
        (1, 290_630_308),
        (2, 39_332_535),
        (3, 720_401),
        (4, 242),
    ];
    if a == 0 {
        return i32::MAX;
    }
    let (fraction, mul) = (31 - BITS, arith::doubling_high_multiply);
    let quarter = 1 << (fraction - 2);
    // From -1/4 to 0, less a multiple of 1/4.
    let part = (a & (quarter - 1)) - quarter;
    let rest = part.wrapping_sub(a);
    // Taylor's series around -1/8.
    let x = saturated(part, BITS as u32) + (1 << 28);
    let (x2, eighth) = (mul(x, x), 1_895_147_668);
    let (x3, x4) = (mul(x2, x), mul(x2, x2));
    let third = mul(arith::rounding_shift_right(x4, 2) + x3, 715_827_883);
    let series = mul(eighth, x + arith::rounding_shift_right(third + x2, 1));
    let start = eighth.saturating_add(series);
    let is_set = |bit: i32| bit < BITS && rest & (1 << (fraction + bit)) != 0;
    FACTORS.iter().filter(|(bit, _)| is_set(*bit)).fold(start, |result, (_, factor)| mul(result, *factor))
}

/// `2 / (1 + a)` of `a` in Q0.31 from 0 to 1, as Q2.29: three of Newton's steps for half the denominator.
fn halves(a: i32) -> i32 {
    let mul = arith::doubling_high_multiply;
    let half = ((a as i64 + i32::MAX as i64 + 1) / 2) as i32;
    let mut x = 1_515_870_810 + mul(half, -1_010_580_540);
    for _ in 0..3 {
        let error = (1 << 29) - mul(half, x);
        x += saturated(mul(x, error), 2);
    }
    x
}

/// `x * 2^bits`.
fn saturated(x: i32, bits: u32) -> i32 {
    ((x as i64) << bits).clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_near_the_functions() {
        for a in (i32::MIN + 1..i32::MAX).step_by(100_003).chain([0, 1, -1, i32::MAX]) {
            let x = a as f64 / (1u32 << 27) as f64;
            for (found, real) in [(logistic(a), 1.0 / (1.0 + (-x).exp())), (tanh(a), x.tanh())] {
                let error = found as f64 / (1u32 << 31) as f64 - real;
                assert!(error.abs() < 2e-6, "{x}: off by {error}");
            }
        }
    }

    /// Codes that TFLM's interpreter gave, where its fixed point is on the other side of a tie.
    #[test]
    fn ties_are_tflm_s() {
        let from = QParams { scale: 0.002_765_703_5, zero_point: -28 };
        let logistic = entries(from, [-128, 127], 8, -128, logistic).unwrap();
        let tanh = entries(from, [-128, 127], 7, 0, tanh).unwrap();
        let at = |table: &[i8; 256], code: i32| table[(code + 128) as usize];
        assert_eq!([at(&logistic, -116), at(&logistic, 60)], [-15, 15]);
        assert_eq!([at(&tanh, -72), at(&tanh, 16)], [-15, 15]);
    }
}
