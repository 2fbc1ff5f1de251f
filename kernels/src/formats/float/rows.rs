//! What the kernels of this module share: loops over types and pixels, and rows that are computed apart.

use super::Float;
use crate::{
    Memory, Operand,
    base::{
        isa::Vectorize,
        memory::{In, Out},
    },
};

/// Runs `$body` with `$types`, as constants where all are the same and there is room for such copies.
macro_rules! by_types {
    ($types:ident => $body:expr) => {{
        use $crate::formats::float::Float;
        let all =
            |float: Float| cfg!(target_pointer_width = "64") && $types.iter().all(|t: &Float| *t == float);
        if all(Float::F32) {
            let $types = $types.map(|_: Float| Float::F32);
            $body
        } else if all(Float::F16) {
            let $types = $types.map(|_: Float| Float::F16);
            $body
        } else {
            $body
        }
    }};
}
pub(super) use by_types;

/// As [`in_blocks`](crate::base::memory::in_blocks), for numbers, of which fewer make a vector: blocks of 16 and single ones; where there are no
/// vectors, single ones.
macro_rules! in_lanes {
    ($first:ident in $len:expr, $N:ident => $body:block) => {{
        let len: usize = $len;
        let mut next = 0usize;
        if cfg!(target_pointer_width = "64") {
            const $N: usize = 16;
            while len - next >= $N {
                let $first = next;
                $body
                next += $N;
            }
        }
        for $first in next..len {
            const $N: usize = 1;
            $body
        }
    }};
}
pub(super) use in_lanes;

/// Input, output, and how many numbers or codes a pixel of both has; `None` if they lie outside memory, or channel counts differ. `count` says how
/// many there are in bytes of each.
#[inline]
pub(super) fn views<'m>(
    mem: &Memory<'m>,
    [input, output]: [&Operand; 2],
    count: impl Fn([usize; 2]) -> [Option<usize>; 2],
) -> Option<(In<'m>, Out<'m>, usize)> {
    let (input, out) = (mem.read(input)?, mem.write(output)?);
    let [from, to] = count([input.shape()[2], out.shape()[2]]);
    (from? == to?).then_some((input, out, from?))
}

/// As [`views`], of the same height and width.
#[inline]
pub(super) fn same_pixels<'m>(
    mem: &Memory<'m>,
    operands: [&Operand; 2],
    count: impl Fn([usize; 2]) -> [Option<usize>; 2],
) -> Option<(In<'m>, Out<'m>, usize)> {
    views(mem, operands, count).filter(|(input, out, _)| input.shape()[..2] == out.shape()[..2])
}

/// Counts numbers of two types.
#[inline]
pub(super) fn numbers([from, to]: [Float; 2]) -> impl Fn([usize; 2]) -> [Option<usize>; 2] {
    move |bytes| [from.count(bytes[0]), to.count(bytes[1])]
}

/// A function of the numbers of one pixel. `of` must be `#[inline(always)]`: it stands in loops that are to vectorise.
pub(super) trait Mapping {
    /// Whether channels differ.
    const BY_CHANNEL: bool;
    /// Whether it is short, so that there may be copies of it.
    const SHORT: bool = true;

    /// The results for channels `first..first + N`.
    fn of<const N: usize>(&self, first: usize, numbers: [f32; N]) -> [f32; N];
}

/// A [`Mapping`] of all pixels.
pub(super) struct Map<'m, F> {
    input: In<'m>,
    out: Out<'m>,
    types: [Float; 2],
    /// Numbers of a pixel.
    channels: usize,
    mapping: F,
}

impl<'m, F: Mapping> Map<'m, F> {
    /// `None` if operands lie outside memory, or differ in height, width or channels.
    pub(super) fn new(
        mem: &Memory<'m>,
        operands: [&Operand; 2],
        types: [Float; 2],
        mapping: F,
    ) -> Option<Self> {
        let (input, out, channels) = same_pixels(mem, operands, numbers(types))?;
        let [h, w, _] = out.shape();
        let mut map = Self { input, out, types, channels, mapping };
        if let (false, Some(input), Some(out)) = (F::BY_CHANNEL, input.joined(), out.joined()) {
            map = Self { input, out, channels: h * w * channels, ..map };
        }
        Some(map)
    }

    /// Numbers of a pixel.
    pub(super) const fn channels(&self) -> usize {
        self.channels
    }

    #[inline(always)]
    fn each(&self, [from, to]: [Float; 2]) {
        let [h, w, _] = self.out.shape();
        for i in 0..h * w {
            let (cells, values) = (self.out.nth(i), self.input.nth(i));
            in_lanes!(first in self.channels, N => {
                to.put(cells, first, self.mapping.of(first, from.block::<N>(values, first)));
            });
        }
    }
}

impl<F: Mapping> Vectorize for Map<'_, F> {
    const WIDE: bool = false;

    #[inline(always)]
    fn run(self) {
        let types = self.types;
        if F::SHORT {
            by_types!(types => self.each(types));
        } else {
            self.each(types);
        }
    }
}
