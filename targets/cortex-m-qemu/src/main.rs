//! Runs a generated model and prints a checksum of every layer's result over semihosting.
//!
//! Every line is what `niello golden --log` reads, or a measurement. The program ends with an error if a self-test fails.
#![no_std]
#![no_main]

#[allow(unsafe_code, reason = "weights may lie in a section of their own")]
#[allow(clippy::all, missing_docs, dead_code, reason = "generated")]
mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}
mod cases {
    include!(concat!(env!("OUT_DIR"), "/cases.rs"));
}
mod report;

use cases::{BUFFER, DUMP, Input, Net, Output, PICTURES, ROUNDING, SEEDS};
use core::panic::PanicInfo;
use cortex_m_rt::entry;
use cortex_m_semihosting::{
    debug::{EXIT_FAILURE, EXIT_SUCCESS, exit},
    hprintln,
};
use model::{ARENA_BYTES, INPUT_LEN, OUTPUT_LEN};
use niello::{Arena, Model, kernels::memory::Element as _, self_test::Codes};

#[entry]
fn main() -> ! {
    #[cfg(not(placed))]
    static mut OWN: Arena<ARENA_BYTES> = Arena::new();
    static mut INPUT: [Input; BUFFER] = [Input::ZERO; BUFFER];
    static mut OUTPUT: [Output; OUTPUT_LEN] = [Output::ZERO; OUTPUT_LEN];

    // SAFETY: nothing of `.hot` has run yet; the script is the board's.
    unsafe { niello::load_hot_code() };
    #[cfg(not(placed))]
    let arena: &mut Arena<ARENA_BYTES> = OWN;
    #[cfg(placed)]
    let arena: &mut Arena<ARENA_BYTES> = match model::ARENA.take() {
        Some(arena) => arena,
        None => unreachable!("taken here only"),
    };

    hprintln!("model {}", Net::NAME);
    hprintln!("rounding {}", ROUNDING);
    let mut ok = true;
    for (name, seed) in SEEDS {
        if let Some(input) = INPUT.first_chunk_mut::<INPUT_LEN>() {
            Codes::new(*seed).fill(input);
            run(arena, name, input, OUTPUT);
        }
    }
    for (name, input) in PICTURES {
        let Some(input) = input.first_chunk() else { unreachable!("as long as the input") };
        run(arena, name, input, OUTPUT);
        if let Some(class) = report::class(OUTPUT, Net::METADATA.classes) {
            hprintln!("class {}", class);
        }
    }
    // Without a buffer in RAM, as for a model that fills the memory, there is nothing to run the known answers on.
    if let Some(input) = INPUT.first_chunk_mut::<INPUT_LEN>() {
        for (name, result) in [
            ("self_test", Net::self_test_in(arena, input, OUTPUT)),
            ("check_layers", Net::check_layers_in(arena, input, OUTPUT)),
        ] {
            match result {
                Ok(()) => hprintln!("{} ok", name),
                Err(error) => {
                    ok = false;
                    hprintln!("{} failed: {}", name, error);
                }
            }
        }
    }
    hprintln!("stack {}", report::stack_bytes());
    exit(if ok { EXIT_SUCCESS } else { EXIT_FAILURE });
    // Only reached where nothing listens to semihosting.
    loop {
        core::hint::spin_loop();
    }
}

/// One inference, every layer printed.
fn run(
    arena: &mut Arena<ARENA_BYTES>,
    name: &str,
    input: &[Input; INPUT_LEN],
    output: &mut [Output; OUTPUT_LEN],
) {
    hprintln!("case {}", name);
    let mut print = |index: usize, info: &niello::LayerInfo, result: niello::Output<'_>| {
        let [h, w, c] = result.shape();
        hprintln!("layer {} {} {}x{}x{} {:016x}", index, info.name, h, w, c, result.checksum());
        if DUMP == Some(index) {
            report::dump(&result);
        }
    };
    Net::infer_in(arena, input, output, &mut print);
    hprintln!("output 0 {:016x}", niello::self_test::Checksum::of_codes(output));
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    hprintln!("{}", info);
    exit(EXIT_FAILURE);
    loop {
        core::hint::spin_loop();
    }
}
