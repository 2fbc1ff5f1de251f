//! Plain Rust, for any core: what the vector code must equal.

use super::{
    super::{
        super::{Float, fused, half, native::fused_half},
        plain,
        tile::{Panels, Pixel},
    },
    Arithmetic, POSITIONS, Pass,
    transform::{Inputs, Sums, sums, tile},
};
use crate::base::memory::constants;

/// Eight f16 values, widened to f32.
#[derive(Clone, Copy)]
struct Eight([f32; 8]);

impl Inputs for Eight {
    #[inline(always)]
    unsafe fn load(from: *const i8) -> Self {
        // SAFETY: the caller's promise.
        Self(half::to_f32s(unsafe { from.cast::<[u16; 8]>().read_unaligned() }))
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u16) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[u16; 8]>().write_unaligned(half::from_f32s(self.0)) }
    }

    #[inline(always)]
    fn plus(mut self, factor: f32, x: Self) -> Self {
        self.0.iter_mut().zip(x.0).for_each(|(sum, x)| *sum = fused_half(factor, x, *sum));
        self
    }
}

#[derive(Clone, Copy)]
struct Four([f32; 4]);

impl Four {
    #[inline(always)]
    fn with(mut self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a = f(*a, b));
        self
    }
}

impl Sums for Four {
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.with(other, |a, b| a - b)
    }

    #[inline(always)]
    fn times(self, factor: f32) -> Self {
        Self(self.0.map(|x| x * factor))
    }

    #[inline(always)]
    fn plus(self, factor: f32, x: Self) -> Self {
        self.with(x, |sum, x| fused(factor, x, sum))
    }
}

/// See [`Arithmetic::finish`].
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn finish(pass: &Pass<'_>, m: *const i8, stride: usize, out: &[*mut i8; 16]) {
    debug_assert!(!pass.chains);
    for quad in 0..pass.live.div_ceil(4) {
        let from = m.cast::<f32>().wrapping_add(4 * quad);
        // SAFETY: sums of four channels, those of a panel.
        let load =
            |position: usize| Four(unsafe { from.wrapping_add(position * stride).cast::<[f32; 4]>().read() });
        let bias: [f32; 4] = constants(pass.bias, 4 * quad);
        sums(load, |pixel, sums| {
            let Some(out) = out.get(pixel).filter(|out| !out.is_null()) else { return };
            for (i, (sum, bias)) in sums.0.into_iter().zip(bias).enumerate().take(pass.live - 4 * quad) {
                let result = half::from_f32(pass.range.clamp(sum + bias));
                // SAFETY: a live channel.
                unsafe { out.cast::<u16>().add(4 * quad + i).write_unaligned(result) };
            }
        });
    }
}

/// By the definition, for panels of any width.
#[derive(Clone, Copy)]
pub(super) struct Plain {
    pub(super) panel: usize,
}

impl Plain {
    /// All sums of a pixel and a panel of `N` channels.
    ///
    /// # Safety
    /// As for [`Arithmetic::multiply`].
    #[inline(always)]
    unsafe fn panel<const N: usize>(pixel: &Pixel<u16>, panel: usize, panels: &Panels<'_, u16>) {
        let mut sums = plain::Sums::<N>::new::<true>([0.0; N]);
        let weights = panels.weights.wrapping_add(panel * panels.stride);
        for k in 0..panels.segments.len {
            // SAFETY: number `k` of the run, and its weights.
            let (x, w) =
                unsafe { (*pixel.numbers.add(k), weights.add(k * N).cast::<[u16; N]>().read_unaligned()) };
            sums.add::<true>(half::to_f32s(w), [half::to_f32(x); N]);
        }
        let result = sums.result::<true>().map(|x| panels.range.clamp(x));
        // SAFETY: all channels of the panel are stored.
        unsafe { pixel.out.cast::<[f32; N]>().add(panel).write_unaligned(result) };
    }
}

impl Arithmetic for Plain {
    const PANELS: usize = 1;

    fn panel(self) -> usize {
        self.panel
    }

    #[inline(always)]
    unsafe fn tile(self, pixels: &[*const i8; POSITIONS], offset: usize, to: *mut u16, stride: usize) {
        // SAFETY: the caller's promise.
        unsafe { tile::<Eight>(pixels, offset, to, stride) }
    }

    #[inline(always)]
    unsafe fn multiply(self, pixels: &[Pixel<u16>], panels: &Panels<'_, u16>) {
        debug_assert!(panels.to == Float::F32 && !panels.chains);
        for (pixel, panel) in pixels.iter().flat_map(|pixel| (0..panels.count).map(move |n| (pixel, n))) {
            // SAFETY: the caller's promise.
            unsafe {
                match self.panel {
                    4 => Self::panel::<4>(pixel, panel, panels),
                    8 => Self::panel::<8>(pixel, panel, panels),
                    _ => Self::panel::<16>(pixel, panel, panels),
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn finish(self, pass: &Pass<'_>, m: *const i8, stride: usize, out: &[*mut i8; 16]) {
        // SAFETY: the caller's promise.
        unsafe { finish(pass, m, stride, out) }
    }
}

/// Transforms as the compiler vectorises them, products by a tile.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct WithTile<T>(pub(super) T);

#[cfg(target_arch = "x86_64")]
impl<T: super::super::tile::Tile<Number = u16, Weight = u16>> Arithmetic for WithTile<T> {
    const PANELS: usize = T::PANELS;

    fn panel(self) -> usize {
        T::PANEL
    }

    #[inline(always)]
    unsafe fn tile(self, pixels: &[*const i8; POSITIONS], offset: usize, to: *mut u16, stride: usize) {
        // SAFETY: the caller's promise.
        unsafe { tile::<Eight>(pixels, offset, to, stride) }
    }

    #[inline(always)]
    unsafe fn multiply(self, pixels: &[Pixel<u16>], panels: &Panels<'_, u16>) {
        // SAFETY: the caller's promise.
        unsafe { self.0.run(pixels, panels) }
    }

    #[inline(always)]
    unsafe fn finish(self, pass: &Pass<'_>, m: *const i8, stride: usize, out: &[*mut i8; 16]) {
        // SAFETY: the caller's promise.
        unsafe { finish(pass, m, stride, out) }
    }
}
