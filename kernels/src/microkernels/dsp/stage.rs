//! [`OutputParams::store`] in few instructions, for the factors that layers have.
//!
//! For [`Rounding::TfliteDouble`] with `m >= 2^30` and a shift to the right by `n`, `h = floor((a * m + 2^30) / 2^31)` is one `smmlar`:
//! as `2 * m` lies in `[2^31, 2^32)`, its 32 bits read as a signed number are `2 * m - 2^32`, so
//!
//! ```text
//! floor((a * 2^32 + a * (2 * m - 2^32) + 2^31) / 2^32) = floor((2 * a * m + 2^31) / 2^32) = h
//! ```
//!
//! Ties away from zero are ties up of `h`, less 1 for a negative `h`; the zero point joins before the shift:
//!
//! ```text
//! y + z = floor((h - (h < 0) + 2^(n - 1)) / 2^n) + z = floor((h - (h < 0) + (2 * z + 1) * 2^(n - 1)) / 2^n)
//! ```
//!
//! The addition saturates. Where it does, `y` is beyond `2^10` for `n <= 20`, and clamped either way.
//!
//! For [`Rounding::Single`] the product's lower 32 bits do not matter if the shift is by more than 32:
//! `floor((p + 2^(31 + n)) / 2^(32 + n)) = floor((floor(p / 2^32) + 2^(n - 1)) / 2^n)`, with one `smmul`.

use crate::{Multiplier, OutputParams, Rounding};

/// Bias and factor of one channel, the factor in the form above.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Channel {
    /// `2 * m` modulo `2^32`, or `m`.
    mantissa: i32,
    /// `(2 * z + 1) * 2^(n - 1)`.
    offset: i32,
    /// `n`.
    shift: i32,
    bias: i32,
}

impl Channel {
    /// `None` for a factor that is not of this form.
    #[inline(always)]
    pub(crate) fn new(multiplier: Multiplier, bias: i32, stage: &OutputParams) -> Option<Self> {
        let Multiplier { mantissa, shift } = multiplier;
        let (mantissa, shift, fits) = match stage.rounding {
            Rounding::TfliteDouble => (mantissa.wrapping_shl(1), -shift, mantissa >= 1 << 30),
            Rounding::Single => (mantissa, -shift - 1, true),
            Rounding::FloatEven => return None,
        };
        let offset = (2 * stage.zero_point as i32 + 1).wrapping_shl((shift - 1) as u32);
        (fits && (1..=20).contains(&shift)).then_some(Self { mantissa, offset, shift, bias })
    }

    /// Adds the bias and requantises; the result is clamped to eight bits, or to less.
    #[inline(always)]
    pub(crate) fn requantize<const DOUBLE: bool>(self, sum: i32, clamp: Option<[i32; 2]>) -> i8 {
        let acc = sum.wrapping_add(self.bias);
        let h = if DOUBLE {
            let h = smmlar(acc, self.mantissa, acc);
            h.wrapping_add(h >> 31)
        } else {
            smmul(acc, self.mantissa)
        };
        let q = saturate(qadd(h, self.offset).wrapping_shr(self.shift as u32));
        clamp.map_or(q, |[min, max]| q.min(max).max(min)) as i8
    }
}

/// One instruction, or what it computes. Some set the flag of saturation, which nobody reads.
macro_rules! instruction {
    ($(#[$doc:meta])* fn $name:ident($($x:ident),*) = $text:literal, $plain:expr) => {
        $(#[$doc])*
        #[inline(always)]
        pub(crate) fn $name($($x: i32),*) -> i32 {
            #[cfg(niello_dsp)]
            {
                let result;
                // SAFETY: registers only.
                unsafe {
                    core::arch::asm!($text, $($x = in(reg) $x,)* result = lateout(reg) result,
                        options(pure, nomem, nostack));
                }
                result
            }
            #[cfg(not(niello_dsp))]
            $plain
        }
    };
}
pub(super) use instruction;

instruction! {
    /// The upper half of `(c << 32) + a * b`, rounded.
    fn smmlar(a, b, c) = "smmlar {result}, {a}, {b}, {c}",
    ((((c as i64) << 32) + a as i64 * b as i64 + (1 << 31)) >> 32) as i32
}
instruction! {
    /// The upper half of a product.
    fn smmul(a, b) = "smmul {result}, {a}, {b}", ((a as i64 * b as i64) >> 32) as i32
}
instruction! {
    /// An addition that saturates, if only at `2^29`: what is shifted by at most 20 afterwards is clamped either way.
    fn qadd(a, b) = "qadd {result}, {a}, {b}", a.clamp(-1 << 29, (1 << 29) - 1).wrapping_add(b)
}
instruction! {
    /// Clamp to eight bits.
    fn saturate(a) = "ssat {result}, #8, {a}", a.clamp(-128, 127)
}

/// Assembly from a sum in a register to a byte, with the mantissa in r2, the offset in r3 and the shift in r4.
#[cfg(niello_dsp)]
macro_rules! requantize {
    (double, $r:literal) => {
        concat!(
            concat!("smmlar ", $r, ", ", $r, ", r2, ", $r, "\n"),
            concat!("add ", $r, ", ", $r, ", ", $r, ", asr #31\n"),
            $crate::microkernels::dsp::stage::requantize!(shift, $r),
        )
    };
    (single, $r:literal) => {
        concat!(
            concat!("smmul ", $r, ", ", $r, ", r2\n"),
            $crate::microkernels::dsp::stage::requantize!(shift, $r)
        )
    };
    (shift, $r:literal) => {
        concat!(
            concat!("qadd ", $r, ", ", $r, ", r3\n"),
            concat!("asr ", $r, ", ", $r, ", r4\n"),
            concat!("ssat ", $r, ", #8, ", $r, "\n"),
        )
    };
}
#[cfg(niello_dsp)]
pub(crate) use requantize;

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
        let mut applied = 0;
        let cases = if cfg!(miri) { 400 } else { 400_000 };
        for i in 0..cases {
            let shift = next().rem_euclid(26) - 23;
            let mantissa = match i % 7 {
                0 => 1 << 30,
                1 => i32::MAX,
                _ => next() & i32::MAX,
            };
            let rounding = if i % 2 == 0 { Rounding::TfliteDouble } else { Rounding::Single };
            let (min, max) = if i % 3 == 0 { (-20, 90) } else { (-128, 127) };
            let stage = OutputParams { zero_point: next() as i8, min, max, rounding };
            let multiplier = Multiplier { mantissa, shift };
            let bias = next();
            let Some(channel) = Channel::new(multiplier, bias, &stage) else { continue };
            applied += 1;
            for acc in [next(), next() >> 8, next() >> 16, i32::MAX, i32::MIN, i32::MIN + 1, 0, -1] {
                let (sum, clamp) = (acc.wrapping_sub(bias), Some([min.into(), max.into()]));
                let q = match rounding {
                    Rounding::TfliteDouble => channel.requantize::<true>(sum, clamp),
                    _ => channel.requantize::<false>(sum, clamp),
                };
                assert_eq!(q, stage.store(acc, multiplier), "{acc} {multiplier:?} {stage:?}");
            }
        }
        assert!(applied > cases / 4, "{applied}");
    }
}
