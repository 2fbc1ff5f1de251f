//! Resizing of height and width.

use super::super::{
    context::{Cx, Made, live},
    layout::Layout,
    value::Live,
};
use crate::{
    Shape,
    ops::{self, Coordinates, Interpolation, Nearest, Sampling},
};

/// `Resize`; its first version as [`upsample`].
pub(super) fn resize(cx: &mut Cx<'_, '_>) -> Made {
    if cx.version < 11 {
        return upsample(cx);
    }
    cx.ignore(&["extrapolation_value"]);
    let interpolation = {
        let (mode, nearest) = (cx.text("mode", "nearest")?, cx.text("nearest_mode", "round_prefer_floor")?);
        let (a, exclude_outside) = (cx.float("cubic_coeff_a", -0.75)?, cx.flag("exclude_outside", false)?);
        match mode {
            "nearest" => Interpolation::Nearest(match nearest {
                "round_prefer_floor" => Nearest::RoundPreferFloor,
                "round_prefer_ceil" => Nearest::RoundPreferCeil,
                "floor" => Nearest::Floor,
                "ceil" => Nearest::Ceil,
                other => return Err(format!("attribute `nearest_mode`: `{other}` is not known")),
            }),
            "linear" if exclude_outside => {
                return Err("attribute `exclude_outside` 1 with mode `linear`".into());
            }
            "linear" => Interpolation::Linear,
            "cubic" => Interpolation::Cubic { a, exclude_outside },
            other => return Err(format!("attribute `mode`: `{other}` is not known")),
        }
    };
    let coordinates = match cx.text("coordinate_transformation_mode", "half_pixel")? {
        "half_pixel" => Coordinates::HalfPixel,
        "half_pixel_symmetric" => Coordinates::HalfPixelSymmetric,
        "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
        "align_corners" => Coordinates::AlignCorners,
        "asymmetric" => Coordinates::Asymmetric,
        other => {
            return Err(format!("attribute `coordinate_transformation_mode`: `{other}` is not imported"));
        }
    };
    if cx.flag("antialias", false)? {
        return Err("attribute `antialias` 1".into());
    }
    let policy = cx.text("keep_aspect_ratio_policy", "stretch")?;
    let scales = cx.given_known(2)?.filter(|scales| scales.len() > 0);
    let sizes = cx.given_ints(3)?.filter(|sizes| !sizes.is_empty());
    let dims = cx.dims(0)?;
    let axes: Vec<usize> = match cx.ints("axes")? {
        Some(axes) => {
            axes.iter().map(|a| super::super::array::axis(*a, dims.len())).collect::<Result<_, _>>()?
        }
        None => (0..dims.len()).collect(),
    };
    match (scales, sizes) {
        (Some(scales), None) => by_scales(cx, &axes, scales.as_floats()?, coordinates, interpolation),
        (None, Some(sizes)) => {
            let sizes = super::super::context::sizes("sizes", &sizes)?;
            if sizes.len() != axes.len() {
                return Err(format!("sizes {sizes:?} for axes {axes:?}"));
            }
            let ratios = axes.iter().zip(&sizes).map(|(axis, size)| *size as f64 / dims[*axis] as f64);
            // One scale for all axes, so that none is longer, or none is shorter, than it says.
            let scale = match policy {
                "stretch" => None,
                "not_larger" => ratios.min_by(f64::total_cmp),
                "not_smaller" => ratios.max_by(f64::total_cmp),
                other => return Err(format!("attribute `keep_aspect_ratio_policy`: `{other}` is not known")),
            };
            let (mut to, mut scales) = (dims.clone(), vec![1.0; dims.len()]);
            for (axis, size) in axes.iter().zip(sizes) {
                let scaled = |scale: f64| (scale * dims[*axis] as f64 + 0.5).floor() as usize;
                to[*axis] = scale.map_or(size, scaled);
                scales[*axis] = scale.unwrap_or(1.0) as f32;
            }
            resized(cx, &to, scale.map(|_| &scales[..]), coordinates, interpolation)
        }
        _ => Err("expected either scales or sizes".into()),
    }
}

