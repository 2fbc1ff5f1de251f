//! Addition in few instructions, for cores without vectors.
//!
//! The operand of the larger scale has the factor 1/2, so `a' = (a - z) * 2^19`, exactly. The other one has less, so it is
//! shifted to the right by `n >= 1`: with `x = (b - z) * 2^20`, below `2^28`, and mantissa `m`
//!
//! ```text
//! double    h = floor((x * m + 2^30) / 2^31)       b' = floor((h - (x < 0) + 2^(n - 1)) / 2^n)
//! single    h = floor(2 * x * m / 2^32)            b' = floor((h + 2^(n - 1)) / 2^n)
//! ```
//!
//! as [`crate::microkernels`]' endings for the same cores compute it; nothing overflows. Twice the sum goes through one of them.

use super::{Add, LEFT_SHIFT};
use crate::{
    Multiplier,
    base::memory::{ContiguousSpans, put},
    microkernels::dsp::bytes::{max, min},
    microkernels::dsp::twice::{Ending, Twice, shifted, smmla, smmlar},
};

/// Values that are loaded together.
const BLOCK: usize = 4;

/// The operand of the smaller scale.
#[derive(Clone, Copy)]
struct Smaller {
    mantissa: i32,
    shift: i32,
    /// `z * 2^21`.
    zero: i32,
}

impl Smaller {
    #[inline(always)]
    fn scale<const DOUBLE: bool>(self, value: i8) -> i32 {
        let twice = ((value as i32) << (LEFT_SHIFT + 1)) - self.zero;
        let half = 1 << (self.shift - 1);
        let h = if DOUBLE {
            smmlar(twice, self.mantissa, half + (twice >> 31))
        } else {
            smmla(twice, self.mantissa, half)
        };
        shifted(h, self.shift)
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
    let Multiplier { mantissa, shift } = smaller.0;
    let scaled = mantissa >= 1 << 30 && (-20..=-1).contains(&shift);
    let both = is_half(smaller.0);
    // Zero points of operands that are only shifted join the sum at once.
    let constant = |zero_point: i8| (zero_point as i32) << (LEFT_SHIFT - 1);
    let bias = constant(larger.1) + if both { constant(smaller.1) } else { 0 };
    let Some(channel) = Twice::new(add.multiplier, -bias, &add.stage) else { return false };
    let Some(ending) = Ending::of(&add.stage) else { return false };
    if !is_half(larger.0) || !(scaled || both) {
        return false;
    }
    let smaller = Smaller { mantissa, shift: (-shift).max(1), zero: (smaller.1 as i32) << (LEFT_SHIFT + 1) };
    let sums = ClampedSums { runs, swap, clamp: [add.stage.min, add.stage.max] };
    // Twice what is shifted only.
    let whole = move |value: i8| channel.bias + ((value as i32) << LEFT_SHIFT);
    let more = |value: i8| (value as i32) << LEFT_SHIFT;
    use Ending::{Double, Relu, Single};
    match (ending, both) {
        (Relu, true) => sums.each(|a, b| channel.requantize(Relu, whole(a) + more(b), ALL)),
        (Double, true) => sums.each(|a, b| channel.requantize(Double, whole(a) + more(b), ALL)),
        (Single, true) => sums.each(|a, b| channel.requantize(Single, whole(a) + more(b), ALL)),
        (Relu, false) => {
            sums.each(|a, b| channel.requantize(Relu, whole(a) + 2 * smaller.scale::<true>(b), ALL));
        }
        (Double, false) => {
            sums.each(|a, b| channel.requantize(Double, whole(a) + 2 * smaller.scale::<true>(b), ALL));
        }
        (Single, false) => {
            sums.each(|a, b| channel.requantize(Single, whole(a) + 2 * smaller.scale::<false>(b), ALL));
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
