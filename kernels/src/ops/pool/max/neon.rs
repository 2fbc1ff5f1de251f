//! NEON: the largest of 64 channels in four registers, then of 16, then one by one.

use super::rectangle::Rectangle;
use crate::Isa;
use core::arch::aarch64::*;

/// Proof that NEON can be executed.
#[derive(Clone, Copy)]
pub(super) struct Neon(());

impl Neon {
    pub(super) const fn new(isa: Isa) -> Option<Self> {
        if isa.has_neon() { Some(Self(())) } else { None }
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

/// See [`Neon::largest`].
///
/// # Safety
/// As there, where the instructions exist.
#[target_feature(enable = "neon")]
unsafe fn largest(pixels: &Rectangle, channels: usize, [lowest, highest]: [i8; 2], out: *mut i8) {
    let (low, high) = (vdupq_n_s8(lowest), vdupq_n_s8(highest));
    let mut c = 0;
    while c + 64 <= channels {
        let mut largest = [low; 4];
        each(pixels, c, |pixel| {
            // SAFETY: 64 channels of a pixel of the rectangle.
            let values = unsafe { vld1q_s8_x4(pixel) };
            let [a, b, c, d] = largest;
            largest =
                [vmaxq_s8(a, values.0), vmaxq_s8(b, values.1), vmaxq_s8(c, values.2), vmaxq_s8(d, values.3)];
        });
        let [x, y, z, w] = largest;
        let values = int8x16x4_t(vminq_s8(x, high), vminq_s8(y, high), vminq_s8(z, high), vminq_s8(w, high));
        // SAFETY: 64 channels, writable at `out`.
        unsafe { vst1q_s8_x4(out.add(c), values) };
        c += 64;
    }
    while c + 16 <= channels {
        let mut largest = low;
        // SAFETY: 16 channels of a pixel of the rectangle.
        each(pixels, c, |pixel| largest = vmaxq_s8(largest, unsafe { vld1q_s8(pixel) }));
        // SAFETY: 16 channels, writable at `out`.
        unsafe { vst1q_s8(out.add(c), vminq_s8(largest, high)) };
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
#[inline(always)]
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
