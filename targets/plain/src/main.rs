//! The smallest firmware: a model that tests itself and then infers for ever.
#![no_std]
#![no_main]

#[cfg(feature = "bad")]
mod bad;
#[allow(clippy::all, missing_docs, reason = "generated")]
#[allow(dead_code, reason = "generated models can do more than is asked of them here")]
mod model {
    include!(concat!(env!("NIELLO_GENERATED"), "/model.rs"));
}
#[cfg(feature = "float")]
#[allow(clippy::all, missing_docs, reason = "generated")]
#[allow(dead_code, reason = "generated models can do more than is asked of them here")]
mod winograd {
    include!(concat!(env!("NIELLO_GENERATED"), "/winograd.rs"));
}

use core::{hint::black_box, panic::PanicInfo};
use cortex_m_rt::entry;
#[cfg(not(feature = "float"))]
use model::AnamNet as Net;
#[cfg(feature = "float")]
use model::EveryOperator as Net;
use model::{INPUT_LEN, OUTPUT_LEN};
use niello::kernels::memory::Element as _;

/// An element of the model's input and output.
#[cfg(not(feature = "float"))]
type Number = i8;
#[cfg(feature = "float")]
type Number = niello::F16;

#[entry]
fn main() -> ! {
    static mut MODEL: Net = Net::new();
    static mut INPUT: [Number; INPUT_LEN] = [Number::ZERO; INPUT_LEN];
    static mut OUTPUT: [Number; OUTPUT_LEN] = [Number::ZERO; OUTPUT_LEN];

    #[cfg(feature = "bad")]
    bad::all();
    // A board that miscalculates stands still.
    while MODEL.self_test(INPUT, OUTPUT).is_err() {
        core::hint::spin_loop();
    }
    #[cfg(feature = "float")]
    winograd();
    loop {
        MODEL.infer(black_box(INPUT), OUTPUT);
        black_box(&*OUTPUT);
    }
}

/// A model with convolutions by Winograd's algorithm, once.
#[cfg(feature = "float")]
fn winograd() {
    use winograd::{AnamNet, INPUT_LEN, OUTPUT_LEN};
    static MODEL: niello::StaticCell<AnamNet> = niello::StaticCell::new(AnamNet::new());
    let mut output = [Number::ZERO; OUTPUT_LEN];
    if let Some(model) = MODEL.take() {
        model.infer(black_box(&[Number::ZERO; INPUT_LEN]), &mut output);
        black_box(output);
    }
}

/// Linked in only if something can panic.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
