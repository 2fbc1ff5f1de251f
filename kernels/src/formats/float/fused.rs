//! The fused multiply-add, on cores that have one and on those that do not.

/// `a * b + c`, rounded once to single precision, ties to even.
///
/// An instruction where the core has it: `fmadd` on aarch64, `vfma` on Cortex-M with a floating-point unit, `vfmadd` where a loop is
/// compiled for AVX2 or AVX-512. Elsewhere [`by_doubles`], which returns the same bits.
#[inline(always)]
pub fn fused(a: f32, b: f32, c: f32) -> f32 {
    #[cfg(feature = "std")]
    return std::primitive::f32::mul_add(a, b, c);
    #[cfg(all(not(feature = "std"), target_arch = "aarch64"))]
    {
        use core::arch::aarch64::{vdup_n_f32, vfma_f32, vget_lane_f32};
        // SAFETY: every aarch64 that Rust compiles floating point for has NEON.
        return unsafe { vget_lane_f32::<0>(vfma_f32(vdup_n_f32(c), vdup_n_f32(a), vdup_n_f32(b))) };
    }
    #[cfg(all(not(feature = "std"), niello_vfp))]
    return vfma(a, b, c);
    #[allow(unreachable_code, reason = "reached where nothing above was compiled")]
    by_doubles(a, b, c)
}

/// `vfma.f32 s2, s0, s1`, `vmov.f32 s0, s2`, in bits: for cores without double precision, Rust has no operand for a register of single
/// precision, and its assembler does not know these instructions.
/// With the `nop` it ends on a multiple of four, and linkers fill no gap that looks like an instruction.
#[cfg(all(not(feature = "std"), niello_vfp))]
#[unsafe(naked)]
extern "C" fn vfma(a: f32, b: f32, c: f32) -> f32 {
    core::arch::naked_asm!(".inst.w 0xeea01a20", ".inst.w 0xeeb00a41", "bx lr", "nop")
}

/// [`fused`] in double precision.
///
/// The product is exact there. The sum is rounded to odd: where it is not exact, the neighbour of the two whose last bit is set.
/// From there, rounding to single precision, which has more than two bits less, gives what a single rounding would have given.
#[inline(always)]
pub fn by_doubles(a: f32, b: f32, c: f32) -> f32 {
    let (product, c) = (a as f64 * b as f64, c as f64);
    let sum = product + c;
    // The rounding error of the addition, exactly (Knuth's TwoSum). NaN where the sum is not finite: that is kept.
    let back = sum - product;
    let lost = (product - (sum - back)) + (c - back);
    let bits = sum.to_bits();
    #[allow(clippy::double_comparisons, reason = "NaN is not inexact")]
    let inexact = lost < 0.0 || lost > 0.0;
    let step = if inexact && bits & 1 == 0 {
        // Away from zero if what was lost has the sign of the sum.
        if (lost > 0.0) == (sum > 0.0) { 1 } else { u64::MAX }
    } else {
        0
    };
    f64::from_bits(bits.wrapping_add(step)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn same(a: f32, b: f32, c: f32) {
        // The standard library's is the oracle: the processor's instruction, or libm's.
        let (expected, found) = (f32::mul_add(a, b, c), by_doubles(a, b, c));
        let both = expected.is_nan() && found.is_nan();
        assert!(
            both || expected.to_bits() == found.to_bits(),
            "{a:e} * {b:e} + {c:e}: {expected:e} {found:e}"
        );
    }

    #[test]
    fn where_two_roundings_would_differ() {
        let ulp = f32::EPSILON;
        // A product that is a little more than half an ulp of the sum, by less than double precision can hold.
        for tiny in [f32::MIN_POSITIVE, 1e-30, 1e-20, -1e-20, -1e-30] {
            same(1.0 + ulp, ulp / 2.0, tiny);
            same(tiny, tiny.signum(), 1.0 + ulp / 2.0);
            same(0.5 * ulp, 1.0, 1.0);
            same(f32::from_bits(1), 0.5, 1.0);
        }
        same(2f32.powi(-75), 2f32.powi(-75), 0.0);
        same(2f32.powi(-75), 2f32.powi(-75), f32::from_bits(1));
        same(f32::MAX, f32::MAX, f32::MIN);
        same(f32::MAX, 1.0, f32::MAX * ulp);
        same(f32::INFINITY, 0.0, 1.0);
        same(-1.0, 0.0, 0.0);
        same(-1.0, 0.0, -0.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 20 } else { 256 }))]

        #[test]
        fn one_rounding(a in any::<u32>(), b in any::<u32>(), c in any::<u32>()) {
            same(f32::from_bits(a), f32::from_bits(b), f32::from_bits(c));
        }

        #[test]
        fn one_rounding_of_near_numbers(a in -2f32..2.0, b in -2f32..2.0, c in -2f32..2.0, e in 0i32..60) {
            same(a, b, c * 2f32.powi(-e));
            same(a, b * 2f32.powi(-e), c);
            // Nearly cancelling.
            same(a, b, -(a * b));
        }
    }
}
