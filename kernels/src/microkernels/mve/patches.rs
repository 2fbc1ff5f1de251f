//! Copies of patches: short rows, sixteen bytes at a time.

use super::assembly::mve;
use core::arch::naked_asm;

/// The same rows of several pixels. The assembly has the order of the fields.
#[repr(C)]
pub(crate) struct Block {
    /// Of the first pixel.
    pub(crate) from: *const i8,
    /// Where its rows go, without gaps.
    pub(crate) to: *mut i8,
    /// Bytes of a row, at least one.
    pub(crate) len: usize,
    /// At least one.
    pub(crate) rows: usize,
    /// Bytes from one row to the next.
    pub(crate) pitch: usize,
    /// Bytes from one pixel to the next.
    pub(crate) step: usize,
    /// At least one.
    pub(crate) pixels: usize,
    /// Bytes from one pixel's rows to the next one's, where they go.
    pub(crate) k: usize,
}

/// Copies them.
///
/// # Safety
/// All of them are readable, and writable where they go.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn copy(block: &Block) {
    naked_asm!(concat!(
        mve!(),
        "push {{r4-r11, lr}}\n",
        "ldm r0, {{r0-r7}}\n",
        "2:\n",
        "mov r8, r0\n",
        "mov r9, r1\n",
        "mov r10, r3\n",
        "3:\n",
        "mov r12, r8\n",
        "mov r11, r9\n",
        "dlstp.8 lr, r2\n",
        "4:\n",
        "vldrb.u8 q0, [r12], #16\n",
        "vstrb.8 q0, [r11], #16\n",
        "letp lr, 4b\n",
        "add r8, r8, r4\n",
        "add r9, r9, r2\n",
        "subs r10, r10, #1\n",
        "bne 3b\n",
        "add r0, r0, r5\n",
        "add r1, r1, r7\n",
        "subs r6, r6, #1\n",
        "bne 2b\n",
        "pop {{r4-r11, pc}}\n",
    ))
}
