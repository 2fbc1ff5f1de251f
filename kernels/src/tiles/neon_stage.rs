//! NEON: from eight accumulators to eight bytes, for every tile of aarch64.

use super::Panels;
use crate::arith::{OutputStage, Rounding};
use core::arch::aarch64::*;

/// Channels that are requantised together: the panels of all tiles here.
pub(crate) const CHANNELS: usize = 8;

/// [`OutputStage`] in registers.
#[derive(Clone, Copy)]
pub(crate) struct Stage {
    rounding: Rounding,
    zero_point: int16x8_t,
    min: int8x8_t,
    max: int8x8_t,
}

impl Stage {
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn new(stage: &OutputStage) -> Self {
        Self {
            rounding: stage.rounding,
            zero_point: vdupq_n_s16(stage.zero_point as i16),
            min: vdup_n_s8(stage.min),
            max: vdup_n_s8(stage.max),
        }
    }

    /// Adds the biases, requantises, clamps and narrows eight sums.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn bytes(&self, scale: &Scale, sums: [int32x4_t; 2]) -> int8x8_t {
        // No closures over arrays: the compiler calls them, one by one.
        let (low, high) = (vaddq_s32(sums[0], scale.bias[0]), vaddq_s32(sums[1], scale.bias[1]));
        let (m, s) = (scale.mantissa, scale.shift);
        let (low, high) = match self.rounding {
            Rounding::TfliteDouble => (double(low, m[0], s[0]), double(high, m[1], s[1])),
            Rounding::Single => (single(low, m[0], s[0]), single(high, m[1], s[1])),
        };
        // Saturating twice before the clamp changes nothing: the clamp's bounds are bytes.
        let y = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(low), high), self.zero_point);
        vmin_s8(vmax_s8(vqmovn_s16(y), self.min), self.max)
    }
}

/// Biases and multipliers of eight channels.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    bias: [int32x4_t; 2],
    mantissa: [int32x4_t; 2],
    shift: [int32x4_t; 2],
}

impl Scale {
    /// Of panel `n`.
    ///
    /// # Safety
    /// `constants` holds that panel, of [`CHANNELS`] channels.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) unsafe fn load(constants: &Panels, n: usize) -> Self {
        let first = n * CHANNELS;
        // SAFETY: the panel has eight biases, mantissas and shifts.
        unsafe {
            let (bias, mantissa) = (constants.bias.add(first), constants.mantissa.add(first));
            let shift = vmovl_s8(vld1_s8(constants.shift.add(first)));
            Self {
                bias: [vld1q_s32(bias), vld1q_s32(bias.add(4))],
                mantissa: [vld1q_s32(mantissa), vld1q_s32(mantissa.add(4))],
                shift: [vmovl_s16(vget_low_s16(shift)), vmovl_high_s16(shift)],
            }
        }
    }
}

/// `Rounding::TfliteDouble`.
///
/// `sqrdmulh` is the high multiply: nearest, ties towards plus infinity. `srshl` by a negative number shifts right to
/// nearest with ties towards plus infinity too; subtracting 1 from negative values before a right shift turns that into
/// ties away from zero: it moves a tie to the other side, and nothing else, as what is shifted are integers. It cannot
/// overflow: with a mantissa below `2^31`, `h` is not `i32::MIN`.
#[inline]
#[target_feature(enable = "neon")]
fn double(acc: int32x4_t, mantissa: int32x4_t, shift: int32x4_t) -> int32x4_t {
    let zero = vdupq_n_s32(0);
    let (left, right) = (vmaxq_s32(shift, zero), vminq_s32(shift, zero));
    let h = vqrdmulhq_s32(vshlq_s32(acc, left), mantissa);
    // The sign of `h & right` is that of `h` where there is a right shift.
    vrshlq_s32(vsraq_n_s32::<31>(h, vandq_s32(h, right)), right)
}

/// `Rounding::Single`: `srshl` of the 64-bit product.
#[inline]
#[target_feature(enable = "neon")]
fn single(acc: int32x4_t, mantissa: int32x4_t, shift: int32x4_t) -> int32x4_t {
    let shift = vsubq_s32(shift, vdupq_n_s32(31));
    let low = vmull_s32(vget_low_s32(acc), vget_low_s32(mantissa));
    let low = vrshlq_s64(low, vmovl_s32(vget_low_s32(shift)));
    let high = vrshlq_s64(vmull_high_s32(acc, mantissa), vmovl_high_s32(shift));
    // The low halves of the results.
    vuzp1q_s32(vreinterpretq_s32_s64(low), vreinterpretq_s32_s64(high))
}

/// Stores the first `live` of eight bytes.
///
/// # Safety
/// `live <= 8` bytes are writable at `out`.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) unsafe fn store(out: *mut i8, bytes: int8x8_t, live: usize) {
    if live == CHANNELS {
        // SAFETY: the caller's promise.
        unsafe { vst1_s8(out, bytes) };
        return;
    }
    let mut all = [0i8; CHANNELS];
    // SAFETY: eight bytes are writable at `all`.
    unsafe { vst1_s8(all.as_mut_ptr(), bytes) };
    for (i, byte) in all.into_iter().enumerate().take(live) {
        // SAFETY: `i < live`.
        unsafe { out.add(i).write(byte) };
    }
}
