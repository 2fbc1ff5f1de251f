//! Element by element: sum, product, another scale or width.

use super::{Bounds, Width};
use crate::{
    Multiplier, Operand, Rounding,
    formats::elements::{BinaryOp, Broadcast, Map, Mapping},
};

/// An element takes about as long as so many multiply-accumulates of a convolution.
pub(crate) const ELEMENT: usize = 24;

/// `out = bounds(multiplier(a' + b'))`, `a' = a_multiplier(2^15 (a - z_a))`, `b'` alike: TensorFlow Lite's int16 `ADD`.
///
/// `b` has the shape of `a`, or one pixel (a number for each channel), or fewer channels (a number for each group of channels of each pixel).
/// `output` may be the same view as an operand of its shape and width.
#[derive(Clone, Copy, Debug)]
pub struct AddInt16 {
    /// First operand.
    pub a: Operand,
    /// Second operand.
    pub b: Operand,
    /// Result.
    pub output: Operand,
    /// Widths of `a`, `b`, `output`.
    pub widths: [Width; 3],
    /// Zero points of `a` and `b`; 0 at 16 bits.
    pub zero_points: [i32; 2],
    /// `s_a / (2 max(s_a, s_b))`, at most 1/2.
    pub a_multiplier: Multiplier,
    /// The same of `b`.
    pub b_multiplier: Multiplier,
    /// `2 max(s_a, s_b) / (2^15 s_out)`.
    pub multiplier: Multiplier,
    /// Zero point and clamp of the output.
    pub bounds: Bounds,
    /// The rounding.
    pub rounding: Rounding,
}

/// Operands are shifted left by this much: `255 * 2^15` and `32768 * 2^15` fit 31 bits.
pub(crate) const LEFT_SHIFT: u32 = 15;

/// A code at the scale that two operands have in common.
#[inline(always)]
pub(crate) fn common(code: i32, zero_point: i32, multiplier: Multiplier, rounding: Rounding) -> i32 {
    multiplier.apply(code.wrapping_sub(zero_point) << LEFT_SHIFT, rounding)
}

impl BinaryOp<i32> for AddInt16 {
    #[inline(always)]
    fn of(&self, a: i32, b: i32) -> i32 {
        let a = common(a, self.zero_points[0], self.a_multiplier, self.rounding);
        let b = common(b, self.zero_points[1], self.b_multiplier, self.rounding);
        self.bounds.clamp(self.multiplier.apply(a.wrapping_add(b), self.rounding))
    }
}

/// `out = bounds(multiplier(a' - b'))`, with `a'` and `b'` of [`AddInt16`]: TensorFlow Lite's int16 `SUB`. Operands are as there.
#[derive(Clone, Copy, Debug)]
pub struct SubInt16 {
    /// First operand.
    pub a: Operand,
    /// Second operand.
    pub b: Operand,
    /// Result.
    pub output: Operand,
    /// Widths of `a`, `b`, `output`.
    pub widths: [Width; 3],
    /// Zero points of `a` and `b`; 0 at 16 bits.
    pub zero_points: [i32; 2],
    /// `s_a / (2 max(s_a, s_b))`, at most 1/2.
    pub a_multiplier: Multiplier,
    /// The same of `b`.
    pub b_multiplier: Multiplier,
    /// `2 max(s_a, s_b) / (2^15 s_out)`.
    pub multiplier: Multiplier,
    /// Zero point and clamp of the output.
    pub bounds: Bounds,
    /// The rounding.
    pub rounding: Rounding,
}

impl BinaryOp<i32> for SubInt16 {
    #[inline(always)]
    fn of(&self, a: i32, b: i32) -> i32 {
        let a = common(a, self.zero_points[0], self.a_multiplier, self.rounding);
        let b = common(b, self.zero_points[1], self.b_multiplier, self.rounding);
        self.bounds.clamp(self.multiplier.apply(a.wrapping_sub(b), self.rounding))
    }
}

