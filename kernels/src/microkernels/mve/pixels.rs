//! The loop pixel by pixel: for any number of channels and any addresses.

use super::{Line, Panels, mve};
use core::arch::naked_asm;

/// Some pixels of one panel. The assembly has the offsets of the fields.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Pixels {
    /// 0: the first group of weights.
    weights: *const i8,
    /// 4: groups of sixteen, at least one.
    groups: usize,
    /// 8: the first pixel.
    x: *const i8,
    /// 12: bytes from the end of a pixel to the next.
    gap: usize,
    /// 16: where its channels go.
    out: *mut i8,
    /// 20
    out_pitch: usize,
    /// 24: at least one.
    pixels: usize,
    /// 28: channels that are stored.
    live: usize,
    /// 32
    zero_point: i32,
    /// 36
    min: i32,
    /// 40
    max: i32,
    /// 44
    bias: *const i32,
    /// 48
    mantissa: *const i32,
    /// 52
    shift: *const i8,
}

const _: () = assert!(core::mem::offset_of!(Pixels, shift) == 52);

impl Pixels {
    #[inline(always)]
    pub(super) fn new(line: &Line, groups: usize, panel: &Panels, live: usize) -> Self {
        Self {
            weights: panel.weights,
            groups,
            x: line.x,
            gap: line.pitch.wrapping_sub(groups * super::GROUP),
            out: line.out,
            out_pitch: line.out_pitch,
            pixels: line.pixels,
            live,
            zero_point: panel.stage.zero_point.into(),
            min: panel.stage.min.into(),
            max: panel.stage.max.into(),
            bias: panel.bias,
            mantissa: panel.mantissa,
            shift: panel.shift,
        }
    }

    /// Of one pixel elsewhere.
    #[inline(always)]
    pub(super) fn of_one(&self, x: *const i8, out: *mut i8) -> Self {
        Self { x, out, pixels: 1, ..*self }
    }

    /// The double rounding; factors have shifts from -31 to 0.
    ///
    /// # Safety
    /// All pixels are readable, `live` bytes of each writable; `groups` of weights are readable, and four of each constant.
    #[inline(always)]
    pub(super) unsafe fn double(&self) {
        // SAFETY: the caller's promise.
        unsafe { pixels_double(self) }
    }

    /// One rounding; factors have shifts from -31 to -1.
    ///
    /// # Safety
    /// As for [`Self::double`].
    #[inline(always)]
    pub(super) unsafe fn single(&self) {
        // SAFETY: the caller's promise.
        unsafe { pixels_single(self) }
    }

    /// Four sums with their biases as they are, 16 bytes for each pixel.
    ///
    /// # Safety
    /// As for [`Self::double`], with 16 bytes to write.
    #[inline(always)]
    pub(super) unsafe fn sums(&self) {
        // SAFETY: the caller's promise.
        unsafe { pixels_sums(self) }
    }
}

/// Sixteen bytes of four channels.
macro_rules! column {
    ($a:literal) => {
        concat!(
            "vldrb.u8 q0, [r1], #16\n",
            "vldrb.u8 q1, [r3], #16\n",
            concat!("vmladav", $a, ".s8 r0, q0, q1\n"),
            "vldrb.u8 q2, [r3], #16\n",
            concat!("vmladav", $a, ".s8 r2, q0, q2\n"),
            "vldrb.u8 q1, [r3], #16\n",
            concat!("vmladav", $a, ".s8 r4, q0, q1\n"),
            "vldrb.u8 q2, [r3], #16\n",
            concat!("vmladav", $a, ".s8 r6, q0, q2\n"),
        )
    };
}

macro_rules! pixels {
    ($(#[$doc:meta])* $name:ident, $ending:expr) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// As for the method of [`Pixels`] of that name.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(job: &Pixels) {
            // r12 is the job, r5 the output; q3 to q7 are the largest and the least value, and the four channels' constants.
            naked_asm!(concat!(
                mve!(),
                "push {{r4-r11, lr}}\n",
                "vpush {{d8-d15}}\n",
                "mov r12, r0\n",
                "ldrd r2, r3, [r12, #36]\n",
                "vdup.32 q4, r2\n",
                "vdup.32 q3, r3\n",
                "ldrd r2, r3, [r12, #44]\n",
                "vldrw.u32 q5, [r2]\n",
                "vldrw.u32 q6, [r3]\n",
                "ldr r2, [r12, #52]\n",
                "vldrb.s32 q7, [r2]\n",
                "ldrd r1, r9, [r12, #8]\n",
                "ldrd r5, r7, [r12, #16]\n",
                "ldrd r8, r10, [r12, #24]\n",
                "2:\n",
                "ldrd r3, r11, [r12]\n",
                column!(""),
                "subs r11, r11, #1\n",
                "beq 4f\n",
                "dls lr, r11\n",
                "3:\n",
                column!("a"),
                "le lr, 3b\n",
                "4:\n",
                "vmov q0[2], q0[0], r0, r4\n",
                "vmov q0[3], q0[1], r2, r6\n",
                "vadd.i32 q0, q0, q5\n",
                $ending,
                "add r5, r5, r7\n",
                "add r1, r1, r9\n",
                "subs r8, r8, #1\n",
                "bne 2b\n",
                "vpop {{d8-d15}}\n",
                "pop {{r4-r11, pc}}\n",
            ))
        }
    };
}

/// The zero point, the clamp, and a store of the channels that there are.
macro_rules! stored {
    () => {
        concat!(
            "vrshl.s32 q0, q0, q7\n",
            "ldr r2, [r12, #32]\n",
            "vqadd.s32 q0, q0, r2\n",
            "vmax.s32 q0, q0, q4\n",
            "vmin.s32 q0, q0, q3\n",
            "vctp.32 r10\n",
            "vpst\n",
            "vstrbt.32 q0, [r5]\n",
        )
    };
}

pixels! {
    /// The double rounding.
    pixels_double,
    // A shift of 0 has no sign: nothing is taken off.
    concat!("vqrdmulh.s32 q0, q0, q6\nvand q1, q0, q7\nvshr.s32 q1, q1, #31\nvqadd.s32 q0, q0, q1\n", stored!())
}
pixels! {
    /// One rounding.
    pixels_single, concat!("vqdmulh.s32 q0, q0, q6\n", stored!())
}
pixels! {
    /// Sums as they are.
    pixels_sums, "vstrw.32 q0, [r5]\n"
}
