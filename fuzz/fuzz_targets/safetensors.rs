//! A checkpoint's bytes: read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use niello_codegen::weights::SafeTensorsFile;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = SafeTensorsFile::from_bytes("checkpoint", bytes.to_vec()) {
        let _ = file.shapes().count();
    }
});
