//! Transposed convolutions, and max unpooling.

use super::{
    super::{
        context::{Cx, Made, live, sizes},
        value::{Elements, Live, Places, Value},
    },
    windows::{AutoPad, auto_pad, kernel_of, layer_name, map, mapped, pads, pair, spatial},
};
use crate::ops::{Concat, MaxUnpool2d, SliceChannels, TransposedConv2d, TransposedConvParams};
use std::rc::Rc;

/// `ConvTranspose`.
pub(super) fn conv_transpose(cx: &mut Cx<'_, '_>) -> Made {
    let axes = spatial(cx)?;
    let input = map(cx, 0)?;
    let weights = cx.weights(1)?;
    let kernel = kernel_of(cx, &weights.dims, axes)?;
    let c = input.dims()[1];
    let groups = cx.int("group")?.unwrap_or(1);
    let fits = usize::try_from(groups).ok().filter(|groups| *groups > 0 && c.is_multiple_of(*groups));
    let Some(groups) = fits else {
        return Err(format!("attribute `group`: {groups} does not divide {c} input channels"));
    };
    if weights.dims[0] != c {
        return Err(format!("{} is for {} channels, the input has {c}", cx.input_name(1), weights.dims[0]));
    }
    let per_group = weights.dims[1];
    let out = per_group.checked_mul(groups).ok_or("too many channels")?;
    let stride = pair(cx, "strides", axes, 1)?;
    let dilation = pair(cx, "dilations", axes, 1)?;
    let mut more = pair(cx, "output_padding", axes, 0)?;
    let mut padding = pads(cx, axes)?;
    let shape = input.at.shape();
    let size = [shape.h, shape.w];
    let reach = |i: usize| (kernel[i] - 1).checked_mul(dilation[i]).map(|reach| reach + 1);
    let (Some(rows), Some(columns)) = (reach(0), reach(1)) else {
        return Err("attribute `dilations`: too large".into());
    };
    let span = [rows, columns];
    let auto = auto_pad(cx)?;
    // The sizes that shall come out, whatever padding that takes.
    let wanted = match cx.ints("output_shape")? {
        Some(ints) => {
            let all = sizes("attribute `output_shape`", ints)?;
            match (axes, all[..].last_chunk::<2>(), all.last()) {
                (2, Some(last), _) => Some(*last),
                (1, _, Some(last)) => Some([1, *last]),
                _ => return Err(format!("attribute `output_shape`: expected {axes} sizes, got {ints:?}")),
            }
        }
        None if matches!(auto, AutoPad::Same(_)) => Some([0, 1].map(|i| size[i].saturating_mul(stride[i]))),
        None => None,
    };
    if auto == AutoPad::Valid {
        padding = [0; 4];
    }
    for (i, wanted) in wanted.into_iter().flatten().enumerate() {
        let whole = (size[i] - 1).saturating_mul(stride[i]).saturating_add(span[i]).saturating_add(more[i]);
        let surplus = whole.saturating_sub(wanted);
        more[i] = more[i].saturating_add(wanted.saturating_sub(whole));
        let half = if auto == AutoPad::Same(true) { surplus / 2 } else { surplus - surplus / 2 };
        padding[2 * i..2 * i + 2].copy_from_slice(&[half, surplus - half]);
    }
    let params = TransposedConvParams {
        out: per_group,
        kernel: span,
        stride,
        padding,
        output_padding: more,
        ..TransposedConvParams::new(per_group, 1, 1)
    };
    let bias = cx.vector(2, out)?.unwrap_or_else(|| Rc::from(vec![0.0; out]));
    let spread = holes(weights.as_floats()?, kernel, dilation, span)?;
    let name = layer_name(cx, 1);
    let (from, filters) = (c / groups, c / groups * per_group * span[0] * span[1]);
    let op = |g: usize| {
        let weight = spread[g * filters..(g + 1) * filters].into();
        TransposedConv2d::new(params, from, weight, bias[g * per_group..(g + 1) * per_group].into())
    };
    if groups == 1 {
        return live(mapped(cx, &name, op(0), &input, out)?);
    }
    let mut parts = vec![];
    for g in 0..groups {
        let slice = SliceChannels { first: g * from, count: from };
        let part = cx.graph.op(&format!("{name}.input{g}"), slice, &[input.id])?;
        parts.push(cx.graph.op(&format!("{name}.group{g}"), op(g), &[part])?);
    }
    let shape = crate::Op::output_shapes(&op(0), &[crate::Shape { c: from, ..shape }])?[0];
    let dims = if axes == 1 { vec![1, out, shape.w] } else { vec![1, out, shape.h, shape.w] };
    let id = cx.graph.op(&name, Concat, &parts)?;
    live(Live { id, at: super::super::layout::Layout::usual(&dims), of: Elements::Real })
}

