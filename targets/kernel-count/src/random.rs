//! A small generator.

/// A linear congruential generator, of which the upper bits are used.
pub(crate) struct Random(pub(crate) u32);

impl Random {
    /// The next number, of 16 bits.
    pub(crate) fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 16
    }

    /// One below `n`.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        self.next() % n
    }

    /// An activation.
    pub(crate) fn code(&mut self) -> i8 {
        self.next() as i8
    }

    /// A weight: not -128.
    pub(crate) fn weight(&mut self) -> i8 {
        self.code().max(-127)
    }
}
