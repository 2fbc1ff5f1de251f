//! Helium, the vector instructions (MVE) of Cortex-M52, M55 and M85: `vmladava` adds sixteen products of bytes to a 32-bit sum.
//!
//! Four pixels by two channels keep eight sums in general registers; `vmladava` wants even ones, of which there are eight with `lr`. Odd ones address
//! four pixels and the weights. Sixteen bytes of the reduction take six loads and eight `vmladava`: 14 instructions for 128 products, 0.117 for one
//! with the loop around two such groups. The floor, `vmladava` alone, is 0.0625.
//!
//! A panel is two pairs of channels, 0 with 2 and 1 with 3. Weights of the first pair are read forwards and those of the second backwards, so that the
//! addresses of pixels are where they were. Each pair ends in vectors of one channel and four pixels; their order leaves the channels of a pixel in one
//! word, and one scattering store writes all sixteen results. That wants panels of four channels at addresses that are multiples of 4, and factors as
//! [`Quads::new`] says. Everything else is computed pixel by pixel, 10 instructions for 64 products: the last panel of channels that are not a
//! multiple of 4, up to three pixels that are left, and layers with a single pixel.
//!
//! # Rounding
//!
//! `vqrdmulh` is [`doubling_high_multiply`](crate::base::arith::doubling_high_multiply), `vrshl` a shift to the right by `n` whose ties go up. Ties away
//! from zero are those of `h - (h < 0)`, as in [`super::dsp`]. For [`Rounding::Single`] `vqdmulh` is `floor(a * m / 2^31)`, and the rest is one rounded
//! shift, if it is by 1 or more.

mod assembly;
pub(crate) mod patches;
mod pixels;

use super::{Layout, Line, LineTile, Panels};
use crate::{Isa, Rounding};
use assembly::Quads;
pub(crate) use assembly::mve;
use pixels::Pixels;

/// A core with Helium.
#[derive(Clone, Copy, Debug)]
pub struct Mve(());

impl Mve {
    /// The token, where the instructions exist.
    pub const fn new(isa: Isa) -> Option<Self> {
        if isa.has_mve() { Some(Self(())) } else { None }
    }
}

/// Channels of a panel.
const CHANNELS: usize = 4;
/// Bytes of the reduction of one channel that lie together.
const GROUP: usize = 16;

impl LineTile for Mve {
    const LAYOUT: Layout = Layout::MVE;

    #[inline(never)]
    unsafe fn line(self, line: &Line, k: usize, constants: &Panels, channels: usize) {
        let groups = k / GROUP;
        let aligned = (line.out as usize | line.out_pitch).is_multiple_of(align_of::<u32>());
        let mut first = 0;
        while first < channels {
            let live = CHANNELS.min(channels - first);
            let panel = Panels {
                weights: constants.weights.wrapping_add(first * k),
                bias: constants.bias.wrapping_add(first),
                mantissa: constants.mantissa.wrapping_add(first),
                shift: constants.shift.wrapping_add(first),
                ..*constants
            };
            let mut line = Line { out: line.out.wrapping_add(first), ..*line };
            if aligned && live == CHANNELS && line.pixels >= assembly::PIXELS {
                // SAFETY: the caller's promise, for one whole panel.
                if let Some(quads) = unsafe { Quads::new(&line, groups, &panel) } {
                    // SAFETY: as above; the addresses are multiples of 4.
                    unsafe { quads.run(&panel.stage) };
                    let done = line.pixels - line.pixels % assembly::PIXELS;
                    line = Line {
                        x: line.x.wrapping_add(done * line.pitch),
                        out: line.out.wrapping_add(done * line.out_pitch),
                        pixels: line.pixels - done,
                        ..line
                    };
                }
            }
            if line.pixels > 0 {
                // SAFETY: the caller's promise, for the pixels that are left.
                unsafe { single_pixels(&line, groups, &panel, live) };
            }
            first += CHANNELS;
        }
    }
}

/// One panel of which `live` channels are stored, pixel by pixel.
///
/// # Safety
/// As for [`LineTile::line`].
#[inline(always)]
unsafe fn single_pixels(line: &Line, groups: usize, panel: &Panels, live: usize) {
    let stage = &panel.stage;
    // What there are instructions for: shifts to the right, by 1 at least where the rounding is a single one.
    let most = if stage.rounding == Rounding::Single { -1 } else { 0 };
    // SAFETY: the caller's promise.
    let fits = (0..live).all(|n| unsafe {
        *panel.mantissa.add(n) >= 0 && (-31..=most).contains(&(*panel.shift.add(n) as i32))
    });
    let pixels = Pixels::new(line, groups, panel, live);
    // SAFETY: the caller's promise.
    unsafe {
        match stage.rounding {
            Rounding::TfliteDouble if fits => pixels.double(),
            Rounding::Single if fits => pixels.single(),
            _ => {
                for p in 0..line.pixels {
                    let mut sums = [0; CHANNELS];
                    let (x, out) = (line.x.add(p * line.pitch), line.out.add(p * line.out_pitch));
                    pixels.of_one(x, sums.as_mut_ptr().cast()).sums();
                    for (n, sum) in sums.into_iter().enumerate().take(live) {
                        out.add(n).write(stage.store(sum, panel.multiplier(n)));
                    }
                }
            }
        }
    }
}
