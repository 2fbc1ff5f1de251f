//! Half precision with the arithmetic of Armv8.2: six pixels by two panels of sixteen channels, or eight by one.

use super::{
    super::{Float, half, native::BLOCK},
    neon_asm::{self, accumulate, by_four, by_two, end_block, with_four, with_two},
    neon_store::{self, high, low},
    tile::{self, Panels, Pixel, Tile},
};
use crate::Isa;
use core::{
    arch::{aarch64::*, asm},
    mem::MaybeUninit,
};

// The assembly loads addresses of eight bytes, and lanes in the order of memory.
const _: () = assert!(size_of::<usize>() == 8 && cfg!(target_endian = "little"));

/// Proof that NEON with half-precision arithmetic can be executed.
#[derive(Clone, Copy)]
pub(super) struct Fp16(());

impl Fp16 {
    pub(super) fn new(isa: Isa) -> Option<Self> {
        isa.has_fp16().then_some(Self(()))
    }
}

impl Tile for Fp16 {
    type Number = u16;
    type Weight = u16;
    const PANEL: usize = 16;
    const PANELS: usize = 2;

    unsafe fn run(self, pixels: &[Pixel<u16>], panels: &Panels<'_, u16>) {
        // SAFETY: the capability proves the instructions, the caller promises the rest.
        unsafe {
            if panels.count > 1 {
                tile::share(pixels, 6, |pixels, n| two_panels(pixels, n, panels));
            } else {
                tile::share(pixels, 8, |pixels, n| one_panel(pixels, n, panels));
            }
        }
    }

    unsafe fn widen(self, source: *const u8, target: *mut f32, n: usize) {
        // SAFETY: as above.
        unsafe { neon_store::widen(source, target, n) }
    }
}

/// Sums of blocks that have ended, of pixels by vectors of eight channels.
#[derive(Clone, Copy)]
struct Totals {
    first: *const f32,
    /// From a pixel to the next: 0 for the bias, where no block has ended.
    step: usize,
}

impl Totals {
    /// With a chain added to those of vector `v` of pixel `p`.
    ///
    /// # Safety
    /// They are readable.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn with(self, chain: uint16x8_t, p: usize, v: usize) -> [float32x4_t; 2] {
        let from = self.first.wrapping_add(p * self.step + 8 * v);
        // SAFETY: the caller's promise.
        let [a, b] = unsafe { [vld1q_f32(from), vld1q_f32(from.wrapping_add(4))] };
        [vaddq_f32(a, low(chain)), vaddq_f32(b, high(chain))]
    }
}

/// F16 values, or +0 where they are -0.
#[inline]
#[target_feature(enable = "neon,fp16")]
fn without_negative_zero(halves: uint16x8_t) -> uint16x8_t {
    let sums;
    // SAFETY: an instruction of FP16, on registers.
    unsafe {
        asm!(
            "fadd {0:v}.8h, {1:v}.8h, {2:v}.8h",
            out(vreg) sums, in(vreg) halves, in(vreg) vdupq_n_u16(0),
            options(pure, nomem, nostack)
        );
    }
    sums
}

/// F16 values, or `least` where they are less or NaN.
#[inline]
#[target_feature(enable = "neon,fp16")]
fn at_least(halves: uint16x8_t, least: uint16x8_t) -> uint16x8_t {
    let larger;
    // SAFETY: an instruction of FP16, on registers.
    unsafe {
        asm!(
            "fmaxnm {0:v}.8h, {1:v}.8h, {2:v}.8h",
            out(vreg) larger, in(vreg) halves, in(vreg) least,
            options(pure, nomem, nostack)
        );
    }
    larger
}

