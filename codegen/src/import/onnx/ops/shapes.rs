//! What changes a tensor's sizes or the order of its axes, and keeps its elements.

use super::super::{
    array::{Array, Type, axis, broadcast, count},
    context::{Cx, Made, known, live, one, sizes},
    graph::counted,
    value::{Places, Value},
};

/// The same elements in row-major order with other sizes.
fn with_dims(cx: &mut Cx<'_, '_>, dims: Vec<usize>) -> Made {
    let value = cx.value(0)?.clone();
    if count(value.dims()) != count(&dims) {
        let have = count(value.dims()).unwrap_or_default();
        let want = count(&dims).map_or("too many".into(), |n| n.to_string());
        return Err(format!("{have} elements of {:?} do not make {dims:?}, which has {want}", value.dims()));
    }
    match value {
        Value::Known(array) => known(array.with_dims(dims)),
        Value::Places(places) => one(Value::Places(Places { dims, ..places })),
        Value::Live(_) | Value::Broken => {
            let (input, name) = (cx.any(0)?, cx.name.clone());
            live(cx.graph.reshaped(&name, &input, &dims)?)
        }
    }
}

/// `Reshape`.
pub(super) fn reshape(cx: &mut Cx<'_, '_>) -> Made {
    let wanted = match cx.ints("shape")? {
        Some(shape) => shape.to_vec(),
        None => cx.sizes_at(1)?.ok_or("input 1 is missing")?,
    };
    let keep_zero = cx.flag("allowzero", false)?;
    let from = cx.dims(0)?;
    let mut dims = vec![];
    for (i, size) in wanted.iter().enumerate() {
        dims.push(match *size {
            -1 => 1,
            0 if !keep_zero => {
                *from.get(i).ok_or_else(|| format!("{wanted:?} keeps axis {i} of {from:?}"))?
            }
            size => usize::try_from(size).map_err(|_| format!("expected sizes, got {wanted:?}"))?,
        });
    }
    let open: Vec<usize> = (0..wanted.len()).filter(|i| wanted[*i] == -1).collect();
    match (open[..].first(), count(&dims), count(&from)) {
        _ if open.len() > 1 => return Err(format!("expected one size of -1, got {wanted:?}")),
        (Some(i), Some(others), Some(all)) if others > 0 && all.is_multiple_of(others) => {
            dims[*i] = all / others
        }
        (Some(_), ..) => return Err(format!("{from:?} does not go into {wanted:?}")),
        _ => {}
    }
    with_dims(cx, dims)
}

/// `Flatten`.
pub(super) fn flatten(cx: &mut Cx<'_, '_>) -> Made {
    let (dims, at) = (cx.dims(0)?, cx.int("axis")?.unwrap_or(1));
    let at = if at == dims.len() as i64 {
        dims.len()
    } else {
        axis(at, dims.len()).map_err(|e| format!("attribute `axis`: {e}"))?
    };
    let size = |dims: &[usize]| count(dims).ok_or("too many elements");
    let dims = vec![size(&dims[..at])?, size(&dims[at..])?];
    with_dims(cx, dims)
}

/// `Squeeze`.
pub(super) fn squeeze(cx: &mut Cx<'_, '_>) -> Made {
    let dims = cx.dims(0)?;
    let drop: Vec<usize> = match cx.ints_at("axes", 1)? {
        Some(axes) => axes.iter().map(|a| axis(*a, dims.len())).collect::<Result<_, _>>()?,
        None => (0..dims.len()).filter(|axis| dims[*axis] == 1).collect(),
    };
    if let Some(axis) = drop.iter().find(|axis| dims[**axis] != 1) {
        return Err(format!("axis {axis} of {dims:?} has more than one element"));
    }
    let kept = (0..dims.len()).filter(|axis| !drop.contains(axis)).map(|axis| dims[axis]).collect();
    with_dims(cx, kept)
}

/// `Unsqueeze`.
pub(super) fn unsqueeze(cx: &mut Cx<'_, '_>) -> Made {
    let dims = cx.dims(0)?;
    let axes = cx.ints_at("axes", 1)?.ok_or("`axes` are missing")?;
    let rank = dims.len() + axes.len();
    let new: Vec<usize> = axes.iter().map(|a| axis(*a, rank)).collect::<Result<_, _>>()?;
    let mut rest = dims.iter().copied();
    let all = (0..rank).map(|axis| if new.contains(&axis) { 1 } else { rest.next().unwrap_or(1) }).collect();
    if rest.next().is_some() {
        return Err(format!("axes {axes:?} name one twice"));
    }
    with_dims(cx, all)
}

