//! A generated model that logs over defmt: its metadata, every layer of two inferences, the results of its checks. Ends with an
//! error if a check fails.
#![no_std]
#![no_main]

#[allow(clippy::all, missing_docs, reason = "generated")]
#[allow(dead_code, reason = "generated models can do more than is asked of them here")]
mod model {
    include!(concat!(env!("NIELLO_GENERATED"), "/model.rs"));
}

// Interrupts are masked while a frame is sent.
use cortex_m as _;
use cortex_m_rt::entry;
use cortex_m_semihosting::debug::{EXIT_FAILURE, EXIT_SUCCESS, exit};
use defmt_semihosting as _;
use model::{AnamNet, INPUT_LEN, OUTPUT_LEN};
use niello::{
    Model,
    self_test::{Checksum, Codes},
    trace::{self, Trace},
};

/// The cases of the golden file.
const SEEDS: [u64; 2] = [1, 2];

#[entry]
fn main() -> ! {
    static mut MODEL: AnamNet = AnamNet::new();
    static mut INPUT: [i8; INPUT_LEN] = [0; INPUT_LEN];
    static mut OUTPUT: [i8; OUTPUT_LEN] = [0; OUTPUT_LEN];

    defmt::info!("model {}", AnamNet::METADATA);
    for tensor in AnamNet::INPUTS {
        defmt::info!("reads {}", tensor);
    }
    for tensor in AnamNet::OUTPUTS {
        defmt::info!("writes {}", tensor);
    }
    defmt::info!(
        "{=usize} layers, {=usize} bytes of constants, {=usize} bytes of arena",
        AnamNet::LAYERS.len(),
        AnamNet::FLASH_BYTES,
        AnamNet::ARENA_BYTES
    );
    for seed in SEEDS {
        defmt::info!("case seed:{=u64}", seed);
        Codes::new(seed).fill(INPUT);
        MODEL.infer_observed(INPUT, OUTPUT, &mut Trace);
        defmt::info!("output 0 {=u64:016x}", Checksum::of_codes(OUTPUT));
    }
    let self_test = trace::check("self_test", MODEL.self_test(INPUT, OUTPUT));
    let check_layers = trace::check("check_layers", MODEL.check_layers(INPUT, OUTPUT));
    end(self_test && check_layers)
}

/// Ends the emulation.
fn end(ok: bool) -> ! {
    exit(if ok { EXIT_SUCCESS } else { EXIT_FAILURE });
    // Only reached where nothing listens to semihosting.
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Text between frames would spoil them, and the logger itself may have panicked.
    end(false)
}
