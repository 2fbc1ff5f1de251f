//! Counts the instructions of single layers, after comparing the kernels with the reference.
#![no_std]
#![no_main]

mod check;
mod counter;
mod float;
mod layers;
mod random;

use core::panic::PanicInfo;
use cortex_m_rt::entry;
use cortex_m_semihosting::{
    debug::{EXIT_FAILURE, EXIT_SUCCESS, exit},
    hprintln,
};
use layers::Buffers;
use niello::kernels::Isa;

#[entry]
fn main() -> ! {
    static mut BUFFERS: Buffers = Buffers::new();
    hprintln!("kernels {}", Isa::compiled().name());
    BUFFERS.fill();
    let same = check::all(BUFFERS);
    if same {
        layers::count(BUFFERS);
    }
    exit(if same { EXIT_SUCCESS } else { EXIT_FAILURE });
    // Only reached where nothing listens to semihosting.
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    hprintln!("{}", info);
    exit(EXIT_FAILURE);
    loop {
        core::hint::spin_loop();
    }
}
