//! Moving a tensor: as it is, or to another scale.

use crate::{
    Isa, Kernel, Memory, Multiplier, Operand, OutputStage, Rounding,
    isa::Vectorize,
    memory::{In, Out, for_each_run, map1},
};

/// `out = in`, byte by byte: into a slice of a concatenation, or from a strided view to a dense one.
#[derive(Clone, Copy, Debug)]
pub struct Copy {
    /// What to copy.
    pub input: Operand,
    /// Where to, of the same shape.
    pub output: Operand,
}

impl Kernel for Copy {
    fn run(&self, mem: &Memory<'_>, isa: Isa) {
        let (Some(input), Some(out)) = (mem.read(&self.input), mem.write(&self.output)) else {
            debug_assert!(false, "operands outside memory");
            return;
        };
        if input.shape() != out.shape() {
            debug_assert!(false, "shapes differ");
            return;
        }
        isa.vectorize(Move { input, out });
    }
}

struct Move<'m> {
    input: In<'m>,
    out: Out<'m>,
}

impl Vectorize for Move<'_> {
    #[inline(always)]
    fn run(self) {
        for_each_run(self.out, [self.input], |cells, [values]| map1(cells, values, |v| v));
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

impl Kernel for Requantize {
    fn run(&self, mem: &Memory<'_>, isa: Isa) {
        let (Some(input), Some(out)) = (mem.read(&self.input), mem.write(&self.output)) else {
            debug_assert!(false, "operands outside memory");
            return;
        };
        if input.shape() != out.shape() {
            debug_assert!(false, "shapes differ");
            return;
        }
        isa.vectorize(Rescale { requantize: self, input, out });
    }
}

struct Rescale<'k, 'm> {
    requantize: &'k Requantize,
    input: In<'m>,
    out: Out<'m>,
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
        for_each_run(self.out, [self.input], |cells, [values]| {
            map1(cells, values, |v| stage.store(v as i32 - input_zero_point as i32, multiplier));
        });
    }
}
