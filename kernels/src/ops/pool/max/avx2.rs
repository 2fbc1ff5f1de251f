//! AVX2: the largest of 64 channels in two registers, then of 32 and of 16, then one by one.

use super::rectangle::Rectangle;
use crate::Isa;
use core::arch::x86_64::*;

/// Proof that AVX2 can be executed.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) const fn new(isa: Isa) -> Option<Self> {
        if isa.has_avx2() { Some(Self(())) } else { None }
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

/// See [`Avx2::largest`].
///
/// # Safety
/// As there, where the instructions exist.
#[target_feature(enable = "avx2")]
unsafe fn largest(pixels: &Rectangle, channels: usize, [lowest, highest]: [i8; 2], out: *mut i8) {
    let (low, high) = (_mm256_set1_epi8(lowest), _mm256_set1_epi8(highest));
    let (low_half, high_half) = (_mm_set1_epi8(lowest), _mm_set1_epi8(highest));
    let mut c = 0;
    while c + 64 <= channels {
        let mut largest = [low; 2];
        each(pixels, c, |pixel| {
            // SAFETY: 64 channels of a pixel of the rectangle.
            let [a, b] =
                unsafe { [_mm256_loadu_si256(pixel.cast()), _mm256_loadu_si256(pixel.add(32).cast())] };
            largest = [_mm256_max_epi8(largest[0], a), _mm256_max_epi8(largest[1], b)];
        });
        // SAFETY: 64 channels, writable at `out`.
        unsafe {
            _mm256_storeu_si256(out.add(c).cast(), _mm256_min_epi8(largest[0], high));
            _mm256_storeu_si256(out.add(c + 32).cast(), _mm256_min_epi8(largest[1], high));
        }
        c += 64;
    }
    if c + 32 <= channels {
        let mut largest = low;
        each(pixels, c, |pixel| {
            // SAFETY: 32 channels of a pixel of the rectangle.
            let values = unsafe { _mm256_loadu_si256(pixel.cast()) };
            largest = _mm256_max_epi8(largest, values);
        });
        // SAFETY: 32 channels, writable at `out`.
        unsafe { _mm256_storeu_si256(out.add(c).cast(), _mm256_min_epi8(largest, high)) };
        c += 32;
    }
    if c + 16 <= channels {
        let mut largest = low_half;
        each(pixels, c, |pixel| {
            // SAFETY: 16 channels of a pixel of the rectangle.
            let values = unsafe { _mm_loadu_si128(pixel.cast()) };
            largest = _mm_max_epi8(largest, values);
        });
        // SAFETY: 16 channels, writable at `out`.
        unsafe { _mm_storeu_si128(out.add(c).cast(), _mm_min_epi8(largest, high_half)) };
        c += 16;
    }
    while c < channels {
        let mut largest = lowest;
        // SAFETY: a channel of a pixel of the rectangle.
        each(pixels, c, |pixel| largest = largest.max(unsafe { *pixel }));
        // SAFETY: a channel, writable at `out`.
        unsafe { out.add(c).write(largest.min(highest)) };
        c += 1;
    }
}

/// Calls `f` with channel `c` of every pixel.
#[inline]
#[target_feature(enable = "avx2")]
fn each(pixels: &Rectangle, c: usize, mut f: impl FnMut(*const i8)) {
    let mut row = pixels.first.wrapping_add(c);
    for _ in 0..pixels.rows {
        let mut pixel = row;
        for _ in 0..pixels.columns {
            f(pixel);
            pixel = pixel.wrapping_add(pixels.pixel);
        }
        row = row.wrapping_add(pixels.row);
    }
}
