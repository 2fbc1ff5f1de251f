//! Helium: sixteen channels at a time.
//!
//! `vmullb` and `vmullt` make 32-bit products of eight 16-bit numbers, of their even and their odd lanes: a tap of sixteen channels is 14 instructions,
//! with its address and the loop around it. Even and odd channels stay apart until they are narrowed again, in the order that they had. Runs of pixels
//! that see the same taps, and what the taps in the padding add, are those of [`super::dsp`].

use super::{
    DepthwiseConv2d,
    dsp::{Columns, MAX_RUNS, NONE, Within, columns},
};
use crate::{
    Isa, Rounding,
    base::memory::{In, Out},
    microkernels::mve::mve,
};
use core::arch::naked_asm;

/// Channels that are handled together.
const CHANNELS: usize = 16;
/// Rows of the output that are computed before the next channels.
const BAND: usize = 8;

/// Consecutive pixels of one row that see the same taps. The assembly has the offsets of the fields.
#[repr(C)]
struct Run {
    /// 0: rows and columns of taps within the image.
    taps: [usize; 2],
    /// 8: the first tap within the image of the next pixel, first of the channels.
    x: *const i8,
    /// 12: its weights.
    weights: *const i8,
    /// 16: bytes from a tap to the next in its row, of the image and of the weights.
    tap: [usize; 2],
    /// 24: bytes from the end of a row of taps to the next, of the image and of the weights.
    gap: [usize; 2],
    /// 32: bytes from one pixel's taps to the next one's, and between their results.
    steps: [usize; 2],
    /// 40: where the next pixel's results go.
    out: *mut i8,
    /// 44: pixels; not 0.
    count: usize,
    /// 48
    zero_point: i32,
    /// 52
    min: i32,
    /// 56
    max: i32,
    /// 60: where sums begin, mantissas, shifts: even and odd ones of the first eight channels, then of the others.
    init: [i32; CHANNELS],
    mantissa: [i32; CHANNELS],
    shift: [i32; CHANNELS],
}

const _: () = assert!(core::mem::offset_of!(Run, init) == 60);

/// Where channel `c` of sixteen lies among the constants.
const fn place(c: usize) -> usize {
    c & 8 | (c & 1) << 2 | (c & 6) >> 1
}

