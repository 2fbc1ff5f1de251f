//! Constants, and what is computed of shapes.

use super::{
    super::{
        array::{Array, Data, Type, broadcast, count, places},
        context::{Cx, Made, known, live, one, sizes},
        value::Value,
    },
    arithmetic::pairs,
};

/// `Constant`.
pub(super) fn constant(cx: &mut Cx<'_, '_>) -> Made {
    if let Some(array) = cx.tensor("value")? {
        return known(array);
    }
    let scalar = |array: Array| array.with_dims(vec![]);
    let floats = |values: &[f32]| Array::floats(vec![values.len()], values.to_vec());
    if let Some(values) = cx.floats("value_floats")? {
        return known(floats(values));
    }
    if let Some(values) = cx.ints("value_ints")? {
        return known(Array::ints(values.to_vec()));
    }
    if let Some(value) = cx.int("value_int")? {
        return known(scalar(Array::ints(vec![value])));
    }
    if cx.node.attribute.iter().any(|a| a.name.as_deref() == Some("value_float")) {
        return known(scalar(floats(&[cx.float("value_float", 0.0)?])));
    }
    Err("a constant of another kind than numbers".into())
}

/// `ConstantOfShape`.
pub(super) fn constant_of_shape(cx: &mut Cx<'_, '_>) -> Made {
    let dims = sizes(&cx.input_name(0), &cx.given_ints(0)?.ok_or("input 0 is missing")?)?;
    cx.check_size(&dims)?;
    let value = cx.tensor("value")?.unwrap_or_else(|| Array::floats(vec![1], vec![0.0]));
    if value.len() != 1 {
        return Err(format!("attribute `value`: expected one element, got {:?}", value.dims));
    }
    known(value.with_dims(vec![]).expanded(&dims))
}

/// `Range` of constants.
pub(super) fn range(cx: &mut Cx<'_, '_>) -> Made {
    let of = |cx: &Cx<'_, '_>, i: usize| -> Result<f64, String> {
        cx.known(i)?.single().ok_or_else(|| format!("{}: expected one number", cx.input_name(i)))
    };
    let (start, limit, step) = (of(cx, 0)?, of(cx, 1)?, of(cx, 2)?);
    let count = ((limit - start) / step).ceil();
    if count.is_nan() || count > 1e9 {
        return Err(format!("from {start} to {limit} in steps of {step}"));
    }
    let count = cx.check_size(&[count.max(0.0) as usize])?;
    let values = (0..count).map(|i| start + i as f64 * step);
    let data = match cx.known(0)?.data {
        Data::Int(_) => Data::Int(values.map(|x| x as i64).collect()),
        _ => Data::Float(values.map(|x| x as f32).collect()),
    };
    known(Array { dims: vec![count], data, of: cx.known(0)?.of })
}

/// `Cast`: of constants; of tensors between types of real numbers only.
pub(super) fn cast(cx: &mut Cx<'_, '_>) -> Made {
    cx.ignore(&["saturate", "round_mode"]);
    let number = cx.int("to")?.and_then(|to| i32::try_from(to).ok()).ok_or("attribute `to` is missing")?;
    let to = Type::of(number).map_err(|e| format!("attribute `to`: {e}"))?;
    cast_to(cx, to)
}

/// `CastLike`.
pub(super) fn cast_like(cx: &mut Cx<'_, '_>) -> Made {
    cx.ignore(&["saturate", "round_mode"]);
    let to = match cx.value(1)? {
        Value::Known(array) => array.of,
        Value::Live(live) if live.labels => Type::I64,
        _ => Type::F32,
    };
    cast_to(cx, to)
}

