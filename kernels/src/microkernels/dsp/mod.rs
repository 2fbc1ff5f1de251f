//! The DSP instructions of Cortex-M4, M7, M33 and M55: `smlad` adds two products of 16-bit halves to a 32-bit sum.
//!
//! Both operands need their bytes widened to 16 bits. Activations are widened once for all output channels, when patches
//! are gathered ([`Gather::Im2col`](crate::Gather)). Weights stay bytes in flash, and are widened for three pixels at a
//! time, at half the usual cost:
//!
//! # Two channels in 16 bits
//!
//! For channels `a` and `b` the packed half-word holds `v = 256 * b + a`: a sum of 16-bit numbers, so byte 1 is `b`, less
//! 1 where `a` is negative ([`Layout::finish`]). With weights within `[-127, 127]` it fits. A word holds two such halves,
//! for two activations. `smlad` of the word as it is, and of `sxtb16` of it, which is `(a, a')`, give
//!
//! ```text
//! S = sum of v * x = 256 * B + A            A = sum of a * x             B = (S - A) / 256
//! ```
//!
//! so one `sxtb16` serves four weights. `S` is known modulo `2^32`, which gives `B` exactly as long as `|B| < 2^23`: for up
//! to 512 products, as `512 * 127 * 128 < 2^23`. Longer sums are taken in blocks of 512.
//!
//! # Order
//!
//! Of four bytes `x0 x1 x2 x3`, `sxtb16` widens 0 and 2, and after a rotation 1 and 3. Groups of four weights follow that
//! order: `a0 b0 a2 b2`, `a1 b1 a3 b3`. Pixels are taken three at a time, their words interleaved:
//! `[k / 4][2][3 pixels]`; one or two that remain stand alone, `[k / 4][2]`.
//!
//! # Count
//!
//! Three pixels by two channels keep six sums in registers, three words of activations, two of weights, one widened, and
//! two addresses: all fourteen. Per group of four:
//!
//! ```text
//! ldrd w0, w1                                1        weights: 2 channels of 4
//! 2 * (ldm x0, x1, x2; sxtb16; 6 smlad)     16        24 multiply-accumulates
//! ```
//!
//! that is 0.708 instructions per multiply-accumulate, and 0.740 with the loop around four groups. Alternatives: 2 x 2 and 4 x 2
//! need 12 per 16 (0.75), 2 x 4 needs 13 per 16, as fewer loads can be joined; without shared halves, 3 x 2 needs 20 per
//! 24. The floor, `smlad` alone, is 0.5.

pub(crate) mod bytes;
mod dot;
pub(crate) mod stage;
pub(crate) mod twice;
pub(crate) mod widen;

use super::{Layout, Panels, Rows, Tile};
use crate::{Isa, Rounding};
use core::ops::Range;
use dot::{Triples, one, panel_double, panel_float, panel_single, three};
use stage::Channel;

/// Any instruction set but the reference: the instructions where the target has them, the same in plain Rust elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Dsp(());

impl Dsp {
    /// The token; none for [`Isa::scalar`], which stands for the reference tile.
    pub const fn new(isa: Isa) -> Option<Self> {
        if isa.is_reference() { None } else { Some(Self(())) }
    }
}

/// Pixels whose activations are interleaved.
pub(crate) const LANES: usize = 3;
/// Output pixels per pass for which a panel's constants are prepared once.
pub(super) const CHUNK: usize = 12;
/// Channels of a panel.
const CHANNELS: usize = 2;
/// Bytes of the reduction of one channel that lie together.
const GROUP: usize = 4;
/// Groups of a sum for which the upper channel stays below `2^23`.
const BLOCK: usize = 512 / GROUP;

/// Where the weight for byte `k < 4` of channel `n < 2` lies in its group of eight.
pub(crate) const fn place(n: usize, k: usize) -> usize {
    (k & 1) << 2 | (k & 2) | n
}

/// Makes `256 * b + a` of each pair of bytes `a`, `b`.
pub(super) const fn join(mut weights: &mut [i8]) {
    while let [a, b, rest @ ..] = weights {
        if *a < 0 {
            *b = b.wrapping_sub(1);
        }
        weights = rest;
    }
}

