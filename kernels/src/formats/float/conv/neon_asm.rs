//! The inner loops of aarch64's tiles: up to six pixels by four vectors of channels, or up to eight by two.
//!
//! Of four vectors, twelve to 24 sums stay in registers 8 to 31, six vectors of consecutive numbers, one of each pixel, in 0 to 5, and
//! weights pass through 6 and 7, two vectors at a time. So a vector of numbers takes one load for each pixel and a pair of loads for each of its
//! numbers; everything else multiplies. Both element types share the text: single precision has panels of four vectors, half
//! precision two panels of two.

// The assembly loads addresses of eight bytes, and lanes in the order of memory.
const _: () = assert!(size_of::<usize>() == 8 && cfg!(target_endian = "little"));

/// One number of every pixel by four vectors of weights.
macro_rules! by_four {
    ($t:literal, $e:literal, $lane:literal, $step:literal, [$(($i:literal $p:ident $x:literal $c0:tt $c1:tt $c2:tt $c3:tt))*]) => {
        concat!(
            "ldp q6, q7, [{a}], #", $step, "\n",
            $("fmla ", $c0, ".", $t, ", v6.", $t, ", ", $x, ".", $e, "[", $lane, "]\n",)*
            $("fmla ", $c1, ".", $t, ", v7.", $t, ", ", $x, ".", $e, "[", $lane, "]\n",)*
            "ldp q6, q7, [{b}], #", $step, "\n",
            $("fmla ", $c2, ".", $t, ", v6.", $t, ", ", $x, ".", $e, "[", $lane, "]\n",)*
            $("fmla ", $c3, ".", $t, ", v7.", $t, ", ", $x, ".", $e, "[", $lane, "]\n",)*
        )
    };
}

/// One number of every pixel by two vectors of weights.
macro_rules! by_two {
    ($t:literal, $e:literal, $lane:literal, $step:literal, [$(($i:literal $p:ident $x:literal $c0:tt $c1:tt))*]) => {
        concat!(
            "// not {b}\n",
            "ldp q8, q9, [{a}], #", $step, "\n",
            $("fmla ", $c0, ".", $t, ", v8.", $t, ", ", $x, ".", $e, "[", $lane, "]\n",)*
            $("fmla ", $c1, ".", $t, ", v9.", $t, ", ", $x, ".", $e, "[", $lane, "]\n",)*
        )
    };
}

