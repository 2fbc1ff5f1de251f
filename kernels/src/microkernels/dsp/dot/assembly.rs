//! The loops in assembly. One file, as all of them are put together from the same macros, which name registers.
//!
//! The compiler keeps r6 and r7 to itself; they are saved here, and all fourteen registers are used.
use super::{super::twice::byte, Triples, Two};
use core::arch::asm;

/// Two words of weights (r5, r6) by six of three pixels (r2 to r4, twice). Sums of words as they are in r8 to r10, of
/// their lower bytes in r11, r12, lr; with `first`, of nothing else.
macro_rules! three_pixels {
    () => {
        concat!("ldrd r5, r6, [r1], #8\n", three_pixels!("r5"), three_pixels!("r6"))
    };
    (first) => {
        concat!(
            "ldrd r5, r6, [r1], #8\n",
            "ldm r0!, {{r2, r3, r4}}\n",
            "sxtb16 r7, r5\n",
            "smuad r8, r5, r2\n",
            "smuad r9, r5, r3\n",
            "smuad r10, r5, r4\n",
            "smuad r11, r7, r2\n",
            "smuad r12, r7, r3\n",
            "smuad lr, r7, r4\n",
            three_pixels!("r6"),
        )
    };
    ($w:literal) => {
        concat!(
            "ldm r0!, {{r2, r3, r4}}\n",
            concat!("sxtb16 r7, ", $w, "\n"),
            concat!("smlad r8, ", $w, ", r2, r8\n"),
            concat!("smlad r9, ", $w, ", r3, r9\n"),
            concat!("smlad r10, ", $w, ", r4, r10\n"),
            "smlad r11, r7, r2, r11\n",
            "smlad r12, r7, r3, r12\n",
            "smlad lr, r7, r4, lr\n",
        )
    };
}

/// `S` and `A` of three pixels; see [`super::plain::three`].
///
/// # Safety
/// As there, and both addresses are multiples of 4.
#[inline(never)]
pub(in super::super) unsafe extern "C" fn three(
    x: *const u32,
    weights: *const i8,
    groups: usize,
    sums: &mut [[i32; 3]; 2],
) {
    // SAFETY: reads what was promised, writes six sums; registers that are not named as operands are restored.
    unsafe {
        asm!(
            "push {{r3, r6, r7}}",
            // On the stack: where the weights of whole turns end, and where all end.
            "add r3, r1, r2, lsl #3",
            "bic r2, r2, #3",
            "add r2, r1, r2, lsl #3",
            "push {{r2, r3}}",
            "mov r8, #0",
            "mov r9, #0",
            "mov r10, #0",
            "mov r11, #0",
            "mov r12, #0",
            "mov lr, #0",
            "cmp r1, r2",
            "beq 3f",
            "2:",
            three_pixels!(),
            three_pixels!(),
            three_pixels!(),
            three_pixels!(),
            "ldr r7, [sp]",
            "cmp r1, r7",
            "bne 2b",
            "3:",
            "ldr r7, [sp, #4]",
            "cmp r1, r7",
            "beq 5f",
            "4:",
            three_pixels!(),
            "ldr r7, [sp, #4]",
            "cmp r1, r7",
            "bne 4b",
            "5:",
            "pop {{r2, r3, r4}}",
            "stm r4, {{r8, r9, r10, r11, r12, lr}}",
            "pop {{r6, r7}}",
            inout("r0") x => _, inout("r1") weights => _, inout("r2") groups => _, inout("r3") sums => _,
            out("r4") _, out("r5") _, out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("r12") _, out("lr") _,
        );
    }
}

/// Clamps `$r` to r2 and r3; the lower bound wins.
macro_rules! clamp {
    ($($r:literal)*) => {
        concat!($(
            concat!("cmp ", $r, ", r3\nit gt\nmovgt ", $r, ", r3\n"),
            concat!("cmp ", $r, ", r2\nit lt\nmovlt ", $r, ", r2\n"),
        )*)
    };
}

/// Twice a sum in `$r` to a byte, with the mantissa in r2, the offset in r3 and the shift in r4; r6 is lost.
macro_rules! end {
    (double, $r:literal) => {
        concat!(concat!("add r6, r3, ", $r, ", asr #31\n"), byte!(relu, $r, "r2", "r6", "r4"))
    };
    ($ending:tt, $r:literal) => {
        byte!($ending, $r, "r2", "r3", "r4")
    };
}

/// A jump to the clamp, if there is one.
macro_rules! to_clamp {
    (relu) => {
        ""
    };
    ($ending:tt) => {
        "ldr r2, [r7, #16]\ncbnz r2, 8f"
    };
}

