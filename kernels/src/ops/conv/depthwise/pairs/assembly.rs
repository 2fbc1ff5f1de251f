//! In assembly. The compiler keeps r6 and r7 to itself; they are saved here, and all fourteen registers are used.

use super::{CHANNELS, Channel, Line, PLANE, Row};
use crate::microkernels::dsp::twice::{Ending, byte};
use core::arch::asm;

/// Pixels r9 and r10 to the planes at r3.
macro_rules! pair {
    () => {
        "pkhbt r11, r9, r10, lsl #16
         pkhtb r9, r10, r9, asr #16
         sxtb16 r10, r11
         sxtb16 r11, r11, ror #8
         str r11, [r3, #{plane}]
         sxtb16 r11, r9
         sxtb16 r9, r9, ror #8
         str r11, [r3, #{plane2}]
         str r9, [r3, #{plane3}]
         str r10, [r3], #4"
    };
}

/// See [`super::plain::pack`].
///
/// # Safety
/// As there.
#[inline(never)]
pub(super) unsafe extern "C" fn pack(line: &Line) {
    // SAFETY: reads and writes what was promised; registers that are not named as operands are restored.
    unsafe {
        asm!(
            "push {{r6, r7}}",
            "ldm r0, {{r1, r2, r3, r4, r5, r6, r7, r8}}",
            "cbz r5, 2f",
            "mov r9, r4",
            "ldr r10, [r1]",
            "add r1, r2",
            pair!(),
            "2:",
            "cbz r6, 4f",
            "3:",
            "ldr r9, [r1]",
            "ldr r10, [r1, r2]",
            "add r1, r1, r2, lsl #1",
            pair!(),
            "subs r6, #1",
            "bne 3b",
            "4:",
            "cbz r7, 5f",
            "ldr r9, [r1]",
            "mov r10, r4",
            pair!(),
            "5:",
            "cmp r8, #0",
            "beq 7f",
            "sxtb16 r9, r4",
            "6:",
            "str r9, [r3, #{plane}]",
            "str r9, [r3, #{plane2}]",
            "str r9, [r3, #{plane3}]",
            "str r9, [r3], #4",
            "subs r8, #1",
            "bne 6b",
            "7:",
            "pop {{r6, r7}}",
            inout("r0") line => _,
            out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _, out("r8") _, out("r9") _, out("r10") _,
            out("r11") _,
            plane = const PLANE, plane2 = const 2 * PLANE, plane3 = const 3 * PLANE,
        );
    }
}

/// A row of the image at `$at`, its weights in `$a` and `$b`, to the sums in r10 and r11.
macro_rules! products {
    (1, $at:literal, $a:literal, $b:literal) => {
        concat!(
            concat!("ldrd r2, r3, ", $at, "\n"),
            concat!("smlad r10, r2, ", $a, ", r10\n"),
            concat!("smlabt r10, r3, ", $b, ", r10\n"),
            concat!("smlatb r11, r2, ", $a, ", r11\n"),
            concat!("smlad r11, r3, ", $b, ", r11\n"),
        )
    };
    (2, $at:literal, $third:literal, $a:literal, $b:literal) => {
        concat!(
            concat!("ldrd r2, r3, ", $at, "\n"),
            concat!("smlad r10, r2, ", $a, ", r10\n"),
            concat!("smlabt r10, r3, ", $b, ", r10\n"),
            concat!("ldr r2, ", $third, "\n"),
            concat!("smlad r11, r3, ", $a, ", r11\n"),
            concat!("smlabt r11, r2, ", $b, ", r11\n"),
        )
    };
}

/// Three rows of the image.
macro_rules! rows {
    (1) => {
        concat!(
            products!(1, "[r0, #{row2}]", "r8", "r9"),
            products!(1, "[r0, #{row}]", "r6", "r7"),
            products!(1, "[r0], #4", "r4", "r5"),
        )
    };
    (2) => {
        concat!(
            products!(2, "[r0, #{row2}]", "[r0, #{row2} + 8]", "r8", "r9"),
            products!(2, "[r0, #{row}]", "[r0, #{row} + 8]", "r6", "r7"),
            products!(2, "[r0], #8", "[r0]", "r4", "r5"),
        )
    };
}

/// Clamps `$r` to `$min` and `$max`; the lower bound wins.
macro_rules! clamp {
    ($r:literal, $min:literal, $max:literal) => {
        concat!(
            concat!("cmp ", $r, ", ", $max, "\nit gt\nmovgt ", $r, ", ", $max, "\n"),
            concat!("cmp ", $r, ", ", $min, "\nit lt\nmovlt ", $r, ", ", $min, "\n"),
        )
    };
}

/// Bytes of two sums in r10 and r11, to be stored.
macro_rules! end {
    (relu) => {
        concat!(
            "ldrd r2, r3, [sp]\n",
            byte!(relu, "r10", "r2", "r3", "lr"),
            byte!(relu, "r11", "r2", "r3", "lr"),
            "strb r11, [r1, r12]\nstrb r10, [r1]\n",
        )
    };
    (double) => {
        concat!(
            "ldrd r2, r3, [sp]\n",
            "smmlar r2, r11, r2, r3\nadd r2, r2, r11, asr #31\nasr r2, r2, lr\nssat r2, #8, r2\n",
            "ldr r11, [sp]\n",
            "smmlar r11, r10, r11, r3\nadd r11, r11, r10, asr #31\nasr r11, r11, lr\nssat r11, #8, r11\n",
            "ldrd r3, r10, [sp, #40]\n",
            clamp!("r2", "r3", "r10"),
            clamp!("r11", "r3", "r10"),
            "strb r2, [r1, r12]\nstrb r11, [r1]\n",
        )
    };
    (single) => {
        concat!(
            "ldrd r2, r3, [sp]\n",
            byte!(single, "r10", "r2", "r3", "lr"),
            byte!(single, "r11", "r2", "r3", "lr"),
            "ldrd r2, r3, [sp, #40]\n",
            clamp!("r10", "r2", "r3"),
            clamp!("r11", "r2", "r3"),
            "strb r11, [r1, r12]\nstrb r10, [r1]\n",
        )
    };
}

/// Defines the function for one stride and one ending. Pairs are at r0, the result at r1, weights in r4 to r9, two sums in r10 and r11, the step in
/// r12, shift and count in lr. On the stack: what two sums become bytes with, and begin with (16 bytes); the next channel's constants, weights, pairs
/// and result (16); the end of the constants; whether the number of pixels is odd; the clamp; the step.
macro_rules! row {
    ($name:ident, $stride:tt, $ending:tt) => {
        /// See [`super::plain`].
        ///
        /// # Safety
        /// As there.
        #[inline(never)]
        unsafe extern "C" fn $name(row: &Row) {
            // SAFETY: reads and writes what was promised; registers that are not named as operands are restored.
            unsafe {
                asm!(
                    "push {{r6, r7}}",
                    "ldm r0, {{r1, r2, r3, r4, r5, r8, r9, r10}}",
                    "sub sp, #56",
                    "add r6, sp, #16",
                    "add r7, r1, #{all}",
                    "stm r6!, {{r1, r2, r3, r4, r7}}",
                    "stm r6, {{r8, r9, r10}}",
                    "str r5, [sp, #48]",
                    // A channel.
                    "2:",
                    "ldrd r2, r3, [sp, #16]",
                    "ldr r12, [sp, #48]",
                    "ldm r2, {{r4, r5, r6, r7, lr}}",
                    "stm sp, {{r4, r5, r6, r7}}",
                    "ldm r3, {{r4, r5, r6, r7, r8, r9}}",
                    "adds r2, #{one}",
                    "adds r3, #{one}",
                    "strd r2, r3, [sp, #16]",
                    "ldrd r0, r1, [sp, #24]",
                    "add r2, r0, #{plane}",
                    "adds r3, r1, #1",
                    "strd r2, r3, [sp, #24]",
                    "cmp lr, #0",
                    "bmi 4f",
                    // Two pixels.
                    "3:",
                    "ldrd r10, r11, [sp, #8]",
                    rows!($stride),
                    end!($ending),
                    "add r1, r1, r12, lsl #1",
                    "subs lr, #0x100",
                    "bpl 3b",
                    // Once more for the last pixel of an odd number, which is stored over the one that does not exist.
                    "4:",
                    "ldr r2, [sp, #36]",
                    "cbz r2, 5f",
                    "cmp r12, #0",
                    "beq 5f",
                    "mov r12, #0",
                    "b 3b",
                    "5:",
                    "ldr r2, [sp, #16]",
                    "ldr r3, [sp, #32]",
                    "cmp r2, r3",
                    "bne 2b",
                    "add sp, #56",
                    "pop {{r6, r7}}",
                    inout("r0") row => _,
                    out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _, out("r8") _, out("r9") _,
                    out("r10") _, out("r11") _, out("r12") _, out("lr") _,
                    plane = const PLANE, row = const CHANNELS * PLANE, row2 = const 2 * CHANNELS * PLANE,
                    one = const size_of::<Channel>(), all = const CHANNELS * size_of::<Channel>(),
                );
            }
        }
    };
}
row!(relu_1, 1, relu);
row!(relu_2, 2, relu);
row!(double_1, 1, double);
row!(double_2, 2, double);
row!(single_1, 1, single);
row!(single_2, 2, single);

/// The function for an ending and a stride.
pub(super) struct Compute(unsafe extern "C" fn(&Row));

impl Compute {
    pub(super) fn new(ending: Ending, stride: usize) -> Self {
        Self(match (ending, stride) {
            (Ending::Relu, 1) => relu_1,
            (Ending::Relu, _) => relu_2,
            (Ending::Double, 1) => double_1,
            (Ending::Double, _) => double_2,
            (Ending::Single, 1) => single_1,
            (Ending::Single, _) => single_2,
        })
    }

    /// See [`super::plain`].
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    pub(super) unsafe fn row(&self, row: &Row) {
        // SAFETY: the caller's promise.
        unsafe { (self.0)(row) }
    }
}
