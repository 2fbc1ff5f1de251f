//! Known-answer test: pseudo-random input, checksums for answers, a checksum of the weights.

use core::fmt;

/// Why a self-test failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelfTestError {
    /// The constants are not those that the model was built with.
    Weights {
        /// What was built.
        expected: u64,
        /// What is in flash.
        found: u64,
    },
    /// The answer differs.
    Output {
        /// Index of the output.
        index: usize,
        /// What was built.
        expected: u64,
        /// What came out.
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
        }
    }
}

impl core::error::Error for SelfTestError {}

/// FNV-1a, 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum(u64);

impl Checksum {
    /// Of nothing.
    pub const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// One more byte.
    #[inline]
    pub const fn add(&mut self, byte: u8) {
        self.0 = (self.0 ^ byte as u64).wrapping_mul(0x0000_0100_0000_01b3);
    }

    /// Of all bytes so far.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// Of a slice.
    pub fn of(bytes: &[u8]) -> u64 {
        let mut sum = Self::new();
        bytes.iter().for_each(|b| sum.add(*b));
        sum.value()
    }

    /// Of codes.
    pub fn of_codes(codes: &[i8]) -> u64 {
        let mut sum = Self::new();
        codes.iter().for_each(|c| sum.add(*c as u8));
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

    /// Fills `codes` with the next ones.
    pub fn fill(&mut self, codes: &mut [i8]) {
        codes.iter_mut().for_each(|c| *c = self.next_code());
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
