//! The inner loops of [`super`]: in assembly where the target has the instructions, and in plain Rust with the same
//! meaning elsewhere, so that every machine can check them.

#[cfg(niello_dsp)]
mod assembly;
#[cfg(not(niello_dsp))]
mod plain;

#[cfg(niello_dsp)]
pub(super) use assembly::{
    column_double, column_relu, column_single, one, panels_double, panels_relu, panels_single, three, two,
};
#[cfg(not(niello_dsp))]
pub(super) use plain::{
    column_double, column_relu, column_single, one, panels_double, panels_relu, panels_single, three, two,
};

use super::twice::Twice;

/// Panels for several times three pixels, of which `panels_relu`, `panels_double` and `panels_single` compute as many as have factors with a short way.
#[repr(C)]
pub(super) struct Triples {
    /// How sums become bytes; written for each panel.
    pub(super) channels: [Twice; 2],
    /// The next panel's weights.
    pub(super) weights: *const i8,
    /// Where the next three pixels begin: as `begin` before each panel.
    pub(super) out: *const *mut i8,
    /// The next panel's first channel.
    pub(super) first: usize,
    /// The end of `out`: at least three pixels.
    pub(super) end: *const *mut i8,
    /// Whether the clamp is less than all that an `i8` holds.
    pub(super) clamped: usize,
    /// Smallest and largest value to store.
    pub(super) clamp: [i32; 2],
    /// Biases of the next panel.
    pub(super) bias: *const i32,
    /// Its mantissas.
    pub(super) mantissa: *const i32,
    /// Its shifts.
    pub(super) shift: *const i8,
    /// Twice the zero point, plus 1.
    pub(super) zero: i32,
    /// Where panels end: an even number of channels from `first` on, not 0.
    pub(super) last: usize,
    /// Bytes from one panel's weights to the next.
    pub(super) stride: usize,
    /// Where pixels begin.
    pub(super) begin: *const *mut i8,
    /// The first pixel.
    pub(super) x: *const u32,
}

impl Triples {
    /// The next panel.
    pub(super) fn advance(&mut self) {
        self.weights = self.weights.wrapping_add(self.stride);
        self.first += 2;
        self.out = self.begin;
        (self.bias, self.mantissa) = (self.bias.wrapping_add(2), self.mantissa.wrapping_add(2));
        self.shift = self.shift.wrapping_add(2);
    }
}

/// Two panels that one pixel meets at a time.
#[repr(C)]
pub(super) struct Two {
    /// Bytes from the first panel's weights to the second's.
    pub(super) stride: usize,
    /// `S` and `A` of both.
    pub(super) sums: [[i32; 2]; 2],
}
