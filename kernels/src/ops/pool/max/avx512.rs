//! AVX-512 BW: the largest of 64 channels in one register. Plain loops over arrays of bytes are unrolled by the compiler
//! before it vectorises them, and come out ten times slower.

use super::rectangle::Rectangle;
use crate::Isa;
use core::arch::x86_64::*;

/// Proof that AVX-512 F and BW can be executed.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

impl Avx512 {
    pub(super) const fn new(isa: Isa) -> Option<Self> {
        if isa.has_avx512_vnni() { Some(Self(())) } else { None }
    }

    /// `out[c] = min(max(lowest, largest of channel c in the rectangle), highest)`.
    ///
    /// # Safety
    /// `channels` bytes are readable at every pixel of the rectangle and writable at `out`.
    #[inline(always)]
    pub(super) unsafe fn largest(
        self,
        pixels: &Rectangle,
        channels: usize,
        [lowest, highest]: [i8; 2],
        out: *mut i8,
    ) {
        // SAFETY: the token proves the instructions; the rest is the caller's promise.
        unsafe { largest(pixels, channels, [lowest, highest], out) }
    }
}

/// See [`Avx512::largest`].
///
/// # Safety
/// As there, where the instructions exist.
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn largest(pixels: &Rectangle, channels: usize, [lowest, highest]: [i8; 2], out: *mut i8) {
    let (lowest, highest) = (_mm512_set1_epi8(lowest), _mm512_set1_epi8(highest));
    let mut c = 0;
    while c < channels {
        // Masked accesses touch no byte beyond the channels.
        let live = channels - c;
        let mask = if live >= 64 { u64::MAX } else { (1 << live) - 1 };
        let mut largest = lowest;
        let mut row = pixels.first.wrapping_add(c);
        for _ in 0..pixels.rows {
            let mut pixel = row;
            for _ in 0..pixels.columns {
                // SAFETY: the unmasked bytes are channels of a pixel of the rectangle.
                let values = unsafe { _mm512_mask_loadu_epi8(lowest, mask, pixel) };
                largest = _mm512_max_epi8(largest, values);
                pixel = pixel.wrapping_add(pixels.pixel);
            }
            row = row.wrapping_add(pixels.row);
        }
        let largest = _mm512_min_epi8(largest, highest);
        // SAFETY: the unmasked bytes are channels, writable at `out`.
        unsafe { _mm512_mask_storeu_epi8(out.add(c), mask, largest) };
        c += 64;
    }
}
