//! NEON with dot products (Cortex-A55, A76, A78): `sdot` by element, 16 products per instruction.
//!
//! A vector of weights is four channels by four bytes of the reduction; an element of a vector of activations is four
//! bytes of one pixel, which meet all four channels. The lanes of an accumulator are channels: it starts with their
//! biases, and there is nothing to sum at the end.
//!
//! Five pixels by one panel of 16 channels keep 20 accumulators in registers, with sixteen bytes of each pixel and four
//! weights. Per sixteen bytes of the reduction that is 80 dot products with 5 loads of activations and 4 of four weight
//! vectors. Stable Rust has no intrinsic for `sdot`.
//!
//! Where several panels read several segments, activations are copied to scratch before, two pixels to a vector: then six pixels fit, and the
//! segments are one. Per eight bytes that is 48 dot products with a load of three vectors of activations and two of weights.

use super::{
    super::{Layout, Panels, Rows, Tile, layout::ROOM_PIXELS},
    neon_block::{Panel, Pixels, Sums, block, tile},
    neon_finish::{each, factors, float, halves, linear, moved, products, relu, shifts},
    neon_stage::mode,
};
use crate::Isa;
use core::{arch::aarch64::*, array};

// The assembly loads addresses of eight bytes, and lanes in the order of memory.
const _: () = assert!(size_of::<usize>() == 8 && cfg!(target_endian = "little"));

/// Pixels whose accumulators are in registers together.
const PIXELS: usize = 5;

/// The same, where activations are staged: two pixels share a vector.
const STAGED: usize = 6;

tile! {
    /// Proof that NEON with dot products can be executed.
    Dotprod: has_dotprod, "dotprod", 12 * PIXELS
}

impl Sums for Dotprod {
    #[inline]
    #[target_feature(enable = "dotprod")]
    unsafe fn all<const MODE: u8>(self, mut pixels: Pixels, panel: &Panel<'_>, out: &[*mut i8]) {
        let whole_panel = panel.is_whole::<MODE>();
        let (sixes, rest) =
            if whole_panel && pixels.staged { out.as_chunks::<STAGED>() } else { (&[][..], out) };
        let (fives, rest) = if whole_panel { rest.as_chunks::<PIXELS>() } else { (&[][..], rest) };
        // SAFETY: the caller's promise: sixes or fives, then the rest. Three pixels or more at once, as then computing the last one
        // again costs less than one by one.
        unsafe {
            if !sixes.is_empty() {
                staged::<MODE>(&pixels, panel, sixes);
                pixels = pixels.from(STAGED * sixes.len());
            }
            if !fives.is_empty() {
                whole::<MODE>(&pixels, panel, fives);
            }
            for (i, out) in rest.chunks(PIXELS).enumerate() {
                let pixels = pixels.from(PIXELS * (fives.len() + i));
                if out.len() >= 3 {
                    for (sums, out) in five(&pixels, panel, out.len()).into_iter().zip(out) {
                        panel.finish::<MODE>(sums, *out);
                    }
                } else {
                    for (p, out) in out.iter().enumerate() {
                        one::<MODE>(pixels.of(p), &pixels, panel, *out);
                    }
                }
            }
        }
    }

    #[inline]
    #[target_feature(enable = "dotprod")]
    unsafe fn stage(self, pixels: &Pixels, count: usize, panels: usize, room: *mut i8) -> bool {
        // With one segment there is nothing to join, and no room.
        let pays = panels >= 3 && pixels.segments > 1 && pixels.k.is_multiple_of(8) && count >= STAGED;
        if pays {
            let mut to = room;
            for six in 0..count / STAGED {
                // SAFETY: the caller's promise.
                to = unsafe { stage_six(&pixels.from(STAGED * six), to) };
            }
        }
        pays
    }
}

