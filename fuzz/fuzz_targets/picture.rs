//! A picture's bytes: read or refused, and what is read can be made a network's input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use niello_imaging::{Preprocess, load_bytes};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(picture) = load_bytes("picture", bytes) {
        for text in ["minmax resize=area", "imagenet window=-600,1500", "hu:1024 resize=stretch"] {
            let preprocess = Preprocess::parse(text).expect("a pre-processing");
            let _ = preprocess.apply(&picture, [8, 8], 3);
            let _ = preprocess.view(&picture, [8, 8]);
        }
    }
});
