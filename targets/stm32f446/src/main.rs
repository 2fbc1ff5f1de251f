//! A generated model on the STM32F446 (Cortex-M4): tests itself once, then infers for ever. [`STATE`] tells a debugger how it went.
#![no_std]
#![no_main]

#[allow(clippy::all, missing_docs, reason = "generated")]
#[allow(dead_code, reason = "generated models can do more than is asked of them here")]
mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

use core::{
    hint::black_box,
    panic::PanicInfo,
    sync::atomic::{AtomicU32, Ordering},
};
use cortex_m_rt::entry;
use model::{AnamNet, INPUT_LEN, OUTPUT_LEN};

/// 0: not tested yet; 1: the self-test failed; from 2 on: inferences done, and 2.
#[unsafe(no_mangle)]
static STATE: AtomicU32 = AtomicU32::new(0);

#[entry]
fn main() -> ! {
    static mut MODEL: AnamNet = AnamNet::new();
    static mut INPUT: [i8; INPUT_LEN] = [0; INPUT_LEN];
    static mut OUTPUT: [i8; OUTPUT_LEN] = [0; OUTPUT_LEN];

    if MODEL.self_test(INPUT, OUTPUT).is_err() {
        STATE.store(1, Ordering::Relaxed);
        stop();
    }
    let mut done = 2;
    loop {
        STATE.store(done, Ordering::Relaxed);
        // Your sensor's samples go here: see `niello::numbers::apply_table`.
        MODEL.infer(black_box(INPUT), OUTPUT);
        black_box(&*OUTPUT);
        done = done.wrapping_add(1).max(2);
    }
}

/// A board that miscalculates stands still.
fn stop() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Linked in only if something can panic, which `cargo xtask images` refuses.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    stop();
}
