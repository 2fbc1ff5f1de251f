//! Between numbers and codes of 8 bits, and what lies between a `DequantizeLinear` and a `QuantizeLinear`.

use super::{
    super::{
        array::{Array, Data, Type, axis},
        codes::{Codes, Weights, dequantized},
        context::{Cx, Made, known, live},
        value::{Live, Value},
    },
    Operator,
    between::{direct, resize_codes},
};
use crate::ops::{Clamp, Function, HardSigmoid, PointWise, QuantizeLinear, Rescale, Table};
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
    let (scale, signed) = (scales.as_floats()?.to_vec(), matches!(of.of, Type::Int { signed: true, .. }));
    let weights = Weights { scale, axis: along, zero_points, centred, signed, codes };
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
    let to = codes(cx)?;
    let Some(from) = cx.graph.quantization.read_as(input.id, to).filter(|_| is_codes) else {
        return Err(format!("{} holds no codes of 8 bits", cx.input_name(0)));
    };
    let given = cx.given(2).is_some();
    if from.unsigned != to.unsigned {
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
        return table(cx, &name, &base, to, "Function", function);
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

/// Whether a value is an input of the network that is codes, and nothing has said yet what they stand for.
fn is_unknown(cx: &Cx<'_, '_>, value: &Option<Value>) -> bool {
    let codes = &cx.graph.quantization;
    matches!(value, Some(Value::Live(live)) if codes.inputs.contains_key(&live.id) && !codes.of.contains_key(&live.id))
}

/// A node that reads such an input: one that says it, or that only names its axes otherwise.
fn unknown(cx: &mut Cx<'_, '_>, operator: &Operator) -> Made {
    let says = operator.name == "DequantizeLinear"
        || operator.name.starts_with('Q') && operator.name != "QuantizeLinear";
    let made = (operator.import)(cx)?;
    let same = |value: &Value| is_unknown(cx, &Some(value.clone()));
    if !says && !made.iter().all(same) {
        return Err(
            "codes of 8 bits as numbers, of an input; expected a `DequantizeLinear` or an operator of codes"
                .into(),
        );
    }
    if operator.name != "DequantizeLinear" {
        cx.graph.quantization.names.extend(cx.node.output.iter().cloned());
    }
    Ok(made)
}

/// A node of a quantised file: of codes where it can be, else of numbers.
pub(super) fn import(cx: &mut Cx<'_, '_>, operator: &Operator) -> Made {
    let reads = |cx: &Cx<'_, '_>, value: &Option<Value>| matches!(value, Some(Value::Live(live)) if cx.graph.quantization.of.contains_key(&live.id));
    let is_linear = operator.name.starts_with('Q') || operator.name == "DequantizeLinear";
    if cx.inputs.iter().any(|value| is_unknown(cx, value)) {
        return unknown(cx, operator);
    }
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
