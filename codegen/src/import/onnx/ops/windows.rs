//! Convolutions and pools: what slides a window over height and width, or over one axis.

use super::{
    super::{
        context::{Cx, Made, live, sizes},
        graph::checked,
        layout::Layout,
        value::{Live, Places, Value},
    },
    between::with_given,
};
use crate::ops::{
    self, AveragePool2d, Conv2d, ConvParams, Function, GlobalAveragePool, MaxPool2d, MaxPosition2d,
};
use std::rc::Rc;

/// Windows on two axes; a tensor of one axis has a height of 1.
pub(super) struct Windows {
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) dilation: [usize; 2],
    /// Top, bottom, left, right.
    pub(super) padding: [usize; 4],
}

/// Which axes the window slides over: one or two.
pub(super) fn spatial(cx: &Cx<'_, '_>) -> Result<usize, String> {
    let dims = cx.dims(0)?;
    match dims[..] {
        [1, _, _] | [1, _, _, _] => Ok(dims.len() - 2),
        [batch, _, _] | [batch, _, _, _] => Err(format!("a batch of {batch}, expected 1")),
        _ => {
            Err(format!("{} spatial dimensions (of {dims:?}), expected 1 or 2", dims.len().saturating_sub(2)))
        }
    }
}

/// An input as a map: `[1, C, H, W]` or `[1, C, L]`.
pub(super) fn map(cx: &mut Cx<'_, '_>, i: usize) -> Result<Live, String> {
    let (input, name) = (cx.numbers(i)?, cx.name.clone());
    cx.graph.usual(&name, &input)
}

/// A result whose channels, height and width a layer has made.
pub(super) fn mapped(
    cx: &mut Cx<'_, '_>,
    name: &str,
    op: impl crate::Op,
    input: &Live,
    channels: usize,
) -> Result<Live, String> {
    let shape = op.output_shapes(&[cx.graph.shape(input.id)])?[0];
    let dims = match input.dims().len() {
        3 => vec![1, channels, shape.w],
        _ => vec![1, channels, shape.h, shape.w],
    };
    let id = cx.graph.op(name, op, &[input.id])?;
    Ok(Live { id, at: Layout::usual(&dims), of: input.of })
}

/// Two values of an attribute with one for each spatial axis.
pub(super) fn pair(
    cx: &Cx<'_, '_>,
    name: &'static str,
    axes: usize,
    default: usize,
) -> Result<[usize; 2], String> {
    let Some(ints) = cx.ints(name)? else {
        return Ok(if axes == 1 && default > 0 { [1, default] } else { [default; 2] });
    };
    let values = sizes(&format!("attribute `{name}`"), ints)?;
    match (axes, &values[..]) {
        _ if values.len() == axes && default == 1 && values.contains(&0) => {
            Err(format!("attribute `{name}`: expected 1 or more, got {ints:?}"))
        }
        (1, [one]) => Ok([if default == 0 { 0 } else { 1 }, *one]),
        (2, [rows, columns]) => Ok([*rows, *columns]),
        _ => Err(format!("attribute `{name}`: expected {axes} values, got {ints:?}")),
    }
}

/// What `auto_pad` says.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum AutoPad {
    /// `pads` says it.
    No,
    /// None.
    Valid,
    /// As many pixels come out as there are steps; an odd one of padding goes to the end (`true`) or to the start.
    Same(bool),
}

pub(super) fn auto_pad(cx: &Cx<'_, '_>) -> Result<AutoPad, String> {
    match cx.text("auto_pad", "NOTSET")? {
        "NOTSET" | "" => Ok(AutoPad::No),
        "VALID" => Ok(AutoPad::Valid),
        "SAME_UPPER" => Ok(AutoPad::Same(true)),
        "SAME_LOWER" => Ok(AutoPad::Same(false)),
        other => Err(format!("attribute `auto_pad`: `{other}` is not known")),
    }
}