/// Kernels with zeros between their elements.
fn holes(
    weights: &[f32],
    kernel: [usize; 2],
    dilation: [usize; 2],
    span: [usize; 2],
) -> Result<Vec<f32>, String> {
    if dilation == [1, 1] {
        return Ok(weights.to_vec());
    }
    let taps = kernel[0] * kernel[1];
    let all = (weights.len() / taps).checked_mul(span[0]).and_then(|n| n.checked_mul(span[1]));
    let all = all.filter(|n| *n <= 1 << 26).ok_or("attribute `dilations`: too large")?;
    let mut spread = vec![0.0; all];
    for (i, w) in weights.iter().enumerate() {
        let (filter, y, x) = (i / taps, i % taps / kernel[1], i % kernel[1]);
        spread[(filter * span[0] + y * dilation[0]) * span[1] + x * dilation[1]] = *w;
    }
    Ok(spread)
}

/// `MaxUnpool`.
pub(super) fn max_unpool(cx: &mut Cx<'_, '_>) -> Made {
    cx.ignore(&["kernel_shape", "strides", "pads"]);
    let Value::Places(places) = cx.value(1)?.clone() else {
        return Err(format!("{}: expected the positions of a MaxPool", cx.input_name(1)));
    };
    if let Some(dims) = cx.given_ints(2)? {
        let pooled: Vec<i64> = places.pooled.iter().map(|d| *d as i64).collect();
        if dims != pooled {
            return Err(format!("an output of {dims:?}, expected the size that was pooled: {pooled:?}"));
        }
    }
    let values = map(cx, 0)?;
    live(unpooled(cx, &values, &places)?)
}

/// `ScatterND` of a max unpooling: positions of a pool and values for each of them, on zeros.
pub(super) fn scatter_nd(cx: &mut Cx<'_, '_>) -> Made {
    if cx.text("reduction", "none")? != "none" {
        return Err("attribute `reduction`: only `none` is known".into());
    }
    let (data, indices) = (cx.known(0)?, cx.value(1)?.clone());
    let Value::Places(places) = indices else {
        return Err(format!(
            "{}: only positions of a MaxPool are known, which makes it a max unpooling",
            cx.input_name(1)
        ));
    };
    let updates = cx.live(2)?;
    let len = places.pooled.iter().product::<usize>();
    let count = places.result.iter().product::<usize>();
    let zeros = data.to_f64().iter().all(|x| *x == 0.0);
    if data.dims != [len] || !zeros || places.dims != [count, 1] || updates.dims() != [count] {
        return Err(
            "only a max unpooling is known: values for each position of a MaxPool, on a vector of zeros"
                .into(),
        );
    }
    let name = cx.name.clone();
    let values = cx.graph.reshaped(&name, &updates, &places.result)?;
    let values = cx.graph.usual(&name, &values)?;
    let made = unpooled(cx, &values, &places)?;
    live(cx.graph.reshaped(&name, &made, &[len])?)
}

fn unpooled(cx: &mut Cx<'_, '_>, values: &Live, places: &Places) -> Result<Live, String> {
    if places.added.as_ref().is_some_and(|added| added.to_f64().iter().any(|x| *x != 0.0)) {
        return Err("positions to which something was added".into());
    }
    if values.dims() != places.result {
        return Err(format!("values of {:?} for positions of {:?}", values.dims(), places.result));
    }
    let at = super::super::layout::Layout::usual(&places.pooled);
    let op = MaxUnpool2d { kernel: places.kernel, size: [at.shape().h, at.shape().w] };
    let name = cx.name.clone();
    let id = cx.graph.op(&name, op, &[values.id, places.positions.id])?;
    Ok(Live { id, at, of: Elements::Real })
}
