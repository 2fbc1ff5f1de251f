//! What takes elements from where they are: slices, gathers, pads, and what puts tensors side by side.

use super::super::{
    array::{Array, Data, axis, places, strides},
    context::{Cx, Made, known, live, sizes},
    graph::{checked, counted},
    layout::Layout,
    value::{Live, Value},
};
use crate::ops::{Concat, Reshape};

/// Elements of a value along axes by their numbers, `pad` for -1.
fn picked(
    cx: &mut Cx<'_, '_>,
    name: &str,
    value: &Value,
    picks: &[(usize, Vec<i32>)],
    pad: f32,
) -> Result<Value, String> {
    match value {
        Value::Known(array) => of_array(cx, array, picks, pad).map(Value::Known),
        Value::Live(input) if picks.iter().any(|(_, list)| list.is_empty()) => {
            let mut dims = input.dims().to_vec();
            picks.iter().for_each(|(axis, list)| dims[*axis] = list.len());
            Ok(Value::Known(Array::empty(dims, input.of.stored())))
        }
        Value::Live(input) => {
            let input = cx.graph.unrepeated(name, input.clone())?;
            Ok(Value::Live(cx.graph.picked(name, &input, picks, pad)?))
        }
        _ => Err("positions in a tensor".into()),
    }
}

fn of_array(cx: &Cx<'_, '_>, array: &Array, picks: &[(usize, Vec<i32>)], pad: f32) -> Result<Array, String> {
    let mut made = array.clone();
    for (axis, list) in picks {
        let mut dims = made.dims.clone();
        dims[*axis] = list.len();
        cx.check_size(&dims)?;
        let (steps, len) = (strides(&made.dims), made.len());
        // What stands for -1 lies behind the last element.
        let with_pad = match &made.data {
            Data::Float(v) => Data::Float(v.iter().copied().chain([pad]).collect()),
            Data::Int(v) => Data::Int(v.iter().copied().chain([pad as i64]).collect()),
            Data::Bool(v) => Data::Bool(v.iter().copied().chain([pad != 0.0]).collect()),
        };
        let mut of_others = steps.clone();
        of_others[*axis] = 0;
        let inner: usize = dims[*axis + 1..].iter().product();
        let step = steps[*axis];
        let from = places(&dims, &of_others, 0).enumerate().map(|(i, base)| {
            let number = list[i / inner.max(1) % list.len().max(1)];
            if number < 0 { len } else { base + number as usize * step as usize }
        });
        made = Array { data: with_pad, ..made }.pick(dims, from);
    }
    Ok(made)
}

/// `Slice`.
pub(super) fn slice(cx: &mut Cx<'_, '_>) -> Made {
    let (dims, name) = (cx.dims(0)?, cx.name.clone());
    let starts = cx.ints_at("starts", 1)?.ok_or("`starts` are missing")?;
    let ends = cx.ints_at("ends", 2)?.ok_or("`ends` are missing")?;
    let axes = cx.ints_at("axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = cx.given_ints(4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(format!(
            "{} starts, {} ends, {} axes, {} steps",
            starts.len(),
            ends.len(),
            axes.len(),
            steps.len()
        ));
    }
    let mut picks: Vec<(usize, Vec<i32>)> = vec![];
    for i in 0..starts.len() {
        let axis = axis(axes[i], dims.len())?;
        if picks.iter().any(|(other, _)| *other == axis) {
            return Err(format!("axes {axes:?} name one twice"));
        }
        picks.push((axis, range(checked(dims[axis])? as i64, starts[i], ends[i], steps[i])?));
    }
    let value = cx.value(0)?.clone();
    Ok(vec![picked(cx, &name, &value, &picks, 0.0)?])
}

