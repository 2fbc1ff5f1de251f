//! AVERAGE_POOL_2D and MAX_POOL_2D.

use super::{arithmetic::one_scale, clamp};
use crate::{
    graph::{Op, ValueId},
    import::tflite::{
        importer::Cx,
        reader::{Options, Padding, Pool2D},
    },
    ops::{AveragePool2d, Clamp, ConvParams, MaxPool2d},
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
    let (o, input) = (options(cx)?, cx.value(0)?);
    let padding = padding(cx, input, o);
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
    let (o, input) = (options(cx)?, cx.value(0)?);
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
