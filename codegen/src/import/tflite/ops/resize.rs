//! RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR.

use crate::{
    import::tflite::{context::Cx, reader::Options},
    ops::{Resize, ResizeMode},
};

/// Options and height and width of the result.
fn options(cx: &Cx<'_, '_>) -> Result<(bool, bool, [usize; 2]), String> {
    let (align_corners, half_pixel_centers) = match &cx.operator.options {
        Options::ResizeBilinear(o) => (o.align_corners, o.half_pixel_centers),
        Options::ResizeNearestNeighbor(o) => (o.align_corners, o.half_pixel_centers),
        _ => return Err("has no options of resizing".into()),
    };
    if align_corners && half_pixel_centers {
        return Err("corners cannot be aligned if pixels have their centres at halves".into());
    }
    let [1, h, w, _] = cx.result(0)?.shape[..] else { return Err("expected a map of batch 1".into()) };
    Ok((align_corners, half_pixel_centers, [h, w]))
}

pub(super) fn bilinear(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let (align_corners, half_pixel_centers, size) = options(cx)?;
    let mode = match (align_corners, half_pixel_centers) {
        (true, _) => ResizeMode::BilinearAligned,
        (_, true) => ResizeMode::Bilinear,
        _ => ResizeMode::BilinearAsymmetric,
    };
    let input = cx.map(0)?;
    cx.finish(Resize { size, mode }, &[input])
}

pub(super) fn nearest(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let (align_corners, half_pixel_centers, size) = options(cx)?;
    let mode = match (align_corners, half_pixel_centers) {
        (true, _) => ResizeMode::NearestAligned,
        (_, true) => ResizeMode::NearestHalfPixel,
        _ => ResizeMode::Nearest,
    };
    let input = cx.map(0)?;
    cx.finish(Resize { size, mode }, &[input])
}
