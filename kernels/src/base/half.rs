//! Half precision as bits: conversions without branches, so that loops of them vectorise.
//!
//! `to_f32s` and `from_f32s` convert several, with `fcvtl` and `fcvtn` on aarch64. There, a NaN keeps more of its bits.

/// The number that `bits` stand for, exactly. NaN stays NaN.
#[inline(always)]
pub const fn to_f32(bits: u16) -> f32 {
    /// `2^112`: from the exponent that a shifted half has to its own.
    const SCALE: f32 = f32::from_bits((127 + 112) << 23);
    let magnitude = (bits & 0x7fff) as u32;
    // Also right for numbers below `2^-14`: shifted, they are so for single precision.
    let finite = f32::from_bits(magnitude << 13) * SCALE;
    let special = if magnitude >= 0x7c00 { 0xff << 23 } else { 0 };
    f32::from_bits(finite.to_bits() | special | ((bits & 0x8000) as u32) << 16)
}

/// The nearest half, ties to even; beyond 65519 infinity. NaN is made canonical: `0x7e00`, with its sign.
#[inline(always)]
pub const fn from_f32(x: f32) -> u16 {
    let bits = x.to_bits();
    let (sign, magnitude) = ((bits >> 16) & 0x8000, bits & 0x7fff_ffff);
    // Half an ulp less one, plus the last bit that stays: a tie goes up from odd numbers only. What carries goes to the exponent.
    let normal =
        magnitude.wrapping_add(0x0fff).wrapping_add((magnitude >> 13) & 1).wrapping_sub(112 << 23) >> 13;
    // Below 2^-14 the halves lie 2^-24 apart: 1/2 has an ulp of that, and adding rounds to it.
    let subnormal = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0.5f32.to_bits());
    let finite = if magnitude < 113 << 23 { subnormal } else { normal };
    // 65520 and above.
    let half = if magnitude >= 0x477f_f000 { 0x7c00 } else { finite };
    let half = if magnitude > 0xff << 23 { 0x7e00 } else { half };
    (half | sign) as u16
}

/// [`to_f32`] of each.
#[inline(always)]
pub(crate) fn to_f32s<const N: usize>(halves: [u16; N]) -> [f32; N] {
    let mut numbers = [0.0; N];
    let (by_four, rest) = halves.as_chunks::<4>();
    let (results, last) = numbers.as_chunks_mut::<4>();
    results.iter_mut().zip(by_four).for_each(|(to, from)| *to = four_to_f32(*from));
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = to_f32(*from));
    numbers
}

/// [`from_f32`] of each.
#[inline(always)]
pub(crate) fn from_f32s<const N: usize>(numbers: [f32; N]) -> [u16; N] {
    let mut halves = [0; N];
    let (by_four, rest) = numbers.as_chunks::<4>();
    let (results, last) = halves.as_chunks_mut::<4>();
    results.iter_mut().zip(by_four).for_each(|(to, from)| *to = four_from_f32(*from));
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = from_f32(*from));
    halves
}

#[inline(always)]
fn four_to_f32(halves: [u16; 4]) -> [f32; 4] {
    #[cfg(target_arch = "aarch64")]
    {
        use core::{
            arch::{aarch64::*, asm},
            mem::transmute,
        };
        // SAFETY: arrays and vectors of the same bits; an instruction of every aarch64, on registers.
        unsafe {
            let halves: uint16x4_t = transmute(halves);
            let numbers: float32x4_t;
            asm!("fcvtl {0:v}.4s, {1:v}.4h", out(vreg) numbers, in(vreg) halves, options(pure, nomem, nostack));
            transmute(numbers)
        }
    }
    #[cfg(not(target_arch = "aarch64"))]
    halves.map(to_f32)
}

#[inline(always)]
fn four_from_f32(numbers: [f32; 4]) -> [u16; 4] {
    #[cfg(target_arch = "aarch64")]
    {
        use core::{
            arch::{aarch64::*, asm},
            mem::transmute,
        };
        // SAFETY: as in `four_to_f32`.
        unsafe {
            let numbers: float32x4_t = transmute(numbers);
            let halves: uint16x4_t;
            asm!("fcvtn {0:v}.4h, {1:v}.4s", out(vreg) halves, in(vreg) numbers, options(pure, nomem, nostack));
            transmute(halves)
        }
    }
    #[cfg(not(target_arch = "aarch64"))]
    numbers.map(from_f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By definition.
    fn value(bits: u16) -> f64 {
        let (exponent, fraction) = ((bits >> 10) & 31, f64::from(bits & 1023));
        let magnitude = match exponent {
            0 => fraction * 2f64.powi(-24),
            31 if fraction == 0.0 => f64::INFINITY,
            31 => f64::NAN,
            e => (1024.0 + fraction) * 2f64.powi(i32::from(e) - 25),
        };
        if bits >> 15 == 1 { -magnitude } else { magnitude }
    }

    #[test]
    fn every_half_comes_and_goes() {
        for bits in (0..=u16::MAX).step_by(if cfg!(miri) { 97 } else { 1 }) {
            let (x, expected) = (to_f32(bits), value(bits));
            assert!(f64::from(x) == expected || x.is_nan() && expected.is_nan(), "{bits:#x}: {x} {expected}");
            assert_eq!(x.is_sign_negative(), bits >> 15 == 1);
            if !x.is_nan() {
                assert_eq!(from_f32(x), bits);
            }
        }
        assert_eq!([f32::NAN, -f32::NAN].map(from_f32), [0x7e00, 0xfe00]);
    }

    #[test]
    fn several_are_as_one() {
        for bits in (0..u16::MAX - 7).step_by(if cfg!(miri) { 997 } else { 7 }) {
            let halves: [u16; 7] = core::array::from_fn(|i| bits + i as u16);
            let numbers = halves.map(to_f32);
            if numbers.iter().any(|x| x.is_nan()) {
                continue;
            }
            assert_eq!(to_f32s(halves).map(f32::to_bits), numbers.map(f32::to_bits));
            let between = numbers.map(|x| x * 1.000_36 + 1e-8);
            assert_eq!(from_f32s(between), between.map(from_f32));
        }
        assert_eq!(from_f32s([f32::NAN; 4]), [0x7e00; 4]);
    }

    #[test]
    fn ties_go_to_even() {
        for bits in 0..0x7bffu16 {
            let (low, high) = (value(bits), value(bits + 1));
            let middle = ((low + high) / 2.0) as f32;
            let even = if bits & 1 == 0 { bits } else { bits + 1 };
            assert_eq!(from_f32(middle), even, "{bits:#x}");
            assert_eq!(from_f32(middle.next_down()), bits);
            assert_eq!(from_f32(middle.next_up()), bits + 1);
            assert_eq!(from_f32(-middle), even | 0x8000);
        }
        // 65504 is the largest, 65520 the first that is nearer to what would come next.
        assert_eq!([65519.996, 65520.0, 1e30, f32::INFINITY].map(from_f32), [0x7bff, 0x7c00, 0x7c00, 0x7c00]);
        assert_eq!(
            [2f32.powi(-25), 2f32.powi(-25).next_up(), 1e-40, -1e-40].map(from_f32),
            [0, 1, 0, 0x8000]
        );
    }
}
