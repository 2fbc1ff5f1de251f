//! AVX2: from 16 accumulators to 16 bytes.
//!
//! The accumulators of a panel lie in two registers in the order in which `vphaddd` leaves them: 0 1 4 5 2 3 6 7 and the
//! same from 8 on. Biases, mantissas and shifts are brought to that order once for many pixels, and the bytes back to the
//! order of the channels by an instruction that they need in any case.

use crate::base::arith::{OutputParams, Rounding};
use core::arch::x86_64::*;

/// [`OutputParams`] in registers.
#[derive(Clone, Copy)]
pub(crate) struct Stage {
    rounding: Rounding,
    /// 16 bits each.
    zero_point: __m256i,
    low: __m128i,
    high: __m128i,
}

impl Stage {
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn new(stage: &OutputParams) -> Self {
        Self {
            rounding: stage.rounding,
            zero_point: _mm256_set1_epi16(stage.zero_point as i16),
            low: _mm_set1_epi8(stage.min),
            high: _mm_set1_epi8(stage.max),
        }
    }

    /// Adds biases to 16 sums, requantises, clamps and narrows them; the bytes are in the order of the channels.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn bytes(&self, scale: &[Scale; 2], sums: [__m256i; 2]) -> __m128i {
        let [a, b] = match self.rounding {
            Rounding::TfliteDouble => [scale[0].double(sums[0]), scale[1].double(sums[1])],
            Rounding::Single => [scale[0].single(sums[0]), scale[1].single(sums[1])],
            Rounding::FloatEven => [scale[0].float(sums[0]), scale[1].float(sums[1])],
        };
        // Values beyond 16 bits stay beyond 8 bits with any zero point, so that each step may saturate.
        let words = _mm256_adds_epi16(_mm256_packs_epi32(a, b), self.zero_point);
        let bytes = _mm256_packs_epi16(words, words);
        // 0 1 4 5 8 9 12 13 and 2 3 6 7 10 11 14 15.
        let bytes = _mm_unpacklo_epi16(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256::<1>(bytes));
        _mm_max_epi8(_mm_min_epi8(bytes, self.high), self.low)
    }
}

/// Stores the first `live` of 16 bytes.
///
/// # Safety
/// `live <= 16` bytes are writable at `out`.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn store(out: *mut i8, bytes: __m128i, live: usize) {
    if live >= 16 {
        // SAFETY: 16 bytes are writable.
        unsafe { _mm_storeu_si128(out.cast(), bytes) };
        return;
    }
    let (mut out, mut bytes) = (out, bytes);
    // SAFETY: the parts are the powers of two that `live` is the sum of.
    unsafe {
        if live & 8 != 0 {
            _mm_storel_epi64(out.cast(), bytes);
            (out, bytes) = (out.add(8), _mm_srli_si128::<8>(bytes));
        }
        if live & 4 != 0 {
            out.cast::<i32>().write_unaligned(_mm_cvtsi128_si32(bytes));
            (out, bytes) = (out.add(4), _mm_srli_si128::<4>(bytes));
        }
        let rest = _mm_cvtsi128_si32(bytes);
        if live & 2 != 0 {
            out.cast::<i16>().write_unaligned(rest as i16);
            out = out.add(2);
        }
        if live & 1 != 0 {
            out.write((rest >> (8 * (live & 2))) as i8);
        }
    }
}

/// Biases and multipliers of 8 channels, prepared for all roundings.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    bias: __m256i,
    mantissa: __m256i,
    mantissa_odd: __m256i,
    left: __m256i,
    right: __m256i,
    /// Half of `2^right`, 0 for no shift.
    half: __m256i,
    /// For a single rounding, of channels in even and in odd places: `2^63` and half of what the shift takes off.
    single: [__m256i; 2],
    single_right: [__m256i; 2],
    /// The offset `2^63` after the shift.
    single_offset: __m256i,
    /// The factor in single precision.
    float: __m256,
}

impl Scale {
    /// For the 16 channels of a panel. Not inlined: where the compiler sees how these values come about, it takes several
    /// multiplications and masks for one `vpmuldq` and one `vpsllvd`.
    ///
    /// # Safety
    /// 16 values are readable at each address.
    #[inline(never)]
    #[target_feature(enable = "avx2")]
    pub(crate) unsafe fn panel(bias: *const i32, mantissa: *const i32, shift: *const i8) -> [Self; 2] {
        // SAFETY: 8 of the 16 values, and the other 8.
        unsafe { [Self::load(bias, mantissa, shift), Self::load(bias.add(8), mantissa.add(8), shift.add(8))] }
    }