/// Defines the function for one ending. The sums of both channels of three pixels stay in registers from the first
/// product to the bytes.
macro_rules! panels {
    ($name:ident, $ending:tt) => {
        /// All of [`Triples`]; see [`super::plain`].
        ///
        /// # Safety
        /// As there, and addresses of words and of weights are multiples of 4.
        #[inline(never)]
        pub(in super::super) unsafe extern "C" fn $name(groups: usize, triples: &mut Triples) {
            // SAFETY: reads and writes what was promised; registers that are not named as operands are restored.
            unsafe {
                asm!(
                    "push {{r1, r6, r7}}",
                    // On the stack: how many groups after the first are beyond turns of eight, or 8 where there are none at all;
                    // where the weights end; how long they are; `triples`.
                    "lsl r4, r0, #3",
                    "subs r0, #1",
                    "ite eq",
                    "moveq r0, #8",
                    "andne r0, r0, #7",
                    "push {{r0, r3, r4}}",
                    // A panel.
                    "1:",
                    "ldr r7, [sp, #12]",
                    "add r6, r7, #60",
                    "ldm r6, {{r2, r3, r4, r5}}",
                    "ldrd r8, r9, [r2], #8",
                    "ldrd r10, r11, [r3], #8",
                    "ldrsb r12, [r4], #1",
                    "ldrsb lr, [r4], #1",
                    "orrs r0, r10, r11",
                    "bmi 9f",
                    // One less than the shifts.
                    "mvn r12, r12",
                    "mvn lr, lr",
                    "cmp r12, #19",
                    "it ls",
                    "cmpls lr, #19",
                    "bhi 9f",
                    "add r0, r8, #0x20000000",
                    "add r1, r9, #0x20000000",
                    "orrs r0, r1",
                    "cmp r0, #0x40000000",
                    "bhs 9f",
                    "stm r6, {{r2, r3, r4}}",
                    "lsl r4, r5, r12",
                    "lsl r5, r5, lr",
                    "add r12, #1",
                    "add lr, #1",
                    "lsl r8, r8, #1",
                    "lsl r9, r9, #1",
                    "strd r10, r4, [r7]",
                    "strd r12, r8, [r7, #8]",
                    "strd r11, r5, [r7, #16]",
                    "strd lr, r9, [r7, #24]",
                    "ldr r1, [r7, #32]",
                    "ldr r0, [r7, #88]",
                    "ldr r2, [sp, #8]",
                    "add r2, r1",
                    "str r2, [sp, #4]",
                    // Three pixels.
                    "2:",
                    three_pixels!(first),
                    "ldr r7, [sp]",
                    "tbb [pc, r7]",
                    "30:",
                    ".byte (38f - 30b) / 2",
                    ".byte (31f - 30b) / 2",
                    ".byte (32f - 30b) / 2",
                    ".byte (33f - 30b) / 2",
                    ".byte (34f - 30b) / 2",
                    ".byte (35f - 30b) / 2",
                    ".byte (36f - 30b) / 2",
                    ".byte (37f - 30b) / 2",
                    ".byte (39f - 30b) / 2",
                    ".p2align 1",
                    "39:",
                    // Too far for a byte.
                    "b 40f",
                    "38:",
                    three_pixels!(),
                    "37:",
                    three_pixels!(),
                    "36:",
                    three_pixels!(),
                    "35:",
                    three_pixels!(),
                    "34:",
                    three_pixels!(),
                    "33:",
                    three_pixels!(),
                    "32:",
                    three_pixels!(),
                    "31:",
                    three_pixels!(),
                    "ldr r7, [sp, #4]",
                    "cmp r1, r7",
                    "bne 38b",
                    "40:",
                    "ldr r7, [sp, #12]",
                    // 256 * B = S - A.
                    "sub r8, r8, r11",
                    "sub r9, r9, r12",
                    "sub r10, r10, lr",
                    "ldm r7!, {{r2, r3, r4, r5}}",
                    "add r11, r5, r11, lsl #1",
                    "add r12, r5, r12, lsl #1",
                    "add lr, r5, lr, lsl #1",
                    end!($ending, "r11"),
                    end!($ending, "r12"),
                    end!($ending, "lr"),
                    "ldm r7!, {{r2, r3, r4, r5}}",
                    "add r8, r5, r8, asr #7",
                    "add r9, r5, r9, asr #7",
                    "add r10, r5, r10, asr #7",
                    end!($ending, "r8"),
                    end!($ending, "r9"),
                    end!($ending, "r10"),
                    to_clamp!($ending),
                    "7:",
                    "ldm r7, {{r1, r2, r6}}",
                    "ldm r2!, {{r3, r4, r5}}",
                    "str r2, [r7, #4]",
                    "strb r11, [r3, r6]",
                    "strb r12, [r4, r6]",
                    "strb lr, [r5, r6]",
                    "adds r6, #1",
                    "strb r8, [r3, r6]",
                    "strb r9, [r4, r6]",
                    "strb r10, [r5, r6]",
                    "ldr r3, [r7, #12]",
                    "cmp r2, r3",
                    "bne 2b",
                    "adds r6, #1",
                    "ldr r2, [r7, #44]",
                    "ldrd r4, r5, [r7, #48]",
                    "add r1, r4",
                    "strd r1, r5, [r7]",
                    "str r6, [r7, #8]",
                    "cmp r6, r2",
                    "bne 1b",
                    "b 9f",
                    "8:",
                    "ldrd r2, r3, [r7, #20]",
                    clamp!("r8" "r9" "r10" "r11" "r12" "lr"),
                    "b 7b",
                    "9:",
                    "add sp, #16",
                    "pop {{r6, r7}}",
                    inout("r0") groups => _, inout("r1") triples => _,
                    out("r2") _, out("r3") _, out("r4") _, out("r5") _, out("r8") _, out("r9") _, out("r10") _,
                    out("r11") _, out("r12") _, out("lr") _,
                );
            }
        }
    };
}
panels!(panels_relu, relu);
panels!(panels_double, double);
panels!(panels_single, single);

