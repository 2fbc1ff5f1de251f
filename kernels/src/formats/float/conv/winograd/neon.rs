//! NEON with half-precision arithmetic: transforms in vectors, products by the tile of convolutions.

use super::{
    super::{
        super::half,
        fp16::Fp16,
        neon_store::halves,
        tile::{Panels, Pixel, Tile},
    },
    Arithmetic, POSITIONS, Pass,
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
        // SAFETY: only made where FP16 exists.
        Self(unsafe { fmla(self.0, x.0, vdupq_n_u16(half::from_f32(factor))) })
    }
}

/// `a * b + sum` in f16.
#[inline]
#[target_feature(enable = "neon,fp16")]
fn fmla(mut sum: uint16x8_t, a: uint16x8_t, b: uint16x8_t) -> uint16x8_t {
    // SAFETY: an instruction of FP16, on registers.
    unsafe {
        asm!(
            "fmla {0:v}.8h, {1:v}.8h, {2:v}.8h",
            inout(vreg) sum, in(vreg) a, in(vreg) b,
            options(pure, nomem, nostack)
        );
    }
    sum
}

#[derive(Clone, Copy)]
struct Four(float32x4_t);

impl Sums for Four {
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { vld1q_f32(from) })
    }

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
    unsafe fn finish(self, pass: &Pass<'_>, m: *const f32, stride: usize, out: &[*mut i8; 16]) {
        let [least, most] = [pass.range.least, pass.range.most].map(|x| vdupq_n_f32(x));
        for quad in 0..pass.live.div_ceil(4) {
            // SAFETY: sums and biases of four channels, those of a panel.
            let (sums, bias) = unsafe {
                (
                    sums::<Four>(m.wrapping_add(4 * quad), stride),
                    vld1q_f32(pass.bias.as_ptr().wrapping_add(4 * quad)),
                )
            };
            let live = pass.live - 4 * quad;
            for (sums, out) in sums.iter().flatten().zip(out).filter(|(_, out)| !out.is_null()) {
                let result = vminnmq_f32(vmaxnmq_f32(vaddq_f32(sums.0, bias), least), most);
                let four = vget_low_u16(halves(result, result));
                let out = out.wrapping_add(8 * quad).cast::<u8>();
                // SAFETY: live channels.
                unsafe {
                    if live >= 4 {
                        vst1_u8(out, vreinterpret_u8_u16(four));
                    } else {
                        let bytes = core::mem::transmute::<uint16x4_t, [u8; 8]>(four);
                        out.copy_from_nonoverlapping(bytes.as_ptr(), 2 * live);
                    }
                }
            }
        }
    }
}
