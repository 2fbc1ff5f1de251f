//! Functions of one value in 16 bits, of the codes of a TensorFlow Lite file: as LiteRT's kernels compute them.

use super::{Clamp, Function, prelu::PReluInt16Call};
use crate::{
    error::Result,
    lower::{Lowering, Sums},
    program::{Const, In, Out, kernel_call},
};
use niello_kernels::{SigmoidInt16, int16::ENTRIES};

kernel_call! {
    /// Sigmoid, hyperbolic tangent.
    SigmoidInt16Call for SigmoidInt16 by rows {
        input: In,
        output: Out,
        table: Const<i16>,
        multiplier: i32,
        shift: u32,
        tangent: bool,
    }
}

/// Lowers a node that applies `function` to every element.
///
/// # Errors
/// A function that LiteRT has no such kernel for; a scale that is out of range.
pub(super) fn lower(cx: &mut Lowering<'_>, function: Function) -> Result<()> {
    match function {
        Function::Sigmoid => sigmoid(cx, false),
        Function::Tanh => sigmoid(cx, true),
        Function::LeakyRelu(slope) => leaky_relu(cx, slope as f32),
        other => Err(cx.error(format!("{} is not supported between 16-bit codes of a file", other.name()))),
    }
}

/// A step of the operand in 3 * 2^12 parts of 1: its mantissa and how far that is shifted, as LiteRT rounds it.
fn steps(scale: f32, tangent: bool) -> Option<(i32, u32)> {
    // Nearly a power of 2, and the one that needs no product.
    let power = scale.ln() * (1.0 / 2f32.ln());
    let left = 12 + power.round() as i32;
    if (power - power.round()).abs() < 1e-3 && (left == 0 || (tangent && left == 1)) {
        return Some((3 << left, 0));
    }
    let (mut multiplier, mut shift) = (scale as f64 * 4096.0 * 3.0, 0);
    while multiplier <= 32767.0 / 2.0 && shift <= 30 {
        (multiplier, shift) = (multiplier * 2.0, shift + 1);
    }
    (1.0..65536.0).contains(&multiplier).then_some((multiplier as i32, shift))
}

fn sigmoid(cx: &mut Lowering<'_>, tangent: bool) -> Result<()> {
    let (input, output) = (cx.node().inputs[0], cx.node().output());
    let scale = cx.codes(input)?.scale;
    let steps = steps(scale, tangent);
    let (multiplier, shift) =
        steps.ok_or_else(|| cx.error(format!("an operand's scale {scale} is out of range")))?;
    let table = cx.constant(&sigmoid_table());
    let (bytes, call) = (2 * SigmoidInt16::ENTRIES, (In::new(input), Out::new(output)));
    let call = SigmoidInt16Call { input: call.0, output: call.1, table, multiplier, shift, tangent };
    cx.push(call).constant_bytes(bytes).in_place(&[input]);
    Ok(())
}

/// The sigmoid at multiples of 1/24, each moved by half of what the line misses halfway to the next one, less 1/2.
fn sigmoid_table() -> [i16; SigmoidInt16::ENTRIES] {
    let of = |i: f64| 65536.0 / (1.0 + libm::exp(-i / 24.0));
    std::array::from_fn(|i| {
        let at = i as f64;
        let missed = of(at + 0.5) - (of(at) + of(at + 1.0)) / 2.0;
        let entry = (of(at) + missed / 2.0).round() - 32768.0;
        if i + 1 == SigmoidInt16::ENTRIES { i16::MAX } else { entry as i16 }
    })
}