/// Padding as the file has it: top, bottom, left, right.
pub(super) fn pads(cx: &Cx<'_, '_>, axes: usize) -> Result<[usize; 4], String> {
    let Some(ints) = cx.ints("pads")? else { return Ok([0; 4]) };
    let values = sizes("attribute `pads`", ints)?;
    if let Some(large) = values.iter().find(|p| **p > ops::MAX_ELEMENTS) {
        return Err(format!("attribute `pads`: {large} is too large"));
    }
    match (axes, &values[..]) {
        (1, [left, right]) => Ok([0, 0, *left, *right]),
        (2, [top, left, bottom, right]) => Ok([*top, *bottom, *left, *right]),
        _ => Err(format!("attribute `pads`: expected {} values, got {ints:?}", 2 * axes)),
    }
}

fn windows(cx: &Cx<'_, '_>, input: &Live, axes: usize, kernel: [usize; 2]) -> Result<Windows, String> {
    let stride = pair(cx, "strides", axes, 1)?;
    let dilation = pair(cx, "dilations", axes, 1)?;
    let explicit = pads(cx, axes)?;
    let size = [input.at.shape().h, input.at.shape().w];
    let padding = match auto_pad(cx)? {
        AutoPad::No => explicit,
        AutoPad::Valid => [0; 4],
        AutoPad::Same(upper) => {
            let params = ConvParams { kernel, stride, dilation, ..ConvParams::new(1, 1) };
            let [top, bottom, left, right] = params.same(size).padding;
            if upper { [top, bottom, left, right] } else { [bottom, top, right, left] }
        }
    };
    Ok(Windows { kernel, stride, dilation, padding })
}

/// The kernel of weights of `[out, in, k…]`, which the attribute may repeat.
pub(super) fn kernel_of(cx: &Cx<'_, '_>, dims: &[usize], axes: usize) -> Result<[usize; 2], String> {
    if dims.len() != axes + 2 {
        return Err(format!("{} has a size of {dims:?}, expected {} dimensions", cx.input_name(1), axes + 2));
    }
    let kernel = if axes == 1 { [1, dims[2]] } else { [dims[2], dims[3]] };
    if cx.ints("kernel_shape")?.is_some() && pair(cx, "kernel_shape", axes, 1)? != kernel {
        return Err(format!(
            "attribute `kernel_shape` differs from the size of {}: {dims:?}",
            cx.input_name(1)
        ));
    }
    Ok(kernel)
}

/// `Conv`.
pub(super) fn conv(cx: &mut Cx<'_, '_>) -> Made {
    let axes = spatial(cx)?;
    let mut input = map(cx, 0)?;
    let weights = cx.weights(1)?;
    let kernel = kernel_of(cx, &weights.dims, axes)?;
    let (out, c) = (weights.dims[0], input.dims()[1]);
    let groups = cx.int("group")?.unwrap_or(1);
    let divides = |groups: usize| groups > 0 && c.is_multiple_of(groups) && out.is_multiple_of(groups);
    let Some(groups) = usize::try_from(groups).ok().filter(|groups| divides(*groups)) else {
        return Err(format!(
            "attribute `group`: {groups} does not divide {c} input and {out} output channels"
        ));
    };
    if weights.dims[1] * groups != c {
        let wanted = weights.dims[1] * groups;
        return Err(format!("{} is for {wanted} channels, the input has {c}", cx.input_name(1)));
    }
    let mut w = windows(cx, &input, axes, kernel)?;
    // Zeros around the input are padding of this convolution.
    if let Some((from, zeros)) = cx.graph.without_pad(&input) {
        input = from;
        (0..4).for_each(|i| w.padding[i] += zeros[i]);
    }
    let bias = cx.vector(2, out)?.unwrap_or_else(|| Rc::from(vec![0.0; out]));
    let params = ConvParams {
        kernel,
        stride: w.stride,
        dilation: w.dilation,
        padding: w.padding,
        groups,
        ..ConvParams::new(out, 1)
    };
    let op = Conv2d::new(params, c, weights.as_floats()?[..].into(), bias[..].into());
    let name = layer_name(cx, 1);
    let (op, input) = with_given(cx, &name, op, &input)?;
    let made = mapped(cx, &name, op, &input, out)?;
    cx.note_given(made.id);
    live(made)
}