/// Two words of weights of two panels (at r1 and r12) by two of one pixel.
macro_rules! two_panels {
    () => {
        concat!("ldrd r4, r5, [r0], #8\n", two_panels!("r1", "r8", "r9"), two_panels!("r12", "r10", "r11"),)
    };
    ($w:literal, $s:literal, $a:literal) => {
        concat!(
            concat!("ldrd r6, r7, [", $w, "], #8\n"),
            "sxtb16 lr, r6\n",
            concat!("smlad ", $s, ", r6, r4, ", $s, "\n"),
            concat!("smlad ", $a, ", lr, r4, ", $a, "\n"),
            "sxtb16 lr, r7\n",
            concat!("smlad ", $s, ", r7, r5, ", $s, "\n"),
            concat!("smlad ", $a, ", lr, r5, ", $a, "\n"),
        )
    };
}

/// Sums of both panels, from r1 to r3, with four turns at a time; in r2 the number of groups.
macro_rules! all_words {
    () => {
        concat!(
            "mov r8, #0\nmov r9, #0\nmov r10, #0\nmov r11, #0\n",
            "ands r2, #3\nbeq 3f\n2:\n",
            two_panels!(),
            "subs r2, #1\nbne 2b\ncmp r1, r3\nbeq 5f\n3:\n",
            two_panels!(),
            two_panels!(),
            two_panels!(),
            two_panels!(),
            "cmp r1, r3\nbne 3b\n5:\n",
        )
    };
}

/// Twice a sum in `$sum` (shifted by `$shift`) to a byte of the next channel, if it has a factor with a short way. At r4 to r6 and lr: bias,
/// mantissa, shift and result; twice the zero point and 1 in r7.
macro_rules! channel {
    ($ending:tt, $sum:literal, $shift:literal) => {
        concat!(
            "ldr r2, [r4], #4\nldr r3, [r5], #4\nldrsb r12, [r6], #1\n",
            concat!("add r2, r2, ", $sum, $shift, "\n"),
            "adds r0, r2, #0x40000000\nbmi 9f\n",
            "cmp r3, #0\nblt 9f\n",
            "mvn r12, r12\ncmp r12, #19\nbhi 9f\n",
            "lsl r0, r7, r12\nadd r12, #1\nlsl r2, r2, #1\n",
            channel!($ending),
        )
    };
    (relu) => {
        concat!(byte!(relu, "r2", "r3", "r0", "r12"), "strb r2, [lr], #1\n")
    };
    (double) => {
        concat!(
            "add r0, r0, r2, asr #31\n",
            byte!(relu, "r2", "r3", "r0", "r12"),
            "ldrd r0, r3, [r1, #52]\n",
            "cmp r2, r3\nit gt\nmovgt r2, r3\ncmp r2, r0\nit lt\nmovlt r2, r0\nstrb r2, [lr], #1\n",
        )
    };
    (single) => {
        concat!(
            byte!(single, "r2", "r3", "r0", "r12"),
            "ldrd r0, r3, [r1, #52]\n",
            "cmp r2, r3\nit gt\nmovgt r2, r3\ncmp r2, r0\nit lt\nmovlt r2, r0\nstrb r2, [lr], #1\n",
        )
    };
}

