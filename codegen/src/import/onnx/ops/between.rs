//! Operators of numbers that lie between codes of 8 bits, without numbers in memory where that is exact.

use super::{
    super::{
        codes::Codes,
        context::{Cx, Given, Made, Pair, live},
        value::{Live, Value},
    },
    Operator,
    quantized::table,
    resize, windows,
};
use crate::{
    format::QParams,
    import::filters,
    ops::{
        Add, AveragePool2d, Clamp, Conv2d, ConvParams, Function, GivenFilters, GivenRounding, Index,
        PointWise, QuantizeLinear, Table,
    },
};
use std::sync::Arc;

/// Between codes, without numbers in memory.
pub(super) fn direct(cx: &mut Cx<'_, '_>, operator: &Operator) -> Result<Option<Vec<Value>>, String> {
    let wanted = cx.node.output.first().and_then(|name| cx.graph.quantization.wanted.get(name)).copied();
    let all_codes = |cx: &Cx<'_, '_>| {
        let id = |value: &Option<Value>| match value {
            Some(Value::Live(live)) => cx.graph.quantization.of.get(&live.id).map(|codes| (live.id, *codes)),
            _ => None,
        };
        cx.inputs.iter().map(id).collect::<Option<Vec<_>>>()
    };
    let Some(to) = wanted else {
        let same = operator.name == "Concat"
            && all_codes(cx).is_some_and(|all| all.iter().all(|(_, codes)| *codes == all[0].1));
        return if same { (operator.import)(cx).map(Some) } else { Ok(None) };
    };
    match operator.name {
        "Conv" => given(cx, 0, 0, to, operator),
        "Gemm" => {
            let turned = cx.flag("transB", false)?;
            let plain = cx.float("alpha", 1.0)? == 1.0 && cx.float("beta", 1.0)? == 1.0;
            if plain { given(cx, if turned { 0 } else { 1 }, 0, to, operator) } else { Ok(None) }
        }
        "MatMul" => given(cx, 1, 0, to, operator),
        "GlobalAveragePool" => mean(cx, to, GivenRounding::Nearest).map(Some),
        "AveragePool" | "Resize" => of_steps(cx, to, operator.import),
        "Concat" if all_codes(cx).is_some() => {
            for i in 0..cx.inputs.len() {
                let input = cx.lazy(i)?;
                let name = format!("{}.{i}", cx.name);
                let is_same = cx.graph.quantization.of.get(&input.id) == Some(&to);
                let input = if is_same { input } else { table(cx, &name, &input, to, "Rescale", |x| x)? };
                cx.inputs[i] = Some(Value::Live(input));
            }
            (operator.import)(cx).map(Some)
        }
        "Add" | "Mul" if all_codes(cx).is_some() => {
            cx.pair = Some(Pair { to, of_codes: false });
            (operator.import)(cx).map(Some)
        }
        _ => Ok(None),
    }
}

/// A convolution or a product with a matrix whose weights and biases the file has as codes; output channels lie along axis `out` of the weights.
fn given(
    cx: &mut Cx<'_, '_>,
    out: usize,
    of: usize,
    to: Codes,
    operator: &Operator,
) -> Result<Option<Vec<Value>>, String> {
    let Value::Live(input) = cx.value(of)?.clone() else { return Ok(None) };
    let Some(from) = cx.graph.quantization.of.get(&input.id).copied() else { return Ok(None) };
    let weights_of = |i: usize| cx.node.input.get(i).and_then(|name| cx.graph.quantization.weights.get(name));
    let Some(weights) = weights_of(1).filter(|w| w.scale.len() == 1 || w.axis == out).cloned() else {
        return Ok(None);
    };
    if !weights.centred && weights.scale.len() > 1 {
        return Err(format!(
            "{} holds zero points of weights with a scale for each channel; not imported",
            weights.zero_points
        ));
    }
    let bias = match (cx.given(2), weights_of(2)) {
        (None, _) => None,
        (Some(_), Some(bias)) => {
            let near = |i: usize, scale: &f32| {
                let wanted = from.params.scale * weights.scale[if weights.scale.len() == 1 { 0 } else { i }];
                (scale / wanted - 1.0).abs() < 1e-5
            };
            let many = weights.scale.len().max(bias.scale.len());
            let of_bias = |i: usize| &bias.scale[if bias.scale.len() == 1 { 0 } else { i }];
            let fits =
                bias.scale.len() == 1 || weights.scale.len() == 1 || bias.scale.len() == weights.scale.len();
            if !fits || !(0..many).all(|i| near(i, of_bias(i))) {
                return Ok(None);
            }
            Some(bias.codes.clone())
        }
        _ => return Ok(None),
    };
    cx.given = Some(Given { scale: weights.scale, bias, rounding: GivenRounding::Nearest(None), to });
    (operator.import)(cx).map(Some)
}