/// Takes a pair of bytes apart again: the weight of channel `n < 2`.
pub(crate) const fn split([a, b]: [i8; 2], n: usize) -> i8 {
    if n == 0 { a } else { b.wrapping_add((a < 0) as i8) }
}

impl Tile for Dsp {
    const LAYOUT: Layout = Layout::DSP;
    const MAX_PANELS: usize = 1 << 16;
    const MAX_PIXELS: usize = CHUNK;
    const ALIGNMENT: usize = if cfg!(niello_dsp) { align_of::<u32>() } else { 1 };
    const WIDE: bool = true;

    #[inline(always)]
    fn pixels(self, _: usize) -> usize {
        CHUNK
    }

    #[inline(always)]
    unsafe fn run(
        self,
        rows: &Rows,
        constants: &Panels,
        panels: usize,
        channels: usize,
        pixels: usize,
        out: &[*mut i8],
    ) {
        // SAFETY: the caller's promise, passed on unchanged.
        unsafe { block(rows, constants, panels, channels, pixels, out) };
    }
}

/// See [`Tile::run`].
///
/// # Safety
/// As there.
#[inline(never)]
unsafe fn block(
    rows: &Rows,
    constants: &Panels,
    panels: usize,
    channels: usize,
    pixels: usize,
    out: &[*mut i8],
) {
    let stage = &constants.stage;
    let groups = rows.k / GROUP;
    let out = out.get(..pixels).unwrap_or_default();
    // SAFETY: the first pixel exists.
    let x = unsafe { rows.segment(0, 0) };
    let triples = if (1..=BLOCK).contains(&groups) { pixels / LANES } else { 0 };
    let mut job = Triples {
        channels: [Channel::default(); CHANNELS],
        weights: constants.weights,
        out: out.as_ptr(),
        first: 0,
        count: triples,
        clamped: (stage.min != i8::MIN || stage.max != i8::MAX).into(),
        clamp: [stage.min.into(), stage.max.into()],
    };
    for n in 0..panels {
        job.first = CHANNELS * n;
        let mut done = 0;
        // SAFETY: the caller's promise, for one panel; the sums of `triples` are short enough.
        unsafe {
            if triples > 0
                && channels - job.first >= CHANNELS
                && let (Some(a), Some(b)) = (channel(constants, job.first), channel(constants, job.first + 1))
            {
                job.channels = [a, b];
                (job.out, job.count) = (out.as_ptr(), triples);
                panel(x, groups, stage.rounding, &mut job);
                done = LANES * triples;
            } else if triples > 0 && channels - job.first < CHANNELS {
                done = lone(x, groups, constants, &mut job, out.get(..LANES * triples).unwrap_or(&[]));
            }
            if done < pixels {
                let live = (channels - job.first).min(CHANNELS);
                rest(x, job.weights, groups, constants, job.first..job.first + live, out, done);
            }
        }
        job.weights = job.weights.wrapping_add(constants.weights_stride);
    }
}

/// Both channels of a panel, for several times three pixels.
///
/// # Safety
/// As for [`panel_double`], with the panel's weights in `job`.
#[inline(always)]
unsafe fn panel(x: *const i8, groups: usize, rounding: Rounding, job: &mut Triples) {
    // SAFETY: the caller's promise.
    unsafe {
        match rounding {
            Rounding::TfliteDouble => panel_double(x.cast(), job.weights, groups, job),
            Rounding::Single => panel_single(x.cast(), job.weights, groups, job),
            Rounding::FloatEven => panel_float(x.cast(), job.weights, groups, job),
        }
    }
}

