//! Functions of one value.

use super::{
    super::{
        array::{Array, Data, Type},
        context::{Cx, Made, as_float, known, live},
        value::{Elements, Live, Value},
    },
    arithmetic::{Kind, binary, pairs},
};
use crate::ops::{Clamp, Function, HardSigmoid, PRelu};

/// A function of every element, of a constant too.
pub(super) fn unary(cx: &mut Cx<'_, '_>, function: Function) -> Made {
    if let Value::Known(array) = cx.value(0)? {
        cx.check_size(&array.dims)?;
        return known(folded(array, function)?);
    }
    let (input, name) = (cx.lazy(0)?, cx.name.clone());
    let keeps = matches!(function, Function::Abs | Function::Neg | Function::Sign);
    match input.of {
        Elements::Real => {}
        Elements::Whole(Type::Int { bits: 32 | 64, signed: true }) if keeps => {}
        of => return Err(format!("a function of {}", of.name())),
    }
    let made = match function {
        // It has kernels of its own.
        Function::HardSigmoid(a, b) if (a - 1.0 / 6.0).abs() < 1e-7 && b == 0.5 => {
            let made = cx.graph.same(&name, HardSigmoid, &input)?;
            cx.graph.follow(input.id, made.id, |x| function.eval(x));
            made
        }
        _ => cx.graph.function(&name, &input, function)?,
    };
    live(cx.graph.recognised(&name, made)?)
}

fn folded(array: &Array, function: Function) -> Result<Array, String> {
    let data = match &array.data {
        Data::Float(v) => Data::Float(v.iter().map(|x| function.eval(*x as f64) as f32).collect()),
        Data::Int(v) => {
            let of = |x: i64| match function {
                Function::Abs => x.checked_abs(),
                Function::Neg => x.checked_neg(),
                Function::Sign => Some(x.signum()),
                Function::Floor | Function::Ceil | Function::Round => Some(x),
                _ => None,
            };
            Data::Int(v.iter().map(|x| of(*x)).collect::<Option<_>>().ok_or("a function of integers")?)
        }
        Data::Bool(_) => return Err("a function of truth values".into()),
    };
    Ok(Array { data, ..array.clone() })
}

/// `Elu`, `Celu` and others with `alpha`.
pub(super) fn with_alpha(cx: &mut Cx<'_, '_>, default: f32, function: fn(f64) -> Function) -> Made {
    let alpha = cx.float("alpha", default)?;
    unary(cx, function(alpha as f64))
}

/// `Selu`.
pub(super) fn selu(cx: &mut Cx<'_, '_>) -> Made {
    let alpha = cx.float("alpha", 1.673_263_2)?;
    let gamma = cx.float("gamma", 1.050_701)?;
    unary(cx, Function::Selu(alpha as f64, gamma as f64))
}

/// `HardSigmoid`.
pub(super) fn hard_sigmoid(cx: &mut Cx<'_, '_>) -> Made {
    let (alpha, beta) = (cx.float("alpha", 0.2)?, cx.float("beta", 0.5)?);
    unary(cx, Function::HardSigmoid(alpha as f64, beta as f64))
}

/// `Shrink`.
pub(super) fn shrink(cx: &mut Cx<'_, '_>) -> Made {
    let (bias, lambda) = (cx.float("bias", 0.0)?, cx.float("lambd", 0.5)?);
    unary(cx, Function::Shrink(bias as f64, lambda as f64))
}

/// `Gelu`.
pub(super) fn gelu(cx: &mut Cx<'_, '_>) -> Made {
    match cx.text("approximate", "none")? {
        "none" => unary(cx, Function::Gelu),
        "tanh" => unary(cx, Function::GeluTanh),
        other => Err(format!("attribute `approximate`: `{other}` is not known")),
    }
}

/// `Swish`.
pub(super) fn swish(cx: &mut Cx<'_, '_>) -> Made {
    match cx.float("alpha", 1.0)? {
        1.0 => unary(cx, Function::Silu),
        other => Err(format!("attribute `alpha`: {other}, expected 1")),
    }
}

/// Between two numbers.
fn clamp(cx: &mut Cx<'_, '_>, clamp: Clamp) -> Made {
    if let Value::Known(array) = cx.value(0)? {
        cx.check_size(&array.dims)?;
        let clamped = match &array.data {
            Data::Float(v) => Data::Float(v.iter().map(|x| clamp.apply(*x)).collect()),
            Data::Int(v) => Data::Int(v.iter().map(|x| clamp.apply(*x as f64) as i64).collect()),
            Data::Bool(_) => return Err("a clamp of truth values".into()),
        };
        return known(Array { data: clamped, ..array.clone() });
    }
    let (input, name) = (cx.lazy(0)?, cx.name.clone());
    if matches!(input.of, Elements::Labels | Elements::Whole(Type::Bool)) {
        return Err(format!("a clamp of {}", input.of.name()));
    }
    live(cx.graph.clamped(&name, &input, clamp)?)
}

/// `Relu`.
pub(super) fn relu(cx: &mut Cx<'_, '_>) -> Made {
    clamp(cx, Clamp::RELU)
}

