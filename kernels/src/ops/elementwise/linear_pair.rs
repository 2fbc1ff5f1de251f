//! Sums and products of two tensors with different scales, in single precision.

use crate::{
    Operand, OutputParams,
    base::{
        arith::nearest_even,
        memory::{BinaryOp, Broadcast},
    },
};

/// A sum or a product of what two codes stand for, for a second operand of one of the shapes of [`Sub`](crate::Sub): onnxruntime's `QLinearAdd` and
/// `QLinearMul`, and `Add` and `Mul` between `DequantizeLinear` and `QuantizeLinear`.
///
/// Single precision, one rounding for each operation, in this order:
///
/// ```text
/// a' = (a + a_offset) * a_factor + a_constant
/// b' = (b + b_offset) * b_factor + b_constant
/// y  = (a' + b') / divisor + constant              or ((a' b') * factor) / divisor + constant
/// out = stage(nearest integer to y, ties to even)
/// ```
///
/// The rounding of the stage is not used. `out` may be the same view as an operand of its shape.
#[derive(Clone, Copy, Debug)]
pub struct LinearPair {
    /// First operand, `h x w x c`.
    pub a: Operand,
    /// Second operand: `h x w x c`; or `1 x 1 x c`; or `h x w x g`, where `g` divides `c`.
    pub b: Operand,
    /// Result, of the shape of `a`.
    pub output: Operand,
    /// Whether it is a product.
    pub product: bool,
    /// Added to codes of `a`.
    pub a_offset: i32,
    /// Added to codes of `b`.
    pub b_offset: i32,
    /// Factor of `a`.
    pub a_factor: f32,
    /// Factor of `b`.
    pub b_factor: f32,
    /// Added to `a`; 0 in a product.
    pub a_constant: f32,
    /// Added to `b`; 0 in a product.
    pub b_constant: f32,
    /// Factor of a product.
    pub factor: f32,
    /// What the result is divided by.
    pub divisor: f32,
    /// Added before it is rounded.
    pub constant: f32,
    /// Zero point and clamp of the output.
    pub stage: OutputParams,
}

/// A pair takes about as long as so many multiply-accumulates of a convolution.
const PAIR: usize = 34;

crate::schedule::kernel!(LinearPair, |pair| {
    check: |mem| Broadcast::new(mem, [&pair.a, &pair.b, &pair.output], pair),
    run: |pairs, isa| isa.vectorize(pairs),
    reads: [a, b],
    one pixel: b,
    in place: true,
    cost: PAIR,
});

impl BinaryOp for LinearPair {
    #[inline(always)]
    fn stage(&self) -> OutputParams {
        self.stage
    }

    #[inline(always)]
    fn of(&self, a: i8, b: i8, stage: OutputParams) -> i8 {
        let a = (a as i32).wrapping_add(self.a_offset) as f32 * self.a_factor + self.a_constant;
        let b = (b as i32).wrapping_add(self.b_offset) as f32 * self.b_factor + self.b_constant;
        let y = if self.product { a * b * self.factor } else { a + b };
        stage.clamp(nearest_even(y / self.divisor + self.constant))
    }
}
