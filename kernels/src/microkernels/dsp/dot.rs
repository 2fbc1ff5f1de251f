//! The inner loops of [`super`]: in assembly where the target has the instructions, and in plain Rust with the same
//! meaning elsewhere, so that every machine can check them.

#[cfg(niello_dsp)]
pub(super) use assembly::{one, panel_double, panel_float, panel_single, three};
#[cfg(not(niello_dsp))]
pub(super) use plain::{one, panel_double, panel_float, panel_single, three};

use super::stage::Channel;

/// The requantization of a panel's sums in `panel_double` and `panel_single`, for several times three pixels.
#[repr(C)]
pub(super) struct Triples {
    /// How sums become bytes.
    pub(super) channels: [Channel; 2],
    /// The panel's weights.
    pub(super) weights: *const i8,
    /// Where the next three pixels begin.
    pub(super) out: *const *mut i8,
    /// The panel's first channel.
    pub(super) first: usize,
    /// How often three pixels; not 0.
    pub(super) count: usize,
    /// Whether the clamp is less than all that an `i8` holds.
    pub(super) clamped: usize,
    /// Smallest and largest value to store.
    pub(super) clamp: [i32; 2],
}

#[cfg(niello_dsp)]
mod assembly {
    //! The compiler keeps r6 and r7 to itself; they are saved here, and all fourteen registers are used.
    use super::{super::stage::requantize, Triples};
    use core::arch::asm;

