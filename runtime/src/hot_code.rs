//! Code that runs from RAM.

use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};

unsafe extern "C" {
    static _hot_start: [u32; 0];
    static _hot_end: [u32; 0];
    static _hot_load: [u32; 0];
}

/// Copies the code of the section `.hot` from flash to the RAM that it is linked for, such as the instruction TCM of a
/// Cortex-M7: the kernels, where a board's `place.hot` names that RAM. Without one there is nothing to copy.
///
/// Call it once, before the first inference and before anything else that lies in the section.
///
/// The RAM may be cached: where a core of Armv7-M or of the main extension of Armv8-M (M7, M55, M85) has its data cache enabled, the copied
/// lines are cleaned to the point of unification, and where it has its instruction cache enabled, that is invalidated. Caches
/// that are enabled later are invalidated by whoever enables them, as the architecture requires. Other architectures get barriers at most:
/// there, clean and invalidate caches after the call.
///
/// # Safety
/// The program is linked with the `memory.x` that `niello_codegen::board::Board::memory_x` writes (or with a script that
/// defines `_hot_start`, `_hot_end` and `_hot_load` as it does), and no code of the section runs at the same time.
pub unsafe fn load_hot_code() {
    let (start, end, load) = (&raw const _hot_start, &raw const _hot_end, &raw const _hot_load);
    let (start, end, load) = (start.expose_provenance(), end.expose_provenance(), load.expose_provenance());
    for offset in (0..end.wrapping_sub(start)).step_by(size_of::<u32>()) {
        let (from, to) =
            (with_exposed_provenance::<u32>(load + offset), with_exposed_provenance_mut(start + offset));
        // SAFETY: the linker script reserves the words from `start` on for this, none of them at address 0, and puts as many
        // at `load`; both begin at multiples of 8. Volatile, as neither is memory that Rust knows of.
        unsafe { core::ptr::write_volatile(to, core::ptr::read_volatile(from)) };
    }
    if niello_kernels::isa::IS_M_MAINLINE {
        // SAFETY: the registers are those of the core that this is compiled for, and the words were just written.
        unsafe { synchronise_caches(start, end) };
    }
    barriers();
}

/// Registers of the system control block of Armv7-M and Armv8-M, see its chapter on cache maintenance.
mod register {
    /// Configuration: [`DATA_CACHE`] and [`INSTRUCTION_CACHE`] are set where these are enabled, and never where there are none.
    pub(super) const CCR: usize = 0xe000_ed14;
    pub(super) const DATA_CACHE: u32 = 1 << 16;
    pub(super) const INSTRUCTION_CACHE: u32 = 1 << 17;
    /// Cache type: bits 16 to 19 are the logarithm of the words of the smallest line.
    pub(super) const CTR: usize = 0xe000_ed7c;
    /// Invalidates all instruction caches, and the branch predictor where it has to be.
    pub(super) const ICIALLU: usize = 0xe000_ef50;
    /// Cleans the line of an address to the point of unification.
    pub(super) const DCCMVAU: usize = 0xe000_ef64;
}

/// Makes instruction fetches see the words that were written from `start` to `end`, as far as caches are enabled. The registers of a core
/// without caches are only read.
///
/// # Safety
/// The core is one of Armv7-M or of the main extension of Armv8-M, and this is privileged code.
unsafe fn synchronise_caches(start: usize, end: usize) {
    use register::{CCR, CTR, DATA_CACHE, DCCMVAU, ICIALLU, INSTRUCTION_CACHE};
    // SAFETY: registers that all these cores have, the caller says.
    let read = |register| unsafe { core::ptr::read_volatile(with_exposed_provenance::<u32>(register)) };
    let write = |register, value| {
        // SAFETY: as above; maintenance changes no value.
        unsafe { core::ptr::write_volatile(with_exposed_provenance_mut::<u32>(register), value) }
    };
    let configuration = read(CCR);
    if configuration & DATA_CACHE != 0 {
        // The copied words have left the store buffer.
        barriers();
        for line in lines(start, end, read(CTR)) {
            write(DCCMVAU, line as u32);
        }
    }
    if configuration & INSTRUCTION_CACHE != 0 {
        // The cleaned lines are in memory before they are fetched.
        barriers();
        write(ICIALLU, 0);
    }
}

/// The first addresses of the data cache's lines from `start` to before `end`, on a core of that cache type.
fn lines(start: usize, end: usize, cache_type: u32) -> impl Iterator<Item = usize> {
    let bytes = size_of::<u32>() << (cache_type >> 16 & 15);
    let first = start & !(bytes - 1);
    core::iter::successors(Some(first), move |line| line.checked_add(bytes))
        .take_while(move |line| *line < end)
}

/// Completes writes and cache maintenance before more instructions are fetched.
#[inline(always)]
fn barriers() {
    #[cfg(target_arch = "arm")]
    // SAFETY: barriers.
    unsafe {
        core::arch::asm!("dsb sy", "isb sy", options(nostack, preserves_flags));
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::lines;
    use std::vec::Vec;

    #[test]
    fn every_line_is_cleaned_once() {
        // A Cortex-M7's lines have eight words.
        let m7 = |start, end| lines(start, end, 0x8303_c003).collect::<Vec<_>>();
        assert_eq!(m7(0x2000_0010, 0x2000_0050), [0x2000_0000, 0x2000_0020, 0x2000_0040]);
        assert_eq!(m7(0x2000_0020, 0x2000_0040), [0x2000_0020]);
        assert_eq!(m7(0x2000_0020, 0x2000_0020), [] as [usize; 0]);
        // A core that does not report its line size: word by word.
        assert_eq!(lines(8, 16, 0).collect::<Vec<_>>(), [8, 12]);
    }
}
