//! Addition in few instructions, for cores without vectors.
//!
//! The operand of the larger scale has the factor 1/2, so `a' = (a - z) * 2^19`, exactly. The other one has less, so it is
//! shifted to the right by `n >= 1`: with `x = (b - z) * 2^20`, below `2^28`, and mantissa `m`
//!
//! ```text
//! double    h = floor((x * m + 2^30) / 2^31)       b' = floor((h - (h < 0) + 2^(n - 1)) / 2^n)
//! single    h = floor(2 * x * m / 2^32)            b' = floor((h + 2^(n - 1)) / 2^n)
//! ```
//!
//! as [`crate::microkernels`]' stage for the same cores computes it; nothing overflows. The sum goes through that stage.

use super::{Add, LEFT_SHIFT};
use crate::{
    Multiplier, Rounding,
    base::memory::{ContiguousSpans, put},
    microkernels::dsp::bytes::{max, min},
    microkernels::dsp::stage::{Channel, mode, smmlar, smmul},
};

/// Values that are loaded together.
const BLOCK: usize = 4;

/// The operand of the smaller scale.
#[derive(Clone, Copy)]
struct Smaller {
    /// `2 * m` modulo `2^32`, or `m`.
    mantissa: i32,
    shift: u32,
    zero_point: i32,
}

impl Smaller {
    #[inline(always)]
    fn scale<const DOUBLE: bool>(self, value: i8) -> i32 {
        let x = (value as i32 - self.zero_point) << LEFT_SHIFT;
        let h = if DOUBLE {
            let h = smmlar(x, self.mantissa, x);
            h + (h >> 31)
        } else {
            smmul(2 * x, self.mantissa)
        };
        (h + (1 << (self.shift - 1))) >> self.shift
    }
}

/// Whether a factor is 1/2.
fn is_half(multiplier: Multiplier) -> bool {
    multiplier == Multiplier { mantissa: 1 << 30, shift: 0 }
}

/// Adds, if the factors are as described.
pub(super) fn run(add: &Add, runs: &ContiguousSpans<'_, 2>) -> bool {
    // Addition commutes: the first is to be that of the larger scale.
    let swap = !is_half(add.a_multiplier);
    let (larger, smaller) = if swap {
        ((add.b_multiplier, add.b_zero_point), (add.a_multiplier, add.a_zero_point))
    } else {
        ((add.a_multiplier, add.a_zero_point), (add.b_multiplier, add.b_zero_point))
    };
    let double = match add.stage.rounding {
        Rounding::TfliteDouble => true,
        Rounding::Single => false,
        Rounding::FloatEven => return false,
    };
    let Multiplier { mantissa, shift } = smaller.0;
    let scaled = mantissa >= 1 << 30 && (-20..=-1).contains(&shift);
    let both = is_half(smaller.0);
    // Zero points of operands that are only shifted join the sum at once.
    let constant = |zero_point: i8| (zero_point as i32) << (LEFT_SHIFT - 1);
    let bias = constant(larger.1) + if both { constant(smaller.1) } else { 0 };
    let Some(channel) = Channel::new(add.multiplier, -bias, &add.stage) else { return false };
    if !is_half(larger.0) || !(scaled || both) {
        return false;
    }
    let smaller = Smaller {
        mantissa: if double { mantissa.wrapping_shl(1) } else { mantissa },
        shift: shift.unsigned_abs().max(1),
        zero_point: smaller.1.into(),
    };
    let half = |value: i8| (value as i32) << (LEFT_SHIFT - 1);
    let sums = ClampedSums { runs, swap, clamp: [add.stage.min, add.stage.max] };
    match (double, both) {
        (true, true) => sums.each(|a, b| channel.requantize::<{ mode::DOUBLE }>(half(a) + half(b), ALL)),
        (false, true) => sums.each(|a, b| channel.requantize::<{ mode::SINGLE }>(half(a) + half(b), ALL)),
        (true, false) => {
            sums.each(|a, b| channel.requantize::<{ mode::DOUBLE }>(half(a) + smaller.scale::<true>(b), ALL))
        }
        (false, false) => {
            sums.each(|a, b| {
                channel.requantize::<{ mode::SINGLE }>(half(a) + smaller.scale::<false>(b), ALL)
            });
        }
    }
    true
}

/// No clamp: words are clamped.
const ALL: Option<[i32; 2]> = None;

/// All pairs of values.
struct ClampedSums<'r, 'm> {
    runs: &'r ContiguousSpans<'m, 2>,
    /// Whether those of the second operand come first.
    swap: bool,
    clamp: [i8; 2],
}

impl ClampedSums<'_, '_> {
    /// Stores the clamped sums.
    #[inline(always)]
    fn each(&self, sum: impl Fn(i8, i8) -> i8) {
        let [lowest, highest] = self.clamp.map(|bound| u32::from_ne_bytes([bound as u8; BLOCK]));
        let full = self.clamp == [i8::MIN, i8::MAX];
        let clamped = |sums: [i8; BLOCK]| {
            if full {
                return sums;
            }
            let word = u32::from_ne_bytes(sums.map(|q| q as u8));
            max(min(word, highest), lowest).to_ne_bytes().map(|q| q as i8)
        };
        for run in 0..self.runs.len() {
            let (cells, [a, b]) = self.runs.get(run);
            let [a, b] = if self.swap { [b, a] } else { [a, b] };
            let mut first = 0;
            while cells.len() - first >= BLOCK {
                let (mut sums, b) = (a.block::<BLOCK>(first), b.block::<BLOCK>(first));
                for (value, b) in sums.iter_mut().zip(b) {
                    *value = sum(*value, b);
                }
                put(cells, first, clamped(sums));
                first += BLOCK;
            }
            while first < cells.len() {
                let [value, ..] = clamped([sum(a.get(first), b.get(first)), 0, 0, 0]);
                put(cells, first, [value]);
                first += 1;
            }
        }
    }
}
