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
//! that is 0.708 instructions per multiply-accumulate, and 0.724 with the loop around eight groups. Alternatives: 2 x 2 and 4 x 2
//! need 12 per 16 (0.75), 2 x 4 needs 13 per 16, as fewer loads can be joined; without shared halves, 3 x 2 needs 20 per
//! 24. The floor, `smlad` alone, is 0.5.
//!
//! A panel and twelve pixels begin with 50 instructions for its constants, and three pixels of it end with 48 (`twice.rs` has the arithmetic): 10 for
//! each result, which is more than the loop for sums of fewer than 14 products. One pixel alone takes four channels at a time, 15 for 16.

pub(crate) mod bytes;
mod dot;
pub(crate) mod stage;
pub(crate) mod twice;
pub(crate) mod widen;

use super::{Layout, Panels, Rows, Tile};
use crate::{Isa, Multiplier, OutputParams};
use core::ops::Range;
use dot::{
    Triples, Two, column_double, column_relu, column_single, one, panels_double, panels_relu, panels_single,
    three, two,
};
use twice::{Ending, Twice};

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
/// Groups of a sum that stays within `2^28`, as [`Twice`] wants it.
const MOST: usize = (1 << 28) / (127 * 128 * GROUP);

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
    // Sums of which twice as much fits.
    let ending = if groups <= MOST { Ending::of(stage) } else { None };
    // SAFETY: the first pixel exists.
    let x = unsafe { rows.segment(0, 0) };
    let (triples, rest) = out.split_at(pixels - pixels % LANES);
    let few = (1..=BLOCK).contains(&groups);
    let job = |x: *const i8, out: &[*mut i8], channels| Triples {
        channels: [Twice::default(); CHANNELS],
        weights: constants.weights,
        out: out.as_ptr(),
        first: 0,
        end: out.as_ptr_range().end,
        clamped: (stage.min != i8::MIN || stage.max != i8::MAX).into(),
        clamp: [stage.min.into(), stage.max.into()],
        bias: constants.bias,
        mantissa: constants.mantissa,
        shift: constants.shift,
        zero: 2 * stage.zero_point as i32 + 1,
        last: channels,
        stride: constants.weights_stride,
        begin: out.as_ptr(),
        x: x.cast(),
    };
    if let (Some(ending), true, false) = (ending, few, triples.is_empty()) {
        let mut job = job(x, triples, channels - channels % CHANNELS);
        while job.first < job.last {
            // SAFETY: the caller's promise, for whole panels; the sums of `triples` are short enough.
            unsafe { short(groups, ending, &mut job) };
            if job.first < job.last {
                let both = job.first..job.first + CHANNELS;
                // SAFETY: the caller's promise, for the panel that was left.
                unsafe { long(x, job.weights, groups, constants, both, triples, Some(ending)) };
                job.advance();
            }
        }
        if job.last < channels {
            // SAFETY: the caller's promise, for the last channel.
            unsafe { lone(x, groups, ending, constants, &mut job, triples) };
        }
    } else if !triples.is_empty() {
        for n in 0..panels {
            let weights = constants.weights.wrapping_add(n * constants.weights_stride);
            let live = CHANNELS * n..channels.min(CHANNELS * (n + 1));
            // SAFETY: the caller's promise, for one panel.
            unsafe { long(x, weights, groups, constants, live, triples, ending) };
        }
    }
    for (i, out) in rest.chunks(1).enumerate() {
        let x = x.wrapping_add((triples.len() + i) * groups * 2 * GROUP);
        let mut job = job(x, out, channels - channels % (2 * CHANNELS));
        // SAFETY: this pixel exists, and stands alone.
        unsafe {
            while let (Some(ending), true) = (ending, few && job.first < job.last) {
                match ending {
                    Ending::Relu => column_relu(groups, &mut job),
                    Ending::Double => column_double(groups, &mut job),
                    Ending::Single => column_single(groups, &mut job),
                }
                if job.first < job.last {
                    vector(x, groups, constants, job.first..job.first + 2 * CHANNELS, out, Some(ending));
                    job.advance();
                    job.advance();
                }
            }
            vector(x, groups, constants, job.first..channels, out, ending);
        }
    }
}

