//! Two operands of which the second one may be smaller: its values are repeated.

use super::{Channels, In, Out, Runs, in_blocks, put};

/// A function of two values. `of` must be `#[inline(always)]`: it stands in loops that are to vectorise.
pub(crate) trait OfTwo {
    /// The result.
    fn of(&self, a: i8, b: i8) -> i8;
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

/// Pairs of values of two tensors: `h x w x c`, and the same, `1 x 1 x c` or `h x w x g` with a `g` that divides `c`.
pub(crate) struct Pairs<'m> {
    both: Runs<'m, 2>,
    repeat: Repeat<'m>,
}

impl<'m> Pairs<'m> {
    /// `None` if the shapes are none of these.
    pub(crate) fn new(out: Out<'m>, a: In<'m>, b: In<'m>) -> Option<Self> {
        if let Some(both) = Runs::new(out, [a, b]) {
            return Some(Self { both, repeat: Repeat::No });
        }
        let [h, w, c] = a.shape();
        let repeat = match b.shape() {
            [1, 1, channels] if channels == c => Repeat::Pixel(b.pixel(0, 0)),
            [height, width, groups] if [height, width] == [h, w] && c.checked_rem(groups) == Some(0) => {
                Repeat::Groups(b)
            }
            _ => return None,
        };
        Some(Self { both: Runs::by_pixel(out, [a, a])?, repeat })
    }

    /// Stores what `function` makes of every pair.
    #[inline(always)]
    pub(crate) fn each(&self, function: &impl OfTwo) {
        for i in 0..self.both.len() {
            let (cells, [a, own]) = self.both.get(i);
            match &self.repeat {
                Repeat::No | Repeat::Pixel(_) => {
                    let b = if let Repeat::Pixel(pixel) = &self.repeat { *pixel } else { own };
                    in_blocks!(first in cells.len(), N => {
                        let (mut block, b) = (a.block::<N>(first), b.block::<N>(first));
                        for (a, b) in block.iter_mut().zip(b) {
                            *a = function.of(*a, b);
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
                                *a = function.of(*a, b);
                            }
                            put(cells, start + offset, block);
                        });
                    }
                }
            }
        }
    }
}