/// Writes the activations of six pixels to `to`: for each eight bytes of the reduction three vectors, of two pixels each. Returns where the next
/// six lie.
///
/// # Safety
/// The segments of six pixels are readable, `k` is a multiple of 8, and as many bytes are writable.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn stage_six(pixels: &Pixels, mut to: *mut i8) -> *mut i8 {
    for s in 0..pixels.segments {
        // SAFETY: the caller's promise.
        unsafe {
            let x: [*const i8; STAGED] = array::from_fn(|i| *pixels.of(i).wrapping_add(s));
            for k in (0..pixels.k / 16).map(|k| 16 * k) {
                let [a, b, c, d, e, f] = x.map(|x| vreinterpretq_s64_s8(vld1q_s8(x.wrapping_add(k))));
                let [low, high] = [
                    int64x2x3_t(vzip1q_s64(a, b), vzip1q_s64(c, d), vzip1q_s64(e, f)),
                    int64x2x3_t(vzip2q_s64(a, b), vzip2q_s64(c, d), vzip2q_s64(e, f)),
                ];
                vst1q_s64_x3(to.cast(), low);
                vst1q_s64_x3(to.wrapping_add(8 * STAGED).cast(), high);
                to = to.wrapping_add(16 * STAGED);
            }
            if !pixels.k.is_multiple_of(16) {
                for x in x {
                    let eight = x.wrapping_add(pixels.k / 16 * 16).cast::<[i8; 8]>();
                    to.cast::<[i8; 8]>().write(eight.read());
                    to = to.wrapping_add(8);
                }
            }
        }
    }
    to
}

/// One pixel by one panel.
///
/// # Safety
/// As for [`Sums::all`] with the pixel whose segments are at `pointers`.
#[inline]
#[target_feature(enable = "dotprod")]
unsafe fn one<const MODE: u8>(pointers: *const *const i8, pixels: &Pixels, panel: &Panel<'_>, out: *mut i8) {
    let mut acc = panel.scale.bias;
    let mut w = panel.weights;
    for s in 0..pixels.segments {
        // SAFETY: a segment; `k` readable bytes there; the panel has 16 times as many for them.
        w = unsafe { accumulate_one(&mut acc, *pointers.add(s), w, pixels.k) };
    }
    // SAFETY: the caller's promise.
    unsafe { panel.finish::<MODE>(acc, out) };
}

