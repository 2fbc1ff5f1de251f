//! Element-wise sum of two tensors with different scales.

#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod short;

use crate::{
    Memory, Multiplier, Operand, OutputStage, Rounding,
    base::{
        isa::Vectorize,
        memory::{Runs, in_blocks, put},
    },
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

/// An addition takes about as long as so many multiply-accumulates of a convolution.
const ADDITION: usize = 32;

crate::schedule::same_rows!(
    Add, a, b, in place: true, one pixel: false, work: ADDITION,
    runs, |add, mem, isa| {
        let Some(runs) = add.runs(mem) else {
            debug_assert!(false, "operands outside memory, or shapes differ");
            return;
        };
        #[cfg(target_arch = "x86_64")]
        if let Some(avx512) = avx512::Avx512::new(isa, add) {
            return avx512.run(&runs, |a, b| add.sum(a, b, add.stage.rounding));
        }
        #[cfg(target_arch = "aarch64")]
        if let Some(neon) = neon::Neon::new(isa, add) {
            return neon.run(&runs, |a, b| add.sum(a, b, Rounding::TfliteDouble));
        }
        if isa.has_no_vectors() && short::run(add, &runs) {
            return;
        }
        isa.vectorize(Walk { add, runs });
    }
);

impl Add {
    fn runs<'m>(&self, mem: &Memory<'m>) -> Option<Runs<'m, 2>> {
        Runs::new(mem.write(&self.output)?, [mem.read(&self.a)?, mem.read(&self.b)?])
    }

    /// One sum; `rounding` is that of the stage, as a constant.
    #[inline(always)]
    fn sum(&self, a: i8, b: i8, rounding: Rounding) -> i8 {
        let common = |x: i8, zero_point: i8, multiplier: Multiplier| {
            multiplier.apply((x as i32 - zero_point as i32) << LEFT_SHIFT, rounding)
        };
        let a = common(a, self.a_zero_point, self.a_multiplier);
        let b = common(b, self.b_zero_point, self.b_multiplier);
        OutputStage { rounding, ..self.stage }.store(a.wrapping_add(b), self.multiplier)
    }
}

struct Walk<'k, 'm> {
    add: &'k Add,
    runs: Runs<'m, 2>,
}

impl Vectorize for Walk<'_, '_> {
    #[inline(always)]
    fn run(self) {
        // One loop for each rounding, without a choice inside.
        match self.add.stage.rounding {
            Rounding::TfliteDouble => self.round(Rounding::TfliteDouble),
            Rounding::Single => self.round(Rounding::Single),
        }
    }
}

impl Walk<'_, '_> {
    #[inline(always)]
    fn round(&self, rounding: Rounding) {
        let add = *self.add;
        for run in 0..self.runs.len() {
            let (cells, [a, b]) = self.runs.get(run);
            in_blocks!(first in cells.len(), N => {
                let (a, b) = (a.block::<N>(first), b.block::<N>(first));
                let mut sums = [0; N];
                for i in 0..N {
                    sums[i] = add.sum(a[i], b[i], rounding);
                }
                put(cells, first, sums);
            });
        }
    }
}
