//! Elements picked by their positions along each axis: pads, slices, splits, gathering.

use super::{super::context::Cx, arithmetic::one_scale, concat::axis_of};
use crate::{
    graph::ValueId,
    import::tflite::reader::{Mirror, Options},
    ops::Index,
};
use std::sync::Arc;

/// For an axis of the operand, which element each element of the result is (-1: padding); `None` for all as they are.
type Picks = Vec<Option<Vec<i32>>>;

/// Result `i`: elements of an operand of `dims`.
fn pick(
    cx: &mut Cx<'_, '_>,
    i: usize,
    input: ValueId,
    dims: &[usize],
    picks: Picks,
    pad: f32,
) -> Result<(), String> {
    let identity =
        |picks: &[i32], len: usize| picks.len() == len && picks.iter().zip(0..).all(|(p, i)| *p == i);
    let mut picks: Picks = picks
        .into_iter()
        .zip(dims)
        .map(|(picks, len)| picks.filter(|picks| !identity(picks, *len)))
        .collect();
    // Axes are counted from the last one; those in front of columns are rows together.
    while picks.len() < 3 {
        picks.insert(0, None);
    }
    let front = dims.len().saturating_sub(2);
    let [.., columns, channels] = &picks[..] else { return Err("expected axes".into()) };
    let shared = |picks: &Option<Vec<i32>>| picks.as_ref().map(|picks| Arc::from(&picks[..]));
    let (columns, channels) = (shared(columns), shared(channels));
    let of_rows = &picks[picks.len() - 2 - front.max(1)..picks.len() - 2];
    let rows = if of_rows.iter().all(Option::is_none) {
        None
    } else {
        let mut rows = vec![0i32];
        for (picks, len) in of_rows.iter().zip(&dims[..front]) {
            let all: Vec<i32> = picks.clone().unwrap_or_else(|| (0..*len as i32).collect());
            let at = |row: i32, pick: i32| if row < 0 || pick < 0 { -1 } else { row * *len as i32 + pick };
            rows = rows.iter().flat_map(|row| all.iter().map(move |pick| at(*row, *pick))).collect();
        }
        Some(rows.into())
    };
    cx.finish_result(i, Index { rows, columns, channels, pad }, &[input])
}

/// No picks for any axis.
fn all(dims: &[usize]) -> Picks {
    vec![None; dims.len()]
}

/// Constant pairs of operand `i`: before and after each axis.
pub(super) fn margins(cx: &Cx<'_, '_>, i: usize, rank: usize) -> Result<Vec<[usize; 2]>, String> {
    let of = cx.known(i)?.integers();
    let margin = |n: i64| usize::try_from(n).ok().filter(|n| *n < 1 << 24).ok_or(format!("a padding of {n}"));
    if of.len() != 2 * rank {
        return Err(format!("{} paddings for {rank} axes", of.len()));
    }
    of.as_chunks::<2>().0.iter().map(|[before, after]| Ok([margin(*before)?, margin(*after)?])).collect()
}

pub(super) fn pad(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let dims = cx.tensor(0)?.shape.clone();
    let margins = margins(cx, 1, dims.len())?;
    let value = match cx.has(2) {
        true => *cx.known(2)?.real().first().ok_or("has no value to pad with")?,
        false => 0.0,
    };
    let input = cx.value(0)?;
    match cx.blocks(0)? {
        [1, 1] => {
            let picks = dims.iter().zip(margins).map(|(len, margin)| Some(padded(*len, margin))).collect();
            pick(cx, 0, input, &dims, picks, value)
        }
        [rows, columns] => match margins[..] {
            [[0, 0], top, left, channels] => {
                let of = |margin: [usize; 2], block: usize| margin.map(|n| n * block);
                let shape = cx.shape(input);
                let picks = [(shape.h, of(top, rows)), (shape.w, of(left, columns)), (shape.c, channels)];
                let [rows, columns, channels] = picks.map(|(len, margin)| Some(padded(len, margin).into()));
                cx.finish(Index { rows, columns, channels, pad: value }, &[input])
            }
            _ => Err(format!("paddings {margins:?} of maps that SPACE_TO_BATCH_ND made")),
        },
    }
}

/// `len` elements with padding before and after.
pub(super) fn padded(len: usize, [before, after]: [usize; 2]) -> Vec<i32> {
    let padding = |n| std::iter::repeat_n(-1, n);
    padding(before).chain(0..len as i32).chain(padding(after)).collect()
}

