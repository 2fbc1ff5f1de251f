//! Known-answer test: pseudo-random input, checksums for answers, a checksum of the weights.

use crate::{
    LayerInfo, Observer, Output,
    kernels::memory::{self, Element},
};
use core::fmt;

/// The failure of a self-test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelfTestError {
    /// The constants are not those that the model was built with.
    Weights {
        /// The checksum at build time.
        expected: u64,
        /// The checksum in flash.
        found: u64,
    },
    /// The answer differs.
    Output {
        /// Index of the output.
        index: usize,
        /// The checksum at build time.
        expected: u64,
        /// The checksum of the result.
        found: u64,
    },
    /// The result of a layer differs: the first one that does.
    Layer {
        /// Index of the layer.
        index: usize,
        /// The layer's name.
        name: &'static str,
        /// The checksum at build time.
        expected: u64,
        /// The checksum of the result.
        found: u64,
    },
}

impl fmt::Display for SelfTestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weights { expected, found } => {
                write!(f, "weights: checksum {found:016x}, expected {expected:016x}")
            }
            Self::Output { index, expected, found } => {
                write!(f, "output {index}: checksum {found:016x}, expected {expected:016x}")
            }
            Self::Layer { index, name, expected, found } => {
                write!(f, "layer {index} `{name}`: checksum {found:016x}, expected {expected:016x}")
            }
        }
    }
}

impl core::error::Error for SelfTestError {}

/// FNV-1a, 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum(u64);

impl Checksum {
    /// The checksum of no data.
    pub const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds a byte.
    #[inline]
    pub const fn add(&mut self, byte: u8) {
        self.0 = (self.0 ^ byte as u64).wrapping_mul(0x0000_0100_0000_01b3);
    }

    /// The checksum of all bytes so far.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The checksum of a slice.
    pub fn of(bytes: &[u8]) -> u64 {
        let mut sum = Self::new();
        // The compiler knows constants; `black_box` makes it read memory.
        core::hint::black_box(bytes).iter().for_each(|b| sum.add(*b));
        sum.value()
    }

    /// The checksum of elements, by their bytes.
    pub fn of_codes<E: Element>(codes: &[E]) -> u64 {
        let mut sum = Self::new();
        memory::bytes(codes).iter().for_each(|c| sum.add(*c as u8));
        sum.value()
    }
}

impl Default for Checksum {
    fn default() -> Self {
        Self::new()
    }
}

/// The input of the known-answer test: SplitMix64 from a seed, one code per step from the top byte.
#[derive(Clone, Debug)]
pub struct Codes(u64);

impl Codes {
    /// The codes that follow from `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Fills `codes` with the next ones, converted by [`Element::from_code`].
    pub fn fill<E: Element>(&mut self, codes: &mut [E]) {
        codes.iter_mut().for_each(|c| *c = E::from_code(self.next_code()));
    }

    /// The next code.
    pub const fn next_code(&mut self) -> i8 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 56) as i8
    }
}

/// An observer that compares every layer's checksum with the expected one, and keeps the first difference.
///
/// ```
/// use niello::self_test::LayerChecks;
///
/// let expected = [0x1234u64];
/// let checks = LayerChecks::new(&expected);
/// // model.infer_observed(&input, &mut output, &mut checks);
/// assert!(checks.result().is_err(), "no layer has run");
/// ```
#[derive(Clone, Debug)]
pub struct LayerChecks<'a> {
    expected: &'a [u64],
    /// Index after the last layer that ran.
    seen: usize,
    first: Option<SelfTestError>,
}

impl<'a> LayerChecks<'a> {
    /// `expected` has one checksum for each layer, in order of execution; layers that observers do not see are not compared.
    pub const fn new(expected: &'a [u64]) -> Self {
        Self { expected, seen: 0, first: None }
    }

    /// The result so far.
    ///
    /// # Errors
    /// The first layer whose result differed; the last index where layers are missing.
    pub fn result(&self) -> Result<(), SelfTestError> {
        match self.first {
            Some(error) => Err(error),
            None => match self.expected.get(self.seen) {
                Some(expected) => {
                    let (index, name) = (self.seen, "did not run");
                    Err(SelfTestError::Layer { index, name, expected: *expected, found: 0 })
                }
                None => Ok(()),
            },
        }
    }
}

impl Observer for LayerChecks<'_> {
    fn layer(&mut self, index: usize, info: &LayerInfo, output: Output<'_>) {
        self.seen = index + 1;
        let found = output.checksum();
        let expected = self.expected.get(index).copied().unwrap_or(!found);
        if found != expected && self.first.is_none() {
            self.first = Some(SelfTestError::Layer { index, name: info.name, expected, found });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{Memory, Operand};
    use core::cell::Cell;

    const INFO: LayerInfo =
        LayerInfo { name: "conv", kind: "Conv2d", macs: 0, output: Operand::arena(0, [1, 2, 2], 2) };

    fn observed(expected: &[u64], arena: &mut [i8; 4]) -> Result<(), SelfTestError> {
        let mem = Memory::new(Cell::from_mut(&mut arena[..]).as_slice_of_cells(), &[], &[]);
        let mut checks = LayerChecks::new(expected);
        checks.layer(0, &INFO, Output::new(&mem, &INFO.output));
        checks.result()
    }

    #[test]
    fn the_first_layer_that_differs_is_kept() {
        let sum = Checksum::of_codes(&[1i8, 2, 3, 4]);
        assert_eq!(observed(&[sum], &mut [1, 2, 3, 4]), Ok(()));
        let found = Checksum::of_codes(&[1i8, 2, 3, 5]);
        let error = SelfTestError::Layer { index: 0, name: "conv", expected: sum, found };
        assert_eq!(observed(&[sum], &mut [1, 2, 3, 5]), Err(error));
    }

    #[test]
    fn a_layer_that_did_not_run_is_no_success() {
        let sum = Checksum::of_codes(&[1i8, 2, 3, 4]);
        assert!(matches!(
            observed(&[sum, 7], &mut [1, 2, 3, 4]),
            Err(SelfTestError::Layer { index: 1, expected: 7, .. })
        ));
    }
}
