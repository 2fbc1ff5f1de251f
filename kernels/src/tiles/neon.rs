//! NEON without dot products (Cortex-A53, A57, A72): `smull`, `smlal`, `sadalp`, 16 products per three instructions.
//!
//! A vector of weights is four channels by four bytes of the reduction, as `sdot` wants it; here, its lower half is
//! two channels and its upper half two more. Weights lie within `[-127, 127]`, so the sum of two products fits 16 bits
//! (`2 * 127 * 128 = 32512`): byte `i` of eight and byte `i + 4` are multiplied and summed there, and pairs of these sums
//! are added to 32-bit lanes, two for each channel, which are summed at the end.
//!
//! Two pixels by one panel of 16 channels keep 16 accumulators in registers, which leaves sixteen: two activations of
//! each pixel, eight weights and four products. Per eight bytes of the reduction that is 48 arithmetic instructions
//! with 2 loads of four weight vectors and 4 loads of activations.

use super::{
    Layout, Panels, Rows, Tile,
    neon_block::{Panel, Sums, block},
    neon_finish,
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
        unsafe { run(self, rows, constants, panels, channels, pixels, out) };
    }
}

/// [`block`] as a function of its own.
///
/// # Safety
/// As for [`Tile::run`].
#[target_feature(enable = "neon")]
unsafe fn run(
    tile: Neon,
    rows: &Rows,
    constants: &Panels,
    panels: usize,
    channels: usize,
    pixels: usize,
    out: &[*mut i8],
) {
    // SAFETY: the caller's promise.
    unsafe { block(tile, rows, constants, panels, channels, pixels, out) };
}

impl Sums for Neon {
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn some<const MODE: u8>(
        self,
        rows: &Rows,
        panel: &Panel<'_>,
        left: usize,
        out: &[*mut i8],
    ) -> usize {
        // SAFETY: the caller's promise, for two pixels or one.
        unsafe {
            if left >= 2 {
                two::<MODE>(rows, panel, out);
                2
            } else {
                one::<MODE>(rows, panel, out);
                1
            }
        }
    }
}

/// Accumulators of a pixel: number `j` holds channels `2 * j` and `2 * j + 1` in two lanes each.
const SUMS: usize = 8;

/// Two pixels by one panel.
///
/// # Safety
/// As for [`Sums::some`] with two pixels.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn two<const MODE: u8>(rows: &Rows, panel: &Panel<'_>, out: &[*mut i8]) {
    let mut acc = [start(panel); 2];
    let mut w = panel.weights;
    let mut offsets = [rows.offsets, rows.offsets.wrapping_add(rows.segments)];
    let mut left = rows.segments;
    loop {
        // SAFETY: two pixels of `segments` offsets exist.
        let x = panel.resolve(rows, offsets.map(|offset| unsafe { *offset }));
        offsets = offsets.map(|offset| offset.wrapping_add(1));
        // SAFETY: `rows.k` readable bytes at each; the panel has 16 times as many for them.
        w = unsafe { accumulate_two(&mut acc, x, w, rows.k) };
        left = left.wrapping_sub(1);
        if left == 0 {
            break;
        }
    }
    let [a, b] = acc;
    let (a, b) = (join(a), join(b));
    if let Some(out) = out.first_chunk::<2>() {
        // SAFETY: the caller's promise.
        unsafe {
            if panel.is_whole::<MODE>() {
                neon_finish::two::<MODE>(panel.stage, panel.scale, [a, b], out, panel.first);
            } else {
                panel.finish::<MODE>(a, out[0]);
                panel.finish::<MODE>(b, out[1]);
            }
        }
    }
}

