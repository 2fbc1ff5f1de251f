//! Half precision by its definition, in integers.
#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) fn next(seed: &mut u64) -> u32 {
    *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    (*seed >> 33) as u32
}

/// What a half stands for, by definition.
pub(crate) fn value(half: u16) -> f64 {
    let (exponent, fraction) = (i32::from(half >> 10) & 31, f64::from(half & 1023));
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        e => (1024.0 + fraction) * 2f64.powi(e - 25),
    };
    if half >> 15 == 1 { -magnitude } else { magnitude }
}

/// The half nearest to `units * 2^-48`, ties to even; `zero` where that is nothing.
pub(crate) fn nearest(units: i128, zero: u16) -> u16 {
    let magnitude = units.unsigned_abs();
    if magnitude == 0 {
        return zero;
    }
    let bits = 128 - magnitude.leading_zeros();
    let drop = 24.max(bits.saturating_sub(11));
    let (kept, rest, tie) = (magnitude >> drop, magnitude & ((1 << drop) - 1), 1u128 << (drop - 1));
    let kept = kept + u128::from(rest > tie || rest == tie && kept & 1 == 1);
    let half = (u128::from(drop - 24) * 1024 + kept).min(0x7c00) as u16;
    half | if units < 0 { 0x8000 } else { 0 }
}

/// A number that single precision holds, as the nearest half. NaN does not occur.
pub(crate) fn rounded(x: f32) -> u16 {
    let sign = if x.is_sign_negative() { 0x8000 } else { 0 };
    if x.abs() >= 65536.0 {
        return sign | 0x7c00;
    }
    // Below 2^-48 is nothing, and so is half of the smallest half.
    nearest((f64::from(x) * 2f64.powi(48)) as i128, sign)
}

/// `a * b + c` in f16, rounded once.
pub(crate) fn fused_half(a: u16, b: u16, c: u16) -> u16 {
    let units = |h: u16| (value(h) * 2f64.powi(24)) as i128;
    let [x, y, z] = [a, b, c].map(value);
    if !(x.is_finite() && y.is_finite() && z.is_finite()) {
        let sum = x * y + z;
        return if sum.is_nan() { 0x7e00 } else { rounded(sum as f32) };
    }
    let zero = if (a ^ b) >> 15 == 1 && c >> 15 == 1 { 0x8000 } else { 0 };
    nearest(units(a) * units(b) + (units(c) << 24), zero)
}
