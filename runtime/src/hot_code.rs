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
    barrier();
}

/// What was written is there before it is fetched as instructions.
#[inline(always)]
fn barrier() {
    #[cfg(target_arch = "arm")]
    // SAFETY: barriers.
    unsafe {
        core::arch::asm!("dsb sy", "isb sy", options(nostack, preserves_flags));
    }
}