/// One pixel by one panel.
///
/// # Safety
/// As for [`Sums::some`] with one pixel.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn one<const MODE: u8>(rows: &Rows, panel: &Panel<'_>, out: &[*mut i8]) {
    let mut acc = start(panel);
    let mut w = panel.weights;
    for s in 0..rows.segments {
        // SAFETY: the offset exists; `rows.k` readable bytes there; the panel has 16 times as many for them.
        w = unsafe { accumulate_one(&mut acc, rows.segment(0, s), w, rows.k) };
    }
    if let Some(out) = out.first() {
        // SAFETY: the caller's promise.
        unsafe { panel.finish::<MODE>(join(acc), *out) };
    }
}

/// Accumulators that hold the biases, each in one of the two lanes of its channel.
#[inline]
#[target_feature(enable = "neon")]
fn start(panel: &Panel<'_>) -> [int32x4_t; SUMS] {
    let ([a, b, c, d], zero) = (panel.scale.bias, vdupq_n_s32(0));
    [
        vzip1q_s32(a, zero),
        vzip2q_s32(a, zero),
        vzip1q_s32(b, zero),
        vzip2q_s32(b, zero),
        vzip1q_s32(c, zero),
        vzip2q_s32(c, zero),
        vzip1q_s32(d, zero),
        vzip2q_s32(d, zero),
    ]
}

/// Adds the two lanes of each channel.
#[inline]
#[target_feature(enable = "neon")]
fn join([a, b, c, d, e, f, g, h]: [int32x4_t; SUMS]) -> [int32x4_t; 4] {
    [vpaddq_s32(a, b), vpaddq_s32(c, d), vpaddq_s32(e, f), vpaddq_s32(g, h)]
}

/// One segment of one pixel; returns where the weights of the next one lie.
///
/// # Safety
/// `k`, a multiple of 4, bytes are readable at `x`, and `16 * k` at `w`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn accumulate_one(acc: &mut [int32x4_t; SUMS], x: *const i8, mut w: *const i8, k: usize) -> *const i8 {
    let mut i = 0;
    while i < k {
        // SAFETY: four bytes of the promised and 64 of weights.
        unsafe {
            let x = vreinterpretq_s8_s32(vld1q_dup_s32(x.add(i).cast()));
            for j in 0..SUMS / 2 {
                let w = vld1q_s8(w.add(16 * j));
                acc[2 * j] = vpadalq_s16(acc[2 * j], vmull_s8(vget_low_s8(x), vget_low_s8(w)));
                acc[2 * j + 1] = vpadalq_s16(acc[2 * j + 1], vmull_high_s8(x, w));
            }
        }
        w = w.wrapping_add(64);
        i += 4;
    }
    w
}

