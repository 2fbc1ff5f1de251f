//! AVX-512 VNNI: `vpdpbusd`, 64 products per instruction.
//!
//! Activations are the unsigned operand: four bytes are broadcast and get 128 added by flipping their sign bits; the
//! weights of 16 channels are the signed one. Products of an unsigned and a signed byte and the sum of four of them fit
//! 18 bits, and the non-saturating form of the instruction is used, so the sums are exact modulo `2^32`.

use super::super::{Layout, Panels, Rows, Tile};
use super::avx512_stage::{self, Scale, Stage};
use crate::Isa;
use core::arch::x86_64::*;

/// Proof that AVX-512 F, BW, VL and VNNI can be executed.
#[derive(Clone, Copy, Debug)]
pub struct Avx512Vnni(());

impl Avx512Vnni {
    /// The token, where `isa` has the instructions.
    pub const fn new(isa: Isa) -> Option<Self> {
        if isa.has_avx512_vnni() { Some(Self(())) } else { None }
    }
}

impl Tile for Avx512Vnni {
    const LAYOUT: Layout = Layout::VNNI;
    const MAX_PANELS: usize = 4;
    const MAX_PIXELS: usize = 12;

    #[inline(always)]
    fn pixels(self, panels: usize) -> usize {
        match panels {
            1 | 2 => 12,
            3 => 8,
            _ => 6,
        }
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
        unsafe {
            match (panels, pixels) {
                (1, 7..) => tile::<12, 1>(rows, constants, channels, pixels, out),
                (1, 2..) => tile::<6, 1>(rows, constants, channels, pixels, out),
                (1, _) => tile::<1, 1>(rows, constants, channels, pixels, out),
                (2, 7..) => tile::<12, 2>(rows, constants, channels, pixels, out),
                (2, 2..) => tile::<6, 2>(rows, constants, channels, pixels, out),
                (2, _) => tile::<1, 2>(rows, constants, channels, pixels, out),
                (3, 5..) => tile::<8, 3>(rows, constants, channels, pixels, out),
                (3, 2..) => tile::<4, 3>(rows, constants, channels, pixels, out),
                (3, _) => tile::<1, 3>(rows, constants, channels, pixels, out),
                (_, 4..) => tile::<6, 4>(rows, constants, channels, pixels, out),
                (_, 2..) => tile::<3, 4>(rows, constants, channels, pixels, out),
                (_, _) => tile::<1, 4>(rows, constants, channels, pixels, out),
            }
        }
    }
}

/// `PX` pixels by `PN` panels of 16 channels, accumulators in registers.
///
/// # Safety
/// As for [`Tile::run`] with `panels == PN` and `pixels <= PX`, where the instructions exist.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn tile<const PX: usize, const PN: usize>(
    rows: &Rows,
    constants: &Panels,
    channels: usize,
    pixels: usize,
    out: &[*mut i8],
) {
    let mut acc = [[_mm512_setzero_si512(); PN]; PX];
    for n in 0..PN {
        // SAFETY: `PN` panels of 16 biases.
        let bias = unsafe { _mm512_loadu_si512(constants.bias.add(16 * n).cast()) };
        for row in &mut acc {
            row[n] = bias;
        }
    }
    let sign = opaque(_mm512_set1_epi8(-128));
    let mut w = constants.weights;
    // A tile with fewer pixels computes its last one several times.
    let row: [*const i32; PX] = core::array::from_fn(|p| {
        rows.offsets.wrapping_add((if p < pixels { p } else { pixels - 1 }) * rows.segments)
    });
    for s in 0..rows.segments {
        let mut x = [rows.pad; PX];
        for (x, row) in x.iter_mut().zip(row) {
            // SAFETY: `pixels` rows of `segments` offsets exist.
            *x = rows.resolve(unsafe { *row.add(s) });
        }
        let mut k = 0;
        while k < rows.k {
            let weights: [__m512i; PN] = core::array::from_fn(|n| {
                // SAFETY: panels lie `weights_stride` apart, and each has 64 bytes for these four `k`.
                unsafe { _mm512_loadu_si512(w.wrapping_add(n * constants.weights_stride).cast()) }
            });
            for (row, x) in acc.iter_mut().zip(x) {
                // SAFETY: `k + 4 <= rows.k` readable bytes, as `rows.k` is a multiple of 4.
                let four = unsafe { x.add(k).cast::<i32>().read_unaligned() };
                let four = _mm512_xor_si512(_mm512_set1_epi32(four), sign);
                for (a, w) in row.iter_mut().zip(weights) {
                    *a = _mm512_dpbusd_epi32(*a, four, w);
                }
            }
            w = w.wrapping_add(64);
            k += 4;
        }
    }
    // A copy, so that only the copy has an address and the accumulators above stay in registers.
    let done = acc;
    // SAFETY: the caller's promise, with `pixels <= PX`.
    unsafe { store::<PN>(&done, constants, channels, pixels, out) };
}

/// The same vector, of which the compiler knows nothing: it would move the sign flip in front of the broadcast, where
/// it costs two more instructions than as one operation with a broadcast memory operand.
#[inline]
#[target_feature(enable = "avx512f")]
fn opaque(mut v: __m512i) -> __m512i {
    // SAFETY: no instruction at all.
    unsafe {
        core::arch::asm!("/* {0} */", inout(zmm_reg) v, options(pure, nomem, nostack, preserves_flags))
    };
    v
}

/// Requantises, clamps and stores the accumulators of `pixels` pixels. Not inlined: one copy for all tiles of `PN`
/// panels, and a loop over pixels that needs no registers of the accumulation.
///
/// # Safety
/// As for [`Tile::run`] with `panels == PN` and `pixels <= acc.len()`, where the instructions exist.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn store<const PN: usize>(
    acc: &[[__m512i; PN]],
    constants: &Panels,
    channels: usize,
    pixels: usize,
    out: &[*mut i8],
) {
    let stage = Stage::new(&constants.stage);
    for n in 0..PN {
        // SAFETY: `PN` panels of 16 mantissas and shifts.
        let (mantissa, shift) = unsafe {
            (
                _mm512_loadu_si512(constants.mantissa.add(16 * n).cast()),
                _mm512_cvtepi8_epi32(_mm_loadu_si128(constants.shift.add(16 * n).cast())),
            )
        };
        let live = channels.saturating_sub(16 * n).min(16);
        let scale = Scale::new(mantissa, shift);
        for (row, &out) in acc.iter().zip(out).take(pixels) {
            let bytes = stage.bytes(&scale, row[n]);
            // SAFETY: `live` more channels are writable from channel `16 n` on.
            unsafe { avx512_stage::store(out.add(16 * n), bytes, live) };
        }
    }
}
