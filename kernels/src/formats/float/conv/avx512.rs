//! AVX-512: twelve pixels by two panels of sixteen channels.

use super::{
    super::{Float, native::BLOCK},
    avx2,
    tile::{Number, Panels, Pixel, Tile},
};
use crate::Isa;
use core::arch::x86_64::*;

/// Proof that AVX-512 F, BW and VL can be executed.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

impl Avx512 {
    pub(super) fn new(isa: Isa) -> Option<Self> {
        isa.has_avx512_vnni().then_some(Self(()))
    }
}

/// With weights in half precision.
#[derive(Clone, Copy)]
pub(super) struct Halves(pub(super) Avx512);

/// With sums in f16.
#[derive(Clone, Copy)]
pub(super) struct Native(pub(super) Avx512);

/// Loads of sixteen weights, or of one number in all lanes.
trait Load: Number {
    /// Sixteen values.
    ///
    /// # Safety
    /// They are readable; the instructions exist.
    unsafe fn sixteen(from: *const Self) -> __m512;

    /// One value.
    ///
    /// # Safety
    /// It is readable; the instructions exist.
    unsafe fn all(from: *const Self) -> __m512;
}

impl Load for f32 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn sixteen(from: *const Self) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn all(from: *const Self) -> __m512 {
        // SAFETY: the caller's promise.
        _mm512_set1_ps(unsafe { from.read_unaligned() })
    }
}

impl Load for u16 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn sixteen(from: *const Self) -> __m512 {
        // SAFETY: the caller's promise.
        _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(from.cast()) })
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn all(from: *const Self) -> __m512 {
        // SAFETY: the caller's promise.
        _mm512_cvtph_ps(_mm256_set1_epi16(unsafe { from.read_unaligned() } as i16))
    }
}

/// Calls `$function` for `$pixels` in tiles of twelve, four and one, by one panel or two.
macro_rules! tiles {
    ($pixels:ident, $panels:ident, $function:ident::<$($type:ty),*>) => {{
        let mut rest = $pixels;
        while !rest.is_empty() {
            let n = match ($panels.count, rest.len()) {
                (1, 12..) => $function::<$($type,)* 12, 1>(rest, $panels),
                (1, 4..) => $function::<$($type,)* 4, 1>(rest, $panels),
                (1, _) => $function::<$($type,)* 1, 1>(rest, $panels),
                (_, 12..) => $function::<$($type,)* 12, 2>(rest, $panels),
                (_, 4..) => $function::<$($type,)* 4, 2>(rest, $panels),
                (_, _) => $function::<$($type,)* 1, 2>(rest, $panels),
            };
            rest = rest.get(n..).unwrap_or_default();
        }
    }};
}

macro_rules! tile {
    ($tile:ty: $number:ty, $weight:ty, $function:ident::<$($type:ty),*>) => {
        impl Tile for $tile {
            type Number = $number;
            type Weight = $weight;
            const PANEL: usize = 16;
            const PANELS: usize = 2;

            unsafe fn run(self, pixels: &[Pixel<$number>], panels: &Panels<'_, $weight>) {
                // SAFETY: the capability proves the instructions, the caller promises the rest.
                unsafe { tiles!(pixels, panels, $function::<$($type),*>) }
            }

            unsafe fn widen(self, source: *const u8, target: *mut f32, n: usize) {
                // SAFETY: what has AVX-512 has AVX2, FMA and F16C; as above.
                unsafe { avx2::widen(source, target, n) }
            }
        }
    };
}

tile!(Avx512: f32, f32, sums::<f32>);
tile!(Halves: f32, u16, sums::<u16>);
tile!(Native: u16, u16, sums_of_halves::<>);

/// See [`Tile::run`]. Computes `P` pixels and returns `P`.
///
/// # Safety
/// As there.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn sums<W: Load, const P: usize, const V: usize>(
    pixels: &[Pixel<f32>],
    panels: &Panels<'_, W>,
) -> usize {
    let Some(pixels) = pixels.first_chunk::<P>() else { return P };
    // SAFETY: biases, weights and numbers of runs; results.
    unsafe {
        let mut sums = [biases::<V, W>(panels); P];
        let n = panels.segments.len;
        panels.segments.each(|numbers, weights| {
            let x = pixels.map(|pixel| pixel.numbers.wrapping_offset(numbers));
            let w = panels.weights.wrapping_add(weights);
            for k in 0..n {
                let mut vectors = [_mm512_setzero_ps(); V];
                for (v, vector) in vectors.iter_mut().enumerate() {
                    *vector = W::sixteen(w.wrapping_add(v * panels.stride + 16 * k));
                }
                for p in 0..P {
                    let x = f32::all(x[p].add(k));
                    for v in 0..V {
                        sums[p][v] = _mm512_fmadd_ps(vectors[v], x, sums[p][v]);
                    }
                }
            }
        });
        for p in 0..P {
            store(panels, sums[p], pixels[p].out);
        }
    }
    P
}

