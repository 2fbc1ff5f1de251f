//! NEON with matrix products (Armv8.6: Cortex-A510, A710, Neoverse): `smmla`, 32 products per instruction.
//!
//! It multiplies two rows of eight bytes by two rows of eight: two pixels by two channels. It reads the layout of
//! [`super::dotprod`], so that one packing serves every aarch64: two vectors of weights, four channels by four bytes and by the
//! next four, are interleaved to two vectors of two channels by eight bytes. That is done once for all pixels of a call, in scratch; where
//! there are few, in registers.
//!
//! Four pixels by one panel of 16 channels keep 16 accumulators in registers. Per sixteen bytes of the reduction there are 32
//! products with 4 loads of four weight vectors, 4 of activations, and 4 to interleave these. Stable Rust has no intrinsic for
//! `smmla`.

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

/// Pixels whose accumulators are in registers together.
const PIXELS: usize = 4;

tile! {
    /// Proof that NEON with matrix products can be executed.
    I8mm: has_i8mm, "neon,i8mm", 15 * PIXELS
}

impl Sums for I8mm {
    #[inline]
    #[target_feature(enable = "neon,i8mm")]
    unsafe fn all<const MODE: u8>(self, pixels: Pixels, panel: &Panel<'_>, out: &[*mut i8]) {
        // To pair weights costs as much as once without.
        let pays = panel.is_whole::<MODE>() && out.len() >= 2 * PIXELS;
        let (fours, rest) = if pays { out.as_chunks::<PIXELS>() } else { (&[][..], out) };
        // SAFETY: the caller's promise: fours, then the rest.
        unsafe {
            if !fours.is_empty() {
                pair(panel.weights, panel.room, &pixels);
                whole::<MODE>(&pixels, panel, fours);
            }
            for (i, out) in rest.chunks(PIXELS).enumerate() {
                let pixels = pixels.from(PIXELS * (fours.len() + i));
                for (sums, out) in four(&pixels, panel, out.len()).into_iter().zip(out) {
                    panel.finish::<MODE>(sums, *out);
                }
            }
        }
    }
}

/// The next four vectors of weights.
macro_rules! weights {
    ($a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!("ld1 {{", $a, ".16b, ", $b, ".16b, ", $c, ".16b, ", $d, ".16b}}, [{w}], #64\n")
    };
}

/// Four channels by eight bytes, two of them in `$v` and two in `$w`, by the pairs of pixels `$x` and `$y`.
macro_rules! matrices {
    ($v:literal, $w:literal, $x:literal, $y:literal, $a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "smmla ", $a, ".4s, ", $x, ".16b, ", $v, ".16b\n", "smmla ", $b, ".4s, ", $x, ".16b, ", $w,
            ".16b\n", "smmla ", $c, ".4s, ", $y, ".16b, ", $v, ".16b\n", "smmla ", $d, ".4s, ", $y, ".16b, ",
            $w, ".16b\n",
        )
    };
}

/// The same of weights as they are packed, four channels by four bytes in `$low` and by four in `$high`.
macro_rules! quad {
    ($low:literal, $high:literal, $($operand:literal),*) => {
        concat!(
            "zip1 v12.4s, ", $low, ".4s, ", $high, ".4s\n",
            "zip2 v13.4s, ", $low, ".4s, ", $high, ".4s\n",
            matrices!("v12", "v13", $($operand),*),
        )
    };
}

/// All sixteen channels by eight bytes.
macro_rules! eight {
    ($x:literal, $y:literal) => {
        concat!(
            quad!("v0", "v4", $x, $y, "v16", "v17", "v24", "v25"),
            quad!("v1", "v5", $x, $y, "v18", "v19", "v26", "v27"),
            quad!("v2", "v6", $x, $y, "v20", "v21", "v28", "v29"),
            quad!("v3", "v7", $x, $y, "v22", "v23", "v30", "v31"),
        )
    };
}

