//! AVERAGE_POOL_2D and MAX_POOL_2D.

use super::{
    arithmetic::{one_scale, other_scale},
    clamp,
    concat::joined,
};
use crate::{
    graph::{Op, ValueId},
    import::tflite::{
        context::Cx,
        importer::format_of,
        reader::{Element, Options, Padding, Pool2D},
    },
    ops::{AveragePool2d, Clamp, Conv2d, ConvParams, GivenFilters, GivenRounding, Index, MaxPool2d, Reshape},
};
use std::ops::Range;

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
    // Codes are averaged whatever the scales are: the reference kernels have no factor between them.
    if let Some(scales) = other_scale(cx, input)? {
        cx.warn(format!(
            "AVERAGE_POOL_2D: {scales}; means of its codes are the codes of the result, as in the reference kernels, so that numbers change by \
             the quotient of the scales: put QUANTIZE between to keep them"
        ))?;
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
    one_scale(cx, &[input])?;
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

/// The mean of codes without a sign: ties go up, not away from zero, as a depthwise convolution can round them. Windows that the padding cuts have
/// fewer pixels, so that each size is a layer of its own.
fn mean_without_sign(
    cx: &mut Cx<'_, '_>,
    input: ValueId,
    o: &Pool2D,
    padding: [usize; 4],
) -> Result<(), String> {
    one_scale(cx, &[input])?;
    let shape = cx.shape(input);
    let rows = parts([o.filter_h, o.stride_h], [padding[0], padding[1]], shape.h)?;
    let columns = parts([o.filter_w, o.stride_w], [padding[2], padding[3]], shape.w)?;
    if let ([row], [column]) = (&rows[..], &columns[..]) {
        let (input, mean) = mean_of(cx, input, o, [row, column])?;
        return cx.finish(mean, &[input]);
    }
    let format = cx.format(input);
    let mut bands = vec![];
    for row in &rows {
        let mut band = vec![];
        for column in &columns {
            let (part, mean) = mean_of(cx, input, o, [row, column])?;
            band.push(cx.node("part", mean, &[part], format)?);
        }
        bands.push(joined(cx, &band, true)?);
    }
    let all = joined(cx, &bands, false)?;
    let to = cx.shape(all);
    cx.finish(Reshape { to }, &[all])
}

/// Windows next to each other that have the same number of pixels of an axis.
struct Part {
    /// The pixels that they cover.
    pixels: Range<usize>,
    /// How many of them each window has.
    window: usize,
}

/// The windows of an axis, by the numbers of their pixels.
fn parts(
    [kernel, stride]: [usize; 2],
    [before, after]: [usize; 2],
    size: usize,
) -> Result<Vec<Part>, String> {
    let count = (size + before + after).checked_sub(kernel).map(|rest| rest / stride + 1);
    let mut parts: Vec<Part> = vec![];
    let mut last = None;
    for at in 0..count.ok_or_else(|| format!("a window of {kernel} in {size} pixels"))? {
        let from = (at * stride).saturating_sub(before);
        let to = (at * stride + kernel).saturating_sub(before).min(size);
        match parts.last_mut() {
            Some(part) if part.window == to - from && last == from.checked_sub(stride) => {
                part.pixels.end = to
            }
            _ => parts.push(Part { pixels: from..to, window: to - from }),
        }
        last = Some(from);
    }
    Ok(parts)
}

/// The pixels of a part of the windows, and the mean of each of them.
fn mean_of(
    cx: &mut Cx<'_, '_>,
    input: ValueId,
    o: &Pool2D,
    parts: [&Part; 2],
) -> Result<(ValueId, Conv2d), String> {
    let shape = cx.shape(input);
    let axis = |part: &Part, size: usize| {
        let Range { start, end } = part.pixels;
        (part.pixels != (0..size)).then(|| (start as i32..end as i32).collect())
    };
    let picked = Index { rows: axis(parts[0], shape.h), columns: axis(parts[1], shape.w), ..Index::NONE };
    let format = cx.format(input);
    let input = if picked.is_identity() { input } else { cx.node("windows", picked, &[input], format)? };
    let channels = shape.c;
    let (kernel, stride) = (parts.map(|part| part.window), [o.stride_h, o.stride_w]);
    let count = kernel[0].saturating_mul(kernel[1]);
    if count > 1 << 22 {
        return Err(format!("a window of {} x {} pixels", kernel[0], kernel[1]));
    }
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
    Ok((input, mean))
}

/// The pool, and the activation that the file has in it.
fn pooled(cx: &mut Cx<'_, '_>, pool: impl Op, input: ValueId, o: &Pool2D) -> Result<(), String> {
    let clamp = clamp(o.activation)?;
    if clamp == Clamp::NONE {
        return cx.finish(pool, &[input]);
    }
    let format = format_of(cx.result(0)?)?;
    let inner = cx.node("pool", pool, &[input], format)?;
    cx.finish(clamp, &[inner])
}
