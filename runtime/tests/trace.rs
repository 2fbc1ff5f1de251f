//! Records of a defmt logger: every layer that an observer sees, once and with its figures; results of checks.
//!
//! Frames hold arguments in binary: integers little-endian (`usize` as 32 bits), strings behind their length. Needs
//! `DEFMT_LOG=trace` at build time, which the checkout's cargo configuration sets.

use niello::{
    LayerInfo, Observer, Output, SelfTestError,
    kernels::{Memory, Operand},
    self_test::Checksum,
    trace::{self, Trace},
};
use std::{
    cell::Cell,
    sync::{Mutex, PoisonError},
};

#[defmt::global_logger]
struct Logger;

/// Frames as they were written, without an encoding.
static FRAMES: Mutex<Vec<Vec<u8>>> = Mutex::new(vec![]);

// SAFETY: the tests that log do so one after the other, under a lock.
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        frames(|frames| frames.push(vec![]));
    }

    unsafe fn flush() {}

    unsafe fn release() {}

    unsafe fn write(bytes: &[u8]) {
        frames(|frames| frames.last_mut().expect("acquired").extend(bytes));
    }
}

defmt::timestamp!("{=u8}", 0);

fn frames<T>(f: impl FnOnce(&mut Vec<Vec<u8>>) -> T) -> T {
    f(&mut FRAMES.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The arguments of each message that `f` logs: what follows the index of the message, two bytes, and the timestamp.
fn logged(f: impl FnOnce()) -> Vec<Vec<u8>> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    frames(Vec::clear);
    f();
    frames(|frames| frames.iter().map(|frame| frame[3..].to_vec()).collect())
}

/// The arguments of a value with a format of its own: between two indices, for "a sequence follows" and its first part, and
/// the index 0, which ends the sequence.
fn nested(bytes: &[u8]) -> &[u8] {
    &bytes[4..bytes.len() - 2]
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

const LAYERS: [LayerInfo; 2] = [
    LayerInfo { name: "conv", kind: "Conv2d", macs: 96, output: Operand::arena(0, [1, 2, 2], 2) },
    LayerInfo { name: "pool", kind: "MaxPool2d", macs: 0, output: Operand::arena(4, [1, 1, 2], 2) },
];

/// `observer` sees both layers of a network whose arena holds `bytes`.
fn infer(bytes: &mut [i8; 6], observer: &mut impl Observer) {
    let memory = Memory::new(Cell::from_mut(&mut bytes[..]).as_slice_of_cells(), &[], &[]);
    for (index, info) in LAYERS.iter().enumerate() {
        observer.layer(index, info, Output::new(&memory, &info.output));
    }
}

#[test]
fn every_observed_layer_is_logged_with_its_numbers() {
    let frames = logged(|| infer(&mut [1, 2, 3, 4, -5, 6], &mut Trace));
    let results: [(&[i8], [u32; 3]); 2] = [(&[1, 2, 3, 4], [1, 2, 2]), (&[-5, 6], [1, 1, 2])];
    assert_eq!(frames.len(), 2 * LAYERS.len(), "two messages for each layer");
    for (index, (info, (codes, shape))) in LAYERS.iter().zip(results).enumerate() {
        let [what, result] = [&frames[2 * index], &frames[2 * index + 1]];
        let expected = [text(info.name), text(info.kind), info.macs.to_le_bytes().to_vec()].concat();
        assert_eq!(*nested(what), expected, "{}", info.name);
        let shape = shape.map(u32::to_le_bytes).concat();
        let checksum = Checksum::of_codes(codes).to_le_bytes().to_vec();
        let index = (index as u32).to_le_bytes().to_vec();
        assert_eq!(*result, [index, text(info.name), shape, checksum].concat(), "{}", info.name);
    }
}

#[test]
fn a_check_is_logged_as_it_ended() {
    let error = SelfTestError::Layer { index: 1, name: "pool", expected: 7, found: 8 };
    let frames = logged(|| {
        assert!(trace::check("self_test", Ok(())));
        assert!(!trace::check("check_layers", Err(error)));
    });
    assert_eq!(frames[0], text("self_test"));
    let numbers = [8u64, 7].map(u64::to_le_bytes).concat();
    let failed = [1u32.to_le_bytes().to_vec(), text("pool"), numbers].concat();
    let (name, arguments) = frames[1].split_at(text("check_layers").len());
    assert_eq!(name, text("check_layers"));
    assert_eq!(*nested(arguments), failed);
}