/// Eight bytes by weights as they are packed.
macro_rules! packed {
    ($x:literal, $y:literal) => {
        concat!(weights!("v0", "v1", "v2", "v3"), weights!("v4", "v5", "v6", "v7"), eight!($x, $y))
    };
}

/// The last four bytes, by them. The contents of `v4` to `v7` meet zeros: loads of four bytes clear the rest.
macro_rules! packed_four {
    ($x:literal, $y:literal) => {
        concat!(weights!("v0", "v1", "v2", "v3"), eight!($x, $y))
    };
}

/// Eight bytes by weights as [`pair`] leaves them; four, where the second half meets zeros.
macro_rules! paired {
    ($x:literal, $y:literal) => {
        concat!(
            weights!("v0", "v1", "v2", "v3"),
            weights!("v4", "v5", "v6", "v7"),
            matrices!("v0", "v1", $x, $y, "v16", "v17", "v24", "v25"),
            matrices!("v2", "v3", $x, $y, "v18", "v19", "v26", "v27"),
            matrices!("v4", "v5", $x, $y, "v20", "v21", "v28", "v29"),
            matrices!("v6", "v7", $x, $y, "v22", "v23", "v30", "v31"),
        )
    };
}

/// Writes eight bytes of all channels, from `v0` to `v3` and `v4` to `v7`, as [`paired!`] reads them.
macro_rules! interleaved {
    () => {
        concat!(
            "zip1 v16.4s, v0.4s, v4.4s\nzip2 v17.4s, v0.4s, v4.4s\nzip1 v18.4s, v1.4s, v5.4s\nzip2 v19.4s, v1.4s, v5.4s\n",
            "zip1 v20.4s, v2.4s, v6.4s\nzip2 v21.4s, v2.4s, v6.4s\nzip1 v22.4s, v3.4s, v7.4s\nzip2 v23.4s, v3.4s, v7.4s\n",
            "st1 {{v16.16b, v17.16b, v18.16b, v19.16b}}, [{to}], #64\n",
            "st1 {{v20.16b, v21.16b, v22.16b, v23.16b}}, [{to}], #64\n",
        )
    };
}

/// Loads `$bytes` of each pixel, and makes pairs of the first eight.
macro_rules! activations {
    ($bytes:literal, $a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "ldr ",
            $a,
            ", [{p0}], #",
            $bytes,
            "\n",
            "ldr ",
            $b,
            ", [{p1}], #",
            $bytes,
            "\n",
            "ldr ",
            $c,
            ", [{p2}], #",
            $bytes,
            "\n",
            "ldr ",
            $d,
            ", [{p3}], #",
            $bytes,
            "\n",
            "zip1 v8.2d, v12.2d, v13.2d\n",
            "zip1 v10.2d, v14.2d, v15.2d\n",
        )
    };
}