/// Computes the layer where Helium is, if it has enough channels and factors for which there is a short way.
///
/// The caller has checked the parameters.
#[inline(never)]
pub(super) fn run(conv: &DepthwiseConv2d<'_>, isa: Isa, input: In<'_>, out: Out<'_>) -> bool {
    let ([h, w, _], [oh, ow, channels]) = (input.shape(), out.shape());
    let [kh, kw] = conv.kernel.map(|d| d as usize);
    let [dy, dx] = conv.dilation.map(|d| d as usize);
    let most = match conv.stage.rounding {
        Rounding::TfliteDouble => 0,
        Rounding::Single => -1,
        Rounding::FloatEven => return false,
    };
    let factors = || conv.mantissa.iter().zip(conv.shift).take(channels);
    let fits = |(m, s): (&i32, &i8)| *m >= 0 && (-31..=most).contains(&i32::from(*s));
    if !isa.has_mve() || channels < CHANNELS || !factors().all(fits) {
        return false;
    }
    let stride = input.stride();
    let Some((columns, columns_len)) = columns(conv, w, ow) else { return false };
    let mut run = Run {
        taps: [0, 0],
        x: input.as_ptr(),
        weights: conv.weights.as_ptr(),
        tap: [dx * stride, channels],
        gap: [0, 0],
        steps: [conv.stride[1] as usize * stride, out.stride()],
        out: out.as_ptr(),
        count: 0,
        zero_point: conv.stage.zero_point.into(),
        min: conv.stage.min.into(),
        max: conv.stage.max.into(),
        init: [0; CHANNELS],
        mantissa: [0; CHANNELS],
        shift: [0; CHANNELS],
    };
    for band in (0..oh).step_by(BAND) {
        let mut next = 0;
        while next < channels {
            // The last sixteen may have been computed in part.
            let first = next.min(channels - CHANNELS);
            next += CHANNELS;
            for c in 0..CHANNELS {
                let at = place(c);
                let (mantissa, shift) = (conv.mantissa.get(first + c), conv.shift.get(first + c));
                if let (Some(to), Some(m)) = (run.mantissa.get_mut(at), mantissa) {
                    *to = *m;
                }
                if let (Some(to), Some(s)) = (run.shift.get_mut(at), shift) {
                    *to = (*s).into();
                }
            }
            // Where sums begin depends on the taps that are seen: row for row the same.
            let mut known = [([NONE; 2], [0; CHANNELS]); MAX_RUNS];
            for oy in band..oh.min(band + BAND) {
                let y = (oy * conv.stride[0] as usize) as isize - conv.padding[0] as isize;
                let rows = Within::new(y, kh, dy, h);
                // Negative without rows; then nothing is read.
                let row = (y.wrapping_add_unsigned(rows.first * dy) as usize).wrapping_mul(w * stride);
                let row = input.as_ptr().wrapping_add(row.wrapping_add(first));
                let mut to = out.as_ptr().wrapping_add(oy * ow * out.stride() + first);
                for (run_of, known) in columns.iter().take(columns_len).zip(&mut known) {
                    let Columns { columns, x, count } = *run_of;
                    let seen = [rows, columns];
                    if known.0 != seen {
                        *known = (seen, init(conv, seen, first, channels));
                    }
                    run.init = known.1;
                    run.taps = seen.map(Within::len);
                    if run.taps.contains(&0) {
                        run.taps = [0, 0];
                    }
                    let wide = run.taps[1];
                    run.gap = [(dy * w * stride).wrapping_sub(wide * dx * stride), (kw - wide) * channels];
                    run.count = count;
                    run.x = row.wrapping_add(x.wrapping_mul(stride));
                    let seen_first = rows.first * kw + columns.first;
                    run.weights = conv.weights.as_ptr().wrapping_add(seen_first * channels + first);
                    run.out = to;
                    to = to.wrapping_add(count * out.stride());
                    // SAFETY: all taps of `rows` and `columns` lie within the image for all `count` pixels, and so do their sixteen
                    // channels; the pixels of the output exist; `views` measured the weights.
                    unsafe {
                        match conv.stage.rounding {
                            Rounding::Single => single(&run),
                            _ => double(&run),
                        }
                    }
                }
            }
        }
    }
    true
}

/// Biases, and what the taps outside the image add: they read the zero point.
fn init(
    conv: &DepthwiseConv2d<'_>,
    [rows, columns]: [Within; 2],
    first: usize,
    channels: usize,
) -> [i32; CHANNELS] {
    let bias = conv.bias.get(first..).and_then(|rest| rest.first_chunk::<CHANNELS>()).copied();
    let mut sums = bias.unwrap_or_default();
    let [kh, kw] = conv.kernel.map(|d| d as usize);
    let zero = conv.input_zero_point as i32;
    for ky in 0..if rows.len() == kh && columns.len() == kw { 0 } else { kh } {
        for kx in 0..kw {
            let within = ky >= rows.first && ky < rows.end && kx >= columns.first && kx < columns.end;
            let weights = conv.weights.get((ky * kw + kx) * channels + first..);
            if let (false, Some(weights)) = (within, weights.and_then(|rest| rest.first_chunk::<CHANNELS>()))
            {
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum = sum.wrapping_add(i32::from(*weight) * zero);
                }
            }
        }
    }
    let mut init = [0; CHANNELS];
    for (c, sum) in sums.into_iter().enumerate() {
        if let Some(to) = init.get_mut(place(c)) {
            *to = sum;
        }
    }
    init
}

/// Eight channels of a tap at r1 and r2 to the sums of even and odd ones; `$at` is the offset.
macro_rules! eight {
    ($at:literal, $even:literal, $odd:literal) => {
        concat!(
            concat!("vldrb.s16 q4, [r1, #", $at, "]\n"),
            concat!("vldrb.s16 q5, [r2, #", $at, "]\n"),
            "vmullb.s16 q6, q4, q5\n",
            concat!("vadd.i32 ", $even, ", ", $even, ", q6\n"),
            "vmullt.s16 q6, q4, q5\n",
            concat!("vadd.i32 ", $odd, ", ", $odd, ", q6\n"),
        )
    };
}

