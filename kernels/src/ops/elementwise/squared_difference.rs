//! Squares of element-wise differences of two tensors with different scales.

use crate::{
    Multiplier, Operand, OutputParams,
    base::memory::{BinaryOp, Broadcast},
};

/// `out = (a - b)^2`: TensorFlow Lite's int8 `SQUARED_DIFFERENCE`, for a second operand of one of the shapes of [`Sub`](crate::Sub).
///
/// ```text
/// a' = a_multiplier((a - a_zero_point) * 2^7)      with a_multiplier = s_a / (2 max(s_a, s_b))
/// b' = b_multiplier((b - b_zero_point) * 2^7)
/// out = stage(multiplier((a' - b')^2))             with multiplier = (2 max(s_a, s_b))^2 / (2^14 s_out)
/// ```
///
/// `out` may be the same view as an operand of its shape.
#[derive(Clone, Copy, Debug)]
pub struct SquaredDifference {
    /// First operand, `h x w x c`.
    pub a: Operand,
    /// Second operand: `h x w x c`; or `1 x 1 x c`; or `h x w x g`, where `g` divides `c`.
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
    /// Factor of the square.
    pub multiplier: Multiplier,
    /// Zero point, clamp and rounding of the output.
    pub stage: OutputParams,
}

/// Bits that operands are shifted up by before they are brought to the common scale.
pub const LEFT_SHIFT: u32 = 7;

/// A square takes about as long as so many multiply-accumulates of a convolution.
const SQUARE: usize = 34;

crate::schedule::kernel!(SquaredDifference, |square| {
    check: |mem| Broadcast::new(mem, [&square.a, &square.b, &square.output], square),
    run: |pairs, isa| isa.vectorize(pairs),
    reads: [a, b],
    one pixel: b,
    in place: true,
    cost: SQUARE,
});

impl BinaryOp for SquaredDifference {
    #[inline(always)]
    fn stage(&self) -> OutputParams {
        self.stage
    }

    #[inline(always)]
    fn of(&self, a: i8, b: i8, stage: OutputParams) -> i8 {
        let common = |x: i8, zero_point: i8, multiplier: Multiplier| {
            multiplier.apply((x as i32 - zero_point as i32) << LEFT_SHIFT, stage.rounding)
        };
        let a = common(a, self.a_zero_point, self.a_multiplier);
        let b = common(b, self.b_zero_point, self.b_multiplier);
        let difference = a.wrapping_sub(b);
        stage.store(difference.wrapping_mul(difference), self.multiplier)
    }
}