/// Sums of four pixels: from the biases on, all segments, by `$eight!` and `$four!` bytes; in the end those of pixel 0 are in `v8` to `v11`, of 1 in `v16` to
/// `v19`, of 2 in `v12` to `v15`, of 3 in `v24` to `v27`.
macro_rules! sums {
    ($eight:ident, $four:ident ; $($start:expr,)* ; $($finish:expr,)* ; $($operand:tt)*) => {
        core::arch::asm!(
            $($start,)*
            "ldp q0, q1, [{c}]",
            "ldp q2, q3, [{c}, #32]",
            "zip1 v16.2d, v0.2d, v0.2d", "zip2 v17.2d, v0.2d, v0.2d",
            "zip1 v18.2d, v1.2d, v1.2d", "zip2 v19.2d, v1.2d, v1.2d",
            "zip1 v20.2d, v2.2d, v2.2d", "zip2 v21.2d, v2.2d, v2.2d",
            "zip1 v22.2d, v3.2d, v3.2d", "zip2 v23.2d, v3.2d, v3.2d",
            "mov v24.16b, v16.16b", "mov v25.16b, v17.16b", "mov v26.16b, v18.16b", "mov v27.16b, v19.16b",
            "mov v28.16b, v20.16b", "mov v29.16b, v21.16b", "mov v30.16b, v22.16b", "mov v31.16b, v23.16b",
            "2:",
            "ldr {p0}, [{i0}], #8",
            "ldr {p1}, [{i1}], #8",
            "ldr {p2}, [{i2}], #8",
            "ldr {p3}, [{i3}], #8",
            "lsr {n}, {k}, #4",
            "cbz {n}, 4f",
            "3:",
            activations!("16", "q12", "q13", "q14", "q15"),
            "zip2 v9.2d, v12.2d, v13.2d",
            "zip2 v11.2d, v14.2d, v15.2d",
            $eight!("v8", "v10"),
            $eight!("v9", "v11"),
            "subs {n}, {n}, #1",
            "b.ne 3b",
            "4:",
            "tbz {k}, #3, 5f",
            activations!("8", "d12", "d13", "d14", "d15"),
            $eight!("v8", "v10"),
            "5:",
            "tbz {k}, #2, 6f",
            activations!("4", "s12", "s13", "s14", "s15"),
            $four!("v8", "v10"),
            "6:",
            "subs {segments}, {segments}, #1",
            "b.ne 2b",
            "zip1 v8.2d, v16.2d, v17.2d", "zip2 v16.2d, v16.2d, v17.2d",
            "zip1 v9.2d, v18.2d, v19.2d", "zip2 v17.2d, v18.2d, v19.2d",
            "zip1 v10.2d, v20.2d, v21.2d", "zip2 v18.2d, v20.2d, v21.2d",
            "zip1 v11.2d, v22.2d, v23.2d", "zip2 v19.2d, v22.2d, v23.2d",
            "zip1 v12.2d, v24.2d, v25.2d", "zip2 v24.2d, v24.2d, v25.2d",
            "zip1 v13.2d, v26.2d, v27.2d", "zip2 v25.2d, v26.2d, v27.2d",
            "zip1 v14.2d, v28.2d, v29.2d", "zip2 v26.2d, v28.2d, v29.2d",
            "zip1 v15.2d, v30.2d, v31.2d", "zip2 v27.2d, v30.2d, v31.2d",
            $($finish,)*
            p0 = out(reg) _, p1 = out(reg) _, p2 = out(reg) _, p3 = out(reg) _,
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

/// Writes a panel's weights for `pixels` from `from` to `to`, as [`paired!`] reads them: vectors of two channels by eight bytes. Where a segment
/// ends with four bytes, anything stands beside them.
///
/// # Safety
/// As many weights are readable, and [`Layout::room_len`] bytes writable.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn pair(mut from: *const i8, mut to: *mut i8, pixels: &Pixels) {
    for _ in 0..pixels.segments {
        // SAFETY: reads sixteen channels by `k` bytes, and writes as many, rounded up to whole groups of eight. With intrinsics, it takes half as
        // many instructions again.
        unsafe {
            core::arch::asm!(
                "cbz {n}, 3f",
                "2:",
                weights!("v0", "v1", "v2", "v3"),
                weights!("v4", "v5", "v6", "v7"),
                interleaved!(),
                "subs {n}, {n}, #1",
                "b.ne 2b",
                "3:",
                "tbz {k}, #2, 4f",
                weights!("v0", "v1", "v2", "v3"),
                // The second half meets zeros.
                interleaved!(),
                "4:",
                w = inout(reg) from,
                to = inout(reg) to,
                n = inout(reg) pixels.k / 8 => _,
                k = in(reg) pixels.k,
                out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _,
                out("v7") _, out("v16") _, out("v17") _, out("v18") _, out("v19") _, out("v20") _, out("v21") _,
                out("v22") _, out("v23") _,
                options(nostack),
            );
        }
    }
}

/// Four pixels by one whole panel, whose weights are paired in its room.
///
/// # Safety
/// As for [`Sums::all`] with four pixels, in mode `RELU`, `LINEAR` or `FLOAT`.
#[inline]
#[target_feature(enable = "neon,i8mm")]
unsafe fn whole<const MODE: u8>(pixels: &Pixels, panel: &Panel<'_>, out: &[[*mut i8; PIXELS]]) {
    macro_rules! run {
        ($z:literal, $each:ident) => {
            sums!(
                paired, paired ;
                "1:",
                "mov {segments}, {all}",
                "mov {w}, {panel}",
                ;
                factors!(),
                $z,
                $each!("v8", "v9", "v10", "v11", "q8", "v20", "0"),
                $each!("v16", "v17", "v18", "v19", "q16", "v20", "8"),
                $each!("v12", "v13", "v14", "v15", "q12", "v20", "16"),
                $each!("v24", "v25", "v26", "v27", "q24", "v20", "24"),
                "add {i0}, {i0}, {others}",
                "add {i1}, {i1}, {others}",
                "add {i2}, {i2}, {others}",
                "add {i3}, {i3}, {others}",
                "add {out}, {out}, #32",
                "subs {tiles}, {tiles}, #1",
                "b.ne 1b",
                ;
                i0 = inout(reg) pixels.of(0) => _, i1 = inout(reg) pixels.of(1) => _,
                i2 = inout(reg) pixels.of(2) => _, i3 = inout(reg) pixels.of(3) => _,
                segments = out(reg) _,
                all = in(reg) pixels.segments,
                others = in(reg) 3 * size_of::<*const i8>() * pixels.segments,
                tiles = inout(reg) out.len() => _,
                k = in(reg) pixels.k,
                w = out(reg) _,
                panel = in(reg) panel.room,
                c = in(reg) panel.scale,
                z = in(reg) &panel.stage.zero_point,
                out = inout(reg) out.as_ptr() => _,
                first = in(reg) panel.first,
                o = out(reg) _,
            )
        };
    }
    // SAFETY: reads `k` bytes at each segment of four pixels, 16 times as many weights for each, the constants, and
    // stores sixteen bytes of each pixel, by the caller's promise.
    unsafe {
        if MODE == mode::RELU {
            run!("/* {z} */ movi v20.16b, #128", relu);
        } else if MODE == mode::FLOAT {
            run!("ldr q20, [{z}]", float);
        } else {
            run!("ldr q20, [{z}]", linear);
        }
    }
}

/// The sums of four pixels by one panel; those from `live` on are the last one's.
///
/// # Safety
/// As for [`Sums::all`] with `live` pixels.
#[inline]
#[target_feature(enable = "neon,i8mm")]
unsafe fn four(pixels: &Pixels, panel: &Panel<'_>, live: usize) -> [[int32x4_t; 4]; PIXELS] {
    let mut sums = [[vdupq_n_s32(0); 4]; PIXELS];
    let pointers = |p: usize| pixels.of(p.min(live.wrapping_sub(1)));
    // SAFETY: reads as above, and writes the sums.
    unsafe {
        sums!(
            packed, packed_four ;
            ;
            "st1 {{v8.4s, v9.4s, v10.4s, v11.4s}}, [{to}], #64",
            "st1 {{v16.4s, v17.4s, v18.4s, v19.4s}}, [{to}], #64",
            "st1 {{v12.4s, v13.4s, v14.4s, v15.4s}}, [{to}], #64",
            "st1 {{v24.4s, v25.4s, v26.4s, v27.4s}}, [{to}], #64",
            ;
            i0 = inout(reg) pointers(0) => _, i1 = inout(reg) pointers(1) => _,
            i2 = inout(reg) pointers(2) => _, i3 = inout(reg) pointers(3) => _,
            segments = inout(reg) pixels.segments => _,
            k = in(reg) pixels.k,
            w = inout(reg) panel.weights => _,
            c = in(reg) panel.scale,
            to = inout(reg) &raw mut sums => _,
        );
    }
    sums
}
