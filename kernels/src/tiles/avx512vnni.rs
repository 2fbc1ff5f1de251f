//! AVX-512 VNNI: `vpdpbusd`, 64 products per instruction.
//!
//! Activations are the unsigned operand: four bytes are broadcast and get 128 added by flipping their sign bits; the
//! weights of 16 channels are the signed one. Products of an unsigned and a signed byte and the sum of four of them fit
//! 18 bits, and the non-saturating form of the instruction is used, so the sums are exact modulo `2^32`.

use super::{Layout, Panels, Rows, Tile};
use crate::{Isa, arith::Rounding};
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
        // SAFETY: `pixels` rows of `segments` offsets exist.
        let x = row.map(|row| rows.resolve(unsafe { *row.add(s) }));
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
    let stage = constants.stage;
    let zero_point = stage.zero_point as i32;
    let low = _mm512_set1_epi32(stage.min as i32 - zero_point);
    let high = _mm512_set1_epi32(stage.max as i32 - zero_point);
    let zero_point = _mm512_set1_epi32(zero_point);
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
            let y = match stage.rounding {
                Rounding::TfliteDouble => scale.double(row[n]),
                Rounding::Single => scale.single(row[n]),
            };
            // Clamping before the zero point is added cannot overflow and gives the same result.
            let y = _mm512_add_epi32(_mm512_max_epi32(_mm512_min_epi32(y, high), low), zero_point);
            let bytes = _mm512_cvtepi32_epi8(y);
            // Masked byte stores are slow on AMD cores: only for the last channels.
            if live == 16 {
                // SAFETY: channels `16 n` to `16 n + 15` are writable at `out`.
                unsafe { _mm_storeu_si128(out.add(16 * n).cast(), bytes) };
            } else {
                // SAFETY: the mask keeps the store within `channels` bytes at `out`.
                unsafe { _mm_mask_storeu_epi8(out.add(16 * n), ((1u32 << live) - 1) as u16, bytes) };
            }
        }
    }
}

/// Multipliers of 16 channels, prepared for both roundings.
struct Scale {
    mantissa: __m512i,
    mantissa_odd: __m512i,
    left: __m512i,
    right: __m512i,
    mask: __m512i,
    single_right: __m512i,
    single_right_odd: __m512i,
}

impl Scale {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn new(mantissa: __m512i, shift: __m512i) -> Self {
        let zero = _mm512_setzero_si512();
        let one = _mm512_set1_epi32(1);
        let right = _mm512_max_epi32(_mm512_sub_epi32(zero, shift), zero);
        let single = _mm512_sub_epi32(_mm512_set1_epi32(31), shift);
        Self {
            mantissa,
            mantissa_odd: _mm512_srli_epi64::<32>(mantissa),
            left: _mm512_max_epi32(shift, zero),
            right,
            mask: _mm512_sub_epi32(_mm512_sllv_epi32(one, right), one),
            single_right: _mm512_and_si512(single, _mm512_set1_epi64(0xffff_ffff)),
            single_right_odd: _mm512_srli_epi64::<32>(single),
        }
    }

    /// `Rounding::TfliteDouble`. The high multiply equals `floor((a * m + 2^30) / 2^31)` for either sign.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn double(&self, acc: __m512i) -> __m512i {
        let a = _mm512_sllv_epi32(acc, self.left);
        let half = _mm512_set1_epi64(1 << 30);
        let even = _mm512_add_epi64(_mm512_mul_epi32(a, self.mantissa), half);
        let odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64::<32>(a), self.mantissa_odd), half);
        // Bits 31..63 of each product, brought to its lane.
        let h = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64::<31>(even), _mm512_slli_epi64::<1>(odd));
        let remainder = _mm512_and_si512(h, self.mask);
        let threshold = _mm512_add_epi32(_mm512_srli_epi32::<1>(self.mask), _mm512_srli_epi32::<31>(h));
        let up = _mm512_cmpgt_epi32_mask(remainder, threshold);
        let floor = _mm512_srav_epi32(h, self.right);
        _mm512_mask_add_epi32(floor, up, floor, _mm512_set1_epi32(1))
    }

    /// `Rounding::Single`.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn single(&self, acc: __m512i) -> __m512i {
        let round = |product, right| {
            let half = _mm512_sllv_epi64(_mm512_set1_epi64(1), _mm512_sub_epi64(right, _mm512_set1_epi64(1)));
            _mm512_srav_epi64(_mm512_add_epi64(product, half), right)
        };
        let even = round(_mm512_mul_epi32(acc, self.mantissa), self.single_right);
        let odd =
            round(_mm512_mul_epi32(_mm512_srli_epi64::<32>(acc), self.mantissa_odd), self.single_right_odd);
        _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64::<32>(odd))
    }
}
