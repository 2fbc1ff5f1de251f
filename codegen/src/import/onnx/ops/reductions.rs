//! Means, sums, extremes and their positions along axes; softmax.

use super::super::{
    array::{Array, Data, Type, axis, places, strides},
    context::{Cx, Made, known, live},
    value::{Elements, Live, Value},
};
use crate::ops::{
    ArgMax, BatchNorm, Embedding, Function, GlobalAveragePool, Index, LogSoftmax, MaxPool2d, PointWise,
    Reduce, ReduceKind, Softmax,
};

/// The axes of a reduction, and whether they stay with a size of 1; `None` if nothing is reduced.
fn axes(cx: &Cx<'_, '_>) -> Result<Option<(Vec<usize>, bool)>, String> {
    let rank = cx.dims(0)?.len();
    let keep = cx.flag("keepdims", true)?;
    let nothing = cx.flag("noop_with_empty_axes", false)?;
    let axes = cx.ints_at("axes", 1)?.filter(|axes| !axes.is_empty());
    Ok(match axes {
        None if nothing => None,
        None => Some(((0..rank).collect(), keep)),
        Some(axes) => Some((axes.iter().map(|a| axis(*a, rank)).collect::<Result<_, _>>()?, keep)),
    })
}

/// One element for all along axes.
pub(super) fn reduced(
    cx: &mut Cx<'_, '_>,
    name: &str,
    input: &Live,
    of: &[usize],
    keep: bool,
    kind: ReduceKind,
) -> Result<Live, String> {
    let input = match input.at.groups_of(of) {
        Some(_) => input.clone(),
        None => cx.graph.with_channels(name, input, of)?,
    };
    let groups = input.at.groups_of(of).ok_or("axes that are in no order")?;
    let (at, shape) = (input.at.reduced(of, keep), input.at.shape());
    let id = match (kind, groups) {
        (_, [false, false, false]) => input.id,
        // These have kernels of their own.
        (ReduceKind::Mean, [h, w, false]) if (h || shape.h == 1) && (w || shape.w == 1) => {
            cx.graph.op(name, GlobalAveragePool, &[input.id])?
        }
        (ReduceKind::Max, [h, w, false]) if (h || shape.h == 1) && (w || shape.w == 1) => {
            cx.graph.op(name, MaxPool2d::global(shape.h, shape.w), &[input.id])?
        }
        _ => cx.graph.op(name, Reduce { axes: groups, kind }, &[input.id])?,
    };
    Ok(Live { id, at, of: input.of })
}

/// `ReduceMean`, `ReduceSum`, `ReduceMax`, `ReduceMin`.
pub(super) fn reduce(cx: &mut Cx<'_, '_>, kind: ReduceKind) -> Made {
    let Some((of, keep)) = axes(cx)? else { return Ok(vec![cx.value(0)?.clone()]) };
    if let Value::Known(array) = cx.value(0)? {
        let array = array.clone();
        let step = |sum: f64, x: f64| match kind {
            ReduceKind::Mean | ReduceKind::Sum => sum + x,
            ReduceKind::Max => sum.max(x),
            ReduceKind::Min => sum.min(x),
        };
        let start = match kind {
            ReduceKind::Mean | ReduceKind::Sum => 0.0,
            ReduceKind::Max => f64::NEG_INFINITY,
            ReduceKind::Min => f64::INFINITY,
        };
        return known(folded(&array, &of, keep, start, step, kind == ReduceKind::Mean));
    }
    let (input, name) = (cx.numbers(0)?, cx.name.clone());
    match (input.of, kind) {
        (Elements::Whole(of), ReduceKind::Mean) | (Elements::Whole(of @ Type::Bool), ReduceKind::Sum) => {
            Err(format!("elements of type {}; cast them to real numbers", of.name()))
        }
        _ => live(reduced(cx, &name, &input, &of, keep, kind)?),
    }
}

/// `ReduceProd` of constants.
pub(super) fn product(cx: &mut Cx<'_, '_>) -> Made {
    let Some((of, keep)) = axes(cx)? else { return Ok(vec![cx.value(0)?.clone()]) };
    known(folded(&cx.known(0)?, &of, keep, 1.0, |product, x| product * x, false))
}

fn folded(
    array: &Array,
    of: &[usize],
    keep: bool,
    start: f64,
    step: impl Fn(f64, f64) -> f64,
    mean: bool,
) -> Array {
    let (values, steps) = (array.to_f64(), strides(&array.dims));
    let left: Vec<usize> = (0..array.dims.len()).filter(|axis| !of.contains(axis)).collect();
    let part = |axes: &[usize]| -> (Vec<usize>, Vec<isize>) {
        axes.iter().map(|a| (array.dims[*a], steps[*a])).unzip()
    };
    let ((outer, outer_steps), (inner, inner_steps)) = (part(&left), part(of));
    let count = inner.iter().product::<usize>().max(1) as f64;
    let result: Vec<f64> = places(&outer, &outer_steps, 0)
        .map(|first| places(&inner, &inner_steps, first as isize).fold(start, |sum, i| step(sum, values[i])))
        .map(|sum| if mean { sum / count } else { sum })
        .collect();
    let dims = match keep {
        true => {
            (0..array.dims.len()).map(|axis| if of.contains(&axis) { 1 } else { array.dims[axis] }).collect()
        }
        false => outer,
    };
    let data = match array.data {
        Data::Int(_) => Data::Int(result.iter().map(|x| *x as i64).collect()),
        Data::Bool(_) => Data::Bool(result.iter().map(|x| *x != 0.0).collect()),
        Data::Float(_) => Data::Float(result.iter().map(|x| *x as f32).collect()),
    };
    Array { dims, data, of: array.of }
}

