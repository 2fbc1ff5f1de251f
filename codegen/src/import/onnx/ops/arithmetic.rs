//! Arithmetic on two tensors or more, one of which may be a constant.

use super::super::{
    array::{Array, Data, Type, broadcast, places},
    context::{Cx, Made, Pair, as_float},
    layout::Layout,
    value::{Elements, Live, Places, Value},
};
use crate::{
    Shape, ValueId,
    ops::{Add, BatchNorm, Clamp, Extremum, Function, LinearPair, Mul, Sub},
};
use std::rc::Rc;

/// An operator of two operands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
}

impl Kind {
    fn of(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Max => a.max(b),
            Self::Min => a.min(b),
        }
    }

    fn of_ints(self, a: i64, b: i64) -> Option<i64> {
        match self {
            Self::Add => a.checked_add(b),
            Self::Sub => a.checked_sub(b),
            Self::Mul => a.checked_mul(b),
            Self::Div => a.checked_div(b),
            Self::Max => Some(a.max(b)),
            Self::Min => Some(a.min(b)),
        }
    }
}

/// Sizes, and which two elements meet for each element of them.
type Pairs = (Vec<usize>, Vec<(usize, usize)>);

/// Both arrays' elements, each as often as the other's meet it.
pub(super) fn pairs(cx: &Cx<'_, '_>, a: &Array, b: &Array) -> Result<Pairs, String> {
    let dims = broadcast(&a.dims, &b.dims)?;
    cx.check_size(&dims)?;
    let (x, y) = (a.broadcast_steps(&dims), b.broadcast_steps(&dims));
    let pairs = places(&dims, &x, 0).zip(places(&dims, &y, 0)).collect();
    Ok((dims, pairs))
}

fn folded(cx: &Cx<'_, '_>, kind: Kind, a: &Array, b: &Array) -> Result<Array, String> {
    let (dims, pairs) = pairs(cx, a, b)?;
    let data = match (&a.data, &b.data) {
        (Data::Int(x), Data::Int(y)) => {
            let each = pairs.into_iter().map(|(i, j)| kind.of_ints(x[i], y[j]));
            Data::Int(
                each.collect::<Option<Rc<[i64]>>>().ok_or("integers beyond 64 bits, or a division by 0")?,
            )
        }
        (Data::Float(x), Data::Float(y)) => {
            Data::Float(pairs.into_iter().map(|(i, j)| kind.of(x[i] as f64, y[j] as f64) as f32).collect())
        }
        _ => return Err(format!("operands of {} and {}", a.of.name(), b.of.name())),
    };
    Ok(Array { dims, data, of: a.of })
}

/// Two operands, whatever they are.
pub(super) fn binary(
    cx: &mut Cx<'_, '_>,
    name: &str,
    kind: Kind,
    a: Value,
    b: Value,
) -> Result<Value, String> {
    let of = elements(kind, &a, &b)?;
    let made = match (a, b) {
        (Value::Known(a), Value::Known(b)) => return folded(cx, kind, &a, &b).map(Value::Known),
        (Value::Places(places), Value::Known(b)) => return moved_places(cx, kind, places, &b),
        (Value::Known(a), Value::Places(places)) if kind == Kind::Add => {
            return moved_places(cx, kind, places, &a);
        }
        (Value::Live(a), Value::Known(b)) => with_constant(cx, name, kind, a, &b, false)?,
        (Value::Known(a), Value::Live(b)) => with_constant(cx, name, kind, b, &a, true)?,
        (Value::Live(a), Value::Live(b)) => of_two(cx, name, kind, a, b)?,
        _ => return Err("operands that are positions in a tensor".into()),
    };
    cx.graph.recognised(name, made).map(|made| Value::Live(Live { of, ..made }))
}

