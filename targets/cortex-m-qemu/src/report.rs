//! What is printed beside checksums: the stack's high-water mark, bytes of a layer, the class.

use crate::cases::Output;
use cortex_m_semihosting::{hprint, hprintln};

unsafe extern "C" {
    /// End of the stack's memory, lowest address; cortex-m-rt paints from here to the stack pointer at start.
    static mut _stack_end: u32;
    /// Where the stack begins, highest address.
    static mut _stack_start: u32;
}

/// What cortex-m-rt's `paint-stack` fills the stack with.
const PAINT: u32 = 0xcccc_cccc;

/// The most bytes of stack that were in use at any time since the start.
pub(crate) fn stack_bytes() -> usize {
    let (end, start) = (&raw const _stack_end, &raw const _stack_start);
    let mut word = end;
    // SAFETY: all words between both symbols lie in the stack's memory, which is RAM; those below the high-water mark are
    // not in use by anyone, the first one above ends the search.
    while word < start && unsafe { word.read_volatile() } == PAINT {
        word = word.wrapping_add(1);
    }
    start as usize - word as usize
}

/// Prints the bytes of a result in hexadecimal, 32 to a line.
pub(crate) fn dump(result: &niello::Output<'_>) {
    let mut column = 0;
    hprint!("dump ");
    result.for_each(|code| {
        hprint!("{:02x}", code);
        column += 1;
        if column == 32 {
            column = 0;
            hprint!("\ndump ");
        }
    });
    hprintln!();
}

/// The name of the largest score, the first of equal ones; `None` for a map of scores.
pub(crate) fn class(scores: &[Output], names: &'static [&'static str]) -> Option<&'static str> {
    if scores.len() != names.len() {
        return None;
    }
    let scores = scores.iter().map(|score| f32::from(*score)).enumerate();
    let (best, _) = scores.reduce(|best, next| if next.1 > best.1 { next } else { best })?;
    names.get(best).copied()
}
