//! CONCATENATION and PACK.

use super::clamp;
use crate::{
    graph::ValueId,
    import::tflite::{context::Cx, reader::Options},
    ops::{Clamp, Concat, Reshape},
    tensor::Shape,
};

/// An axis of a tensor of `rank` axes; negative ones count from the last.
pub(super) fn axis_of(axis: i64, rank: usize) -> Result<usize, String> {
    let at = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(at).ok().filter(|at| *at < rank).ok_or_else(|| format!("axis {axis} of {rank} axes"))
}

pub(super) fn concatenation(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let Options::Concatenation(o) = &cx.operator.options else {
        return Err("has no options of CONCATENATION".into());
    };
    let axis = o.axis.into();
    if clamp(o.activation)? != Clamp::NONE {
        return Err("a fused activation is not supported; a layer of its own is".into());
    }
    let count = cx.operator.inputs.len();
    let inputs: Vec<ValueId> = (0..count).map(|i| cx.value(i)).collect::<Result<_, _>>()?;
    let dims = cx.result(0)?.shape.clone();
    along(cx, &inputs, axis_of(axis, dims.len())?, &dims)
}

pub(super) fn pack(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let Options::Pack(o) = &cx.operator.options else { return Err("has no options of PACK".into()) };
    let axis = o.axis.into();
    let count = cx.operator.inputs.len();
    let inputs: Vec<ValueId> = (0..count).map(|i| cx.value(i)).collect::<Result<_, _>>()?;
    let dims = cx.result(0)?.shape.clone();
    along(cx, &inputs, axis_of(axis, dims.len())?, &dims)
}

/// Operands one behind the other along an axis of a result of `dims`: channels need no copy, nor do rows: what lies behind the axis is seen as channels.
fn along(cx: &mut Cx<'_, '_>, inputs: &[ValueId], axis: usize, dims: &[usize]) -> Result<(), String> {
    let outer: usize = dims[..axis].iter().product();
    let formats: Vec<_> = inputs.iter().map(|id| cx.format(*id)).collect();
    // Operands of PACK have an axis less: their last one is no axis of channels in the result.
    if axis + 1 == dims.len() && inputs.iter().all(|id| cx.shape(*id).area() == outer) {
        return cx.finish(Concat, inputs);
    }
    // Elements in front of the axis are pixels, those behind it are channels: what lies side by side stays so.
    let mut rows = vec![];
    for (id, format) in inputs.iter().zip(formats) {
        let to = Shape::new(1, outer, cx.shape(*id).len() / outer.max(1));
        let same = cx.shape(*id) == to;
        rows.push(if same { *id } else { cx.node("rows", Reshape { to }, &[*id], format)? });
    }
    cx.finish_reshaped(Concat, &rows)
}
