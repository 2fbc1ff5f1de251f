//! Logarithm and error function: the same bits on every target, as [`exp`](mod@super::exp).
//!
//! Only additions, multiplications, divisions, [`fused()`] and operations on bits. The polynomials are those of Moshier's Cephes library.

use super::{exp::exp, fused};

/// A polynomial by Horner's rule, each step fused; the highest coefficient first. Small cores get one loop for all.
#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(not(target_pointer_width = "32"), inline(always))]
pub(super) fn polynomial(x: f32, coefficients: &[f32]) -> f32 {
    let mut sum = 0.0;
    for (i, coefficient) in coefficients.iter().enumerate() {
        sum = if i == 0 { *coefficient } else { fused(sum, x, *coefficient) };
    }
    sum
}

/// The natural logarithm, with an error of about 1 ulp. `-inf` of 0; NaN, with bits that depend on the target, of negative numbers.
///
/// ```text
/// x = 2^e (1 + f)                        1 + f from sqrt(1/2) to sqrt(2)
/// y = f f^2 p(f)                         p of degree 8
/// y = fused(e, -2.1219444e-4, y), fused(-0.5, f^2, y)
/// log(x) = fused(e, 0.693359375, f + y)
/// ```
#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(not(target_pointer_width = "32"), inline(always))]
pub fn log(x: f32) -> f32 {
    // Numbers below 2^-126 by 2^25.
    let tiny = x < f32::MIN_POSITIVE;
    let bits = (if tiny { x * 33_554_432.0 } else { x }).to_bits();
    // So that the fraction wraps at sqrt(1/2).
    let shifted = bits.wrapping_add(0x3f80_0000 - 0x3f35_04f3);
    let exponent = (shifted >> 23) as i32 - 127 - if tiny { 25 } else { 0 };
    let f = f32::from_bits((shifted & 0x007f_ffff) + 0x3f35_04f3) - 1.0;
    let (e, square) = (exponent as f32, f * f);
    let p = polynomial(
        f,
        &[
            7.037_683_6e-2,
            -1.151_461e-1,
            1.167_699_9e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_8e-1,
            2.000_071_5e-1,
            -2.499_999_4e-1,
            3.333_333e-1,
        ],
    );
    let y = fused(-0.5, square, fused(e, -2.121_944_4e-4, f * square * p));
    let result = fused(e, 355.0 / 512.0, f + y);
    let special = if x == 0.0 { f32::NEG_INFINITY } else { f32::NAN };
    let result = if x > 0.0 { result } else { special };
    if x == f32::INFINITY { x } else { result }
}

/// `log(1 + x)` for `x` from 0 to 1: `log(1 + x) * (x / ((1 + x) - 1))`, or `x` where `1 + x` is 1.
#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(not(target_pointer_width = "32"), inline(always))]
pub fn log1p(x: f32) -> f32 {
    let sum = 1.0 + x;
    let part = sum - 1.0;
    if part == 0.0 { x } else { log(sum) * (x / part) }
}

/// The error function, with an error of some ulp.
///
/// ```text
/// x t(x^2)                               up to 1 in magnitude, t of degree 6
/// 1 - erfc(|x|), with the sign of x      beyond
/// ```
#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(not(target_pointer_width = "32"), inline(always))]
pub fn erf(x: f32) -> f32 {
    let magnitude = x.abs();
    if magnitude > 1.0 { (1.0 - beyond(magnitude)).copysign(x) } else { within(x) }
}

/// `1 - erf(x)`, with an error of some ulp.
///
/// ```text
/// 1 - erf(x)                             up to 1 in magnitude
/// z q p(q^2)                             beyond, q = 1 / x, z = exp(-x^2), p of degree 8 below 2, of degree 7 from there on
/// 2 - erfc(-x)                           below -1
/// ```
///
/// `z` is `exp(-s)`, `s = x * x`, less `z` times what rounding `s` has lost: `fused(z, -fused(x, x, -s), z)`. Numbers beyond 14 are taken as 14.
#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(not(target_pointer_width = "32"), inline(always))]
pub fn erfc(x: f32) -> f32 {
    let magnitude = x.abs();
    let outside = beyond(magnitude);
    let outside = if x < 0.0 { 2.0 - outside } else { outside };
    if magnitude > 1.0 { outside } else { 1.0 - within(x) }
}

#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(not(target_pointer_width = "32"), inline(always))]
fn within(x: f32) -> f32 {
    x * polynomial(
        x * x,
        &[
            7.853_861e-5,
            -8.010_193_6e-4,
            5.188_327_7e-3,
            -2.685_381_2e-2,
            1.128_358_5e-1,
            -3.761_262_6e-1,
            core::f32::consts::FRAC_2_SQRT_PI,
        ],
    )
}

#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(not(target_pointer_width = "32"), inline(always))]
fn beyond(x: f32) -> f32 {
    let x = if x > 14.0 { 14.0 } else { x };
    let (square, q) = (x * x, 1.0 / x);
    let z = exp(-square);
    let z = fused(z, -fused(x, x, -square), z);
    let y = q * q;
    let near = polynomial(
        y,
        &[
            2.326_82e-2,
            -1.387_039_4e-1,
            3.687_424_7e-1,
            -5.824_733e-1,
            6.210_004_6e-1,
            -4.944_515_3e-1,
            3.404_88e-1,
            -2.741_127e-1,
            5.638_259_4e-1,
        ],
    );
    let far = polynomial(
        y,
        &[
            -1.047_766_4e1,
            1.297_72e1,
            -7.495_518_7,
            2.921_019,
            -1.015_265_3,
            4.218_463_3e-1,
            -2.820_767_5e-1,
            5.641_896e-1,
        ],
    );
    z * q * if x < 2.0 { near } else { far }
}
