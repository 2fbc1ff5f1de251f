//! Two operands of which the second one may be smaller: its values are repeated.

use super::{Channels, ContiguousSpans, In, Memory, Operand, in_blocks, put};
use crate::base::{
    arith::{OutputParams, by_rounding},
    isa::Vectorize,
};

/// A function of two codes. `of` must be `#[inline(always)]`: it stands in loops that are to vectorise.
pub(crate) trait BinaryOp: Copy {
    /// The last step, whose rounding is a constant where it is given to [`BinaryOp::of`].
    fn stage(&self) -> OutputParams;

    /// The result.
    fn of(&self, a: i8, b: i8, stage: OutputParams) -> i8;
}

/// Which values of the second operand meet those of the first.
enum Repeat<'m> {
    /// Each meets its own: shapes are the same.
    No,
    /// One pixel meets all pixels.
    Pixel(Channels<'m>),
    /// Each of few channels meets as many channels, one after the other.
    Groups(In<'m>),
}

/// A function of all pairs of values of two tensors: `h x w x c`, and the same, `1 x 1 x c` or `h x w x g` with a `g` that divides `c`.
pub(crate) struct Broadcast<'k, 'm, F> {
    both: ContiguousSpans<'m, 2>,
    repeat: Repeat<'m>,
    function: &'k F,
}

impl<'k, 'm, F: BinaryOp> Broadcast<'k, 'm, F> {
    /// Of tensors of one shape.
    pub(crate) const fn same(both: ContiguousSpans<'m, 2>, function: &'k F) -> Self {
        Self { both, repeat: Repeat::No, function }
    }

    /// `None` if an operand lies outside memory, or the shapes are none of these.
    pub(crate) fn new(mem: &Memory<'m>, [a, b, out]: [&Operand; 3], function: &'k F) -> Option<Self> {
        let (a, b, out) = (mem.read(a)?, mem.read(b)?, mem.write(out)?);
        if let Some(both) = ContiguousSpans::new(out, [a, b]) {
            return Some(Self::same(both, function));
        }
        let [h, w, c] = a.shape();
        let repeat = match b.shape() {
            [1, 1, channels] if channels == c => Repeat::Pixel(b.pixel(0, 0)),
            [height, width, groups] if [height, width] == [h, w] && c.checked_rem(groups) == Some(0) => {
                Repeat::Groups(b)
            }
            _ => return None,
        };
        Some(Self { both: ContiguousSpans::by_pixel(out, [a, a])?, repeat, function })
    }

    /// Calls `each` with corresponding runs of both operands and the result, all of the same length; does nothing and returns `false` where a value
    /// meets a group of channels.
    #[cfg(niello_mve)]
    #[inline(always)]
    pub(crate) fn runs(&self, each: impl Fn(&[core::cell::Cell<i8>], [Channels<'_>; 2])) -> bool {
        for i in 0..self.both.len() {
            let (cells, [a, own]) = self.both.get(i);
            let b = match &self.repeat {
                Repeat::No => own,
                Repeat::Pixel(pixel) => *pixel,
                Repeat::Groups(_) => return false,
            };
            each(cells, [a, b]);
        }
        true
    }

    #[inline(always)]
    fn each(&self, stage: OutputParams) {
        let function = *self.function;
        for i in 0..self.both.len() {
            let (cells, [a, own]) = self.both.get(i);
            match &self.repeat {
                Repeat::No | Repeat::Pixel(_) => {
                    let b = if let Repeat::Pixel(pixel) = &self.repeat { *pixel } else { own };
                    in_blocks!(first in cells.len(), N => {
                        let (mut block, b) = (a.block::<N>(first), b.block::<N>(first));
                        for (a, b) in block.iter_mut().zip(b) {
                            *a = function.of(*a, b, stage);
                        }
                        put(cells, first, block);
                    });
                }
                Repeat::Groups(map) => {
                    let factors = map.nth(i);
                    let in_group = cells.len().checked_div(factors.len()).unwrap_or(0);
                    for group in 0..factors.len() {
                        let (b, start) = (factors.get(group), group * in_group);
                        in_blocks!(offset in in_group, N => {
                            let mut block = a.block::<N>(start + offset);
                            for a in &mut block {
                                *a = function.of(*a, b, stage);
                            }
                            put(cells, start + offset, block);
                        });
                    }
                }
            }
        }
    }
}

impl<F: BinaryOp> Vectorize for Broadcast<'_, '_, F> {
    #[inline(always)]
    fn run(self) {
        let stage = self.function.stage();
        by_rounding!(stage => self.each(stage));
    }
}
