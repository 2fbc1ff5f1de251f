//! Axes in another order.

use super::by_bytes;
use crate::{
    Memory, Operand,
    base::memory::{Code, In, Out, in_blocks, put},
};

/// The most axes of a [`Permute`].
pub const AXES: usize = 6;

/// Elements one after the other, in the order height, width, channel of the result: that at the place whose parts along axes of `sizes` are `i` is
/// element `sum(i * strides)` of the input, counted in the same order. NumPy's `transpose`, TensorFlow Lite's `TRANSPOSE`, `SPACE_TO_DEPTH` and
/// `DEPTH_TO_SPACE`.
#[derive(Clone, Copy, Debug)]
pub struct Permute {
    /// The input.
    pub input: Operand,
    /// Result, elsewhere.
    pub output: Operand,
    /// Bytes of an element: 1, 2 or 4.
    pub element: u32,
    /// Sizes of the axes of the result, outermost first; their product is the number of elements.
    pub sizes: [u32; AXES],
    /// Elements of the input from one to the next along each of them.
    pub strides: [u32; AXES],
}

/// A checked [`Permute`].
struct Moves<'m> {
    input: In<'m>,
    out: Out<'m>,
    /// Elements of a pixel of the input, and of the result.
    channels: [usize; 2],
}

impl Permute {
    /// `None` if an operand lies outside memory, elements are cut, or axes reach beyond the input or miss a part of the result.
    fn moves<'m>(&self, mem: &Memory<'m>) -> Option<Moves<'m>> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        if ![1, 2, 4].contains(&self.element) {
            return None;
        }
        let ([h, w, c], [oh, ow, oc]) = (input.shape(), out.shape());
        let bytes = self.element as usize;
        let channels = [c, oc].map(|c| c / bytes);
        // `Memory` checked that products of sides fit.
        let (all, wanted) = (h * w * channels[0], oh * ow * channels[1]);
        let axes = || self.sizes.iter().zip(self.strides);
        let count = self.sizes.iter().try_fold(1usize, |count, size| count.checked_mul(*size as usize))?;
        let last = axes().try_fold(0u64, |last, (size, stride)| {
            last.checked_add(u64::from(size.saturating_sub(1)).checked_mul(stride.into())?)
        })?;
        let whole = c.is_multiple_of(bytes) && oc.is_multiple_of(bytes);
        let fits = count == wanted && (count == 0 || last < all as u64);
        (whole && fits).then_some(Moves { input, out, channels })
    }

    fn each<T: Code>(&self, Moves { input, out, channels: [c, oc] }: Moves<'_>) {
        let ([outer @ .., size], [steps @ .., step]) =
            (self.sizes.map(|size| size as usize), self.strides.map(|stride| stride as usize));
        let (Some(pixels), Some(channels), false) =
            (step.checked_div(c), step.checked_rem(c), self.sizes.contains(&0))
        else {
            return;
        };
        let (mut at, mut first) = ([0; AXES - 1], 0usize);
        // The place in the result.
        let (mut to, mut done) = (0, 0);
        for _ in 0..outer.iter().product::<usize>() {
            let (mut pixel, mut channel) =
                (first.checked_div(c).unwrap_or(0), first.checked_rem(c).unwrap_or(0));
            let mut left = size;
            while left > 0 {
                let cells = out.nth(to);
                let mut n = left.min(oc - done);
                if step == 1 {
                    n = n.min(c - channel);
                    let (values, bytes) = (input.nth(pixel), size_of::<T>());
                    in_blocks!(i in n * bytes, N => {
                        put(cells, done * bytes + i, values.block::<N>(channel * bytes + i));
                    });
                    channel += n;
                    if channel == c {
                        (pixel, channel) = (pixel + 1, 0);
                    }
                } else {
                    for i in done..done + n {
                        T::put(cells, i, T::block::<1>(input.nth(pixel), channel));
                        (pixel, channel) = (pixel.wrapping_add(pixels), channel + channels);
                        if channel >= c {
                            (pixel, channel) = (pixel.wrapping_add(1), channel - c);
                        }
                    }
                }
                (left, done) = (left - n, done + n);
                if done == oc {
                    (to, done) = (to + 1, 0);
                }
            }
            // The innermost axis first.
            for (i, (size, step)) in at.iter_mut().zip(outer.iter().rev().zip(steps.iter().rev())) {
                *i += 1;
                first = first.wrapping_add(*step);
                if *i < *size {
                    break;
                }
                first = first.wrapping_sub(step.wrapping_mul(*size));
                *i = 0;
            }
        }
    }
}

crate::schedule::kernel!(Permute, |permute| {
    check: |mem| permute.moves(mem),
    run: |moves, _| by_bytes!(permute.element, Element => permute.each::<Element>(moves)),
});
