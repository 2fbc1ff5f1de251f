//! Graphs from bytes: each is rejected with a reason, or its results are within the bounds of its number formats on every instruction set.
#![no_main]

#[path = "../../codegen/tests/random_graphs/mod.rs"]
mod random_graphs;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut log = vec![];
    if let Err(failure) = random_graphs::check(bytes, &mut log) {
        panic!("{failure}\n  {}", log.join("\n  "));
    }
});
