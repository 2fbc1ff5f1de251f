//! Layers in floating point: 32 bits, or 16 bits in memory.
//!
//! A tensor holds IEEE 754 numbers of one [`Float`] type, little-endian, at any address; as with 16-bit codes, the last side of an
//! [`Operand`](crate::Operand) counts bytes. Three modes share it:
//!
//! * `f32`: everything in single precision.
//! * `f16`: tensors and weights in half precision, arithmetic in single precision, one rounding when a result is stored.
//! * `f16-native`: as `f16`, but convolutions add products in half precision, in short blocks: see [`native`].
//!
//! # The same bits everywhere
//!
//! Additions of floating point depend on their order, so the order is part of what a kernel means. Every sum of products is one chain
//! of fused multiply-adds ([`fused()`]: one rounding each) for each result, in the order that the kernel's documentation gives; vectors
//! hold different results, never parts of one. (A dot product of attention is eight chains.) No compiler may contract or reorder it:
//! Rust's operators mean single IEEE operations. The bits of a NaN result are defined as well ([`FloatBounds`]), so that even then bits agree.

mod argmax;
mod attention;
mod by_types;
mod channels;
pub mod conv;
mod elementary;
mod elementwise;
mod embedding;
pub mod exp;
mod function;
pub mod fused;
pub mod logarithm;
mod map;
pub mod native;
mod normalize;
mod pool;
pub(crate) mod quantize;
mod resize;

mod softmax;
mod unpool;

pub use argmax::ArgMaxFloat;
pub use attention::AttentionFloat;
pub use channels::ChannelShuffleFloat;
pub use conv::{Conv2dFloat, winograd::WinogradConv2dFloat};
pub use elementary::{Elementary, ElementaryFloat};
pub use elementwise::{AddFloat, DivFloat, MulFloat, SubFloat};
pub use embedding::EmbeddingFloat;
pub use function::{Function, PointWiseFloat};
pub use fused::fused;
pub use map::{CastFloat, ClampFloat, PReluFloat, ScaleFloat};
pub use normalize::{L2NormalizeFloat, LogSoftmaxFloat};
pub use pool::{AveragePool2dFloat, GlobalAveragePoolFloat, MaxPool2dFloat};
pub use quantize::{DequantizeFloat, QuantizeFloat, QuantizeLinear};
pub use resize::ResizeBilinearFloat;
pub use softmax::SoftmaxFloat;
pub use unpool::{MaxPosition2dFloat, MaxUnpool2dFloat};

pub use crate::base::half;

use crate::base::{
    isa::Vectorize,
    memory::{ByEncoding, Channels, Encoding, put_u16s, put_u32s},
};
use by_types::by_types;
use core::cell::Cell;

/// The type of a tensor's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Float {
    /// Half precision, `binary16`.
    F16,
    /// Single precision, `binary32`.
    F32,
}

impl Float {
    /// Bytes of a number.
    pub const fn bytes(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }

    /// Where the bits of numbers are only moved: as codes of two bytes, or of four.
    #[inline]
    pub(crate) fn of_width<A, B>(
        self,
        two: impl FnOnce() -> Option<A>,
        four: impl FnOnce() -> Option<B>,
    ) -> Option<OfWidth<A, B>> {
        match self {
            Self::F16 => two().map(OfWidth::Two),
            Self::F32 => four().map(OfWidth::Four),
        }
    }
}

impl Encoding for Float {
    type Value = f32;

    const IS_FLOAT: bool = true;

    #[inline]
    fn count(self, bytes: usize) -> Option<usize> {
        bytes.is_multiple_of(self.bytes()).then_some(bytes / self.bytes())
    }

    #[inline(always)]
    fn specialize<const K: usize>(all: [Self; K], work: &impl ByEncoding<Self, K>) {
        by_types!(all => work.each(all));
    }

