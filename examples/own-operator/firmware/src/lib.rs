//! The device's part: no heap, no standard library.
#![no_std]
#![forbid(unsafe_code)]

/// The generated model.
pub mod model {
    include!(concat!(env!("OUT_DIR"), "/denoiser.rs"));
}

static MODEL: niello::StaticCell<model::Denoiser> = niello::StaticCell::new(model::Denoiser::new());

/// Whether the model, with our own kernel in it, gives the answers that were computed when it was generated.
pub fn self_test() -> Result<(), niello::SelfTestError> {
    let model = MODEL.take().expect("this is called once");
    model.self_test(&mut [0; model::INPUT_LEN], &mut [0; model::OUTPUT_LEN])
}
