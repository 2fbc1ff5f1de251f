//! NEON: sixteen sums at a time, for [`Rounding::TfliteDouble`].

use crate::{
    Add, Isa, Multiplier, Rounding,
    base::memory::{ContiguousSpans, put},
    microkernels::aarch64::neon_stage::{Scale, Stage, below_half, with_mode},
    ops::elementwise::add::LEFT_SHIFT,
};
use core::arch::aarch64::*;

/// A sum that it can compute, where NEON can be executed.
#[derive(Clone, Copy)]
pub(crate) struct Neon<'a>(&'a Add);

impl<'a> Neon<'a> {
    /// None for `Rounding::Single`, and for a factor of an operand above 1/2, which no lowered program has.
    pub(crate) fn new(isa: Isa, add: &'a Add) -> Option<Self> {
        let fits = |m: Multiplier| is_half(m) || m.shift < 0;
        let fits = fits(add.a_multiplier) && fits(add.b_multiplier);
        (isa.has_neon() && fits && add.stage.rounding == Rounding::TfliteDouble).then_some(Self(add))
    }

    /// As [`Add`]'s own loop; `sum` is for what does not fill a vector.
    #[inline(always)]
    pub(crate) fn run(self, runs: &ContiguousSpans<'_, 2>, sum: impl Fn(i8, i8) -> i8) {
        // SAFETY: made only where NEON exists.
        unsafe { run(self.0, runs, sum) }
    }
}

/// Whether the factor is 1/2: that of the operand with the larger scale.
fn is_half(m: Multiplier) -> bool {
    m == Multiplier { mantissa: 1 << 30, shift: 0 }
}

/// An operand's zero point and factor in registers.
struct Operand {
    zero_point: int8x8_t,
    half: bool,
    mantissa: int32x4_t,
    shift: int32x4_t,
}

impl Operand {
    #[inline]
    #[target_feature(enable = "neon")]
    fn new(zero_point: i8, multiplier: Multiplier) -> Self {
        Self {
            zero_point: vdup_n_s8(zero_point),
            half: is_half(multiplier),
            mantissa: vdupq_n_s32(multiplier.mantissa),
            shift: vdupq_n_s32(multiplier.shift),
        }
    }

    /// Sixteen values at the common scale.
    #[inline]
    #[target_feature(enable = "neon")]
    fn common(&self, x: int8x16_t) -> [int32x4_t; 4] {
        // Nine bits; shifted first by what 16 bits allow, then by the rest while they widen to 32.
        const { assert!(LEFT_SHIFT == 20) };
        let (low, high) =
            (vsubl_s8(vget_low_s8(x), self.zero_point), vsubl_s8(vget_high_s8(x), self.zero_point));
        if self.half {
            let (low, high) = (vshlq_n_s16::<5>(low), vshlq_n_s16::<5>(high));
            return widen(low, high);
        }
        let (low, high) = (vshlq_n_s16::<6>(low), vshlq_n_s16::<6>(high));
        let [a, b, c, d] = widen(low, high);
        let (m, s) = (self.mantissa, self.shift);
        [below_half(a, m, s), below_half(b, m, s), below_half(c, m, s), below_half(d, m, s)]
    }
}

/// Sixteen values times `2^14`.
#[inline]
#[target_feature(enable = "neon")]
fn widen(low: int16x8_t, high: int16x8_t) -> [int32x4_t; 4] {
    [
        vshll_n_s16::<14>(vget_low_s16(low)),
        vshll_high_n_s16::<14>(low),
        vshll_n_s16::<14>(vget_low_s16(high)),
        vshll_high_n_s16::<14>(high),
    ]
}

#[target_feature(enable = "neon")]
unsafe fn run(add: &Add, runs: &ContiguousSpans<'_, 2>, sum: impl Fn(i8, i8) -> i8) {
    let a = Operand::new(add.a_zero_point, add.a_multiplier);
    let b = Operand::new(add.b_zero_point, add.b_multiplier);
    let (stage, scale) = (Stage::new(&add.stage), Scale::uniform(add.multiplier));
    with_mode!(scale.mode(&stage), each(&a, &b, &stage, &scale, runs, sum));
}

#[inline]
#[target_feature(enable = "neon")]
fn each<const MODE: u8>(
    a: &Operand,
    b: &Operand,
    stage: &Stage,
    scale: &Scale,
    runs: &ContiguousSpans<'_, 2>,
    sum: impl Fn(i8, i8) -> i8,
) {
    for run in 0..runs.len() {
        let (cells, [x, y]) = runs.get(run);
        let mut i = 0;
        while i + 16 <= cells.len() {
            let (x, y) = (x.block::<16>(i), y.block::<16>(i));
            // SAFETY: arrays of sixteen bytes.
            let (x, y) = unsafe { (vld1q_s8(x.as_ptr()), vld1q_s8(y.as_ptr())) };
            let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (a.common(x), b.common(y));
            let sums = [vaddq_s32(a0, b0), vaddq_s32(a1, b1), vaddq_s32(a2, b2), vaddq_s32(a3, b3)];
            let mut bytes = [0; 16];
            // SAFETY: an array of sixteen bytes.
            unsafe { vst1q_s8(bytes.as_mut_ptr(), stage.bytes::<MODE>(scale, sums)) };
            put(cells, i, bytes);
            i += 16;
        }
        while i < cells.len() {
            put(cells, i, [sum(x.get(i), y.get(i))]);
            i += 1;
        }
    }
}
