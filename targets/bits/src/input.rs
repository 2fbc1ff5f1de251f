//! The input of a case of a golden file. The firmware in `../cortex-m-qemu` uses it too.

use niello::kernels::memory::{Element, cells};

/// The inputs of a case.
#[allow(dead_code, reason = "which kinds there are depends on the models")]
pub(crate) enum Input {
    /// Codes that follow from a seed.
    Seed(u64),
    /// Codes of an image.
    Codes(&'static [u8]),
}

impl Input {
    /// The values that fill the inputs, one after the other.
    pub(crate) fn source(&self) -> Filler<'_> {
        match self {
            Self::Seed(seed) => Filler::Seed(niello::self_test::Codes::new(*seed)),
            Self::Codes(bytes) => Filler::Codes(bytes),
        }
    }
}

/// The remaining values for inputs.
pub(crate) enum Filler<'a> {
    Seed(niello::self_test::Codes),
    Codes(&'a [u8]),
}

impl Filler<'_> {
    /// The next elements.
    pub(crate) fn fill<E: Element>(&mut self, input: &mut [E]) {
        match self {
            Self::Seed(codes) => codes.fill(input),
            Self::Codes(bytes) => {
                let (own, rest) = bytes.split_at(size_of_val(input).min(bytes.len()));
                cells(input).iter().zip(own).for_each(|(cell, byte)| cell.set(*byte as i8));
                *bytes = rest;
            }
        }
    }
}
