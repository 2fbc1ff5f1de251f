//! Element-wise difference of two tensors with different scales.

use super::add::common;
use crate::{
    Multiplier, Operand, OutputParams,
    base::memory::{BinaryOp, Broadcast},
};

/// `out = a - b`: TensorFlow Lite's int8 `SUB`, for a second operand of one of the shapes below.
///
/// ```text
/// a' = a_multiplier((a - a_zero_point) * 2^20)     with a_multiplier = s_a / (2 max(s_a, s_b))
/// b' = b_multiplier((b - b_zero_point) * 2^20)
/// out = stage(multiplier(a' - b'))                 with multiplier = 2 max(s_a, s_b) / (2^20 s_out)
/// ```
///
/// `out` may be the same view as an operand of its shape.
#[derive(Clone, Copy, Debug)]
pub struct Sub {
    /// First operand, `h x w x c`.
    pub a: Operand,
    /// Second operand: `h x w x c`; or `1 x 1 x c`, a value for each channel; or `h x w x g`, where `g` divides `c`, one for each group of
    /// channels of each pixel.
    pub b: Operand,
    /// Result, of the shape of `a`.
    pub output: Operand,
    /// Zero point of `a`.
    pub a_zero_point: i8,
    /// Zero point of `b`.
    pub b_zero_point: i8,
    /// Factor of `a`, at most 1/2.
    pub a_multiplier: Multiplier,
    /// Factor of `b`, at most 1/2.
    pub b_multiplier: Multiplier,
    /// Factor of the difference.
    pub multiplier: Multiplier,
    /// Zero point, clamp and rounding of the output.
    pub stage: OutputParams,
}

/// A difference takes about as long as so many multiply-accumulates of a convolution.
const DIFFERENCE: usize = 32;

crate::schedule::kernel!(Sub, |sub| {
    check: |mem| Broadcast::new(mem, [&sub.a, &sub.b, &sub.output], sub),
    run: |pairs, isa| isa.vectorize(pairs),
    reads: [a, b],
    one pixel: b,
    in place: true,
    cost: DIFFERENCE,
});

impl BinaryOp for Sub {
    #[inline(always)]
    fn stage(&self) -> OutputParams {
        self.stage
    }

    #[inline(always)]
    fn of(&self, a: i8, b: i8, stage: OutputParams) -> i8 {
        let a = common(a, self.a_zero_point, self.a_multiplier, stage.rounding);
        let b = common(b, self.b_zero_point, self.b_multiplier, stage.rounding);
        stage.store(a.wrapping_sub(b), self.multiplier)
    }
}
