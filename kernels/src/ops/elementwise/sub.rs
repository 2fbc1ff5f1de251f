//! Element-wise difference of two tensors with different scales.

use crate::{
    Memory, Multiplier, Operand, OutputStage, Rounding,
    base::{
        isa::Vectorize,
        memory::{OfTwo, Pairs},
    },
    ops::elementwise::add::LEFT_SHIFT,
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
    pub stage: OutputStage,
}

/// A difference takes about as long as so many multiply-accumulates of a convolution.
const DIFFERENCE: usize = 32;

impl Sub {
    fn pairs<'m>(&self, mem: &Memory<'m>) -> Option<Pairs<'m>> {
        Pairs::new(mem.write(&self.output)?, mem.read(&self.a)?, mem.read(&self.b)?)
    }
}

crate::schedule::same_rows!(
    Sub, a, b, in place: true, one pixel: true, work: DIFFERENCE,
    pairs, |sub, mem, isa| {
        let Some(pairs) = sub.pairs(mem) else {
            debug_assert!(false, "operands outside memory, or shapes that do not meet");
            return;
        };
        isa.vectorize(Walk { sub, pairs });
    }
);

struct Walk<'k, 'm> {
    sub: &'k Sub,
    pairs: Pairs<'m>,
}

impl Vectorize for Walk<'_, '_> {
    #[inline(always)]
    fn run(self) {
        // One loop for each rounding, without a choice inside.
        match self.sub.stage.rounding {
            Rounding::TfliteDouble => self.pairs.each(&Difference::new(self.sub, Rounding::TfliteDouble)),
            Rounding::Single => self.pairs.each(&Difference::new(self.sub, Rounding::Single)),
        }
    }
}

/// One difference.
struct Difference {
    sub: Sub,
}

impl Difference {
    /// `rounding` is that of the stage, as a constant.
    #[inline(always)]
    fn new(sub: &Sub, rounding: Rounding) -> Self {
        Self { sub: Sub { stage: OutputStage { rounding, ..sub.stage }, ..*sub } }
    }
}

impl OfTwo for Difference {
    #[inline(always)]
    fn of(&self, a: i8, b: i8) -> i8 {
        let Sub { a_zero_point, b_zero_point, a_multiplier, b_multiplier, multiplier, stage, .. } = self.sub;
        let common = |x: i8, zero_point: i8, multiplier: Multiplier| {
            multiplier.apply((x as i32 - zero_point as i32) << LEFT_SHIFT, stage.rounding)
        };
        let (a, b) = (common(a, a_zero_point, a_multiplier), common(b, b_zero_point, b_multiplier));
        stage.store(a.wrapping_sub(b), multiplier)
    }
}
