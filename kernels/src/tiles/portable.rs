//! Plain Rust for cores without vectors: two pixels by four channels of sums, so that a loaded byte meets several others.
//!
//! Per byte of the reduction, two activations and four weights are loaded for eight products. The loop takes four bytes
//! at a time; what remains of a segment follows one by one.

use super::{Layout, Panels, Rows, Tile};
use crate::Isa;

/// Any instruction set but the reference.
#[derive(Clone, Copy, Debug)]
pub struct Portable(());

impl Portable {
    /// The token; none for [`Isa::scalar`], which stands for the reference tile.
    pub const fn new(isa: Isa) -> Option<Self> {
        if isa.is_reference() { None } else { Some(Self(())) }
    }
}

/// Channels of a panel.
const CHANNELS: usize = 4;
/// Pixels whose sums are held together.
const PIXELS: usize = 2;
/// Bytes of the reduction per turn of the inner loop.
const UNROLL: usize = 4;

impl Tile for Portable {
    const LAYOUT: Layout = Layout::SCALAR;
    const MAX_PANELS: usize = 1;
    const MAX_PIXELS: usize = PIXELS;

    #[inline(always)]
    fn pixels(self, _: usize) -> usize {
        PIXELS
    }

    #[inline(always)]
    unsafe fn run(
        self,
        rows: &Rows,
        constants: &Panels,
        _: usize,
        channels: usize,
        pixels: usize,
        out: &[*mut i8],
    ) {
        // SAFETY: the caller's promise, for two pixels or for one.
        unsafe {
            if pixels == PIXELS {
                tile::<PIXELS>(rows, constants, channels, out);
            } else {
                tile::<1>(rows, constants, channels, out);
            }
        }
    }
}

/// `PX` pixels by one panel.
///
/// # Safety
/// As for [`Tile::run`] with `PX` pixels and one panel.
#[inline(never)]
unsafe fn tile<const PX: usize>(rows: &Rows, constants: &Panels, channels: usize, out: &[*mut i8]) {
    let mut acc = [[0i32; CHANNELS]; PX];
    let mut w = constants.weights;
    for s in 0..rows.segments {
        // SAFETY: `PX` pixels of `segments` offsets exist.
        let mut x: [*const i8; PX] = core::array::from_fn(|p| unsafe { rows.segment(p, s) });
        let mut left = rows.k;
        // SAFETY: `rows.k` bytes are readable at each of `x`, and four times as many at `w`.
        unsafe {
            while left >= UNROLL {
                for i in 0..UNROLL {
                    step(&mut acc, x, w, i);
                }
                x = x.map(|x| x.wrapping_add(UNROLL));
                w = w.wrapping_add(UNROLL * CHANNELS);
                left -= UNROLL;
            }
            while left > 0 {
                step(&mut acc, x, w, 0);
                x = x.map(|x| x.wrapping_add(1));
                w = w.wrapping_add(CHANNELS);
                left -= 1;
            }
        }
    }
    for (sums, out) in acc.iter().zip(out) {
        for (n, sum) in sums.iter().enumerate().take(channels) {
            // SAFETY: `n` lies within the panel's biases and multipliers, and within the writable channels.
            unsafe {
                let acc = sum.wrapping_add(*constants.bias.add(n));
                out.add(n).write(constants.stage.store(acc, constants.multiplier(n)));
            }
        }
    }
}

/// Adds the products of byte `i`: four channels of each pixel.
///
/// # Safety
/// Byte `i` of each of `x` is readable, and four bytes at `w + 4 * i`.
#[inline(always)]
unsafe fn step<const PX: usize>(acc: &mut [[i32; CHANNELS]; PX], x: [*const i8; PX], w: *const i8, i: usize) {
    // SAFETY: the caller's promise.
    let x = x.map(|x| unsafe { *x.add(i) } as i32);
    for n in 0..CHANNELS {
        // SAFETY: the caller's promise.
        let w = unsafe { *w.add(i * CHANNELS + n) } as i32;
        for (acc, x) in acc.iter_mut().zip(x) {
            acc[n] = acc[n].wrapping_add(x * w);
        }
    }
}
