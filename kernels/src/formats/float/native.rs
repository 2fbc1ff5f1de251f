//! Products that are added in half precision, as `fmla` of Armv8.2's FP16 does.
//!
//! A sum of products is cut into blocks of [`BLOCK`] consecutive products, the last one shorter. Each block begins with 0 and is one chain
//! of fused multiply-adds, each rounded once to half precision. The blocks' sums are added to the bias in single precision, in order. So the error of
//! a block stays small, and most of the work is done eight products at a time.

use super::half;

/// Products per block.
pub const BLOCK: usize = 128;

/// `a * b + c` of halves, rounded once to half precision, ties to even.
///
/// The product is exact in single precision; the sum is rounded to odd there, from where rounding to half precision gives what one
/// rounding would have given (see [`super::fused::by_doubles`]).
#[inline(always)]
pub fn fused_half(a: f32, b: f32, c: f32) -> f32 {
    let product = a * b;
    let sum = product + c;
    let back = sum - product;
    let lost = (product - (sum - back)) + (c - back);
    let bits = sum.to_bits();
    #[allow(clippy::double_comparisons, reason = "a NaN is not inexact")]
    let inexact = lost < 0.0 || lost > 0.0;
    let away = (lost > 0.0) == (sum > 0.0);
    let step = if inexact && bits & 1 == 0 { if away { 1 } else { u32::MAX } } else { 0 };
    half::to_f32(half::from_f32(f32::from_bits(bits.wrapping_add(step))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// In integers: multiples of 2^-48, which every product and every half is.
    fn exactly(a: u16, b: u16, c: u16) -> Option<u16> {
        let parts = |h: u16| -> Option<(i128, u32)> {
            let (exponent, fraction) = (u32::from(h >> 10) & 31, i128::from(h & 1023));
            let value = match exponent {
                31 => return None,
                0 => (fraction, 1),
                e => (fraction + 1024, e),
            };
            Some((if h >> 15 == 1 { -value.0 } else { value.0 }, value.1))
        };
        // A half is `value * 2^(exponent - 25)`.
        let ((va, ea), (vb, eb), (vc, ec)) = (parts(a)?, parts(b)?, parts(c)?);
        let sum = ((va * vb) << (ea + eb - 2)) + ((vc << 24) << (ec - 1));
        let magnitude = sum.unsigned_abs();
        if magnitude == 0 {
            // Of zeros, the sign is that of both, else plus.
            let negative = (a ^ b) >> 15 == 1 && c >> 15 == 1 && va * vb == 0;
            return Some(if negative { 0x8000 } else { 0 });
        }
        // The last place of the result: 2^-24, or what leaves eleven bits.
        let bits = 128 - magnitude.leading_zeros();
        let drop = 24.max(bits.saturating_sub(11));
        let (kept, rest, tie) = (magnitude >> drop, magnitude & ((1 << drop) - 1), 1u128 << (drop - 1));
        let up = rest > tie || rest == tie && kept & 1 == 1;
        let kept = kept + u128::from(up);
        // The exponent counts from the last place; a carry moves into it.
        let half = u128::from(drop - 24) * 1024 + kept;
        let sign = if sum < 0 { 0x8000 } else { 0 };
        Some(sign | half.min(0x7c00) as u16)
    }

    fn same(a: u16, b: u16, c: u16) {
        let Some(expected) = exactly(a, b, c) else { return };
        let found = half::from_f32(fused_half(half::to_f32(a), half::to_f32(b), half::to_f32(c)));
        assert_eq!(found, expected, "{a:#x} * {b:#x} + {c:#x}");
    }

    #[test]
    fn where_two_roundings_would_differ() {
        for c in [0x3c00, 0x3c01, 0xbc00, 0x7bff, 0x0001, 0x0400, 0x8001, 0, 0x8000] {
            for a in (0..0x7c00).step_by(37) {
                for b in [0x0001, 0x0400, 0x1000, 0x13ff, 0x3c00, 0x3bff, 0x7bff, 0, 0x8000, 0x9001] {
                    same(a, b, c);
                    same(a | 0x8000, b, c);
                }
            }
        }
        assert_eq!(exactly(0x3c00, 0x3c00, 0x3c00), Some(0x4000));
        assert_eq!(exactly(0x0001, 0x3800, 0), Some(0), "half of the smallest: a tie, to even");
        assert_eq!(exactly(0x0003, 0x3800, 0), Some(2));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn one_rounding(a in any::<u16>(), b in any::<u16>(), c in any::<u16>()) {
            same(a, b, c);
        }
    }
}
