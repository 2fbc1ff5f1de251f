//! Reductions along axes.

use super::concat::axis_of;
use crate::{
    format::Format,
    import::{
        network::Reference,
        tflite::{
            context::Cx,
            importer::shape_of,
            reader::{Element, Options},
        },
    },
    ops::{ArgMax, GlobalAveragePool, Permute, Reduce, ReduceKind},
};

/// Which of rows, columns and channels an operand's constant axes are.
fn axes(cx: &Cx<'_, '_>) -> Result<[bool; 3], String> {
    let dims = &cx.tensor(0)?.shape;
    let mut axes = [false; 3];
    for axis in cx.known(1)?.integers() {
        let at = axis_of(axis, dims.len())?;
        let from_last = dims.len() - at;
        match (from_last, dims[at]) {
            (1..=3, _) => axes[3 - from_last] = true,
            (_, 1) => {}
            _ => return Err(format!("axis {at} of {dims:?} is neither rows, columns nor channels")),
        }
    }
    if dims.len() > 4 && axes[0] {
        return Err(format!("rows of {} axes are not supported", dims.len()));
    }
    Ok(axes)
}

fn reduce(cx: &mut Cx<'_, '_>, kind: ReduceKind) -> Result<(), String> {
    if !matches!(cx.operator.options, Options::Reducer(_) | Options::None) {
        return Err("has no options of a reduction".into());
    }
    let (axes, input) = (axes(cx)?, cx.value(0)?);
    cx.finish(Reduce { axes, kind }, &[input])
}

pub(super) fn mean(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let (axes, input) = (axes(cx)?, cx.value(0)?);
    // The mean of each channel has a kernel of its own.
    if axes == [true, true, false] && matches!(cx.format(input), Format::Int8(_)) {
        return cx.finish(GlobalAveragePool, &[input]);
    }
    reduce(cx, ReduceKind::Mean)
}

pub(super) fn sum(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    if cx.reference() == Reference::LiteRt && cx.is_quantized()? && cx.result(0)?.element == Element::Int8 {
        return Err("of int8 is no sum in LiteRT's reference kernel; `format.reference = \"tflm\"` adds, as does MEAN".into());
    }
    reduce(cx, ReduceKind::Sum)
}

pub(super) fn max(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    reduce(cx, ReduceKind::Max)
}

pub(super) fn min(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    reduce(cx, ReduceKind::Min)
}

pub(super) fn arg_max(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let dims = cx.tensor(0)?.shape.clone();
    let [axis] = cx.known(1)?.integers()[..] else { return Err("expected one axis".into()) };
    let axis = axis_of(axis, dims.len())?;
    let mut input = cx.value(0)?;
    if axis + 1 != dims.len() {
        // The axis becomes the last one.
        let order: Vec<usize> = (0..dims.len()).filter(|i| *i != axis).chain([axis]).collect();
        let to: Vec<usize> = order.iter().map(|i| dims[*i]).collect();
        let (to, format) = (shape_of(&to)?, cx.format(input));
        input = cx.node("last", Permute { sizes: dims, order, to }, &[input], format)?;
    }
    cx.finish_reshaped(ArgMax, &[input])
}
