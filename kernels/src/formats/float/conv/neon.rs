//! Single precision on every aarch64: six pixels by a panel of sixteen channels.
//!
//! F16 values are expanded before: a panel's weights once per pass, activations once for all panels.

use super::{
    super::Float,
    neon_asm::{self, accumulate, by_four, with_four},
    neon_store,
    tile::{self, Panels, Pixel, Tile},
};
use crate::Isa;
use core::arch::aarch64::*;

/// Proof that NEON can be executed.
#[derive(Clone, Copy)]
pub(super) struct Neon(());

impl Neon {
    pub(super) fn new(isa: Isa) -> Option<Self> {
        isa.has_neon().then_some(Self(()))
    }
}

impl Tile for Neon {
    type Number = f32;
    type Weight = f32;
    const PANEL: usize = 16;
    const PANELS: usize = 1;

    unsafe fn run(self, pixels: &[Pixel<f32>], panels: &Panels<'_, f32>) {
        // SAFETY: the capability proves the instructions, the caller promises the rest.
        unsafe { tile::share(pixels, 6, |pixels, n| tiles(pixels, n, panels)) }
    }

    unsafe fn widen(self, source: *const u8, target: *mut f32, n: usize) {
        // SAFETY: as above.
        unsafe { neon_store::widen(source, target, n) }
    }
}

/// Tiles of `size` pixels.
///
/// # Safety
/// As for [`Tile::run`].
#[target_feature(enable = "neon")]
unsafe fn tiles(pixels: &[Pixel<f32>], size: usize, panels: &Panels<'_, f32>) {
    let whole = neon_store::is_whole(panels, 16);
    macro_rules! tile {
        ($n:literal $registers:tt) => {
            for pixels in pixels.as_chunks::<$n>().0 {
                // SAFETY: four vectors of biases; runs of numbers of each pixel and of weights; results.
                unsafe {
                    let bias = [0, 4, 8, 12].map(|i| vld1q_f32(panels.bias.add(i)));
                    let mut sums = [bias; $n];
                    let n = panels.segments.len;
                    panels.segments.each(|numbers, weights| {
                        let x = pixels.map(|pixel| pixel.numbers.wrapping_offset(numbers));
                        let a = panels.weights.wrapping_add(weights);
                        accumulate!(
                            by_four "4s" "s" 4 [0 1 2 3] [] 2 64 ["v0" "v1" "v2" "v3" "v4" "v5" "v6" "v7"] $registers;
                            x, a, a.wrapping_add(8), n, sums
                        );
                    });
                    if whole && panels.to == Float::F16 {
                        neon_asm::each_pixel!($registers, |i| {
                            let [a, b, c, d] = sums[i];
                            neon_store::store::<true, 2, _, _>(&pixels[i], panels, [[a, b], [c, d]]);
                        });
                    } else if whole {
                        neon_asm::each_pixel!($registers, |i| {
                            let [a, b, c, d] = sums[i];
                            neon_store::store::<false, 2, _, _>(&pixels[i], panels, [[a, b], [c, d]]);
                        });
                    } else {
                        neon_asm::each_pixel!($registers, |i| {
                            let [a, b, c, d] = sums[i];
                            neon_store::store_part(&pixels[i], panels, [[a, b], [c, d]]);
                        });
                    }
                }
            }
        };
    }
    with_four!(size, tile)
}
