//! Truth values: 0 and 1, where the network computes them.

use super::{
    super::{
        array::{Array, Data, Type},
        context::{Cx, Made, as_float, known, live, one},
        value::{Elements, Live, Value},
    },
    arithmetic::{Kind, binary},
    constants,
};
use crate::ops::{Clamp, Function};

/// A relation of two numbers or of two truth values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Relation {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    And,
    Or,
    Xor,
}

impl Relation {
    fn holds(self, a: f64, b: f64) -> bool {
        let (x, y) = (a != 0.0, b != 0.0);
        match self {
            Self::Equal => a == b,
            Self::Greater => a > b,
            Self::GreaterOrEqual => a >= b,
            Self::Less => a < b,
            Self::LessOrEqual => a <= b,
            Self::And => x && y,
            Self::Or => x || y,
            Self::Xor => x != y,
        }
    }

    fn is_logic(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Xor)
    }
}

/// An operand as numbers, whatever they are in the file.
fn number(cx: &mut Cx<'_, '_>, i: usize, logic: bool) -> Result<Value, String> {
    let of = match cx.value(i)? {
        Value::Live(live) => live.of,
        Value::Known(array) => Elements::of(array.of),
        _ => return Err("positions in a tensor".into()),
    };
    if of == Elements::Labels || logic != (of == Elements::Whole(Type::Bool)) {
        let wanted = if logic { "truth values" } else { "numbers" };
        return Err(format!("{} holds {}, expected {wanted}", cx.input_name(i), of.name()));
    }
    Ok(match cx.value(i)?.clone() {
        Value::Live(live) => Value::Live(Live { of: Elements::Real, ..live }),
        Value::Known(array) => Value::Known(as_float(&array)),
        other => other,
    })
}

fn tensor(value: Value) -> Result<Live, String> {
    match value {
        Value::Live(live) => Ok(live),
        _ => Err("expected a tensor".into()),
    }
}

/// Truth values of numbers that are 0 or 1.
fn truths(made: Live) -> Made {
    live(Live { of: Elements::Whole(Type::Bool), ..made })
}

/// A relation: of constants while the file is read, of tensors by the sign of their difference.
pub(super) fn relation(cx: &mut Cx<'_, '_>, relation: Relation) -> Made {
    if cx.is_known() {
        return constants::compare(cx, |a, b| relation.holds(a, b));
    }
    let equal = relation == Relation::Equal;
    // Truth values may be compared too.
    let of_truths = equal && cx.inputs.iter().flatten().all(is_truth);
    let logic = relation.is_logic() || of_truths;
    let (mut a, mut b) = (number(cx, 0, logic)?, number(cx, 1, logic)?);
    let name = cx.name.clone();
    let part = |what: &str| format!("{name}.{what}");
    match relation {
        Relation::And => return truths(tensor(binary(cx, &name, Kind::Mul, a, b)?)?),
        Relation::Or => return truths(tensor(binary(cx, &name, Kind::Max, a, b)?)?),
        Relation::Less | Relation::GreaterOrEqual => std::mem::swap(&mut a, &mut b),
        _ => {}
    }
    let difference = tensor(binary(cx, &part("difference"), Kind::Sub, a, b)?)?;
    let difference = cx.graph.unrepeated(&name, difference)?;
    if relation == Relation::Xor {
        return truths(cx.graph.function(&name, &difference, Function::Abs)?);
    }
    let sign = cx.graph.function(&part("sign"), &difference, Function::Sign)?;
    truths(match relation {
        Relation::Greater | Relation::Less => cx.graph.clamped(&name, &sign, Clamp::RELU)?,
        Relation::GreaterOrEqual | Relation::LessOrEqual => {
            let above = cx.graph.clamped(&part("above"), &sign, Clamp::RELU)?;
            negated(cx, &name, &above)?
        }
        _ => {
            let differs = cx.graph.function(&part("differs"), &sign, Function::Abs)?;
            negated(cx, &name, &differs)?
        }
    })
}

fn is_truth(value: &Value) -> bool {
    match value {
        Value::Live(live) => live.of == Elements::Whole(Type::Bool),
        Value::Known(array) => array.of == Type::Bool,
        _ => false,
    }
}

/// One less the number.
fn negated(cx: &mut Cx<'_, '_>, name: &str, input: &Live) -> Result<Live, String> {
    cx.graph.function(name, input, Function::Affine(-1.0, 1.0))
}

/// 1 for every number but 0.
pub(super) fn is_other_than_zero(cx: &mut Cx<'_, '_>, input: &Live) -> Result<Live, String> {
    let name = cx.name.clone();
    let sign = cx.graph.function(&format!("{name}.sign"), input, Function::Sign)?;
    cx.graph.function(&name, &sign, Function::Abs)
}

/// `Not`.
pub(super) fn not(cx: &mut Cx<'_, '_>) -> Made {
    if let Value::Known(array) = cx.value(0)? {
        let Data::Bool(values) = &array.data else { return Err("expected truth values".into()) };
        return known(Array { data: Data::Bool(values.iter().map(|x| !x).collect()), ..array.clone() });
    }
    let (input, name) = (tensor(number(cx, 0, true)?)?, cx.name.clone());
    truths(negated(cx, &name, &input)?)
}

/// `Where` of tensors: `condition * a + (1 - condition) * b`, exact for finite numbers.
pub(super) fn chosen(cx: &mut Cx<'_, '_>) -> Made {
    let name = cx.name.clone();
    let part = |what: &str| format!("{name}.{what}");
    let condition = number(cx, 0, true)?;
    let of = match (cx.value(1)?, cx.value(2)?) {
        (Value::Live(live), _) | (_, Value::Live(live)) => live.of,
        (Value::Known(array), _) => Elements::of(array.of),
        _ => return Err("positions in a tensor".into()),
    };
    let operand = |cx: &mut Cx<'_, '_>, i: usize| -> Result<Value, String> {
        let value = number(cx, i, of == Elements::Whole(Type::Bool))?;
        match &value {
            Value::Known(array) if array.to_f64().iter().any(|x| !x.is_finite()) => {
                Err(format!("{} holds numbers that are not finite", cx.input_name(i)))
            }
            _ => Ok(value),
        }
    };
    let (a, b) = (operand(cx, 1)?, operand(cx, 2)?);
    let other = match &condition {
        Value::Known(array) => {
            let values = array.to_f64().into_iter().map(|x| 1.0 - x as f32).collect();
            Value::Known(Array::floats(array.dims.clone(), values))
        }
        Value::Live(live) => {
            let live = live.clone();
            Value::Live(negated(cx, &part("otherwise"), &live)?)
        }
        _ => return Err("expected truth values".into()),
    };
    let a = binary(cx, &part("first"), Kind::Mul, condition, a)?;
    let b = binary(cx, &part("second"), Kind::Mul, other, b)?;
    match binary(cx, &name, Kind::Add, a, b)? {
        Value::Live(made) => live(Live { of, ..made }),
        other => one(other),
    }
}
