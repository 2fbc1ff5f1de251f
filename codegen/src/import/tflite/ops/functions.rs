//! Functions of one value: tables of 256 codes, as the reference kernels round them.

use super::{
    arithmetic::{one_scale, only_float},
    fixed_point,
    softmax::has_format,
};
use crate::{
    format::{Format, QParams},
    graph::ValueId,
    import::{
        network::Reference,
        tflite::{
            context::Cx,
            importer::shape_of,
            reader::{Element, Gelu, LeakyRelu, Options},
        },
    },
    ops::{Add, Clamp, Function, Mul, PRelu, PointWise, TabledFunction, lut},
};
use niello_kernels::{Float, Multiplier, Rounding, arith::rounding_shift_right};

/// A function whose codes the reference kernels take from a table of rounded real results.
fn rounded(cx: &mut Cx<'_, '_>, function: Function) -> Result<(), String> {
    computed(cx, function, |from, to| Ok(lut(|x| function.eval(x), from, to)))
}

/// A function whose codes are `entries` for the scales of operand and result.
fn computed(
    cx: &mut Cx<'_, '_>,
    function: Function,
    entries: impl Fn(QParams, QParams) -> Result<[i8; 256], String>,
) -> Result<(), String> {
    let input = cx.value(0)?;
    let Format::Int8(from) = cx.format(input) else { return cx.finish(PointWise(function), &[input]) };
    let entries = entries(from, cx.result_params()?)?;
    cx.finish(TabledFunction::new(function, entries), &[input])
}

macro_rules! functions {
    ($($name:ident = $function:expr;)*) => {
        $(pub(super) fn $name(cx: &mut Cx<'_, '_>) -> Result<(), String> {
            rounded(cx, $function)
        })*
    };
}

functions! {
    ceil = Function::Ceil;
    cos = Function::Cos;
    elu = Function::Elu(1.0);
    exp = Function::Exp;
    floor = Function::Floor;
    round = Function::Round;
    rsqrt = Function::Rsqrt;
    sin = Function::Sin;
    square = Function::Square;
}

/// Of codes: `single`, in single precision; in fixed point by TFLM's interpreter, but for codes of uint8, which TFLM has none of.
fn bounded(
    cx: &mut Cx<'_, '_>,
    function: Function,
    single: fn(f32) -> f32,
    (bits, zero_point): (i32, i32),
    fixed: fn(i32) -> i32,
) -> Result<(), String> {
    let is_fixed = cx.reference() == Reference::TflmInterpreter && cx.result(0)?.element == Element::Int8;
    computed(cx, function, |from, to| match is_fixed {
        true => fixed_point::entries(from, [-128, 127], bits, zero_point, fixed),
        false => Ok(lut(|x| single(x as f32) as f64, from, to)),
    })
}

pub(super) fn logistic(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    has_format(cx, 1.0 / 256.0, -128)?;
    let single = |x: f32| 1.0 / (1.0 + libm::exp(-x as f64) as f32);
    bounded(cx, Function::Sigmoid, single, (8, -128), fixed_point::logistic)
}

pub(super) fn tanh(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    has_format(cx, 1.0 / 128.0, 0)?;
    bounded(cx, Function::Tanh, tanh_as_c, (7, 0), fixed_point::tanh)
}

/// In single precision as the C library has it, from `exp(y) - 1`.
fn tanh_as_c(x: f32) -> f32 {
    let less_one = |y: f32| libm::expm1(y as f64) as f32;
    let a = x.abs();
    let y = if a >= 1.0 {
        1.0 - 2.0 / (less_one(2.0 * a) + 2.0)
    } else {
        let t = less_one(-2.0 * a);
        -t / (t + 2.0)
    };
    y.copysign(x)
}

/// The smallest code where there is no logarithm.
pub(super) fn log(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    computed(cx, Function::Log, |from, to| {
        Ok(lut(|x| if x > 0.0 { Function::Log.eval(x) } else { f64::NEG_INFINITY }, from, to))
    })
}

/// Truncated, not rounded. Codes of negative numbers, which stop the reference kernel, are 0.
pub(super) fn sqrt(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    computed(cx, Function::Sqrt, |from, to| {
        Ok(entries(from, to, |x| ((from.scale * x.max(0) as f32).sqrt() / to.scale) as i32))
    })
}

/// Of codes the reference kernel takes the negative, whatever their scale and zero point are.
pub(super) fn neg(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    only_float(cx, "SUB from a constant 0")?;
    rounded(cx, Function::Neg)
}

pub(super) fn gelu(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let Options::Gelu(Gelu { approximate }) = cx.operator.options else {
        return Err("has no options of GELU".into());
    };
    rounded(cx, if approximate { Function::GeluTanh } else { Function::Gelu })
}

macro_rules! clamps {
    ($($name:ident = $min:expr, $max:expr;)*) => {
        $(pub(super) fn $name(cx: &mut Cx<'_, '_>) -> Result<(), String> {
            let input = cx.value(0)?;
            cx.finish(Clamp { min: $min, max: $max }, &[input])
        })*
    };
}

