//! Cortex-M with a floating-point unit: four pixels by a panel of four channels.
//!
//! Sixteen of the unit's 32 registers are sums, four are weights, eight are two numbers of each pixel: two numbers of four pixels take 32
//! `vfma`, four loads of pairs, and two loads of four weights, or two of two and eight conversions where they are f16.
//!
//! The loops are functions in assembler: for cores without double precision, Rust has no operand for a register of single precision. Their
//! names are Rust's, so that two versions of this crate can be linked together.

use super::{
    super::{Float, half},
    tile::{Number, Panels, Pixel, Tile},
};
use crate::Isa;
use core::{arch::naked_asm, marker::PhantomData};

/// With weights that are stored as `W`. The compilation target promises the unit.
#[derive(Clone, Copy)]
pub(super) struct Vfp<W>(PhantomData<W>);

impl<W: Weights> Vfp<W> {
    /// Not for the reference.
    pub(super) fn new(isa: Isa) -> Option<Self> {
        (!isa.is_reference()).then_some(Self(PhantomData))
    }
}

/// The stored type of weights.
pub(super) trait Weights: Number {
    /// Adds the products of `n` numbers of each of four pixels, whose addresses lie at `x`, and four weights for each number, to sums.
    const BY_FOUR: unsafe extern "C" fn(
        sums: *mut [[f32; 4]; 4],
        x: *const [*const f32; 4],
        w: *const Self,
        n: usize,
    );
    /// The same of one pixel.
    const BY_ONE: unsafe extern "C" fn(sums: *mut [f32; 4], x: *const f32, w: *const Self, n: usize);
}

impl Weights for f32 {
    const BY_FOUR: unsafe extern "C" fn(*mut [[f32; 4]; 4], *const [*const f32; 4], *const Self, usize) =
        f32_by_four;
    const BY_ONE: unsafe extern "C" fn(*mut [f32; 4], *const f32, *const Self, usize) = f32_by_one;
}

impl Weights for u16 {
    const BY_FOUR: unsafe extern "C" fn(*mut [[f32; 4]; 4], *const [*const f32; 4], *const Self, usize) =
        f16_by_four;
    const BY_ONE: unsafe extern "C" fn(*mut [f32; 4], *const f32, *const Self, usize) = f16_by_one;
}

/// Four weights into `s24` to `s27`.
macro_rules! load {
    (f32) => {
        "vldmia r2!, {{s24-s27}}\n"
    };
    (f16) => {
        "vldmia r2!, {{s28-s29}}\nvcvtb.f32.f16 s24, s28\nvcvtt.f32.f16 s25, s28\nvcvtb.f32.f16 s26, s29\nvcvtt.f32.f16 s27, s29\n"
    };
}

/// Four weights by a number of each pixel, in the registers `$x`.
macro_rules! by_four {
    ($a:literal $b:literal $c:literal $d:literal) => {
        concat!(
            "vfma.f32 s0, s24, ",
            $a,
            "\nvfma.f32 s1, s25, ",
            $a,
            "\nvfma.f32 s2, s26, ",
            $a,
            "\nvfma.f32 s3, s27, ",
            $a,
            "\n",
            "vfma.f32 s4, s24, ",
            $b,
            "\nvfma.f32 s5, s25, ",
            $b,
            "\nvfma.f32 s6, s26, ",
            $b,
            "\nvfma.f32 s7, s27, ",
            $b,
            "\n",
            "vfma.f32 s8, s24, ",
            $c,
            "\nvfma.f32 s9, s25, ",
            $c,
            "\nvfma.f32 s10, s26, ",
            $c,
            "\nvfma.f32 s11, s27, ",
            $c,
            "\n",
            "vfma.f32 s12, s24, ",
            $d,
            "\nvfma.f32 s13, s25, ",
            $d,
            "\nvfma.f32 s14, s26, ",
            $d,
            "\nvfma.f32 s15, s27, ",
            $d,
            "\n",
        )
    };
}

