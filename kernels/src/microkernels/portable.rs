//! Plain Rust for cores without vectors: two pixels by four channels of sums, so that a loaded byte meets several others.
//!
//! Per byte of the reduction, two activations and four weights are loaded for eight products. The loop takes four bytes
//! at a time; what remains of a segment follows one by one.

use super::{Layout, Panels, Rows, Tile, dsp::stage::Channel};
use crate::{Isa, Rounding};

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
/// Pixels of a call, for which the panel's constants are prepared once.
const CALL: usize = 8;
/// Bytes of the reduction per turn of the inner loop.
const UNROLL: usize = 4;

impl Tile for Portable {
    const LAYOUT: Layout = Layout::SCALAR;
    const MAX_PANELS: usize = 1;
    const MAX_PIXELS: usize = CALL;

    #[inline(always)]
    fn pixels(self, _: usize) -> usize {
        CALL
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
        let out = out.get(..pixels).unwrap_or_default();
        // SAFETY: the caller's promise.
        unsafe {
            match constants.stage.rounding {
                Rounding::TfliteDouble => panel::<true>(rows, constants, channels, out),
                // No channel of `FloatEven` has a short way.
                Rounding::Single | Rounding::FloatEven => panel::<false>(rows, constants, channels, out),
            }
        }
    }
}

/// One panel of all pixels in `out`; `DOUBLE` for [`Rounding::TfliteDouble`].
///
/// # Safety
/// As for [`Tile::run`] with one panel.
#[inline(never)]
unsafe fn panel<const DOUBLE: bool>(rows: &Rows, constants: &Panels, channels: usize, out: &[*mut i8]) {
    let stage = &constants.stage;
    // SAFETY: a panel has four of each.
    let channel = |n| unsafe { Channel::new(constants.multiplier(n), *constants.bias.add(n), stage) };
    let short = match (channel(0), channel(1), channel(2), channel(3)) {
        (Some(a), Some(b), Some(c), Some(d)) if channels == CHANNELS => Some([a, b, c, d]),
        _ => None,
    };
    let full = stage.min == i8::MIN && stage.max == i8::MAX;
    let clamp = if full { None } else { Some([stage.min.into(), stage.max.into()]) };
    let store = |sums: [i32; CHANNELS], out: *mut i8| {
        let Some([a, b, c, d]) = short else {
            // SAFETY: the caller's promise.
            return unsafe { store_any(constants, channels, sums, out) };
        };
        let [p, q, r, s] = sums;
        let bytes = [
            a.requantize::<DOUBLE>(p, clamp),
            b.requantize::<DOUBLE>(q, clamp),
            c.requantize::<DOUBLE>(r, clamp),
            d.requantize::<DOUBLE>(s, clamp),
        ];
        // SAFETY: four channels are writable.
        unsafe { out.cast::<[i8; CHANNELS]>().write(bytes) };
    };
    let (mut rows, mut out) = (*rows, out);
    while let Some(([a, b], rest)) = out.split_first_chunk::<PIXELS>() {
        // SAFETY: two of the pixels.
        let [first, second] = unsafe { pair(&rows, constants.weights) };
        store(first, *a);
        store(second, *b);
        rows.offsets = rows.offsets.wrapping_add(PIXELS * rows.segments);
        out = rest;
    }
    if let Some(last) = out.first() {
        // SAFETY: the last pixel.
        let [sums] = unsafe { sums::<1>(&rows, constants.weights) };
        store(sums, *last);
    }
}

/// Any number of channels and any factors.
///
/// # Safety
/// As for [`Tile::run`] with one pixel at `out`.
#[inline(never)]
unsafe fn store_any(constants: &Panels, channels: usize, sums: [i32; CHANNELS], out: *mut i8) {
    for (n, sum) in sums.into_iter().enumerate().take(channels) {
        // SAFETY: `n` lies within the panel's biases and multipliers, and within the writable channels.
        unsafe {
            let acc = sum.wrapping_add(*constants.bias.add(n));
            out.add(n).write(constants.stage.store(acc, constants.multiplier(n)));
        }
    }
}

#[cfg(niello_thumb2)]
use super::portable_thumb::sums as pair;
#[cfg(not(niello_thumb2))]
use sums as pair;

/// The sums of `PX` pixels for one panel.
///
/// # Safety
/// `rows` holds `PX` pixels, with `rows.k` readable bytes in each segment; the panel's weights are at `w`.
#[inline(never)]
unsafe fn sums<const PX: usize>(rows: &Rows, mut w: *const i8) -> [[i32; CHANNELS]; PX] {
    let mut acc = [[0i32; CHANNELS]; PX];
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
    acc
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