/// The last channel of an odd number, by way of the panel that it would be part of. Returns for how many pixels: none where
/// there is no short way.
///
/// # Safety
/// As for [`panel`] with three pixels for each three of `out`, of which only the first channel is writable.
#[inline(never)]
unsafe fn lone(x: *const i8, groups: usize, constants: &Panels, job: &mut Triples, out: &[*mut i8]) -> usize {
    // SAFETY: the caller's promise.
    let Some(own) = (unsafe { channel(constants, job.first) }) else { return 0 };
    let mut pairs = [[0; CHANNELS]; CHUNK];
    let mut places = [core::ptr::null_mut(); CHUNK];
    for (place, pair) in places.iter_mut().zip(&mut pairs) {
        *place = pair.as_mut_ptr().wrapping_sub(job.first);
    }
    if out.len() > places.len() {
        return 0;
    }
    (job.channels, job.out, job.count) = ([own; CHANNELS], places.as_ptr(), out.len() / LANES);
    // SAFETY: the caller's promise; `places` has two bytes for each pixel. The panel's second channel is packed as zeros.
    unsafe {
        panel(x, groups, constants.stage.rounding, job);
        for (out, [lower, _]) in out.iter().zip(pairs) {
            out.add(job.first).write(lower);
        }
    }
    out.len()
}

/// Bias and factor of channel `n`, if there is a short way.
///
/// # Safety
/// `n` lies within the panels.
#[inline(always)]
unsafe fn channel(constants: &Panels, n: usize) -> Option<Channel> {
    // SAFETY: the caller's promise.
    let (multiplier, bias) = unsafe { (constants.multiplier(n), *constants.bias.add(n)) };
    Channel::new(multiplier, bias, &constants.stage)
}

/// The pixels from `done` on, in the long way: any factor, any length of sums, one channel or both.
///
/// # Safety
/// As for [`Tile::run`] with the one panel at `weights` and its `channels`, and the first pixel at `x`.
#[inline(never)]
unsafe fn rest(
    x: *const i8,
    weights: *const i8,
    groups: usize,
    constants: &Panels,
    channels: Range<usize>,
    out: &[*mut i8],
    mut done: usize,
) {
    let pixel = |p: usize| x.wrapping_add(p * groups * 2 * GROUP);
    let store = |acc: [i32; CHANNELS], out: *mut i8| {
        for (n, acc) in channels.clone().zip(acc) {
            // SAFETY: the channel is one of the panel, and writable.
            unsafe {
                let acc = acc.wrapping_add(*constants.bias.add(n));
                out.add(n).write(constants.stage.store(acc, constants.multiplier(n)));
            }
        }
    };
    while let Some(three_out) = out.get(done..).and_then(|rest| rest.first_chunk::<LANES>()) {
        // SAFETY: pixel `done` exists, and begins three that are interleaved.
        let [a, b] = unsafe { sums(three, pixel(done), weights, groups) };
        for (i, out) in three_out.iter().enumerate() {
            store([a[i], b[i]], *out);
        }
        done += LANES;
    }
    while let Some(out) = out.get(done) {
        // SAFETY: pixel `done` exists, and stands alone.
        let [[a], [b]] = unsafe { sums(one, pixel(done), weights, groups) };
        store([a, b], *out);
        done += 1;
    }
}

/// The sums of `PX` pixels for both channels, from `dot`, which gives `S` and `A` of up to [`BLOCK`] groups.
///
/// # Safety
/// As for `dot`, for any number of groups.
#[inline(always)]
unsafe fn sums<const PX: usize>(
    dot: unsafe extern "C" fn(*const u32, *const i8, usize, &mut [[i32; PX]; 2]),
    x: *const i8,
    weights: *const i8,
    groups: usize,
) -> [[i32; PX]; CHANNELS] {
    let (mut x, mut weights, mut left) = (x.cast::<u32>(), weights, groups);
    let mut block = [[0; PX]; 2];
    let mut result = [[0i32; PX]; CHANNELS];
    loop {
        let groups = left.min(BLOCK);
        if groups > 0 {
            // SAFETY: the next of the promised groups.
            unsafe { dot(x, weights, groups, &mut block) };
        }
        let [both, lower] = block;
        for i in 0..PX {
            result[0][i] = result[0][i].wrapping_add(lower[i]);
            result[1][i] = result[1][i].wrapping_add(both[i].wrapping_sub(lower[i]) >> 8);
        }
        left -= groups;
        if left == 0 {
            return result;
        }
        (x, weights) = (x.wrapping_add(2 * PX * groups), weights.wrapping_add(CHANNELS * GROUP * groups));
    }
}