/// `a * b + c` in f16.
///
/// A sum that is rounded towards zero, and made odd where it is not exact, rounds to the result of one rounding: see
/// [`super::super::native::fused_half`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn fused_half(a: __m512, b: __m512, c: __m512) -> __m512 {
    let zero = _mm512_fmadd_round_ps::<{ _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC }>(a, b, c);
    let up = _mm512_fmadd_round_ps::<{ _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC }>(a, b, c);
    let down = _mm512_fmadd_round_ps::<{ _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC }>(a, b, c);
    let inexact = _mm512_cmp_ps_mask::<_CMP_NEQ_OQ>(up, down);
    let bits = _mm512_castps_si512(zero);
    let odd = _mm512_mask_or_epi32(bits, inexact, bits, _mm512_set1_epi32(1));
    _mm512_cvtph_ps(_mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm512_castsi512_ps(odd)))
}

/// See [`Tile::run`]. Computes `P` pixels and returns `P`.
///
/// # Safety
/// As there.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn sums_of_halves<const P: usize, const V: usize>(
    pixels: &[Pixel<u16>],
    panels: &Panels<'_, u16>,
) -> usize {
    let Some(pixels) = pixels.first_chunk::<P>() else { return P };
    // SAFETY: biases, weights and numbers of runs, cut where blocks end; results.
    unsafe {
        let mut totals = [biases::<V, u16>(panels); P];
        let zeros = [[_mm512_setzero_ps(); V]; P];
        let (mut chains, mut room) = (zeros, BLOCK);
        let n = panels.segments.len;
        panels.segments.each(|numbers, weights| {
            let x = pixels.map(|pixel| pixel.numbers.wrapping_offset(numbers));
            let w = panels.weights.wrapping_add(weights);
            for k in 0..n {
                let mut vectors = [_mm512_setzero_ps(); V];
                for (v, vector) in vectors.iter_mut().enumerate() {
                    *vector = u16::sixteen(w.wrapping_add(v * panels.stride + 16 * k));
                }
                for p in 0..P {
                    let x = u16::all(x[p].add(k));
                    for v in 0..V {
                        chains[p][v] = fused_half(vectors[v], x, chains[p][v]);
                    }
                }
                room -= 1;
                if room == 0 {
                    for (total, chain) in totals.iter_mut().flatten().zip(chains.iter().flatten()) {
                        *total = _mm512_add_ps(*total, *chain);
                    }
                    (chains, room) = (zeros, BLOCK);
                }
            }
        });
        for p in 0..P {
            if room < BLOCK {
                for v in 0..V {
                    totals[p][v] = _mm512_add_ps(totals[p][v], chains[p][v]);
                }
            }
            store(panels, totals[p], pixels[p].out);
        }
    }
    P
}

/// Biases of `V` panels.
///
/// # Safety
/// They are readable.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn biases<const V: usize, W>(panels: &Panels<'_, W>) -> [__m512; V] {
    let mut bias = [_mm512_setzero_ps(); V];
    for (v, bias) in bias.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *bias = unsafe { _mm512_loadu_ps(panels.bias.add(16 * v)) };
    }
    bias
}

/// Stores the live channels of a pixel.
///
/// # Safety
/// They are writable; as for [`Tile::run`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn store<const V: usize, W>(panels: &Panels<'_, W>, sums: [__m512; V], out: *mut i8) {
    let [least, most] = [panels.range.least, panels.range.most].map(|x| _mm512_set1_ps(x));
    for (v, sum) in sums.into_iter().enumerate() {
        let result = _mm512_min_ps(_mm512_max_ps(sum, least), most);
        let live = panels.live.saturating_sub(16 * v).min(16);
        let mask = ((1u32 << live) - 1) as u16;
        let out = out.wrapping_add(panels.first + 16 * v * panels.to.bytes());
        // SAFETY: the live channels.
        unsafe {
            if panels.to == Float::F16 {
                let halves = _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(result);
                _mm256_mask_storeu_epi16(out.cast(), mask, halves);
            } else {
                _mm512_mask_storeu_ps(out.cast(), mask, result);
            }
        }
    }
}