pub(super) fn mirror_pad(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let Options::MirrorPad(o) = &cx.operator.options else {
        return Err("has no options of MIRROR_PAD".into());
    };
    let mode = o.mode;
    let dims = cx.tensor(0)?.shape.clone();
    let mut picks = vec![];
    for (len, [before, after]) in dims.iter().zip(margins(cx, 1, dims.len())?) {
        let (len, edge) = (*len as i32, if mode == Mirror::Reflect { 1 } else { 0 });
        if before.max(after) as i32 > len - edge {
            return Err(format!("a padding of {before} and {after} mirrors more than {len} elements"));
        }
        let low = (0..before as i32).rev().map(|i| i + edge);
        let high = (0..after as i32).map(|i| len - 1 - edge - i);
        picks.push(Some(low.chain(0..len).chain(high).collect()));
    }
    let input = cx.value(0)?;
    pick(cx, 0, input, &dims, picks, 0.0)
}

pub(super) fn slice(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let dims = cx.tensor(0)?.shape.clone();
    let (begin, size) = (cx.known(1)?.integers(), cx.known(2)?.integers());
    if begin.len() != dims.len() || size.len() != dims.len() {
        return Err(format!("bounds of {} and {} axes for {}", begin.len(), size.len(), dims.len()));
    }
    let mut picks = vec![];
    for ((len, begin), size) in dims.iter().zip(begin).zip(size) {
        let len = *len as i64;
        let end = if size < 0 { len } else { begin.saturating_add(size) };
        if begin < 0 || begin > end || end > len {
            return Err(format!("elements {begin} to {end} of {len}"));
        }
        picks.push(Some((begin as i32..end as i32).collect()));
    }
    let input = cx.value(0)?;
    pick(cx, 0, input, &dims, picks, 0.0)
}

pub(super) fn strided_slice(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let Options::StridedSlice(masks) = &cx.operator.options else {
        return Err("has no options of STRIDED_SLICE".into());
    };
    if masks.offset {
        return Err("ends as offsets are not supported".into());
    }
    let dims = cx.tensor(0)?.shape.clone();
    let [begin, end, step] = [1, 2, 3].map(|i| cx.known(i).map(|known| known.integers()));
    let (begin, end, step) = (begin?, end?, step?);
    let is_set = |mask: i32, i: usize| i < 32 && mask >> i & 1 != 0;
    // New axes have one element, which needs no pick; an ellipsis stands for the axes that no bounds are left for.
    let is_new = |i: usize| is_set(masks.new_axis_mask, i) && !is_set(masks.ellipsis_mask, i);
    let is_axis = |i: usize| !is_new(i) && !is_set(masks.ellipsis_mask, i);
    let axes = (0..begin.len()).filter(|i| is_axis(*i)).count();
    if axes > dims.len() || [end.len(), step.len()] != [begin.len(); 2] {
        return Err(format!("bounds of {} axes for {}", begin.len(), dims.len()));
    }
    let mut bounds = vec![];
    for i in 0..begin.len() {
        match is_set(masks.ellipsis_mask, i) {
            true => bounds.extend(std::iter::repeat_n(None, dims.len() - axes)),
            false if is_new(i) => {}
            false => bounds.push(Some(i)),
        }
    }
    if bounds.len() > dims.len() {
        return Err("several ellipses".into());
    }
    let mut picks = all(&dims);
    for ((pick, len), i) in picks.iter_mut().zip(&dims).zip(bounds) {
        let Some(i) = i else { continue };
        let (len, step, is_set) = (*len as i64, step[i], |mask: i32| is_set(mask, i));
        if step == 0 {
            return Err("a step of 0".into());
        }
        let [low, high] = if step > 0 { [0, len] } else { [-1, len - 1] };
        let wrapped = |at: i64| if at < 0 { at.saturating_add(len) } else { at };
        let from = if is_set(masks.begin_mask) {
            if step > 0 { 0 } else { len - 1 }
        } else {
            wrapped(begin[i]).clamp(low, high)
        };
        let to = match () {
            _ if is_set(masks.shrink_axis_mask) => from + step.signum(),
            _ if is_set(masks.end_mask) => {
                if step > 0 {
                    len
                } else {
                    -1
                }
            }
            _ => wrapped(end[i]).clamp(low, high),
        };
        let mut all = vec![];
        let mut at = from;
        while (step > 0 && at < to) || (step < 0 && at > to) {
            if !(0..len).contains(&at) {
                return Err(format!("element {at} of {len}"));
            }
            all.push(at as i32);
            at = at.saturating_add(step);
        }
        *pick = Some(all);
    }
    let input = cx.value(0)?;
    pick(cx, 0, input, &dims, picks, 0.0)
}

