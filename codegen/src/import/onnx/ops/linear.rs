//! onnxruntime's operators of codes of 8 bits.

use super::{
    super::{
        array::{Array, Type, axis},
        codes::{Codes, dequantized},
        context::{Cx, Given, Made, Pair, live},
        value::{Live, Value},
    },
    arithmetic,
    between::mean,
    dense, moves,
    quantized::{as_codes, table},
    reductions, windows,
};
use crate::ops::{Function, GivenRounding};

/// The codes that inputs `i` and `i + 1` describe.
fn codes(cx: &Cx<'_, '_>, i: usize) -> Result<Codes, String> {
    let (scale, zero_point) = (cx.known(i)?, cx.given_known(i + 1)?);
    Codes::of(&scale, zero_point.as_ref()).map_err(|e| format!("{}: {e}", cx.input_name(i)))
}

/// Input `i`, whose scale and zero point are the next two.
fn operand(cx: &mut Cx<'_, '_>, i: usize) -> Result<Live, String> {
    let of = codes(cx, i + 1)?;
    if let Value::Known(array) = cx.value(i)? {
        let array = array.clone();
        check_type(cx, i, array.of, of.unsigned)?;
        let (_, reals) = dequantized(&array, &cx.known(i + 1)?, cx.given_known(i + 2)?.as_ref(), vec![])?;
        let name = cx.node.input[i].clone();
        let made = cx.graph.constant(&name, &reals)?;
        cx.graph.quantization.of.insert(made.id, of);
        return Ok(made);
    }
    let input = cx.any(i)?;
    match cx.graph.quantization.read_as(input.id, of) {
        Some(found) if found.params == of.params && found.unsigned == of.unsigned => Ok(input),
        Some(found) => Err(format!(
            "{} has other scales than its codes, {:?}; not imported",
            cx.input_name(i),
            found.params
        )),
        None => Err(format!("{} holds no codes of 8 bits", cx.input_name(i))),
    }
}

fn check_type(cx: &Cx<'_, '_>, i: usize, found: Type, unsigned: bool) -> Result<(), String> {
    let of = Type::Int { bits: 8, signed: !unsigned };
    if found == of {
        Ok(())
    } else {
        Err(format!("{} is of type {}, expected {}", cx.input_name(i), found.name(), of.name()))
    }
}

/// Constant codes `i`, whose scales and zero points are the next two, with one of either or one for each element of axis `out`.
fn weights(cx: &mut Cx<'_, '_>, i: usize, out: i64, input: &Live) -> Result<(Array, Vec<f32>), String> {
    let (codes, scales, zeros) = (cx.known(i)?, cx.known(i + 1)?, cx.given_known(i + 2)?);
    if let Some(bad) = scales.as_floats()?.iter().find(|s| !(**s > 0.0 && s.is_finite())) {
        return Err(format!("{} holds {bad:?}, expected positive scales", cx.input_name(i + 1)));
    }
    match codes.of {
        Type::Int { bits: 8, .. } => {}
        other => {
            return Err(format!("{} is of type {}, expected int8 or uint8", cx.input_name(i), other.name()));
        }
    }
    let many = codes.dims[axis(out, codes.dims.len())?];
    let expanded = |array: Array, what: usize| match array.len() {
        1 => Ok(array.with_dims(vec![1]).expanded(&[many])),
        len if len == many => Ok(array.with_dims(vec![many])),
        len => Err(format!("{} has {len} elements for {many} output channels", cx.input_name(what))),
    };
    let scales = expanded(scales, i + 1)?;
    let zeros = zeros.map(|zeros| expanded(zeros, i + 2)).transpose()?;
    if let Some(zeros) = &zeros {
        zeros.as_ints().map_err(|e| format!("{}: {e}", cx.input_name(i + 2)))?;
    }
    let mut dims = vec![1; codes.dims.len()];
    dims[axis(out, codes.dims.len())?] = many;
    let (steps, reals) = dequantized(&codes, &scales, zeros.as_ref(), dims)?;
    let have_sign = matches!(codes.of, Type::Int { signed: true, .. });
    cx.graph.quantization.multiply(&cx.name, input.id, &steps, have_sign);
    Ok((reals, scales.as_floats()?.to_vec()))
}

/// A layer with weights: numbers for the operator of numbers, and the integers that they are of.
fn weighted(
    cx: &mut Cx<'_, '_>,
    out: i64,
    bias: Option<usize>,
    to: usize,
    operator: fn(&mut Cx<'_, '_>) -> Made,
) -> Made {
    let (input, to) = (operand(cx, 0)?, codes(cx, to)?);
    let (weights, scale) = weights(cx, 3, out, &input)?;
    let bias = match bias {
        Some(i) => cx.given_ints(i)?,
        None => None,
    };
    let step = cx.graph.quantization.of.get(&input.id).map_or(1.0, |codes| codes.params.scale);
    let real = bias.as_ref().map(|bias| {
        let each = bias
            .iter()
            .enumerate()
            .map(|(i, b)| (*b as f64 * step as f64 * scale[i % scale.len()] as f64) as f32);
        Value::Known(Array::floats(vec![bias.len()], each.collect()))
    });
    cx.given = Some(Given { scale, bias, rounding: GivenRounding::SinglePrecision(None), to });
    cx.inputs = vec![Some(Value::Live(input)), Some(Value::Known(weights)), real];
    operator(cx)
}