/// The convolution with the integers of the file, if it has some, and the input with the channels that its weights meet.
pub(super) fn with_given(
    cx: &mut Cx<'_, '_>,
    name: &str,
    op: Conv2d,
    input: &Live,
) -> Result<(Conv2d, Live), String> {
    let Some(given) = cx.given.clone() else { return Ok((op, input.clone())) };
    let (out, groups) = (op.params.out, op.params.groups);
    let (taps, channels) = (op.params.kernel[0] * op.params.kernel[1], op.channels / groups);
    let scale = if given.scale.len() == 1 { vec![given.scale[0]; out] } else { given.scale };
    let bias = given.bias.unwrap_or_else(|| vec![0; out]);
    if scale.len() != out || bias.len() != out {
        return Err(format!("{} scales and {} biases for {out} output channels", scale.len(), bias.len()));
    }
    let bias = filters::biases(&bias)?;
    // [out][channels][taps] to [out][taps][channels].
    let at =
        |o: usize, t: usize, i: usize| (op.weight[(o * channels + i) * taps + t] / scale[o]).round() as i64;
    let codes = (0..out).flat_map(|o| (0..taps).flat_map(move |t| (0..channels).map(move |i| (o, t, i))));
    let codes = codes.map(|(o, t, i)| at(o, t, i)).collect();
    let fitting = filters::Codes { out, taps, channels, groups, codes, scale: scale.clone() }.fitting();
    let (mut op, mut input) = (op, input.clone());
    if let Some(picked) = fitting.picked {
        let many = fitting.channels;
        let back =
            |o: usize| (0..many).flat_map(move |i| (0..taps).map(move |t| (o, (o * taps + t) * many + i)));
        let weight = (0..out).flat_map(back).map(|(o, at)| fitting.codes[at] as f32 * scale[o]).collect();
        let index = Index { rows: None, columns: None, channels: Some(picked.into()), pad: 0.0 };
        input.id = cx.graph.op(&format!("{name}.channels"), index, &[input.id])?;
        op = Conv2d::new(op.params, many * groups, weight, op.bias.clone());
    }
    op.given = Some(GivenFilters { scale: scale.into(), bias: bias.into(), rounding: given.rounding });
    Ok((op, input))
}

/// `Resize` of codes, which are numbers of their own there, and truncated.
pub(super) fn resize_codes(cx: &mut Cx<'_, '_>) -> Made {
    let (input, name) = (cx.live(0)?, cx.name.clone());
    let codes = cx.graph.quantization.of.get(&input.id).copied().ok_or("expected codes of 8 bits")?;
    let plain = Codes {
        params: QParams { scale: 1.0, zero_point: if codes.unsigned { -128 } else { 0 } },
        unsigned: codes.unsigned,
    };
    let (scale, zero) =
        (codes.params.scale as f64, codes.params.zero_point as f64 - plain.params.zero_point as f64);
    let numbers = relabelled(cx, &name, &input, plain, move |x| x / scale + zero)?;
    let real = cx.graph.real(&name, &numbers)?;
    cx.inputs[0] = Some(Value::Live(real));
    let Some(Value::Live(resized)) = resize::resize(cx)?.into_iter().next() else {
        return Err("expected a tensor".into());
    };
    let positive = cx.graph.same(&name, Clamp::RELU, &resized)?;
    let mut whole = cx.graph.same(&name, PointWise(Function::Floor), &positive)?;
    if !codes.unsigned {
        let negative = cx.graph.same(&name, Clamp { max: 0.0, ..Clamp::NONE }, &resized)?;
        let negative = cx.graph.same(&name, PointWise(Function::Ceil), &negative)?;
        whole.id = cx.graph.op(&name, Add::default(), &[whole.id, negative.id])?;
    }
    let made = cx.graph.same(&name, QuantizeLinear { of_codes: false, unsigned: codes.unsigned }, &whole)?;
    cx.graph.quantization.of.insert(made.id, plain);
    live(relabelled(cx, &name, &made, codes, move |x| (x - zero) * scale)?)
}

