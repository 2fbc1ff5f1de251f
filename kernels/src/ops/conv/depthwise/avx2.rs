//! AVX2: 16 channels of one output pixel, a 16-bit multiplication per tap.

use super::{DepthwiseConv2d, Taps};
use crate::{
    Isa,
    microkernels::x86::avx2_stage::{Scale, Stage, panel_order, store},
};
use core::arch::x86_64::*;

/// Channels of a block.
const BLOCK: usize = 16;

/// Proof that AVX2 can be executed and that there is a whole block of channels.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) const fn new(isa: Isa, channels: usize) -> Option<Self> {
        if isa.has_avx2() && channels >= BLOCK { Some(Self(())) } else { None }
    }

    /// One output pixel of `conv`, all `channels`, at `out`.
    ///
    /// # Safety
    /// `channels` is that of the token. `conv` holds constants for `channels` channels and all taps; at every tap that `taps`
    /// gives, `channels` bytes are readable; `channels` bytes are writable at `out`.
    #[inline(always)]
    pub(super) unsafe fn pixel(self, conv: &DepthwiseConv2d<'_>, taps: &Taps, channels: usize, out: *mut i8) {
        // SAFETY: the token proves the instructions; the rest is the caller's promise.
        unsafe { pixel(conv, taps, channels, out) }
    }
}

/// See [`Avx2::pixel`].
///
/// # Safety
/// As there, where the instructions exist.
#[target_feature(enable = "avx2")]
unsafe fn pixel(conv: &DepthwiseConv2d<'_>, taps: &Taps, channels: usize, out: *mut i8) {
    let stage = Stage::new(&conv.stage);
    let zero_point = _mm256_set1_epi16(conv.input_zero_point as i16);
    let [kh, kw] = conv.kernel.map(|d| d as usize);
    let mut next = 0;
    while next < channels {
        // The last block may repeat channels of the one before.
        let c = next.min(channels.saturating_sub(BLOCK));
        let mut sums = [_mm256_setzero_si256(); 2];
        let mut weights = conv.weights.as_ptr().wrapping_add(c);
        for ky in 0..kh {
            for kx in 0..kw {
                // SAFETY: `channels` is at least a block, so that from `c` on there is one, here and below.
                let w = unsafe { _mm256_cvtepi8_epi16(_mm_loadu_si128(weights.cast())) };
                let x = match taps.get(ky, kx) {
                    // SAFETY: a block of channels of a pixel of the input.
                    Some(x) => unsafe { _mm256_cvtepi8_epi16(_mm_loadu_si128(x.wrapping_add(c).cast())) },
                    None => zero_point,
                };
                // At most 2^14 in magnitude.
                let products = _mm256_mullo_epi16(w, x);
                let low = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(products));
                let high = _mm256_cvtepi16_epi32(_mm256_extracti128_si256::<1>(products));
                sums = [_mm256_add_epi32(sums[0], low), _mm256_add_epi32(sums[1], high)];
                weights = weights.wrapping_add(channels);
            }
        }
        // SAFETY: a block of constants, and of bytes that are writable at `out`.
        unsafe {
            let scale = Scale::panel(
                conv.bias.as_ptr().add(c),
                conv.mantissa.as_ptr().add(c),
                conv.shift.as_ptr().add(c),
            );
            let bytes = stage.bytes(&scale, [panel_order(sums[0]), panel_order(sums[1])]);
            store(out.add(c), bytes, BLOCK);
        }
        next += BLOCK;
    }
}
