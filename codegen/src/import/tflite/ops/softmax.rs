//! Normalisations along channels.

use crate::{
    format::{Format, QParams},
    import::tflite::{
        context::Cx,
        importer::format_of,
        reader::{Element, Options},
    },
    ops::{L2Normalize, LogSoftmax, Softmax},
};

/// Whether a quantised result has the one format that the reference kernel makes.
pub(super) fn has_format(cx: &Cx<'_, '_>, scale: f32, zero_point: i8) -> Result<(), String> {
    if !cx.is_quantized()? {
        return Ok(());
    }
    if let Format::Int16 { scale: found, .. } = format_of(cx.result(0)?)? {
        let expected = 1.0 / 32768.0;
        return match found == expected {
            true => Ok(()),
            false => Err(format!("a result of scale {found}, expected {expected}")),
        };
    }
    let found = cx.result_params()?;
    let offset = if cx.result(0)?.element == Element::UInt8 { 128 } else { 0 };
    if found == (QParams { scale, zero_point }) {
        return Ok(());
    }
    Err(format!(
        "a result of scale {} and zero point {}, expected {scale} and {}",
        found.scale,
        found.zero_point as i32 + offset,
        zero_point as i32 + offset
    ))
}

pub(super) fn softmax(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let Options::Softmax(o) = &cx.operator.options else { return Err("has no options of SOFTMAX".into()) };
    let beta = o.beta;
    has_format(cx, 1.0 / 256.0, -128)?;
    let input = cx.value(0)?;
    cx.finish(Softmax { beta }, &[input])
}

pub(super) fn log_softmax(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    has_format(cx, 16.0 / 256.0, 127)?;
    let input = cx.value(0)?;
    cx.finish(LogSoftmax, &[input])
}

pub(super) fn l2_normalization(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    if cx.result(0)?.element == Element::UInt8 {
        return Err(
            "is not supported for uint8, whose roots the reference kernel has in fixed point; for int8 it is"
                .into(),
        );
    }
    has_format(cx, 1.0 / 128.0, 0)?;
    let input = cx.value(0)?;
    cx.finish(L2Normalize, &[input])
}
