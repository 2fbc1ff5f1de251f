//! Codes of 8 bits as numbers: scales that the network computes, scales for each channel of a tensor, and sums of codes.

use super::{
    super::{
        array::{Array, Type, axis},
        codes::{Codes, dequantized},
        context::{Cx, Made, as_float, live},
        value::{Elements, Live, Value},
    },
    arithmetic::{Kind, binary},
    between::relabelled,
    dense,
    reductions::reduced,
    windows,
};
use crate::ops::{Clamp, Div, Function, QuantizeLinear, ReduceKind};

/// The type of integers of 8 bits.
fn bytes(unsigned: bool) -> Type {
    Type::Int { bits: 8, signed: !unsigned }
}

fn tensor(value: Value) -> Result<Live, String> {
    match value {
        Value::Live(live) => Ok(live),
        _ => Err("expected a tensor".into()),
    }
}

/// Codes that are numbers so far, as codes of `to`.
pub(super) fn described(cx: &mut Cx<'_, '_>, name: &str, input: &Live, to: Codes) -> Result<Live, String> {
    let (scale, zero) = (to.params.scale as f64, to.params.zero_point as f64);
    let plain = Codes::plain(to.unsigned).params.zero_point as f64;
    let made = relabelled(cx, name, input, to, move |x| (x + plain - zero) * scale)?;
    Ok(Live { of: Elements::Real, ..made })
}

/// Codes of `from` as the numbers that the codes are.
fn numbers(cx: &mut Cx<'_, '_>, name: &str, input: &Live, from: Codes) -> Result<Live, String> {
    let plain = Codes::plain(from.unsigned);
    let (scale, zero) = (from.params.scale as f64, from.params.zero_point as f64);
    let to_zero = plain.params.zero_point as f64;
    let input = match from == plain {
        true => input.clone(),
        false => relabelled(cx, name, input, plain, move |x| x / scale + zero - to_zero)?,
    };
    cx.graph.real(name, &input)
}

/// Inputs whose names stand for codes as numbers of 8 bits.
pub(super) fn numbers_of_codes(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let name = cx.name.clone();
    for i in 0..cx.inputs.len() {
        let Some(Value::Live(input)) = cx.inputs[i].clone() else { continue };
        let Some(from) = cx.graph.quantization.of.get(&input.id).copied() else { continue };
        let made = if cx.graph.quantization.names.contains(&cx.node.input[i]) {
            Live { of: Elements::Whole(bytes(from.unsigned)), ..numbers(cx, &name, &input, from)? }
        } else {
            cx.graph.real(&name, &input)?
        };
        cx.inputs[i] = Some(Value::Live(made));
    }
    Ok(())
}

/// Numbers that are integers of 8 bits as codes.
fn as_plain(cx: &mut Cx<'_, '_>, name: &str, input: &Live, unsigned: bool) -> Result<Live, String> {
    let made = cx.graph.same(name, QuantizeLinear { of_codes: false, unsigned }, input)?;
    cx.graph.quantization.of.insert(made.id, Codes::plain(unsigned));
    Ok(made)
}

/// The nearest integer of 8 bits without a sign.
fn rounded(cx: &mut Cx<'_, '_>, name: &str, input: &Live) -> Result<Live, String> {
    let nearest = cx.graph.function(&format!("{name}.nearest"), input, Function::Round)?;
    cx.graph.clamped(name, &nearest, Clamp { min: 0.0, max: 255.0 })
}

