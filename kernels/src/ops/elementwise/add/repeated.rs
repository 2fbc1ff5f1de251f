//! The sum with an operand that is repeated.

use super::{ADDITION, common};
use crate::{
    Multiplier, Operand, OutputParams,
    base::memory::{BinaryOp, Broadcast},
};

/// [`Add`](super::Add) for a second operand of one pixel or of fewer channels.
///
/// `out` may be the same view as `a`.
#[derive(Clone, Copy, Debug)]
pub struct AddRepeated {
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
    /// Factor of the sum.
    pub multiplier: Multiplier,
    /// Zero point, clamp and rounding of the output.
    pub stage: OutputParams,
}

crate::schedule::kernel!(AddRepeated, |add| {
    check: |mem| Broadcast::new(mem, [&add.a, &add.b, &add.output], add),
    run: |pairs, isa| isa.vectorize(pairs),
    reads: [a, b],
    one pixel: b,
    in place: true,
    cost: ADDITION,
});

impl BinaryOp for AddRepeated {
    #[inline(always)]
    fn stage(&self) -> OutputParams {
        self.stage
    }

    #[inline(always)]
    fn of(&self, a: i8, b: i8, stage: OutputParams) -> i8 {
        let a = common(a, self.a_zero_point, self.a_multiplier, stage.rounding);
        let b = common(b, self.b_zero_point, self.b_multiplier, stage.rounding);
        stage.store(a.wrapping_add(b), self.multiplier)
    }
}
