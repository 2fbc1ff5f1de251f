//! Element-wise sum of two tensors with different scales.

use crate::{
    Isa, Kernel, Memory, Multiplier, Operand, OutputStage, Rounding,
    isa::Vectorize,
    memory::{In, Out, for_each_run, map2},
};

/// `out = a + b`: TensorFlow Lite's int8 `ADD`, for equal shapes.
///
/// ```text
/// a' = a_multiplier((a - a_zero_point) * 2^20)     with a_multiplier = s_a / (2 max(s_a, s_b))
/// b' = b_multiplier((b - b_zero_point) * 2^20)
/// out = stage(multiplier(a' + b'))                 with multiplier = 2 max(s_a, s_b) / (2^20 s_out)
/// ```
///
/// `out` may be the same view as `a` or `b`.
#[derive(Clone, Copy, Debug)]
pub struct Add {
    /// First operand.
    pub a: Operand,
    /// Second operand, of the same shape.
    pub b: Operand,
    /// Result, of the same shape.
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
    pub stage: OutputStage,
}

/// Bits that both operands are shifted up by before they are brought to a common scale.
pub const LEFT_SHIFT: u32 = 20;

impl Kernel for Add {
    fn run(&self, mem: &Memory<'_>, isa: Isa) {
        let (Some(a), Some(b), Some(out)) = (mem.read(&self.a), mem.read(&self.b), mem.write(&self.output))
        else {
            debug_assert!(false, "operands outside memory");
            return;
        };
        if a.shape() != out.shape() || b.shape() != out.shape() {
            debug_assert!(false, "shapes differ");
            return;
        }
        isa.vectorize(Sum { add: self, a, b, out });
    }
}

struct Sum<'k, 'm> {
    add: &'k Add,
    a: In<'m>,
    b: In<'m>,
    out: Out<'m>,
}

impl Vectorize for Sum<'_, '_> {
    #[inline(always)]
    fn run(self) {
        // One loop for each rounding, without a choice inside.
        match self.add.stage.rounding {
            Rounding::TfliteDouble => self.round(Rounding::TfliteDouble),
            Rounding::Single => self.round(Rounding::Single),
        }
    }
}

impl Sum<'_, '_> {
    #[inline(always)]
    fn round(&self, rounding: Rounding) {
        let add = *self.add;
        let stage = OutputStage { rounding, ..add.stage };
        let common = |x: i8, zero_point: i8, multiplier: Multiplier| {
            multiplier.apply((x as i32 - zero_point as i32) << LEFT_SHIFT, rounding)
        };
        for_each_run(self.out, [self.a, self.b], |cells, [a, b]| {
            map2(cells, a, b, |a, b| {
                let a = common(a, add.a_zero_point, add.a_multiplier);
                let b = common(b, add.b_zero_point, add.b_multiplier);
                stage.store(a.wrapping_add(b), add.multiplier)
            });
        });
    }
}
