//! Four channels in a word: `ssub8` and `sel` of Cortex-M4, M7, M33 and M55, or the same in plain Rust.

use super::max::Rectangle;

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

/// The larger of four signed bytes each.
#[inline(always)]
pub(crate) fn max(a: u32, b: u32) -> u32 {
    select(a, b, a, b)
}

/// The smaller of four signed bytes each.
#[inline(always)]
pub(crate) fn min(a: u32, b: u32) -> u32 {
    select(b, a, a, b)
}

/// The bytes of `a` where those of `x` are not less than those of `y`, else those of `b`.
#[cfg(niello_dsp)]
#[inline(always)]
fn select(x: u32, y: u32, a: u32, b: u32) -> u32 {
    let result;
    // SAFETY: registers only.
    unsafe {
        core::arch::asm!(
            "ssub8 {d}, {x}, {y}",
            "sel {r}, {a}, {b}",
            x = in(reg) x, y = in(reg) y, a = in(reg) a, b = in(reg) b, d = out(reg) _, r = lateout(reg) result,
            options(pure, nomem, nostack),
        );
    }
    result
}

/// The bytes of `a` where those of `x` are not less than those of `y`, else those of `b`.
#[cfg(not(niello_dsp))]
#[inline(always)]
fn select(x: u32, y: u32, a: u32, b: u32) -> u32 {
    /// The sign of each byte.
    const SIGNS: u32 = 0x8080_8080;
    // Bit 7 of each: whether the lower seven bits are not less. No byte borrows from the next.
    let lower = (x | SIGNS).wrapping_sub(y & !SIGNS);
    // Of different signs, the positive one is the larger.
    let not_less = ((y & !x) | (!(x ^ y) & lower)) & SIGNS;
    let mask = (not_less >> 7) * 0xff;
    b ^ ((a ^ b) & mask)
}
