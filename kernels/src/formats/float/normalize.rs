//! Channels of a pixel over their length, and as logarithms of their shares.

use super::{
    Float,
    exp::{exp, sqrt},
    fused,
    logarithm::log,
    number,
};
use crate::{
    Operand,
    base::memory::{Channels, Encoding as _, in_lanes},
    formats::elements::same_pixels,
    ops::normalize::each_pixel,
};
use core::cell::Cell;

/// `out = in / max(length, 1e-12)`. `output` may be the same view as `input` if both have one type.
///
/// ```text
/// s = +0; for c: s = fused(x, x, s)         in this order
/// out = x / max(sqrt(s), 1e-12)             the root correctly rounded; NaN becomes `number`'s
/// ```
#[derive(Clone, Copy, Debug)]
pub struct L2NormalizeFloat {
    /// `[h, w, c]`.
    pub input: Operand,
    /// Of the same height, width and channels.
    pub output: Operand,
    /// Types of `input`, `output`.
    pub types: [Float; 2],
}

/// `out = logarithm of softmax over c of in`. `output` may be the same view as `input` if both have one type.
///
/// ```text
/// m = the largest of x, from minus infinity on: m = x if x > m else m
/// s = +0; for c: s = s + exp(x - m)         in this order
/// out = (x - m) - log(s)                    NaN becomes `number`'s
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LogSoftmaxFloat {
    /// Scores, `[h, w, classes]`.
    pub input: Operand,
    /// Logarithms of probabilities, of the same height, width and channels.
    pub output: Operand,
    /// Types of `input`, `output`.
    pub types: [Float; 2],
}

crate::schedule::kernel!(L2NormalizeFloat, |norm| {
    check: |mem| same_pixels(mem, [&norm.input, &norm.output], norm.types[0], norm.types[1]),
    run: |(input, out, channels), _| each_pixel((input, out), |values, cells| {
        let [from, to] = norm.types;
        let sum = fold(from, values, channels, 0.0, |sum, x| fused(x, x, sum));
        let length = sqrt(sum);
        let length = if length > 1e-12 { length } else { 1e-12 };
        map([from, to], values, cells, channels, |x| x / length);
    }),
});

crate::schedule::kernel!(LogSoftmaxFloat, |softmax| {
    check: |mem| same_pixels(mem, [&softmax.input, &softmax.output], softmax.types[0], softmax.types[1]),
    run: |(input, out, channels), _| each_pixel((input, out), |scores, cells| {
        let [from, to] = softmax.types;
        let largest = fold(from, scores, channels, f32::NEG_INFINITY, |m, x| if x > m { x } else { m });
        let sum = fold(from, scores, channels, 0.0, |sum, x| sum + exp(x - largest));
        let log = log(sum);
        map([from, to], scores, cells, channels, |x| (x - largest) - log);
    }),
});

/// One number of all channels, in their order.
#[inline(always)]
fn fold(
    from: Float,
    values: Channels<'_>,
    channels: usize,
    start: f32,
    add: impl Fn(f32, f32) -> f32,
) -> f32 {
    (0..channels).fold(start, |sum, channel| {
        let [x] = from.block::<1>(values, channel);
        add(sum, x)
    })
}

/// A function of each channel.
#[inline(always)]
fn map(
    [from, to]: [Float; 2],
    values: Channels<'_>,
    cells: &[Cell<i8>],
    channels: usize,
    of: impl Fn(f32) -> f32,
) {
    in_lanes!(first in channels, N => {
        let mut block = from.block::<N>(values, first);
        for x in &mut block {
            *x = number(of(*x));
        }
        to.put(cells, first, block);
    });
}
