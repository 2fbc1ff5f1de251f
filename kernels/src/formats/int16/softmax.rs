//! Softmax over channels, from tables.

use super::{ENTRIES, Width, table::interpolated};
use crate::{
    Memory, Multiplier, Operand, Rounding,
    base::memory::{Encoding as _, In, Out},
    formats::elements::same_pixels,
};

/// Softmax over the channels of each pixel, 16 bits at scale `2^-15`: TensorFlow Lite's int16 `SOFTMAX`.
///
/// ```text
/// d = multiplier(in - largest), rounded as `TfliteDouble`
/// e = exp(clamp(d + 32767))                                          a step of `exp` is 10/65535, from -10 to 0
/// S = sum of e, n its leading zeros
/// r = inverse(clamp(floor((2^(n - 1) S + 2^13) / 2^14) - 2^15 - 2^16))      1 / (1 + x) for x from 0 to 1
/// out = clamp(floor((e r + 2^(30 - n)) / 2^(31 - n)), 0, 32767)
/// ```
///
/// Clamps without bounds are to 16 bits; tables are read as [`LutInt16`](crate::int16::LutInt16) does. `output` may be the same view as `input`.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxInt16<'a> {
    /// Scores, `[h, w, classes]`, 1 to [`SoftmaxInt16::MOST_CLASSES`].
    pub input: Operand,
    /// Probabilities, of the same shape.
    pub output: Operand,
    /// Steps of the table in a step of the input.
    pub multiplier: Multiplier,
    /// `2^15 exp(x)`: [`ENTRIES`] entries, none negative, of which the last ones are nearly the largest number.
    pub exp: &'a [i16],
    /// `2^15 / (1 + x)`: as many.
    pub inverse: &'a [i16],
}

impl SoftmaxInt16<'_> {
    /// The sum of so many exponentials fits.
    pub const MOST_CLASSES: usize = 1 << 16;

    fn views<'m>(&self, mem: &Memory<'m>) -> Option<(In<'m>, Out<'m>, usize)> {
        let (input, out, channels) =
            same_pixels(mem, [&self.input, &self.output], Width::Int16, Width::Int16)?;
        let fits = (1..=Self::MOST_CLASSES).contains(&channels)
            && self.exp.len() >= ENTRIES
            && self.inverse.len() >= ENTRIES;
        fits.then_some((input, out, channels))
    }

    fn exponential(&self, difference: i32) -> i32 {
        let at = self.multiplier.apply(difference, Rounding::TfliteDouble).saturating_add(32767);
        interpolated(self.exp, at.clamp(-32768, 32767)).max(0)
    }

    fn compute(&self, (input, out, channels): (In<'_>, Out<'_>, usize)) {
        let [h, w, _] = out.shape();
        for (y, x) in (0..h).flat_map(|y| (0..w).map(move |x| (y, x))) {
            let (scores, cells) = (input.pixel(y, x), out.pixel(y, x));
            let score = |c: usize| {
                let [score] = Width::Int16.block::<1>(scores, c);
                score
            };
            let largest = (0..channels).map(score).max().unwrap_or(0);
            let exponentials = (0..channels).map(|c| self.exponential(score(c).wrapping_sub(largest)));
            // That of the largest score is nearly the largest number, so that there are 17 zeros at most.
            let sum = exponentials.fold(0i32, i32::wrapping_add).max(1 << 14);
            let zeros = sum.leading_zeros();
            let shifted = (((sum as i64) << (zeros - 1)) + (1 << 13)) >> 14;
            let at = (shifted as i32).wrapping_sub((1 << 15) + (1 << 16));
            let inverse = interpolated(self.inverse, at.clamp(-32768, 32767)) as i64;
            for c in 0..channels {
                let e = self.exponential(score(c).wrapping_sub(largest)) as i64;
                let share = (e * inverse + (1 << (30 - zeros))) >> (31 - zeros);
                Width::Int16.put(cells, c, [share.clamp(0, 32767) as i32]);
            }
        }
    }
}

crate::schedule::kernel!(SoftmaxInt16<'a>, |softmax| {
    check: |mem| softmax.views(mem),
    run: |views, _| softmax.compute(views),
});
