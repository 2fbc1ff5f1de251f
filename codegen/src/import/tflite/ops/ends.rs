//! QUANTIZE, DEQUANTIZE and CAST: between number formats.

use crate::{
    import::tflite::{context::Cx, importer::format_of, reader::Element},
    ops::Rescale,
};

pub(super) fn quantize(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let input = cx.value(0)?;
    // Codes without a sign and those with one are the same codes here.
    if cx.format(input) == format_of(cx.result(0)?)? {
        cx.alias(input);
        return Ok(());
    }
    cx.finish(Rescale, &[input])
}

pub(super) fn dequantize(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let input = cx.value(0)?;
    cx.finish(Rescale, &[input])
}

pub(super) fn cast(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let (from, to) = (cx.tensor(0)?.element, cx.result(0)?.element);
    let float = |element| matches!(element, Element::Float32 | Element::Float16);
    if !(float(from) && float(to)) {
        return Err(format!("from {from} to {to} is not supported; QUANTIZE and DEQUANTIZE are"));
    }
    let input = cx.value(0)?;
    cx.alias(input);
    Ok(())
}
