//! The same in plain Rust, so that every machine can check it.

use super::{CHANNELS, Line, PAIRS, PLANE, Planes, Row, SIDE, widened};
use crate::microkernels::dsp::twice::{Ending, Twice};

/// Widens a line.
///
/// # Safety
/// Four bytes are readable at each pixel, and words writable for all pairs in four planes.
pub(super) unsafe fn pack(line: &Line) {
    let Line { mut x, step, to, zero, lead, pairs, tail, fill } = *line;
    let mut next = || {
        // SAFETY: the next of the promised pixels.
        let word = unsafe { x.cast::<[u8; CHANNELS]>().read() };
        x = x.wrapping_add(step);
        u32::from_ne_bytes(word)
    };
    for i in 0..lead + pairs + tail + fill {
        let pixels = if i < lead {
            [zero, next()]
        } else if i < lead + pairs {
            [next(), next()]
        } else if i < lead + pairs + tail {
            [next(), zero]
        } else {
            [zero; 2]
        };
        for (channel, word) in widened(pixels[0], pixels[1]).into_iter().enumerate() {
            // SAFETY: one of the promised words.
            unsafe { to.wrapping_add(channel).cast::<u32>().wrapping_add(i).write(word) };
        }
    }
}

/// A row's results.
pub(super) struct Compute(Ending, usize);

impl Compute {
    pub(super) fn new(ending: Ending, stride: usize) -> Self {
        Self(ending, stride)
    }

    /// All four channels.
    ///
    /// # Safety
    /// Constants of four channels are readable, pairs for all pixels in the planes, and four bytes writable at each pixel.
    pub(super) unsafe fn row(&self, row: &Row) {
        let Self(ending, stride) = *self;
        for c in 0..CHANNELS {
            // SAFETY: one of the four channels.
            let channel = unsafe { row.channels.wrapping_add(c).read() };
            let count = 2 * ((channel.shift >> 8) + 1) as usize + row.odd;
            // SAFETY: the planes are readable.
            let planes: &Planes = unsafe { &*row.planes };
            let weights = row.weights.cast::<u8>().wrapping_add(c * size_of_val(&channel)).cast::<[u32; 2]>();
            for i in 0..count {
                let mut sum = channel.init[i % 2];
                for (slot, plane) in planes.iter().enumerate() {
                    // SAFETY: six words begin there.
                    let [a, b] = unsafe { weights.wrapping_add(slot).read() };
                    for (tap, weight) in [a, a >> 16, b >> 16].into_iter().enumerate() {
                        let column = i * stride + tap;
                        let pair = plane[c].get(column / 2).copied().unwrap_or(0);
                        let x = (pair >> (16 * (column % 2))) as i16;
                        sum = sum.wrapping_add(x as i32 * weight as i16 as i32);
                    }
                }
                let twice = Twice {
                    mantissa: channel.mantissa,
                    offset: channel.offset,
                    shift: channel.shift & 0xff,
                    bias: 0,
                };
                // SAFETY: the channel of a promised pixel.
                unsafe {
                    row.out.wrapping_add(i * row.step + c).write(twice.requantize(
                        ending,
                        sum,
                        Some(row.clamp),
                    ))
                };
            }
        }
    }
}

const _: () = assert!(PLANE == 4 * PAIRS && SIDE == 3);