/// Adds the products of `$n` numbers: whole vectors first, then one number after the other.
///
/// `$by` is one of the above, `$t` and `$e` name a vector's and a number's type, `$bytes` are those of a number; lanes of a vector, and of half of one where that is worth a step; bytes
/// from weights to the next; registers that it spoils; pixels; then `$x`, `$a`, `$b`, where numbers and weights begin, and the sums.
macro_rules! accumulate {
    (
        $by:ident $t:literal $e:literal $bytes:literal [$($lane:literal)*] [$($half:literal)*] $shift:literal $step:literal [$($spoilt:tt)*] $pixels:tt;
        $x:ident, $a:expr, $b:expr, $n:expr, $sums:ident
    ) => {
        accumulate!(@ $by $t $e $bytes [$($lane)*] [$($half)*] $shift $step [$($spoilt)*] $pixels $pixels; $x, $a, $b, $n, $sums)
    };
    // Half a vector of f16 values.
    (@half $by:ident $t:literal $e:literal $step:literal $pixels:tt [] $($p:ident $v:literal)*) => {
        ""
    };
    (@half $by:ident $t:literal $e:literal $step:literal $pixels:tt [$($lane:literal)+] $($p:ident $v:literal)*) => {
        concat!(
            "tbz {rest}, #2, 7f\n",
            $("ld1 {{", $v, ".8b}}, [{", stringify!($p), "}], #8\n",)*
            $($by!($t, $e, $lane, $step, $pixels),)*
            "sub {rest}, {rest}, #4\n",
            "7:\n",
        )
    };
    (
        @ $by:ident $t:literal $e:literal $bytes:literal [$($lane:literal)*] [$($half:literal)*] $shift:literal $step:literal [$($spoilt:tt)*]
        [$(($i:literal $p:ident $v:literal $c0:tt $c1:tt $($c2:tt $c3:tt)?))*] $pixels:tt;
        $x:ident, $a:expr, $b:expr, $n:expr, $sums:ident
    ) => {
        core::arch::asm!(
            "cbz {whole}, 3f",
            // Two vectors of each pixel a round; an odd number begins in its middle.
            "tbnz {whole}, #0, 6f",
            "2:",
            $(concat!("ld1 {{", $v, ".16b}}, [{", stringify!($p), "}], #16"),)*
            $($by!($t, $e, $lane, $step, $pixels),)*
            "6:",
            $(concat!("ld1 {{", $v, ".16b}}, [{", stringify!($p), "}], #16"),)*
            $($by!($t, $e, $lane, $step, $pixels),)*
            "subs {whole}, {whole}, #2",
            "b.gt 2b",
            "3:",
            accumulate!(@half $by $t $e $step $pixels [$($half)*] $($p $v)*),
            "cbz {rest}, 5f",
            "4:",
            $(concat!("ld1 {{", $v, ".", $e, "}}[0], [{", stringify!($p), "}], #", $bytes),)*
            $by!($t, $e, 0, $step, $pixels),
            "subs {rest}, {rest}, #1",
            "b.gt 4b",
            "5:",
            whole = inout(reg) $n >> $shift => _,
            rest = inout(reg) $n & ((1 << $shift) - 1) => _,
            a = inout(reg) $a => _,
            b = inout(reg) $b => _,
            $($p = inout(reg) $x[$i] => _,)*
            $(inout($c0) $sums[$i][0], inout($c1) $sums[$i][1], $(inout($c2) $sums[$i][2], inout($c3) $sums[$i][3],)?)*
            $(out($spoilt) _,)*
            options(nostack, readonly)
        )
    };
}

/// Ends a block: adds chains in f16 to the totals in single precision at `$totals`, stores these at `$target`, and makes the chains 0.
/// From a pixel's totals to the next one's are `$step` numbers; targets lie without gaps. `$bytes` are those of a pixel's totals.
macro_rules! end_block {
    ($bytes:literal, [$(($i:literal $p:ident $v:literal $($c:tt)*))*]; $totals:expr, $step:expr, $target:expr, $chains:ident) => {
        end_block!(@ $bytes, [$([$i $($c)*])*]; $totals, $step, $target, $chains)
    };
    (@ $bytes:literal, [$([$i:literal $c0:tt $c1:tt $($c2:tt $c3:tt)?])*]; $totals:expr, $step:expr, $target:expr, $chains:ident) => {
        core::arch::asm!(
            $(
                end_block!(@ $c0), end_block!(@ $c1), $(end_block!(@ $c2), end_block!(@ $c3),)?
                "add {totals}, {totals}, {step}",
            )*
            totals = inout(reg) $totals => _,
            step = in(reg) (4 * $step as isize) - $bytes,
            target = inout(reg) $target => _,
            $(inout($c0) $chains[$i][0], inout($c1) $chains[$i][1], $(inout($c2) $chains[$i][2], inout($c3) $chains[$i][3],)?)*
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            options(nostack)
        )
    };
    (@ $c:tt) => {
        concat!(
            "ldp q0, q1, [{totals}], #32\n",
            "fcvtl v2.4s, ", $c, ".4h\n",
            "fcvtl2 v3.4s, ", $c, ".8h\n",
            "fadd v0.4s, v0.4s, v2.4s\n",
            "fadd v1.4s, v1.4s, v3.4s\n",
            "stp q0, q1, [{target}], #32\n",
            "movi ", $c, ".2d, #0\n",
        )
    };
}

/// Does `$each` for the index of every pixel, written out: a loop would keep the sums in memory.
macro_rules! each_pixel {
    ([$(($i:literal $($register:tt)*))*], |$index:ident| $each:block) => {
        $({
            let $index = $i;
            $each
        })*
    };
}

