//! A generated model on the STM32H743 (Cortex-M7).
#![no_std]
#![no_main]

#[allow(clippy::all, missing_docs, reason = "generated")]
#[allow(dead_code, reason = "generated models can do more than is asked of them here")]
mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

niello_board_run::firmware!(Squeezenet1_1);
