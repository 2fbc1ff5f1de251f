//! Moving a tensor: as it is, or to another scale.

use crate::{Isa, Kernel, Memory, Multiplier, Operand, OutputStage, memory::map1};

/// `out = in`, byte by byte: into a slice of a concatenation, or from a strided view to a dense one.
#[derive(Clone, Copy, Debug)]
pub struct Copy {
    /// What to copy.
    pub input: Operand,
    /// Where to, of the same shape.
    pub output: Operand,
}

impl Kernel for Copy {
    fn run(&self, mem: &Memory<'_>, _: Isa) {
        let (Some(input), Some(out)) = (mem.read(&self.input), mem.write(&self.output)) else {
            debug_assert!(false, "operands outside memory");
            return;
        };
        let [h, w, _] = out.shape();
        for y in 0..h {
            for x in 0..w {
                map1(out.pixel(y, x), input.pixel(y, x), |v| v);
            }
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

impl Kernel for Requantize {
    fn run(&self, mem: &Memory<'_>, _: Isa) {
        let (Some(input), Some(out)) = (mem.read(&self.input), mem.write(&self.output)) else {
            debug_assert!(false, "operands outside memory");
            return;
        };
        let [h, w, _] = out.shape();
        for y in 0..h {
            for x in 0..w {
                map1(out.pixel(y, x), input.pixel(y, x), |v| {
                    self.stage.store(v as i32 - self.input_zero_point as i32, self.multiplier)
                });
            }
        }
    }
}
