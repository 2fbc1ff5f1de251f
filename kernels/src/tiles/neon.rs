//! NEON without dot products (Cortex-A53, A57, A72): `smull`, `smlal2`, `sadalp`, 16 products per three instructions.
//!
//! Weights lie within `[-127, 127]`, so the sum of two products fits 16 bits (`2 * 127 * 128 = 32512`): byte `i` and
//! byte `i + 8` of sixteen are multiplied and summed there, and pairs of these sums are added to four 32-bit lanes. All
//! four belong to one channel of one pixel; they are summed at the end.
//!
//! A panel is 8 channels by 16 bytes. Three pixels by one panel keep 24 accumulators in registers, which leaves eight:
//! three vectors of activations, weights as they come, and products. Per 16 bytes of the reduction that is 72
//! arithmetic instructions with 4 loads of pairs of weight vectors and 3 of activations.

use super::{
    Layout, Panels, Rows, Tile,
    neon_stage::{self, CHANNELS, Scale, Stage},
};
use crate::Isa;
use core::arch::aarch64::*;

/// Proof that NEON can be executed.
#[derive(Clone, Copy, Debug)]
pub struct Neon(());

impl Neon {
    /// The token, where `isa` has the instructions.
    pub const fn new(isa: Isa) -> Option<Self> {
        if isa.has_neon() { Some(Self(())) } else { None }
    }
}

/// Pixels whose accumulators are in registers together.
const PIXELS: usize = 3;

impl Tile for Neon {
    const LAYOUT: Layout = Layout::NEON;
    const MAX_PANELS: usize = 4;
    const MAX_PIXELS: usize = 12;

    #[inline(always)]
    fn pixels(self, _: usize) -> usize {
        Self::MAX_PIXELS
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
        // SAFETY: the token proves the instructions; the rest is the caller's promise, passed on unchanged.
        unsafe { block(rows, constants, panels, channels, pixels, out) };
    }
}

/// See [`Tile::run`].
///
/// # Safety
/// As there, where the instructions exist.
#[target_feature(enable = "neon")]
unsafe fn block(
    rows: &Rows,
    constants: &Panels,
    panels: usize,
    channels: usize,
    pixels: usize,
    out: &[*mut i8],
) {
    let stage = Stage::new(&constants.stage);
    for n in 0..panels {
        let live = channels.saturating_sub(CHANNELS * n).min(CHANNELS);
        // SAFETY: `n < panels`.
        let scale = unsafe { Scale::load(constants, n) };
        let weights = constants.weights.wrapping_add(n * constants.weights_stride);
        let mut p = 0;
        while p < pixels {
            let rows = Rows { offsets: rows.offsets.wrapping_add(p * rows.segments), ..*rows };
            let out = out.get(p..pixels).unwrap_or_default();
            // SAFETY: the rest of the pixels; the weights of panel `n`; `live` of its channels are writable.
            unsafe {
                let done = Done { stage: &stage, scale: &scale, first: CHANNELS * n, live, out };
                match pixels - p {
                    PIXELS.. => tile::<PIXELS>(&rows, weights, &done),
                    2 => tile::<2>(&rows, weights, &done),
                    _ => tile::<1>(&rows, weights, &done),
                }
            }
            p += PIXELS;
        }
    }
}

/// What happens to the sums of a panel.
struct Done<'a> {
    stage: &'a Stage,
    scale: &'a Scale,
    /// The panel's first channel, and how many it has.
    first: usize,
    live: usize,
    /// Where pixels begin.
    out: &'a [*mut i8],
}

/// `PX` pixels by one panel.
///
/// # Safety
/// `rows` holds `PX` pixels, `weights` is the panel packed for it, and `done.live` channels from `done.first` on are
/// writable at the pixels in `done.out`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn tile<const PX: usize>(rows: &Rows, weights: *const i8, done: &Done<'_>) {
    let mut acc = [[vdupq_n_s32(0); PX]; CHANNELS];
    let mut w = weights;
    for s in 0..rows.segments {
        // SAFETY: `PX` pixels of `segments` offsets exist.
        let x: [*const i8; PX] = core::array::from_fn(|p| unsafe { rows.segment(p, s) });
        let mut k = 0;
        while k < rows.k {
            // SAFETY: `k + 16 <= rows.k` readable bytes, as `rows.k` is a multiple of 16.
            let x = x.map(|x| unsafe { vld1q_s8(x.add(k)) });
            for (n, acc) in acc.iter_mut().enumerate() {
                // SAFETY: the panel has 128 bytes for these 16 `k`.
                let w = unsafe { vld1q_s8(w.add(16 * n)) };
                for (acc, x) in acc.iter_mut().zip(x) {
                    let products = vmull_s8(vget_low_s8(x), vget_low_s8(w));
                    *acc = vpadalq_s16(*acc, vmlal_high_s8(products, x, w));
                }
            }
            w = w.wrapping_add(16 * CHANNELS);
            k += 16;
        }
    }
    // A copy, so that only the copy has an address and the accumulators above stay in registers.
    let acc = acc;
    for (p, out) in done.out.iter().enumerate().take(PX) {
        let sums = [0, 4].map(|n| {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| acc[n + i][p]);
            vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d))
        });
        let bytes = done.stage.bytes(done.scale, sums);
        // SAFETY: the caller's promise.
        unsafe { neon_stage::store(out.add(done.first), bytes, done.live) };
    }
}