/// Defines the function for one ending.
macro_rules! column {
    ($name:ident, $ending:tt) => {
        /// The first pixel of [`Triples`], which stands alone; see [`super::plain`].
        ///
        /// # Safety
        /// As there, and addresses of words and of weights are multiples of 4.
        #[inline(never)]
        pub(in super::super) unsafe extern "C" fn $name(groups: usize, triples: &mut Triples) {
            // SAFETY: reads and writes what was promised; registers that are not named as operands are restored.
            unsafe {
                asm!(
                    "push {{r0, r1, r6, r7}}",
                    // Two panels.
                    "1:",
                    "ldrd r2, r3, [sp]",
                    "ldr r1, [r3, #32]",
                    "ldr r12, [r3, #80]",
                    "ldr r0, [r3, #88]",
                    "add r12, r12, r1",
                    "add r3, r1, r2, lsl #3",
                    all_words!(),
                    // 256 * B = S - A.
                    "sub r8, r8, r9",
                    "sub r10, r10, r11",
                    "ldr r1, [sp, #4]",
                    "add r2, r1, #60",
                    "ldm r2, {{r4, r5, r6, r7}}",
                    "ldrd r2, r3, [r1, #36]",
                    "ldr r2, [r2]",
                    "add lr, r2, r3",
                    channel!($ending, "r9", ""),
                    channel!($ending, "r8", ", asr #8"),
                    channel!($ending, "r11", ""),
                    channel!($ending, "r10", ", asr #8"),
                    "add r2, r1, #60",
                    "stm r2, {{r4, r5, r6}}",
                    "ldrd r2, r3, [r1, #76]",
                    "ldr r4, [r1, #32]",
                    "ldr r5, [r1, #40]",
                    "add r4, r4, r3, lsl #1",
                    "adds r5, #4",
                    "str r4, [r1, #32]",
                    "str r5, [r1, #40]",
                    "cmp r5, r2",
                    "bne 1b",
                    "9:",
                    "pop {{r0, r1, r6, r7}}",
                    inout("r0") groups => _, inout("r1") triples => _,
                    out("r2") _, out("r3") _, out("r4") _, out("r5") _, out("r8") _, out("r9") _, out("r10") _,
                    out("r11") _, out("r12") _, out("lr") _,
                );
            }
        }
    };
}
column!(column_relu, relu);
column!(column_double, double);
column!(column_single, single);

/// `S` and `A` of one pixel and two panels.
///
/// # Safety
/// As for [`super::plain::two`], and addresses are multiples of 4.
#[inline(never)]
pub(in super::super) unsafe extern "C" fn two(
    x: *const u32,
    weights: *const i8,
    groups: usize,
    panels: &mut Two,
) {
    // SAFETY: reads what was promised, writes four sums; registers that are not named as operands are restored.
    unsafe {
        asm!(
            "push {{r3, r6, r7}}",
            "ldr r12, [r3]",
            "add r12, r12, r1",
            "add r3, r1, r2, lsl #3",
            all_words!(),
            "pop {{r3, r6, r7}}",
            "add r3, #4",
            "stm r3, {{r8, r9, r10, r11}}",
            inout("r0") x => _, inout("r1") weights => _, inout("r2") groups => _, inout("r3") panels => _,
            out("r4") _, out("r5") _, out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("r12") _, out("lr") _,
        );
    }
}

/// Two words of weights by two of one pixel.
macro_rules! one_pixel {
    () => {
        concat!(
            "ldrd {w0}, {w1}, [{w}], #8\n",
            "ldrd {x0}, {x1}, [{x}], #8\n",
            "sxtb16 {t}, {w0}\n",
            "smlad {s}, {w0}, {x0}, {s}\n",
            "smlad {a}, {t}, {x0}, {a}\n",
            "sxtb16 {t}, {w1}\n",
            "smlad {s}, {w1}, {x1}, {s}\n",
            "smlad {a}, {t}, {x1}, {a}\n",
        )
    };
}

/// `S` and `A` of one pixel; see [`super::plain::one`].
///
/// # Safety
/// As there, and both addresses are multiples of 4.
#[inline(never)]
pub(in super::super) unsafe extern "C" fn one(
    x: *const u32,
    weights: *const i8,
    groups: usize,
    sums: &mut [[i32; 1]; 2],
) {
    let (mut s, mut a) = (0, 0);
    let end = weights.wrapping_add(8 * groups);
    let turns = weights.wrapping_add(8 * (groups & !3));
    // SAFETY: reads what was promised.
    unsafe {
        asm!(
            "cmp {w}, {turns}",
            "beq 3f",
            "2:",
            one_pixel!(),
            one_pixel!(),
            one_pixel!(),
            one_pixel!(),
            "cmp {w}, {turns}",
            "bne 2b",
            "3:",
            "cmp {w}, {end}",
            "beq 5f",
            "4:",
            one_pixel!(),
            "cmp {w}, {end}",
            "bne 4b",
            "5:",
            x = inout(reg) x => _, w = inout(reg) weights => _, turns = in(reg) turns, end = in(reg) end,
            s = inout(reg) s, a = inout(reg) a,
            w0 = out(reg) _, w1 = out(reg) _, x0 = out(reg) _, x1 = out(reg) _, t = out(reg) _,
            options(readonly, nostack),
        );
    }
    *sums = [[s], [a]];
}
