//! Four bytes in a word: `ssub8` and `sel` of Cortex-M4, M7, M33 and M55, or the same in plain Rust.

/// The larger of four signed bytes each.
#[inline(always)]
pub(crate) fn max(a: u32, b: u32) -> u32 {
    select(a, b, a, b)
}

/// The smaller of four signed bytes each.
#[inline(always)]
pub(crate) fn min(a: u32, b: u32) -> u32 {
    select(b, a, a, b)
}

/// The bytes of `a` where those of `x` are not less than those of `y`, else those of `b`.
#[cfg(niello_dsp)]
#[inline(always)]
fn select(x: u32, y: u32, a: u32, b: u32) -> u32 {
    let result;
    // SAFETY: registers only.
    unsafe {
        core::arch::asm!(
            "ssub8 {d}, {x}, {y}",
            "sel {r}, {a}, {b}",
            x = in(reg) x, y = in(reg) y, a = in(reg) a, b = in(reg) b, d = out(reg) _, r = lateout(reg) result,
            options(pure, nomem, nostack),
        );
    }
    result
}

/// The bytes of `a` where those of `x` are not less than those of `y`, else those of `b`.
#[cfg(not(niello_dsp))]
#[inline(always)]
fn select(x: u32, y: u32, a: u32, b: u32) -> u32 {
    /// The sign of each byte.
    const SIGNS: u32 = 0x8080_8080;
    // Bit 7 of each: whether the lower seven bits are not less. No byte borrows from the next.
    let lower = (x | SIGNS).wrapping_sub(y & !SIGNS);
    // Of different signs, the positive one is the larger.
    let not_less = ((y & !x) | (!(x ^ y) & lower)) & SIGNS;
    let mask = (not_less >> 7) * 0xff;
    b ^ ((a ^ b) & mask)
}
