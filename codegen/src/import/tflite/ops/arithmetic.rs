//! Element by element, of two operands.

use super::{clamp, fixed_point::reciprocal, functions::factor};
use crate::{
    format::{Codes, Format},
    graph::{Op, ValueId},
    import::tflite::{
        context::Cx,
        importer::format_of,
        reader::{self, Activation, Options, TensorDef},
    },
    ops::{Add, Clamp, Div, Extremum, Function, Mul, PointWise, SquaredDifference, Sub, TabledFunction},
};
use niello_kernels::arith;

/// Both operands, in one shape.
fn operands(cx: &mut Cx<'_, '_>) -> Result<[ValueId; 2], String> {
    let (a, b) = (cx.value(0)?, cx.value(1)?);
    let (x, y) = (cx.shape(a), cx.shape(b));
    let to = crate::tensor::Shape::new(x.h.max(y.h), x.w.max(y.w), x.c.max(y.c));
    Ok([cx.broadcast(a, to)?, cx.broadcast(b, to)?])
}

/// The same, but for a second operand of one pixel, which kernels take as it is.
fn operands_or_pixel(cx: &mut Cx<'_, '_>) -> Result<[ValueId; 2], String> {
    let (a, b) = (cx.value(0)?, cx.value(1)?);
    let (x, y) = (cx.shape(a), cx.shape(b));
    match () {
        _ if y.area() == 1 && y.c == x.c => Ok([a, b]),
        _ if x.area() == 1 && x.c == y.c => Ok([b, a]),
        _ => operands(cx),
    }
}

fn activation(cx: &Cx<'_, '_>) -> Result<Clamp, String> {
    match &cx.operator.options {
        Options::Add(reader::Add { activation, .. })
        | Options::Sub(reader::Sub { activation, .. })
        | Options::Mul(reader::Mul { activation })
        | Options::Div(reader::Div { activation }) => clamp(*activation),
        _ => clamp(Activation::None),
    }
}

/// Refuses sums of 16 bits that the reference kernels compute by shifts alone: those whose scales are powers of 2, where the file asks for that.
fn refuse_shifts(cx: &Cx<'_, '_>) -> Result<(), String> {
    let asks = match &cx.operator.options {
        Options::Add(reader::Add { pot_scale_int16, .. })
        | Options::Sub(reader::Sub { pot_scale_int16, .. }) => *pot_scale_int16,
        _ => true,
    };
    let power = |tensor: &TensorDef| {
        let Ok(Format::Int16 { scale, .. }) = format_of(tensor) else { return false };
        let log2 = scale.log2();
        (log2 - log2.round()).abs() < 1e-3
    };
    if asks && power(cx.tensor(0)?) && power(cx.tensor(1)?) && power(cx.result(0)?) {
        return Err(
            "of scales that are powers of 2, with `pot_scale_int16`, is not supported; without it, it is"
                .into(),
        );
    }
    Ok(())
}

pub(super) fn add(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    refuse_shifts(cx)?;
    let (clamp, operands) = (activation(cx)?, operands(cx)?);
    cx.finish(Add { clamp }, &operands)
}

pub(super) fn sub(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    refuse_shifts(cx)?;
    let (clamp, operands) = (activation(cx)?, operands(cx)?);
    cx.finish(Sub { clamp }, &operands)
}

pub(super) fn mul(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let (clamp, operands) = (activation(cx)?, operands_or_pixel(cx)?);
    cx.finish(Mul { clamp }, &operands)
}

pub(super) fn div(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    if cx.is_quantized()? {
        return quotient(cx);
    }
    let (clamp, operands) = (activation(cx)?, operands(cx)?);
    cx.finish(Div { clamp }, &operands)
}

