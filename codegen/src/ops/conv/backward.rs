//! Gradients of convolutions: of one the transposed one with its filters, and the other way round.

use super::{
    Conv2d, ConvParams, TransposedConv2d,
    params::Taps,
    transposed::{LEFT, TOP, scatter},
};
use crate::{
    graph::{Backward, Op},
    ops::{Concat, Index, SliceChannels},
    tensor::{Shape, Tensor},
};
use rayon::prelude::*;

/// Input channels that one thread goes back to.
const CHANNELS: usize = 32;

/// By the input of a convolution: the filters of each output pixel go back to the pixels that it has looked at.
pub(super) fn of_conv2d(op: &Conv2d, at: &Backward<'_>) -> Option<Tensor<f64>> {
    let (p, shape) = (&op.params, at.input().shape);
    let (c, cout, taps) = (op.channels / p.groups, p.out / p.groups, p.kernel[0] * p.kernel[1]);
    let gradient = op.clamp.go_back(at);
    let by_channels = |first: usize| {
        let (group, count) = (first / c, CHANNELS.min(c - first % c));
        let of_group = SliceChannels { first: group * cout, count: cout }.eval_f64(&[&gradient]).remove(0);
        let weight =
            |o: usize, i: usize, t: usize| op.weight[((group * cout + o) * c + first % c + i) * taps + t];
        let rows = (0..taps * count).flat_map(|row| (0..cout).map(move |o| (o, row % count, row / count)));
        let filters: Vec<f64> = rows.map(|(o, i, t)| weight(o, i, t).into()).collect();
        let mut sums = Tensor::filled(Shape { c: count, ..shape }, 0.0);
        scatter(Taps::of(p, false), &filters, &of_group, &mut sums);
        sums
    };
    let firsts = (0..p.groups).flat_map(|group| (0..c).step_by(CHANNELS).map(move |i| group * c + i));
    let firsts: Vec<usize> = firsts.collect();
    let parts: Vec<Tensor<f64>> = firsts.into_par_iter().map(by_channels).collect();
    Concat.eval_f64(&parts.iter().collect::<Vec<_>>()).pop()
}

/// By the input of a transposed convolution: what a convolution makes of the gradient.
pub(super) fn of_transposed(op: &TransposedConv2d, at: &Backward<'_>) -> Option<Tensor<f64>> {
    let (p, shape) = (&op.params, at.input().shape);
    let [_, bottom, _, right] = p.padding;
    // Output padding shows rows and columns again that would be cropped, and more.
    let [down, across] = p.output_padding;
    let padding =
        [p.padding[TOP], bottom.saturating_sub(down), p.padding[LEFT], right.saturating_sub(across)];
    let params =
        ConvParams { kernel: p.kernel, stride: p.stride, padding, ..ConvParams::new(op.channels, 1) };
    let conv = Conv2d::new(params, p.out, op.weight.clone(), vec![0.0; op.channels].into());
    let whole = conv.eval_f64(&[&op.clamp.go_back(at)]).remove(0);
    let first = |size: usize| Some((0..size as i32).collect());
    Index { rows: first(shape.h), columns: first(shape.w), ..Index::NONE }.eval_f64(&[&whole]).pop()
}