macro_rules! tiles {
    ($(#[$doc:meta])* $name:ident: $vectors:literal, $bytes:literal, $with:ident, $by:ident, [$($spoilt:tt)*]) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// As for [`Tile::run`].
        #[target_feature(enable = "neon,fp16")]
        unsafe fn $name(pixels: &[Pixel<u16>], size: usize, panels: &Panels<'_, u16>) {
            let segments = panels.segments;
            // Without products there is no block: -0 changes no bias.
            let products = segments.len * segments.count[0] * segments.count[1];
            let zero = vdupq_n_u16(if products == 0 { 0x8000 } else { 0 });
            // Rounding keeps the order, so that a bound that is a half may come after it.
            let bound = half::from_f32(panels.range.least);
            let whole = neon_store::is_whole(panels, 8 * $vectors)
                && (panels.to == Float::F32 || half::to_f32(bound) == panels.range.least);
            let least = vdupq_n_u16(bound);
            macro_rules! tile {
                ($n:literal $registers:tt) => {
                    for pixels in pixels.as_chunks::<$n>().0 {
                        let mut ended = [[MaybeUninit::<[f32; 8]>::uninit(); $vectors]; $n];
                        let mut totals = Totals { first: panels.bias, step: 0 };
                        let mut chains = [[zero; $vectors]; $n];
                        // Products that the block may still take.
                        let mut room = BLOCK;
                        segments.each(|numbers, weights| {
                            let mut done = 0;
                            while done < segments.len {
                                // SAFETY: biases, or totals that were written; runs of numbers of each pixel and of weights, cut where
                                // blocks end.
                                unsafe {
                                    if room == 0 {
                                        let target = ended.as_mut_ptr().cast::<f32>();
                                        end_block!($bytes, $registers; totals.first, totals.step, target, chains);
                                        (totals, room) = (Totals { first: target, step: 8 * $vectors }, BLOCK);
                                    }
                                    let n = room.min(segments.len - done);
                                    let x = pixels.map(|pixel| pixel.numbers.wrapping_offset(numbers + done as isize));
                                    let a = panels.weights.wrapping_add(weights + 16 * done);
                                    accumulate!(
                                        $by "8h" "h" 2 [0 1 2 3 4 5 6 7] [0 1 2 3] 3 32 [$($spoilt)*] $registers;
                                        x, a, a.wrapping_add(panels.stride), n, chains
                                    );
                                    done += n;
                                    room -= n;
                                }
                            }
                        });
                        // SAFETY: totals as above; live channels of each pixel.
                        unsafe {
                            macro_rules! sums {
                                ($i:expr) => {{
                                    let mut sums = [[vdupq_n_f32(0.0); 2]; $vectors];
                                    for (v, sums) in sums.iter_mut().enumerate() {
                                        *sums = totals.with(chains[$i][v], $i, v);
                                    }
                                    sums
                                }};
                            }
                            if panels.chains {
                                neon_asm::each_pixel!($registers, |i| {
                                    let out = pixels[i].out.cast::<u16>();
                                    for (v, chain) in chains[i].into_iter().enumerate() {
                                        vst1q_u16(out.wrapping_add(8 * v), at_least(without_negative_zero(chain), least));
                                    }
                                });
                            } else if whole && panels.to == Float::F32 {
                                neon_asm::each_pixel!($registers, |i| {
                                    neon_store::store::<false, $vectors, _, _>(&pixels[i], panels, sums!(i));
                                });
                            } else if whole {
                                neon_asm::each_pixel!($registers, |i| {
                                    let out = pixels[i].out.wrapping_add(panels.first).cast::<u16>();
                                    for (v, [a, b]) in sums!(i).into_iter().enumerate() {
                                        vst1q_u16(out.wrapping_add(8 * v), at_least(neon_store::halves(a, b), least));
                                    }
                                });
                            } else {
                                neon_asm::each_pixel!($registers, |i| {
                                    neon_store::store_part(&pixels[i], panels, sums!(i));
                                });
                            }
                        }
                    }
                };
            }
            $with!(size, tile)
        }
    };
}

tiles! {
    /// Six pixels by two panels.
    two_panels: 4, 128, with_four, by_four, ["v0" "v1" "v2" "v3" "v4" "v5" "v6" "v7"]
}
tiles! {
    /// Eight pixels by one panel.
    one_panel: 2, 64, with_two, by_two, ["v0" "v1" "v2" "v3" "v4" "v5" "v6" "v7" "v8" "v9"]
}
