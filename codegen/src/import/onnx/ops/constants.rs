//! Constants, and what is computed of shapes.

use super::{
    super::{
        array::{Array, Data, Type, broadcast, count, places},
        context::{Cx, Made, known, live, one, sizes},
        value::{Elements, Live, Value},
    },
    arithmetic::{Kind, binary, pairs},
    logic,
};
use crate::ops::{Clamp, Function};

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
    let dims = sizes(&cx.input_name(0), &cx.sizes_at(0)?.ok_or("input 0 is missing")?)?;
    cx.check_size(&dims)?;
    let value = cx.tensor("value")?.unwrap_or_else(|| Array::floats(vec![1], vec![0.0]));
    if value.len() != 1 {
        return Err(format!("attribute `value`: expected one element, got {:?}", value.dims));
    }
    known(value.with_dims(vec![]).expanded(&dims))
}

/// `Range`: of constants, or as many numbers as the file declares.
pub(super) fn range(cx: &mut Cx<'_, '_>) -> Made {
    let declared = cx.node.output.first().and_then(|name| cx.graph.declared.get(name)).cloned();
    if let (false, Some([count])) = (cx.is_known(), declared.as_deref()) {
        let count = cx.check_size(&[usize::try_from(*count).map_err(|_| "no such size")?])?;
        let (start, step, name) = (cx.value(0)?.clone(), cx.value(2)?.clone(), cx.name.clone());
        let of = match (&start, &step) {
            (Value::Live(live), _) | (_, Value::Live(live)) => live.of,
            _ => return Err("a number of elements that depends on the network's input".into()),
        };
        let numbers = Array::ints((0..count as i64).collect()).cast(of.stored());
        let steps = binary(cx, &format!("{name}.steps"), Kind::Mul, step, Value::Known(numbers))?;
        return one(binary(cx, &name, Kind::Add, steps, start)?);
    }
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
        Value::Live(live) => live.of.stored(),
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
            let made = match (input.of, to) {
                (Elements::Labels, Type::Int { .. }) => return live(input),
                (Elements::Real | Elements::Whole(_), to) if to.is_float() => input,
                (Elements::Whole(Type::Bool), _) => input,
                (Elements::Real | Elements::Whole(_), Type::Bool) => logic::is_other_than_zero(cx, &input)?,
                (Elements::Real, Type::Int { bits: 32 | 64, .. }) => truncated(cx, &input)?,
                (Elements::Whole(Type::Int { bits, signed }), Type::Int { bits: to, signed: to_signed })
                    if (to >= bits || to >= 32) && (to_signed || !signed) =>
                {
                    input
                }
                (from, to) => return Err(format!("attribute `to`: {} to {}", from.name(), to.name())),
            };
            live(Live { of: Elements::of(to), ..made })
        }
    }
}

/// Without their fractions.
fn truncated(cx: &mut Cx<'_, '_>, input: &Live) -> Result<Live, String> {
    let name = cx.name.clone();
    let part = |what: &str| format!("{name}.{what}");
    let positive = cx.graph.clamped(&part("positive"), input, Clamp::RELU)?;
    let floor = cx.graph.function(&part("floor"), &positive, Function::Floor)?;
    let negative = cx.graph.clamped(&part("negative"), input, Clamp { max: 0.0, ..Clamp::NONE })?;
    let ceil = cx.graph.function(&part("ceil"), &negative, Function::Ceil)?;
    match binary(cx, &name, Kind::Add, Value::Live(floor), Value::Live(ceil))? {
        Value::Live(made) => Ok(made),
        _ => Err("expected a tensor".into()),
    }
}

/// `Where`.
pub(super) fn select(cx: &mut Cx<'_, '_>) -> Made {
    if !cx.is_known() {
        let dims = broadcast(&broadcast(&cx.dims(0)?, &cx.dims(1)?)?, &cx.dims(2)?)?;
        if let Value::Known(Array { data: Data::Bool(holds), .. }) = cx.value(0)? {
            let chosen = if holds.first().copied().ok_or("an empty condition")? { 1 } else { 2 };
            // The condition may be the same everywhere.
            if holds.iter().all(|x| *x == holds[0]) && cx.dims(chosen)? == dims {
                return one(cx.value(chosen)?.clone());
            }
        }
        return logic::chosen(cx);
    }
    let condition = cx.known(0)?;
    let Data::Bool(holds) = &condition.data else { return Err("a condition that is no truth value".into()) };
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

/// A relation of constants.
pub(super) fn compare(cx: &mut Cx<'_, '_>, holds: impl Fn(f64, f64) -> bool) -> Made {
    let (a, b) = (cx.known(0)?, cx.known(1)?);
    let (dims, pairs) = pairs(cx, &a, &b)?;
    let (x, y) = (a.to_f64(), b.to_f64());
    let data = Data::Bool(pairs.into_iter().map(|(i, j)| holds(x[i], y[j])).collect());
    known(Array { dims, data, of: Type::Bool })
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