clamps! {
    relu = 0.0, f32::INFINITY;
    relu_0_to_1 = 0.0, 1.0;
    relu_n1_to_1 = -1.0, 1.0;
}

pub(super) fn relu6(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let input = cx.value(0)?;
    if cx.reference() == Reference::TflmInterpreter {
        // TFLM compares codes with that of 6, and does not rescale.
        one_scale(cx, &[input])?;
    }
    cx.finish(Clamp::RELU6, &[input])
}

/// A factor between scales.
pub(super) fn factor(real: f64) -> Result<Multiplier, String> {
    Multiplier::from_real(real).ok_or_else(|| format!("a factor of {real} between scales is out of range"))
}

/// The results for all codes of `of`, which takes differences from the operand's zero point.
fn entries(from: QParams, to: QParams, of: impl Fn(i32) -> i32) -> [i8; 256] {
    std::array::from_fn(|i| {
        let x = i as i32 - 128 - from.zero_point as i32;
        of(x).saturating_add(to.zero_point as i32).clamp(-128, 127) as i8
    })
}

pub(super) fn abs(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    computed(cx, Function::Abs, |from, to| {
        let by = factor((from.scale / to.scale) as f64)?;
        Ok(entries(from, to, |x| by.apply(x.abs(), Rounding::TfliteDouble)))
    })
}

/// Two factors: of positive values, and of the others.
pub(super) fn leaky_relu(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let Options::LeakyRelu(LeakyRelu { alpha }) = cx.operator.options else {
        return Err("has no options of LEAKY_RELU".into());
    };
    if !alpha.is_finite() {
        return Err(format!("a slope of {alpha}"));
    }
    computed(cx, Function::LeakyRelu(alpha as f64), |from, to| {
        let positive = factor((from.scale / to.scale) as f64)?;
        let slope = (from.scale * alpha / to.scale) as f64;
        // A factor has no sign: that of the slope is the value's.
        let (negative, sign) = (factor(slope.abs())?, if slope < 0.0 { -1 } else { 1 });
        Ok(entries(from, to, |x| match x {
            0.. => positive.apply(x, Rounding::TfliteDouble),
            _ => negative.apply(sign * x, Rounding::TfliteDouble),
        }))
    })
}

/// `HARD_SWISH` of the reference kernels, in 16 bits of fixed point.
fn hard_swish_entries(from: QParams, to: QParams) -> Result<[i8; 256], String> {
    let narrow = |real: f32| -> Result<(i32, i32), String> {
        let m = factor(real as f64)?;
        let mantissa = if m.mantissa >= 0x7fff_0000 { 0x7fff } else { (m.mantissa + (1 << 15)) >> 16 };
        Ok((mantissa, m.shift))
    };
    // round(a b / 2^15), ties towards plus infinity.
    let product = |a: i32, b: i32| ((a * b + (1 << 14)) >> 15).clamp(-32768, 32767);
    let input = from.scale / 128.0;
    let (output, output_shift) = narrow(input / to.scale)?;
    let (reluish, reluish_shift) = narrow(input / (3.0 / 32768.0))?;
    if output_shift > 0 {
        return Err("a result's scale finer than 1/128 of the operand's is out of range".into());
    }
    Ok(entries(from, to, |x| {
        let hires = x << 7;
        let before_shift = product(hires, output);
        let saturating = |x: i32, shift: i32| ((x as i64) << shift.min(31)).clamp(-32768, 32767) as i32;
        let mut y = if reluish_shift > 0 { saturating(hires, reluish_shift - 1) } else { hires };
        y = product(y, reluish);
        y = match reluish_shift {
            1.. => saturating(y, 1),
            _ => rounding_shift_right(y, (-reluish_shift).min(31)),
        };
        y = (y + (1 << 15)) >> 1;
        // Truncated.
        rounding_shift_right(y * before_shift / (1 << 15), (-output_shift).min(31))
    }))
}

pub(super) fn hard_swish(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    computed(cx, Function::HardSwish, hard_swish_entries)
}

pub(super) fn prelu(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let input = cx.value(0)?;
    let channels = cx.shape(input).c;
    let slopes = cx.known(1)?;
    let values = slopes.real();
    if cx.format(input) == Format::Float(Float::F32) && shape_of(&slopes.dims)? == cx.shape(input) {
        return prelu_of_each(cx, input);
    }
    if values.len() != 1 && (values.len() != channels || slopes.dims.last() != Some(&channels)) {
        return Err(format!("slopes of {:?} for {channels} channels", slopes.dims));
    }
    let scale = slopes.scales().first().copied();
    cx.finish(PRelu { slopes: values.into(), scale }, &[input])
}

/// A slope for each element: what is not negative, and the slope times what is.
fn prelu_of_each(cx: &mut Cx<'_, '_>, input: ValueId) -> Result<(), String> {
    let format = cx.format(input);
    let slopes = cx.value(1)?;
    let positive = cx.node("positive", Clamp::RELU, &[input], format)?;
    let negative = cx.node("negative", Clamp { min: f32::NEG_INFINITY, max: 0.0 }, &[input], format)?;
    let scaled = cx.node("scaled", Mul::default(), &[negative, slopes], format)?;
    cx.finish(Add::default(), &[positive, scaled])
}
