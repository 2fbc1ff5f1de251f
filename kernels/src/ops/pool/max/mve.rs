//! Helium: thirty-two channels at a time.

use super::rectangle::Rectangle;
use crate::{Isa, microkernels::mve::mve};
use core::arch::naked_asm;

/// A core with Helium.
#[derive(Clone, Copy)]
pub(super) struct Mve(());

impl Mve {
    /// The token, where the instructions exist.
    pub(super) const fn new(isa: Isa) -> Option<Self> {
        if isa.has_mve() { Some(Self(())) } else { None }
    }

    /// `out[c] = min(max(lowest, largest of channel c in the rectangle), highest)`.
    ///
    /// # Safety
    /// `channels` bytes are readable at every pixel of the rectangle and writable at `out`.
    #[inline(always)]
    pub(super) unsafe fn largest(
        self,
        pixels: &Rectangle,
        channels: usize,
        [lowest, highest]: [i8; 2],
        out: *mut i8,
    ) {
        let bounds = u32::from(lowest as u8) | u32::from(highest as u8) << 8;
        // SAFETY: the caller's promise, and the instructions exist.
        unsafe { largest(pixels, channels, bounds, out) };
    }
}

/// See [`Mve::largest`]; the lowest value is the first byte of `bounds`, the highest the second.
///
/// # Safety
/// As there.
#[unsafe(naked)]
unsafe extern "C" fn largest(pixels: &Rectangle, channels: usize, bounds: u32, out: *mut i8) {
    // r4 to r8 are the rectangle's fields in their order: the first pixel, rows, columns, and bytes between rows and pixels.
    naked_asm!(concat!(
        mve!(),
        "push {{r4-r11, lr}}\n",
        "ldm r0, {{r4-r8}}\n",
        "lsr r12, r2, #8\n",
        "2:\n",
        "subs r1, r1, #32\n",
        "blo 6f\n",
        "vdup.8 q0, r2\n",
        "vdup.8 q1, r2\n",
        "mov r9, r4\n",
        "movs r10, r5\n",
        "beq 7f\n",
        "3:\n",
        "mov r11, r9\n",
        "wls lr, r6, 5f\n",
        "4:\n",
        "vldrb.u8 q2, [r11]\n",
        "vldrb.u8 q3, [r11, #16]\n",
        "vmax.s8 q0, q0, q2\n",
        "add r11, r11, r8\n",
        "vmax.s8 q1, q1, q3\n",
        "le lr, 4b\n",
        "5:\n",
        "add r9, r9, r7\n",
        "subs r10, r10, #1\n",
        "bne 3b\n",
        "7:\n",
        "vdup.8 q2, r12\n",
        "vmin.s8 q0, q0, q2\n",
        "vmin.s8 q1, q1, q2\n",
        "vstrb.8 q0, [r3], #16\n",
        "vstrb.8 q1, [r3], #16\n",
        "add r4, r4, #32\n",
        "b 2b\n",
        "6:\n",
        // Up to 31 channels, sixteen at a time; those that are not there are neither read nor written.
        "adds r1, r1, #32\n",
        "beq 9f\n",
        "8:\n",
        "vctp.8 r1\n",
        "vdup.8 q0, r2\n",
        "mov r9, r4\n",
        "movs r10, r5\n",
        "beq 7f\n",
        "3:\n",
        "mov r11, r9\n",
        "wls lr, r6, 5f\n",
        "4:\n",
        "vpst\n",
        "vldrbt.u8 q2, [r11]\n",
        "vmax.s8 q0, q0, q2\n",
        "add r11, r11, r8\n",
        "le lr, 4b\n",
        "5:\n",
        "add r9, r9, r7\n",
        "subs r10, r10, #1\n",
        "bne 3b\n",
        "7:\n",
        "vdup.8 q2, r12\n",
        "vmin.s8 q0, q0, q2\n",
        "vpst\n",
        "vstrbt.8 q0, [r3], #16\n",
        "add r4, r4, #16\n",
        "subs r1, r1, #16\n",
        "bhi 8b\n",
        "9:\n",
        "pop {{r4-r11, pc}}\n",
    ))
}