/// Four bytes of the reduction, number `$i` of four in `$x`, by the weights in `v0` to `v3`.
macro_rules! row {
    ($i:literal, $x:literal, $a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "sdot ",
            $a,
            ".4s, v0.16b, ",
            $x,
            ".4b[",
            $i,
            "]\n",
            "sdot ",
            $b,
            ".4s, v1.16b, ",
            $x,
            ".4b[",
            $i,
            "]\n",
            "sdot ",
            $c,
            ".4s, v2.16b, ",
            $x,
            ".4b[",
            $i,
            "]\n",
            "sdot ",
            $d,
            ".4s, v3.16b, ",
            $x,
            ".4b[",
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

/// The same four bytes of five pixels.
macro_rules! group {
    ($i:literal) => {
        concat!(
            weights!(),
            row!($i, "v4", "v8", "v9", "v10", "v11"),
            row!($i, "v5", "v12", "v13", "v14", "v15"),
            row!($i, "v6", "v16", "v17", "v18", "v19"),
            row!($i, "v7", "v20", "v21", "v22", "v23"),
            row!($i, "v28", "v24", "v25", "v26", "v27"),
        )
    };
}

/// Sixteen bytes of five pixels.
macro_rules! sixteen {
    () => {
        concat!(
            "ldr q4, [{p0}], #16\nldr q5, [{p1}], #16\nldr q6, [{p2}], #16\n",
            "ldr q7, [{p3}], #16\nldr q28, [{p4}], #16\n",
            group!("0"),
            group!("1"),
            group!("2"),
            group!("3"),
        )
    };
}

/// Sums of five pixels in `v8` to `v27`: from the biases on, all segments.
macro_rules! sums {
    ($($start:expr,)* ; $($finish:expr,)* ; $($operand:tt)*) => {
        core::arch::asm!(
            $($start,)*
            "ldp q8, q9, [{c}]",
            "ldp q10, q11, [{c}, #32]",
            "mov v12.16b, v8.16b", "mov v13.16b, v9.16b", "mov v14.16b, v10.16b", "mov v15.16b, v11.16b",
            "mov v16.16b, v8.16b", "mov v17.16b, v9.16b", "mov v18.16b, v10.16b", "mov v19.16b, v11.16b",
            "mov v20.16b, v8.16b", "mov v21.16b, v9.16b", "mov v22.16b, v10.16b", "mov v23.16b, v11.16b",
            "mov v24.16b, v8.16b", "mov v25.16b, v9.16b", "mov v26.16b, v10.16b", "mov v27.16b, v11.16b",
            "2:",
            "ldr {p0}, [{i0}], #8",
            "ldr {p1}, [{i1}], #8",
            "ldr {p2}, [{i2}], #8",
            "ldr {p3}, [{i3}], #8",
            "ldr {p4}, [{i4}], #8",
            "lsr {n}, {k}, #5",
            "cbz {n}, 4f",
            "3:",
            sixteen!(),
            sixteen!(),
            "subs {n}, {n}, #1",
            "b.ne 3b",
            "4:",
            "tbz {k}, #4, 5f",
            sixteen!(),
            "5:",
            "ands {n}, {k}, #12",
            "b.eq 7f",
            "6:",
            "ldr s4, [{p0}], #4",
            "ldr s5, [{p1}], #4",
            "ldr s6, [{p2}], #4",
            "ldr s7, [{p3}], #4",
            "ldr s28, [{p4}], #4",
            group!("0"),
            "subs {n}, {n}, #4",
            "b.ne 6b",
            "7:",
            "subs {segments}, {segments}, #1",
            "b.ne 2b",
            $($finish,)*
            p0 = out(reg) _, p1 = out(reg) _, p2 = out(reg) _, p3 = out(reg) _, p4 = out(reg) _,
            n = out(reg) _,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _, out("v12") _, out("v13") _, out("v14") _,
            out("v15") _, out("v16") _, out("v17") _, out("v18") _, out("v19") _, out("v20") _, out("v21") _,
            out("v22") _, out("v23") _, out("v24") _, out("v25") _, out("v26") _, out("v27") _, out("v28") _,
            options(nostack),
            $($operand)*
        )
    };
}

/// Five pixels by one whole panel.
///
/// # Safety
/// As for [`Sums::all`] with five pixels, in mode `RELU`, `LINEAR` or `FLOAT`.
#[inline]
#[target_feature(enable = "dotprod")]
unsafe fn whole<const MODE: u8>(pixels: &Pixels, panel: &Panel<'_>, out: &[[*mut i8; PIXELS]]) {
    macro_rules! run {
        ($z:literal, $each:ident) => {
            sums!(
                "1:",
                "mov {segments}, {all}",
                "mov {w}, {panel}",
                ;
                factors!(),
                $z,
                $each!("v8", "v9", "v10", "v11", "q8", "v28", "0"),
                $each!("v12", "v13", "v14", "v15", "q12", "v28", "8"),
                $each!("v16", "v17", "v18", "v19", "q16", "v28", "16"),
                $each!("v20", "v21", "v22", "v23", "q20", "v28", "24"),
                $each!("v24", "v25", "v26", "v27", "q24", "v28", "32"),
                "add {i0}, {i0}, {others}",
                "add {i1}, {i1}, {others}",
                "add {i2}, {i2}, {others}",
                "add {i3}, {i3}, {others}",
                "add {i4}, {i4}, {others}",
                "add {out}, {out}, #40",
                "subs {tiles}, {tiles}, #1",
                "b.ne 1b",
                ;
                i0 = inout(reg) pixels.of(0) => _, i1 = inout(reg) pixels.of(1) => _, i2 = inout(reg) pixels.of(2) => _,
                i3 = inout(reg) pixels.of(3) => _, i4 = inout(reg) pixels.of(4) => _,
                segments = out(reg) _,
                all = in(reg) pixels.segments,
                others = in(reg) 4 * size_of::<*const i8>() * pixels.segments,
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
    // SAFETY: reads `k` bytes at each segment of five pixels, 16 times as many weights for each, the constants, and
    // stores sixteen bytes of each pixel, by the caller's promise.
    unsafe {
        if MODE == mode::RELU {
            run!("/* {z} */ movi v28.16b, #128", relu);
        } else if MODE == mode::FLOAT {
            run!("ldr q28, [{z}]", float);
        } else {
            run!("ldr q28, [{z}]", linear);
        }
    }
}

/// Eight bytes of six staged pixels.
macro_rules! eight {
    () => {
        concat!(
            "ld1 {{v4.16b, v5.16b, v6.16b}}, [{x}], #48\n",
            weights!(),
            row!("0", "v4", "v8", "v9", "v10", "v11"),
            row!("2", "v4", "v12", "v13", "v14", "v15"),
            row!("0", "v5", "v16", "v17", "v18", "v19"),
            row!("2", "v5", "v20", "v21", "v22", "v23"),
            row!("0", "v6", "v24", "v25", "v26", "v27"),
            row!("2", "v6", "v28", "v29", "v30", "v31"),
            weights!(),
            row!("1", "v4", "v8", "v9", "v10", "v11"),
            row!("3", "v4", "v12", "v13", "v14", "v15"),
            row!("1", "v5", "v16", "v17", "v18", "v19"),
            row!("3", "v5", "v20", "v21", "v22", "v23"),
            row!("1", "v6", "v24", "v25", "v26", "v27"),
            row!("3", "v6", "v28", "v29", "v30", "v31"),
        )
    };
}

/// Six staged pixels by one whole panel. The weights of all segments follow each other, and so do the activations in the room.
///
/// # Safety
/// As for [`Sums::all`] with six pixels, which [`Sums::stage`] has put in the panel's room, in mode `RELU`, `LINEAR` or `FLOAT`.
#[inline]
#[target_feature(enable = "dotprod")]
unsafe fn staged<const MODE: u8>(pixels: &Pixels, panel: &Panel<'_>, out: &[[*mut i8; STAGED]]) {
    macro_rules! run {
        ($z:literal, $each:ident) => {
            core::arch::asm!(
                "1:",
                "mov {w}, {panel}",
                "ldp q8, q9, [{c}]",
                "ldp q10, q11, [{c}, #32]",
                "mov v12.16b, v8.16b", "mov v13.16b, v9.16b", "mov v14.16b, v10.16b", "mov v15.16b, v11.16b",
                "mov v16.16b, v8.16b", "mov v17.16b, v9.16b", "mov v18.16b, v10.16b", "mov v19.16b, v11.16b",
                "mov v20.16b, v8.16b", "mov v21.16b, v9.16b", "mov v22.16b, v10.16b", "mov v23.16b, v11.16b",
                "mov v24.16b, v8.16b", "mov v25.16b, v9.16b", "mov v26.16b, v10.16b", "mov v27.16b, v11.16b",
                "mov v28.16b, v8.16b", "mov v29.16b, v9.16b", "mov v30.16b, v10.16b", "mov v31.16b, v11.16b",
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
                factors!(),
                // The first pixel's accumulators take the constant that there was no register for.
                $each!("v8", "v9", "v10", "v11", "q8", "v11", "0", $z),
                $each!("v12", "v13", "v14", "v15", "q12", "v11", "8"),
                $each!("v16", "v17", "v18", "v19", "q16", "v11", "16"),
                $each!("v20", "v21", "v22", "v23", "q20", "v11", "24"),
                $each!("v24", "v25", "v26", "v27", "q24", "v11", "32"),
                $each!("v28", "v29", "v30", "v31", "q28", "v11", "40"),
                "add {out}, {out}, #48",
                "subs {tiles}, {tiles}, #1",
                "b.ne 1b",
                x = inout(reg) panel.room => _,
                k = in(reg) pixels.segments * pixels.k,
                tiles = inout(reg) out.len() => _,
                n = out(reg) _,
                w = out(reg) _,
                panel = in(reg) panel.weights,
                c = in(reg) panel.scale,
                z = in(reg) &panel.stage.zero_point,
                out = inout(reg) out.as_ptr() => _,
                first = in(reg) panel.first,
                o = out(reg) _,
                out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _,
                out("v7") _, out("v8") _, out("v9") _, out("v10") _, out("v11") _, out("v12") _, out("v13") _,
                out("v14") _, out("v15") _, out("v16") _, out("v17") _, out("v18") _, out("v19") _,
                out("v20") _, out("v21") _, out("v22") _, out("v23") _, out("v24") _, out("v25") _,
                out("v26") _, out("v27") _, out("v28") _, out("v29") _, out("v30") _, out("v31") _,
                options(nostack),
            )
        };
    }
    // SAFETY: reads the activations of six pixels after the other in the room, 16 times as many weights for each, the constants, and stores
    // sixteen bytes of each pixel, by the caller's promise.
    unsafe {
        if MODE == mode::RELU {
            run!("/* {z} */ movi v11.16b, #128\n", relu);
        } else if MODE == mode::FLOAT {
            run!("ldr q11, [{z}]\n", float);
        } else {
            run!("ldr q11, [{z}]\n", linear);
        }
    }
}

/// The sums of five pixels by one panel; those from `live` on are the last one's.
///
/// # Safety
/// As for [`Sums::all`] with `live` pixels.
#[inline]
#[target_feature(enable = "dotprod")]
unsafe fn five(pixels: &Pixels, panel: &Panel<'_>, live: usize) -> [[int32x4_t; 4]; PIXELS] {
    let mut sums = [[vdupq_n_s32(0); 4]; PIXELS];
    let pointers = |p: usize| pixels.of(p.min(live.wrapping_sub(1)));
    // SAFETY: reads as above, and writes the sums.
    unsafe {
        sums!(
            ;
            "st1 {{v8.4s, v9.4s, v10.4s, v11.4s}}, [{to}], #64",
            "st1 {{v12.4s, v13.4s, v14.4s, v15.4s}}, [{to}], #64",
            "st1 {{v16.4s, v17.4s, v18.4s, v19.4s}}, [{to}], #64",
            "st1 {{v20.4s, v21.4s, v22.4s, v23.4s}}, [{to}], #64",
            "st1 {{v24.4s, v25.4s, v26.4s, v27.4s}}, [{to}], #64",
            ;
            i0 = inout(reg) pointers(0) => _, i1 = inout(reg) pointers(1) => _, i2 = inout(reg) pointers(2) => _,
            i3 = inout(reg) pointers(3) => _, i4 = inout(reg) pointers(4) => _,
            segments = inout(reg) pixels.segments => _,
            k = in(reg) pixels.k,
            w = inout(reg) panel.weights => _,
            c = in(reg) panel.scale,
            to = inout(reg) &raw mut sums => _,
        );
    }
    sums
}

/// One segment of one pixel; returns where the weights of the next one lie.
///
/// # Safety
/// `k`, a multiple of 4, bytes are readable at `x`, and `16 * k` at `w`.
#[inline]
#[target_feature(enable = "dotprod")]
unsafe fn accumulate_one(acc: &mut [int32x4_t; 4], x: *const i8, mut w: *const i8, k: usize) -> *const i8 {
    macro_rules! group {
        ($i:literal) => {
            concat!(weights!(), row!($i, "v4", "v8", "v9", "v10", "v11"))
        };
    }
    let [a, b, c, d] = acc;
    // SAFETY: reads `k` bytes at `x` and `16 * k` at `w`: sixteen at a time, then four.
    unsafe {
        core::arch::asm!(
            "lsr {n}, {k}, #4",
            "cbz {n}, 3f",
            "2:",
            "ldr q4, [{p}], #16",
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
            "ldr s4, [{p}], #4",
            group!("0"),
            "subs {n}, {n}, #4",
            "b.ne 4b",
            "5:",
            inout("v8") *a, inout("v9") *b, inout("v10") *c, inout("v11") *d,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _,
            p = inout(reg) x => _,
            w = inout(reg) w,
            k = in(reg) k,
            n = out(reg) _,
            options(readonly, nostack),
        );
    }
    w
}