fn cast_to(cx: &mut Cx<'_, '_>, to: Type) -> Made {
    match cx.value(0)? {
        Value::Known(array) => {
            cx.check_size(&array.dims)?;
            known(array.cast(to))
        }
        Value::Places(_) if matches!(to, Type::Int { bits: 32 | 64, .. }) => one(cx.value(0)?.clone()),
        _ => {
            let input = cx.lazy(0)?;
            let is_same = if input.labels { matches!(to, Type::Int { .. }) } else { to.is_float() };
            if !is_same {
                let from = if input.labels { "class labels" } else { "real numbers" };
                return Err(format!("attribute `to`: {from} to {}", to.name()));
            }
            live(input)
        }
    }
}

/// `Where` with constants as its condition; with tensors, if the condition is the same everywhere.
pub(super) fn select(cx: &mut Cx<'_, '_>) -> Made {
    let condition = cx.known(0)?;
    let Data::Bool(holds) = &condition.data else { return Err("a condition that is no truth value".into()) };
    if !cx.is_known() {
        let first = holds.first().copied().ok_or("an empty condition")?;
        let dims = broadcast(&broadcast(&condition.dims, &cx.dims(1)?)?, &cx.dims(2)?)?;
        let chosen = if first { 1 } else { 2 };
        if holds.iter().any(|x| *x != first) || cx.dims(chosen)? != dims {
            return Err("a choice by element between tensors that depend on the network's input".into());
        }
        return one(cx.value(chosen)?.clone());
    }
    let (a, b) = (cx.known(1)?, cx.known(2)?);
    let dims = broadcast(&broadcast(&condition.dims, &a.dims)?, &b.dims)?;
    cx.check_size(&dims)?;
    let (a, b, len) = (a.expanded(&dims), b.expanded(&dims), count(&dims).unwrap_or_default());
    let data = match (&a.data, &b.data) {
        (Data::Float(x), Data::Float(y)) => Data::Float(x.iter().chain(&y[..]).copied().collect()),
        (Data::Int(x), Data::Int(y)) => Data::Int(x.iter().chain(&y[..]).copied().collect()),
        (Data::Bool(x), Data::Bool(y)) => Data::Bool(x.iter().chain(&y[..]).copied().collect()),
        _ => return Err("a choice between different types".into()),
    };
    let steps = condition.broadcast_steps(&dims);
    let from = places(&dims, &steps, 0).enumerate().map(|(i, at)| if holds[at] { i } else { len + i });
    known(Array { dims: vec![2 * len], data, of: a.of }.pick(dims, from))
}

/// A comparison of constants.
pub(super) fn compare(cx: &mut Cx<'_, '_>, holds: fn(f64, f64) -> bool) -> Made {
    let (a, b) = (cx.known(0)?, cx.known(1)?);
    let (dims, pairs) = pairs(cx, &a, &b)?;
    let (x, y) = (a.to_f64(), b.to_f64());
    let data = Data::Bool(pairs.into_iter().map(|(i, j)| holds(x[i], y[j])).collect());
    known(Array { dims, data, of: Type::Bool })
}

/// `Not` of constants.
pub(super) fn not(cx: &mut Cx<'_, '_>) -> Made {
    let array = cx.known(0)?;
    let Data::Bool(values) = &array.data else { return Err("expected truth values".into()) };
    known(Array { data: Data::Bool(values.iter().map(|x| !x).collect()), ..array.clone() })
}

/// `Mod` of constants.
pub(super) fn modulo(cx: &mut Cx<'_, '_>) -> Made {
    let of_first = cx.flag("fmod", false)?;
    let (a, b) = (cx.known(0)?, cx.known(1)?);
    let (dims, pairs) = pairs(cx, &a, &b)?;
    let (x, y) = (a.as_ints()?, b.as_ints()?);
    let of = |(i, j): (usize, usize)| {
        let rest = x[i].checked_rem(y[j])?;
        // The sign is the divisor's.
        Some(if !of_first && rest != 0 && (rest < 0) != (y[j] < 0) { rest + y[j] } else { rest })
    };
    let data = Data::Int(pairs.into_iter().map(of).collect::<Option<_>>().ok_or("a division by 0")?);
    known(Array { dims, data, of: a.of })
}