/// Scales the four sums in `$q`, whose mantissas and shifts lie at these offsets from r0 on.
macro_rules! scale {
    ($way:ident, $q:literal, $mantissa:literal, $shift:literal) => {
        concat!(
            concat!("vldrw.u32 q4, [r0, #", $mantissa, "]\n"),
            concat!("vldrw.u32 q5, [r0, #", $shift, "]\n"),
            scale!($way, $q),
            concat!("vrshl.s32 ", $q, ", ", $q, ", q5\n"),
        )
    };
    (double, $q:literal) => {
        concat!(
            concat!("vqrdmulh.s32 ", $q, ", ", $q, ", q4\n"),
            // A shift of 0 has no sign: nothing is taken off.
            concat!("vand q4, ", $q, ", q5\n"),
            "vshr.s32 q4, q4, #31\n",
            concat!("vqadd.s32 ", $q, ", ", $q, ", q4\n"),
        )
    };
    (single, $q:literal) => {
        concat!("vqdmulh.s32 ", $q, ", ", $q, ", q4\n")
    };
}

/// Narrows even and odd channels to eight in order, and stores them at r6.
macro_rules! store {
    ($even:literal, $odd:literal, $at:literal) => {
        concat!(
            concat!("vqmovnb.s32 ", $even, ", ", $even, "\n"),
            concat!("vqmovnt.s32 ", $even, ", ", $odd, "\n"),
            concat!("vqadd.s16 ", $even, ", ", $even, ", r3\n"),
            concat!("vmax.s16 ", $even, ", ", $even, ", q4\n"),
            concat!("vmin.s16 ", $even, ", ", $even, ", q5\n"),
            concat!("vstrb.16 ", $even, ", [r6, #", $at, "]\n"),
        )
    };
}

macro_rules! runs {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// All taps of all pixels are readable, sixteen channels of each, with their weights; as many results are writable.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(run: &Run) {
            // r1 and r2 are the tap and its weights, r4 and r5 the steps to the next, r8 and r9 those to the next row, r6 the result, r7 its step,
            // r10 pixels that are left, r11 rows, r12 the first tap of the pixel, r3 scratch, and r0 the run.
            naked_asm!(concat!(
                mve!(),
                "push {{r4-r11, lr}}\n",
                "vpush {{d8-d13}}\n",
                "ldr r12, [r0, #8]\n",
                "ldrd r4, r5, [r0, #16]\n",
                "ldrd r8, r9, [r0, #24]\n",
                "ldr r7, [r0, #36]\n",
                "ldrd r6, r10, [r0, #40]\n",
                "2:\n",
                "add r3, r0, #60\n",
                "vldrw.u32 q0, [r3]\n",
                "vldrw.u32 q1, [r3, #16]\n",
                "vldrw.u32 q2, [r3, #32]\n",
                "vldrw.u32 q3, [r3, #48]\n",
                "ldr r2, [r0, #12]\n",
                "ldrd r11, r3, [r0]\n",
                "mov r1, r12\n",
                "cbz r3, 5f\n",
                "3:\n",
                "dls lr, r3\n",
                "4:\n",
                eight!("0", "q0", "q1"),
                eight!("8", "q2", "q3"),
                "add r1, r1, r4\n",
                "add r2, r2, r5\n",
                "le lr, 4b\n",
                "add r1, r1, r8\n",
                "add r2, r2, r9\n",
                "subs r11, r11, #1\n",
                "bne 3b\n",
                "5:\n",
                scale!($name, "q0", "124", "188"),
                scale!($name, "q1", "140", "204"),
                scale!($name, "q2", "156", "220"),
                scale!($name, "q3", "172", "236"),
                "ldrd r3, r1, [r0, #52]\n",
                "vdup.16 q4, r3\n",
                "vdup.16 q5, r1\n",
                "ldr r3, [r0, #48]\n",
                store!("q0", "q1", "0"),
                store!("q2", "q3", "8"),
                "add r6, r6, r7\n",
                "ldr r1, [r0, #32]\n",
                "add r12, r12, r1\n",
                "subs r10, r10, #1\n",
                "bne 2b\n",
                "vpop {{d8-d13}}\n",
                "pop {{r4-r11, pc}}\n",
            ))
        }
    };
}

runs! {
    /// The double rounding.
    double
}
runs! {
    /// One rounding.
    single
}