/// `Transpose`.
pub(super) fn transpose(cx: &mut Cx<'_, '_>) -> Made {
    let dims = cx.dims(0)?;
    let order = match cx.ints("perm")? {
        Some(perm) => sizes("attribute `perm`", perm)?,
        None => (0..dims.len()).rev().collect(),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if sorted != Vec::from_iter(0..dims.len()) {
        return Err(format!("attribute `perm`: {order:?} is no order of {} axes", dims.len()));
    }
    match cx.value(0)? {
        Value::Known(array) => {
            cx.check_size(&dims)?;
            known(array.transposed(&order))
        }
        Value::Places(_) => Err("positions in a tensor".into()),
        _ => {
            let input = cx.lazy(0)?;
            live(input.seen(input.at.transposed(&order)))
        }
    }
}

/// `Expand`.
pub(super) fn expand(cx: &mut Cx<'_, '_>) -> Made {
    let to = sizes(&cx.input_name(1), &cx.sizes_at(1)?.ok_or("input 1 is missing")?)?;
    let dims = broadcast(&cx.dims(0)?, &to)?;
    if let Value::Known(array) = cx.value(0)? {
        cx.check_size(&dims)?;
        return known(array.expanded(&dims));
    }
    counted(&dims)?;
    let input = cx.lazy(0)?;
    // It stays as it is until somebody needs every element.
    live(input.seen(input.at.repeated(&dims)))
}

/// `Identity`, and operators that do nothing when a network is used.
pub(super) fn identity(cx: &mut Cx<'_, '_>) -> Made {
    one(cx.value(0)?.clone())
}

/// `Dropout`: nothing, unless it is to be trained.
pub(super) fn dropout(cx: &mut Cx<'_, '_>) -> Made {
    cx.ignore(&["ratio", "seed", "is_test"]);
    if cx.given_known(2)?.is_some_and(|mode| mode.single() != Some(0.0)) {
        return Err("training mode; export the network in evaluation mode".into());
    }
    let mut made = identity(cx)?;
    if cx.wants(1) {
        // Everything is kept.
        let dims = cx.dims(0)?;
        cx.check_size(&dims)?;
        made.push(Value::Known(Array::floats(vec![], vec![1.0]).expanded(&dims).cast(Type::Bool)));
    }
    Ok(made)
}

/// `Shape`.
pub(super) fn shape(cx: &mut Cx<'_, '_>) -> Made {
    let dims = cx.dims(0)?;
    let bound = |at: i64| {
        (if at < 0 { at.saturating_add(dims.len() as i64) } else { at }).clamp(0, dims.len() as i64)
    };
    let start = bound(cx.int("start")?.unwrap_or(0)) as usize;
    let end = bound(cx.int("end")?.unwrap_or(i64::MAX)) as usize;
    let part = dims.get(start..end.max(start)).unwrap_or_default();
    known(Array::ints(part.iter().map(|d| *d as i64).collect()))
}

/// `Size`.
pub(super) fn size(cx: &mut Cx<'_, '_>) -> Made {
    let count = count(&cx.dims(0)?).ok_or("too many elements")?;
    known(Array::ints(vec![count as i64]).with_dims(vec![]))
}

/// Axes split, exchanged and joined, as `DepthToSpace` and `SpaceToDepth` are made of.
fn rearranged(cx: &mut Cx<'_, '_>, split: &[usize], order: &[usize], joined: &[usize]) -> Made {
    let (input, name) = (cx.any(0)?, cx.name.clone());
    let parts = cx.graph.reshaped(&name, &input, split)?;
    let parts = parts.seen(parts.at.transposed(order));
    live(cx.graph.reshaped(&name, &parts, joined)?)
}

/// Sizes of the operand, and of a block.
fn block(cx: &Cx<'_, '_>) -> Result<([usize; 4], usize), String> {
    let dims = cx.dims(0)?;
    let [n, c, h, w] = dims[..] else { return Err(format!("expected [N, C, H, W], got {dims:?}")) };
    let block = cx.int("blocksize")?.unwrap_or_default();
    match usize::try_from(block) {
        Ok(size) if size > 0 && size < 1 << 15 => Ok(([n, c, h, w], size)),
        _ => Err(format!("attribute `blocksize`: {block}")),
    }
}

/// `DepthToSpace`.
pub(super) fn depth_to_space(cx: &mut Cx<'_, '_>) -> Made {
    let ([n, c, h, w], b) = block(cx)?;
    let mode = cx.text("mode", "DCR")?;
    if !c.is_multiple_of(b * b) {
        return Err(format!("attribute `blocksize`: blocks of {b} x {b} of {c} channels"));
    }
    let (d, joined) = (c / b / b, [n, c / b / b, h * b, w * b]);
    match mode {
        "DCR" => rearranged(cx, &[n, b, b, d, h, w], &[0, 3, 4, 1, 5, 2], &joined),
        "CRD" => rearranged(cx, &[n, d, b, b, h, w], &[0, 1, 4, 2, 5, 3], &joined),
        other => Err(format!("attribute `mode`: `{other}` is not known")),
    }
}

/// `SpaceToDepth`.
pub(super) fn space_to_depth(cx: &mut Cx<'_, '_>) -> Made {
    let ([n, c, h, w], b) = block(cx)?;
    if !h.is_multiple_of(b) || !w.is_multiple_of(b) {
        return Err(format!("attribute `blocksize`: blocks of {b} x {b} of {h} x {w} pixels"));
    }
    rearranged(cx, &[n, c, h / b, b, w / b, b], &[0, 3, 5, 1, 2, 4], &[n, c * b * b, h / b, w / b])
}
