//! NEON: from sixteen accumulators to sixteen bytes, for every tile of aarch64.

use super::super::Panels;
use crate::base::arith::{Multiplier, OutputParams, Rounding};
use core::arch::aarch64::*;

// The assembly loads addresses of eight bytes, and lanes in the order of memory.
const _: () = assert!(size_of::<usize>() == 8 && cfg!(target_endian = "little"));

/// Channels that are requantised together: a panel of [`Layout::NEON`](crate::Layout::NEON).
pub(crate) const CHANNELS: usize = 16;

/// Which steps a panel's sums need: tiles are compiled once for each.
pub(crate) mod mode {
    /// `Rounding::TfliteDouble`, all factors below 1/2, zero point and lower clamp -128: ReLU in most layers.
    pub(crate) const RELU: u8 = 0;
    /// `Rounding::TfliteDouble`, all factors below 1/2, no clamp but that to bytes.
    pub(crate) const LINEAR: u8 = 1;
    /// `Rounding::TfliteDouble`, all factors below 1/2.
    pub(crate) const CLAMPED: u8 = 2;
    /// `Rounding::TfliteDouble`.
    pub(crate) const ANY: u8 = 3;
    /// `Rounding::Single`.
    pub(crate) const SINGLE: u8 = 4;
    /// `Rounding::FloatEven`, no clamp but that to bytes.
    pub(crate) const FLOAT: u8 = 5;
    /// `Rounding::FloatEven`.
    pub(crate) const FLOAT_CLAMPED: u8 = 6;
}

/// Calls `$f::<MODE>($arguments)` with the mode of a panel.
macro_rules! with_mode {
    ($mode:expr, $f:ident($($argument:expr),* $(,)?)) => {{
        use $crate::microkernels::aarch64::neon_stage::mode;
        match $mode {
            mode::RELU => $f::<{ mode::RELU }>($($argument),*),
            mode::LINEAR => $f::<{ mode::LINEAR }>($($argument),*),
            mode::CLAMPED => $f::<{ mode::CLAMPED }>($($argument),*),
            mode::ANY => $f::<{ mode::ANY }>($($argument),*),
            mode::SINGLE => $f::<{ mode::SINGLE }>($($argument),*),
            mode::FLOAT => $f::<{ mode::FLOAT }>($($argument),*),
            _ => $f::<{ mode::FLOAT_CLAMPED }>($($argument),*),
        }
    }};
}
pub(crate) use with_mode;

/// [`OutputParams`] in registers.
#[derive(Clone, Copy)]
pub(crate) struct Stage {
    rounding: Rounding,
    /// Whether a result below zero is clamped to zero, and this is -128, and nothing above is clamped.
    relu: bool,
    /// Whether more is clamped than bytes are.
    clamps: bool,
    pub(crate) zero_point: int16x8_t,
    min: int8x16_t,
    max: int8x16_t,
}

impl Stage {
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn new(stage: &OutputParams) -> Self {
        Self {
            rounding: stage.rounding,
            relu: stage.zero_point == i8::MIN && stage.min == i8::MIN && stage.max == i8::MAX,
            clamps: stage.min > i8::MIN || stage.max < i8::MAX,
            zero_point: vdupq_n_s16(stage.zero_point as i16),
            min: vdupq_n_s8(stage.min),
            max: vdupq_n_s8(stage.max),
        }
    }

    /// Requantises, clamps and narrows sixteen sums that hold their biases.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn bytes<const MODE: u8>(&self, scale: &Scale, sums: [int32x4_t; 4]) -> int8x16_t {
        // No closures over arrays: the compiler calls them, one by one.
        let ([a, b, c, d], [m0, m1, m2, m3, s0, s1, s2, s3]) = (sums, scale.factors);
        let (a, b, c, d) = (
            apply::<MODE>(a, m0, s0),
            apply::<MODE>(b, m1, s1),
            apply::<MODE>(c, m2, s2),
            apply::<MODE>(d, m3, s3),
        );
        let (low, high) = (vqmovn_high_s32(vqmovn_s32(a), b), vqmovn_high_s32(vqmovn_s32(c), d));
        if MODE == mode::RELU {
            // Saturated to `0..=255`, then 128 less.
            return narrow_relu(low, high);
        }
        // Saturating twice before the clamp changes nothing: the clamp's bounds are bytes.
        let y = narrow(vqaddq_s16(low, self.zero_point), vqaddq_s16(high, self.zero_point));
        if MODE == mode::LINEAR || MODE == mode::FLOAT {
            y
        } else {
            vminq_s8(vmaxq_s8(y, self.min), self.max)
        }
    }
}

