//! Between numbers and codes of 8 bits, and what lies between a `DequantizeLinear` and a `QuantizeLinear`.

use super::{
    super::{
        array::{Array, Data, Type, axis},
        codes::{Codes, Weights, dequantized},
        context::{Cx, Given, Made, Pair, known, live},
        value::{Live, Value},
    },
    Operator, resize, windows,
};
use crate::{
    format::QParams,
    import::filters,
    ops::{
        Add, Clamp, Conv2d, ConvParams, Function, GivenFilters, GivenRounding, HardSigmoid, Index, PointWise,
        QuantizeLinear, Rescale, Table,
    },
};
use std::sync::Arc;

/// Scales that are positive, and zero points of the codes' type: inputs 1 and 2.
fn parameters(cx: &Cx<'_, '_>) -> Result<(Array, Option<Array>), String> {
    let scales = cx.known(1)?;
    if let Some(bad) = scales.as_floats()?.iter().find(|s| !(**s > 0.0 && s.is_finite())) {
        return Err(format!("{} holds {bad:?}, expected positive scales", cx.input_name(1)));
    }
    let zero_points = cx.given_known(2)?;
    if let Some(zeros) = &zero_points {
        let values = zeros.as_ints().map_err(|e| format!("{}: {e}", cx.input_name(2)))?;
        if zeros.of.bytes() == 4 && values.iter().any(|z| *z != 0) {
            return Err(format!("{} holds {values:?} of type {}", cx.input_name(2), zeros.of.name()));
        }
        if values.len() != scales.len() {
            return Err(format!(
                "{} has {} elements, {} scales",
                cx.input_name(2),
                values.len(),
                scales.len()
            ));
        }
    }
    Ok((scales, zero_points))
}

/// The codes that inputs 1 and 2 describe.
fn codes(cx: &Cx<'_, '_>) -> Result<Codes, String> {
    let (scale, zero_point) = parameters(cx)?;
    Codes::of(&scale, zero_point.as_ref()).map_err(|e| format!("{}: {e}", cx.input_name(1)))
}

/// `DequantizeLinear`: numbers of a constant; another value is seen as numbers where it is.
pub(super) fn dequantize_linear(cx: &mut Cx<'_, '_>) -> Made {
    cx.ignore(&["output_dtype"]);
    if let Some(size) = cx.int("block_size")?.filter(|size| *size != 0) {
        return Err(format!("attribute `block_size` {size}: scales for blocks of weights"));
    }
    let given = cx.int("axis")?.unwrap_or(1);
    let (scales, zeros) = parameters(cx)?;
    let of = match cx.value(0)? {
        Value::Known(array) => array.clone(),
        _ => return dequantize_live(cx),
    };
    of.as_ints().map_err(|e| format!("{}: {e}", cx.input_name(0)))?;
    if let Some(zeros) = zeros.as_ref().filter(|zeros| zeros.of != of.of) {
        return Err(types_differ(cx, zeros.of, of.of));
    }
    let mut dims = vec![1; of.dims.len()];
    let mut along = 0;
    if scales.len() > 1 || !scales.dims.is_empty() && scales.len() != 1 {
        along = axis(given, dims.len()).map_err(|e| format!("attribute `axis`: {e}"))?;
        dims[along] = of.dims[along];
        if scales.dims != [dims[along]] {
            let (have, want) = (&scales.dims, dims[along]);
            return Err(format!(
                "{} has a size of {have:?}, axis {along} has {want} elements",
                cx.input_name(1)
            ));
        }
    }
    let (codes, reals) = dequantized(&of, &scales, zeros.as_ref(), dims)?;
    let centred = zeros.is_none_or(|zeros| zeros.to_f64().iter().all(|z| *z == 0.0));
    let zero_points = cx.input_name(2);
    let weights = Weights { scale: scales.as_floats()?.to_vec(), axis: along, zero_points, centred, codes };
    cx.graph.quantization.weights.extend(cx.node.output.first().map(|name| (name.clone(), weights)));
    known(reals)
}

fn types_differ(cx: &Cx<'_, '_>, of_zeros: Type, of_codes: Type) -> String {
    let (zeros, codes) = (cx.input_name(2), cx.input_name(0));
    format!("{zeros} is of type {}, {codes} of type {}", of_zeros.name(), of_codes.name())
}

fn dequantize_live(cx: &mut Cx<'_, '_>) -> Made {
    let input = cx.lazy(0)?;
    let is_codes = cx.graph.quantization.names.contains(&cx.node.input[0]);
    let Some(from) = cx.graph.quantization.of.get(&input.id).copied().filter(|_| is_codes) else {
        return Err(format!("{} holds no codes of 8 bits", cx.input_name(0)));
    };
    let to = codes(cx)?;
    let given = cx.given(2).is_some();
    if from.unsigned != to.unsigned && (given || to.unsigned && !given) {
        let of = |unsigned: bool| Type::Int { bits: 8, signed: !unsigned };
        return match given {
            true => Err(types_differ(cx, of(to.unsigned), of(from.unsigned))),
            false => Err("no zero point for codes with a sign".into()),
        };
    }
    if from.params != to.params {
        let (a, b) = (from.params, to.params);
        return Err(format!("other scales than those of the codes: {b:?}, codes have {a:?}; not imported"));
    }
    live(input)
}

