//! Assembly text for the tiles of aarch64: from the sums of a pixel to its bytes, with the factors in registers.
//!
//! Tiles are assembly from the biases to the bytes: the compiler would load constants before the loop over pixels and
//! then move them out of the way of the accumulators, tile by tile. This is for the three modes that layers mostly have, and
//! whole panels; [`Stage::bytes`](super::neon_stage::Stage::bytes) is the same in any mode.
//!
//! In all of them, `{c}` is the address of a [`Scale`](super::neon_stage::Scale), `{out}` that of the pixels' addresses, `{first}`
//! the panel's first channel, and `{o}` a register.

use super::neon_stage::{Scale, Stage, mode};
use core::arch::aarch64::*;

// The assembly loads addresses of eight bytes, and lanes in the order of memory.
const _: () = assert!(size_of::<usize>() == 8 && cfg!(target_endian = "little"));

/// Loads the factors into `v0` to `v7`.
macro_rules! factors {
    () => {
        "ldp q0, q1, [{c}, #64]\nldp q2, q3, [{c}, #96]\nldp q4, q5, [{c}, #128]\nldp q6, q7, [{c}, #160]\n"
    };
}

/// In place: the high products, the rounding shifts, and 16 bits of each, in `$a` and `$c`.
macro_rules! products {
    ($a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "sqrdmulh ",
            $a,
            ".4s, ",
            $a,
            ".4s, v0.4s\n",
            "sqrdmulh ",
            $b,
            ".4s, ",
            $b,
            ".4s, v1.4s\n",
            "sqrdmulh ",
            $c,
            ".4s, ",
            $c,
            ".4s, v2.4s\n",
            "sqrdmulh ",
            $d,
            ".4s, ",
            $d,
            ".4s, v3.4s\n",
        )
    };
}
macro_rules! shifts {
    ($a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "srshl ",
            $a,
            ".4s, ",
            $a,
            ".4s, v4.4s\n",
            "srshl ",
            $b,
            ".4s, ",
            $b,
            ".4s, v5.4s\n",
            "srshl ",
            $c,
            ".4s, ",
            $c,
            ".4s, v6.4s\n",
            "srshl ",
            $d,
            ".4s, ",
            $d,
            ".4s, v7.4s\n",
            halves!($a, $b, $c, $d),
        )
    };
}

/// In place: 16 bits of each of four, in `$a` and `$c`.
macro_rules! halves {
    ($a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "sqxtn ", $a, ".4h, ", $a, ".4s\n", "sqxtn ", $c, ".4h, ", $c, ".4s\n", "sqxtn2 ", $a, ".8h, ",
            $b, ".4s\n", "sqxtn2 ", $c, ".8h, ", $d, ".4s\n",
        )
    };
}

/// The pixel whose address is `$at` bytes behind `{out}`, in mode `RELU`: saturated to `0..=255`, then 128 less; `$z` holds
/// 128 in each byte. `$load` may put it there, into `$b` or `$d`, which are free by then.
macro_rules! relu {
    ($a:literal, $b:literal, $c:literal, $d:literal, $q:literal, $z:literal, $at:literal) => {
        relu!($a, $b, $c, $d, $q, $z, $at, "")
    };
    ($a:literal, $b:literal, $c:literal, $d:literal, $q:literal, $z:literal, $at:literal, $load:literal) => {
        concat!(
            products!($a, $b, $c, $d),
            "ldr {o}, [{out}, #",
            $at,
            "]\n",
            shifts!($a, $b, $c, $d),
            $load,
            "sqxtun ",
            $a,
            ".8b, ",
            $a,
            ".8h\n",
            "sqxtun2 ",
            $a,
            ".16b, ",
            $c,
            ".8h\n",
            "eor ",
            $a,
            ".16b, ",
            $a,
            ".16b, ",
            $z,
            ".16b\n",
            "str ",
            $q,
            ", [{o}, {first}]\n",
        )
    };
}

/// The same in mode `LINEAR`: ties away from zero; `$z` holds the zero point in each half-word.
macro_rules! linear {
    ($a:literal, $b:literal, $c:literal, $d:literal, $q:literal, $z:literal, $at:literal) => {
        linear!($a, $b, $c, $d, $q, $z, $at, "")
    };
    ($a:literal, $b:literal, $c:literal, $d:literal, $q:literal, $z:literal, $at:literal, $load:literal) => {
        concat!(
            products!($a, $b, $c, $d),
            "ldr {o}, [{out}, #",
            $at,
            "]\n",
            "ssra ",
            $a,
            ".4s, ",
            $a,
            ".4s, #31\n",
            "ssra ",
            $b,
            ".4s, ",
            $b,
            ".4s, #31\n",
            "ssra ",
            $c,
            ".4s, ",
            $c,
            ".4s, #31\n",
            "ssra ",
            $d,
            ".4s, ",
            $d,
            ".4s, #31\n",
            shifts!($a, $b, $c, $d),
            $load,
            moved!($a, $c, $q, $z),
        )
    };
}