/// Calls `$tile!` with `$n`, a constant, and the registers of as many pixels of four vectors.
macro_rules! with_four {
    ($n:expr, $tile:ident) => {
        match $n {
            1 => $tile!(1 [(0 p0 "v0" "v8" "v9" "v10" "v11")]),
            2 => $tile!(2 [(0 p0 "v0" "v8" "v9" "v10" "v11") (1 p1 "v1" "v12" "v13" "v14" "v15")]),
            3 => $tile!(3 [(0 p0 "v0" "v8" "v9" "v10" "v11") (1 p1 "v1" "v12" "v13" "v14" "v15") (2 p2 "v2" "v16" "v17" "v18" "v19")]),
            4 => $tile!(4 [
                (0 p0 "v0" "v8" "v9" "v10" "v11") (1 p1 "v1" "v12" "v13" "v14" "v15") (2 p2 "v2" "v16" "v17" "v18" "v19")
                (3 p3 "v3" "v20" "v21" "v22" "v23")
            ]),
            5 => $tile!(5 [
                (0 p0 "v0" "v8" "v9" "v10" "v11") (1 p1 "v1" "v12" "v13" "v14" "v15") (2 p2 "v2" "v16" "v17" "v18" "v19")
                (3 p3 "v3" "v20" "v21" "v22" "v23") (4 p4 "v4" "v24" "v25" "v26" "v27")
            ]),
            _ => $tile!(6 [
                (0 p0 "v0" "v8" "v9" "v10" "v11") (1 p1 "v1" "v12" "v13" "v14" "v15") (2 p2 "v2" "v16" "v17" "v18" "v19")
                (3 p3 "v3" "v20" "v21" "v22" "v23") (4 p4 "v4" "v24" "v25" "v26" "v27") (5 p5 "v5" "v28" "v29" "v30" "v31")
            ]),
        }
    };
}

/// As [`with_four`], of two vectors.
macro_rules! with_two {
    ($n:expr, $tile:ident) => {
        match $n {
            1 => $tile!(1 [(0 p0 "v0" "v10" "v11")]),
            2 => $tile!(2 [(0 p0 "v0" "v10" "v11") (1 p1 "v1" "v12" "v13")]),
            3 => $tile!(3 [(0 p0 "v0" "v10" "v11") (1 p1 "v1" "v12" "v13") (2 p2 "v2" "v14" "v15")]),
            4 => $tile!(4 [(0 p0 "v0" "v10" "v11") (1 p1 "v1" "v12" "v13") (2 p2 "v2" "v14" "v15") (3 p3 "v3" "v16" "v17")]),
            5 => $tile!(5 [
                (0 p0 "v0" "v10" "v11") (1 p1 "v1" "v12" "v13") (2 p2 "v2" "v14" "v15") (3 p3 "v3" "v16" "v17") (4 p4 "v4" "v18" "v19")
            ]),
            6 => $tile!(6 [
                (0 p0 "v0" "v10" "v11") (1 p1 "v1" "v12" "v13") (2 p2 "v2" "v14" "v15") (3 p3 "v3" "v16" "v17") (4 p4 "v4" "v18" "v19")
                (5 p5 "v5" "v20" "v21")
            ]),
            7 => $tile!(7 [
                (0 p0 "v0" "v10" "v11") (1 p1 "v1" "v12" "v13") (2 p2 "v2" "v14" "v15") (3 p3 "v3" "v16" "v17") (4 p4 "v4" "v18" "v19")
                (5 p5 "v5" "v20" "v21") (6 p6 "v6" "v22" "v23")
            ]),
            _ => $tile!(8 [
                (0 p0 "v0" "v10" "v11") (1 p1 "v1" "v12" "v13") (2 p2 "v2" "v14" "v15") (3 p3 "v3" "v16" "v17") (4 p4 "v4" "v18" "v19")
                (5 p5 "v5" "v20" "v21") (6 p6 "v6" "v22" "v23") (7 p7 "v7" "v24" "v25")
            ]),
        }
    };
}

pub(super) use {accumulate, by_four, by_two, each_pixel, end_block, with_four, with_two};