/// `DynamicQuantizeLinear`: codes, their scale and their zero point.
pub(super) fn dynamic_quantize_linear(cx: &mut Cx<'_, '_>) -> Made {
    let (input, name) = (cx.live(0)?, cx.name.clone());
    let part = |what: &str| format!("{name}.{what}");
    let all: Vec<usize> = (0..input.dims().len()).collect();
    let largest = reduced(cx, &part("largest"), &input, &all, false, ReduceKind::Max)?;
    let largest = cx.graph.clamped(&part("max"), &largest, Clamp::RELU)?;
    let least = reduced(cx, &part("least"), &input, &all, false, ReduceKind::Min)?;
    let least = cx.graph.clamped(&part("min"), &least, Clamp { max: 0.0, ..Clamp::NONE })?;
    let range = binary(cx, &part("range"), Kind::Sub, Value::Live(largest), Value::Live(least.clone()))?;
    let count = Value::Known(Array::floats(vec![], vec![255.0]));
    let scale = tensor(binary(cx, &part("step"), Kind::Div, range, count)?)?;
    // Numbers that are all 0 have codes of 0.
    let scale = cx.graph.clamped(&part("scale"), &scale, Clamp { min: f32::MIN_POSITIVE, ..Clamp::NONE })?;
    let negative = cx.graph.function(&part("negative"), &least, Function::Neg)?;
    let zero = cx.graph.op(&part("zero"), Div::default(), &[negative.id, scale.id])?;
    let zero = rounded(cx, &part("zero_point"), &Live { id: zero, ..negative })?;
    let ids = cx.graph.broadcast(&name, [input.id, scale.id]);
    let steps = Live { id: cx.graph.op(&part("steps"), Div::default(), &ids)?, ..input };
    let steps = cx.graph.function(&part("rounded"), &steps, Function::Round)?;
    let codes =
        tensor(binary(cx, &part("shifted"), Kind::Add, Value::Live(steps), Value::Live(zero.clone()))?)?;
    let codes = cx.graph.clamped(&part("clamped"), &codes, Clamp { min: 0.0, max: 255.0 })?;
    let codes = as_plain(cx, &name, &codes, true)?;
    let zero = as_plain(cx, &part("zero_code"), &zero, true)?;
    let names = [0, 2].iter().filter_map(|i| cx.node.output.get(*i)).cloned();
    cx.graph.quantization.names.extend(names);
    Ok([codes, scale, zero].map(Value::Live).into())
}

/// A constant with an element for each one of an axis, as it broadcasts to the tensor.
fn along(cx: &Cx<'_, '_>, i: usize, dims: &[usize], given: i64) -> Result<Option<Array>, String> {
    let Some(array) = cx.given_known(i)? else { return Ok(None) };
    let at = axis(given, dims.len()).map_err(|e| format!("attribute `axis`: {e}"))?;
    if array.dims != [dims[at]] {
        let (have, want) = (&array.dims, dims[at]);
        return Err(format!("{} has a size of {have:?}, axis {at} has {want} elements", cx.input_name(i)));
    }
    let mut sizes = vec![1; dims.len()];
    sizes[at] = dims[at];
    Ok(Some(as_float(&array).with_dims(sizes)))
}

/// `DequantizeLinear` with a scale for each element of an axis.
pub(super) fn dequantize_each(cx: &mut Cx<'_, '_>, input: &Live, from: Codes) -> Made {
    let (name, given) = (cx.name.clone(), cx.int("axis")?.unwrap_or(1));
    if let Some(zeros) = cx.given_known(2)?.filter(|zeros| zeros.of != bytes(from.unsigned)) {
        return Err(format!("{} is of type {}", cx.input_name(2), zeros.of.name()));
    }
    let mut value = Value::Live(numbers(cx, &name, input, from)?);
    if let Some(zeros) = along(cx, 2, input.dims(), given)? {
        value = binary(cx, &format!("{name}.centred"), Kind::Sub, value, Value::Known(zeros))?;
    }
    let scales = along(cx, 1, input.dims(), given)?.ok_or("no scales")?;
    Ok(vec![binary(cx, &name, Kind::Mul, value, Value::Known(scales))?])
}