    #[inline(always)]
    fn block<const N: usize>(self, channels: Channels<'_>, first: usize) -> [f32; N] {
        let mut numbers = [0.0; N];
        match self {
            Self::F16 => {
                let mut halves = [0; N];
                for (h, bytes) in halves.iter_mut().zip(channels.pairs::<N>(first.saturating_mul(2))) {
                    *h = u16::from_le_bytes(bytes);
                }
                numbers = half::to_f32s(halves);
            }
            Self::F32 => {
                let words = channels.quads::<N>(first.saturating_mul(4));
                for (x, bytes) in numbers.iter_mut().zip(words) {
                    *x = f32::from_le_bytes(bytes);
                }
            }
        }
        numbers
    }

    /// Numbers are rounded to the type.
    #[inline(always)]
    fn put<const N: usize>(self, cells: &[Cell<i8>], first: usize, numbers: [f32; N]) {
        match self {
            Self::F16 => put_u16s(cells, first.saturating_mul(2), half::from_f32s(numbers)),
            Self::F32 => {
                let mut words = [0; N];
                for (w, x) in words.iter_mut().zip(numbers) {
                    *w = x.to_bits();
                }
                put_u32s(cells, first.saturating_mul(4), words);
            }
        }
    }
}

/// The same work for codes of two bytes, or of four.
pub(crate) enum OfWidth<A, B> {
    /// Of two.
    Two(A),
    /// Of four.
    Four(B),
}

impl<A: Vectorize, B: Vectorize> Vectorize for OfWidth<A, B> {
    const WIDE: bool = false;

    #[inline(always)]
    fn run(self) {
        match self {
            Self::Two(work) => work.run(),
            Self::Four(work) => work.run(),
        }
    }
}

/// A fused activation: `[least, most]`, infinite where there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FloatBounds {
    /// Smallest result.
    pub least: f32,
    /// Largest result.
    pub most: f32,
}

impl FloatBounds {
    /// No bounds.
    pub const ALL: Self = Self { least: f32::NEG_INFINITY, most: f32::INFINITY };

    /// `x` where it lies within; NaN becomes [`FloatBounds::least`], and so does a zero of either sign if that is zero.
    ///
    /// `maxnm` with the bound as the second operand of x86's `maxps` and of Arm's `fmaxnm` is the same.
    #[inline(always)]
    pub fn clamp(self, x: f32) -> f32 {
        let x = if x > self.least { x } else { self.least };
        if x < self.most { x } else { self.most }
    }
}

/// `x`; NaN becomes the one of bits `0x7fc00000`, whose half is `0x7e00`.
///
/// Which of them an operation returns depends on the core, so that results without a [`FloatBounds`] are stored through this.
#[inline(always)]
pub const fn number(x: f32) -> f32 {
    let bits = x.to_bits();
    f32::from_bits(if bits & 0x7fff_ffff > 0xff << 23 { 0x7fc0_0000 } else { bits })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_everything() {
        let relu = FloatBounds { least: 0.0, most: f32::INFINITY };
        let all = [f32::NAN, -0.0, 0.0, -1.0, 2.5, f32::INFINITY, f32::NEG_INFINITY];
        let bits = |range: FloatBounds| all.map(|x| range.clamp(x).to_bits());
        assert_eq!(bits(relu), [0.0, 0.0, 0.0, 0.0, 2.5, f32::INFINITY, 0.0].map(f32::to_bits));
        let least = f32::NEG_INFINITY;
        assert_eq!(
            bits(FloatBounds::ALL),
            [least, -0.0, 0.0, -1.0, 2.5, f32::INFINITY, least].map(f32::to_bits)
        );
        assert_eq!(FloatBounds { least: 0.0, most: 6.0 }.clamp(7.0), 6.0);
    }

    #[test]
    fn numbers_are_little_endian() {
        let bytes = [0, 0x3c, 0, -0x40].map(Cell::new);
        Float::F16.put(&bytes, 1, [1.0]);
        assert_eq!(bytes.clone().map(|b| b.get()), [0, 0x3c, 0, 0x3c]);
        Float::F32.put(&bytes, 0, [1.0]);
        assert_eq!(bytes.clone().map(|b| b.get()), [0, 0, -128, 63]);
        Float::F32.put(&bytes, 0, [2.0, 3.0]);
        assert_eq!(bytes.map(|b| b.get()), [0, 0, -128, 63], "no room: nothing is stored");
    }
}
