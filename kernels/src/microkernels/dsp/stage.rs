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
//!
//! [`Rounding::FloatEven`] is computed as `Single`, which is the same but near a tie: sum,
//! factor and product in single precision are within `2^-24` of exact ones each, so the product of a result of nine bits is within
//! `3 * 2^(n + 8 - 24) < 2^(n - 14)` of `floor(p / 2^32)` or the number after it. What is nearer to a tie is computed in the long way.

use crate::{Multiplier, OutputParams, Rounding};

/// Roundings as parameters.
pub(crate) mod mode {
    /// `Rounding::TfliteDouble`.
    pub(crate) const DOUBLE: u8 = 0;
    /// `Rounding::Single`.
    pub(crate) const SINGLE: u8 = 1;
    /// `Rounding::FloatEven`.
    pub(crate) const FLOAT: u8 = 2;
}

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
            // There is no assembly for it.
            Rounding::FloatEven => (mantissa, -shift - 1, cfg!(not(niello_dsp))),
        };
        let offset = (2 * stage.zero_point as i32 + 1).wrapping_shl((shift - 1) as u32);
        (fits && (1..=20).contains(&shift)).then_some(Self { mantissa, offset, shift, bias })
    }

    /// Adds the bias and requantises; the result is clamped to eight bits, or to less.
    #[inline(always)]
    pub(crate) fn requantize<const MODE: u8>(self, sum: i32, clamp: Option<[i32; 2]>) -> i8 {
        let acc = sum.wrapping_add(self.bias);
        let h = if MODE == mode::DOUBLE {
            let h = smmlar(acc, self.mantissa, acc);
            h.wrapping_add(h >> 31)
        } else {
            smmul(acc, self.mantissa)
        };
        let shifted = qadd(h, self.offset);
        let mut q = shifted.wrapping_shr(self.shift as u32);
        if MODE == mode::FLOAT && self.is_near_tie(shifted) {
            q = self.long_way(acc);
        }
        let q = saturate(q);
        clamp.map_or(q, |[min, max]| q.min(max).max(min)) as i8
    }

    /// Whether single precision may round a result to another integer, from its `n` bits behind the point.
    #[inline(always)]
    fn is_near_tie(self, shifted: i32) -> bool {
        let one = 1i32.wrapping_shl(self.shift as u32);
        let near = 1 + (one >> 14);
        shifted.wrapping_add(near) & (one - 1) < 2 * near
    }

    /// The contract's own product, and the zero point.
    #[cold]
    #[inline(never)]
    fn long_way(self, acc: i32) -> i32 {
        let multiplier = Multiplier { mantissa: self.mantissa, shift: -self.shift - 1 };
        let zero_point = self.offset.wrapping_shr(self.shift as u32);
        multiplier.apply(acc, Rounding::FloatEven).saturating_add(zero_point)
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
                2 => (next() & 7) << 27 | 1 << 30,
                3 => next() & 0x7fff_ff80,
                _ => next() & i32::MAX,
            };
            let rounding = [Rounding::TfliteDouble, Rounding::Single, Rounding::FloatEven][i % 3];
            let (min, max) = if i % 2 == 0 { (-20, 90) } else { (-128, 127) };
            let stage = OutputParams { zero_point: next() as i8, min, max, rounding };
            let multiplier = Multiplier { mantissa, shift };
            let bias = next();
            let Some(channel) = Channel::new(multiplier, bias, &stage) else { continue };
            applied += 1;
            // Sums on both sides of a tie.
            let tie = ((next() >> 24) as f64 + 0.5) / multiplier.to_real();
            let near = [tie.floor() as i32, tie.ceil() as i32, tie.floor() as i32 ^ 1];
            let sums = [next(), next() >> 8, next() >> 16, i32::MAX, i32::MIN, i32::MIN + 1, 0, -1];
            for acc in sums.into_iter().chain(near) {
                let (sum, clamp) = (acc.wrapping_sub(bias), Some([min.into(), max.into()]));
                let q = match rounding {
                    Rounding::TfliteDouble => channel.requantize::<{ mode::DOUBLE }>(sum, clamp),
                    Rounding::Single => channel.requantize::<{ mode::SINGLE }>(sum, clamp),
                    Rounding::FloatEven => channel.requantize::<{ mode::FLOAT }>(sum, clamp),
                };
                assert_eq!(q, stage.store(acc, multiplier), "{acc} {multiplier:?} {stage:?}");
            }
        }
        assert!(applied > cases / 4, "{applied}");
    }
}
