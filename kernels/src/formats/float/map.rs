//! One operand, element by element: clamp, another type, factor and offset or slope of each channel.

use super::{Float, Range, fused, number};
use crate::{
    Memory, Operand,
    base::memory::constants,
    formats::elements::{Map, Mapping},
};

/// An element takes about as long as so many multiply-accumulates of a convolution.
const ELEMENT: usize = 8;

/// `out = range.clamp(in)`. `output` may be the same view as `input` if both have one type.
#[derive(Clone, Copy, Debug)]
pub struct ClampFloat {
    /// Input.
    pub input: Operand,
    /// Result, of the same height, width and channels.
    pub output: Operand,
    /// Types of `input`, `output`.
    pub types: [Float; 2],
    /// The bounds.
    pub range: Range,
}

struct Clamp(Range);

impl Mapping<f32, f32> for Clamp {
    const BY_CHANNEL: bool = false;

    #[inline(always)]
    fn of<const N: usize>(&self, _: usize, mut numbers: [f32; N]) -> [f32; N] {
        for x in &mut numbers {
            *x = self.0.clamp(*x);
        }
        numbers
    }
}

crate::schedule::kernel!(ClampFloat, |clamp| {
    check: |mem| Map::new(mem, [&clamp.input, &clamp.output], clamp.types, Clamp(clamp.range)),
    run: |map, isa| isa.vectorize(map),
    reads: [input],
    in place: true,
    cost: ELEMENT,
});

/// Casts `in` to another type, round to nearest, ties to even. A NaN becomes [`number`]'s.
#[derive(Clone, Copy, Debug)]
pub struct CastFloat {
    /// Input.
    pub input: Operand,
    /// Result, of the same height, width and channels.
    pub output: Operand,
    /// Types of `input`, `output`.
    pub types: [Float; 2],
}

struct Cast;

impl Mapping<f32, f32> for Cast {
    const BY_CHANNEL: bool = false;

    #[inline(always)]
    fn of<const N: usize>(&self, _: usize, mut numbers: [f32; N]) -> [f32; N] {
        for x in &mut numbers {
            *x = number(*x);
        }
        numbers
    }
}

crate::schedule::kernel!(CastFloat, |cast| {
    check: |mem| Map::new(mem, [&cast.input, &cast.output], cast.types, Cast),
    run: |map, isa| isa.vectorize(map),
    reads: [input],
    in place: true,
    cost: ELEMENT,
});

/// `out = range.clamp(fused(in, scale, offset))`, with a factor and an offset for every channel: a batch normalisation that follows no
/// convolution. `output` may be the same view as `input` if both have one type.
#[derive(Clone, Copy, Debug)]
pub struct ScaleFloat<'a> {
    /// Input.
    pub input: Operand,
    /// Result, of the same height, width and channels.
    pub output: Operand,
    /// Types of `input`, `output`.
    pub types: [Float; 2],
    /// A factor per channel.
    pub scale: &'a [f32],
    /// An offset per channel.
    pub offset: &'a [f32],
    /// Fused activation.
    pub range: Range,
}

struct Scale<'a> {
    scale: &'a [f32],
    offset: &'a [f32],
    range: Range,
}

impl Mapping<f32, f32> for Scale<'_> {
    const BY_CHANNEL: bool = true;

    #[inline(always)]
    fn of<const N: usize>(&self, first: usize, mut numbers: [f32; N]) -> [f32; N] {
        let (scale, offset) =
            (constants::<f32, N>(self.scale, first), constants::<f32, N>(self.offset, first));
        for i in 0..N {
            numbers[i] = self.range.clamp(fused(numbers[i], scale[i], offset[i]));
        }
        numbers
    }
}

impl<'a> ScaleFloat<'a> {
    fn map<'m>(&self, mem: &Memory<'m>) -> Option<Map<'m, Float, Float, Scale<'a>>> {
        let Self { scale, offset, range, .. } = *self;
        Map::new(mem, [&self.input, &self.output], self.types, Scale { scale, offset, range })
            .filter(|map| scale.len() >= map.channels() && offset.len() >= map.channels())
    }
}

crate::schedule::kernel!(ScaleFloat<'a>, |scale| {
    check: |mem| scale.map(mem),
    run: |map, isa| isa.vectorize(map),
    reads: [input],
    in place: true,
    cost: ELEMENT,
});

/// `x` where not negative, else `slope * x`, with a slope for every channel. A NaN becomes [`number`]'s.
///
/// `output` may be the same view as `input` if both have one type.
#[derive(Clone, Copy, Debug)]
pub struct PReluFloat<'a> {
    /// Input.
    pub input: Operand,
    /// Result, of the same height, width and channels.
    pub output: Operand,
    /// Types of `input`, `output`.
    pub types: [Float; 2],
    /// One per channel.
    pub slopes: &'a [f32],
}

struct Slopes<'a>(&'a [f32]);

impl Mapping<f32, f32> for Slopes<'_> {
    const BY_CHANNEL: bool = true;

    #[inline(always)]
    fn of<const N: usize>(&self, first: usize, mut numbers: [f32; N]) -> [f32; N] {
        let slopes = constants::<f32, N>(self.0, first);
        for (x, slope) in numbers.iter_mut().zip(slopes) {
            *x = number(if *x >= 0.0 { *x } else { slope * *x });
        }
        numbers
    }
}

crate::schedule::kernel!(PReluFloat<'a>, |prelu| {
    check: |mem| Map::new(mem, [&prelu.input, &prelu.output], prelu.types, Slopes(prelu.slopes))
        .filter(|map| prelu.slopes.len() >= map.channels()),
    run: |map, isa| isa.vectorize(map),
    reads: [input],
    in place: true,
    cost: ELEMENT,
});