/// The elements of an axis of `size` from `start` to `end`, as Python's slices count them.
fn range(size: i64, start: i64, end: i64, step: i64) -> Result<Vec<i32>, String> {
    let from_start = |at: i64| if at < 0 { at.saturating_add(size) } else { at };
    let (first, last) = if step > 0 { (0, size) } else { (-1, size - 1) };
    let (mut at, end) = (from_start(start).clamp(first, last), from_start(end).clamp(first, last));
    if step == 0 {
        return Err("a step of 0".into());
    }
    let mut list = vec![];
    while (step > 0 && at < end) || (step < 0 && at > end) {
        list.push(at as i32);
        at = at.saturating_add(step);
    }
    Ok(list)
}

/// `Gather` by constant numbers.
pub(super) fn gather(cx: &mut Cx<'_, '_>) -> Made {
    let (dims, name) = (cx.dims(0)?, cx.name.clone());
    let axis =
        axis(cx.int("axis")?.unwrap_or(0), dims.len()).map_err(|e| format!("attribute `axis`: {e}"))?;
    let numbers = cx.known(1)?;
    let size = checked(dims[axis])? as i64;
    let place = |i: &i64| {
        let at = if *i < 0 { i.saturating_add(size) } else { *i };
        (0..size).contains(&at).then_some(at as i32).ok_or_else(|| format!("element {i} of {size}"))
    };
    let list = numbers.as_ints()?.iter().map(place).collect::<Result<Vec<i32>, String>>()?;
    let value = cx.value(0)?.clone();
    let made = picked(cx, &name, &value, &[(axis, list)], 0.0)?;
    let to = [&dims[..axis], &numbers.dims, &dims[axis + 1..]].concat();
    match made {
        Value::Live(made) => live(cx.graph.reshaped(&name, &made, &to)?),
        Value::Known(array) => known(array.with_dims(to)),
        _ => Err("positions in a tensor".into()),
    }
}

/// `Tile`.
pub(super) fn tile(cx: &mut Cx<'_, '_>) -> Made {
    let (dims, name) = (cx.dims(0)?, cx.name.clone());
    let times = sizes(&cx.input_name(1), &cx.given_ints(1)?.ok_or("input 1 is missing")?)?;
    if times.len() != dims.len() {
        return Err(format!("{times:?} repeats of {dims:?}"));
    }
    let to: Option<Vec<usize>> = dims.iter().zip(&times).map(|(d, n)| d.checked_mul(*n)).collect();
    let to = to.ok_or("too many elements")?;
    counted(&to)?;
    to.iter().try_for_each(|size| checked(*size).map(drop))?;
    let picks: Vec<(usize, Vec<i32>)> = (0..dims.len())
        .filter(|axis| times[*axis] != 1)
        .map(|axis| (axis, (0..to[axis]).map(|i| (i % dims[axis]) as i32).collect()))
        .collect();
    let value = cx.value(0)?.clone();
    Ok(vec![picked(cx, &name, &value, &picks, 0.0)?])
}

/// `Split`.
pub(super) fn split(cx: &mut Cx<'_, '_>) -> Made {
    let (dims, name) = (cx.dims(0)?, cx.name.clone());
    let axis =
        axis(cx.int("axis")?.unwrap_or(0), dims.len()).map_err(|e| format!("attribute `axis`: {e}"))?;
    let (outputs, size) = (cx.node.output.len(), checked(dims[axis])?);
    let given = cx.ints_at("split", 1)?;
    let parts = match (given, cx.int("num_outputs")?) {
        (Some(parts), _) => sizes("`split`", &parts)?,
        (None, number) => {
            let number = number.map_or(Ok(outputs), usize::try_from).ok().filter(|n| *n > 0 && *n <= size);
            let number = number.ok_or_else(|| format!("attribute `num_outputs`: of {size} elements"))?;
            let each = size.div_ceil(number);
            (0..number).map(|i| each.min(size.saturating_sub(i * each))).collect()
        }
    };
    if parts.iter().try_fold(0usize, |sum, part| sum.checked_add(*part)) != Some(size)
        || parts.len() < outputs
    {
        return Err(format!("parts of {parts:?} of {size} elements, for {outputs} outputs"));
    }
    let (value, mut first, mut made) = (cx.value(0)?.clone(), 0, vec![]);
    for (i, part) in parts.into_iter().enumerate().take(outputs) {
        let list = (first as i32..(first + part) as i32).collect();
        first += part;
        let name = if i == 0 { name.clone() } else { cx.node.output[i].clone() };
        made.push(match cx.wants(i) {
            true => picked(cx, &name, &value, &[(axis, list)], 0.0)?,
            false => Value::Broken,
        });
    }
    Ok(made)
}