/// Reductions of a function of each element, with a function of the result: `ReduceL1`, `ReduceL2` and others.
pub(super) fn reduce_of(cx: &mut Cx<'_, '_>, before: Function, after: Option<Function>) -> Made {
    let Some((of, keep)) = axes(cx)? else { return Err("no axes".into()) };
    let (input, name) = (cx.live(0)?, cx.name.clone());
    let each = cx.graph.same(&format!("{name}.each"), PointWise(before), &input)?;
    let sum = reduced(cx, &name, &each, &of, keep, ReduceKind::Sum)?;
    live(match after {
        Some(function) => cx.graph.function(&name, &sum, function)?,
        None => sum,
    })
}

/// `ReduceLogSum`.
pub(super) fn log_sum(cx: &mut Cx<'_, '_>) -> Made {
    let Some((of, keep)) = axes(cx)? else { return Err("no axes".into()) };
    let (input, name) = (cx.live(0)?, cx.name.clone());
    let sum = reduced(cx, &format!("{name}.sum"), &input, &of, keep, ReduceKind::Sum)?;
    live(cx.graph.function(&name, &sum, Function::Log)?)
}

/// `ArgMax` and, of the negative, `ArgMin`.
pub(super) fn position(cx: &mut Cx<'_, '_>, largest: bool) -> Made {
    let (input, name) = (cx.numbers(0)?, cx.name.clone());
    let rank = input.dims().len();
    let of = axis(cx.int("axis")?.unwrap_or(0), rank).map_err(|e| format!("attribute `axis`: {e}"))?;
    let (keep, last) = (cx.flag("keepdims", true)?, cx.flag("select_last_index", false)?);
    let mut input = cx.graph.with_whole(&name, &input, of)?;
    input = cx.graph.with_channels(&name, &input, &[of])?;
    let (at, c) = (input.at.reduced(&[of], keep), input.at.shape().c);
    if !largest {
        let negative = BatchNorm { factor: vec![-1.0; c], offset: vec![0.0; c] };
        input = cx.graph.same(&format!("{name}.negative"), negative, &input)?;
    }
    if !last {
        let id = cx.graph.op(&name, ArgMax, &[input.id])?;
        return live(Live { id, at, of: Elements::Labels });
    }
    // The first one from behind, whose label is counted from there.
    let channels = Some((0..c as i32).rev().collect());
    let index = Index { rows: None, columns: None, channels, pad: 0.0 };
    let reversed = cx.graph.op(&format!("{name}.reversed"), index, &[input.id])?;
    let label = cx.graph.op(&format!("{name}.from_behind"), ArgMax, &[reversed])?;
    let numbers = (0..c).rev().map(|i| i as f32).collect();
    let id = cx.graph.op(&name, Embedding::new(1, numbers), &[label])?;
    live(Live { id, at, of: Elements::Whole(Type::I64) })
}

/// `Hardmax`: 1 for the first of the largest, else 0.
pub(super) fn hardmax(cx: &mut Cx<'_, '_>) -> Made {
    let of = softmax_axes(cx)?;
    let (input, name) = (cx.live(0)?, cx.name.clone());
    let input = cx.graph.with_channels(&name, &input, &of)?;
    // The first one in the order of the file, which may not be that of memory.
    let order = input.at.order_of_all(&of);
    let c = order.len();
    let mut channel = vec![0; c];
    order.iter().enumerate().for_each(|(at, number)| channel[*number] = at as i32);
    let label = if channel.is_sorted() {
        input.id
    } else {
        let index = Index { rows: None, columns: None, channels: Some(channel.into()), pad: 0.0 };
        cx.graph.op(&format!("{name}.sorted"), index, &[input.id])?
    };
    let label = cx.graph.op(&format!("{name}.largest"), ArgMax, &[label])?;
    let rows = (0..c).flat_map(|row| order.iter().map(move |number| if *number == row { 1.0 } else { 0.0 }));
    live(cx.graph.same(&name, Embedding::new(c, rows.collect()), &Live { id: label, ..input })?)
}

/// The axes of a softmax: since version 13 one, before it and all behind it.
fn softmax_axes(cx: &Cx<'_, '_>) -> Result<Vec<usize>, String> {
    let rank = cx.dims(0)?.len();
    let default = if cx.version < 13 { 1 } else { -1 };
    let of = axis(cx.int("axis")?.unwrap_or(default), rank).map_err(|e| format!("attribute `axis`: {e}"))?;
    Ok(if cx.version < 13 { (of..rank).collect() } else { vec![of] })
}

/// The steps of shares in int8.
const CODES: usize = 256;

/// `Softmax`.
pub(super) fn softmax(cx: &mut Cx<'_, '_>) -> Made {
    let of = softmax_axes(cx)?;
    let (input, name) = (cx.live(0)?, cx.name.clone());
    let is_map = of.iter().any(|axis| *axis != 1 && input.dims()[*axis] > 1);
    let count: usize = of.iter().map(|axis| input.dims()[*axis]).product();
    let input = cx.graph.with_channels(&name, &input, &of)?;
    if is_map && count > CODES {
        // Shares of a map are small, and those of int8 in steps of one by that number. Their logarithms are not; those of classes are left alone.
        let logarithm = cx.graph.same(&format!("{name}.log"), LogSoftmax, &input)?;
        return live(cx.graph.function(&name, &logarithm, Function::Exp)?);
    }
    live(cx.graph.same(&name, Softmax, &input)?)
}

/// `LogSoftmax`.
pub(super) fn log_softmax(cx: &mut Cx<'_, '_>) -> Made {
    let of = softmax_axes(cx)?;
    let (input, name) = (cx.live(0)?, cx.name.clone());
    let input = cx.graph.with_channels(&name, &input, &of)?;
    live(cx.graph.same(&name, LogSoftmax, &input)?)
}
