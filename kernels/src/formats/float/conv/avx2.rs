//! AVX2 with fused multiply-adds and F16C: six pixels by a panel of sixteen channels.

use super::{
    super::{Float, native::BLOCK},
    tile::{self, Number, Panels, Pixel, Tile},
};
use crate::Isa;
use core::arch::x86_64::*;

/// Proof that AVX2, FMA and F16C can be executed.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn new(isa: Isa) -> Option<Self> {
        isa.has_avx2().then_some(Self(()))
    }
}

/// With weights in half precision.
#[derive(Clone, Copy)]
pub(super) struct Halves(pub(super) Avx2);

/// With sums in f16.
#[derive(Clone, Copy)]
pub(super) struct Native(pub(super) Avx2);

/// Loads of eight weights, or of one number in all lanes.
pub(super) trait Load: Number {
    /// Eight values.
    ///
    /// # Safety
    /// They are readable; the instructions exist.
    unsafe fn eight(from: *const Self) -> __m256;

    /// One value.
    ///
    /// # Safety
    /// It is readable; the instructions exist.
    unsafe fn all(from: *const Self) -> __m256;
}

impl Load for f32 {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn eight(from: *const Self) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn all(from: *const Self) -> __m256 {
        // SAFETY: the caller's promise.
        _mm256_set1_ps(unsafe { from.read_unaligned() })
    }
}

impl Load for u16 {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn eight(from: *const Self) -> __m256 {
        // SAFETY: the caller's promise.
        _mm256_cvtph_ps(unsafe { _mm_loadu_si128(from.cast()) })
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn all(from: *const Self) -> __m256 {
        // SAFETY: the caller's promise.
        _mm256_cvtph_ps(_mm_set1_epi16(unsafe { from.read_unaligned() } as i16))
    }
}

/// Calls `$function` with the number of pixels of a tile, one to six, as a constant.
macro_rules! with_size {
    ($size:expr, $function:ident::<$($type:ty),*>($($argument:expr),*)) => {
        match $size {
            1 => $function::<$($type,)* 1>($($argument),*),
            2 => $function::<$($type,)* 2>($($argument),*),
            3 => $function::<$($type,)* 3>($($argument),*),
            4 => $function::<$($type,)* 4>($($argument),*),
            5 => $function::<$($type,)* 5>($($argument),*),
            _ => $function::<$($type,)* 6>($($argument),*),
        }
    };
}

macro_rules! tile {
    ($tile:ty: $number:ty, $weight:ty, $function:ident::<$($type:ty),*>) => {
        impl Tile for $tile {
            type Number = $number;
            type Weight = $weight;
            const PANEL: usize = 16;
            const PANELS: usize = 1;

            unsafe fn run(self, pixels: &[Pixel<$number>], panels: &Panels<'_, $weight>) {
                // SAFETY: the capability proves the instructions, the caller promises the rest.
                unsafe {
                    tile::share(pixels, 6, |pixels, n| with_size!(n, $function::<$($type),*>(pixels, panels)));
                }
            }

            unsafe fn widen(self, source: *const u8, target: *mut f32, n: usize) {
                // SAFETY: as above.
                unsafe { widen(source, target, n) }
            }
        }
    };
}

tile!(Avx2: f32, f32, sums::<f32>);
tile!(Halves: f32, u16, sums::<u16>);
tile!(Native: u16, u16, sums_of_halves::<>);

/// Tiles of `P` pixels: see [`Tile::run`].
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn sums<W: Load, const P: usize>(pixels: &[Pixel<f32>], panels: &Panels<'_, W>) {
    for pixels in pixels.as_chunks::<P>().0 {
        // SAFETY: biases, weights and numbers of runs; results.
        unsafe {
            let bias = [f32::eight(panels.bias), f32::eight(panels.bias.add(8))];
            let mut sums = [bias; P];
            let n = panels.segments.len;
            panels.segments.each(|numbers, weights| {
                let x = pixels.map(|pixel| pixel.numbers.wrapping_offset(numbers));
                let w = panels.weights.wrapping_add(weights);
                for k in 0..n {
                    let w = [W::eight(w.add(16 * k)), W::eight(w.add(16 * k + 8))];
                    for p in 0..P {
                        let x = f32::all(x[p].add(k));
                        sums[p] =
                            [_mm256_fmadd_ps(w[0], x, sums[p][0]), _mm256_fmadd_ps(w[1], x, sums[p][1])];
                    }
                }
            });
            for p in 0..P {
                store(panels, sums[p], pixels[p].out);
            }
        }
    }
}

/// `a * b + c` in f16: see [`super::super::native::fused_half`].
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn fused_half(a: __m256, b: __m256, c: __m256) -> __m256 {
    let product = _mm256_mul_ps(a, b);
    let sum = _mm256_add_ps(product, c);
    let back = _mm256_sub_ps(sum, product);
    let lost = _mm256_add_ps(_mm256_sub_ps(product, _mm256_sub_ps(sum, back)), _mm256_sub_ps(c, back));
    let inexact = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_NEQ_OQ>(lost, _mm256_setzero_ps()));
    // Towards zero, and then odd.
    let opposite = _mm256_srai_epi32::<31>(_mm256_castps_si256(_mm256_xor_ps(lost, sum)));
    let below = _mm256_add_epi32(_mm256_castps_si256(sum), _mm256_and_si256(inexact, opposite));
    let odd = _mm256_or_si256(below, _mm256_srli_epi32::<31>(inexact));
    _mm256_cvtph_ps(_mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm256_castsi256_ps(odd)))
}