/// The zero point, in each half-word of `$z`, is added to `$a` and `$c`; their bytes are stored.
macro_rules! moved {
    ($a:literal, $c:literal, $q:literal, $z:literal) => {
        concat!(
            "sqadd ",
            $a,
            ".8h, ",
            $a,
            ".8h, ",
            $z,
            ".8h\n",
            "sqadd ",
            $c,
            ".8h, ",
            $c,
            ".8h, ",
            $z,
            ".8h\n",
            "sqxtn ",
            $a,
            ".8b, ",
            $a,
            ".8h\n",
            "sqxtn2 ",
            $a,
            ".16b, ",
            $c,
            ".8h\n",
            "str ",
            $q,
            ", [{o}, {first}]\n",
        )
    };
}

/// In place: one instruction for each of four.
macro_rules! each {
    ($name:literal, $($x:literal)*) => {
        concat!($($name, " ", $x, ".4s, ", $x, ".4s\n"),*)
    };
}

/// The same in mode `FLOAT`: products in single precision, the nearest integers, ties to even; `$z` holds the zero point in each half-word.
macro_rules! float {
    ($a:literal, $b:literal, $c:literal, $d:literal, $q:literal, $z:literal, $at:literal) => {
        float!($a, $b, $c, $d, $q, $z, $at, "")
    };
    ($a:literal, $b:literal, $c:literal, $d:literal, $q:literal, $z:literal, $at:literal, $load:literal) => {
        concat!(
            each!("scvtf", $a $b $c $d),
            concat!("fmul ", $a, ".4s, ", $a, ".4s, v0.4s\n"),
            concat!("fmul ", $b, ".4s, ", $b, ".4s, v1.4s\n"),
            concat!("fmul ", $c, ".4s, ", $c, ".4s, v2.4s\n"),
            concat!("fmul ", $d, ".4s, ", $d, ".4s, v3.4s\n"),
            concat!("ldr {o}, [{out}, #", $at, "]\n"),
            each!("fcvtns", $a $b $c $d),
            halves!($a, $b, $c, $d),
            $load,
            moved!($a, $c, $q, $z),
        )
    };
}

pub(crate) use {each, factors, float, halves, linear, moved, products, relu, shifts};

/// Requantises the sums of four pixels and stores sixteen channels of each.
///
/// # Safety
/// `MODE` is `RELU`, `LINEAR` or `FLOAT`, and that of the panel; sixteen bytes are writable at each of `out`.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) unsafe fn four<const MODE: u8>(
    stage: &Stage,
    scale: &Scale,
    sums: &[[int32x4_t; 4]; 4],
    out: &[*mut i8; 4],
) {
    macro_rules! run {
        ($z:literal, $each:ident) => {
            core::arch::asm!(
                factors!(),
                $z,
                "ldp q16, q17, [{sums}]",
                "ldp q18, q19, [{sums}, #32]",
                "ldp q20, q21, [{sums}, #64]",
                "ldp q22, q23, [{sums}, #96]",
                "ldp q24, q25, [{sums}, #128]",
                "ldp q26, q27, [{sums}, #160]",
                "ldp q28, q29, [{sums}, #192]",
                "ldp q30, q31, [{sums}, #224]",
                $each!("v16", "v17", "v18", "v19", "q16", "v8", "0"),
                $each!("v20", "v21", "v22", "v23", "q20", "v8", "8"),
                $each!("v24", "v25", "v26", "v27", "q24", "v8", "16"),
                $each!("v28", "v29", "v30", "v31", "q28", "v8", "24"),
                c = in(reg) scale,
                z = in(reg) &stage.zero_point,
                sums = in(reg) sums,
                out = in(reg) out,
                first = in(reg) 0usize,
                o = out(reg) _,
                out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _,
                out("v7") _, out("v8") _, out("v16") _, out("v17") _, out("v18") _, out("v19") _, out("v20") _,
                out("v21") _, out("v22") _, out("v23") _, out("v24") _, out("v25") _, out("v26") _,
                out("v27") _, out("v28") _, out("v29") _, out("v30") _, out("v31") _,
                options(nostack),
            )
        };
    }
    // SAFETY: reads the sums and the constants, stores sixteen bytes at each of `out`, by the caller's promise.
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