/// What the result holds, if the operands can be computed with.
fn elements(kind: Kind, a: &Value, b: &Value) -> Result<Elements, String> {
    let of = |value: &Value| match value {
        Value::Live(live) => live.of,
        Value::Known(array) => Elements::of(array.of),
        _ => Elements::Real,
    };
    match (of(a), of(b)) {
        (Elements::Real, Elements::Real) => Ok(Elements::Real),
        // Between constants types are what the constants say.
        _ if !matches!((a, b), (Value::Live(_), _) | (_, Value::Live(_))) => Ok(Elements::Real),
        (Elements::Whole(of), Elements::Whole(_)) => match (kind, of) {
            (Kind::Max | Kind::Min, _) => Ok(Elements::Whole(of)),
            (Kind::Add | Kind::Sub | Kind::Mul, Type::Int { bits: 32 | 64, .. }) => Ok(Elements::Whole(of)),
            (Kind::Div, _) => Err(format!("a quotient of {}; cast them to real numbers", of.name())),
            _ => Err(format!("arithmetic on elements of type {}; cast them to real numbers", of.name())),
        },
        (a, b) if a == Elements::Labels || b == Elements::Labels => Err("arithmetic on class labels".into()),
        (a, b) => Err(format!("{} and {} as operands", a.name(), b.name())),
    }
}

/// Positions to which a constant is added.
fn moved_places(cx: &Cx<'_, '_>, kind: Kind, places: Places, by: &Array) -> Result<Value, String> {
    if !matches!(kind, Kind::Add | Kind::Sub) || places.dims != places.result {
        return Err("positions in a tensor, to which only a constant can be added".into());
    }
    let zero = Array::ints(vec![0]).with_dims(vec![]);
    let added = folded(cx, kind, places.added.as_ref().unwrap_or(&zero), by)?;
    if broadcast(&added.dims, &places.dims)? != places.dims {
        return Err("positions that are repeated".into());
    }
    Ok(Value::Places(Places { added: Some(added), ..places }))
}

/// A tensor and a constant; `first` says whether the constant is the first operand.
fn with_constant(
    cx: &mut Cx<'_, '_>,
    name: &str,
    kind: Kind,
    input: Live,
    constant: &Array,
    first: bool,
) -> Result<Live, String> {
    let constant = as_float(constant);
    if let Some(bad) = constant.as_floats()?.iter().find(|x| x.is_nan()) {
        return Err(format!("a constant with {bad}"));
    }
    let dims = broadcast(input.dims(), &constant.dims)?;
    let mut input = if dims == input.dims() { input } else { input.seen(input.at.repeated(&dims)) };
    if let Some(value) = constant.single() {
        return with_number(cx, name, kind, &input, value, first);
    }
    input = cx.graph.unrepeated(name, input)?;
    let mut value = input.at.lay(&constant)?;
    let is_per_channel = value.shape.area() == 1 && value.shape.c == input.at.shape().c;
    match kind {
        Kind::Div if first => {
            let inverse = cx.graph.function(&format!("{name}.inverse"), &input, Function::Reciprocal)?;
            return with_constant(cx, name, Kind::Mul, inverse, &constant, false);
        }
        Kind::Add | Kind::Sub | Kind::Mul | Kind::Div if is_per_channel => {
            let lines = value.data.iter().map(|c| line(kind, *c as f64, first));
            let (factor, offset) = lines.unzip();
            return cx.graph.same(name, BatchNorm { factor, offset }, &input);
        }
        _ => {}
    }
    let kind = if kind == Kind::Div {
        value = value.map(|x| 1.0 / x);
        Kind::Mul
    } else {
        kind
    };
    let shape = value.shape;
    let id = cx.graph.map(&format!("{name}.constant"), value)?;
    let operands = if first { [id, input.id] } else { [input.id, id] };
    let shapes = if first { [shape, input.at.shape()] } else { [input.at.shape(), shape] };
    let id = elementwise(cx, name, kind, operands, shapes)?;
    Ok(Live { id, ..input })
}

/// Factor and offset of `x` and a number.
fn line(kind: Kind, c: f64, first: bool) -> (f64, f64) {
    match (kind, first) {
        (Kind::Sub, true) => (-1.0, c),
        (Kind::Sub, false) => (1.0, -c),
        (Kind::Mul, _) => (c, 0.0),
        (Kind::Div, _) => (1.0 / c, 0.0),
        _ => (1.0, c),
    }
}

