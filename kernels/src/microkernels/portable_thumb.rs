//! The inner loop of [`super::portable`] in assembly, for Thumb-2 without DSP instructions (Cortex-M3): with two pixels by four
//! channels of sums, three addresses and three values, all fourteen registers are used, which the compiler does not manage.
//!
//! Per byte of the reduction: two loads of activations, four of weights, eight `mla`. With the loop around four bytes that is
//! 1.84 instructions per multiply-accumulate.

use super::Rows;

/// Two pixels, and what becomes of them.
#[repr(C)]
struct Pair {
    /// The next offset of each pixel.
    offsets: [*const i32; 2],
    base: *const i8,
    pad: *const i8,
    segments: usize,
    /// Bytes of a segment in turns of four, and all of them.
    whole: usize,
    k: usize,
    weights: *const i8,
    sums: [[i32; 4]; 2],
}

/// The sums of two pixels for a panel of four channels.
///
/// # Safety
/// `rows` holds two pixels, with `rows.k` readable bytes in each segment; the panel's weights are at `weights`.
pub(super) unsafe fn sums(rows: &Rows, weights: *const i8) -> [[i32; 4]; 2] {
    let mut pair = Pair {
        offsets: [rows.offsets, rows.offsets.wrapping_add(rows.segments)],
        base: rows.base,
        pad: rows.pad,
        segments: rows.segments,
        whole: rows.k & !3,
        k: rows.k,
        weights,
        sums: [[0; 4]; 2],
    };
    if rows.k > 0 && rows.segments > 0 {
        // SAFETY: the caller's promise.
        unsafe { accumulate(&mut pair) };
    }
    pair.sums
}

/// One byte of two pixels at r0 and r1, by four channels at r2.
macro_rules! step {
    () => {
        "ldrsb r3, [r0], #1
         ldrsb r12, [r1], #1
         ldrsb lr, [r2], #1
         mla r4, r3, lr, r4
         mla r8, r12, lr, r8
         ldrsb lr, [r2], #1
         mla r5, r3, lr, r5
         mla r9, r12, lr, r9
         ldrsb lr, [r2], #1
         mla r6, r3, lr, r6
         mla r10, r12, lr, r10
         ldrsb lr, [r2], #1
         mla r7, r3, lr, r7
         mla r11, r12, lr, r11"
    };
}

/// Fills the sums.
///
/// # Safety
/// As for [`sums`], with at least one segment of at least one byte.
#[inline(never)]
unsafe fn accumulate(pair: &mut Pair) {
    // SAFETY: reads what was promised, writes the sums and offsets; registers that are not named as operands are restored.
    unsafe {
        core::arch::asm!(
            "push {{r6, r7}}",
            // On the stack: where the first pixel's bytes of whole turns end, where all end, and `pair`.
            "sub sp, #12",
            "str r0, [sp, #8]",
            "ldr r2, [r0, #28]",
            "mov r4, #0",
            "mov r5, #0",
            "mov r6, #0",
            "mov r7, #0",
            "mov r8, #0",
            "mov r9, #0",
            "mov r10, #0",
            "mov r11, #0",
            "2:",
            // The next segment of both pixels: at an offset, or in the padding.
            "ldr r12, [sp, #8]",
            "ldrd r3, lr, [r12]",
            "ldr r0, [r3], #4",
            "ldr r1, [lr], #4",
            "strd r3, lr, [r12]",
            "ldrd r3, lr, [r12, #8]",
            "cmp r0, #0",
            "ite ge",
            "addge r0, r0, r3",
            "movlt r0, lr",
            "cmp r1, #0",
            "ite ge",
            "addge r1, r1, r3",
            "movlt r1, lr",
            "ldrd r3, lr, [r12, #20]",
            "add r3, r0, r3",
            "add lr, r0, lr",
            "strd r3, lr, [sp]",
            "cmp r0, r3",
            "beq 4f",
            "3:",
            step!(),
            step!(),
            step!(),
            step!(),
            "ldr r3, [sp]",
            "cmp r0, r3",
            "bne 3b",
            "4:",
            "ldr r3, [sp, #4]",
            "cmp r0, r3",
            "beq 6f",
            "5:",
            step!(),
            "ldr r3, [sp, #4]",
            "cmp r0, r3",
            "bne 5b",
            "6:",
            "ldr r12, [sp, #8]",
            "ldr r3, [r12, #16]",
            "subs r3, #1",
            "str r3, [r12, #16]",
            "bne 2b",
            "add r12, r12, #32",
            "stm r12, {{r4, r5, r6, r7, r8, r9, r10, r11}}",
            "add sp, #12",
            "pop {{r6, r7}}",
            inout("r0") pair => _,
            out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _, out("r8") _, out("r9") _, out("r10") _,
            out("r11") _, out("r12") _, out("lr") _,
        );
    }
}
