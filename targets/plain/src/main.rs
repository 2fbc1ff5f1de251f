//! The smallest firmware: a model that tests itself and then infers for ever.
#![no_std]
#![no_main]

#[cfg(feature = "bad")]
mod bad;
#[allow(clippy::all, missing_docs, reason = "generated")]
#[allow(dead_code, reason = "generated models can do more than is asked of them here")]
mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

use core::{hint::black_box, panic::PanicInfo};
use cortex_m_rt::entry;
use model::{AnamNet, INPUT_LEN, OUTPUT_LEN};

#[entry]
fn main() -> ! {
    static mut MODEL: AnamNet = AnamNet::new();
    static mut INPUT: [i8; INPUT_LEN] = [0; INPUT_LEN];
    static mut OUTPUT: [i8; OUTPUT_LEN] = [0; OUTPUT_LEN];

    #[cfg(feature = "bad")]
    bad::all();
    // A board that miscalculates stands still.
    while MODEL.self_test(INPUT, OUTPUT).is_err() {
        core::hint::spin_loop();
    }
    loop {
        MODEL.infer(black_box(INPUT), OUTPUT);
        black_box(&*OUTPUT);
    }
}

/// Linked in only if something can panic.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