/// Two factors, both in single precision: of positive values, and of the others.
fn leaky_relu(cx: &mut Lowering<'_>, slope: f32) -> Result<()> {
    let (input, output) = (cx.node().inputs[0], cx.node().output());
    let (from, to) = (cx.codes(input)?, cx.codes(output)?);
    let sums = Sums::of_int16(from.largest_difference(), 1);
    // A factor has no sign: that of the slope is the value's.
    let slopes = vec![if slope < 0.0 { -1i16 } else { 1 }; cx.graph().shape(input).c];
    let call = PReluInt16Call {
        input: In::new(input),
        output: Out::new(output),
        widths: [from.width, to.width],
        slopes: cx.constant(&slopes),
        input_zero_point: from.zero_point,
        positive: cx.multiplier_for((from.scale / to.scale) as f64, sums)?,
        negative: cx.multiplier_for((from.scale * slope.abs() / to.scale) as f64, sums)?,
        bounds: to.bounds(Clamp::NONE.min, Clamp::NONE.max),
        rounding: cx.rounding(),
    };
    cx.push(call).constant_bytes(2 * slopes.len()).in_place(&[input]);
    Ok(())
}

/// The tables of a softmax: exponentials from -10 to 0, and `1 / (1 + x)` from 0 to 1.
pub(super) fn softmax_tables() -> ([i16; ENTRIES], [i16; ENTRIES]) {
    (entries([-10.0, 0.0], libm::exp), entries([0.0, 1.0], |x| 1.0 / (1.0 + x)))
}

/// LiteRT's `LUTPopulate` of 16 bits: `f` at 513 points, in codes from -1 to 1, each moved by half of what the line misses halfway to the next one.
fn entries([least, most]: [f64; 2], f: impl Fn(f64) -> f64) -> [i16; ENTRIES] {
    let range = 65535.0;
    // Ends and steps as products of scales, in this order.
    let (scale, out_scale) = ((most - least) / range, 2.0 / range);
    let zero_point = if least < 0.0 { 32767.0 } else { -32768.0 };
    let (first, last) = (scale * (-32768.0 - zero_point), scale * (32767.0 - zero_point));
    let steps = (ENTRIES - 1) as f64;
    let step = (last - first) / steps;
    let codes = 65536.0 / (out_scale * 32767.0 - out_scale * -32768.0);
    let entry = |code: f64| code.clamp(-32768.0, 32767.0) as i16;
    std::array::from_fn(|i| {
        if i + 1 == ENTRIES {
            return entry((f(last) * codes).round());
        }
        let at = |x: f64| f(x) * codes;
        let here = at(first + i as f64 * step).round();
        let middle = at(first + i as f64 * step + step / 2.0).round();
        let line = ((at(first + (i + 1) as f64 * step) + here) / 2.0).round();
        entry(here - ((line - middle) / 2.0).round())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sigmoid_s_entries_lie_above_it() {
        let table = sigmoid_table();
        let at = |i: usize| table[i] as i32 + 32768;
        // Rounded they would be 32768, 35492, 53168, 60934 and 65534.
        assert_eq!([0, 4, 35, 62, 254, 255].map(at), [32768, 35493, 53169, 60935, 65534, 65535]);
        assert!(table.is_sorted());
    }

    #[test]
    fn steps_of_powers_of_two_have_no_product() {
        let quarter = 2f32.powi(-12);
        assert_eq!([false, true].map(|tangent| steps(quarter, tangent)), [Some((3, 0)); 2]);
        assert_eq!(steps(quarter * 1.0005, false), Some((3, 0)));
        assert_eq!(steps(2.0 * quarter, true), Some((6, 0)));
        // 6 * 2^12, and 3 * 1.001 * 2^13.
        assert_eq!(steps(2.0 * quarter, false), Some((24576, 12)));
        assert_eq!(steps(quarter * 1.001, false), Some((24600, 13)));
        assert_eq!([1e-20, 6.0, f32::MAX].map(|scale| steps(scale, true)), [None; 3]);
    }

    #[test]
    fn tables_of_a_softmax_go_from_end_to_end() {
        let (exp, inverse) = softmax_tables();
        assert_eq!([exp[0], exp[256], exp[ENTRIES - 1]], [2, 221, 32767]);
        assert_eq!([inverse[0], inverse[256], inverse[ENTRIES - 1]], [32767, 21845, 16384]);
        assert!(exp.is_sorted() && inverse.iter().rev().is_sorted());
    }
}
