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
    let mut acc = [[vdupq_n_s32(0); CHANNELS]; PX];
    let mut w = weights;
    for s in 0..rows.segments {
        // SAFETY: `PX` pixels of `segments` offsets exist.
        let x: [*const i8; PX] = core::array::from_fn(|p| unsafe { rows.segment(p, s) });
        if rows.k == 0 {
            continue;
        }
        // SAFETY: `rows.k` readable bytes at each; the panel has `8 * rows.k` bytes for them.
        unsafe {
            if let (Some(acc), Some(x)) = (acc.first_chunk_mut::<PIXELS>(), x.first_chunk::<PIXELS>()) {
                w = accumulate_three(acc, *x, w, rows.k);
            } else {
                w = accumulate(&mut acc, x, w, rows.k);
            }
        }
    }
    #[expect(clippy::needless_range_loop, reason = "with an address, the accumulators would live in memory")]
    for p in 0..PX {
        let [a, b, c, d, e, f, g, h] = acc[p];
        let sums =
            [vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d)), vpaddq_s32(vpaddq_s32(e, f), vpaddq_s32(g, h))];
        let bytes = done.stage.bytes(done.scale, sums);
        let Some(out) = done.out.get(p) else { return };
        // SAFETY: the caller's promise.
        unsafe { neon_stage::store(out.add(done.first), bytes, done.live) };
    }
}

/// One segment of few pixels; returns where the weights of the next one lie.
///
/// # Safety
/// `k`, a multiple of 16, bytes are readable at each of `x`, and `8 * k` at `w`.
#[inline(always)]
unsafe fn accumulate<const PX: usize>(
    acc: &mut [[int32x4_t; CHANNELS]; PX],
    x: [*const i8; PX],
    mut w: *const i8,
    k: usize,
) -> *const i8 {
    let mut i = 0;
    while i < k {
        // SAFETY: sixteen bytes of each of the promised.
        unsafe {
            let x = x.map(|x| vld1q_s8(x.add(i)));
            for n in 0..CHANNELS {
                let w = vld1q_s8(w.add(16 * n));
                for (acc, x) in acc.iter_mut().zip(x) {
                    let products = vmull_s8(vget_low_s8(x), vget_low_s8(w));
                    acc[n] = vpadalq_s16(acc[n], vmlal_high_s8(products, x, w));
                }
            }
        }
        w = w.wrapping_add(16 * CHANNELS);
        i += 16;
    }
    w
}

/// One segment of three pixels: [`accumulate`] in assembly, as the compiler moves all loads to the front of the loop
/// and then has no registers left for the accumulators.
///
/// # Safety
/// As for [`accumulate`], and `k` is not 0.
#[inline(always)]
unsafe fn accumulate_three(
    acc: &mut [[int32x4_t; CHANNELS]; PIXELS],
    x: [*const i8; PIXELS],
    mut w: *const i8,
    k: usize,
) -> *const i8 {
    /// Two channels: `$a` to `$f` are their accumulators, pixel by pixel.
    macro_rules! pair {
        ($a:literal, $b:literal, $c:literal, $d:literal, $e:literal, $f:literal) => {
            concat!("ldp {w0:q}, {w1:q}, [{w}], #32\n", one!("w0", $a, $b, $c), one!("w1", $d, $e, $f),)
        };
    }
    /// One channel of three pixels.
    macro_rules! one {
        ($w:literal, $a:literal, $b:literal, $c:literal) => {
            concat!(
                "smull {t0:v}.8h, {x0:v}.8b, {",
                $w,
                ":v}.8b\n",
                "smull {t1:v}.8h, {x1:v}.8b, {",
                $w,
                ":v}.8b\n",
                "smull {t2:v}.8h, {x2:v}.8b, {",
                $w,
                ":v}.8b\n",
                "smlal2 {t0:v}.8h, {x0:v}.16b, {",
                $w,
                ":v}.16b\n",
                "smlal2 {t1:v}.8h, {x1:v}.16b, {",
                $w,
                ":v}.16b\n",
                "smlal2 {t2:v}.8h, {x2:v}.16b, {",
                $w,
                ":v}.16b\n",
                "sadalp {",
                $a,
                ":v}.4s, {t0:v}.8h\n",
                "sadalp {",
                $b,
                ":v}.4s, {t1:v}.8h\n",
                "sadalp {",
                $c,
                ":v}.4s, {t2:v}.8h\n",
            )
        };
    }
    let [a, b, c] = acc;
    // SAFETY: reads sixteen bytes at each of `x` and 128 at `w`, `k / 16` times.
    unsafe {
        core::arch::asm!(
            "2:",
            "ldr {x0:q}, [{p0}], #16",
            "ldr {x1:q}, [{p1}], #16",
            "ldr {x2:q}, [{p2}], #16",
            pair!("a0", "b0", "c0", "a1", "b1", "c1"),
            pair!("a2", "b2", "c2", "a3", "b3", "c3"),
            pair!("a4", "b4", "c4", "a5", "b5", "c5"),
            pair!("a6", "b6", "c6", "a7", "b7", "c7"),
            "subs {k}, {k}, #16",
            "b.ne 2b",
            a0 = inout(vreg) a[0], a1 = inout(vreg) a[1], a2 = inout(vreg) a[2], a3 = inout(vreg) a[3],
            a4 = inout(vreg) a[4], a5 = inout(vreg) a[5], a6 = inout(vreg) a[6], a7 = inout(vreg) a[7],
            b0 = inout(vreg) b[0], b1 = inout(vreg) b[1], b2 = inout(vreg) b[2], b3 = inout(vreg) b[3],
            b4 = inout(vreg) b[4], b5 = inout(vreg) b[5], b6 = inout(vreg) b[6], b7 = inout(vreg) b[7],
            c0 = inout(vreg) c[0], c1 = inout(vreg) c[1], c2 = inout(vreg) c[2], c3 = inout(vreg) c[3],
            c4 = inout(vreg) c[4], c5 = inout(vreg) c[5], c6 = inout(vreg) c[6], c7 = inout(vreg) c[7],
            x0 = out(vreg) _, x1 = out(vreg) _, x2 = out(vreg) _,
            t0 = out(vreg) _, t1 = out(vreg) _, t2 = out(vreg) _,
            w0 = out(vreg) _, w1 = out(vreg) _,
            p0 = inout(reg) x[0] => _, p1 = inout(reg) x[1] => _, p2 = inout(reg) x[2] => _,
            w = inout(reg) w,
            k = inout(reg) k => _,
            options(readonly, nostack),
        );
    }
    w
}