/// Tiles of `P` pixels: see [`Tile::run`].
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn sums_of_halves<const P: usize>(pixels: &[Pixel<u16>], panels: &Panels<'_, u16>) {
    for pixels in pixels.as_chunks::<P>().0 {
        // SAFETY: biases, weights and numbers of runs, cut where blocks end; results.
        unsafe {
            let bias = [f32::eight(panels.bias), f32::eight(panels.bias.add(8))];
            let mut totals = [bias; P];
            let zeros = [[_mm256_setzero_ps(); 2]; P];
            let (mut chains, mut room) = (zeros, BLOCK);
            let n = panels.segments.len;
            panels.segments.each(|numbers, weights| {
                let x = pixels.map(|pixel| pixel.numbers.wrapping_offset(numbers));
                let w = panels.weights.wrapping_add(weights);
                for k in 0..n {
                    let w = [u16::eight(w.add(16 * k)), u16::eight(w.add(16 * k + 8))];
                    for p in 0..P {
                        let x = u16::all(x[p].add(k));
                        chains[p] = [fused_half(w[0], x, chains[p][0]), fused_half(w[1], x, chains[p][1])];
                    }
                    room -= 1;
                    if room == 0 {
                        for p in 0..P {
                            totals[p] = [0, 1].map(|v| _mm256_add_ps(totals[p][v], chains[p][v]));
                        }
                        (chains, room) = (zeros, BLOCK);
                    }
                }
            });
            for p in 0..P {
                if room < BLOCK {
                    totals[p] = [0, 1].map(|v| _mm256_add_ps(totals[p][v], chains[p][v]));
                }
                store(panels, totals[p], pixels[p].out);
            }
        }
    }
}

/// Stores the live channels of a pixel.
///
/// # Safety
/// They are writable; as for [`Tile::run`].
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn store<W>(panels: &Panels<'_, W>, sums: [__m256; 2], out: *mut i8) {
    let [least, most] = [panels.range.least, panels.range.most].map(|x| _mm256_set1_ps(x));
    let results = sums.map(|x| _mm256_min_ps(_mm256_max_ps(x, least), most));
    let mut bytes = [0i8; 64];
    let (whole, out) = (panels.live >= 16, out.wrapping_add(panels.first));
    let to = if whole { out } else { bytes.as_mut_ptr() };
    // SAFETY: sixteen results, or bytes for as many.
    unsafe {
        if panels.to == Float::F16 {
            let [a, b] = results.map(|x| _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x));
            _mm_storeu_si128(to.cast(), a);
            _mm_storeu_si128(to.cast::<__m128i>().add(1), b);
        } else {
            _mm256_storeu_ps(to.cast(), results[0]);
            _mm256_storeu_ps(to.cast::<f32>().add(8), results[1]);
        }
        if !whole {
            out.copy_from_nonoverlapping(bytes.as_ptr(), panels.live * panels.to.bytes());
        }
    }
}

/// See [`Tile::widen`].
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn widen(source: *const u8, target: *mut f32, n: usize) {
    let source = source.cast::<u16>();
    let mut i = 0;
    // SAFETY: `n` f16 values and as many values; where there are eight or more, the last eight may overlap those before.
    unsafe {
        if n >= 8 {
            while i < n {
                let at = i.min(n - 8);
                _mm256_storeu_ps(target.add(at), u16::eight(source.add(at)));
                i += 8;
            }
            return;
        }
        while i < n {
            target.add(i).write(_mm256_cvtss_f32(u16::all(source.add(i))));
            i += 1;
        }
    }
}