/// Whole panels, for several times three pixels, up to one that has a factor for which there is no short way.
///
/// # Safety
/// As for [`panels_relu`].
#[inline(always)]
unsafe fn short(groups: usize, ending: Ending, job: &mut Triples) {
    // SAFETY: the caller's promise.
    unsafe {
        match ending {
            Ending::Relu => panels_relu(groups, job),
            Ending::Double => panels_double(groups, job),
            Ending::Single => panels_single(groups, job),
        }
    }
}

/// The last channel of an odd number, by way of the panel that it would be part of.
///
/// # Safety
/// As for [`short`], with a panel of which only the first channel is writable at `out`.
#[inline(never)]
unsafe fn lone(
    x: *const i8,
    groups: usize,
    ending: Ending,
    constants: &Panels,
    job: &mut Triples,
    out: &[*mut i8],
) {
    let n = job.first;
    let mut pairs = [[0; CHANNELS]; CHUNK];
    let mut places = [core::ptr::null_mut(); CHUNK];
    for (place, pair) in places.iter_mut().zip(&mut pairs) {
        *place = pair.as_mut_ptr().wrapping_sub(n);
    }
    if let Some(places) = places.get(..out.len()) {
        (job.out, job.begin, job.end) = (places.as_ptr(), places.as_ptr(), places.as_ptr_range().end);
        job.last = n + CHANNELS;
        // What pads the panel is no factor.
        // SAFETY: the caller's promise.
        let own = unsafe { (*job.bias, *job.mantissa, *job.shift) };
        let (bias, mantissa, shift) = ([own.0; CHANNELS], [own.1; CHANNELS], [own.2; CHANNELS]);
        (job.bias, job.mantissa, job.shift) = (bias.as_ptr(), mantissa.as_ptr(), shift.as_ptr());
        // SAFETY: the caller's promise; `places` has two bytes for each pixel. The panel's second channel is packed as zeros.
        unsafe { short(groups, ending, job) };
    }
    if job.first == n {
        // SAFETY: the caller's promise.
        unsafe { long(x, job.weights, groups, constants, n..n + 1, out, Some(ending)) };
        return;
    }
    for (out, [lower, _]) in out.iter().zip(pairs) {
        // SAFETY: the caller's promise.
        unsafe { out.add(n).write(lower) };
    }
}

/// How sums of a channel become bytes: for any factor, in the short way if there is one.
#[derive(Clone, Copy)]
struct Store {
    short: Option<(Ending, Twice)>,
    multiplier: Multiplier,
    bias: i32,
    n: usize,
}

impl Store {
    /// # Safety
    /// `n` lies within the panels.
    #[inline(always)]
    unsafe fn new(constants: &Panels, n: usize, ending: Option<Ending>) -> Self {
        // SAFETY: the caller's promise.
        let (multiplier, bias) = unsafe { (constants.multiplier(n), *constants.bias.add(n)) };
        let short = Twice::new(multiplier, bias, &constants.stage);
        Self { short: ending.zip(short), multiplier, bias, n }
    }

    /// Stores results.
    ///
    /// # Safety
    /// The channel is writable at each of `out`.
    #[inline(always)]
    unsafe fn store(&self, stage: &OutputParams, sums: &[i32], out: &[*mut i8]) {
        let clamp = Some([stage.min.into(), stage.max.into()]);
        for (out, sum) in out.iter().zip(sums) {
            let byte = match self.short {
                Some((ending, own)) => {
                    own.requantize(ending, own.bias.wrapping_add(sum.wrapping_mul(2)), clamp)
                }
                None => stage.store(sum.wrapping_add(self.bias), self.multiplier),
            };
            // SAFETY: the caller's promise.
            unsafe { out.add(self.n).write(byte) };
        }
    }
}