/// The module of a checkpoint that weights are of, or else the name of the layer.
pub(super) fn layer_name(cx: &Cx<'_, '_>, weights: usize) -> String {
    let name = cx.node.input.get(weights).and_then(|name| name.strip_suffix(".weight"));
    name.filter(|name| !name.is_empty()).unwrap_or(&cx.name).to_string()
}

/// Axes and windows of a pool.
fn pool(cx: &mut Cx<'_, '_>) -> Result<(Live, Windows, bool), String> {
    let axes = spatial(cx)?;
    let input = map(cx, 0)?;
    if cx.ints("kernel_shape")?.is_none() {
        return Err("attribute `kernel_shape` is missing".into());
    }
    let kernel = pair(cx, "kernel_shape", axes, 1)?;
    let windows = windows(cx, &input, axes, kernel)?;
    Ok((input, windows, cx.flag("ceil_mode", false)?))
}

/// `MaxPool`, with the positions that max unpooling takes.
pub(super) fn max_pool(cx: &mut Cx<'_, '_>) -> Made {
    let (input, w, ceil_mode) = pool(cx)?;
    let column_major = cx.flag("storage_order", false)?;
    let (name, c) = (cx.name.clone(), input.dims()[1]);
    let is_one = w.kernel == [1, 1] && w.stride == [1, 1] && w.padding == [0; 4];
    let op =
        MaxPool2d { kernel: w.kernel, stride: w.stride, padding: w.padding, dilation: w.dilation, ceil_mode };
    let result = if is_one { input.clone() } else { mapped(cx, &name, op, &input, c)? };
    let mut made = vec![Value::Live(result.clone())];
    if cx.wants(1) {
        if column_major {
            return Err("attribute `storage_order` 1: positions by columns".into());
        }
        if is_one {
            // Each element is where it is.
            let dims = input.dims().to_vec();
            let len = cx.check_size(&dims)?;
            made.push(Value::Known(
                super::super::array::Array::ints((0..len as i64).collect()).with_dims(dims),
            ));
            return Ok(made);
        }
        if w.kernel != w.stride || w.padding != [0; 4] || w.dilation != [1, 1] {
            return Err(
                "positions of windows that overlap or are padded; windows next to each other would do".into(),
            );
        }
        let positions = mapped(cx, &format!("{name}.positions"), MaxPosition2d { pool: op }, &input, c)?;
        made.push(Value::Places(Places {
            kernel: w.kernel,
            pooled: input.dims().to_vec(),
            result: result.dims().to_vec(),
            dims: result.dims().to_vec(),
            added: None,
            positions,
        }));
    }
    Ok(made)
}

/// `AveragePool`.
pub(super) fn average_pool(cx: &mut Cx<'_, '_>) -> Made {
    let (input, w, ceil_mode) = pool(cx)?;
    let count_padding = cx.flag("count_include_pad", false)?;
    let (name, c) = (cx.name.clone(), input.dims()[1]);
    if w.dilation != [1, 1] {
        let size = [input.at.shape().h, input.at.shape().w];
        // Whether the last window ends where the padding does.
        let is_even = |i: usize| {
            let reach = w.kernel[i].saturating_sub(1).saturating_mul(w.dilation[i]).saturating_add(1);
            let all = size[i].saturating_add(w.padding[2 * i]).saturating_add(w.padding[2 * i + 1]);
            all.checked_sub(reach).is_some_and(|rest| rest.is_multiple_of(w.stride[i]))
        };
        let differ = w.padding != [0; 4] && !count_padding;
        if differ || (ceil_mode && !(is_even(0) && is_even(1))) {
            return Err(format!(
                "attribute `dilations`: {:?}, expected 1 where windows differ in size",
                w.dilation
            ));
        }
        // Every window has as many pixels: a convolution of each channel.
        let op = of_ones(&w, c, 1.0 / w.kernel[0].saturating_mul(w.kernel[1]) as f32)?;
        return live(mapped(cx, &name, op, &input, c)?);
    }
    let op =
        AveragePool2d { kernel: w.kernel, stride: w.stride, padding: w.padding, ceil_mode, count_padding };
    live(mapped(cx, &name, op, &input, c)?)
}