/// `QLinearConv`.
pub(super) fn conv(cx: &mut Cx<'_, '_>) -> Made {
    if cx.flag("channels_last", false)? {
        return Err("attribute `channels_last` 1".into());
    }
    weighted(cx, 0, Some(8), 6, windows::conv)
}

/// `QLinearMatMul`.
pub(super) fn mat_mul(cx: &mut Cx<'_, '_>) -> Made {
    weighted(cx, -1, None, 6, dense::mat_mul)
}

/// `QGemm`.
pub(super) fn gemm(cx: &mut Cx<'_, '_>) -> Made {
    let alpha = cx.float("alpha", 1.0)?;
    if alpha != 1.0 {
        return Err(format!("attribute `alpha`: {alpha}, expected 1"));
    }
    let out = if cx.flag("transB", false)? { 0 } else { 1 };
    weighted(cx, out, Some(6), 7, dense::gemm)
}

/// `QLinearAdd` and `QLinearMul`.
fn pair(cx: &mut Cx<'_, '_>, operator: fn(&mut Cx<'_, '_>) -> Made) -> Made {
    let (a, b, to) = (operand(cx, 0)?, operand(cx, 3)?, codes(cx, 6)?);
    cx.pair = Some(Pair { to, of_codes: true });
    cx.inputs = [a, b].map(|x| Some(Value::Live(x))).into();
    operator(cx)
}

/// `QLinearAdd`.
pub(super) fn add(cx: &mut Cx<'_, '_>) -> Made {
    pair(cx, arithmetic::add)
}

/// `QLinearMul`.
pub(super) fn mul(cx: &mut Cx<'_, '_>) -> Made {
    pair(cx, arithmetic::mul)
}

/// `QLinearGlobalAveragePool`.
pub(super) fn global_average_pool(cx: &mut Cx<'_, '_>) -> Made {
    if cx.flag("channels_last", false)? {
        return Err("attribute `channels_last` 1".into());
    }
    let (input, to) = (operand(cx, 0)?, codes(cx, 3)?);
    cx.inputs[0] = Some(Value::Live(input));
    mean(cx, to, GivenRounding::SinglePrecision)
}

/// `QLinearConcat`.
pub(super) fn concat(cx: &mut Cx<'_, '_>) -> Made {
    let to = codes(cx, 0)?;
    let mut inputs = vec![];
    for i in (2..cx.inputs.len()).step_by(3) {
        let (input, name) = (operand(cx, i)?, format!("{}.{}", cx.name, i / 3));
        let is_same = cx.graph.quantization.of.get(&input.id).is_some_and(|codes| codes.params == to.params);
        let input = if is_same { input } else { table(cx, &name, &input, to, "Rescale", |x| x)? };
        cx.graph.quantization.of.insert(input.id, to);
        inputs.push(Some(Value::Live(input)));
    }
    cx.inputs = inputs;
    moves::concat(cx)
}

fn function(cx: &mut Cx<'_, '_>, kind: &'static str, function: Function) -> Made {
    let (input, to, name) = (operand(cx, 0)?, codes(cx, 3)?, cx.name.clone());
    live(table(cx, &name, &input, to, kind, move |x| function.eval(x))?)
}

/// `QLinearSigmoid`.
pub(super) fn sigmoid(cx: &mut Cx<'_, '_>) -> Made {
    function(cx, "Sigmoid", Function::Sigmoid)
}

/// `QLinearLeakyRelu`.
pub(super) fn leaky_relu(cx: &mut Cx<'_, '_>) -> Made {
    let alpha = cx.float("alpha", 0.01)?;
    function(cx, "LeakyRelu", Function::LeakyRelu(alpha as f64))
}

/// Numbers in between: input 0 as such, and the result as codes.
fn between(cx: &mut Cx<'_, '_>, of_codes: bool, operator: fn(&mut Cx<'_, '_>) -> Made) -> Made {
    let (input, to) = (operand(cx, 0)?, codes(cx, 3)?);
    let name = cx.name.clone();
    cx.inputs = vec![Some(Value::Live(cx.graph.real(&name, &input)?))];
    match operator(cx)?.into_iter().next() {
        Some(Value::Live(made)) => live(as_codes(cx, &made, to, of_codes)?),
        _ => Err("expected a tensor".into()),
    }
}

/// `QLinearSoftmax`.
pub(super) fn softmax(cx: &mut Cx<'_, '_>) -> Made {
    cx.version = cx.int("opset")?.ok_or("attribute `opset` is missing")?;
    between(cx, false, reductions::softmax)
}

/// `QLinearAveragePool`.
pub(super) fn average_pool(cx: &mut Cx<'_, '_>) -> Made {
    if cx.flag("channels_last", false)? {
        return Err("attribute `channels_last` 1".into());
    }
    between(cx, true, windows::average_pool)
}
