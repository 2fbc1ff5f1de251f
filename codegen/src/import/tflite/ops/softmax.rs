//! Normalisations along channels.

use crate::{
    import::tflite::{importer::Cx, reader::Options},
    ops::{L2Normalize, LogSoftmax, Softmax},
};

pub(super) fn softmax(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let Options::Softmax(o) = &cx.operator.options else { return Err("has no options of SOFTMAX".into()) };
    let beta = o.beta;
    let input = cx.value(0)?;
    cx.finish(Softmax { beta }, &[input])
}

pub(super) fn log_softmax(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let input = cx.value(0)?;
    cx.finish(LogSoftmax, &[input])
}

pub(super) fn l2_normalization(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let input = cx.value(0)?;
    cx.finish(L2Normalize, &[input])
}