/// `Pad`.
pub(super) fn pad(cx: &mut Cx<'_, '_>) -> Made {
    let (dims, name) = (cx.dims(0)?, cx.name.clone());
    let mode = cx.text("mode", "constant")?;
    let pads = cx.ints_at("pads", 1)?.ok_or("`pads` are missing")?;
    let value = match cx.given_known(2)? {
        Some(array) => {
            array.single().ok_or_else(|| format!("{}: expected one number", cx.input_name(2)))? as f32
        }
        None => cx.float("value", 0.0)?,
    };
    let axes: Vec<usize> = match cx.given_ints(3)? {
        Some(axes) => axes.iter().map(|a| axis(*a, dims.len())).collect::<Result<_, _>>()?,
        None => (0..dims.len()).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(format!("`pads`: expected {} values, got {pads:?}", 2 * axes.len()));
    }
    let (mut picks, mut to) = (vec![], dims.clone());
    let around: Vec<(usize, i64, i64)> = (axes.iter().enumerate())
        .map(|(i, axis)| (*axis, pads[i], pads[i + axes.len()]))
        .filter(|(_, before, after)| (*before, *after) != (0, 0))
        .collect();
    for (axis, before, after) in &around {
        let size =
            (checked(dims[*axis])? as i64).checked_add(*before).and_then(|size| size.checked_add(*after));
        to[*axis] = size
            .and_then(|size| usize::try_from(size).ok())
            .ok_or_else(|| format!("`pads` {pads:?} of {dims:?}"))?;
    }
    counted(&to).map_err(|e| format!("`pads` {pads:?}: {e}"))?;
    for (axis, before, _) in &around {
        let size = dims[*axis] as i64;
        checked(to[*axis])?;
        let place = |i: usize| {
            let at = i as i64 - before;
            Ok(match mode {
                _ if (0..size).contains(&at) => at,
                "constant" => -1,
                "edge" => at.clamp(0, size - 1),
                "wrap" => at.rem_euclid(size),
                "reflect" if size == 1 => 0,
                "reflect" => {
                    let period = 2 * (size - 1);
                    let at = at.rem_euclid(period);
                    at.min(period - at)
                }
                other => return Err(format!("attribute `mode`: `{other}` is not known")),
            } as i32)
        };
        picks.push((*axis, (0..to[*axis]).map(place).collect::<Result<Vec<i32>, String>>()?));
    }
    let from = cx.value(0)?.clone();
    let made = picked(cx, &name, &from, &picks, value)?;
    if let (Value::Live(from), Value::Live(made)) = (&from, &made) {
        let is_frame = around.iter().all(|(axis, before, after)| *axis >= 2 && *before >= 0 && *after >= 0);
        let plain = Layout::usual(&dims);
        if mode == "constant"
            && value == 0.0
            && is_frame
            && matches!(dims.len(), 3 | 4)
            && from.at == plain
            && !around.is_empty()
        {
            let of = |axis: usize| {
                let found = around.iter().find(|(a, ..)| *a == axis);
                found.map_or([0, 0], |(_, before, after)| [*before as usize, *after as usize])
            };
            let ([top, bottom], [left, right]) =
                if dims.len() == 3 { ([0, 0], of(2)) } else { (of(2), of(3)) };
            cx.graph.note_pad(made, from, [top, bottom, left, right]);
        }
    }
    Ok(vec![made])
}

