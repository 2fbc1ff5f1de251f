//! Element-wise product of two tensors with different scales.

use crate::{
    Memory, Multiplier, Operand, OutputStage, Rounding,
    base::{
        isa::Vectorize,
        memory::{OfTwo, Pairs},
    },
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
    pub stage: OutputStage,
}

/// A product takes about as long as so many multiply-accumulates of a convolution.
const PRODUCT: usize = 24;

impl Mul {
    fn pairs<'m>(&self, mem: &Memory<'m>) -> Option<Pairs<'m>> {
        Pairs::new(mem.write(&self.output)?, mem.read(&self.a)?, mem.read(&self.b)?)
    }
}

crate::schedule::same_rows!(
    Mul, a, b, in place: true, one pixel: true, work: PRODUCT,
    pairs, |mul, mem, isa| {
        let Some(pairs) = mul.pairs(mem) else {
            debug_assert!(false, "operands outside memory, or shapes that do not meet");
            return;
        };
        isa.vectorize(Walk { mul, pairs });
    }
);

struct Walk<'k, 'm> {
    mul: &'k Mul,
    pairs: Pairs<'m>,
}

impl Vectorize for Walk<'_, '_> {
    #[inline(always)]
    fn run(self) {
        // One loop for each rounding, without a choice inside.
        match self.mul.stage.rounding {
            Rounding::TfliteDouble => self.pairs.each(&Product::new(self.mul, Rounding::TfliteDouble)),
            Rounding::Single => self.pairs.each(&Product::new(self.mul, Rounding::Single)),
        }
    }
}

/// One product.
struct Product {
    a_zero_point: i32,
    b_zero_point: i32,
    multiplier: Multiplier,
    stage: OutputStage,
}

impl Product {
    /// `rounding` is that of the stage, as a constant.
    #[inline(always)]
    fn new(mul: &Mul, rounding: Rounding) -> Self {
        Self {
            a_zero_point: mul.a_zero_point.into(),
            b_zero_point: mul.b_zero_point.into(),
            multiplier: mul.multiplier,
            stage: OutputStage { rounding, ..mul.stage },
        }
    }
}

impl OfTwo for Product {
    #[inline(always)]
    fn of(&self, a: i8, b: i8) -> i8 {
        let product = (a as i32 - self.a_zero_point) * (b as i32 - self.b_zero_point);
        self.stage.store(product, self.multiplier)
    }
}
