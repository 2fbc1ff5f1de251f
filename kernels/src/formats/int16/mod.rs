//! Layers with 16-bit activations, for the few that 8 bits are too coarse for.
//!
//! A 16-bit tensor is symmetric: `real = scale * q`, two bytes each, little-endian, at any address; `q` lies in `[-32767, 32767]`, or begins
//! at -32768 in what a model file has. To
//! the memory plan it is a tensor of twice as many channels of bytes, so what only moves bytes (concatenation, slices) needs
//! nothing new: the last side of an [`Operand`](crate::Operand) counts bytes, and [`Width`] says how many make a code. Weights have
//! 8 bits, or 16 in two halves. This is TensorFlow Lite's `16x8` scheme, with one freedom more: each operand has a width of its own.
//!
//! The kernels are plain loops that vectorise. Sums have 64 bits, where 32 might not do.

mod channels;
mod conv;
pub(crate) mod elementwise;
mod pool;
mod resize;
mod sigmoid;
mod softmax;
mod table;
mod unpool;

pub use channels::{ChannelShuffleInt16, PReluInt16};
pub use conv::Conv2dInt16;
pub use elementwise::{AddInt16, MulInt16, RescaleInt16, SubInt16};
pub use pool::{AveragePool2dInt16, GlobalAveragePoolInt16, MaxPool2dInt16};
pub use resize::ResizeBilinearInt16;
pub use sigmoid::SigmoidInt16;
pub use softmax::SoftmaxInt16;
pub use table::{ENTRIES, LutInt16};
pub use unpool::{MaxPosition2dInt16, MaxUnpool2dInt16};

use crate::{
    Multiplier,
    base::memory::{Channels, Code, Encoding, constants},
};
use core::cell::Cell;

/// How wide the codes of a tensor are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// One byte, with a zero point.
    Int8,
    /// Two bytes, symmetric.
    Int16,
}

impl Width {
    /// Bytes of a code.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Int8 => 1,
            Self::Int16 => 2,
        }
    }
}

impl Encoding for Width {
    type Value = i32;

    const IS_FLOAT: bool = false;

    #[inline]
    fn count(self, bytes: usize) -> Option<usize> {
        match self {
            Self::Int8 => i8::count(bytes),
            Self::Int16 => i16::count(bytes),
        }
    }

    #[inline(always)]
    fn block<const N: usize>(self, channels: Channels<'_>, first: usize) -> [i32; N] {
        match self {
            Self::Int8 => <i8 as Code>::block(channels, first).map(i32::from),
            Self::Int16 => <i16 as Code>::block(channels, first).map(i32::from),
        }
    }

    /// Codes are within the width.
    #[inline(always)]
    fn put<const N: usize>(self, cells: &[Cell<i8>], first: usize, codes: [i32; N]) {
        match self {
            Self::Int8 => <i8 as Code>::put(cells, first, codes.map(|v| v as i8)),
            Self::Int16 => <i16 as Code>::put(cells, first, codes.map(|v| v as i16)),
        }
    }
}

/// The last step of an operator, for either width: add the zero point, clamp to the activation's range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Zero point of the output; 0 at 16 bits.
    pub zero_point: i32,
    /// Smallest code to store.
    pub min: i32,
    /// Largest code to store.
    pub max: i32,
}

impl Bounds {
    /// The code for a value that is already at the output's scale.
    #[inline(always)]
    pub const fn clamp(&self, value: i32) -> i32 {
        let q = value.saturating_add(self.zero_point);
        if q < self.min {
            self.min
        } else if q > self.max {
            self.max
        } else {
            q
        }
    }

    /// Whether every code fits `width`.
    pub(crate) const fn fits(&self, width: Width) -> bool {
        match width {
            Width::Int8 => self.min >= i8::MIN as i32 && self.max <= i8::MAX as i32,
            Width::Int16 => self.min >= i16::MIN as i32 && self.max <= i16::MAX as i32,
        }
    }
}

/// `sum` times the factor, from 64 bits: TensorFlow Lite's `MultiplyByQuantizedMultiplier` of an `int64_t`.
///
/// ```text
/// r = floor((m + 2^15) / 2^16), at most 2^15 - 1            the mantissa in 15 bits
/// y = floor((sum * r + 2^(14 - e)) / 2^(15 - e))            one rounding, ties towards plus infinity
/// ```
///
/// For `|sum| < 2^47` and `e < 15`: lowering proves both. The rounding of the program does not matter here.
#[inline(always)]
pub const fn rescale(sum: i64, multiplier: Multiplier) -> i32 {
    let Multiplier { mantissa, shift } = multiplier;
    let reduced = if mantissa < 0x7fff_0000 { (mantissa.wrapping_add(1 << 15)) >> 16 } else { 0x7fff };
    let total = 15i32.wrapping_sub(shift);
    let total = if total < 1 { 1 } else { total as u32 & 63 };
    let half = 1i64.wrapping_shl(total - 1);
    let value = sum.wrapping_mul(reduced as i64).wrapping_add(half).wrapping_shr(total);
    if value > i32::MAX as i64 {
        i32::MAX
    } else if value < i32::MIN as i64 {
        i32::MIN
    } else {
        value as i32
    }
}