/// `sqxtn`, `sqxtn2`: the compiler would make two halves and join them.
#[inline]
#[target_feature(enable = "neon")]
fn narrow(low: int16x8_t, high: int16x8_t) -> int8x16_t {
    let bytes;
    // SAFETY: registers only.
    unsafe {
        core::arch::asm!(
            "sqxtn {y:v}.8b, {low:v}.8h",
            "sqxtn2 {y:v}.16b, {high:v}.8h",
            y = out(vreg) bytes, low = in(vreg) low, high = in(vreg) high,
            options(pure, nomem, nostack),
        );
    }
    bytes
}

/// The same with `sqxtun`: saturated to `0..=255`, then 128 less.
#[inline]
#[target_feature(enable = "neon")]
fn narrow_relu(low: int16x8_t, high: int16x8_t) -> int8x16_t {
    let bytes: uint8x16_t;
    // SAFETY: registers only.
    unsafe {
        core::arch::asm!(
            "sqxtun {y:v}.8b, {low:v}.8h",
            "sqxtun2 {y:v}.16b, {high:v}.8h",
            y = out(vreg) bytes, low = in(vreg) low, high = in(vreg) high,
            options(pure, nomem, nostack),
        );
    }
    vreinterpretq_s8_u8(veorq_u8(bytes, vdupq_n_u8(128)))
}

/// [`crate::Multiplier::apply`] in every lane, as [`mode`] allows.
#[inline]
#[target_feature(enable = "neon")]
fn apply<const MODE: u8>(acc: int32x4_t, mantissa: int32x4_t, shift: int32x4_t) -> int32x4_t {
    match MODE {
        mode::RELU => positive(acc, mantissa, shift),
        mode::LINEAR | mode::CLAMPED => below_half(acc, mantissa, shift),
        mode::ANY => double(acc, mantissa, shift),
        mode::SINGLE => single(acc, mantissa, shift),
        _ => float(acc, mantissa),
    }
}

/// Biases and multipliers of sixteen channels.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Scale {
    pub(crate) bias: [int32x4_t; 4],
    /// Mantissas, then shifts; for `Rounding::FloatEven` the bits of factors in single precision, then shifts.
    /// Tiles know that this follows the biases.
    pub(crate) factors: [int32x4_t; 8],
    /// The biases, each with a 0 behind it. Tiles know that this follows the factors.
    pub(crate) spread: [int32x4_t; 8],
    below_half: bool,
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
        // SAFETY: the panel has sixteen biases, mantissas and shifts.
        unsafe {
            let (bias, mantissa) = (constants.bias.add(first), constants.mantissa.add(first));
            let zero = vdupq_n_s32(0);
            let (bias, mantissa) = (vld1q_s32_x4(bias), vld1q_s32_x4(mantissa));
            let shift = vld1q_s8(constants.shift.add(first));
            let (low, high) = (vmovl_s8(vget_low_s8(shift)), vmovl_high_s8(shift));
            let shift = [
                vmovl_s16(vget_low_s16(low)),
                vmovl_high_s16(low),
                vmovl_s16(vget_low_s16(high)),
                vmovl_high_s16(high),
            ];
            // A factor of 0, as channels that fill up a panel have, gives 0 whatever its shift.
            let right = |m: int32x4_t, s: int32x4_t| vorrq_s32(s, vreinterpretq_s32_u32(vceqzq_s32(m)));
            let [a, b, c, d] = shift;
            let (a, b) = (right(mantissa.0, a), right(mantissa.1, b));
            let (c, d) = (right(mantissa.2, c), right(mantissa.3, d));
            let right = vmaxvq_s32(vandq_s32(vandq_s32(a, b), vandq_s32(c, d))) < 0;
            let mantissa = match constants.stage.rounding {
                Rounding::FloatEven => int32x4x4_t(
                    single_precision(mantissa.0, shift[0]),
                    single_precision(mantissa.1, shift[1]),
                    single_precision(mantissa.2, shift[2]),
                    single_precision(mantissa.3, shift[3]),
                ),
                _ => mantissa,
            };
            Self {
                bias: [bias.0, bias.1, bias.2, bias.3],
                spread: [
                    vzip1q_s32(bias.0, zero),
                    vzip2q_s32(bias.0, zero),
                    vzip1q_s32(bias.1, zero),
                    vzip2q_s32(bias.1, zero),
                    vzip1q_s32(bias.2, zero),
                    vzip2q_s32(bias.2, zero),
                    vzip1q_s32(bias.3, zero),
                    vzip2q_s32(bias.3, zero),
                ],
                factors: [
                    mantissa.0, mantissa.1, mantissa.2, mantissa.3, shift[0], shift[1], shift[2], shift[3],
                ],
                below_half: right,
            }
        }
    }

    /// One factor for all, and no biases; not for `Rounding::FloatEven`.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn uniform(multiplier: Multiplier) -> Self {
        let (m, s) = (vdupq_n_s32(multiplier.mantissa), vdupq_n_s32(multiplier.shift));
        Self {
            bias: [vdupq_n_s32(0); 4],
            spread: [vdupq_n_s32(0); 8],
            factors: [m, m, m, m, s, s, s, s],
            below_half: multiplier.shift < 0 || multiplier.mantissa == 0,
        }
    }

    /// The requirements of its sums.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn mode(&self, stage: &Stage) -> u8 {
        match stage.rounding {
            Rounding::TfliteDouble if !self.below_half => mode::ANY,
            Rounding::TfliteDouble if stage.relu => mode::RELU,
            Rounding::TfliteDouble if stage.clamps => mode::CLAMPED,
            Rounding::TfliteDouble => mode::LINEAR,
            Rounding::Single => mode::SINGLE,
            Rounding::FloatEven if stage.clamps => mode::FLOAT_CLAMPED,
            Rounding::FloatEven => mode::FLOAT,
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

/// [`double`] where the shift is negative, or the mantissa 0.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn below_half(acc: int32x4_t, mantissa: int32x4_t, shift: int32x4_t) -> int32x4_t {
    let h = vqrdmulhq_s32(acc, mantissa);
    vrshlq_s32(vsraq_n_s32::<31>(h, h), shift)
}