fn with_number(
    cx: &mut Cx<'_, '_>,
    name: &str,
    kind: Kind,
    input: &Live,
    c: f64,
    first: bool,
) -> Result<Live, String> {
    let of = |x: f64| if first { kind.of(c, x) } else { kind.of(x, c) };
    let made = match kind {
        Kind::Max => return cx.graph.clamped(name, input, Clamp { min: c as f32, ..Clamp::NONE }),
        Kind::Min => return cx.graph.clamped(name, input, Clamp { max: c as f32, ..Clamp::NONE }),
        Kind::Div if first => {
            let part = if c == 1.0 { name.into() } else { format!("{name}.inverse") };
            let inverse = cx.graph.function(&part, input, Function::Reciprocal)?;
            if c == 1.0 { inverse } else { with_number(cx, name, Kind::Mul, &inverse, c, false)? }
        }
        _ => match line(kind, c, first) {
            (1.0, 0.0) => input.clone(),
            // As a batch norm, which the layer before takes in.
            (factor, offset) => {
                let c = input.at.shape().c;
                cx.graph.same(name, BatchNorm { factor: vec![factor; c], offset: vec![offset; c] }, input)?
            }
        },
    };
    if made.id != input.id {
        cx.graph.follow(input.id, made.id, of);
    }
    Ok(made)
}

/// Two tensors that the network computes.
fn of_two(cx: &mut Cx<'_, '_>, name: &str, kind: Kind, a: Live, b: Live) -> Result<Live, String> {
    if kind == Kind::Div {
        let inverse = cx.graph.function(&format!("{name}.inverse"), &b, Function::Reciprocal)?;
        let made = of_two(cx, name, Kind::Mul, a.clone(), inverse)?;
        cx.graph.follow_two([a.id, b.id], made.id, |x, y| x / y);
        return Ok(made);
    }
    let dims = broadcast(a.dims(), b.dims())?;
    let whole = [a, b].map(|x| x.seen(x.at.repeated(&dims)));
    let [a, b] = &whole;
    if a.at == b.at {
        let shape = a.at.shape();
        let id = elementwise(cx, name, kind, [a.id, b.id], [shape; 2])?;
        cx.graph.follow_two([a.id, b.id], id, |x, y| kind.of(x, y));
        return Ok(Live { id, ..a.clone() });
    }
    // Repeating is left to the operator, as far as either operand has the axis.
    let own = whole.clone().map(|x| x.seen(x.at.unrepeated()));
    let joint = broadcast(own[0].dims(), own[1].dims())?;
    let of_larger = own.iter().max_by_key(|x| x.at.len()).and_then(|x| {
        let groups = x.at.plain()?.map(Vec::from_iter);
        // Only if it has every axis.
        (0..joint.len())
            .all(|axis| joint[axis] == 1 || groups.iter().any(|g| g.contains(&axis)))
            .then_some(groups)
    });
    let [h, w, c] = of_larger.unwrap_or_else(|| Layout::usual_groups(&joint));
    let groups = [&h[..], &w[..], &c[..]];
    let mut operands = vec![];
    for x in own {
        let size = |dims: &[usize], group: &[usize]| group.iter().map(|axis| dims[*axis]).product::<usize>();
        let fits =
            |g: &&[usize]| matches!(size(x.dims(), g), size_of if size_of == 1 || size_of == size(&joint, g));
        // A part of height, width or channels cannot be repeated by the operator.
        let x = if groups.iter().all(fits) { x } else { x.seen(x.at.repeated(&joint)) };
        let x = cx.graph.unrepeated(name, x)?;
        operands.push(cx.graph.arranged(name, &x, groups)?);
    }
    let at = Layout::of(&joint, groups).repeated(&dims);
    let (ids, shapes) = ([operands[0].id, operands[1].id], [operands[0].at.shape(), operands[1].at.shape()]);
    let id = elementwise(cx, name, kind, ids, shapes)?;
    Ok(Live { id, at, of: Elements::Real })
}

