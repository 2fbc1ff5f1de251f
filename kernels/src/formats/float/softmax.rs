//! Softmax over channels.

use super::{Float, exp::exp, number};
use crate::{
    Memory, Operand,
    base::{
        isa::Vectorize,
        memory::{Encoding as _, In, Out, in_lanes},
    },
    formats::elements::same_pixels,
};

/// `out = softmax over c of in`. `output` may be the same view as `input` if both have one type.
///
/// ```text
/// m = the largest of x, from minus infinity on: m = x if x > m else m
/// s = +0; for c: s = s + exp(x - m)         in this order
/// out = exp(x - m) / s                      NaN becomes `number`'s
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxFloat {
    /// Scores, `[h, w, classes]`.
    pub input: Operand,
    /// Probabilities, of the same height, width and channels.
    pub output: Operand,
    /// Types of `input`, `output`.
    pub types: [Float; 2],
}

struct Probabilities<'m> {
    input: In<'m>,
    out: Out<'m>,
    types: [Float; 2],
    channels: usize,
}

crate::schedule::kernel!(SoftmaxFloat, |softmax| {
    check: |mem| softmax.probabilities(mem),
    run: |probabilities, isa| isa.vectorize(probabilities),
});

impl SoftmaxFloat {
    fn probabilities<'m>(&self, mem: &Memory<'m>) -> Option<Probabilities<'m>> {
        let types = self.types;
        let (input, out, channels) = same_pixels(mem, [&self.input, &self.output], types[0], types[1])?;
        Some(Probabilities { input, out, types, channels })
    }
}

impl Vectorize for Probabilities<'_> {
    const WIDE: bool = false;

    #[inline(always)]
    fn run(self) {
        let Self { input, out, types: [from, to], channels } = self;
        let [h, w, _] = out.shape();
        for i in 0..h * w {
            let (cells, scores) = (out.nth(i), input.nth(i));
            let mut largest = f32::NEG_INFINITY;
            in_lanes!(first in channels, N => {
                for x in from.block::<N>(scores, first) {
                    largest = if x > largest { x } else { largest };
                }
            });
            let mut sum = 0.0;
            in_lanes!(first in channels, N => {
                let powers = powers(from.block::<N>(scores, first), largest);
                for power in powers {
                    sum += power;
                }
            });
            in_lanes!(first in channels, N => {
                let mut block = powers(from.block::<N>(scores, first), largest);
                for power in &mut block {
                    *power = number(*power / sum);
                }
                to.put(cells, first, block);
            });
        }
    }
}

#[inline(always)]
fn powers<const N: usize>(mut scores: [f32; N], largest: f32) -> [f32; N] {
    for x in &mut scores {
        *x = exp(*x - largest);
    }
    scores
}
