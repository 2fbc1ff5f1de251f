//! Four channels in a word, for cores without vectors.

use super::rectangle::Rectangle;
use crate::microkernels::dsp::bytes::{max, min};

/// Channels in a word.
const CHANNELS: usize = 4;

/// `out[c] = min(max(lowest, largest of channel c in the rectangle), highest)`, for four channels or more.
///
/// # Safety
/// `channels` bytes are readable at every pixel of the rectangle and writable at `out`.
pub(super) unsafe fn largest(pixels: &Rectangle, channels: usize, [lowest, highest]: [i8; 2], out: *mut i8) {
    let bounds = [lowest, highest].map(|b| u32::from_ne_bytes([b as u8; CHANNELS]));
    let mut c = 0;
    // SAFETY: all of these channels exist.
    unsafe {
        while channels - c >= 4 * CHANNELS {
            block::<4>(pixels, c, bounds, out);
            c += 4 * CHANNELS;
        }
        while channels - c >= CHANNELS {
            block::<1>(pixels, c, bounds, out);
            c += CHANNELS;
        }
        if c < channels && channels >= CHANNELS {
            // Some of the last four for the second time.
            block::<1>(pixels, channels - CHANNELS, bounds, out);
        }
    }
}

/// `WORDS` times four channels from `c` on.
///
/// # Safety
/// They are readable at every pixel, and writable at `out`.
#[inline(always)]
unsafe fn block<const WORDS: usize>(pixels: &Rectangle, c: usize, [lowest, highest]: [u32; 2], out: *mut i8) {
    let mut largest = [lowest; WORDS];
    let mut row = pixels.first.wrapping_add(c);
    for _ in 0..pixels.rows {
        let mut pixel = row;
        for _ in 0..pixels.columns {
            for (i, largest) in largest.iter_mut().enumerate() {
                // SAFETY: a word of a pixel's channels.
                let word = unsafe { pixel.cast::<u32>().add(i).read_unaligned() };
                *largest = max(word, *largest);
            }
            pixel = pixel.wrapping_add(pixels.pixel);
        }
        row = row.wrapping_add(pixels.row);
    }
    for (i, word) in largest.into_iter().enumerate() {
        // SAFETY: a word of the result's channels.
        unsafe { out.add(c).cast::<u32>().add(i).write_unaligned(min(word, highest)) };
    }
}
