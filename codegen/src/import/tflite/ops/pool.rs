//! AVERAGE_POOL_2D and MAX_POOL_2D.

use super::{arithmetic::one_scale, clamp};
use crate::{
    graph::{Op, ValueId},
    import::tflite::{
        context::Cx,
        reader::{Element, Options, Padding, Pool2D},
    },
    ops::{AveragePool2d, Clamp, Conv2d, ConvParams, GivenFilters, GivenRounding, MaxPool2d},
};

fn options<'m>(cx: &Cx<'_, 'm>) -> Result<&'m Pool2D, String> {
    match &cx.operator.options {
        Options::Pool2D(options) => Ok(options),
        _ => Err("has no options of pooling".into()),
    }
}

/// Padding at top, bottom, left and right.
fn padding(cx: &Cx<'_, '_>, input: ValueId, o: &Pool2D) -> [usize; 4] {
    let shape = cx.shape(input);
    match o.padding {
        Padding::Valid => [0; 4],
        Padding::Same => {
            let window = ConvParams {
                kernel: [o.filter_h, o.filter_w],
                stride: [o.stride_h, o.stride_w],
                ..ConvParams::new(1, 1)
            };
            window.same([shape.h, shape.w]).padding
        }
    }
}

pub(super) fn average(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let (o, input) = (options(cx)?, cx.map(0)?);
    let padding = padding(cx, input, o);
    if cx.result(0)?.element == Element::UInt8 {
        return mean_without_sign(cx, input, o, padding);
    }
    let pool = AveragePool2d {
        kernel: [o.filter_h, o.filter_w],
        stride: [o.stride_h, o.stride_w],
        padding,
        ceil_mode: false,
        count_padding: false,
    };
    pooled(cx, pool, input, o)
}

pub(super) fn max(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let (o, input) = (options(cx)?, cx.map(0)?);
    let padding = padding(cx, input, o);
    let pool = MaxPool2d {
        kernel: [o.filter_h, o.filter_w],
        stride: [o.stride_h, o.stride_w],
        padding,
        dilation: [1; 2],
        ceil_mode: false,
    };
    pooled(cx, pool, input, o)
}

/// The mean of codes without a sign: ties go up, not away from zero, as a depthwise convolution can round them.
fn mean_without_sign(
    cx: &mut Cx<'_, '_>,
    input: ValueId,
    o: &Pool2D,
    padding: [usize; 4],
) -> Result<(), String> {
    one_scale(cx, &[input])?;
    if padding != [0; 4] {
        return Err(
            "padding is not supported for uint8, whose means round otherwise than those of int8".into()
        );
    }
    let channels = cx.shape(input).c;
    let (kernel, stride) = ([o.filter_h, o.filter_w], [o.stride_h, o.stride_w]);
    let count = kernel[0] * kernel[1];
    let without_sign = count as i32 * (128 + cx.result_params()?.zero_point as i32);
    let params = ConvParams { kernel, stride, groups: channels, bias: false, ..ConvParams::new(channels, 1) };
    let weight = 1.0 / count as f32;
    let mean = Conv2d {
        clamp: clamp(o.activation)?,
        given: Some(GivenFilters {
            scale: vec![weight; channels].into(),
            bias: vec![without_sign; channels].into(),
            rounding: GivenRounding::Mean(count as u32),
        }),
        ..Conv2d::new(params, channels, vec![weight; count * channels].into(), vec![0.0; channels].into())
    };
    cx.finish(mean, &[input])
}

/// The pool, and the activation that the file has in it.
fn pooled(cx: &mut Cx<'_, '_>, pool: impl Op, input: ValueId, o: &Pool2D) -> Result<(), String> {
    one_scale(cx, &[input])?;
    let clamp = clamp(o.activation)?;
    if clamp == Clamp::NONE {
        return cx.finish(pool, &[input]);
    }
    let format = cx.format(input);
    let inner = cx.node("pool", pool, &[input], format)?;
    cx.finish(clamp, &[inner])
}