pub(super) fn gather(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let Options::Gather(o) = &cx.operator.options else { return Err("has no options of GATHER".into()) };
    let axis = o.axis.into();
    if o.batch_dims != 0 {
        return Err("batches of indices are not supported".into());
    }
    let dims = cx.tensor(0)?.shape.clone();
    let at = axis_of(axis, dims.len())?;
    let indices = cx.known(1)?.integers();
    if let Some(bad) = indices.iter().find(|i| **i < 0 || **i >= dims[at] as i64) {
        return Err(format!("index {bad} of {} elements", dims[at]));
    }
    let mut picks = all(&dims);
    picks[at] = Some(indices.iter().map(|i| *i as i32).collect());
    let input = cx.value(0)?;
    pick(cx, 0, input, &dims, picks, 0.0)
}

/// Consecutive parts of these sizes along an axis, one for each result.
fn parts(cx: &mut Cx<'_, '_>, operand: usize, axis: i64, sizes: &[usize]) -> Result<(), String> {
    let dims = cx.tensor(operand)?.shape.clone();
    let at = axis_of(axis, dims.len())?;
    if sizes.iter().sum::<usize>() != dims[at] || sizes.len() != cx.operator.outputs.len() {
        return Err(format!("parts of {sizes:?} of {} elements", dims[at]));
    }
    let input = cx.value(operand)?;
    let mut from = 0;
    for (i, size) in sizes.iter().enumerate() {
        let mut picks = all(&dims);
        picks[at] = Some((from..from + *size as i32).collect());
        from += *size as i32;
        pick(cx, i, input, &dims, picks, 0.0)?;
    }
    Ok(())
}

pub(super) fn split(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let [axis] = cx.known(0)?.integers()[..] else { return Err("expected one axis".into()) };
    let (dims, count) = (&cx.tensor(1)?.shape, cx.operator.outputs.len());
    let len = dims[axis_of(axis, dims.len())?];
    if count == 0 || !len.is_multiple_of(count) {
        return Err(format!("{count} equal parts of {len} elements"));
    }
    parts(cx, 1, axis, &vec![len / count; count])
}

pub(super) fn split_v(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let [axis] = cx.known(2)?.integers()[..] else { return Err("expected one axis".into()) };
    let dims = &cx.tensor(0)?.shape;
    let len = dims[axis_of(axis, dims.len())?] as i64;
    let sizes = cx.known(1)?.integers();
    let given: i64 = sizes.iter().filter(|size| **size >= 0).sum();
    let sizes: Vec<usize> =
        sizes.iter().map(|size| if *size < 0 { len - given } else { *size }.max(0) as usize).collect();
    parts(cx, 0, axis, &sizes)
}

pub(super) fn unpack(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let Options::Unpack(o) = &cx.operator.options else { return Err("has no options of UNPACK".into()) };
    let axis = o.axis.into();
    let dims = &cx.tensor(0)?.shape;
    let len = dims[axis_of(axis, dims.len())?];
    parts(cx, 0, axis, &vec![1; len])
}

pub(super) fn tile(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let dims = cx.tensor(0)?.shape.clone();
    let times = cx.known(1)?.integers();
    let result = &cx.result(0)?.shape;
    if times.len() != dims.len() || result.len() != dims.len() {
        return Err(format!("{} multiples for {} axes", times.len(), dims.len()));
    }
    let along =
        |(len, to): (&usize, &usize)| Some((0..*to as i32).map(|i| i % (*len).max(1) as i32).collect());
    let picks = dims.iter().zip(result).map(along).collect();
    let input = cx.value(0)?;
    pick(cx, 0, input, &dims, picks, 0.0)
}

pub(super) fn broadcast_to(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let input = cx.value(0)?;
    one_scale(cx, &[input])?;
    let to = super::super::importer::shape_of(&cx.result(0)?.shape)?;
    let wide = cx.broadcast(input, to)?;
    cx.alias(wide);
    Ok(())
}