    /// Two words of weights (r5, r6) by six of three pixels (r2 to r4, twice). Sums of words as they are in r8 to r10, of
    /// their lower bytes in r11, r12, lr.
    macro_rules! three_pixels {
        () => {
            concat!("ldrd r5, r6, [r1], #8\n", three_pixels!("r5"), three_pixels!("r6"))
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

    /// Defines a panel's function for one rounding. The sums of both channels of three pixels stay in registers from the first
    /// product to the bytes.
    macro_rules! panel {
        ($name:ident, $rounding:ident $(, $clobbers:tt)*) => {
            /// All of [`Triples`]; see [`super::plain`].
            ///
            /// # Safety
            /// As there, and both addresses are multiples of 4.
            #[inline(never)]
            pub(in super::super) unsafe extern "C" fn $name(
                x: *const u32,
                weights: *const i8,
                groups: usize,
                triples: &mut Triples,
            ) {
                // SAFETY: reads and writes what was promised; registers that are not named as operands are restored.
                unsafe {
                    asm!(
                        "push {{r3, r6, r7}}",
                        // On the stack: where the weights of whole turns end, where all end, and `triples`.
                        "add r4, r1, r2, lsl #3",
                        "bic r2, r2, #3",
                        "add r2, r1, r2, lsl #3",
                        "push {{r2, r4}}",
                        // Three pixels. Both kinds of sums begin with the bias of the first channel.
                        "2:",
                        "ldr r7, [sp, #8]",
                        "ldr r7, [r7, #12]",
                        "mov r8, r7",
                        "mov r9, r7",
                        "mov r10, r7",
                        "mov r11, r7",
                        "mov r12, r7",
                        "mov lr, r7",
                        "ldr r7, [sp]",
                        "cmp r1, r7",
                        "beq 4f",
                        "3:",
                        three_pixels!(),
                        three_pixels!(),
                        three_pixels!(),
                        three_pixels!(),
                        "ldr r7, [sp]",
                        "cmp r1, r7",
                        "bne 3b",
                        "4:",
                        "ldr r7, [sp, #4]",
                        "cmp r1, r7",
                        "beq 6f",
                        "5:",
                        three_pixels!(),
                        "ldr r7, [sp, #4]",
                        "cmp r1, r7",
                        "bne 5b",
                        "6:",
                        "ldr r7, [sp, #8]",
                        // 256 * B = S - A.
                        "sub r8, r8, r11",
                        "sub r9, r9, r12",
                        "sub r10, r10, lr",
                        "ldm r7!, {{r2, r3, r4, r5}}",
                        requantize!($rounding, "r11"),
                        requantize!($rounding, "r12"),
                        requantize!($rounding, "lr"),
                        "ldm r7!, {{r2, r3, r4, r5}}",
                        "add r8, r5, r8, asr #8",
                        "add r9, r5, r9, asr #8",
                        "add r10, r5, r10, asr #8",
                        requantize!($rounding, "r8"),
                        requantize!($rounding, "r9"),
                        requantize!($rounding, "r10"),
                        "ldr r2, [r7, #16]",
                        "cbnz r2, 8f",
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
                        "ldr r2, [r7, #12]",
                        "subs r2, #1",
                        "str r2, [r7, #12]",
                        "bne 2b",
                        "b 9f",
                        "8:",
                        "ldrd r2, r3, [r7, #20]",
                        clamp!("r8" "r9" "r10" "r11" "r12" "lr"),
                        "b 7b",
                        "9:",
                        "pop {{r2, r3, r4}}",
                        "pop {{r6, r7}}",
                        inout("r0") x => _, inout("r1") weights => _, inout("r2") groups => _,
                        inout("r3") triples => _,
                        out("r4") _, out("r5") _, out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("r12") _,
                        out("lr") _,
                        $(out($clobbers) _,)*
                    );
                }
            }
        };
    }
    panel!(panel_double, double);
    panel!(panel_single, single);
    #[cfg(niello_vfp)]
    panel!(panel_float, float, "s0", "s1");
    // Without the unit no channel has the short way.
    #[cfg(not(niello_vfp))]
    pub(in super::super) use panel_single as panel_float;

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
}

#[cfg(not(niello_dsp))]
mod plain {
    use super::{super::stage::mode, Triples};

    /// The sum and both products of 16-bit halves, modulo `2^32`.
    #[inline(always)]
    fn smlad(a: u32, b: u32, sum: i32) -> i32 {
        let lower = a as i16 as i32 * b as i16 as i32;
        let upper = (a as i32 >> 16) * (b as i32 >> 16);
        sum.wrapping_add(lower).wrapping_add(upper)
    }

    /// `S` and `A` of three interleaved pixels: sums of products with words of weights, and with their lower bytes.
    ///
    /// # Safety
    /// `6 * groups` words are readable at `x`, `8 * groups` bytes at `weights`. `groups` is not 0.
    pub(in super::super) unsafe extern "C" fn three(
        x: *const u32,
        weights: *const i8,
        groups: usize,
        sums: &mut [[i32; 3]; 2],
    ) {
        // SAFETY: the caller's promise.
        *sums = unsafe { dot(x, weights, groups) };
    }

    /// `S` and `A` of one pixel.
    ///
    /// # Safety
    /// `2 * groups` words are readable at `x`, `8 * groups` bytes at `weights`. `groups` is not 0.
    pub(in super::super) unsafe extern "C" fn one(
        x: *const u32,
        weights: *const i8,
        groups: usize,
        sums: &mut [[i32; 1]; 2],
    ) {
        // SAFETY: the caller's promise.
        *sums = unsafe { dot(x, weights, groups) };
    }

    /// All of `triples`, for factors from [`Channel::new`](super::Channel::new) for the double rounding.
    ///
    /// # Safety
    /// `6 * groups * count` words are readable at `x`, `8 * groups` bytes at `weights`, `3 * count` addresses at `out`; two
    /// bytes are writable at each of them, from `first` on. `groups` is in `1..=128`.
    pub(in super::super) unsafe extern "C" fn panel_double(
        x: *const u32,
        weights: *const i8,
        groups: usize,
        triples: &mut Triples,
    ) {
        // SAFETY: the caller's promise.
        unsafe { panel::<{ mode::DOUBLE }>(x, weights, groups, triples) };
    }

    /// As [`panel_double`], for one rounding.
    ///
    /// # Safety
    /// As there.
    pub(in super::super) unsafe extern "C" fn panel_single(
        x: *const u32,
        weights: *const i8,
        groups: usize,
        triples: &mut Triples,
    ) {
        // SAFETY: the caller's promise.
        unsafe { panel::<{ mode::SINGLE }>(x, weights, groups, triples) };
    }

    /// As [`panel_double`], in single precision.
    ///
    /// # Safety
    /// As there.
    pub(in super::super) unsafe extern "C" fn panel_float(
        x: *const u32,
        weights: *const i8,
        groups: usize,
        triples: &mut Triples,
    ) {
        // SAFETY: the caller's promise.
        unsafe { panel::<{ mode::FLOAT }>(x, weights, groups, triples) };
    }

    /// All of them.
    ///
    /// # Safety
    /// As there.
    unsafe fn panel<const MODE: u8>(
        mut x: *const u32,
        weights: *const i8,
        groups: usize,
        triples: &mut Triples,
    ) {
        let [lower_channel, upper_channel] = triples.channels;
        while triples.count > 0 {
            // SAFETY: the next three pixels of those promised.
            let [both, lower] = unsafe { dot::<3>(x, weights, groups) };
            for (both, lower) in both.into_iter().zip(lower) {
                let sums = [lower, both.wrapping_sub(lower) >> 8];
                // SAFETY: the next address; two bytes are writable there.
                unsafe {
                    let out = triples.out.read().wrapping_add(triples.first);
                    out.write(lower_channel.requantize::<MODE>(sums[0], Some(triples.clamp)));
                    out.wrapping_add(1).write(upper_channel.requantize::<MODE>(sums[1], Some(triples.clamp)));
                }
                triples.out = triples.out.wrapping_add(1);
            }
            x = x.wrapping_add(6 * groups);
            triples.count -= 1;
        }
    }

    /// Both, for `PX` interleaved pixels.
    ///
    /// # Safety
    /// `2 * PX * groups` words are readable at `x`, `8 * groups` bytes at `weights`.
    #[inline(always)]
    unsafe fn dot<const PX: usize>(x: *const u32, weights: *const i8, groups: usize) -> [[i32; PX]; 2] {
        let (mut both, mut lower) = ([0; PX], [0; PX]);
        for i in 0..2 * groups {
            // SAFETY: word `i` of the weights, and those of the pixels for it.
            let (w, x) = unsafe {
                let w = weights.cast::<u32>().wrapping_add(i).read_unaligned();
                (w, x.wrapping_add(PX * i).cast::<[u32; PX]>().read())
            };
            let a = crate::microkernels::dsp::widen::even(w);
            for p in 0..PX {
                both[p] = smlad(w, x[p], both[p]);
                lower[p] = smlad(a, x[p], lower[p]);
            }
        }
        [both, lower]
    }
}