/// One segment of two pixels: in assembly, as the compiler moves all loads to the front of the loop and then has no
/// registers left for the accumulators.
///
/// # Safety
/// As for [`accumulate_one`], at both of `x`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn accumulate_two(
    acc: &mut [[int32x4_t; SUMS]; 2],
    x: [*const i8; 2],
    mut w: *const i8,
    k: usize,
) -> *const i8 {
    /// Products of the first four bytes of eight by four channels of both pixels.
    macro_rules! first {
        ($w:literal) => {
            concat!(
                "smull {t0:v}.8h, {x0:v}.8b, ",
                $w,
                ".8b\n",
                "smull2 {t1:v}.8h, {x0:v}.16b, ",
                $w,
                ".16b\n",
                "smull {t2:v}.8h, {x1:v}.8b, ",
                $w,
                ".8b\n",
                "smull2 {t3:v}.8h, {x1:v}.16b, ",
                $w,
                ".16b\n",
            )
        };
    }
    /// Adds those of the other four.
    macro_rules! second {
        ($w:literal) => {
            concat!(
                "smlal {t0:v}.8h, {y0:v}.8b, ",
                $w,
                ".8b\n",
                "smlal2 {t1:v}.8h, {y0:v}.16b, ",
                $w,
                ".16b\n",
                "smlal {t2:v}.8h, {y1:v}.8b, ",
                $w,
                ".8b\n",
                "smlal2 {t3:v}.8h, {y1:v}.16b, ",
                $w,
                ".16b\n",
            )
        };
    }
    /// Adds them to the accumulators.
    macro_rules! add {
        ($a0:literal, $a1:literal, $b0:literal, $b1:literal) => {
            concat!(
                "sadalp {",
                $a0,
                ":v}.4s, {t0:v}.8h\n",
                "sadalp {",
                $a1,
                ":v}.4s, {t1:v}.8h\n",
                "sadalp {",
                $b0,
                ":v}.4s, {t2:v}.8h\n",
                "sadalp {",
                $b1,
                ":v}.4s, {t3:v}.8h\n",
            )
        };
    }
    /// Eight bytes of the reduction.
    macro_rules! eight {
        () => {
            concat!(
                "ld1r {{{x0:v}.4s}}, [{p0}], #4\n",
                "ld1 {{v0.16b, v1.16b, v2.16b, v3.16b}}, [{w}], #64\n",
                "ld1r {{{x1:v}.4s}}, [{p1}], #4\n",
                "ld1r {{{y0:v}.4s}}, [{p0}], #4\n",
                "ld1 {{v4.16b, v5.16b, v6.16b, v7.16b}}, [{w}], #64\n",
                "ld1r {{{y1:v}.4s}}, [{p1}], #4\n",
                first!("v0"),
                second!("v4"),
                add!("a0", "a1", "b0", "b1"),
                first!("v1"),
                second!("v5"),
                add!("a2", "a3", "b2", "b3"),
                first!("v2"),
                second!("v6"),
                add!("a4", "a5", "b4", "b5"),
                first!("v3"),
                second!("v7"),
                add!("a6", "a7", "b6", "b7"),
            )
        };
    }
    let [a, b] = acc;
    // SAFETY: reads `k` bytes at each of `x` and `16 * k` at `w`: sixteen at a time, then eight, then four.
    unsafe {
        core::arch::asm!(
            "lsr {n}, {k}, #4",
            "cbz {n}, 3f",
            "2:",
            eight!(),
            eight!(),
            "subs {n}, {n}, #1",
            "b.ne 2b",
            "3:",
            "tbz {k}, #3, 4f",
            eight!(),
            "4:",
            "tbz {k}, #2, 5f",
            "ld1r {{{x0:v}.4s}}, [{p0}]",
            "ld1r {{{x1:v}.4s}}, [{p1}]",
            "ld1 {{v0.16b, v1.16b, v2.16b, v3.16b}}, [{w}], #64",
            first!("v0"), add!("a0", "a1", "b0", "b1"),
            first!("v1"), add!("a2", "a3", "b2", "b3"),
            first!("v2"), add!("a4", "a5", "b4", "b5"),
            first!("v3"), add!("a6", "a7", "b6", "b7"),
            "5:",
            a0 = inout(vreg) a[0], a1 = inout(vreg) a[1], a2 = inout(vreg) a[2], a3 = inout(vreg) a[3],
            a4 = inout(vreg) a[4], a5 = inout(vreg) a[5], a6 = inout(vreg) a[6], a7 = inout(vreg) a[7],
            b0 = inout(vreg) b[0], b1 = inout(vreg) b[1], b2 = inout(vreg) b[2], b3 = inout(vreg) b[3],
            b4 = inout(vreg) b[4], b5 = inout(vreg) b[5], b6 = inout(vreg) b[6], b7 = inout(vreg) b[7],
            x0 = out(vreg) _, x1 = out(vreg) _, y0 = out(vreg) _, y1 = out(vreg) _,
            t0 = out(vreg) _, t1 = out(vreg) _, t2 = out(vreg) _, t3 = out(vreg) _,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            p0 = inout(reg) x[0] => _, p1 = inout(reg) x[1] => _,
            w = inout(reg) w,
            k = in(reg) k,
            n = out(reg) _,
            options(readonly, nostack),
        );
    }
    w
}
