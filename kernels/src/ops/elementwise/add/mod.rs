//! Element-wise sum of two tensors with different scales.

#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod repeated;
mod scalar_fast;

pub use repeated::AddRepeated;

#[cfg(niello_mve)]
use super::mve::Mve;
use crate::{
    Isa, Memory, Multiplier, Operand, OutputParams, Rounding,
    base::memory::{BinaryOp, Broadcast, ContiguousSpans},
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
    pub stage: OutputParams,
}

/// Bits that both operands are shifted up by before they are brought to a common scale.
pub const LEFT_SHIFT: u32 = 20;

/// An addition takes about as long as so many multiply-accumulates of a convolution.
const ADDITION: usize = 32;

crate::schedule::kernel!(Add, |add| {
    check: |mem| add.runs(mem),
    run: |runs, isa| add.compute(runs, isa),
    reads: [a, b],
    in place: true,
    cost: ADDITION,
});

/// A code at the scale that both operands are brought to, shifted up.
#[inline(always)]
pub(crate) const fn common(x: i8, zero_point: i8, multiplier: Multiplier, rounding: Rounding) -> i32 {
    multiplier.apply((x as i32 - zero_point as i32) << LEFT_SHIFT, rounding)
}

impl Add {
    fn runs<'m>(&self, mem: &Memory<'m>) -> Option<ContiguousSpans<'m, 2>> {
        ContiguousSpans::new(mem.write(&self.output)?, [mem.read(&self.a)?, mem.read(&self.b)?])
    }

    /// As [`BinaryOp::of`], for what does not fill a vector.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    #[inline(always)]
    fn sum(&self, a: i8, b: i8, rounding: Rounding) -> i8 {
        let a = common(a, self.a_zero_point, self.a_multiplier, rounding);
        let b = common(b, self.b_zero_point, self.b_multiplier, rounding);
        OutputParams { rounding, ..self.stage }.store(a.wrapping_add(b), self.multiplier)
    }

    /// On Helium, where a factor of an operand is 1/2 and that of the other has a short way.
    #[cfg(niello_mve)]
    fn by_vectors(&self, runs: &ContiguousSpans<'_, 2>, isa: Isa) -> bool {
        let half = Multiplier { mantissa: 1 << 30, shift: 0 };
        let swap = self.a_multiplier != half;
        let ([larger, smaller], zeros) = if swap {
            ([self.b_multiplier, self.a_multiplier], [self.b_zero_point, self.a_zero_point])
        } else {
            ([self.a_multiplier, self.b_multiplier], [self.a_zero_point, self.b_zero_point])
        };
        let single = self.stage.rounding == Rounding::Single;
        // What is only halved is not rounded.
        let most = if single && smaller != half { -1 } else { 0 };
        let fits = larger == half
            && smaller.mantissa >= 0
            && (-31..=most).contains(&smaller.shift)
            && self.multiplier.shift < 0;
        let Some(tile) = Mve::new(isa, self.multiplier, 30, &self.stage).filter(|_| fits) else {
            return false;
        };
        for run in 0..runs.len() {
            let (cells, [a, b]) = runs.get(run);
            let both = if swap { [b, a] } else { [a, b] };
            // SAFETY: runs of one length.
            unsafe { tile.add(both.map(|run| run.as_ptr()), zeros, smaller, cells) };
        }
        true
    }

    /// All sums. Where vectors are, a function of its own: beside it, their loops get longer.
    #[cfg_attr(target_pointer_width = "32", inline(always))]
    #[cfg_attr(not(target_pointer_width = "32"), inline(never))]
    fn plain(&self, runs: ContiguousSpans<'_, 2>, isa: Isa) {
        isa.vectorize(Broadcast::same(runs, self));
    }

    #[inline(always)]
    fn compute(&self, runs: ContiguousSpans<'_, 2>, isa: Isa) {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx512) = avx512::Avx512::new(isa, self) {
            return avx512.run(&runs, |a, b| self.sum(a, b, self.stage.rounding));
        }
        #[cfg(target_arch = "aarch64")]
        if let Some(neon) = neon::Neon::new(isa, self) {
            return neon.run(&runs, |a, b| self.sum(a, b, Rounding::TfliteDouble));
        }
        #[cfg(niello_mve)]
        if self.by_vectors(&runs, isa) {
            return;
        }
        if isa.has_no_vectors() && scalar_fast::run(self, &runs) {
            return;
        }
        self.plain(runs, isa);
    }
}

impl BinaryOp for Add {
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
