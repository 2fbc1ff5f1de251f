//! Element-wise difference of two tensors with different scales.

use crate::{
    Isa, Memory, Multiplier, Operand, OutputStage, Region, Rounding,
    base::{
        isa::Vectorize,
        memory::{OfTwo, Pairs},
    },
    ops::elementwise::add::LEFT_SHIFT,
    schedule::by_rows::{self, ByRows, Reach, Windowed, elements},
};
use core::ops::Range;

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

crate::schedule::kernel!(Sub);

// SAFETY: a part writes its rows, and reads the same rows of its operands, each element before it is overwritten. An operand of one
// pixel is read as a whole; it has another shape than the output, so that it is not the view that is written.
unsafe impl ByRows for Sub {
    const IN_PLACE: bool = true;

    fn output(&self) -> Operand {
        self.output
    }

    fn reads(&self) -> [Operand; 2] {
        [self.a, self.b]
    }

    fn work(&self) -> usize {
        elements(self.output.shape).saturating_mul(DIFFERENCE)
    }

    fn fits(&self, mem: &Memory<'_>) -> bool {
        self.pairs(mem).is_some()
    }

    fn part(&self, rows: Range<usize>, index: usize) -> Self {
        let part = by_rows::part(self, rows, index);
        if self.is_by_rows() { part } else { Self { b: self.b, ..part } }
    }

    #[cfg_attr(target_pointer_width = "32", inline(always))]
    fn alone(&self, mem: &Memory<'_>, isa: Isa) {
        let Some(pairs) = self.pairs(mem) else {
            debug_assert!(false, "operands outside memory, or shapes that do not meet");
            return;
        };
        isa.vectorize(Walk { sub: self, pairs });
    }
}

impl Windowed for Sub {
    fn is_by_rows(&self) -> bool {
        self.b.shape[0] == self.output.shape[0]
    }

    fn reach(&self) -> Reach {
        Reach::SAME
    }

    fn over(&self, _: usize, reads: [Operand; 2], output: Operand, _: Region) -> Self {
        Self { a: reads[0], b: reads[1], output, ..*self }
    }
}

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