macro_rules! functions {
    ($weights:ident, $number:ty, $four:ident, $one:ident) => {
        /// [`Weights::BY_FOUR`].
        ///
        /// # Safety
        /// As many numbers and weights are readable, words at multiples of four; the sums are writable.
        #[unsafe(naked)]
        unsafe extern "C" fn $four(
            sums: *mut [[f32; 4]; 4],
            x: *const [*const f32; 4],
            w: *const $number,
            n: usize,
        ) {
            naked_asm!(
                ".fpu fpv4-sp-d16",
                "push {{r4-r8, lr}}",
                "vpush {{s16-s29}}",
                "ldmia r1, {{r4-r7}}",
                "vldmia r0, {{s0-s15}}",
                "lsrs r8, r3, #1",
                "beq 3f",
                "2:",
                "vldmia r4!, {{s16-s17}}",
                "vldmia r5!, {{s18-s19}}",
                "vldmia r6!, {{s20-s21}}",
                "vldmia r7!, {{s22-s23}}",
                load!($weights),
                by_four!("s16" "s18" "s20" "s22"),
                load!($weights),
                by_four!("s17" "s19" "s21" "s23"),
                "subs r8, r8, #1",
                "bne 2b",
                "3:",
                "lsls r3, r3, #31",
                "beq 4f",
                "vldmia r4!, {{s16}}",
                "vldmia r5!, {{s18}}",
                "vldmia r6!, {{s20}}",
                "vldmia r7!, {{s22}}",
                load!($weights),
                by_four!("s16" "s18" "s20" "s22"),
                "4:",
                "vstmia r0, {{s0-s15}}",
                "vpop {{s16-s29}}",
                "pop {{r4-r8, pc}}",
            )
        }

        /// [`Weights::BY_ONE`].
        ///
        /// # Safety
        /// As above.
        #[unsafe(naked)]
        unsafe extern "C" fn $one(sums: *mut [f32; 4], x: *const f32, w: *const $number, n: usize) {
            naked_asm!(
                ".fpu fpv4-sp-d16",
                "vpush {{s24-s29}}",
                "vldmia r0, {{s0-s3}}",
                "cbz r3, 3f",
                "2:",
                load!($weights),
                "vldmia r1!, {{s4}}",
                "vfma.f32 s0, s24, s4",
                "vfma.f32 s1, s25, s4",
                "vfma.f32 s2, s26, s4",
                "vfma.f32 s3, s27, s4",
                "subs r3, r3, #1",
                "bne 2b",
                "3:",
                "vstmia r0, {{s0-s3}}",
                "vpop {{s24-s29}}",
                "bx lr",
            )
        }
    };
}

functions!(f32, f32, f32_by_four, f32_by_one);
functions!(f16, u16, f16_by_four, f16_by_one);

/// Writes `n` f16 values as f32, at any address.
///
/// # Safety
/// As many f16 values are readable, and f32 values writable.
#[unsafe(naked)]
unsafe extern "C" fn widen(source: *const u8, target: *mut f32, n: usize) {
    naked_asm!(
        ".fpu fpv4-sp-d16",
        "lsrs r3, r2, #1",
        "beq 3f",
        "2:",
        "ldr r12, [r0], #4",
        "vmov s0, r12",
        "vcvtb.f32.f16 s1, s0",
        "vcvtt.f32.f16 s2, s0",
        "vstmia r1!, {{s1-s2}}",
        "subs r3, r3, #1",
        "bne 2b",
        "3:",
        "lsls r2, r2, #31",
        "beq 4f",
        "ldrh r12, [r0]",
        "vmov s0, r12",
        "vcvtb.f32.f16 s1, s0",
        "vstmia r1, {{s1}}",
        "4:",
        "bx lr",
    )
}

impl<W: Weights> Tile for Vfp<W> {
    type Number = f32;
    type Weight = W;
    const PANEL: usize = 4;
    const PANELS: usize = 1;

    unsafe fn run(self, pixels: &[Pixel<f32>], panels: &Panels<'_, W>) {
        let (fours, ones) = pixels.as_chunks::<4>();
        let (segments, n) = (panels.segments, panels.segments.len);
        // SAFETY: four biases; runs of numbers and weights, the caller says; live channels of each pixel.
        unsafe {
            let bias = panels.bias.cast::<[f32; 4]>().read();
            for pixels in fours {
                let mut sums = [bias; 4];
                segments.each(|numbers, weights| {
                    let x = pixels.map(|pixel| pixel.numbers.wrapping_offset(numbers));
                    W::BY_FOUR(&mut sums, &x, panels.weights.wrapping_add(weights), n);
                });
                for (pixel, sums) in pixels.iter().zip(sums) {
                    store(panels, sums, pixel.out);
                }
            }
            for pixel in ones {
                let mut sums = bias;
                segments.each(|numbers, weights| {
                    let x = pixel.numbers.wrapping_offset(numbers);
                    W::BY_ONE(&mut sums, x, panels.weights.wrapping_add(weights), n);
                });
                store(panels, sums, pixel.out);
            }
        }
    }

    unsafe fn widen(self, source: *const u8, target: *mut f32, n: usize) {
        // SAFETY: the caller's promise.
        unsafe { self::widen(source, target, n) }
    }
}

/// Stores the live channels of a pixel.
///
/// # Safety
/// They are writable.
#[inline(always)]
unsafe fn store<W>(panels: &Panels<'_, W>, sums: [f32; 4], out: *mut i8) {
    let out = out.wrapping_add(panels.first);
    for (i, sum) in sums.into_iter().enumerate().take(panels.live) {
        let result = panels.range.clamp(sum);
        // SAFETY: one of the live channels.
        unsafe {
            match panels.to {
                Float::F16 => out.cast::<u16>().add(i).write_unaligned(half::from_f32(result)),
                Float::F32 => out.cast::<f32>().add(i).write_unaligned(result),
            }
        }
    }
}
