//! AVX-512: 16 channels of one output pixel, a 32-bit multiplication per tap.

use super::{DepthwiseConv2d, Taps};
use crate::{
    Isa,
    microkernels::x86::avx512_stage::{Scale, Stage, store},
};
use core::arch::x86_64::*;

/// Proof that AVX-512 F, BW and VL can be executed.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

impl Avx512 {
    pub(super) const fn new(isa: Isa) -> Option<Self> {
        if isa.has_avx512_vnni() { Some(Self(())) } else { None }
    }

    /// One output pixel of `conv`, all `channels`, at `out`.
    ///
    /// # Safety
    /// `conv` holds constants for `channels` channels and all taps; at every tap that `taps` gives, `channels` bytes
    /// are readable; `channels` bytes are writable at `out`.
    #[inline(always)]
    pub(super) unsafe fn pixel(self, conv: &DepthwiseConv2d<'_>, taps: &Taps, channels: usize, out: *mut i8) {
        // SAFETY: the token proves the instructions; the rest is the caller's promise.
        unsafe { pixel(conv, taps, channels, out) }
    }
}

/// See [`Avx512::pixel`].
///
/// # Safety
/// As there, where the instructions exist.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn pixel(conv: &DepthwiseConv2d<'_>, taps: &Taps, channels: usize, out: *mut i8) {
    let stage = Stage::new(&conv.stage);
    let zero_point = _mm512_set1_epi32(conv.input_zero_point as i32);
    let [kh, kw] = conv.kernel.map(|d| d as usize);
    let mut c = 0;
    while c < channels {
        let live = (channels - c).min(16);
        // Masked accesses touch no byte beyond the channels.
        let mask = ((1u32 << live) - 1) as u16;
        // SAFETY: the unmasked lanes are channels of the constants.
        let mut acc = unsafe { _mm512_maskz_loadu_epi32(mask, conv.bias.as_ptr().add(c)) };
        let mut weights = conv.weights.as_ptr().wrapping_add(c);
        for ky in 0..kh {
            for kx in 0..kw {
                // SAFETY: the unmasked lanes are channels of this tap.
                let w = unsafe { _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, weights)) };
                let x = match taps.get(ky, kx) {
                    // SAFETY: the unmasked lanes are channels of a pixel of the input.
                    Some(x) => unsafe { _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, x.wrapping_add(c))) },
                    None => zero_point,
                };
                acc = _mm512_add_epi32(acc, _mm512_mullo_epi32(w, x));
                weights = weights.wrapping_add(channels);
            }
        }
        // SAFETY: the unmasked lanes are channels of the constants.
        let scale = unsafe {
            Scale::new(
                _mm512_maskz_loadu_epi32(mask, conv.mantissa.as_ptr().add(c)),
                _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, conv.shift.as_ptr().add(c))),
            )
        };
        let bytes = stage.bytes(&scale, acc);
        // SAFETY: `live` bytes are writable at `out + c`.
        unsafe { store(out.add(c), bytes, live) };
        c += 16;
    }
}
