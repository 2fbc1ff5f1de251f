//! A generated model on the RP2350 (Cortex-M33).
#![no_std]
#![no_main]

#[allow(clippy::all, missing_docs, reason = "generated")]
#[allow(dead_code, reason = "generated models can do more than is asked of them here")]
mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

/// The block that the boot ROM looks for: a secure Arm executable for the RP2350 (data sheet, chapter 5.9, "Image definition").
#[unsafe(link_section = ".start_block")]
#[used]
static IMAGE_DEFINITION: [u32; 5] = [0xffff_ded3, 0x1021_0142, 0x0000_01ff, 0x0000_0000, 0xab12_3579];

niello_board_run::firmware!(Squeezenet1_1);
