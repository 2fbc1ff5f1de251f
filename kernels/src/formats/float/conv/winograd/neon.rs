//! NEON with half-precision arithmetic: transforms in vectors, products by the tile of convolutions.

use super::{
    super::{
        super::half,
        fp16::Fp16,
        neon_store::{narrowed, widened},
        tile::{Panels, Pixel, Tile},
    },
    Arithmetic, PANELS, POSITIONS, Pass, WIDEST,
    transform::{Inputs, Sums, sums, tile},
};
use core::arch::{aarch64::*, asm};

// The assembly loads addresses of eight bytes, and lanes in the order of memory.
const _: () = assert!(size_of::<usize>() == 8 && cfg!(target_endian = "little"));

#[derive(Clone, Copy)]
struct Eight(uint16x8_t);

impl Inputs for Eight {
    #[inline(always)]
    unsafe fn load(from: *const i8) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { vreinterpretq_u16_u8(vld1q_u8(from.cast())) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u16) {
        // SAFETY: the caller's promise.
        unsafe { vst1q_u16(to, self.0) }
    }

    #[inline(always)]
    fn plus(self, factor: f32, x: Self) -> Self {
        let mut sum = self.0;
        // SAFETY: an instruction of FP16, which exists where this is made, on registers. A function with `target_feature` would not be inlined
        // into this one, so the assembler is told instead.
        unsafe {
            asm!(
                ".arch_extension fp16",
                "fmla {0:v}.8h, {1:v}.8h, {2:v}.8h",
                inout(vreg) sum, in(vreg) x.0, in(vreg) vdupq_n_u16(half::from_f32(factor)),
                options(pure, nomem, nostack)
            );
        }
        Self(sum)
    }
}

#[derive(Clone, Copy)]
struct Four(float32x4_t);

impl Sums for Four {
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: only made where NEON exists.
        Self(unsafe { vaddq_f32(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: only made where NEON exists.
        Self(unsafe { vsubq_f32(self.0, other.0) })
    }

    #[inline(always)]
    fn times(self, factor: f32) -> Self {
        // SAFETY: only made where NEON exists.
        Self(unsafe { vmulq_n_f32(self.0, factor) })
    }

    #[inline(always)]
    fn plus(self, factor: f32, x: Self) -> Self {
        // SAFETY: only made where NEON exists.
        Self(unsafe { vfmaq_n_f32(self.0, x.0, factor) })
    }
}

impl Arithmetic for Fp16 {
    const PANELS: usize = <Self as Tile>::PANELS;
    const CHAINS: bool = true;

    fn panel(self) -> usize {
        Self::PANEL
    }

    #[target_feature(enable = "neon,fp16")]
    unsafe fn tile(self, pixels: &[*const i8; POSITIONS], offset: usize, to: *mut u16, stride: usize) {
        // SAFETY: the caller's promise.
        unsafe { tile::<Eight>(pixels, offset, to, stride) }
    }

    unsafe fn multiply(self, pixels: &[Pixel<u16>], panels: &Panels<'_, u16>) {
        // SAFETY: the caller's promise.
        unsafe { self.run(pixels, panels) }
    }

    #[target_feature(enable = "neon,fp16")]
    unsafe fn finish(self, pass: &Pass<'_>, m: *const i8, stride: usize, out: &[*mut i8; 16]) {
        // SAFETY: the caller's promise.
        unsafe {
            if pass.chains {
                let load = |i: usize| Four(widened(vld1_u16(m.cast::<u16>().wrapping_add(i))));
                finish(pass, load, stride, out);
            } else {
                finish(pass, |i: usize| Four(vld1q_f32(m.cast::<f32>().wrapping_add(i))), stride, out);
            }
        }
    }
}

/// See [`Arithmetic::finish`]; `load` has four sums.
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "neon,fp16")]
unsafe fn finish(pass: &Pass<'_>, load: impl Fn(usize) -> Four, stride: usize, out: &[*mut i8; 16]) {
    let [least, most] = [pass.range.least, pass.range.most].map(|x| vdupq_n_f32(x));
    // What lies outside the output goes here.
    let mut nowhere = [0i8; 2 * PANELS * WIDEST];
    let nowhere = nowhere.as_mut_ptr();
    let out = out.map(|out| if out.is_null() { nowhere } else { out });
    // Of most layers all: whole vectors, without an upper bound.
    let whole = if pass.range.most == f32::INFINITY { pass.live / 4 } else { 0 };
    for quad in 0..whole {
        // SAFETY: biases of four channels, which are live.
        unsafe {
            let bias = vld1q_f32(pass.bias.as_ptr().wrapping_add(4 * quad));
            sums(
                |position| load(position * stride + 4 * quad),
                |pixel, sums: Four| {
                    let result = narrowed(vmaxnmq_f32(vaddq_f32(sums.0, bias), least));
                    vst1_u8(out[pixel].wrapping_add(8 * quad).cast(), vreinterpret_u8_u16(result));
                },
            );
        }
    }
    for quad in whole..pass.live.div_ceil(4) {
        // SAFETY: biases of four channels, those of a panel; as many results as are live.
        unsafe {
            let bias = vld1q_f32(pass.bias.as_ptr().wrapping_add(4 * quad));
            let bytes = 2 * (pass.live - 4 * quad).min(4);
            sums(
                |position| load(position * stride + 4 * quad),
                |pixel, sums: Four| {
                    let result = narrowed(vminnmq_f32(vmaxnmq_f32(vaddq_f32(sums.0, bias), least), most));
                    let result = core::mem::transmute::<uint16x4_t, [i8; 8]>(result);
                    out[pixel].wrapping_add(8 * quad).copy_from_nonoverlapping(result.as_ptr(), bytes);
                },
            );
        }
    }
}
