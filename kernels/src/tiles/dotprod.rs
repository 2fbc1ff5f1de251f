//! NEON with dot products (Cortex-A55, A76, A78): `sdot` by element, 16 products per instruction.
//!
//! A vector of weights is four channels by four bytes of the reduction; an element of a vector of activations is four
//! bytes of one pixel, which meet all four channels. The lanes of an accumulator are channels: it starts with their
//! biases, and there is nothing to sum at the end.
//!
//! Five pixels by one panel of 16 channels keep 20 accumulators in registers, with sixteen bytes of each pixel and four
//! weights. Per sixteen bytes of the reduction that is 80 dot products with 5 loads of activations and 4 of four weight
//! vectors. Stable Rust has no intrinsic for `sdot`.

use super::{
    Layout, Panels, Rows, Tile,
    neon_block::{Panel, Sums, block},
    neon_finish,
};
use crate::Isa;
use core::arch::aarch64::*;

/// Proof that NEON with dot products can be executed.
#[derive(Clone, Copy, Debug)]
pub struct Dotprod(());

impl Dotprod {
    /// The token, where `isa` has the instructions.
    pub const fn new(isa: Isa) -> Option<Self> {
        if isa.has_dotprod() { Some(Self(())) } else { None }
    }
}

/// Pixels whose accumulators are in registers together.
const PIXELS: usize = 5;

