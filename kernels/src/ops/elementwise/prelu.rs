//! Leaky ReLU with a slope for every channel.

use crate::{
    Memory, Multiplier, Operand, OutputStage,
    base::{
        arith::by_rounding,
        isa::Vectorize,
        memory::{In, Out, in_blocks, put},
    },
};

/// Two requantisations and a choice take about as long as so many multiply-accumulates of a convolution.
const CHOICE: usize = 40;

/// `x` where not negative, else `slope * x`, with a slope for every channel: TensorFlow Lite's int8 `PRELU`.
///
/// ```text
/// v = x - input_zero_point
/// q = stage(positive * v) where v >= 0, else stage(negative * (slope * v))
/// ```
///
/// `output` may be the same view as `input`.
#[derive(Clone, Copy, Debug)]
pub struct PRelu<'a> {
    /// Input.
    pub input: Operand,
    /// Result, of the same shape.
    pub output: Operand,
    /// One per channel, in steps of their scale `s_slope`; the zero point is 0.
    pub slopes: &'a [i8],
    /// Zero point of `input`.
    pub input_zero_point: i8,
    /// `s_in / s_out`.
    pub positive: Multiplier,
    /// `s_in * s_slope / s_out`.
    pub negative: Multiplier,
    /// Zero point, clamp and rounding of the output.
    pub stage: OutputStage,
}

impl PRelu<'_> {
    fn views<'m>(&self, mem: &Memory<'m>) -> Option<(In<'m>, Out<'m>)> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        (input.shape() == out.shape() && self.slopes.len() >= out.shape()[2]).then_some((input, out))
    }
}

crate::schedule::kernel!(PRelu<'a>, |prelu| {
    check: |mem| prelu.views(mem),
    run: |(input, out), isa| isa.vectorize(Slopes { prelu, input, out }),
    reads: [input],
    in place: true,
    cost: CHOICE,
});

struct Slopes<'k, 'm> {
    prelu: &'k PRelu<'k>,
    input: In<'m>,
    out: Out<'m>,
}

impl Vectorize for Slopes<'_, '_> {
    #[inline(always)]
    fn run(self) {
        let stage = self.prelu.stage;
        by_rounding!(stage => self.each(stage));
    }
}

impl Slopes<'_, '_> {
    #[inline(always)]
    fn each(&self, stage: OutputStage) {
        let PRelu { slopes, input_zero_point, positive, negative, .. } = *self.prelu;
        let [h, w, channels] = self.out.shape();
        for y in 0..h {
            for x in 0..w {
                let (cells, values) = (self.out.pixel(y, x), self.input.pixel(y, x));
                in_blocks!(first in channels, N => {
                    let slopes = slopes.get(first..).and_then(|rest| rest.first_chunk::<N>()).unwrap_or(&[0; N]);
                    let mut block = values.block::<N>(first);
                    for (v, slope) in block.iter_mut().zip(slopes) {
                        let x = *v as i32 - input_zero_point as i32;
                        let above = stage.store(x, positive);
                        let below = stage.store(x * *slope as i32, negative);
                        *v = if x >= 0 { above } else { below };
                    }
                    put(cells, first, block);
                });
            }
        }
    }
}
