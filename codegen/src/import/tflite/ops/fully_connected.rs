//! FULLY_CONNECTED.

use super::{
    clamp,
    filters::{self, Codes, Integers},
};
use crate::{
    import::{
        network::Reference,
        tflite::{context::Cx, reader::Options},
    },
    ops::{Conv2d, ConvParams, GivenRounding, Reshape},
    tensor::Shape,
};

pub(super) fn fully_connected(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let Options::FullyConnected(o) = &cx.operator.options else {
        return Err("has no options of FULLY_CONNECTED".into());
    };
    if o.weights_format != 0 {
        return Err("weights in shuffled order are not supported".into());
    }
    let clamp = clamp(o.activation)?;
    let [out, width] = cx.known(1)?.dims[..] else { return Err("expected weights of two axes".into()) };
    filters::scales_along(cx.known(1)?, 0)?;
    let mut input = cx.value(0)?;
    let shape = cx.shape(input);
    if width == 0 || !shape.len().is_multiple_of(width) {
        return Err(format!("weights of {width} columns do not divide an operand of {shape}"));
    }
    // As many vectors, side by side.
    let to = Shape::new(1, shape.len() / width, width);
    let (format, same_rows) = (cx.format(input), shape.c == width);
    if shape != to && !same_rows {
        input = cx.node("flat", Reshape { to }, &[input], format)?;
    }
    let params = ConvParams { bias: cx.has(2), ..ConvParams::new(out, 1) };
    let weights = cx.known(1)?;
    if !filters::are_codes(cx, input, 1)? {
        let (weight, bias) = (weights.real(), filters::real_bias(cx, 2, out)?);
        let dense = Conv2d { clamp, ..Conv2d::new(params, width, weight.into(), bias.into()) };
        return cx.finish_reshaped(dense, &[input]);
    }
    let codes = Codes::of(weights, [out, 1, width, 1], |o, _, i| o * width + i)?;
    let rounding = match cx.reference() {
        Reference::LiteRt => GivenRounding::Once,
        _ => GivenRounding::Program,
    };
    let Integers { input, channels, weights, bias, given } =
        filters::integers(cx, input, codes, 2, rounding)?;
    let dense = Conv2d::new(params, channels, weights.into(), bias.into());
    cx.finish_reshaped(Conv2d { clamp, given: Some(given), ..dense }, &[input])
}
