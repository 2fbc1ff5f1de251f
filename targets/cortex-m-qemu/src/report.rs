//! Input and output: the command line, layers, checks, the stack's high-water mark, the class.

use core::fmt::Display;
use cortex_m_semihosting::{hprint, hprintln, syscall1};

/// The command line of the emulator, or nothing.
pub(crate) fn command_line(buffer: &mut [u8]) -> &str {
    let mut block = [buffer.as_mut_ptr() as usize, buffer.len()];
    // SAFETY: the debugger writes into the buffer, whose address and length the block names, and its own length into the block.
    let status = unsafe { syscall1!(GET_CMDLINE, block.as_mut_ptr()) };
    let line = buffer.get(..block[1]).filter(|_| status == 0).unwrap_or_default();
    let end = line.iter().position(|byte| *byte == 0).unwrap_or(line.len());
    core::str::from_utf8(&line[..end]).unwrap_or_default()
}

/// A layer's checksum, and its bytes if they are wanted.
pub(crate) fn layer(index: usize, info: &niello::LayerInfo, result: &niello::Output<'_>, bytes: bool) {
    let [h, w, c] = result.shape();
    hprintln!("layer {} {} {}x{}x{} {:016x}", index, info.name, h, w, c, result.checksum());
    if bytes {
        dump(result);
    }
}

/// Prints the result of a check. Returns whether it passed.
pub(crate) fn check<E: Display>(name: &str, result: Result<(), E>) -> bool {
    match &result {
        Ok(()) => hprintln!("{} ok", name),
        Err(error) => hprintln!("{} failed: {}", name, error),
    }
    result.is_ok()
}

unsafe extern "C" {
    /// End of the stack's memory, lowest address; cortex-m-rt paints from here to the stack pointer at start.
    static mut _stack_end: u32;
    /// The highest address of the stack.
    static mut _stack_start: u32;
}

/// The pattern that cortex-m-rt's `paint-stack` fills the stack with.
const PAINT: u32 = 0xcccc_cccc;

/// The peak use of the stack since the start, in bytes.
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
fn dump(result: &niello::Output<'_>) {
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

/// Prints the name of the largest score, the first of equal ones; a map of scores has none.
pub(crate) fn class<O: Copy>(scores: &[O], names: &'static [&'static str])
where
    f32: From<O>,
{
    let scores = scores.iter().map(|score| f32::from(*score)).enumerate();
    let count = scores.len();
    let best = scores.reduce(|best, next| if next.1 > best.1 { next } else { best });
    if let Some(name) = best.filter(|_| count == names.len()).and_then(|(best, _)| names.get(best)) {
        hprintln!("class {}", name);
    }
}