/// `out = bounds(multiplier((a - z_a) (b - z_b)))`: TensorFlow Lite's int16 `MUL`.
///
/// `b` has the shape of `a`, or one pixel (a factor for each channel), or fewer channels (a factor for each group of channels of each
/// pixel). `output` may be the
/// same view as an operand of its shape and width.
#[derive(Clone, Copy, Debug)]
pub struct MulInt16 {
    /// First operand.
    pub a: Operand,
    /// Second operand.
    pub b: Operand,
    /// Result, of the height, width and channels of `a`.
    pub output: Operand,
    /// Widths of `a`, `b`, `output`.
    pub widths: [Width; 3],
    /// Zero points of `a` and `b`; 0 at 16 bits.
    pub zero_points: [i32; 2],
    /// `s_a s_b / s_out`.
    pub multiplier: Multiplier,
    /// Zero point and clamp of the output.
    pub bounds: Bounds,
    /// The rounding.
    pub rounding: Rounding,
}

impl BinaryOp<i32> for MulInt16 {
    #[inline(always)]
    fn of(&self, a: i32, b: i32) -> i32 {
        let product = a.wrapping_sub(self.zero_points[0]).wrapping_mul(b.wrapping_sub(self.zero_points[1]));
        self.bounds.clamp(self.multiplier.apply(product, self.rounding))
    }
}

/// `out = bounds(multiplier(in - z_in))`: TensorFlow Lite's `QUANTIZE` between both widths, or within one.
///
/// `output` may be the same view as `input` if both have one width.
#[derive(Clone, Copy, Debug)]
pub struct RescaleInt16 {
    /// The input.
    pub input: Operand,
    /// Result, of the same height, width and channels.
    pub output: Operand,
    /// Widths of `input`, `output`.
    pub widths: [Width; 2],
    /// Zero point of `input`; 0 at 16 bits.
    pub input_zero_point: i32,
    /// `s_in / s_out`.
    pub multiplier: Multiplier,
    /// Zero point and clamp of the output.
    pub bounds: Bounds,
    /// The rounding.
    pub rounding: Rounding,
}

impl Mapping<i32, i32> for RescaleInt16 {
    const BY_CHANNEL: bool = false;

    #[inline(always)]
    fn of<const N: usize>(&self, _: usize, codes: [i32; N]) -> [i32; N] {
        let scaled = |x: i32| self.multiplier.apply(x.wrapping_sub(self.input_zero_point), self.rounding);
        codes.map(|x| self.bounds.clamp(scaled(x)))
    }
}

crate::schedule::kernel!(AddInt16, |add| {
    check: |mem| Broadcast::new(mem, [&add.a, &add.b, &add.output], add.widths, *add)
        .filter(|_| add.bounds.fits(add.widths[2])),
    run: |pairs, isa| isa.vectorize(pairs),
    reads: [a, b],
    one pixel: b,
    in place: true,
    cost: ELEMENT,
});

crate::schedule::kernel!(SubInt16, |sub| {
    check: |mem| Broadcast::new(mem, [&sub.a, &sub.b, &sub.output], sub.widths, *sub)
        .filter(|_| sub.bounds.fits(sub.widths[2])),
    run: |pairs, isa| isa.vectorize(pairs),
});

crate::schedule::kernel!(MulInt16, |mul| {
    check: |mem| Broadcast::new(mem, [&mul.a, &mul.b, &mul.output], mul.widths, *mul)
        .filter(|_| mul.bounds.fits(mul.widths[2])),
    run: |pairs, isa| isa.vectorize(pairs),
});

crate::schedule::kernel!(RescaleInt16, |rescale| {
    check: |mem| Map::new(mem, [&rescale.input, &rescale.output], rescale.widths, *rescale)
        .filter(|_| rescale.bounds.fits(rescale.widths[1])),
    run: |map, isa| isa.vectorize(map),
    reads: [input],
    in place: true,
    cost: ELEMENT,
});
