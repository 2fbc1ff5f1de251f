//! TRANSPOSE_CONV, and MediaPipe's operator of the same meaning.

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
    ops::{GivenRounding, TransposedConv2d, TransposedConvParams},
    tensor::Shape,
};

/// Where weights, input and biases stand among the operands, and what the options say.
struct Described {
    input: usize,
    bias: usize,
    stride: [usize; 2],
    padding: Padding,
    activation: Activation,
}

pub(super) fn transpose_conv(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let Options::TransposeConv(o) = &cx.operator.options else {
        return Err("has no options of TRANSPOSE_CONV".into());
    };
    let described = Described {
        input: 2,
        bias: 3,
        stride: [o.stride_h, o.stride_w],
        padding: o.padding,
        activation: o.activation,
    };
    transposed(cx, described)
}

pub(super) fn with_bias(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let options = &cx.operator.custom_options;
    let word = |i: usize| {
        let bytes = options.get(4 * i..4 * i + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(i32::from_le_bytes).ok_or("has options of another size than MediaPipe writes")
    };
    let (padding, width, height) = (word(0)?, word(1)?, word(2)?);
    let stride = |n: i32| usize::try_from(n).ok().filter(|n| *n > 0).ok_or(format!("a stride of {n}"));
    let padding = match padding {
        1 => Padding::Same,
        2 => Padding::Valid,
        other => return Err(format!("padding {other} is not one of MediaPipe's")),
    };
    let stride = [stride(height)?, stride(width)?];
    transposed(cx, Described { input: 0, bias: 2, stride, padding, activation: Activation::None })
}

/// Sizes of one axis: cropped before and after, added.
fn axis(from: usize, to: usize, kernel: usize, stride: usize, padding: Padding) -> [usize; 3] {
    let natural = from.saturating_sub(1).saturating_mul(stride).saturating_add(kernel);
    let surplus = natural.saturating_sub(to);
    let before = if padding == Padding::Same { surplus / 2 } else { 0 };
    [before, surplus - before, to.saturating_sub(natural)]
}

fn transposed(cx: &mut Cx<'_, '_>, described: Described) -> Result<(), String> {
    let Described { input, bias: biases, stride, padding, activation } = described;
    let clamp = clamp(activation)?;
    let [out, kh, kw, c] = cx.known(1)?.dims[..] else { return Err("expected weights of four axes".into()) };
    filters::scales_along(cx.known(1)?, 0)?;
    let input: ValueId = cx.map(input)?;
    let from = cx.shape(input);
    if from.c != c {
        return Err(format!("weights of {c} channels for an operand of {from}"));
    }
    let [1, h, w, channels] = cx.result(0)?.shape[..] else {
        return Err("expected a result of four axes, the first one of 1".into());
    };
    let to = Shape::new(h, w, channels);
    let [top, bottom, more_rows] = axis(from.h, to.h, kh, stride[0], padding);
    let [left, right, more_columns] = axis(from.w, to.w, kw, stride[1], padding);
    let params = TransposedConvParams {
        kernel: [kh, kw],
        stride,
        padding: [top, bottom, left, right],
        output_padding: [more_rows, more_columns],
        bias: cx.has(biases),
        ..TransposedConvParams::new(out, 1, 1)
    };
    let taps = kh * kw;
    // [out][taps][in] to [in][out][taps].
    let by_input = |rows: &[f32], c: usize| -> Vec<f32> {
        let at = |i: usize, o: usize, t: usize| rows[(o * taps + t) * c + i];
        (0..c).flat_map(|i| (0..out).flat_map(move |o| (0..taps).map(move |t| at(i, o, t)))).collect()
    };
    let weights = cx.known(1)?;
    if !filters::are_codes(cx, input, 1)? {
        let weight = by_input(&weights.real(), c);
        let bias = filters::real_bias(cx, biases, out)?;
        let op = TransposedConv2d { clamp, ..TransposedConv2d::new(params, c, weight.into(), bias.into()) };
        return cx.finish(op, &[input]);
    }
    let codes = Codes::of(weights, [out, taps, c, 1], |o, t, i| (o * taps + t) * c + i)?;
    let Integers { input, channels, weights, bias, given } =
        filters::integers(cx, input, codes, biases, GivenRounding::Program)?;
    let weight = by_input(&weights, channels);
    let op = TransposedConv2d::new(params, channels, weight.into(), bias.into());
    cx.finish(TransposedConv2d { clamp, given: Some(given), ..op }, &[input])
}
