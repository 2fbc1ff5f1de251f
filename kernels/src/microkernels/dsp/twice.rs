//! [`OutputParams::store`] from twice a sum, in three instructions where a ReLU follows, four elsewhere.
//!
//! For [`Rounding::TfliteDouble`], with a shift to the right by `n` and the zero point `z` (see [`super::stage`]):
//!
//! ```text
//! h     = floor((2 * a * m + 2^31) / 2^32)
//! y + z = floor((h - (h < 0) + (2 * z + 1) * 2^(n - 1)) / 2^n)
//! ```
//!
//! `smmlar` of `2 * a`, `m` and the offset is `h` plus the offset. Two cases need no sign of `h`:
//!
//! * `a < 0` may stand for `h < 0`: where they differ, `h` is 0, and `2^(n - 1) - 1` and `2^(n - 1)` over `2^n` are both 0 rounded down.
//! * If `z` is the least value that is stored, a negative `h` gives that value with and without the 1.
//!
//! For [`Rounding::Single`] `smmla` is the upper half of `2 * a * m` plus the offset, and the shift is one more.

use super::stage::{instruction, saturate};
use crate::{Multiplier, OutputParams, Rounding};

/// How sums become bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The double rounding, `-128` is both the zero point and the least value, and all values up to 127 are stored.
    Relu,
    /// The double rounding.
    Double,
    /// One rounding.
    Single,
}

impl Ending {
    /// `None` for a rounding that has no such way.
    pub(crate) fn of(stage: &OutputParams) -> Option<Self> {
        let OutputParams { zero_point, min, max, rounding } = *stage;
        if rounding == Rounding::Single {
            Some(Self::Single)
        } else if rounding != Rounding::TfliteDouble {
            None
        } else if zero_point == i8::MIN && min == i8::MIN && max == i8::MAX {
            Some(Self::Relu)
        } else {
            Some(Self::Double)
        }
    }
}

/// Bias and factor of one channel.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Twice {
    /// `m`.
    pub(crate) mantissa: i32,
    /// `(2 * z + 1) * 2^(n - 1)`.
    pub(crate) offset: i32,
    /// `n`.
    pub(crate) shift: i32,
    /// Twice the bias.
    pub(crate) bias: i32,
}

impl Twice {
    /// `None` for a factor or a bias for which this is not the short way. Sums without their bias must lie within `2^28` on both sides.
    #[inline(always)]
    pub(crate) fn new(multiplier: Multiplier, bias: i32, stage: &OutputParams) -> Option<Self> {
        Self::with_zero(multiplier, bias, 2 * stage.zero_point as i32 + 1)
    }

    /// As [`Self::new`], with `2 * z + 1`.
    #[inline(always)]
    pub(crate) fn with_zero(multiplier: Multiplier, bias: i32, zero: i32) -> Option<Self> {
        let Multiplier { mantissa, shift } = multiplier;
        let shift = -shift;
        let fits = mantissa >= 0 && (1..=20).contains(&shift) && (-1 << 29..1 << 29).contains(&bias);
        let offset = zero.wrapping_shl((shift - 1) as u32);
        fits.then_some(Self { mantissa, offset, shift, bias: bias.wrapping_mul(2) })
    }

    /// From twice the sum and bias; clamped to eight bits, or to less.
    #[inline(always)]
    pub(crate) fn requantize(self, ending: Ending, sum: i32, clamp: Option<[i32; 2]>) -> i8 {
        let Self { mantissa, offset, shift, .. } = self;
        let h = match ending {
            Ending::Relu => smmlar(sum, mantissa, offset),
            Ending::Double => smmlar(sum, mantissa, offset.wrapping_add(sum >> 31)),
            Ending::Single => smmla(sum, mantissa, offset),
        };
        let byte = saturate(shifted(h, shift));
        clamp.map_or(byte, |[min, max]| byte.min(max).max(min)) as i8
    }
}

instruction! {
    /// Shifts to the right by less than 32.
    fn shifted(a, n) = "asr {result}, {a}, {n}", a >> (n & 31)
}
instruction! {
    /// The upper half of `(c << 32) + a * b`, rounded.
    fn smmlar(a, b, c) = "smmlar {result}, {a}, {b}, {c}",
    ((((c as i64) << 32) + a as i64 * b as i64 + (1 << 31)) >> 32) as i32
}
instruction! {
    /// The upper half of `(c << 32) + a * b`.
    fn smmla(a, b, c) = "smmla {result}, {a}, {b}, {c}", ((((c as i64) << 32) + a as i64 * b as i64) >> 32) as i32
}

/// Assembly from twice a sum in `$r` to a byte, with the mantissa in `$m`, the offset in `$o` and the shift in `$n`, for endings that need no sign.
#[cfg(niello_dsp)]
macro_rules! byte {
    (relu, $r:literal, $m:literal, $o:literal, $n:literal) => {
        $crate::microkernels::dsp::twice::byte!("smmlar", $r, $m, $o, $n)
    };
    (single, $r:literal, $m:literal, $o:literal, $n:literal) => {
        $crate::microkernels::dsp::twice::byte!("smmla", $r, $m, $o, $n)
    };
    ($product:literal, $r:literal, $m:literal, $o:literal, $n:literal) => {
        concat!(
            concat!($product, " ", $r, ", ", $r, ", ", $m, ", ", $o, "\n"),
            concat!("asr ", $r, ", ", $r, ", ", $n, "\n"),
            concat!("ssat ", $r, ", #8, ", $r, "\n"),
        )
    };
}
#[cfg(niello_dsp)]
pub(crate) use byte;

#[cfg(all(test, not(niello_dsp)))]
mod tests {
    use super::*;

    #[test]
    fn equal_to_the_contract_where_it_applies() {
        let mut seed = 1u64;
        let mut next = || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 32) as i32
        };
        let mut applied = [0; 3];
        for i in 0..if cfg!(miri) { 600 } else { 600_000 } {
            let shift = next().rem_euclid(24) - 22;
            let mantissa = [1 << 30, i32::MAX, 0, 12345, next() & i32::MAX][i % 5];
            let (zero_point, min, max) =
                [(-128, -128, 127), (next() as i8, -20, 90), (next() as i8, -128, 127)][i % 3];
            let rounding = if i % 4 == 0 { Rounding::Single } else { Rounding::TfliteDouble };
            let stage = OutputParams { zero_point, min, max, rounding };
            let (multiplier, bias) = (Multiplier { mantissa, shift }, next() >> (i % 7));
            let (Some(ending), Some(channel)) = (Ending::of(&stage), Twice::new(multiplier, bias, &stage))
            else {
                continue;
            };
            applied[ending as usize] += 1;
            for sum in
                [next() >> 3, next() >> 10, next() >> 20, -bias, -1 - bias, 1 - bias, 1 << 28, -1 << 28]
            {
                let sum = sum.clamp(-1 << 28, 1 << 28);
                let clamp = Some([min, max].map(i32::from));
                let q = channel.requantize(ending, 2 * (sum + bias), clamp);
                assert_eq!(q, stage.store(sum + bias, multiplier), "{sum} {bias} {multiplier:?} {stage:?}");
            }
        }
        assert!(applied.iter().all(|times| *times > 20), "{applied:?}");
    }
}