/// Several times three pixels in the long way: any factor, any length of sums, one channel or both.
///
/// # Safety
/// As for [`Tile::run`] with the one panel at `weights` and its `channels`, and the first pixel at `x`.
#[inline(never)]
unsafe fn long(
    x: *const i8,
    weights: *const i8,
    groups: usize,
    constants: &Panels,
    channels: Range<usize>,
    out: &[*mut i8],
    ending: Option<Ending>,
) {
    // SAFETY: the caller's promise.
    let ends = [channels.start, channels.end - 1].map(|n| unsafe { Store::new(constants, n, ending) });
    for (i, out) in out.chunks_exact(LANES).enumerate() {
        let mut sums = [[0i32; LANES]; CHANNELS];
        let x = x.wrapping_add(i * LANES * groups * 2 * GROUP);
        in_blocks(groups, |done, groups| {
            let mut block = [[0; LANES]; CHANNELS];
            let (x, weights) =
                (x.wrapping_add(done * LANES * 2 * GROUP), weights.wrapping_add(done * CHANNELS * GROUP));
            // SAFETY: these three pixels exist, interleaved; some of the promised groups.
            unsafe { three(x.cast(), weights, groups, &mut block) };
            for (lane, (both, lower)) in block[0].into_iter().zip(block[1]).enumerate() {
                let [a, b] = apart(both, lower);
                sums[0][lane] = sums[0][lane].wrapping_add(a);
                sums[1][lane] = sums[1][lane].wrapping_add(b);
            }
        });
        for (end, sums) in ends.iter().zip(sums).take(channels.len()) {
            // SAFETY: the channel is one of the panel, and writable.
            unsafe { end.store(&constants.stage, &sums, out) };
        }
    }
}

/// One pixel in the long way, two panels at a time.
///
/// # Safety
/// As for [`Tile::run`] with the one pixel at `x`, which stands alone, the one address `out`, and `channels` from a panel's first on.
#[inline(never)]
unsafe fn vector(
    x: *const i8,
    groups: usize,
    constants: &Panels,
    channels: Range<usize>,
    out: &[*mut i8],
    ending: Option<Ending>,
) {
    let panels = channels.end.div_ceil(CHANNELS);
    for n in (channels.start / CHANNELS..panels).step_by(2) {
        let weights = constants.weights.wrapping_add(n * constants.weights_stride);
        let mut sums = [[0i32; CHANNELS]; 2];
        in_blocks(groups, |done, groups| {
            let (x, weights) =
                (x.wrapping_add(done * 2 * GROUP), weights.wrapping_add(done * CHANNELS * GROUP));
            let mut block = Two { stride: constants.weights_stride, sums: [[0; 2]; 2] };
            // SAFETY: the caller's promise, for some of the groups of one or two panels.
            unsafe {
                if n + 1 < panels {
                    two(x.cast(), weights, groups, &mut block);
                } else {
                    let mut own = [[0; 1]; 2];
                    one(x.cast(), weights, groups, &mut own);
                    block.sums[0] = own.map(|[sum]| sum);
                }
            }
            for (sums, [both, lower]) in sums.iter_mut().zip(block.sums) {
                let [a, b] = apart(both, lower);
                *sums = [sums[0].wrapping_add(a), sums[1].wrapping_add(b)];
            }
        });
        let [[a, b], [c, d]] = sums;
        for (n, sum) in (CHANNELS * n..channels.end).zip([a, b, c, d]) {
            // SAFETY: a channel of a panel, and writable.
            unsafe { Store::new(constants, n, ending).store(&constants.stage, &[sum], out) };
        }
    }
}

/// The sums of both channels, from `S` and `A`.
#[inline(always)]
fn apart(both: i32, lower: i32) -> [i32; CHANNELS] {
    [lower, both.wrapping_sub(lower) >> 8]
}

/// Calls `each` with the first of up to [`BLOCK`] groups, and how many.
#[inline(always)]
fn in_blocks(groups: usize, mut each: impl FnMut(usize, usize)) {
    for first in (0..groups).step_by(BLOCK) {
        each(first, BLOCK.min(groups - first));
    }
}
