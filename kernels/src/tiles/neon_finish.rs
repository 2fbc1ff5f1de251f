//! NEON: from the sums of several pixels to their bytes, with the factors in registers once for all of them.
//!
//! In assembly, as the compiler loads the factors again for each pixel. Only the two modes that layers mostly have, and
//! whole panels; [`Stage::bytes`](super::neon_stage::Stage::bytes) is the same for one pixel in any mode.

use super::neon_stage::{Scale, Stage, mode};
use core::arch::aarch64::*;

/// In place: the high products, the rounding shifts, and 16 bits of each. `$fix` comes before the shifts.
macro_rules! requantize {
    ($a:literal, $b:literal, $c:literal, $d:literal $(, $fix:literal)?) => {
        concat!(
            "sqrdmulh {", $a, ":v}.4s, {", $a, ":v}.4s, {m0:v}.4s\n",
            "sqrdmulh {", $b, ":v}.4s, {", $b, ":v}.4s, {m1:v}.4s\n",
            "sqrdmulh {", $c, ":v}.4s, {", $c, ":v}.4s, {m2:v}.4s\n",
            "sqrdmulh {", $d, ":v}.4s, {", $d, ":v}.4s, {m3:v}.4s\n",
            $(
                $fix, " {", $a, ":v}.4s, {", $a, ":v}.4s, #31\n",
                $fix, " {", $b, ":v}.4s, {", $b, ":v}.4s, #31\n",
                $fix, " {", $c, ":v}.4s, {", $c, ":v}.4s, #31\n",
                $fix, " {", $d, ":v}.4s, {", $d, ":v}.4s, #31\n",
            )?
            "srshl {", $a, ":v}.4s, {", $a, ":v}.4s, {s0:v}.4s\n",
            "srshl {", $b, ":v}.4s, {", $b, ":v}.4s, {s1:v}.4s\n",
            "srshl {", $c, ":v}.4s, {", $c, ":v}.4s, {s2:v}.4s\n",
            "srshl {", $d, ":v}.4s, {", $d, ":v}.4s, {s3:v}.4s\n",
            "sqxtn {", $a, ":v}.4h, {", $a, ":v}.4s\n",
            "sqxtn {", $c, ":v}.4h, {", $c, ":v}.4s\n",
            "sqxtn2 {", $a, ":v}.8h, {", $b, ":v}.4s\n",
            "sqxtn2 {", $c, ":v}.8h, {", $d, ":v}.4s\n",
        )
    };
}

/// One pixel in mode `RELU`: saturated to `0..=255`, then 128 less.
macro_rules! relu {
    ($a:literal, $b:literal, $c:literal, $d:literal, $out:literal) => {
        concat!(
            requantize!($a, $b, $c, $d),
            "ldr {o}, [{out}, #",
            $out,
            "]\n",
            "sqxtun {",
            $a,
            ":v}.8b, {",
            $a,
            ":v}.8h\n",
            "sqxtun2 {",
            $a,
            ":v}.16b, {",
            $c,
            ":v}.8h\n",
            "eor {",
            $a,
            ":v}.16b, {",
            $a,
            ":v}.16b, {z:v}.16b\n",
            "str {",
            $a,
            ":q}, [{o}, {first}]\n",
        )
    };
}

/// One pixel in mode `LINEAR`: ties away from zero, then the zero point.
macro_rules! linear {
    ($a:literal, $b:literal, $c:literal, $d:literal, $out:literal) => {
        concat!(
            requantize!($a, $b, $c, $d, "ssra"),
            "ldr {o}, [{out}, #",
            $out,
            "]\n",
            "sqadd {",
            $a,
            ":v}.8h, {",
            $a,
            ":v}.8h, {z:v}.8h\n",
            "sqadd {",
            $c,
            ":v}.8h, {",
            $c,
            ":v}.8h, {z:v}.8h\n",
            "sqxtn {",
            $a,
            ":v}.8b, {",
            $a,
            ":v}.8h\n",
            "sqxtn2 {",
            $a,
            ":v}.16b, {",
            $c,
            ":v}.8h\n",
            "str {",
            $a,
            ":q}, [{o}, {first}]\n",
        )
    };
}

/// `$name` stores whole panels of `$pixels` pixels.
macro_rules! finish {
    ($(#[$doc:meta])* $name:ident, $pixels:literal: $($a:ident $b:ident $c:ident $d:ident, [$($s:literal),*];)*) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// `MODE` is `RELU` or `LINEAR`, and that of the panel; sixteen bytes are writable `first` behind each of `out`.
        #[inline]
        #[target_feature(enable = "neon")]
        pub(crate) unsafe fn $name<const MODE: u8>(
            stage: &Stage,
            scale: &Scale,
            sums: [[int32x4_t; 4]; $pixels],
            out: &[*mut i8; $pixels],
            first: usize,
        ) {
            let [$([$a, $b, $c, $d]),*] = sums;
            let ([m0, m1, m2, m3], [s0, s1, s2, s3]) = (scale.mantissa, scale.shift);
            macro_rules! run {
                ($each:ident, $z:expr) => {
                    core::arch::asm!(
                        $($each!($($s),*),)*
                        $($a = inout(vreg) $a => _, $b = inout(vreg) $b => _,
                        $c = inout(vreg) $c => _, $d = inout(vreg) $d => _,)*
                        m0 = in(vreg) m0, m1 = in(vreg) m1, m2 = in(vreg) m2, m3 = in(vreg) m3,
                        s0 = in(vreg) s0, s1 = in(vreg) s1, s2 = in(vreg) s2, s3 = in(vreg) s3,
                        z = in(vreg) $z,
                        out = in(reg) out,
                        first = in(reg) first,
                        o = out(reg) _,
                        options(nostack, preserves_flags),
                    )
                };
            }
            // SAFETY: stores sixteen bytes at each of `out`, by the caller's promise.
            unsafe {
                if MODE == mode::RELU {
                    run!(relu, vdupq_n_u8(128));
                } else {
                    run!(linear, stage.zero_point);
                }
            }
        }
    };
}

finish! {
    /// Two pixels.
    two, 2:
    a0 a1 a2 a3, ["a0", "a1", "a2", "a3", "0"];
    b0 b1 b2 b3, ["b0", "b1", "b2", "b3", "8"];
}

finish! {
    /// Five pixels.
    five, 5:
    a0 a1 a2 a3, ["a0", "a1", "a2", "a3", "0"];
    b0 b1 b2 b3, ["b0", "b1", "b2", "b3", "8"];
    c0 c1 c2 c3, ["c0", "c1", "c2", "c3", "16"];
    d0 d1 d2 d3, ["d0", "d1", "d2", "d3", "24"];
    e0 e1 e2 e3, ["e0", "e1", "e2", "e3", "32"];
}