/// `Concat`.
pub(super) fn concat(cx: &mut Cx<'_, '_>) -> Made {
    let name = cx.name.clone();
    let all: Vec<Vec<usize>> = (0..cx.inputs.len()).map(|i| cx.dims(i)).collect::<Result<_, _>>()?;
    let first = all.first().ok_or("no inputs")?;
    let axis = axis(cx.int("axis")?.ok_or("attribute `axis` is missing")?, first.len())
        .map_err(|e| format!("attribute `axis`: {e}"))?;
    let mut dims = first.clone();
    dims[axis] = 0;
    for other in &all {
        let fits = other.len() == dims.len() && (0..dims.len()).all(|i| i == axis || other[i] == dims[i]);
        if !fits {
            return Err(format!("{other:?} beside {first:?} along axis {axis}"));
        }
        dims[axis] = dims[axis].checked_add(other[axis]).ok_or("too many elements")?;
    }
    if cx.is_known() {
        return known(side_by_side(cx, axis, dims)?);
    }
    let mut parts = vec![];
    for i in (0..all.len()).filter(|i| all[*i][axis] > 0) {
        let part = cx.any(i)?;
        parts.push(cx.graph.with_whole(&name, &part, axis)?);
    }
    if let [one] = &parts[..] {
        return live(one.seen(one.at.clone().tidied()));
    }
    // All in one order of memory.
    let shapes_but_one: Vec<Layout> = parts.iter().filter_map(|part| part.at.resized(axis, 1)).collect();
    if shapes_but_one.iter().any(|at| *at != shapes_but_one[0]) {
        let [h, w, c] = Layout::usual_groups(&dims);
        for part in &mut parts {
            *part = cx.graph.arranged(&name, part, [&h, &w, &c])?;
        }
    }
    let of = parts[0].of;
    // What is inside of the axis moves with it: then the axis is the first of the channels.
    let split = |live: &Live| live.at.split_before(axis).ok_or("an axis that is not in one piece");
    let whole = parts[0].at.resized(axis, dims[axis]).ok_or("an axis that is not in one piece")?;
    let is_direct = whole.starts_channels(axis);
    let mut ids = vec![];
    for part in &parts {
        let at = if is_direct { part.at.clone() } else { split(part)? };
        ids.push(cx.graph.moved(&name, part, (at, None))?.id);
    }
    let part = if is_direct { name.clone() } else { format!("{name}.side_by_side") };
    let mut id = cx.graph.op(&part, Concat, &ids)?;
    if !is_direct {
        id = cx.graph.op(&name, Reshape { to: whole.shape() }, &[id])?;
    }
    live(Live { id, at: whole.tidied(), of })
}

/// Constants side by side.
fn side_by_side(cx: &Cx<'_, '_>, axis: usize, dims: Vec<usize>) -> Result<Array, String> {
    cx.check_size(&dims)?;
    let arrays: Vec<Array> = (0..cx.inputs.len()).map(|i| cx.known(i)).collect::<Result<_, _>>()?;
    let outer: usize = dims[..axis].iter().product();
    let lens: Vec<usize> = arrays.iter().map(|a| a.dims[axis..].iter().product()).collect();
    let mut first = 0;
    let mut starts = vec![];
    for array in &arrays {
        starts.push(first);
        first += array.len();
    }
    let order = (0..outer).flat_map(|o| {
        let (starts, lens) = (&starts, &lens);
        (0..lens.len()).flat_map(move |i| (0..lens[i]).map(move |j| starts[i] + o * lens[i] + j))
    });
    let order: Vec<usize> = order.collect();
    let of = arrays.iter().find(|a| a.len() > 0).unwrap_or(&arrays[0]).of;
    let is = |float: bool| {
        arrays.iter().filter(|a| a.len() > 0).all(|a| matches!(a.data, Data::Float(_)) == float)
    };
    let data = if is(true) {
        Data::Float(arrays.iter().flat_map(|a| a.to_f64()).map(|x| x as f32).collect())
    } else if is(false) && arrays.iter().all(|a| !matches!(a.data, Data::Bool(_))) {
        let ints = arrays.iter().filter_map(|a| a.as_ints().ok()).flatten().copied();
        Data::Int(ints.collect())
    } else {
        return Err("constants of different types".into());
    };
    Ok(Array { dims: vec![first], data, of }.pick(dims, order.into_iter()))
}
