//! CONV_2D and DEPTHWISE_CONV_2D.

use super::{
    clamp,
    filters::{self, Codes, Integers},
};
use crate::{
    graph::ValueId,
    import::tflite::{
        context::Cx,
        reader::{Activation, Options, Padding},
    },
    ops::{Conv2d, ConvParams, GivenRounding},
};

/// A convolution as a file describes it: weights are `[out][taps][channels of a group]` by `order`.
struct Described<F> {
    params: ConvParams,
    /// Channels of a group.
    channels: usize,
    padding: Padding,
    activation: Activation,
    order: F,
}

pub(super) fn conv2d(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let Options::Conv2D(o) = &cx.operator.options else { return Err("has no options of CONV_2D".into()) };
    let [out, kh, kw, channels] = cx.known(1)?.dims[..] else {
        return Err("expected weights of four axes".into());
    };
    filters::scales_along(cx.known(1)?, 0)?;
    let input = cx.map(0)?;
    let c = cx.shape(input).c;
    if channels == 0 || !c.is_multiple_of(channels) {
        return Err(format!("weights of {channels} channels do not divide an operand of {c}"));
    }
    let params = ConvParams {
        kernel: [kh, kw],
        stride: [o.stride_h, o.stride_w],
        dilation: [o.dilation_h, o.dilation_w],
        groups: c / channels,
        bias: cx.has(2),
        ..ConvParams::new(out, 1)
    };
    let order = move |o: usize, t: usize, i: usize| (o * kh * kw + t) * channels + i;
    let described = Described { params, channels, padding: o.padding, activation: o.activation, order };
    convolution(cx, input, described)
}

pub(super) fn depthwise(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let Options::DepthwiseConv2D(o) = &cx.operator.options else {
        return Err("has no options of DEPTHWISE_CONV_2D".into());
    };
    let [1, kh, kw, out] = cx.known(1)?.dims[..] else {
        return Err("expected weights of four axes, the first one of 1".into());
    };
    filters::scales_along(cx.known(1)?, 3)?;
    let input = cx.map(0)?;
    let c = cx.shape(input).c;
    if !out.is_multiple_of(c) {
        return Err(format!("{out} output channels are no multiple of an operand's {c}"));
    }
    let params = ConvParams {
        kernel: [kh, kw],
        stride: [o.stride_h, o.stride_w],
        dilation: [o.dilation_h, o.dilation_w],
        groups: c,
        bias: cx.has(2),
        ..ConvParams::new(out, 1)
    };
    let order = move |o: usize, t: usize, _: usize| t * out + o;
    let described = Described { params, channels: 1, padding: o.padding, activation: o.activation, order };
    convolution(cx, input, described)
}

fn convolution(
    cx: &mut Cx<'_, '_>,
    input: ValueId,
    described: Described<impl Fn(usize, usize, usize) -> usize>,
) -> Result<(), String> {
    let Described { mut params, channels, padding, activation, order } = described;
    let clamp = clamp(activation)?;
    let shape = cx.shape(input);
    // Neighbours in a map of every so many pixels are that far apart in the whole.
    let blocks = cx.blocks(0)?;
    if padding == Padding::Same {
        params = params.same([shape.h / blocks[0], shape.w / blocks[1]]);
    }
    for (axis, block) in blocks.into_iter().enumerate().filter(|(_, block)| *block > 1) {
        if params.stride[axis] != 1 {
            return Err("a stride between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND is not supported".into());
        }
        params.dilation[axis] = params.dilation[axis].saturating_mul(block);
        params.padding[2 * axis..2 * axis + 2].iter_mut().for_each(|n| *n = n.saturating_mul(block));
    }
    let (out, taps) = (params.out, params.kernel[0] * params.kernel[1]);
    let weights = cx.known(1)?;
    let expected = out * taps * channels;
    if weights.dims.iter().product::<usize>() != expected {
        return Err(format!("weights of {:?}, expected {expected} elements", weights.dims));
    }
    // [out][taps][channels] to [out][channels][taps].
    let by_channel = |rows: &[f32], channels: usize| -> Vec<f32> {
        let at = |o: usize, i: usize, t: usize| rows[(o * taps + t) * channels + i];
        (0..out).flat_map(|o| (0..channels).flat_map(move |i| (0..taps).map(move |t| at(o, i, t)))).collect()
    };
    if !filters::are_codes(cx, input, 1)? {
        let real = weights.real();
        let indices =
            (0..out).flat_map(|o| (0..taps).flat_map(move |t| (0..channels).map(move |i| (o, t, i))));
        let rows: Vec<f32> = indices.map(|(o, t, i)| real[order(o, t, i)]).collect();
        let bias = filters::real_bias(cx, 2, out)?;
        let weight = by_channel(&rows, channels);
        let conv = Conv2d { clamp, ..Conv2d::new(params, shape.c, weight.into(), bias.into()) };
        return cx.finish(conv, &[input]);
    }
    let codes = Codes::of(weights, [out, taps, channels, params.groups], order)?;
    let Integers { input, channels, weights, bias, given } =
        filters::integers(cx, input, codes, 2, GivenRounding::Program)?;
    let weight = by_channel(&weights, channels);
    let channels = cx.shape(input).c;
    let conv = Conv2d::new(params, channels, weight.into(), bias.into());
    cx.finish(Conv2d { clamp, given: Some(given), ..conv }, &[input])
}
