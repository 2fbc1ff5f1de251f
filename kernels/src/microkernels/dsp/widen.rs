//! Bytes to 16 bits, four by four: for [`crate::ops::conv`], which widens activations in the order of [`super`].

/// Bytes 0 and 2 of `word` as two 16-bit numbers, with their signs.
#[inline(always)]
pub(crate) fn even(word: u32) -> u32 {
    #[cfg(niello_dsp)]
    {
        let wide;
        // SAFETY: registers only.
        unsafe {
            core::arch::asm!("sxtb16 {}, {}", lateout(reg) wide, in(reg) word, options(pure, nomem, nostack))
        };
        wide
    }
    #[cfg(not(niello_dsp))]
    halves(word as i8, (word >> 16) as i8)
}

/// Bytes 1 and 3 of `word` as two 16-bit numbers, with their signs.
#[inline(always)]
pub(crate) fn odd(word: u32) -> u32 {
    #[cfg(niello_dsp)]
    {
        let wide;
        // SAFETY: registers only.
        unsafe {
            core::arch::asm!("sxtb16 {}, {}, ror #8", lateout(reg) wide, in(reg) word, options(pure, nomem, nostack));
        }
        wide
    }
    #[cfg(not(niello_dsp))]
    halves((word >> 8) as i8, (word >> 24) as i8)
}

/// Twice each of two numbers of 15 bits.
#[inline(always)]
pub(crate) fn twice(word: u32) -> u32 {
    #[cfg(niello_dsp)]
    {
        let result;
        // SAFETY: registers only. It sets flags that nobody reads.
        unsafe {
            core::arch::asm!("sadd16 {}, {1}, {1}", lateout(reg) result, in(reg) word, options(pure, nomem, nostack))
        };
        result
    }
    // The lower one's sign stays where it is.
    #[cfg(not(niello_dsp))]
    {
        (word << 1) & !(1 << 16)
    }
}

/// Two numbers of 16 bits in one word.
#[cfg(not(niello_dsp))]
#[inline(always)]
fn halves(lower: i8, upper: i8) -> u32 {
    let [lower, upper] = [lower, upper].map(|b| b as i16 as u16 as u32);
    upper << 16 | lower
}

/// Four bytes of each of three pixels: words in r4, r5, r11; wide ones in r8 to r10.
#[cfg(niello_dsp)]
macro_rules! group {
    () => {
        "ldr r4, [r0], #4
         ldr r5, [r1], #4
         ldr r11, [r2], #4
         sxtb16 r8, r4
         sxtb16 r9, r5
         sxtb16 r10, r11
         stm r3!, {{r8, r9, r10}}
         sxtb16 r8, r4, ror #8
         sxtb16 r9, r5, ror #8
         sxtb16 r10, r11, ror #8
         stm r3!, {{r8, r9, r10}}"
    };
}

/// Widens `groups` of four bytes of three pixels, interleaved: 11 instructions for 12 bytes.
///
/// # Safety
/// They are readable at each of `from`, which need no alignment, and `6 * groups` words writable at `to`.
#[cfg(niello_dsp)]
#[inline(never)]
pub(crate) unsafe fn three(from: [*const i8; 3], to: *mut u32, groups: usize) {
    let [a, b, c] = from;
    // SAFETY: reads and writes what was promised.
    unsafe {
        core::arch::asm!(
            "subs r12, #4",
            "blo 3f",
            "2:",
            group!(),
            group!(),
            group!(),
            group!(),
            "subs r12, #4",
            "bhs 2b",
            "3:",
            "adds r12, #4",
            "beq 5f",
            "4:",
            group!(),
            "subs r12, #1",
            "bne 4b",
            "5:",
            inout("r0") a => _, inout("r1") b => _, inout("r2") c => _, inout("r3") to => _, inout("r12") groups => _,
            out("r4") _, out("r5") _, out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            options(nostack),
        );
    }
}

/// Widens `groups` of four bytes of three pixels, interleaved.
///
/// # Safety
/// They are readable at each of `from`, which need no alignment, and `6 * groups` words writable at `to`.
#[cfg(not(niello_dsp))]
pub(crate) unsafe fn three(from: [*const i8; 3], to: *mut u32, groups: usize) {
    for i in 0..groups {
        // SAFETY: group `i` of each.
        unsafe {
            let words = from.map(|from| from.cast::<u32>().wrapping_add(i).read_unaligned());
            to.wrapping_add(6 * i).cast::<[u32; 3]>().write(words.map(even));
            to.wrapping_add(6 * i + 3).cast::<[u32; 3]>().write(words.map(odd));
        }
    }
}

/// As [`three`], `count` times, each from where twice as many groups have been left out.
///
/// # Safety
/// As there, for each time. `count` is not 0.
#[cfg(niello_dsp)]
#[inline(never)]
pub(crate) unsafe fn threes(from: [*const i8; 3], to: *mut u32, groups: usize, count: usize) {
    let [a, b, c] = from;
    // SAFETY: reads and writes what was promised; r6 and r7, which are the compiler's own, are restored.
    unsafe {
        core::arch::asm!(
            "push {{r6, r7}}",
            "mov r7, r12",
            "1:",
            "subs r6, r7, #4",
            "blo 3f",
            "2:",
            group!(),
            group!(),
            group!(),
            group!(),
            "subs r6, #4",
            "bhs 2b",
            "3:",
            "adds r6, #4",
            "beq 5f",
            "4:",
            group!(),
            "subs r6, #1",
            "bne 4b",
            "5:",
            "subs lr, #1",
            "add r0, r0, r7, lsl #3",
            "add r1, r1, r7, lsl #3",
            "add r2, r2, r7, lsl #3",
            "bne 1b",
            "pop {{r6, r7}}",
            inout("r0") a => _, inout("r1") b => _, inout("r2") c => _, inout("r3") to => _, inout("r12") groups => _,
            inout("lr") count => _,
            out("r4") _, out("r5") _, out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
}

/// As [`three`], `count` times, each from where twice as many groups have been left out.
///
/// # Safety
/// As there, for each time. `count` is not 0.
#[cfg(not(niello_dsp))]
pub(crate) unsafe fn threes(from: [*const i8; 3], to: *mut u32, groups: usize, count: usize) {
    for turn in 0..count {
        for group in 0..groups {
            let (at, i) = (3 * turn * groups + group, turn * groups + group);
            // SAFETY: the next group of each.
            unsafe {
                let words = from.map(|from| from.cast::<u32>().wrapping_add(at).read_unaligned());
                to.wrapping_add(6 * i).cast::<[u32; 3]>().write(words.map(even));
                to.wrapping_add(6 * i + 3).cast::<[u32; 3]>().write(words.map(odd));
            }
        }
    }
}