/// [`below_half`] where the result is clamped to zero: ties of negative numbers do not matter, as -1 and 0 become 0.
#[inline]
#[target_feature(enable = "neon")]
fn positive(acc: int32x4_t, mantissa: int32x4_t, shift: int32x4_t) -> int32x4_t {
    vrshlq_s32(vqrdmulhq_s32(acc, mantissa), shift)
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

/// [`Multiplier::to_f32`] in every lane, as bits.
#[inline]
#[target_feature(enable = "neon")]
fn single_precision(mantissa: int32x4_t, shift: int32x4_t) -> int32x4_t {
    let power = vshlq_n_s32::<23>(vaddq_s32(shift, vdupq_n_s32(127 - 31)));
    vreinterpretq_s32_f32(vmulq_f32(vcvtq_f32_s32(mantissa), vreinterpretq_f32_s32(power)))
}

/// `Rounding::FloatEven`: `fcvtns` rounds ties to even and saturates.
#[inline]
#[target_feature(enable = "neon")]
fn float(acc: int32x4_t, factor: int32x4_t) -> int32x4_t {
    vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(acc), vreinterpretq_f32_s32(factor)))
}

/// Stores the first `live` of sixteen bytes.
///
/// # Safety
/// `live <= 16` bytes are writable at `out`.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) unsafe fn store(out: *mut i8, bytes: int8x16_t, live: usize) {
    if live == CHANNELS {
        // SAFETY: the caller's promise.
        unsafe { vst1q_s8(out, bytes) };
        return;
    }
    // Eight, four, two and one, as the number's bits say; what is left moves to the front.
    let (mut at, mut left) = (out, bytes);
    // SAFETY: `live` bytes together.
    unsafe {
        if live & 8 != 0 {
            vst1_s8(at, vget_low_s8(left));
            (at, left) = (at.add(8), vextq_s8::<8>(left, left));
        }
        if live & 4 != 0 {
            vst1q_lane_s32::<0>(at.cast(), vreinterpretq_s32_s8(left));
            (at, left) = (at.add(4), vextq_s8::<4>(left, left));
        }
        if live & 2 != 0 {
            vst1q_lane_s16::<0>(at.cast(), vreinterpretq_s16_s8(left));
            (at, left) = (at.add(2), vextq_s8::<2>(left, left));
        }
        if live & 1 != 0 {
            vst1q_lane_s8::<0>(at, left);
        }
    }
}