/// `QuantizeLinear` with a scale for each element of an axis.
pub(super) fn quantize_each(cx: &mut Cx<'_, '_>, given: i64) -> Made {
    let (input, name) = (cx.live(0)?, cx.name.clone());
    let of = cx.given_known(2)?.map_or(bytes(true), |zeros| zeros.of);
    let Type::Int { bits: 8, signed } = of else {
        return Err(format!("{}: codes of type {}", cx.input_name(2), of.name()));
    };
    let dims = input.dims().to_vec();
    let at = axis(given, dims.len()).map_err(|e| format!("attribute `axis`: {e}"))?;
    let (scales, zeros) = (along(cx, 1, &dims, given)?.ok_or("no scales")?, along(cx, 2, &dims, given)?);
    let part = |what: &str| format!("{name}.{what}");
    let input = cx.graph.with_channels(&name, &input, &[at])?;
    // A quotient, which is not always the product with the inverse.
    let divisor = input.at.lay(&scales)?;
    let divisor = cx.graph.map(&part("scales"), divisor)?;
    let steps = Live { id: cx.graph.op(&part("steps"), Div::default(), &[input.id, divisor])?, ..input };
    let steps = cx.graph.function(&part("rounded"), &steps, Function::Round)?;
    let shifted = match zeros {
        Some(zeros) => {
            tensor(binary(cx, &part("shifted"), Kind::Add, Value::Live(steps), Value::Known(zeros))?)?
        }
        None => steps,
    };
    let (min, max) = if signed { (-128.0, 127.0) } else { (0.0, 255.0) };
    let clamped = cx.graph.clamped(&part("clamped"), &shifted, Clamp { min, max })?;
    live(as_plain(cx, &name, &clamped, !signed)?)
}

/// Integers less their zero points as real numbers; zero points lie along axis `out`, if there are several.
fn centred(cx: &mut Cx<'_, '_>, i: usize, zero: usize, out: i64) -> Result<Value, String> {
    let name = format!("{}.{i}", cx.name);
    let real = |cx: &mut Cx<'_, '_>, i: usize| -> Result<Option<Live>, String> {
        let Some(Value::Live(input)) = cx.given(i).cloned() else { return Ok(None) };
        let from = cx.graph.quantization.of.get(&input.id).copied();
        let from = from.ok_or_else(|| format!("{} holds no codes of 8 bits", cx.input_name(i)))?;
        let made = numbers(cx, &name, &input, from)?;
        Ok(Some(Live { of: Elements::Real, ..made }))
    };
    if let Some(input) = real(cx, i)? {
        let zero = match real(cx, zero)? {
            Some(zero) => Some(Value::Live(zero)),
            None => cx.given_known(zero)?.map(|zeros| Value::Known(as_float(&zeros))),
        };
        return match zero {
            Some(zero) => binary(cx, &format!("{name}.centred"), Kind::Sub, Value::Live(input), zero),
            None => Ok(Value::Live(input)),
        };
    }
    let (codes, zeros) = (cx.known(i)?, cx.given_known(zero)?);
    let mut dims = vec![1; codes.dims.len()];
    if let Some(many) = zeros.as_ref().map(|zeros| zeros.len()).filter(|many| *many > 1) {
        let at = axis(out, dims.len())?;
        if many != codes.dims[at] {
            return Err(format!("{} has {many} elements for {}", cx.input_name(zero), codes.dims[at]));
        }
        dims[at] = many;
    }
    let scales = Array::floats(dims.clone(), vec![1.0; dims.iter().product()]);
    dequantized(&codes, &scales, zeros.as_ref(), dims).map(|(_, reals)| Value::Known(reals))
}

/// Sums of products of integers, by an operator of numbers: exact up to 2^24.
fn of_integers(cx: &mut Cx<'_, '_>, out: i64, operator: fn(&mut Cx<'_, '_>) -> Made) -> Made {
    let (a, b) = (centred(cx, 0, 2, -2)?, centred(cx, 1, 3, out)?);
    cx.inputs = vec![Some(a), Some(b)];
    let made = operator(cx)?.into_iter().next().ok_or("no result")?;
    live(Live { of: Elements::Whole(Type::Int { bits: 32, signed: true }), ..tensor(made)? })
}

/// `ConvInteger`.
pub(super) fn conv(cx: &mut Cx<'_, '_>) -> Made {
    of_integers(cx, 0, windows::conv)
}

/// `MatMulInteger`.
pub(super) fn mat_mul(cx: &mut Cx<'_, '_>) -> Made {
    of_integers(cx, -1, dense::mat_mul)
}