/// An operator of two maps, either of which may have a size of 1 where the other has more.
fn elementwise(
    cx: &mut Cx<'_, '_>,
    name: &str,
    kind: Kind,
    mut ids: [ValueId; 2],
    shapes: [Shape; 2],
) -> Result<ValueId, String> {
    // The larger operand first, where it makes no difference.
    let swapped = kind != Kind::Sub && shapes[1].len() > shapes[0].len();
    if swapped {
        ids.swap(0, 1);
    }
    let ids = cx.graph.broadcast(name, ids);
    if let Some(Pair { to, of_codes }) = cx.pair {
        let codes = ids.map(|id| cx.graph.quantization.of.get(&id).copied());
        let [Some(a), Some(b)] = codes else { return Err("expected codes of 8 bits".into()) };
        let unsigned = [a.unsigned, b.unsigned, to.unsigned];
        let product = kind == Kind::Mul;
        let id = cx.graph.op(name, LinearPair { product, of_codes, swapped, unsigned }, &ids)?;
        cx.graph.quantization.of.insert(id, to);
        return Ok(id);
    }
    match kind {
        Kind::Add => cx.graph.op(name, Add::default(), &ids),
        Kind::Sub => cx.graph.op(name, Sub::default(), &ids),
        Kind::Mul | Kind::Div => cx.graph.op(name, Mul::default(), &ids),
        Kind::Max => cx.graph.op(name, Extremum::MAXIMUM, &ids),
        Kind::Min => cx.graph.op(name, Extremum::MINIMUM, &ids),
    }
}

fn of(cx: &mut Cx<'_, '_>, kind: Kind) -> Made {
    let name = cx.name.clone();
    let (a, b) = (cx.value(0)?.clone(), cx.value(1)?.clone());
    Ok(vec![binary(cx, &name, kind, a, b)?])
}

/// `Add`.
pub(super) fn add(cx: &mut Cx<'_, '_>) -> Made {
    of(cx, Kind::Add)
}

/// `Sub`.
pub(super) fn sub(cx: &mut Cx<'_, '_>) -> Made {
    of(cx, Kind::Sub)
}

/// `Mul`.
pub(super) fn mul(cx: &mut Cx<'_, '_>) -> Made {
    of(cx, Kind::Mul)
}

/// `Div`.
pub(super) fn div(cx: &mut Cx<'_, '_>) -> Made {
    of(cx, Kind::Div)
}

/// One operand after the other; the last result gets the name.
fn of_all(cx: &mut Cx<'_, '_>, name: &str, kind: Kind) -> Result<Value, String> {
    let mut result = cx.value(0)?.clone();
    let last = cx.inputs.len() - 1;
    for i in 1..=last {
        let next = cx.value(i)?.clone();
        let part = if i == last { name.into() } else { format!("{name}.{i}") };
        result = binary(cx, &part, kind, result, next)?;
    }
    Ok(result)
}

/// `Sum`.
pub(super) fn sum(cx: &mut Cx<'_, '_>) -> Made {
    let name = cx.name.clone();
    Ok(vec![of_all(cx, &name, Kind::Add)?])
}

/// `Mean`.
pub(super) fn mean(cx: &mut Cx<'_, '_>) -> Made {
    let name = cx.name.clone();
    let sum = of_all(cx, &format!("{name}.sum"), Kind::Add)?;
    let count = Array::floats(vec![], vec![cx.inputs.len() as f32]);
    Ok(vec![binary(cx, &name, Kind::Div, sum, Value::Known(count))?])
}

/// `Max`.
pub(super) fn max(cx: &mut Cx<'_, '_>) -> Made {
    let name = cx.name.clone();
    Ok(vec![of_all(cx, &name, Kind::Max)?])
}

/// `Min`.
pub(super) fn min(cx: &mut Cx<'_, '_>) -> Made {
    let name = cx.name.clone();
    Ok(vec![of_all(cx, &name, Kind::Min)?])
}
