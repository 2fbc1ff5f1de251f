//! What treats channels differently: shuffling them, a slope for each.

use super::{Bounds, Width, constants, elementwise::ELEMENT};
use crate::{
    Memory, Multiplier, Operand, Rounding,
    base::{
        isa::Vectorize,
        memory::{In, Out, in_blocks},
    },
    ops::shape::channels::Shuffle,
};

/// The channels of `groups` groups in turn, as [`ChannelShuffle`](crate::ChannelShuffle) has it, each of two bytes.
#[derive(Clone, Copy, Debug)]
pub struct ChannelShuffleInt16 {
    /// `[h, w, c]`.
    pub input: Operand,
    /// Result, of the same shape, elsewhere.
    pub output: Operand,
    /// A divisor of the number of channels.
    pub groups: u32,
}

crate::schedule::kernel!(ChannelShuffleInt16, |shuffle| {
    check: |mem| Shuffle::<i16>::new(mem, [&shuffle.input, &shuffle.output], shuffle.groups),
    run: |shuffle, isa| isa.vectorize(shuffle),
    reads: [input],
    cost: ELEMENT,
});

/// `x` where not negative, else `slope * x`, with a slope for every channel, from or to 16 bits.
///
/// ```text
/// v = x - z_in
/// out = bounds(positive(v)) where v >= 0, else bounds(negative(slope * v))
/// ```
///
/// `output` may be the same view as `input` if both have one width.
#[derive(Clone, Copy, Debug)]
pub struct PReluInt16<'a> {
    /// What to map.
    pub input: Operand,
    /// Result, of the same height, width and channels.
    pub output: Operand,
    /// Widths of `input`, `output`.
    pub widths: [Width; 2],
    /// One per channel, in steps of their scale `s_slope`.
    pub slopes: &'a [i16],
    /// Zero point of `input`; 0 at 16 bits.
    pub input_zero_point: i32,
    /// `s_in / s_out`.
    pub positive: Multiplier,
    /// `s_in s_slope / s_out`.
    pub negative: Multiplier,
    /// Zero point and clamp of the output.
    pub bounds: Bounds,
    /// The rounding.
    pub rounding: Rounding,
}

struct Slopes<'k, 'm> {
    prelu: &'k PReluInt16<'k>,
    input: In<'m>,
    out: Out<'m>,
    channels: usize,
}

impl PReluInt16<'_> {
    fn walk<'m>(&self, mem: &Memory<'m>) -> Option<Slopes<'_, 'm>> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let ([h, w, bytes], [oh, ow, out_bytes]) = (input.shape(), out.shape());
        let channels = self.widths[0].codes(bytes)?;
        let fits = [h, w, channels] == [oh, ow, self.widths[1].codes(out_bytes)?]
            && self.slopes.len() >= channels
            && self.bounds.fits(self.widths[1]);
        fits.then_some(Slopes { prelu: self, input, out, channels })
    }

    #[inline(always)]
    fn one(&self, code: i32, slope: i16) -> i32 {
        let x = code.wrapping_sub(self.input_zero_point);
        let (value, factor) =
            if x >= 0 { (x, self.positive) } else { (x.wrapping_mul(slope.into()), self.negative) };
        self.bounds.clamp(factor.apply(value, self.rounding))
    }
}

impl Vectorize for Slopes<'_, '_> {
    #[inline(always)]
    fn run(self) {
        let Self { prelu, input, out, channels } = self;
        let ([h, w, _], [from, to]) = (out.shape(), prelu.widths);
        for y in 0..h {
            for x in 0..w {
                let (cells, values) = (out.pixel(y, x), input.pixel(y, x));
                in_blocks!(first in channels, N => {
                    let slopes = constants::<i16, N>(prelu.slopes, first);
                    let mut block = from.block::<N>(values, first);
                    for (v, slope) in block.iter_mut().zip(slopes) {
                        *v = prelu.one(*v, slope);
                    }
                    to.put(cells, first, block);
                });
            }
        }
    }
}

crate::schedule::kernel!(PReluInt16<'a>, |prelu| {
    check: |mem| prelu.walk(mem),
    run: |walk, isa| isa.vectorize(walk),
    reads: [input],
    in place: true,
    cost: ELEMENT,
});