/// `QuantizeLinear`: codes of numbers that the input is, a layer makes as such, or that are rounded here.
pub(super) fn quantize_linear(cx: &mut Cx<'_, '_>) -> Made {
    cx.ignore(&["saturate", "output_dtype", "precision"]);
    if let Some(size) = cx.int("block_size")?.filter(|size| *size != 0) {
        return Err(format!("attribute `block_size` {size}: scales for blocks"));
    }
    let given = cx.int("axis")?.unwrap_or(1);
    if let Value::Known(array) = cx.value(0)? {
        return known(quantized(cx, array, given)?);
    }
    let to = codes(cx)?;
    let input = cx.any(0)?;
    if input.labels {
        return Err(format!("{} holds class labels, expected real numbers", cx.input_name(0)));
    }
    live(as_codes(cx, &input, to, false)?)
}

/// Codes of a constant.
fn quantized(cx: &Cx<'_, '_>, array: &Array, given: i64) -> Result<Array, String> {
    let (scales, zeros) = parameters(cx)?;
    let of = zeros.as_ref().map_or(Type::Int { bits: 8, signed: false }, |zeros| zeros.of);
    let Type::Int { bits: 8, signed } = of else {
        return Err(format!("{}: codes of type {}", cx.input_name(2), of.name()));
    };
    let mut dims = vec![1; array.dims.len()];
    if scales.len() > 1 {
        let along = axis(given, dims.len()).map_err(|e| format!("attribute `axis`: {e}"))?;
        dims[along] = array.dims[along];
        if scales.len() != dims[along] {
            return Err(format!("{} has {} scales for {}", cx.input_name(1), scales.len(), dims[along]));
        }
    }
    let steps = scales.with_dims(dims).broadcast_steps(&array.dims);
    let (scales, zeros) = (scales.as_floats()?, zeros.as_ref().map(|zeros| zeros.as_ints()).transpose()?);
    let (least, most) = if signed { (-128.0, 127.0) } else { (0.0, 255.0) };
    let each = array.as_floats()?.iter().zip(super::super::array::places(&array.dims, &steps, 0));
    let code = |(x, i): (&f32, usize)| {
        let zero = zeros.map_or(0, |zeros| zeros[i]) as f64;
        ((x / scales[i]).round_ties_even() as f64 + zero).clamp(least, most) as i64
    };
    Ok(Array { dims: array.dims.clone(), data: Data::Int(each.map(code).collect()), of })
}

/// A value as codes of `to`.
pub(super) fn as_codes(cx: &mut Cx<'_, '_>, input: &Live, to: Codes, of_codes: bool) -> Result<Live, String> {
    let name = cx.name.clone();
    if let Some(from) = cx.graph.quantization.of.get(&input.id).copied() {
        if from.params == to.params {
            let same = from.unsigned == to.unsigned;
            return if same {
                Ok(input.clone())
            } else {
                Err("codes with a sign and without one, of one value".into())
            };
        }
        return table(cx, &name, input, to, "Rescale", |x| x);
    }
    // The network's own input.
    let is_own = cx.graph.is_input(input.id)
        && cx.node.input.first().is_some_and(|n| cx.graph.quantization.once.contains(n));
    if is_own && cx.graph.is_named(input.id, &cx.node.input[0]) {
        cx.graph.quantization.of.insert(input.id, to);
        return Ok(input.clone());
    }
    if let Some((base, function)) = function_of_codes(cx, input) {
        let base = Live { id: base, ..input.clone() };
        return table(cx, &name, &base, to, "Function", move |x| function(x));
    }
    let made = cx.graph.same(&name, QuantizeLinear { of_codes, unsigned: to.unsigned }, input)?;
    cx.graph.quantization.of.insert(made.id, to);
    Ok(made)
}

/// A function of codes, rounded as `QuantizeLinear` does.
pub(super) fn table(
    cx: &mut Cx<'_, '_>,
    name: &str,
    input: &Live,
    to: Codes,
    kind: &'static str,
    function: impl Fn(f64) -> f64 + Send + Sync + 'static,
) -> Result<Live, String> {
    let from = cx.graph.quantization.of.get(&input.id).copied().ok_or("expected codes of 8 bits")?;
    let entries = Arc::new(from.table(to, &function));
    let made = cx.graph.same(name, Table { kind, entries, function: Arc::new(function) }, input)?;
    cx.graph.quantization.of.insert(made.id, to);
    Ok(made)
}

type Curve = Box<dyn Fn(f64) -> f64 + Send + Sync>;