impl Tile for Dotprod {
    const LAYOUT: Layout = Layout::NEON;
    const MAX_PANELS: usize = 4;
    const MAX_PIXELS: usize = 3 * PIXELS;

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

/// [`block`], compiled for these instructions.
///
/// # Safety
/// As for [`Tile::run`], where the instructions exist.
#[target_feature(enable = "dotprod")]
unsafe fn run(
    tile: Dotprod,
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

impl Sums for Dotprod {
    #[inline]
    #[target_feature(enable = "dotprod")]
    unsafe fn some<const MODE: u8>(
        self,
        rows: &Rows,
        panel: &Panel<'_>,
        left: usize,
        out: &[*mut i8],
    ) -> usize {
        // SAFETY: the caller's promise. Three pixels or more at once, as then computing the last one again costs less
        // than one by one.
        unsafe {
            if left >= 3 {
                five::<MODE>(rows, panel, left.min(PIXELS), out);
                left.min(PIXELS)
            } else {
                one::<MODE>(rows, panel, out);
                1
            }
        }
    }
}

/// Five pixels by one panel; those from `live` on are the last one again, and are not stored.
///
/// # Safety
/// As for [`Sums::some`] with `live` pixels.
#[inline]
#[target_feature(enable = "dotprod")]
unsafe fn five<const MODE: u8>(rows: &Rows, panel: &Panel<'_>, live: usize, out: &[*mut i8]) {
    let mut acc = [panel.scale.bias; PIXELS];
    let mut w = panel.weights;
    let pixel = |p: usize| rows.offsets.wrapping_add(p.min(live - 1) * rows.segments);
    let mut offsets = [pixel(0), pixel(1), pixel(2), pixel(3), pixel(4)];
    let mut left = rows.segments;
    loop {
        // SAFETY: `live` pixels of `segments` offsets exist.
        let x = panel.resolve(rows, offsets.map(|offset| unsafe { *offset }));
        offsets = offsets.map(|offset| offset.wrapping_add(1));
        // SAFETY: `rows.k` readable bytes at each; the panel has 16 times as many for them.
        w = unsafe { accumulate_five(&mut acc, x, w, rows.k) };
        left = left.wrapping_sub(1);
        if left == 0 {
            break;
        }
    }
    // SAFETY: the caller's promise.
    unsafe {
        if let Some(out) = out.first_chunk::<PIXELS>()
            && panel.is_whole::<MODE>()
        {
            neon_finish::five::<MODE>(panel.stage, panel.scale, acc, out, panel.first);
        } else {
            for (sums, out) in acc.into_iter().zip(out).take(live) {
                panel.finish::<MODE>(sums, *out);
            }
        }
    }
}

/// One pixel by one panel.
///
/// # Safety
/// As for [`Sums::some`] with one pixel.
#[inline]
#[target_feature(enable = "dotprod")]
unsafe fn one<const MODE: u8>(rows: &Rows, panel: &Panel<'_>, out: &[*mut i8]) {
    let mut acc = panel.scale.bias;
    let mut w = panel.weights;
    for s in 0..rows.segments {
        // SAFETY: the offset exists; `rows.k` readable bytes there; the panel has 16 times as many for them.
        w = unsafe { accumulate_one(&mut acc, rows.segment(0, s), w, rows.k) };
    }
    if let Some(out) = out.first() {
        // SAFETY: the caller's promise.
        unsafe { panel.finish::<MODE>(acc, *out) };
    }
}

/// Four bytes of the reduction, number `$i` of four in `$x`, by the weights in `v0` to `v3`.
macro_rules! row {
    ($i:literal, $x:literal, $a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "sdot {",
            $a,
            ":v}.4s, v0.16b, {",
            $x,
            ":v}.4b[",
            $i,
            "]\n",
            "sdot {",
            $b,
            ":v}.4s, v1.16b, {",
            $x,
            ":v}.4b[",
            $i,
            "]\n",
            "sdot {",
            $c,
            ":v}.4s, v2.16b, {",
            $x,
            ":v}.4b[",
            $i,
            "]\n",
            "sdot {",
            $d,
            ":v}.4s, v3.16b, {",
            $x,
            ":v}.4b[",
            $i,
            "]\n",
        )
    };
}

/// The next four bytes of weights of all channels.
macro_rules! weights {
    () => {
        "ld1 {{v0.16b, v1.16b, v2.16b, v3.16b}}, [{w}], #64\n"
    };
}

/// One segment of five pixels; returns where the weights of the next one lie.
///
/// # Safety
/// `k`, a multiple of 4, bytes are readable at each of `x`, and `16 * k` at `w`.
#[inline]
#[target_feature(enable = "dotprod")]
unsafe fn accumulate_five(
    acc: &mut [[int32x4_t; 4]; PIXELS],
    x: [*const i8; PIXELS],
    mut w: *const i8,
    k: usize,
) -> *const i8 {
    macro_rules! group {
        ($i:literal) => {
            concat!(
                weights!(),
                row!($i, "x0", "a0", "a1", "a2", "a3"),
                row!($i, "x1", "b0", "b1", "b2", "b3"),
                row!($i, "x2", "c0", "c1", "c2", "c3"),
                row!($i, "x3", "d0", "d1", "d2", "d3"),
                row!($i, "x4", "e0", "e1", "e2", "e3"),
            )
        };
    }
    let [a, b, c, d, e] = acc;
    // SAFETY: reads `k` bytes at each of `x` and `16 * k` at `w`: sixteen at a time, then four.
    unsafe {
        core::arch::asm!(
            "lsr {n}, {k}, #4",
            "cbz {n}, 3f",
            "2:",
            "ldr {x0:q}, [{p0}], #16",
            "ldr {x1:q}, [{p1}], #16",
            "ldr {x2:q}, [{p2}], #16",
            "ldr {x3:q}, [{p3}], #16",
            "ldr {x4:q}, [{p4}], #16",
            group!("0"),
            group!("1"),
            group!("2"),
            group!("3"),
            "subs {n}, {n}, #1",
            "b.ne 2b",
            "3:",
            "ands {n}, {k}, #12",
            "b.eq 5f",
            "4:",
            "ldr {x0:s}, [{p0}], #4",
            "ldr {x1:s}, [{p1}], #4",
            "ldr {x2:s}, [{p2}], #4",
            "ldr {x3:s}, [{p3}], #4",
            "ldr {x4:s}, [{p4}], #4",
            group!("0"),
            "subs {n}, {n}, #4",
            "b.ne 4b",
            "5:",
            a0 = inout(vreg) a[0], a1 = inout(vreg) a[1], a2 = inout(vreg) a[2], a3 = inout(vreg) a[3],
            b0 = inout(vreg) b[0], b1 = inout(vreg) b[1], b2 = inout(vreg) b[2], b3 = inout(vreg) b[3],
            c0 = inout(vreg) c[0], c1 = inout(vreg) c[1], c2 = inout(vreg) c[2], c3 = inout(vreg) c[3],
            d0 = inout(vreg) d[0], d1 = inout(vreg) d[1], d2 = inout(vreg) d[2], d3 = inout(vreg) d[3],
            e0 = inout(vreg) e[0], e1 = inout(vreg) e[1], e2 = inout(vreg) e[2], e3 = inout(vreg) e[3],
            x0 = out(vreg) _, x1 = out(vreg) _, x2 = out(vreg) _, x3 = out(vreg) _, x4 = out(vreg) _,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            p0 = inout(reg) x[0] => _, p1 = inout(reg) x[1] => _, p2 = inout(reg) x[2] => _,
            p3 = inout(reg) x[3] => _, p4 = inout(reg) x[4] => _,
            w = inout(reg) w,
            k = in(reg) k,
            n = out(reg) _,
            options(readonly, nostack),
        );
    }
    w
}

/// One segment of one pixel.
///
/// # Safety
/// As for [`accumulate_five`], at `x`.
#[inline]
#[target_feature(enable = "dotprod")]
unsafe fn accumulate_one(acc: &mut [int32x4_t; 4], x: *const i8, mut w: *const i8, k: usize) -> *const i8 {
    macro_rules! group {
        ($i:literal) => {
            concat!(weights!(), row!($i, "x0", "a0", "a1", "a2", "a3"))
        };
    }
    let a = acc;
    // SAFETY: reads `k` bytes at `x` and `16 * k` at `w`: sixteen at a time, then four.
    unsafe {
        core::arch::asm!(
            "lsr {n}, {k}, #4",
            "cbz {n}, 3f",
            "2:",
            "ldr {x0:q}, [{p0}], #16",
            group!("0"),
            group!("1"),
            group!("2"),
            group!("3"),
            "subs {n}, {n}, #1",
            "b.ne 2b",
            "3:",
            "ands {n}, {k}, #12",
            "b.eq 5f",
            "4:",
            "ldr {x0:s}, [{p0}], #4",
            group!("0"),
            "subs {n}, {n}, #4",
            "b.ne 4b",
            "5:",
            a0 = inout(vreg) a[0], a1 = inout(vreg) a[1], a2 = inout(vreg) a[2], a3 = inout(vreg) a[3],
            x0 = out(vreg) _,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            p0 = inout(reg) x => _,
            w = inout(reg) w,
            k = in(reg) k,
            n = out(reg) _,
            options(readonly, nostack),
        );
    }
    w
}
