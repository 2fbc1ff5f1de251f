//! Helpers of aarch64's tiles: conversions of f16, and storing results.
//!
//! `fcvtl` and `fcvtn` belong to every aarch64. The compiler's functions for them are younger than the compilers that this is to be built with.

use super::{
    super::{Float, FloatBounds},
    tile::{Panels, Pixel},
};
use core::arch::{aarch64::*, asm};

// The assembly loads addresses of eight bytes, and lanes in the order of memory.
const _: () = assert!(size_of::<usize>() == 8 && cfg!(target_endian = "little"));

/// The four f16 values in the lower part.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn low(halves: uint16x8_t) -> float32x4_t {
    let values;
    // SAFETY: an instruction of every aarch64, on registers.
    unsafe {
        asm!("fcvtl {0:v}.4s, {1:v}.4h", out(vreg) values, in(vreg) halves, options(pure, nomem, nostack));
    }
    values
}

/// The four f16 values in the upper part.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn high(halves: uint16x8_t) -> float32x4_t {
    let values;
    // SAFETY: an instruction of every aarch64, on registers.
    unsafe {
        asm!("fcvtl2 {0:v}.4s, {1:v}.8h", out(vreg) values, in(vreg) halves, options(pure, nomem, nostack));
    }
    values
}

/// Four f16 values.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn widened(halves: uint16x4_t) -> float32x4_t {
    let values;
    // SAFETY: an instruction of every aarch64, on registers.
    unsafe {
        asm!("fcvtl {0:v}.4s, {1:v}.4h", out(vreg) values, in(vreg) halves, options(pure, nomem, nostack));
    }
    values
}

/// The nearest four f16 values.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn narrowed(values: float32x4_t) -> uint16x4_t {
    let halves;
    // SAFETY: an instruction of every aarch64, on registers.
    unsafe {
        asm!("fcvtn {0:v}.4h, {1:v}.4s", out(vreg) halves, in(vreg) values, options(pure, nomem, nostack));
    }
    halves
}

/// The nearest f16 values.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn halves(low: float32x4_t, high: float32x4_t) -> uint16x8_t {
    let halves;
    // SAFETY: instructions of every aarch64, on registers.
    unsafe {
        asm!(
            "fcvtn {0:v}.4h, {1:v}.4s",
            "fcvtn2 {0:v}.8h, {2:v}.4s",
            out(vreg) halves, in(vreg) low, in(vreg) high,
            options(pure, nomem, nostack)
        );
    }
    halves
}

/// See [`super::tile::Tile::widen`].
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn widen(source: *const u8, target: *mut f32, n: usize) {
    let mut i = n / 32 * 32;
    // SAFETY: `n` f16 values and as many values; where there are eight or more, the last eight may overlap those before.
    unsafe {
        if i > 0 {
            asm!(
                "2:",
                "ldp q0, q1, [{source}], #32",
                "ldp q2, q3, [{source}], #32",
                "fcvtl v4.4s, v0.4h",
                "fcvtl2 v5.4s, v0.8h",
                "fcvtl v6.4s, v1.4h",
                "fcvtl2 v7.4s, v1.8h",
                "fcvtl v16.4s, v2.4h",
                "fcvtl2 v17.4s, v2.8h",
                "fcvtl v18.4s, v3.4h",
                "fcvtl2 v19.4s, v3.8h",
                "stp q4, q5, [{target}], #32",
                "stp q6, q7, [{target}], #32",
                "stp q16, q17, [{target}], #32",
                "stp q18, q19, [{target}], #32",
                "subs {rounds}, {rounds}, #1",
                "b.ne 2b",
                source = inout(reg) source => _,
                target = inout(reg) target => _,
                rounds = inout(reg) i / 32 => _,
                out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                out("v16") _, out("v17") _, out("v18") _, out("v19") _,
                options(nostack)
            );
        }
        if n >= 8 {
            while i < n {
                let at = i.min(n - 8);
                let halves = vreinterpretq_u16_u8(vld1q_u8(source.add(2 * at)));
                vst1q_f32(target.add(at), low(halves));
                vst1q_f32(target.add(at + 4), high(halves));
                i += 8;
            }
            return;
        }
        while i < n {
            let half = vdupq_n_u16(source.add(2 * i).cast::<u16>().read_unaligned());
            vst1q_lane_f32::<0>(target.add(i), low(half));
            i += 1;
        }
    }
}

/// Whether all of so many channels are stored, and there is no upper bound.
pub(super) fn is_whole<W>(panels: &Panels<'_, W>, channels: usize) -> bool {
    panels.live >= channels && panels.range.most == f32::INFINITY
}

/// Stores the results of a pixel from `V` times eight sums, as f16 or in single precision.
///
/// # Safety
/// As many channels are writable; [`is_whole`] says so.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn store<const HALVES: bool, const V: usize, N, W>(
    pixel: &Pixel<N>,
    panels: &Panels<'_, W>,
    sums: [[float32x4_t; 2]; V],
) {
    let out = pixel.out.wrapping_add(panels.first).cast::<u8>();
    let least = vdupq_n_f32(panels.range.least);
    for (v, sums) in sums.into_iter().enumerate() {
        let [a, b] = sums.map(|x| vmaxnmq_f32(x, least));
        // SAFETY: all channels are live.
        unsafe {
            if HALVES {
                vst1q_u8(out.add(16 * v), vreinterpretq_u8_u16(halves(a, b)));
            } else {
                vst1q_u8(out.add(32 * v), vreinterpretq_u8_f32(a));
                vst1q_u8(out.add(32 * v + 16), vreinterpretq_u8_f32(b));
            }
        }
    }
}

/// Stores the results of a pixel from `V` times eight sums, those that are live.
///
/// # Safety
/// They are writable.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn store_part<const V: usize, N, W>(
    pixel: &Pixel<N>,
    panels: &Panels<'_, W>,
    sums: [[float32x4_t; 2]; V],
) {
    let out = pixel.out.wrapping_add(panels.first);
    // SAFETY: the caller's promise.
    unsafe { part(sums.as_ptr().cast(), out, panels.live, panels.range, panels.to) };
}

/// Stores `live` results of a pixel.
///
/// # Safety
/// Their sums are readable, up to whole fours, and they are writable at `out`.
#[inline(never)]
#[target_feature(enable = "neon")]
unsafe fn part(sums: *const f32, out: *mut i8, live: usize, range: FloatBounds, to: Float) {
    let [least, most] = [range.least, range.most].map(|x| vdupq_n_f32(x));
    let size = to.bytes();
    let mut i = 0;
    while i < live {
        let n = (live - i).min(4);
        // SAFETY: four sums; as many results as are live.
        unsafe {
            let result = vminnmq_f32(vmaxnmq_f32(vld1q_f32(sums.add(i)), least), most);
            let bytes = match to {
                Float::F16 => vreinterpretq_u8_u16(halves(result, result)),
                Float::F32 => vreinterpretq_u8_f32(result),
            };
            let out = out.add(i * size);
            match (n, to) {
                (4, Float::F16) => vst1_u8(out.cast(), vget_low_u8(bytes)),
                (4, Float::F32) => vst1q_u8(out.cast(), bytes),
                _ => {
                    let mut copy = [0i8; 16];
                    vst1q_u8(copy.as_mut_ptr().cast(), bytes);
                    out.copy_from_nonoverlapping(copy.as_ptr(), n * size);
                }
            }
        }
        i += n;
    }
}