/// `Upsample`, with scales as an attribute or, since version 9, as an input.
pub(super) fn upsample(cx: &mut Cx<'_, '_>) -> Made {
    let interpolation = match cx.text("mode", "nearest")? {
        "nearest" => Interpolation::Nearest(Nearest::Floor),
        "linear" | "bilinear" => Interpolation::Linear,
        other => return Err(format!("attribute `mode`: `{other}` is not known")),
    };
    let scales = match cx.floats("scales")? {
        Some(scales) => scales.to_vec(),
        None => cx.known(1)?.as_floats()?.to_vec(),
    };
    let axes: Vec<usize> = (0..cx.dims(0)?.len()).collect();
    by_scales(cx, &axes, &scales, Coordinates::Asymmetric, interpolation)
}

fn by_scales(
    cx: &mut Cx<'_, '_>,
    axes: &[usize],
    given: &[f32],
    coordinates: Coordinates,
    interpolation: Interpolation,
) -> Made {
    let mut to = cx.dims(0)?;
    if given.len() != axes.len() || given.iter().any(|scale| !(*scale > 0.0 && scale.is_finite())) {
        return Err(format!("expected a positive scale for each of axes {axes:?}, got {given:?}"));
    }
    let mut scales = vec![1.0; to.len()];
    for (axis, scale) in axes.iter().zip(given) {
        // In single precision, as onnxruntime has it.
        let size = (to[*axis] as f32 * scale).floor();
        if !(1.0..=ops::MAX_ELEMENTS as f32).contains(&size) {
            return Err(format!("a scale of {scale} makes {size} elements of {}", to[*axis]));
        }
        (to[*axis], scales[*axis]) = (size as usize, *scale);
    }
    resized(cx, &to, Some(&scales), coordinates, interpolation)
}

fn resized(
    cx: &mut Cx<'_, '_>,
    to: &[usize],
    scales: Option<&[f32]>,
    coordinates: Coordinates,
    interpolation: Interpolation,
) -> Made {
    let (input, name) = (cx.live(0)?, cx.name.clone());
    let is_other =
        |axis: &usize| to[*axis] != input.dims()[*axis] || scales.is_some_and(|scales| scales[*axis] != 1.0);
    let changed: Vec<usize> = (0..to.len()).filter(is_other).collect();
    let [h, w, c] = Layout::usual_groups(input.dims());
    // Height and width as usual, or else the two axes that change.
    let groups: [Vec<usize>; 3] = if changed.iter().all(|axis| h == [*axis] || w == [*axis]) {
        [h, w, c]
    } else {
        let rest = (0..to.len()).filter(|axis| !changed.contains(axis)).collect();
        match changed[..] {
            [one] => [vec![], vec![one], rest],
            [one, two] => [vec![one], vec![two], rest],
            _ => {
                return Err(format!(
                    "{:?} to {to:?}: expected other sizes of two axes at most",
                    input.dims()
                ));
            }
        }
    };
    let [h, w, c] = &groups;
    let input = cx.graph.arranged(&name, &input, [h, w, c])?;
    let from = input.at.shape();
    let of = |group: &[usize]| group.iter().map(|axis| to[*axis]).product::<usize>();
    let scale = |group: &[usize]| group.iter().filter_map(|axis| Some(scales?[*axis])).product::<f32>();
    let sampling = Sampling { coordinates, interpolation, scales: scales.map(|_| [scale(h), scale(w)]) };
    let size = [of(h), of(w)];
    // Before positions are computed.
    ops::check_shape(Shape::new(size[0], size[1], from.c))?;
    let id = cx.graph.op(&name, ops::Resize::sampled(from, size, sampling), &[input.id])?;
    live(Live { id, at: Layout::of(to, [h, w, c]), of: input.of })
}
