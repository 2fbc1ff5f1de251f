//! Helium: sums of the channels of pixels, thirty-two at a time in lanes of 16 bits.

use crate::microkernels::mve::mve;
use core::arch::naked_asm;

/// Channels that are added together.
pub(super) const CHANNELS: usize = 32;
/// Pixels whose sum fits 16 bits.
pub(super) const MOST: usize = 255;

/// Writes the sums of `pixels`, `pitch` bytes apart; at most [`MOST`].
///
/// # Safety
/// So many channels are readable at each.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn add(x: *const i8, pitch: usize, pixels: usize, sums: &mut [i16; CHANNELS]) {
    naked_asm!(concat!(
        mve!(),
        "push {{r4, lr}}\n",
        "vpush {{d8-d11}}\n",
        "vmov.i32 q0, #0\n",
        "vmov.i32 q1, #0\n",
        "vmov.i32 q2, #0\n",
        "vmov.i32 q3, #0\n",
        "wls lr, r2, 3f\n",
        "2:\n",
        "vldrb.s16 q4, [r0]\n",
        "vldrb.s16 q5, [r0, #8]\n",
        "vadd.i16 q0, q0, q4\n",
        "vldrb.s16 q4, [r0, #16]\n",
        "vadd.i16 q1, q1, q5\n",
        "vldrb.s16 q5, [r0, #24]\n",
        "vadd.i16 q2, q2, q4\n",
        "add r0, r0, r1\n",
        "vadd.i16 q3, q3, q5\n",
        "le lr, 2b\n",
        "3:\n",
        "vstrh.16 q0, [r3]\n",
        "vstrh.16 q1, [r3, #16]\n",
        "vstrh.16 q2, [r3, #32]\n",
        "vstrh.16 q3, [r3, #48]\n",
        "vpop {{d8-d11}}\n",
        "pop {{r4, pc}}\n",
    ))
}
