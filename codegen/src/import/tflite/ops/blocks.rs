//! SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND: what stands between them computes on every so many pixels of one map, which a dilation says too.

use super::{
    arithmetic::one_scale,
    indexing::{margins, padded},
};
use crate::{
    graph::ValueId,
    import::tflite::context::Cx,
    ops::{Index, check_shape},
    tensor::Shape,
};

/// Rows and columns of blocks, and the paddings or crops of the map's rows and columns.
fn described(cx: &Cx<'_, '_>, axes: usize) -> Result<([usize; 2], [[usize; 2]; 2]), String> {
    let sizes = cx.known(1)?.integers();
    let size =
        |n: i64| usize::try_from(n).ok().filter(|n| (1..1 << 16).contains(n)).ok_or(format!("blocks of {n}"));
    let ends = margins(cx, 2, sizes.len())?;
    match (&sizes[..], axes) {
        ([columns], 3) => Ok(([1, size(*columns)?], [[0; 2], ends[0]])),
        ([rows, columns], 4) => Ok(([size(*rows)?, size(*columns)?], [ends[0], ends[1]])),
        _ => Err(format!("blocks of {} axes in a tensor of {axes}", sizes.len())),
    }
}

/// The whole map stays as it is, padded; only its tensor in the file is taken apart.
pub(super) fn space_to_batch(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let dims = &cx.tensor(0)?.shape;
    if dims.first() != Some(&1) {
        return Err(format!("an operand of {dims:?}, expected a batch of 1"));
    }
    let (blocks, [rows, columns]) = described(cx, dims.len())?;
    let input = cx.value(0)?;
    one_scale(cx, &[input])?;
    let shape = cx.shape(input);
    let to = Shape::new(shape.h + rows[0] + rows[1], shape.w + columns[0] + columns[1], shape.c);
    check_shape(to)?;
    if !to.h.is_multiple_of(blocks[0]) || !to.w.is_multiple_of(blocks[1]) {
        return Err(format!(
            "blocks of {} x {} pixels do not fill {} x {}",
            blocks[0], blocks[1], to.h, to.w
        ));
    }
    cx.set_blocks(Some(blocks));
    picked(cx, input, [padded(shape.h, rows), padded(shape.w, columns)])
}

pub(super) fn batch_to_space(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let dims = &cx.tensor(0)?.shape;
    let (blocks, crops) = described(cx, dims.len())?;
    let input = cx.value(0)?;
    one_scale(cx, &[input])?;
    if cx.blocks(0)? != blocks {
        return Err("is supported only behind a SPACE_TO_BATCH_ND of the same blocks".into());
    }
    cx.set_blocks(None);
    let shape = cx.shape(input);
    let kept = |len: usize, [before, after]: [usize; 2]| -> Result<Vec<i32>, String> {
        let end = len.checked_sub(after).filter(|end| *end > before);
        Ok((before as i32..end.ok_or(format!("crops of {before} and {after} of {len} pixels"))? as i32)
            .collect())
    };
    let (rows, columns) = (kept(shape.h, crops[0])?, kept(shape.w, crops[1])?);
    picked(cx, input, [rows, columns])
}

/// The first result: these rows and columns of a value, which is itself where they are all of it.
fn picked(cx: &mut Cx<'_, '_>, input: ValueId, [rows, columns]: [Vec<i32>; 2]) -> Result<(), String> {
    let (from, to) = (cx.shape(input), cx.result_shape(0)?);
    let axis = |picks: Vec<i32>, len: usize| (!picks.iter().copied().eq(0..len as i32)).then(|| picks.into());
    let (rows, columns) = (axis(rows, from.h), axis(columns, from.w));
    if rows.is_none() && columns.is_none() && from == to {
        cx.alias(input);
        return Ok(());
    }
    cx.finish(Index { rows, columns, channels: None, pad: 0.0 }, &[input])
}
