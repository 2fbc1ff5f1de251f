//! Exponential, and what else a layer needs of a mathematical library: the same bits on every target.
//!
//! Only additions, multiplications, [`fused()`] and operations on bits. [`exp`] and [`expm1`] reduce their argument as Cody and Waite did,
//!
//! ```text
//! n = x log2(e), rounded to an integer     as fused(x, 1.442695, 12582912) - 12582912
//! r = x - n ln 2, |r| <= 0.3467            in two steps, the first one exact: fused(-n, 0.693359375, x), fused(n, 2.1219444e-4, .)
//! p = r + r^2 q(r)                         q a polynomial of degree 5, Horner's rule, each step fused; then fused(q, r * r, r)
//! ```
//!
//! and put them together again from `2^n`. The polynomials are those of Moshier's Cephes library.

use super::fused;

/// `1.5 * 2^23`: numbers near it are integers, so that adding it rounds to an integer, which is then in the lowest bits.
const INTEGERS: f32 = 12_582_912.0;
/// 355 / 512: nine bits, times an `n` of eight bits exact.
const LN2_HIGH: f32 = 355.0 / 512.0;
/// What it is above ln 2.
const LN2_REST: f32 = 2.121_944_4e-4;

/// `n` and `exp(r) - 1`. For `|x|` up to 150.
#[inline(always)]
fn reduced(x: f32) -> (i32, f32) {
    let shifted = fused(x, core::f32::consts::LOG2_E, INTEGERS);
    let n = shifted - INTEGERS;
    let r = fused(n, LN2_REST, fused(-n, LN2_HIGH, x));
    let mut q = 1.987_569_1e-4;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        q = fused(q, r, coefficient);
    }
    let n = shifted.to_bits().wrapping_sub(INTEGERS.to_bits()) as i32;
    (n, fused(q, r * r, r))
}

/// `2^n`, for `n` from -126 to 127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// `e^x`, with an error below 1 ulp (below 2 where the result is below `2^-126`); infinite from 88.7229 on, 0 below -103.98.
///
/// NaN stays NaN, with bits that depend on the target.
///
/// ```text
/// (1 + p) * 2^floor(n / 2) * 2^(n - floor(n / 2))       x from -104 to 89, to which it is clamped
/// ```
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = if x < -104.0 { -104.0 } else { x };
    let x = if x > 89.0 { 89.0 } else { x };
    let (n, p) = reduced(x);
    // In two steps: the result may lie where there are fewer bits, or beyond everything.
    let half = n >> 1;
    (1.0 + p) * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// `e^x - 1` for `x <= 0`, with an error below 2 ulp.
///
/// NaN stays NaN, with bits that depend on the target.
///
/// ```text
/// fused(p, 2^n, 2^n - 1)                                x from -20, to which it is clamped
/// ```
#[inline(always)]
pub fn expm1(x: f32) -> f32 {
    let x = if x < -20.0 { -20.0 } else { x };
    let (n, p) = reduced(x);
    let power = power_of_two(n);
    fused(p, power, power - 1.0)
}

/// The square root, correctly rounded: in integers. 0 for negative numbers and NaN.
pub(super) fn sqrt(x: f32) -> f32 {
    let bits = x.to_bits();
    if bits == f32::INFINITY.to_bits() {
        return x;
    }
    if x.is_nan() || x <= 0.0 {
        return 0.0;
    }
    // x = mantissa * 2^exponent, with 24 bits.
    let (field, fraction) = (bits >> 23, bits & 0x007f_ffff);
    let (mantissa, exponent) = match field {
        0 => {
            let shift = fraction.leading_zeros() as i32 - 8;
            (fraction.wrapping_shl(shift as u32), -149 - shift)
        }
        _ => (fraction | 0x0080_0000, field as i32 - 150),
    };
    // An even exponent, and 49 or 50 bits: their root has 25 bits. It is never in the middle of two numbers.
    let shift = 26 - (exponent & 1);
    let root = ((mantissa as u64) << shift).isqrt();
    let half = (exponent - shift) / 2;
    // root * 2^half, between 2^-75 and 2^64.
    (root as u32).wrapping_add(1).wrapping_shr(1) as f32 * power_of_two(half + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_the_processors() {
        let same = |x: f32| assert_eq!(sqrt(x).to_bits(), std::primitive::f32::sqrt(x).to_bits(), "{x:e}");
        let some = if cfg!(miri) { 4_000_037 } else { 4057 };
        (0..=0x7f80_0000).step_by(some).map(f32::from_bits).for_each(same);
        // Squares and their neighbours, whose roots are all but in the middle.
        for i in 1..if cfg!(miri) { 50 } else { 5000u32 } {
            let square = (i * i) as f32;
            [square, square.next_up(), square.next_down()].into_iter().for_each(same);
        }
        (1..100).map(f32::from_bits).for_each(same);
        assert_eq!([-1.0, -0.0, f32::NEG_INFINITY, f32::NAN].map(sqrt), [0.0; 4]);
    }
}
