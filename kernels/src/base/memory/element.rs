//! Inputs and outputs of models as slices of their elements.

use crate::base::half;
use core::cell::Cell;

/// A number in half precision (IEEE 754 `binary16`), as its bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct F16(pub u16);

impl F16 {
    /// The nearest one, ties to even; beyond 65519 infinity.
    #[inline]
    pub const fn from_f32(x: f32) -> Self {
        Self(half::from_f32(x))
    }

    /// The number, exactly.
    #[inline]
    pub const fn to_f32(self) -> f32 {
        half::to_f32(self.0)
    }
}

impl From<F16> for f32 {
    fn from(half: F16) -> Self {
        half.to_f32()
    }
}

/// The element types of inputs and outputs: codes of 8 bits or 16, f16 or f32.
///
/// # Safety
/// Every byte of a value is initialised, and any bytes are a value.
pub unsafe trait Element: Copy + Default + 'static {
    /// The element whose bytes are zeros: a static of them lies in `.bss`.
    const ZERO: Self;

    /// An element from a pseudo-random code, for known-answer tests: the code itself, in 16 bits in both bytes, or the code / 64 as a number.
    fn from_code(code: i8) -> Self;
}

// SAFETY: an integer.
unsafe impl Element for i8 {
    const ZERO: Self = 0;

    fn from_code(code: i8) -> Self {
        code
    }
}

// SAFETY: an integer.
unsafe impl Element for i16 {
    const ZERO: Self = 0;

    fn from_code(code: i8) -> Self {
        Self::from_le_bytes([code as u8; 2])
    }
}

// SAFETY: 16 bits without padding, all of which mean something.
unsafe impl Element for F16 {
    const ZERO: Self = Self(0);

    fn from_code(code: i8) -> Self {
        Self::from_f32(f32::from_code(code))
    }
}

// SAFETY: 32 bits without padding, all of which mean something.
unsafe impl Element for f32 {
    const ZERO: Self = 0.0;

    fn from_code(code: i8) -> Self {
        code as f32 / 64.0
    }
}

/// The bytes of elements, as [`super::Memory`] takes them.
pub const fn bytes<E: Element>(elements: &[E]) -> &[i8] {
    // SAFETY: the slice's own memory; its bytes are initialised, as `Element` promises.
    unsafe { core::slice::from_raw_parts(elements.as_ptr().cast(), size_of_val(elements)) }
}

/// The bytes of elements that are written, as [`super::Memory`] takes them.
pub fn cells<E: Element>(elements: &mut [E]) -> &[Cell<i8>] {
    let len = size_of_val(elements);
    // SAFETY: the slice's own memory, borrowed mutably for as long; any bytes are values, as `Element` promises.
    let bytes: &mut [i8] = unsafe { core::slice::from_raw_parts_mut(elements.as_mut_ptr().cast(), len) };
    Cell::from_mut(bytes).as_slice_of_cells()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_their_bytes() {
        assert_eq!(bytes(&[1.0f32, -2.0]), [0, 0, -128, 63, 0, 0, 0, -64]);
        assert_eq!(bytes(&[F16::from_f32(1.0)]), [0, 0x3c]);
        assert_eq!(bytes(&[i16::from_code(-2), 0x102]), [-2, -2, 2, 1]);
        let mut halves = [F16::default(); 2];
        cells(&mut halves)[3].set(0x3c);
        assert_eq!(halves.map(F16::to_f32), [0.0, 1.0]);
        assert_eq!(
            [i8::from_code(-7) as f32, f32::from_code(-64), F16::from_code(96).into()],
            [-7.0, -1.0, 1.5]
        );
    }
}
