//! Moving a tensor: as it is, or to another scale.

use crate::{
    Memory, Multiplier, Operand, OutputStage, Rounding,
    base::{
        isa::Vectorize,
        memory::{Runs, in_blocks, put},
    },
};

/// To move an element takes about as long as so many multiply-accumulates of a convolution.
const MOVE: usize = 8;
/// To bring one to another scale.
const RESCALING: usize = 16;

/// Both operands in runs of elements; `None` if they lie outside memory or have different shapes.
fn runs<'m>(mem: &Memory<'m>, input: &Operand, output: &Operand) -> Option<Runs<'m, 1>> {
    Runs::new(mem.write(output)?, [mem.read(input)?])
}

/// `out = in`, byte by byte: into a slice of a concatenation, or from a strided view to a dense one.
#[derive(Clone, Copy, Debug)]
pub struct Copy {
    /// What to copy.
    pub input: Operand,
    /// Where to, of the same shape.
    pub output: Operand,
}

impl Copy {
    #[inline]
    fn runs<'m>(&self, mem: &Memory<'m>) -> Option<Runs<'m, 1>> {
        runs(mem, &self.input, &self.output)
    }
}

crate::schedule::same_rows!(
    Copy, input, input, in place: true, one pixel: false, work: MOVE,
    runs, |copy, mem, isa| {
        let Some(runs) = copy.runs(mem) else {
            debug_assert!(false, "operands outside memory, or shapes differ");
            return;
        };
        isa.vectorize(Move(runs));
    }
);

struct Move<'m>(Runs<'m, 1>);

impl Vectorize for Move<'_> {
    #[inline(always)]
    fn run(self) {
        for run in 0..self.0.len() {
            let (cells, [values]) = self.0.get(run);
            in_blocks!(first in cells.len(), N => {
                put(cells, first, values.block::<N>(first));
            });
        }
    }
}

/// `out = stage(multiplier(in - input_zero_point))`: TensorFlow Lite's int8 `QUANTIZE` from int8, and int8 `RELU`.
///
/// `output` may be the same view as `input`.
#[derive(Clone, Copy, Debug)]
pub struct Requantize {
    /// What to convert.
    pub input: Operand,
    /// Result, of the same shape.
    pub output: Operand,
    /// Zero point of `input`.
    pub input_zero_point: i8,
    /// `s_in / s_out`.
    pub multiplier: Multiplier,
    /// Zero point, clamp and rounding of the output.
    pub stage: OutputStage,
}

impl Requantize {
    #[inline]
    fn runs<'m>(&self, mem: &Memory<'m>) -> Option<Runs<'m, 1>> {
        runs(mem, &self.input, &self.output)
    }
}

crate::schedule::same_rows!(
    Requantize, input, input, in place: true, one pixel: false, work: RESCALING,
    runs, |requantize, mem, isa| {
        let Some(runs) = requantize.runs(mem) else {
            debug_assert!(false, "operands outside memory, or shapes differ");
            return;
        };
        isa.vectorize(Rescale { requantize, runs });
    }
);

struct Rescale<'k, 'm> {
    requantize: &'k Requantize,
    runs: Runs<'m, 1>,
}

impl Vectorize for Rescale<'_, '_> {
    #[inline(always)]
    fn run(self) {
        // One loop for each rounding, without a choice inside.
        match self.requantize.stage.rounding {
            Rounding::TfliteDouble => self.round(Rounding::TfliteDouble),
            Rounding::Single => self.round(Rounding::Single),
        }
    }
}

impl Rescale<'_, '_> {
    #[inline(always)]
    fn round(&self, rounding: Rounding) {
        let Requantize { input_zero_point, multiplier, .. } = *self.requantize;
        let stage = OutputStage { rounding, ..self.requantize.stage };
        for run in 0..self.runs.len() {
            let (cells, [values]) = self.runs.get(run);
            in_blocks!(first in cells.len(), N => {
                let mut block = values.block::<N>(first);
                for v in &mut block {
                    *v = stage.store(*v as i32 - input_zero_point as i32, multiplier);
                }
                put(cells, first, block);
            });
        }
    }
}
