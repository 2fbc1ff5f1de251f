//! Moving a tensor: as it is, or to another scale.

#[cfg(niello_mve)]
use super::mve::Mve;
use crate::{
    Isa, Multiplier, Operand, OutputParams,
    base::{
        arith::by_rounding,
        isa::Vectorize,
        memory::{ContiguousSpans, map1},
    },
};

/// To move an element takes about as long as so many multiply-accumulates of a convolution.
pub(crate) const MOVE: usize = 8;
/// To bring one to another scale.
const RESCALING: usize = 16;

/// `out = in`, byte by byte: into a slice of a concatenation, or from a strided view to a dense one.
#[derive(Clone, Copy, Debug)]
pub struct CopyElements {
    /// The input.
    pub input: Operand,
    /// Where to, of the same shape.
    pub output: Operand,
}

crate::schedule::kernel!(CopyElements, |copy| {
    check: |mem| ContiguousSpans::unary(mem, &copy.input, &copy.output),
    run: |runs, isa| isa.vectorize(Move(runs)),
    reads: [input],
    in place: true,
    cost: MOVE,
});

struct Move<'m>(ContiguousSpans<'m, 1>);

impl Vectorize for Move<'_> {
    #[inline(always)]
    fn run(self) {
        for run in 0..self.0.len() {
            let (cells, [values]) = self.0.get(run);
            map1(cells, values, |v| v);
        }
    }
}

/// `out = stage(multiplier(in - input_zero_point))`: TensorFlow Lite's int8 `QUANTIZE` from int8, and int8 `RELU`.
///
/// `output` may be the same view as `input`.
#[derive(Clone, Copy, Debug)]
pub struct Requantize {
    /// The input.
    pub input: Operand,
    /// Result, of the same shape.
    pub output: Operand,
    /// Zero point of `input`.
    pub input_zero_point: i8,
    /// `s_in / s_out`.
    pub multiplier: Multiplier,
    /// Zero point, clamp and rounding of the output.
    pub stage: OutputParams,
}

crate::schedule::kernel!(Requantize, |requantize| {
    check: |mem| ContiguousSpans::unary(mem, &requantize.input, &requantize.output),
    run: |runs, isa| requantize.compute(runs, isa),
    reads: [input],
    in place: true,
    cost: RESCALING,
});

impl Requantize {
    #[inline(always)]
    fn compute(&self, runs: ContiguousSpans<'_, 1>, isa: Isa) {
        #[cfg(niello_mve)]
        if let Some(tile) = Mve::new(isa, self.multiplier, 8, &self.stage) {
            for run in 0..runs.len() {
                let (cells, [values]) = runs.get(run);
                // SAFETY: as many values as cells.
                unsafe { tile.rescale(values.as_ptr(), self.input_zero_point, cells) };
            }
            return;
        }
        isa.vectorize(Rescale { requantize: self, runs });
    }
}

struct Rescale<'k, 'm> {
    requantize: &'k Requantize,
    runs: ContiguousSpans<'m, 1>,
}

impl Vectorize for Rescale<'_, '_> {
    #[inline(always)]
    fn run(self) {
        let stage = self.requantize.stage;
        by_rounding!(stage => self.each(stage));
    }
}

impl Rescale<'_, '_> {
    #[inline(always)]
    fn each(&self, stage: OutputParams) {
        let Requantize { input_zero_point, multiplier, .. } = *self.requantize;
        for run in 0..self.runs.len() {
            let (cells, [values]) = self.runs.get(run);
            map1(cells, values, |v| stage.store(v as i32 - input_zero_point as i32, multiplier));
        }
    }
}
