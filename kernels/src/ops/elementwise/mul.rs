//! Element-wise product of two tensors with different scales.

#[cfg(niello_mve)]
use super::mve::Mve;
use crate::{
    Isa, Multiplier, Operand, OutputParams,
    base::memory::{BinaryOp, Broadcast},
};

/// `out = a * b`: TensorFlow Lite's int8 `MUL`, for a second operand of the same shape, of one pixel or of fewer channels.
///
/// ```text
/// out = stage(multiplier((a - a_zero_point) * (b - b_zero_point)))     with multiplier = s_a s_b / s_out
/// ```
///
/// The product is below `2^16`. `out` may be the same view as an operand of its shape.
#[derive(Clone, Copy, Debug)]
pub struct Mul {
    /// First operand, `h x w x c`.
    pub a: Operand,
    /// Second operand: `h x w x c`; or `1 x 1 x c`, a factor for each channel; or `h x w x g`, one for each group of `c / g` channels of
    /// each pixel.
    pub b: Operand,
    /// Result, of the shape of `a`.
    pub output: Operand,
    /// Zero point of `a`.
    pub a_zero_point: i8,
    /// Zero point of `b`.
    pub b_zero_point: i8,
    /// `s_a s_b / s_out`, shifting left by no more than 15: `255 * 255 * 2^15 < 2^31`.
    pub multiplier: Multiplier,
    /// Zero point, clamp and rounding of the output.
    pub stage: OutputParams,
}

/// A product takes about as long as so many multiply-accumulates of a convolution.
const PRODUCT: usize = 24;

crate::schedule::kernel!(Mul, |mul| {
    check: |mem| Broadcast::new(mem, [&mul.a, &mul.b, &mul.output], mul),
    run: |pairs, isa| mul.compute(pairs, isa),
    reads: [a, b],
    one pixel: b,
    in place: true,
    cost: PRODUCT,
});

impl Mul {
    #[inline(always)]
    fn compute(&self, pairs: Broadcast<'_, '_, Self>, isa: Isa) {
        #[cfg(niello_mve)]
        if let Some(tile) = Mve::new(isa, self.multiplier, 16, &self.stage) {
            let zeros = [self.a_zero_point, self.b_zero_point];
            // SAFETY: runs of one length.
            if pairs.runs(|cells, both| unsafe { tile.multiply(both.map(|run| run.as_ptr()), zeros, cells) })
            {
                return;
            }
        }
        isa.vectorize(pairs);
    }
}

impl BinaryOp for Mul {
    #[inline(always)]
    fn stage(&self) -> OutputParams {
        self.stage
    }

    #[inline(always)]
    fn of(&self, a: i8, b: i8, stage: OutputParams) -> i8 {
        let product = (a as i32 - self.a_zero_point as i32) * (b as i32 - self.b_zero_point as i32);
        stage.store(product, self.multiplier)
    }
}
