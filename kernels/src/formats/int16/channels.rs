//! Operators that treat channels differently: a shuffle, a slope for each.

use super::{Bounds, Width, constants, elementwise::ELEMENT};
use crate::{
    Multiplier, Operand, Rounding,
    formats::elements::{Map, Mapping},
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
    /// Input.
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

impl Mapping<i32, i32> for PReluInt16<'_> {
    const BY_CHANNEL: bool = true;

    #[inline(always)]
    fn of<const N: usize>(&self, first: usize, mut codes: [i32; N]) -> [i32; N] {
        for (code, slope) in codes.iter_mut().zip(constants::<i16, N>(self.slopes, first)) {
            let x = code.wrapping_sub(self.input_zero_point);
            let (value, factor) =
                if x >= 0 { (x, self.positive) } else { (x.wrapping_mul(slope.into()), self.negative) };
            *code = self.bounds.clamp(factor.apply(value, self.rounding));
        }
        codes
    }
}

crate::schedule::kernel!(PReluInt16<'a>, |prelu| {
    check: |mem| Map::new(mem, [&prelu.input, &prelu.output], prelu.widths, *prelu)
        .filter(|map| prelu.slopes.len() >= map.channels() && prelu.bounds.fits(prelu.widths[1])),
    run: |map, isa| isa.vectorize(map),
    reads: [input],
    in place: true,
    cost: ELEMENT,
});
