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
    super::{Layout, Panels, Rows, Tile, layout::ROOM_PIXELS},
    neon_block::{Panel, Pixels, Sums, block, tile},
    neon_finish::{each, factors, float, halves, linear, moved, products, relu, shifts},
    neon_stage::mode,
};
use crate::Isa;
use core::arch::aarch64::*;

// The assembly loads addresses of eight bytes, and lanes in the order of memory.
const _: () = assert!(size_of::<usize>() == 8 && cfg!(target_endian = "little"));

tile! {
    /// Proof that NEON can be executed.
    Neon: has_neon, "neon", 30
}

impl Sums for Neon {
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn all<const MODE: u8>(self, pixels: Pixels, panel: &Panel<'_>, out: &[*mut i8]) {
        let (twos, rest) = if panel.is_whole::<MODE>() { out.as_chunks::<2>() } else { (&[][..], out) };
        // SAFETY: the caller's promise: twos, then the rest.
        unsafe {
            if !twos.is_empty() {
                whole::<MODE>(&pixels, panel, twos);
            }
            for (i, out) in rest.chunks(2).enumerate() {
                let pixels = pixels.from(2 * (twos.len() + i));
                match out {
                    [a, b] => {
                        let [x, y] = two(&pixels, panel);
                        panel.finish::<MODE>(join(x), *a);
                        panel.finish::<MODE>(join(y), *b);
                    }
                    _ => out.iter().for_each(|out| one::<MODE>(&pixels, panel, *out)),
                }
            }
        }
    }
}

/// Accumulators of a pixel: number `j` holds channels `2 * j` and `2 * j + 1` in two lanes each.
const SUMS: usize = 8;

/// One pixel by one panel.
///
/// # Safety
/// As for [`Sums::all`] with one pixel.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn one<const MODE: u8>(pixels: &Pixels, panel: &Panel<'_>, out: *mut i8) {
    let mut acc = panel.scale.spread;
    let mut w = panel.weights;
    for s in 0..pixels.segments {
        // SAFETY: a segment; `k` readable bytes there; the panel has 16 times as many for them.
        w = unsafe { accumulate_one(&mut acc, *pixels.pointers.add(s), w, pixels.k) };
    }
    // SAFETY: the caller's promise.
    unsafe { panel.finish::<MODE>(join(acc), out) };
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

/// Products of the first four bytes of eight by four channels of both pixels.
macro_rules! first {
    ($w:literal) => {
        concat!(
            "smull v8.8h, v12.8b, ",
            $w,
            ".8b\n",
            "smull2 v9.8h, v12.16b, ",
            $w,
            ".16b\n",
            "smull v10.8h, v13.8b, ",
            $w,
            ".8b\n",
            "smull2 v11.8h, v13.16b, ",
            $w,
            ".16b\n",
        )
    };
}

/// Adds those of the other four.
macro_rules! second {
    ($w:literal) => {
        concat!(
            "smlal v8.8h, v14.8b, ",
            $w,
            ".8b\n",
            "smlal2 v9.8h, v14.16b, ",
            $w,
            ".16b\n",
            "smlal v10.8h, v15.8b, ",
            $w,
            ".8b\n",
            "smlal2 v11.8h, v15.16b, ",
            $w,
            ".16b\n",
        )
    };
}

/// Adds them to the accumulators.
macro_rules! add {
    ($a0:literal, $a1:literal, $b0:literal, $b1:literal) => {
        concat!(
            "sadalp ",
            $a0,
            ".4s, v8.8h\n",
            "sadalp ",
            $a1,
            ".4s, v9.8h\n",
            "sadalp ",
            $b0,
            ".4s, v10.8h\n",
            "sadalp ",
            $b1,
            ".4s, v11.8h\n",
        )
    };
}

/// Eight bytes of the reduction.
macro_rules! eight {
    () => {
        concat!(
            "ld1r {{v12.4s}}, [{p0}], #4\n",
            "ld1 {{v0.16b, v1.16b, v2.16b, v3.16b}}, [{w}], #64\n",
            "ld1r {{v13.4s}}, [{p1}], #4\n",
            "ld1r {{v14.4s}}, [{p0}], #4\n",
            "ld1 {{v4.16b, v5.16b, v6.16b, v7.16b}}, [{w}], #64\n",
            "ld1r {{v15.4s}}, [{p1}], #4\n",
            first!("v0"),
            second!("v4"),
            add!("v16", "v17", "v24", "v25"),
            first!("v1"),
            second!("v5"),
            add!("v18", "v19", "v26", "v27"),
            first!("v2"),
            second!("v6"),
            add!("v20", "v21", "v28", "v29"),
            first!("v3"),
            second!("v7"),
            add!("v22", "v23", "v30", "v31"),
        )
    };
}