/// `Clip`: with bounds as attributes, since version 11 as inputs.
pub(super) fn clip(cx: &mut Cx<'_, '_>) -> Made {
    let bound = |cx: &Cx<'_, '_>, i: usize, default: f32| -> Result<f32, String> {
        let Some(array) = cx.given_known(i)? else { return Ok(default) };
        let value = array.single().filter(|x| !x.is_nan());
        value.map(|x| x as f32).ok_or_else(|| format!("{}: expected one number", cx.input_name(i)))
    };
    let (min, max) = (cx.float("min", f32::NEG_INFINITY)?, cx.float("max", f32::INFINITY)?);
    // As the formula has it, where the bounds are the wrong way round.
    let (min, max) = (bound(cx, 1, min)?, bound(cx, 2, max)?);
    clamp(cx, Clamp { min: min.min(max), max })
}

/// `PRelu`.
pub(super) fn prelu(cx: &mut Cx<'_, '_>) -> Made {
    let (slopes, name) = (cx.weights(1)?, cx.name.clone());
    let input = cx.live(0)?;
    let dims = super::super::array::broadcast(input.dims(), &slopes.dims)?;
    if dims != input.dims() {
        return Err(format!("slopes of {:?} for a tensor of {:?}", slopes.dims, input.dims()));
    }
    let of_map = input.at.lay(&slopes)?;
    if of_map.shape.area() == 1 {
        let layer = super::windows::layer_name(cx, 1);
        return live(cx.graph.same(&layer, PRelu::new(of_map.data.into()), &input)?);
    }
    // Slopes that differ from pixel to pixel: what is positive, and the slope times what is negative.
    let positive = cx.graph.same(&format!("{name}.positive"), Clamp::RELU, &input)?;
    let negative = Clamp { max: 0.0, ..Clamp::NONE };
    let negative = cx.graph.same(&format!("{name}.negative"), negative, &input)?;
    let scaled =
        binary(cx, &format!("{name}.scaled"), Kind::Mul, Value::Live(negative), Value::Known(slopes))?;
    Ok(vec![binary(cx, &name, Kind::Add, Value::Live(positive), scaled)?])
}

/// `Pow`.
pub(super) fn pow(cx: &mut Cx<'_, '_>) -> Made {
    if cx.is_known() {
        let (a, b) = (cx.known(0)?, cx.known(1)?);
        let (dims, pairs) = pairs(cx, &a, &b)?;
        let (x, y) = (a.to_f64(), b.to_f64());
        let values: Vec<f64> = pairs.into_iter().map(|(i, j)| libm::pow(x[i], y[j])).collect();
        let floats = Array::floats(dims, values.iter().map(|x| *x as f32).collect());
        return known(match a.data {
            Data::Int(_) => {
                Array { data: Data::Int(values.iter().map(|x| *x as i64).collect()), of: a.of, ..floats }
            }
            _ => floats,
        });
    }
    if let Value::Known(base) = cx.value(0)? {
        let base = base.single().filter(|x| *x > 0.0).ok_or("a base that is not one positive number")?;
        let (exponent, name) = (cx.live(1)?, cx.name.clone());
        let factor = Array::floats(vec![], vec![libm::log(base) as f32]);
        let part = format!("{name}.exponent");
        let scaled = binary(cx, &part, Kind::Mul, Value::Live(exponent), Value::Known(factor))?;
        let Value::Live(scaled) = scaled else { return Err("expected a tensor".into()) };
        return live(cx.graph.function(&name, &scaled, Function::Exp)?);
    }
    let exponent = cx.known(1)?;
    if exponent.len() != 1 {
        return power_of_each(cx, &exponent);
    }
    let exponent = exponent.single().ok_or_else(|| format!("{}: expected one number", cx.input_name(1)))?;
    match exponent {
        1.0 => live(identity(cx)?),
        2.0 => unary(cx, Function::Square),
        0.5 => unary(cx, Function::Sqrt),
        -0.5 => unary(cx, Function::Rsqrt),
        -1.0 => unary(cx, Function::Reciprocal),
        other => unary(cx, Function::Power(other)),
    }
}

/// Powers of positive numbers, by exponents that differ: `exp(exponent * log(x))`.
fn power_of_each(cx: &mut Cx<'_, '_>, exponents: &Array) -> Made {
    let (input, name) = (cx.live(0)?, cx.name.clone());
    let logarithm = cx.graph.function(&format!("{name}.log"), &input, Function::Log)?;
    let exponents = Value::Known(as_float(exponents));
    let scaled = binary(cx, &format!("{name}.scaled"), Kind::Mul, Value::Live(logarithm), exponents)?;
    let Value::Live(scaled) = scaled else { return Err("expected a tensor".into()) };
    let scaled = cx.graph.unrepeated(&name, scaled)?;
    live(cx.graph.function(&name, &scaled, Function::Exp)?)
}

fn identity(cx: &mut Cx<'_, '_>) -> Result<Live, String> {
    cx.lazy(0)
}