/// `LpPool`: the root of the sum of powers of absolute values.
pub(super) fn lp_pool(cx: &mut Cx<'_, '_>) -> Made {
    let (input, mut w, ceil_mode) = pool(cx)?;
    let p = cx.int("p")?.unwrap_or(2);
    if !(1..=16).contains(&p) {
        return Err(format!("attribute `p`: {p}, expected 1 to 16"));
    }
    let (name, c, shape) = (cx.name.clone(), input.dims()[1], input.at.shape());
    let part = |what: &str| format!("{name}.{what}");
    if ceil_mode {
        // Zeros up to the end of the last window.
        for (i, size) in [shape.h, shape.w].into_iter().enumerate() {
            let reach = (w.kernel[i].saturating_sub(1)).saturating_mul(w.dilation[i]).saturating_add(1);
            let all = size.saturating_add(w.padding[2 * i]).saturating_add(w.padding[2 * i + 1]);
            let steps = all.saturating_sub(reach);
            // A window that would begin behind the tensor is none.
            let starts = steps.div_ceil(w.stride[i]) * w.stride[i];
            if starts < size.saturating_add(w.padding[2 * i]) {
                w.padding[2 * i + 1] += starts - steps;
            }
        }
    }
    let powers = match p {
        1 => cx.graph.function(&part("powers"), &input, Function::Abs)?,
        2 => cx.graph.function(&part("powers"), &input, Function::Square)?,
        _ => {
            let absolute = cx.graph.function(&part("absolute"), &input, Function::Abs)?;
            cx.graph.function(&part("powers"), &absolute, Function::Power(p as f64))?
        }
    };
    let sum = of_ones(&w, c, 1.0)?;
    let sum = mapped(cx, &if p == 1 { name.clone() } else { part("sum") }, sum, &powers, c)?;
    live(match p {
        1 => sum,
        2 => cx.graph.function(&name, &sum, Function::Sqrt)?,
        _ => cx.graph.function(&name, &sum, Function::Power(1.0 / p as f64))?,
    })
}

/// A convolution of each channel with one factor for every pixel of its window.
fn of_ones(w: &Windows, c: usize, factor: f32) -> Result<Conv2d, String> {
    let taps = w.kernel[0].saturating_mul(w.kernel[1]);
    let weights = checked(taps.saturating_mul(c)).map(|all| vec![factor; all])?;
    let params = ConvParams {
        kernel: w.kernel,
        stride: w.stride,
        dilation: w.dilation,
        padding: w.padding,
        groups: c,
        ..ConvParams::new(c, 1)
    };
    Ok(Conv2d::new(params, c, weights.into(), vec![0.0; c].into()))
}

/// `GlobalAveragePool`.
pub(super) fn global_average_pool(cx: &mut Cx<'_, '_>) -> Made {
    spatial(cx)?;
    let (input, name) = (map(cx, 0)?, cx.name.clone());
    let c = input.dims()[1];
    live(mapped(cx, &name, GlobalAveragePool, &input, c)?)
}

/// `GlobalMaxPool`.
pub(super) fn global_max_pool(cx: &mut Cx<'_, '_>) -> Made {
    spatial(cx)?;
    let (input, name) = (map(cx, 0)?, cx.name.clone());
    let (c, shape) = (input.dims()[1], input.at.shape());
    live(mapped(cx, &name, MaxPool2d::global(shape.h, shape.w), &input, c)?)
}