/// Accumulators of two pixels in `v16` to `v31`: from the biases on, all segments.
macro_rules! sums {
    ($($start:expr,)* ; $($finish:expr,)* ; $($operand:tt)*) => {
        core::arch::asm!(
            $($start,)*
            "ldp q16, q17, [{c}, #192]",
            "ldp q18, q19, [{c}, #224]",
            "ldp q20, q21, [{c}, #256]",
            "ldp q22, q23, [{c}, #288]",
            "mov v24.16b, v16.16b", "mov v25.16b, v17.16b", "mov v26.16b, v18.16b", "mov v27.16b, v19.16b",
            "mov v28.16b, v20.16b", "mov v29.16b, v21.16b", "mov v30.16b, v22.16b", "mov v31.16b, v23.16b",
            "2:",
            "ldr {p0}, [{i0}], #8",
            "ldr {p1}, [{i1}], #8",
            "lsr {n}, {k}, #4",
            "cbz {n}, 4f",
            "3:",
            eight!(),
            eight!(),
            "subs {n}, {n}, #1",
            "b.ne 3b",
            "4:",
            "tbz {k}, #3, 5f",
            eight!(),
            "5:",
            "tbz {k}, #2, 6f",
            "ld1r {{v12.4s}}, [{p0}]",
            "ld1r {{v13.4s}}, [{p1}]",
            "ld1 {{v0.16b, v1.16b, v2.16b, v3.16b}}, [{w}], #64",
            first!("v0"), add!("v16", "v17", "v24", "v25"),
            first!("v1"), add!("v18", "v19", "v26", "v27"),
            first!("v2"), add!("v20", "v21", "v28", "v29"),
            first!("v3"), add!("v22", "v23", "v30", "v31"),
            "6:",
            "subs {segments}, {segments}, #1",
            "b.ne 2b",
            $($finish,)*
            p0 = out(reg) _, p1 = out(reg) _,
            n = out(reg) _,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _, out("v12") _, out("v13") _, out("v14") _,
            out("v15") _, out("v16") _, out("v17") _, out("v18") _, out("v19") _, out("v20") _, out("v21") _,
            out("v22") _, out("v23") _, out("v24") _, out("v25") _, out("v26") _, out("v27") _, out("v28") _,
            out("v29") _, out("v30") _, out("v31") _,
            options(nostack),
            $($operand)*
        )
    };
}

/// Two pixels by one whole panel.
///
/// # Safety
/// As for [`Sums::all`] with two pixels, in mode `RELU`, `LINEAR` or `FLOAT`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn whole<const MODE: u8>(pixels: &Pixels, panel: &Panel<'_>, out: &[[*mut i8; 2]]) {
    macro_rules! run {
        ($z:literal, $each:ident) => {
            sums!(
                "1:",
                "mov {segments}, {all}",
                "mov {w}, {panel}",
                ;
                "addp v16.4s, v16.4s, v17.4s", "addp v17.4s, v18.4s, v19.4s",
                "addp v18.4s, v20.4s, v21.4s", "addp v19.4s, v22.4s, v23.4s",
                "addp v24.4s, v24.4s, v25.4s", "addp v25.4s, v26.4s, v27.4s",
                "addp v26.4s, v28.4s, v29.4s", "addp v27.4s, v30.4s, v31.4s",
                factors!(),
                $z,
                $each!("v16", "v17", "v18", "v19", "q16", "v8", "0"),
                $each!("v24", "v25", "v26", "v27", "q24", "v8", "8"),
                "add {i0}, {i0}, {others}",
                "add {i1}, {i1}, {others}",
                "add {out}, {out}, #16",
                "subs {tiles}, {tiles}, #1",
                "b.ne 1b",
                ;
                i0 = inout(reg) pixels.of(0) => _, i1 = inout(reg) pixels.of(1) => _,
                segments = out(reg) _,
                all = in(reg) pixels.segments,
                others = in(reg) 1 * size_of::<*const i8>() * pixels.segments,
                tiles = inout(reg) out.len() => _,
                k = in(reg) pixels.k,
                w = out(reg) _,
                panel = in(reg) panel.weights,
                c = in(reg) panel.scale,
                z = in(reg) &panel.stage.zero_point,
                out = inout(reg) out.as_ptr() => _,
                first = in(reg) panel.first,
                o = out(reg) _,
            )
        };
    }
    // SAFETY: reads `k` bytes at each segment of two pixels, 16 times as many weights for each, the constants, and
    // stores sixteen bytes of each pixel, by the caller's promise.
    unsafe {
        if MODE == mode::RELU {
            run!("/* {z} */ movi v8.16b, #128", relu);
        } else if MODE == mode::FLOAT {
            run!("ldr q8, [{z}]", float);
        } else {
            run!("ldr q8, [{z}]", linear);
        }
    }
}

/// The accumulators of two pixels by one panel.
///
/// # Safety
/// As for [`Sums::all`] with two pixels.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn two(pixels: &Pixels, panel: &Panel<'_>) -> [[int32x4_t; SUMS]; 2] {
    let mut sums = [[vdupq_n_s32(0); SUMS]; 2];
    // SAFETY: reads as above, and writes the accumulators.
    unsafe {
        sums!(
            ;
            "st1 {{v16.4s, v17.4s, v18.4s, v19.4s}}, [{to}], #64",
            "st1 {{v20.4s, v21.4s, v22.4s, v23.4s}}, [{to}], #64",
            "st1 {{v24.4s, v25.4s, v26.4s, v27.4s}}, [{to}], #64",
            "st1 {{v28.4s, v29.4s, v30.4s, v31.4s}}, [{to}], #64",
            ;
            i0 = inout(reg) pixels.of(0) => _, i1 = inout(reg) pixels.of(1) => _,
            segments = inout(reg) pixels.segments => _,
            k = in(reg) pixels.k,
            w = inout(reg) panel.weights => _,
            c = in(reg) panel.scale,
            to = inout(reg) &raw mut sums => _,
        );
    }
    sums
}