    /// For 8 of them.
    ///
    /// # Safety
    /// 8 values are readable at each address.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load(bias: *const i32, mantissa: *const i32, shift: *const i8) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            Self::new(
                panel_order(_mm256_loadu_si256(bias.cast())),
                panel_order(_mm256_loadu_si256(mantissa.cast())),
                panel_order(_mm256_cvtepi8_epi32(_mm_loadl_epi64(shift.cast()))),
            )
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(bias: __m256i, mantissa: __m256i, shift: __m256i) -> Self {
        let zero = _mm256_setzero_si256();
        let right = _mm256_max_epi32(_mm256_sub_epi32(zero, shift), zero);
        // 1 to 62 in 64 bits, of the lanes in even and in odd places.
        let single = _mm256_sub_epi32(_mm256_set1_epi32(31), shift);
        let even = _mm256_and_si256(single, _mm256_set1_epi64x(0xffff_ffff));
        let odd = _mm256_srli_epi64::<32>(single);
        let top = _mm256_set1_epi64x(i64::MIN);
        // [`crate::Multiplier::to_f32`]
        let power = _mm256_slli_epi32::<23>(_mm256_add_epi32(shift, _mm256_set1_epi32(127 - 31)));
        Self {
            bias,
            mantissa,
            mantissa_odd: _mm256_srli_epi64::<32>(mantissa),
            left: _mm256_max_epi32(shift, zero),
            right,
            half: _mm256_srli_epi32::<1>(_mm256_sllv_epi32(_mm256_set1_epi32(1), right)),
            single: [_mm256_or_si256(top, half_64(even)), _mm256_or_si256(top, half_64(odd))],
            single_right: [even, odd],
            single_offset: even_odd(
                _mm256_srlv_epi64(top, even),
                _mm256_slli_epi64::<32>(_mm256_srlv_epi64(top, odd)),
            ),
            float: _mm256_mul_ps(_mm256_cvtepi32_ps(mantissa), _mm256_castsi256_ps(power)),
        }
    }

    /// `Rounding::TfliteDouble`. The high multiply equals `floor((a * m + 2^30) / 2^31)` for either sign. The shift
    /// rounds ties away from zero, which is the sign of what rounds the magnitude up; `2^31` and a half fit 32 bits.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn double(&self, sum: __m256i) -> __m256i {
        let a = _mm256_sllv_epi32(_mm256_add_epi32(sum, self.bias), self.left);
        let half = _mm256_set1_epi64x(1 << 30);
        let even = _mm256_add_epi64(_mm256_mul_epi32(a, self.mantissa), half);
        let odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64::<32>(a), self.mantissa_odd), half);
        // Bits 31 to 62 of each product, brought to its lane.
        let h = even_odd(_mm256_srli_epi64::<31>(even), _mm256_slli_epi64::<1>(odd));
        let magnitude = _mm256_srlv_epi32(_mm256_add_epi32(_mm256_abs_epi32(h), self.half), self.right);
        _mm256_sign_epi32(magnitude, h)
    }

    /// `Rounding::Single`. There is no arithmetic shift of 64 bits: `2^63` is added before a logical one, and what has
    /// become of it is taken off after.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn single(&self, sum: __m256i) -> __m256i {
        let acc = _mm256_add_epi32(sum, self.bias);
        let even = _mm256_add_epi64(_mm256_mul_epi32(acc, self.mantissa), self.single[0]);
        let odd = _mm256_mul_epi32(_mm256_srli_epi64::<32>(acc), self.mantissa_odd);
        let odd = _mm256_add_epi64(odd, self.single[1]);
        let even = _mm256_srlv_epi64(even, self.single_right[0]);
        let odd = _mm256_slli_epi64::<32>(_mm256_srlv_epi64(odd, self.single_right[1]));
        _mm256_sub_epi32(even_odd(even, odd), self.single_offset)
    }

    /// `Rounding::FloatEven`, of results of 17 bits. What is too large for the conversion would become negative.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn float(&self, sum: __m256i) -> __m256i {
        let acc = _mm256_cvtepi32_ps(_mm256_add_epi32(sum, self.bias));
        _mm256_cvtps_epi32(_mm256_min_ps(_mm256_mul_ps(acc, self.float), _mm256_set1_ps(65536.0)))
    }
}

/// Brings 8 channels from their own order to that of a panel's accumulators.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn panel_order(channels: __m256i) -> __m256i {
    _mm256_permute4x64_epi64::<0b1101_1000>(channels)
}

/// Half of what shifts to the right by 1 to 63 take off.
#[inline]
#[target_feature(enable = "avx2")]
fn half_64(right: __m256i) -> __m256i {
    let one = _mm256_set1_epi64x(1);
    _mm256_sllv_epi64(one, _mm256_sub_epi64(right, one))
}

/// 32-bit lanes in even places from one, in odd places from the other.
#[inline]
#[target_feature(enable = "avx2")]
fn even_odd(even: __m256i, odd: __m256i) -> __m256i {
    _mm256_blend_epi32::<0b1010_1010>(even, odd)
}