/// A mean of neighbours between codes of one scale: of codes less the zero point, so that ties are ties.
fn of_steps(
    cx: &mut Cx<'_, '_>,
    to: Codes,
    mean: impl FnOnce(&mut Cx<'_, '_>) -> Made,
) -> Result<Option<Vec<Value>>, String> {
    let (input, name) = (cx.live(0)?, cx.name.clone());
    let Some(from) = cx.graph.quantization.of.get(&input.id).copied() else { return Ok(None) };
    let scale = from.params.scale;
    if scale != to.params.scale {
        return Ok(None);
    }
    let plain = |codes: Codes| Codes { params: QParams { scale: 1.0, ..codes.params }, ..codes };
    let numbers = relabelled(cx, &name, &input, plain(from), move |x| x / scale as f64)?;
    cx.inputs[0] = Some(Value::Live(cx.graph.real(&name, &numbers)?));
    let Some(Value::Live(mean)) = mean(cx)?.into_iter().next() else {
        return Err("expected a tensor".into());
    };
    let made = cx.graph.same(&name, QuantizeLinear { of_codes: false, unsigned: to.unsigned }, &mean)?;
    cx.graph.quantization.of.insert(made.id, plain(to));
    let made = relabelled(cx, &name, &made, to, move |x| x * scale as f64)?;
    Ok(Some(vec![Value::Live(made)]))
}

/// The same codes, which stand for other numbers.
pub(super) fn relabelled(
    cx: &mut Cx<'_, '_>,
    name: &str,
    input: &Live,
    to: Codes,
    function: impl Fn(f64) -> f64 + Send + Sync + 'static,
) -> Result<Live, String> {
    let entries = Arc::new(std::array::from_fn(|i| (i as i32 - 128) as i8));
    let made =
        cx.graph.same(name, Table { kind: "Relabel", entries, function: Arc::new(function) }, input)?;
    cx.graph.quantization.of.insert(made.id, to);
    Ok(made)
}

/// The mean of each channel as codes of `to`.
pub(super) fn mean(cx: &mut Cx<'_, '_>, to: Codes, rounding: fn(Option<u32>) -> GivenRounding) -> Made {
    windows::spatial(cx)?;
    let (input, name) = (windows::map(cx, 0)?, cx.name.clone());
    let (c, shape) = (input.dims()[1], input.at.shape());
    let count = shape.area();
    // Ties to even are no factor's; quotients by powers of two are exact in any way of computing them.
    if count.is_power_of_two()
        && count > 1
        && let Some(made) = of_steps(cx, to, |cx| {
            let input = windows::map(cx, 0)?;
            let pool = AveragePool2d {
                kernel: [shape.h, shape.w],
                stride: [1, 1],
                padding: [0; 4],
                ceil_mode: false,
                count_padding: false,
            };
            live(windows::mapped(cx, &name, pool, &input, c)?)
        })?
    {
        return Ok(made);
    }
    let params = ConvParams { kernel: [shape.h, shape.w], groups: c, bias: false, ..ConvParams::new(c, 1) };
    let weight = 1.0 / count as f32;
    let mut op = Conv2d::new(params, c, vec![weight; count * c].into(), vec![0.0; c].into());
    let rounding = rounding(Some(count as u32));
    op.given = Some(GivenFilters { scale: vec![weight; c].into(), bias: vec![0; c].into(), rounding });
    let made = windows::mapped(cx, &name, op, &input, c)?;
    cx.graph.quantization.of.insert(made.id, to);
    live(made)
}
