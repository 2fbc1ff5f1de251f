//! AVX-512: from 16 accumulators to 16 bytes, for every kernel of this instruction set.

use crate::base::arith::{OutputParams, Rounding};
use core::arch::x86_64::*;

/// [`OutputParams`] in registers.
#[derive(Clone, Copy)]
pub(crate) struct Stage {
    rounding: Rounding,
    zero_point: __m512i,
    /// Clamp before the zero point is added.
    low: __m512i,
    high: __m512i,
}

impl Stage {
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) fn new(stage: &OutputParams) -> Self {
        let zero_point = stage.zero_point as i32;
        Self {
            rounding: stage.rounding,
            zero_point: _mm512_set1_epi32(zero_point),
            low: _mm512_set1_epi32(stage.min as i32 - zero_point),
            high: _mm512_set1_epi32(stage.max as i32 - zero_point),
        }
    }

    /// Requantises, clamps and narrows 16 accumulators.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) fn bytes(&self, scale: &Scale, acc: __m512i) -> __m128i {
        let y = scale.apply(acc, self.rounding);
        // Clamping before the zero point is added cannot overflow and gives the same result.
        let y = _mm512_max_epi32(_mm512_min_epi32(y, self.high), self.low);
        let mut bytes = _mm512_cvtepi32_epi8(_mm512_add_epi32(y, self.zero_point));
        // The compiler would narrow and store in one instruction, which is microcoded on AMD cores.
        // SAFETY: no instruction at all.
        unsafe {
            core::arch::asm!("/* {0} */", inout(xmm_reg) bytes, options(pure, nomem, nostack, preserves_flags))
        };
        bytes
    }
}

/// Stores the first `live` of 16 bytes.
///
/// # Safety
/// `live <= 16` bytes are writable at `out`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(crate) unsafe fn store(out: *mut i8, bytes: __m128i, live: usize) {
    // A masked store takes several times as long.
    // SAFETY: 16 bytes are writable, or the mask keeps the store within `live` bytes.
    unsafe {
        if live == 16 {
            _mm_storeu_si128(out.cast(), bytes);
        } else {
            _mm_mask_storeu_epi8(out, ((1u32 << live) - 1) as u16, bytes);
        }
    };
}

/// Multipliers of 16 channels, prepared for all roundings.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    mantissa: __m512i,
    mantissa_odd: __m512i,
    left: __m512i,
    right: __m512i,
    mask: __m512i,
    single_right: __m512i,
    single_right_odd: __m512i,
    /// The factor in single precision.
    float: __m512,
}

impl Scale {
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) fn new(mantissa: __m512i, shift: __m512i) -> Self {
        let zero = _mm512_setzero_si512();
        let one = _mm512_set1_epi32(1);
        let right = _mm512_max_epi32(_mm512_sub_epi32(zero, shift), zero);
        let single = _mm512_sub_epi32(_mm512_set1_epi32(31), shift);
        // [`crate::Multiplier::to_f32`]
        let power = _mm512_slli_epi32::<23>(_mm512_add_epi32(shift, _mm512_set1_epi32(127 - 31)));
        Self {
            mantissa,
            mantissa_odd: _mm512_srli_epi64::<32>(mantissa),
            left: _mm512_max_epi32(shift, zero),
            right,
            mask: _mm512_sub_epi32(_mm512_sllv_epi32(one, right), one),
            single_right: _mm512_and_si512(single, _mm512_set1_epi64(0xffff_ffff)),
            single_right_odd: _mm512_srli_epi64::<32>(single),
            float: _mm512_mul_ps(_mm512_cvtepi32_ps(mantissa), _mm512_castsi512_ps(power)),
        }
    }

    /// [`crate::Multiplier::apply`] in every lane, up to `2^30`.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) fn apply(&self, acc: __m512i, rounding: Rounding) -> __m512i {
        match rounding {
            Rounding::TfliteDouble => self.double(acc),
            Rounding::Single => self.single(acc),
            Rounding::FloatEven => self.float(acc),
        }
    }

    /// `Rounding::TfliteDouble`. The high multiply equals `floor((a * m + 2^30) / 2^31)` for either sign.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn double(&self, acc: __m512i) -> __m512i {
        let a = _mm512_sllv_epi32(acc, self.left);
        let half = _mm512_set1_epi64(1 << 30);
        let even = _mm512_add_epi64(_mm512_mul_epi32(a, self.mantissa), half);
        let odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64::<32>(a), self.mantissa_odd), half);
        // Bits 31..63 of each product, brought to its lane.
        let h = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64::<31>(even), _mm512_slli_epi64::<1>(odd));
        let remainder = _mm512_and_si512(h, self.mask);
        let threshold = _mm512_add_epi32(_mm512_srli_epi32::<1>(self.mask), _mm512_srli_epi32::<31>(h));
        let up = _mm512_cmpgt_epi32_mask(remainder, threshold);
        let floor = _mm512_srav_epi32(h, self.right);
        _mm512_mask_add_epi32(floor, up, floor, _mm512_set1_epi32(1))
    }

    /// `Rounding::Single`.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn single(&self, acc: __m512i) -> __m512i {
        let round = |product, right| {
            let half = _mm512_sllv_epi64(_mm512_set1_epi64(1), _mm512_sub_epi64(right, _mm512_set1_epi64(1)));
            _mm512_srav_epi64(_mm512_add_epi64(product, half), right)
        };
        let even = round(_mm512_mul_epi32(acc, self.mantissa), self.single_right);
        let odd =
            round(_mm512_mul_epi32(_mm512_srli_epi64::<32>(acc), self.mantissa_odd), self.single_right_odd);
        _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64::<32>(odd))
    }

    /// `Rounding::FloatEven`. What is too large for the conversion would become negative.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn float(&self, acc: __m512i) -> __m512i {
        let product = _mm512_mul_ps(_mm512_cvtepi32_ps(acc), self.float);
        _mm512_cvtps_epi32(_mm512_min_ps(product, _mm512_set1_ps(1_073_741_824.0)))
    }
}