/// Codes over one code: a function of the dividend.
fn quotient(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let (divisor, to) = (cx.known(1)?, cx.result_params()?);
    let instead =
        "by other than one constant is supported in floating point only; in integers multiply by reciprocals";
    let ([code], [scale]) = (&divisor.integers()[..], divisor.scales()) else { return Err(instead.into()) };
    let (code, scale, real) = (*code - divisor.zero_point(0), *scale, divisor.real());
    let input = cx.value(0)?;
    let Format::Int8(from) = cx.format(input) else { return Err(instead.into()) };
    if code == 0 {
        return Err("divides by 0".into());
    }
    let Clamp { min, max } = activation(cx)?;
    let bounds = Codes::int8(to).bounds(min, max);
    let by = factor((from.scale / (scale * to.scale)) as f64)?;
    let (inverse, shift) = reciprocal(code.unsigned_abs() as i32);
    let mut entries = [0i8; 256];
    for (entry, i) in entries.iter_mut().zip(0i32..) {
        let x = (i - 128 - from.zero_point as i32) * code.signum() as i32;
        // As many bits as there are above the number.
        let headroom = (if x < 0 { !x } else { x }).leading_zeros() as i32 - 1;
        let quotient = arith::doubling_high_multiply(x.wrapping_shl(headroom as u32), inverse);
        let right = shift + headroom - by.shift;
        if !(0..32).contains(&right) {
            return Err(format!(
                "the reference kernel shifts the quotient of code {} by {right} bits, whose meaning depends on the compiler; {instead}",
                i - 128
            ));
        }
        let rounded =
            arith::rounding_shift_right(arith::doubling_high_multiply(quotient, by.mantissa), right);
        *entry = rounded.saturating_add(to.zero_point as i32).clamp(bounds.min, bounds.max) as i8;
    }
    let function = Function::Affine(1.0 / real[0] as f64, 0.0);
    cx.finish(TabledFunction::new(function, entries), &[input])
}

pub(super) fn add_n(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    only_float(cx, "ADD of two")?;
    let count = cx.operator.inputs.len();
    let mut sum = cx.value(0)?;
    let format = cx.format(sum);
    for i in 1..count.saturating_sub(1) {
        let next = cx.value(i)?;
        sum = cx.node("sum", Add::default(), &[sum, next], format)?;
    }
    match count {
        0 | 1 => Err("expected two operands or more".into()),
        _ => {
            let last = cx.value(count - 1)?;
            cx.finish(Add::default(), &[sum, last])
        }
    }
}

pub(super) fn squared_difference(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let operands = operands(cx)?;
    if cx.is_quantized()? {
        return cx.finish(SquaredDifference, &operands);
    }
    let format = cx.format(operands[0]);
    let difference = cx.node("difference", Sub { clamp: Clamp::NONE }, &operands, format)?;
    cx.finish(PointWise(Function::Square), &[difference])
}

pub(super) fn pow(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    only_float(cx, "MUL")?;
    let [exponent] = cx.known(1)?.real()[..] else {
        return Err("expected one exponent for all elements".into());
    };
    let input = cx.value(0)?;
    cx.finish(PointWise(Function::Power(exponent as f64)), &[input])
}

/// Refuses codes.
pub(super) fn only_float(cx: &Cx<'_, '_>, instead: &str) -> Result<(), String> {
    match cx.is_quantized()? {
        true => Err(format!("is supported in floating point only; in integers use {instead}")),
        false => Ok(()),
    }
}

pub(super) fn maximum(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    extremum(cx, Extremum::MAXIMUM)
}

pub(super) fn minimum(cx: &mut Cx<'_, '_>) -> Result<(), String> {
    extremum(cx, Extremum::MINIMUM)
}

fn extremum(cx: &mut Cx<'_, '_>, op: impl Op) -> Result<(), String> {
    let operands = operands_or_pixel(cx)?;
    one_scale(cx, &operands)?;
    cx.finish(op, &operands)
}

/// Whether operands that are codes have the scale of the result, as the reference kernels take for granted.
pub(super) fn one_scale(cx: &Cx<'_, '_>, operands: &[ValueId]) -> Result<(), String> {
    for id in operands {
        if let Some(scales) = other_scale(cx, *id)? {
            return Err(format!("{scales}: the reference kernel would ignore that; put QUANTIZE between"));
        }
    }
    Ok(())
}

/// The scales of an operand and of the result, if both hold codes and differ in them.
pub(super) fn other_scale(cx: &Cx<'_, '_>, operand: ValueId) -> Result<Option<String>, String> {
    let scale = |format| match format {
        Format::Int8(q) => Some((q.scale, q.zero_point)),
        Format::Int16 { scale, .. } => Some((scale, 0)),
        _ => None,
    };
    let (from, to) = (scale(cx.format(operand)), scale(format_of(cx.result(0)?)?));
    Ok(from.zip(to).filter(|(from, to)| from != to).map(|(from, to)| {
        format!("an operand has scale {} and zero point {}, the result {} and {}", from.0, from.1, to.0, to.1)
    }))
}
