//! Functions of one value: tables of 256 codes, as the reference kernels round them.

use crate::{
    format::{Format, QParams},
    import::tflite::{
        context::Cx,
        reader::{Gelu, LeakyRelu, Options},
    },
    ops::{Clamp, Function, PRelu, PointWise, Table, lut},
};
use niello_kernels::{Multiplier, Rounding, arith::rounding_shift_right};
use std::sync::Arc;

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
    let entries = Arc::new(entries(from, cx.result_params()?)?);
    let table = Table { kind: function.name(), entries, function: Arc::new(move |x| function.eval(x)) };
    cx.finish(table, &[input])
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
    log = Function::Log;
    logistic = Function::Sigmoid;
    neg = Function::Neg;
    round = Function::Round;
    rsqrt = Function::Rsqrt;
    sin = Function::Sin;
    sqrt = Function::Sqrt;
    square = Function::Square;
    tanh = Function::Tanh;
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
    relu6 = 0.0, 6.0;
    relu_0_to_1 = 0.0, 1.0;
    relu_n1_to_1 = -1.0, 1.0;
}

/// A factor between scales.
fn factor(real: f64) -> Result<Multiplier, String> {
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
        let slope = from.scale as f64 * alpha as f64 / to.scale as f64;
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
    if values.len() != 1 && (values.len() != channels || slopes.dims.last() != Some(&channels)) {
        return Err(format!("slopes of {:?} for {channels} channels", slopes.dims));
    }
    let scale = slopes.scales().first().copied();
    cx.finish(PRelu { slopes: values.into(), scale }, &[input])
}
