//! The work of `niello-count layers` as firmware. A mark is one `yield`, which `../count/count.c` sees; compilers emit none.
#![no_std]
#![no_main]

#[allow(clippy::all, missing_docs, dead_code, reason = "generated")]
mod models {
    include!(concat!(env!("NIELLO_GENERATED"), "/models.rs"));
}
#[path = "../../count/src/work.rs"]
mod work;

use core::{arch::asm, panic::PanicInfo};
use cortex_m_rt::entry;
use cortex_m_semihosting::{
    debug::{EXIT_FAILURE, EXIT_SUCCESS, exit},
    hprint, hprintln,
};
use models::{ARENA_BYTES, Buffers};
pub(crate) use work::each_model;

#[entry]
fn main() -> ! {
    static mut ARENA: niello::Arena<ARENA_BYTES> = niello::Arena::new();
    static mut BUFFERS: Buffers = Buffers::new();

    // SAFETY: nothing of `.hot` has run yet; the script is the board's.
    unsafe { niello::load_hot_code() };
    work::layers(ARENA, BUFFERS, mark, |text| hprint!("{}", text));
    end(EXIT_SUCCESS)
}

/// One `yield`.
#[inline(never)]
fn mark() {
    // SAFETY: a hint without effect. It counts as reading memory, so that no work moves across.
    unsafe { asm!("yield", options(nostack, preserves_flags)) };
}

/// Ends the emulation.
fn end(status: cortex_m_semihosting::debug::ExitStatus) -> ! {
    exit(status);
    // Only reached where nothing listens to semihosting.
    #[allow(clippy::empty_loop, reason = "a spin loop's hint would be a mark")]
    loop {}
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    hprintln!("{}", info);
    end(EXIT_FAILURE)
}
