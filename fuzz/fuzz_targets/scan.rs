//! `scan` of `readers.rs`.
#![no_main]

#[path = "../readers.rs"]
#[allow(dead_code, reason = "each target has its reader")]
mod readers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    readers::scan(bytes);
});
