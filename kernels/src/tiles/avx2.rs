//! AVX2: `vpmaddwd` on bytes widened to 16 bits, 16 products per instruction.
//!
//! It reads the layout of [`super::avx512vnni`], so that one packing serves every x86-64. `vpmaddubsw` would take bytes as
//! they are, but its 16-bit sums of two products saturate; widened, a product of an unsigned and a signed byte and the
//! sum of two of them fit 32 bits with room to spare, so the sums are exact.

use super::{Layout, Panels, Rows, Tile};
use crate::Isa;
use core::arch::x86_64::*;

/// Proof that AVX2 can be executed.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    /// The token, where `isa` has the instructions.
    pub const fn new(isa: Isa) -> Option<Self> {
        if isa.has_avx2() { Some(Self(())) } else { None }
    }
}

impl Tile for Avx2 {
    const LAYOUT: Layout = Layout::VNNI;
    const MAX_PANELS: usize = 1;
    const MAX_PIXELS: usize = PIXELS;

    #[inline(always)]
    fn pixels(self, _: usize) -> usize {
        PIXELS
    }

    #[inline(always)]
    unsafe fn run(
        self,
        rows: &Rows,
        constants: &Panels,
        _: usize,
        channels: usize,
        pixels: usize,
        out: &[*mut i8],
    ) {
        // SAFETY: the token proves the instructions; the rest is the caller's promise, passed on unchanged.
        unsafe { tile(rows, constants, channels, pixels, out) }
    }
}

/// Pixels per tile: three times four accumulators, a weight and three activations fill 16 registers.
const PIXELS: usize = 3;

/// `PIXELS` pixels by one panel of 16 channels.
///
/// # Safety
/// As for [`Tile::run`] with one panel, where the instructions exist.
#[target_feature(enable = "avx2")]
unsafe fn tile(rows: &Rows, constants: &Panels, channels: usize, pixels: usize, out: &[*mut i8]) {
    // Accumulator `j` of a pixel holds channels 4 j to 4 j + 3, each as two partial sums of a pair of products.
    let mut acc = [[_mm256_setzero_si256(); 4]; PIXELS];
    let sign = _mm_set1_epi8(-128);
    let mut w = constants.weights;
    for s in 0..rows.segments {
        // A tile with fewer pixels computes its last one several times.
        // SAFETY: `pixels` rows of offsets exist.
        let x: [*const i8; PIXELS] =
            core::array::from_fn(|p| unsafe { rows.segment(if p < pixels { p } else { pixels - 1 }, s) });
        let mut k = 0;
        while k < rows.k {
            let activations: [__m256i; PIXELS] = core::array::from_fn(|p| {
                // SAFETY: `k + 4 <= rows.k` readable bytes, as `rows.k` is a multiple of 4.
                let four = unsafe { x[p].add(k).cast::<i32>().read_unaligned() };
                _mm256_cvtepu8_epi16(_mm_xor_si128(_mm_set1_epi32(four), sign))
            });
            for j in 0..4 {
                // SAFETY: the panel has 64 bytes for these four `k`: 16 channels of 4.
                let weights = unsafe { _mm256_cvtepi8_epi16(_mm_loadu_si128(w.add(16 * j).cast())) };
                for (a, x) in acc.iter_mut().zip(activations) {
                    a[j] = _mm256_add_epi32(a[j], _mm256_madd_epi16(x, weights));
                }
            }
            w = w.wrapping_add(64);
            k += 4;
        }
    }
    for (sums, out) in acc.iter().zip(out).take(pixels) {
        let mut total = [0i32; 16];
        for half in 0..2 {
            // Adds pairs; the permutation puts channels 8 half to 8 half + 7 in order.
            let pairs = _mm256_hadd_epi32(sums[2 * half], sums[2 * half + 1]);
            let ordered = _mm256_permute4x64_epi64::<0b1101_1000>(pairs);
            // SAFETY: 8 of 16 elements, from the first or the eighth on.
            unsafe { _mm256_storeu_si256(total.as_mut_ptr().add(8 * half).cast(), ordered) };
        }
        for (n, sum) in total.iter().enumerate().take(channels) {
            // SAFETY: `n` lies within the panel's 16 biases and multipliers, and within the writable channels.
            unsafe {
                let acc = sum.wrapping_add(*constants.bias.add(n));
                out.add(n).write(constants.stage.store(acc, constants.multiplier(n)));
            }
        }
    }
}
