//! RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR.

use super::arithmetic::one_scale;
use crate::{
    format::{Format, QParams},
    import::tflite::{
        context::Cx,
        reader::{Element, Options},
    },
    ops::{
        Add, Constant, Function, Index, Mul, PointWise, Rescale, Resize, ResizeMode, TabledFunction,
        check_shape,
    },
    tensor::{Shape, Tensor},
};
use niello_kernels::Float;

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
    if cx.result(0)?.element == Element::UInt8 {
        return mixed_without_sign(cx, align_corners, half_pixel_centers, size);
    }
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

/// Where a new row or column lies, in single precision.
struct Taps {
    /// The pixels below and above.
    pixels: [Vec<i32>; 2],
    /// Their weights.
    weights: [Vec<f32>; 2],
}

impl Taps {
    fn new(size: usize, out: usize, align_corners: bool, half_pixel_centers: bool) -> Self {
        let scale = match align_corners && out > 1 {
            true => (size - 1) as f32 / (out - 1) as f32,
            false => size as f32 / out as f32,
        };
        let at = |o: usize| match half_pixel_centers {
            true => (o as f32 + 0.5) * scale - 0.5,
            false => o as f32 * scale,
        };
        let low = |o: usize| (at(o).floor() as i32).max(0);
        let high = |o: usize| (at(o).ceil() as i32).min(size as i32 - 1);
        let part = |o: usize| at(o) - low(o) as f32;
        let pixels = [(0..out).map(low).collect(), (0..out).map(high).collect()];
        let weights = [(0..out).map(|o| 1.0 - part(o)).collect(), (0..out).map(part).collect()];
        Self { pixels, weights }
    }
}

/// Codes without a sign, which the reference kernel mixes as real numbers in single precision, one operation after the other.
fn mixed_without_sign(
    cx: &mut Cx<'_, '_>,
    align_corners: bool,
    half_pixel_centers: bool,
    size: [usize; 2],
) -> Result<(), String> {
    let input = cx.map(0)?;
    one_scale(cx, &[input])?;
    let shape = cx.shape(input);
    let taps = |i: usize, from: usize| Taps::new(from, size[i], align_corners, half_pixel_centers);
    let (rows, columns) = (taps(0, shape.h), taps(1, shape.w));
    let QParams { scale, zero_point } = cx.result_params()?;
    let (scale, zero) = (scale as f64, zero_point as f64 + 128.0);
    // Codes as numbers from 0 to 255, and numbers as codes.
    let as_numbers = Format::Int8(QParams { scale: 1.0, zero_point: -128 });
    let real = Format::Float(Float::F32);
    let entries = std::array::from_fn(|i| (i as i32 - 128) as i8);
    let to_numbers = TabledFunction::new(Function::Affine(1.0 / scale, zero), entries);
    let to_codes = TabledFunction::new(Function::Affine(scale, -zero * scale), entries);
    let codes = cx.node("codes", to_numbers, &[input], as_numbers)?;
    let numbers = cx.node("numbers", Rescale, &[codes], real)?;
    let to = Shape::new(size[0], size[1], 1);
    check_shape(Shape { c: shape.c, ..to })?;
    // A weight for each pixel.
    let map = |cx: &mut Cx<'_, '_>, of: &dyn Fn(usize, usize) -> f32| {
        let all = (0..to.h).flat_map(|y| (0..to.w).map(move |x| of(y, x))).collect();
        let value = Tensor::new(to, all).ok_or("a map of another size")?;
        cx.node("weights", Constant { value }, &[], real)
    };
    let (mut by_rows, mut by_columns) = (vec![], vec![]);
    for i in 0..2 {
        by_rows.push(map(cx, &|y, _| rows.weights[i][y])?);
        by_columns.push(map(cx, &|_, x| columns.weights[i][x])?);
    }
    let mut sum = None;
    for (row, column) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        let picked = Index {
            rows: Some(rows.pixels[row].clone().into()),
            columns: Some(columns.pixels[column].clone().into()),
            ..Index::NONE
        };
        let pixels = cx.node("pixels", picked, &[numbers], real)?;
        let by_row = cx.node("rows", Mul::default(), &[pixels, by_rows[row]], real)?;
        let part = cx.node("part", Mul::default(), &[by_row, by_columns[column]], real)?;
        sum = Some(match sum {
            None => part,
            Some(sum) => cx.node("sum", Add::default(), &[sum, part], real)?,
        });
    }
    let half = PointWise(Function::Affine(1.0, 0.5));
    let raised = cx.node("raised", half, &[sum.ok_or("no parts")?], real)?;
    let floor = cx.node("floor", PointWise(Function::Floor), &[raised], real)?;
    let codes = cx.node("mixed", Rescale, &[floor], as_numbers)?;
    cx.finish(to_codes, &[codes])
}
