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

/// [`Kernel`](crate::Kernel) for kernels that compute each pixel from those at its place, which `walk` checks. An operand of one pixel is
/// read as a whole. An element takes as long as `$work` multiply-accumulates of a convolution.
macro_rules! by_pixels {
    ($kernel:ident $(<$l:lifetime>)?, $a:ident, $b:ident, work: $work:expr, in place: $in_place:expr) => {
        $crate::schedule::same_rows!(
            $kernel$(<$l>)?, $a, $b, in place: $in_place, one pixel: true, work: $work,
            walk, |kernel, mem, isa| match kernel.walk(mem) {
                Some(walk) => isa.vectorize(walk),
                None => debug_assert!(false, "operands outside memory, or parameters that do not fit together"),
            }
        );
    };
}
pub(super) use by_pixels;

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
        [input, output]: [&Operand; 2],
        types: [Float; 2],
        mapping: F,
    ) -> Option<Self> {
        let (input, out) = (mem.read(input)?, mem.write(output)?);
        let ([h, w, bytes], [oh, ow, out_bytes]) = (input.shape(), out.shape());
        let channels = types[0].count(bytes)?;
        if [h, w, channels] != [oh, ow, types[1].count(out_bytes)?] {
            return None;
        }
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

/// [`Kernel`](crate::Kernel) for pools, which `walk` checks: of `input`, with `kernel`, `stride` and `padding`. `$work` is how many
/// multiply-accumulates of a convolution take as long as an element of the output.
macro_rules! by_windows {
    ($kernel:ident, work: |$pool:ident| $work:expr) => {
        $crate::schedule::kernel!($kernel);

        // SAFETY: a part writes its rows of the output and reads the input.
        unsafe impl $crate::schedule::by_rows::ByRows for $kernel {
            fn output(&self) -> $crate::Operand {
                self.output
            }

            fn reads(&self) -> [$crate::Operand; 2] {
                [self.input; 2]
            }

            fn work(&self) -> usize {
                let $pool = self;
                let work: usize = $work;
                work.saturating_mul($crate::schedule::by_rows::elements(self.output.shape))
            }

            fn fits(&self, mem: &$crate::Memory<'_>) -> bool {
                self.walk(mem).is_some()
            }

            fn part(&self, rows: core::ops::Range<usize>, index: usize) -> Self {
                $crate::schedule::by_rows::part(self, rows, index)
            }

            #[cfg_attr(target_pointer_width = "32", inline(always))]
            fn alone(&self, mem: &$crate::Memory<'_>, isa: $crate::Isa) {
                match self.walk(mem) {
                    Some(walk) => isa.vectorize(walk),
                    None => {
                        debug_assert!(
                            false,
                            "operands outside memory, or parameters that do not fit together"
                        )
                    }
                }
            }
        }

        impl $crate::schedule::by_rows::Windowed for $kernel {
            fn reach(&self) -> $crate::schedule::by_rows::Reach {
                let (rows, stride, padding) = (self.kernel[0], self.stride[0], self.padding[0]);
                $crate::schedule::by_rows::Reach::Window { rows, stride, padding }
            }

            fn over(
                &self,
                row: usize,
                reads: [$crate::Operand; 2],
                output: $crate::Operand,
                _: $crate::Region,
            ) -> Self {
                let above = $crate::schedule::by_rows::padding_above(row, self.stride[0], self.padding[0]);
                Self { input: reads[0], output, padding: [above, self.padding[1]], ..*self }
            }
        }
    };
}
pub(super) use by_windows;
