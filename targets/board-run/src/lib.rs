//! The common part of the firmware of boards.
//!
//! With the feature `defmt` it also logs its progress, over RTT.
#![no_std]

mod log;

pub use log::{inferred, tested};

use core::panic::PanicInfo;

/// The whole program around the generated module `model`, whose model has this type: tests itself once, then infers for
/// ever. A debugger reads the result in the static `STATE`.
#[macro_export]
macro_rules! firmware {
    ($model:ident) => {
        use core::{
            hint::black_box,
            sync::atomic::{AtomicU32, Ordering},
        };

        /// 0: not tested yet; 1: the self-test failed; from 2 on: inferences done, and 2.
        #[unsafe(no_mangle)]
        static STATE: AtomicU32 = AtomicU32::new(0);

        #[cortex_m_rt::entry]
        fn main() -> ! {
            static mut MODEL: model::$model = model::$model::new();
            static mut INPUT: [i8; model::INPUT_LEN] = [0; model::INPUT_LEN];
            static mut OUTPUT: [i8; model::OUTPUT_LEN] = [0; model::OUTPUT_LEN];

            // SAFETY: nothing of `.hot` has run yet; the linker script is the board's.
            unsafe { niello::load_hot_code() };
            if !$crate::tested(MODEL.self_test(INPUT, OUTPUT)) {
                STATE.store(1, Ordering::Relaxed);
                $crate::stop();
            }
            let mut done = 2;
            loop {
                STATE.store(done, Ordering::Relaxed);
                // A sensor's samples go here: see `niello::quantize::apply_table`.
                MODEL.infer(black_box(INPUT), OUTPUT);
                black_box(&*OUTPUT);
                done = done.wrapping_add(1).max(2);
                $crate::inferred(done - 2);
            }
        }
    };
}

/// A board that miscalculates stops here.
pub fn stop() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Linked in only if something can panic, which `cargo xtask images` rejects.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    stop();
}
