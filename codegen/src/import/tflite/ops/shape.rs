//! The same elements in another shape or order.

use super::super::{context::Cx, importer::shape_of};
use crate::{
    import::tflite::reader::Options,
    ops::{Permute, Reshape},
};

/// RESHAPE, SQUEEZE and EXPAND_DIMS: the file declares the shape of the result.
pub(super) fn reshape(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let input = cx.value(0)?;
    let to = match cx.blocks(0)? {
        [1, 1] => shape_of(&cx.result(0)?.shape)?,
        // Maps that blocks were taken apart into have their pixels elsewhere: only axes of one element may come and go.
        [rows, columns] => {
            if (rows == 1 || columns == 1) && cx.result_shape(0)? != cx.shape(input) {
                cx.set_blocks(Some([columns, rows]));
            }
            let (from, to) = (cx.shape(input), cx.result_shape(0)?);
            let pixels = |s: crate::tensor::Shape| [s.h, s.w].into_iter().filter(|n| *n > 1);
            if from.c != to.c || !pixels(from).eq(pixels(to)) {
                return Err(
                    "moves pixels between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND, which is not supported"
                        .into(),
                );
            }
            to
        }
    };
    cx.finish(Reshape { to }, &[input])
}

pub(super) fn transpose(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let sizes = cx.tensor(0)?.shape.clone();
    let order = cx.known(1)?.integers();
    let order: Vec<usize> =
        order.iter().map(|axis| super::concat::axis_of(*axis, sizes.len())).collect::<Result<_, _>>()?;
    permuted(cx, sizes, order)
}

fn permuted(cx: &mut Cx<'_, '_>, sizes: Vec<usize>, order: Vec<usize>) -> Result<(), String> {
    let to = shape_of(&cx.result(0)?.shape)?;
    let input = cx.value(0)?;
    cx.finish(Permute { sizes, order, to }, &[input])
}

/// Side of the blocks of an operand that is a map.
fn block(cx: &Cx<'_, '_>) -> Result<(usize, [usize; 3]), String> {
    let size = match &cx.operator.options {
        Options::SpaceToDepth(o) => o.block_size,
        Options::DepthToSpace(o) => o.block_size,
        _ => return Err("has no size of blocks".into()),
    };
    let [1, h, w, c] = cx.tensor(0)?.shape[..] else { return Err("expected a map of batch 1".into()) };
    Ok((size, [h, w, c]))
}

pub(super) fn space_to_depth(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let (b, [h, w, c]) = block(cx)?;
    if !h.is_multiple_of(b) || !w.is_multiple_of(b) {
        return Err(format!("blocks of {b} pixels do not fill {h} x {w}"));
    }
    permuted(cx, vec![h / b, b, w / b, b, c], vec![0, 2, 1, 3, 4])
}

pub(super) fn depth_to_space(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let (b, [h, w, c]) = block(cx)?;
    if !c.is_multiple_of(b * b) {
        return Err(format!("{c} channels are no blocks of {b} x {b}"));
    }
    permuted(cx, vec![h, w, b, b, c / (b * b)], vec![0, 2, 1, 3, 4])
}