/// `sum` times a factor in double precision, `mantissa * 2^-shift` with a mantissa of 53 bits: the product is rounded to 53 bits, ties to even, and
/// that to a whole number, ties away from zero. It is `round(double(sum) * factor)` of C, in integers.
///
/// For `|sum| < 2^47` and results of 32 bits: lowering proves both.
#[inline]
pub const fn rescale_double(sum: i64, mantissa: u64, shift: u32) -> i32 {
    let product = (sum.unsigned_abs() as u128).wrapping_mul(mantissa as u128);
    // Bits that a number in double precision has no room for.
    let extra = (u128::BITS - 53).saturating_sub(product.leading_zeros());
    let rounded = if extra == 0 {
        product
    } else {
        let half = 1u128.wrapping_shl(extra - 1);
        let (kept, rest) = (product.wrapping_shr(extra), product & (half.wrapping_mul(2).wrapping_sub(1)));
        let up = rest > half || (rest == half && kept & 1 == 1);
        kept.wrapping_add(up as u128).wrapping_shl(extra)
    };
    let shift = if shift > 126 { 126 } else { shift };
    let half = if shift == 0 { 0 } else { 1u128.wrapping_shl(shift - 1) };
    let magnitude = rounded.wrapping_add(half).wrapping_shr(shift) as i64;
    let value = if sum < 0 { magnitude.wrapping_neg() } else { magnitude };
    value as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_rounded_as_the_processor_rounds_them() {
        let mut bits = 1u64;
        let mut next = || {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            bits >> 17
        };
        for round in 0..if cfg!(miri) { 100 } else { 100_000 } {
            let sum = (next() as i64 >> (next() % 47)) * if next() % 2 == 0 { 1 } else { -1 };
            // A factor with few bits makes ties.
            let mantissa = (1 << 52) | if round % 2 == 0 { next() << 5 } else { (next() % 8) << 49 };
            // So that results have up to 31 bits.
            let largest = sum.unsigned_abs().max(1).ilog2() + 24;
            let shift = largest + (next() % 40) as u32;
            let factor = mantissa as f64 / 2f64.powi(shift as i32);
            let expected = (sum as f64 * factor).round() as i32;
            assert_eq!(rescale_double(sum, mantissa, shift), expected, "{sum} * {mantissa} / 2^{shift}");
        }
        assert_eq!(rescale_double(i64::MAX >> 17, u64::MAX >> 11, 127), 0);
    }

    #[test]
    fn rescaling_rounds_once() {
        let factor = |real| Multiplier::from_real(real).unwrap();
        for (sum, real, expected) in [
            (3, 0.5, 2),
            (-3, 0.5, -1),
            (1 << 40, 2f64.powi(-30), 1024),
            (-(1 << 46), 2f64.powi(-31), -(1 << 15)),
            (5, 4.0, 20),
            (1, 2f64.powi(14) * 0.99, 16220),
            // 15 bits of mantissa: 1/3 is 21845 / 65536.
            (3 << 20, 1.0 / 3.0, 1_048_560),
            (i64::MAX >> 16, 1.0, i32::MAX),
            (i64::MIN >> 16, 1.0, i32::MIN),
        ] {
            assert_eq!(rescale(sum, factor(real)), expected, "{sum} * {real}");
        }
        assert_eq!(rescale(1 << 20, Multiplier { mantissa: i32::MAX, shift: 0 }), (1 << 20) - 32);
    }

    #[test]
    fn codes_are_little_endian() {
        let bytes = [0x34, 0x12, -1, -1, 0, -128].map(Cell::new);
        let mem = [3, 1].map(Cell::new);
        Width::Int16.put(&bytes, 1, [0x7fff, -2]);
        assert_eq!(bytes.clone().map(|b| b.get()), [0x34, 0x12, -1, 127, -2, -1]);
        Width::Int16.put(&mem, 0, [-300, 5]);
        assert_eq!(mem.map(|b| b.get()), [3, 1], "no room: nothing is stored");
    }
}
