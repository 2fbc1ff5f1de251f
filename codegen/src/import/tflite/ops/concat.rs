//! CONCATENATION and PACK.

use super::{arithmetic::one_scale, clamp};
use crate::{
    format::Format,
    graph::ValueId,
    import::tflite::{
        context::Cx,
        reader::{Element, Options},
    },
    ops::{Clamp, Concat, Function, Reshape, TabledFunction},
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
    let mut inputs: Vec<ValueId> = (0..count).map(|i| cx.value(i)).collect::<Result<_, _>>()?;
    if cx.result(0)?.element == Element::UInt8 {
        for id in &mut inputs {
            *id = rescaled(cx, *id)?;
        }
    } else if cx.result(0)?.element == Element::Int16 {
        one_scale(cx, &inputs)?;
    }
    let dims = cx.result(0)?.shape.clone();
    along(cx, &inputs, axis_of(axis, dims.len())?, &dims)
}

/// An operand without a sign in the result's scale: rescaled in single precision, as the reference kernel does.
fn rescaled(cx: &mut Cx<'_, '_>, id: ValueId) -> Result<ValueId, String> {
    let to = cx.result_params()?;
    let Format::Int8(from) = cx.format(id) else { return Ok(id) };
    if from == to {
        return Ok(id);
    }
    let scale = from.scale * (1.0 / to.scale);
    let bias = -((from.zero_point as i32 + 128) as f32) * scale;
    let entries = std::array::from_fn(|code| {
        let code = (code as f32 * scale + bias).round() as i32 + to.zero_point as i32 + 128;
        (code.clamp(0, 255) - 128) as i8
    });
    cx.node("rescaled", TabledFunction::new(Function::Affine(1.0, 0.0), entries), &[id], Format::Int8(to))
}

pub(super) fn pack(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let Options::Pack(o) = &cx.operator.options else { return Err("has no options of PACK".into()) };
    let axis = o.axis.into();
    let count = cx.operator.inputs.len();
    let inputs: Vec<ValueId> = (0..count).map(|i| cx.value(i)).collect::<Result<_, _>>()?;
    if cx.result(0)?.element == Element::Int16 {
        one_scale(cx, &inputs)?;
    }
    let dims = cx.result(0)?.shape.clone();
    along(cx, &inputs, axis_of(axis, dims.len())?, &dims)
}

/// Maps one below the other, or side by side.
pub(super) fn joined(cx: &mut Cx<'_, '_>, maps: &[ValueId], side_by_side: bool) -> Result<ValueId, String> {
    if let [one] = maps {
        return Ok(*one);
    }
    let format = cx.format(maps[0]);
    let (mut rows, mut to) = (vec![], Shape { h: 0, w: 0, ..cx.shape(maps[0]) });
    for id in maps {
        let Shape { h, w, c } = cx.shape(*id);
        to = if side_by_side { Shape::new(h, to.w + w, c) } else { Shape::new(to.h + h, w, c) };
        let seen = if side_by_side { Shape::new(1, h, w * c) } else { Shape::new(1, 1, h * w * c) };
        rows.push(cx.node("rows", Reshape { to: seen }, &[*id], format)?);
    }
    let joined = cx.node("joined", Concat, &rows, format)?;
    cx.node("map", Reshape { to }, &[joined], format)
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