/// The codes that a value is a function of, element by element.
fn function_of_codes(cx: &Cx<'_, '_>, input: &Live) -> Option<(crate::ValueId, Curve)> {
    let (mut at, mut steps) = (input.id, Vec::<Curve>::new());
    loop {
        let node = cx.graph.maker(at)?;
        let [from] = node.inputs[..] else { return None };
        let op: &dyn std::any::Any = &*node.op;
        if op.is::<Rescale>() && cx.graph.quantization.of.contains_key(&from) {
            steps.reverse();
            let all = move |x: f64| steps.iter().fold(x, |x, step| step(x) as f32 as f64);
            return (at != input.id).then_some((from, Box::new(all)));
        }
        if let Some(PointWise(function)) = op.downcast_ref() {
            let function = *function;
            steps.push(Box::new(move |x| function.eval(x)));
        } else if let Some(clamp) = op.downcast_ref::<Clamp>() {
            let clamp = *clamp;
            steps.push(Box::new(move |x| clamp.apply(x)));
        } else if op.is::<HardSigmoid>() {
            steps.push(Box::new(|x| Function::HardSigmoid(1.0 / 6.0, 0.5).eval(x)));
        } else {
            return None;
        }
        at = from;
    }
}

/// Operators that only move or choose elements, of codes too.
const MOVES: &[&str] = &[
    "DepthToSpace",
    "Dropout",
    "Expand",
    "Flatten",
    "Gather",
    "Identity",
    "MaxPool",
    "Reshape",
    "Shape",
    "Size",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
];

/// A node of a quantised file: of codes where it can be, else of numbers.
pub(super) fn import(cx: &mut Cx<'_, '_>, operator: &Operator) -> Made {
    let reads = |cx: &Cx<'_, '_>, value: &Option<Value>| matches!(value, Some(Value::Live(live)) if cx.graph.quantization.of.contains_key(&live.id));
    let is_linear = operator.name.starts_with('Q') || operator.name == "DequantizeLinear";
    let mut made = None;
    let names_codes = cx.node.input.iter().any(|name| cx.graph.quantization.names.contains(name));
    if !is_linear && cx.inputs.iter().any(|value| reads(cx, value)) {
        let nearest = operator.name == "Resize" && cx.text("mode", "nearest")? == "nearest";
        let moves = nearest || MOVES.contains(&operator.name) && !(operator.name == "MaxPool" && cx.wants(1));
        if !moves {
            if names_codes && operator.name == "Resize" {
                made = Some(resize_codes(cx)?);
            } else if names_codes {
                return Err(
                    "codes of 8 bits as numbers; only operators that move elements are imported for them"
                        .into(),
                );
            }
            if made.is_none() {
                made = direct(cx, operator)?;
            }
            if made.is_none() {
                cx.real_inputs()?;
            }
        }
    }
    let made = match made {
        Some(made) => made,
        None => (operator.import)(cx)?,
    };
    let gives_codes = operator.name.starts_with('Q') || operator.name != "DequantizeLinear" && names_codes;
    if gives_codes {
        cx.graph.quantization.names.extend(cx.node.output.iter().cloned());
    }
    Ok(made)
}

/// Between codes, without numbers in memory.
fn direct(cx: &mut Cx<'_, '_>, operator: &Operator) -> Result<Option<Vec<Value>>, String> {
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
        "AveragePool" | "Resize" => of_steps(cx, to, operator),
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
    let fits = |bias: i64| i32::try_from(bias).map_err(|_| format!("a bias of {bias} does not fit 32 bits"));
    let bias: Vec<i32> = bias.into_iter().map(fits).collect::<Result<_, _>>()?;
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
fn resize_codes(cx: &mut Cx<'_, '_>) -> Made {
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
fn of_steps(cx: &mut Cx<'_, '_>, to: Codes, operator: &Operator) -> Result<Option<Vec<Value>>, String> {
    let (input, name) = (cx.live(0)?, cx.name.clone());
    let Some(from) = cx.graph.quantization.of.get(&input.id).copied() else { return Ok(None) };
    let scale = from.params.scale;
    if scale != to.params.scale {
        return Ok(None);
    }
    let plain = |codes: Codes| Codes { params: QParams { scale: 1.0, ..codes.params }, ..codes };
    let numbers = relabelled(cx, &name, &input, plain(from), move |x| x / scale as f64)?;
    cx.inputs[0] = Some(Value::Live(cx.graph.real(&name, &numbers)?));
    let Some(Value::Live(mean)) = (operator.import)(cx)?.into_iter().next() else {
        return Err("expected a tensor".into());
    };
    let made = cx.graph.same(&name, QuantizeLinear { of_codes: false, unsigned: to.unsigned }, &mean)?;
    cx.graph.quantization.of.insert(made.id, plain(to));
    let made = relabelled(cx, &name, &made, to, move |x| x * scale as f64)?;
    Ok(Some(vec![Value::Live(made)]))
}

/// The same codes, which stand for other numbers.
fn relabelled(
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
    let params = ConvParams { kernel: [shape.h, shape.w], groups: c, bias: false, ..ConvParams::new(c, 1) };
    let weight = 1.0 / count as f32;
    let mut op = Conv2d::new(params, c, vec![weight; count * c].into(), vec![0.0; c].into());
    let rounding = rounding(Some(count as u32));
    op.given = Some(GivenFilters { scale: vec![weight; c].into(), bias: vec![0; c].into(), rounding });
    let made = windows::mapped(cx, &name, op, &input, c)?;
    cx.graph.quantization.of.insert(made.id, to);
    live(made)
}
