//! Kernels of our own: what the device executes.
#![no_std]
#![forbid(unsafe_code)]

use niello_kernels::{
    Isa, Kernel, Memory, Operand,
    memory::{In, Out},
};

/// `out = in` where a code lies outside `[low, high]`, else `zero_point`. Operands have one scale and one zero point.
#[derive(Clone, Copy, Debug)]
pub struct HardShrink {
    /// `h x w x c`.
    pub input: Operand,
    /// Of the same shape; may be the same view as `input`.
    pub output: Operand,
    /// The code of the smallest value that becomes 0.
    pub low: i8,
    /// The code of the largest value that becomes 0.
    pub high: i8,
    /// The code of 0.
    pub zero_point: i8,
}

impl HardShrink {
    /// Both operands, if they lie in memory and have one shape.
    fn views<'m>(&self, mem: &Memory<'m>) -> Option<(In<'m>, Out<'m>)> {
        let (input, output) = (mem.read(&self.input)?, mem.write(&self.output)?);
        (input.shape() == output.shape()).then_some((input, output))
    }
}

impl Kernel for HardShrink {
    fn run(&self, mem: &Memory<'_>, _: Isa) {
        let Some((input, output)) = self.views(mem) else { return };
        let [h, w, _] = output.shape();
        for y in 0..h {
            for x in 0..w {
                for (to, code) in output.pixel(y, x).iter().zip(input.pixel(y, x).iter()) {
                    to.set(if (self.low..=self.high).contains(&code) { self.zero_point } else { code });
                }
            }
        }
    }

    fn fits(&self, mem: &Memory<'_>) -> bool {
        self.views(mem).is_some()
    }
}
