//! Convolutions whose operands, results or weights have 16 bits.

use super::{
    filters::{Filters, GivenFilters, GivenRounding, Scales},
    params::Taps,
};
use crate::{
    error::Result,
    format::Codes,
    lower::{Lowering, Sums},
    ops::Clamp,
    program::{Const, In, Out, kernel_call},
};
use niello_kernels::{Bounds, Multiplier, Width};

kernel_call! {
    /// Convolution of either width.
    Conv2dInt16Call for Conv2dInt16 by rows {
        input: In,
        output: Out,
        widths: [Width; 2],
        kernel: [u32; 2],
        stride: [u32; 2],
        dilation: [u32; 2],
        padding: [u32; 2],
        transposed: bool,
        groups: u32,
        weights: Const<i8>,
        weights_low: Const<i8>,
        bias: Const<i32>,
        mantissa: Const<i32>,
        mantissa_low: Const<i32>,
        shift: Const<i8>,
        input_zero_point: i32,
        bounds: Bounds,
    }
}

/// A convolution in integers, filter by filter.
struct Integers {
    weights: Vec<Vec<i8>>,
    /// Lower halves of weights of 16 bits.
    low: Vec<Vec<i8>>,
    bias: Vec<i32>,
    multiplier: Vec<Multiplier>,
    /// Lower bits of mantissas in double precision.
    mantissa_low: Vec<i32>,
}

/// A convolution; `rows` are its filters in the order `[out][kh][kw][in / groups]`, `given` is what a file has of them.
pub(super) fn conv2d(
    cx: &mut Lowering<'_>,
    p: Taps,
    rows: &[Vec<f32>],
    bias: &[f32],
    expected_input: Option<&[f64]>,
    clamp: Clamp,
    given: Option<&GivenFilters>,
) -> Result<()> {
    let (input, output) = (cx.node().inputs[0], cx.node().output());
    let (from, to) = (cx.codes(input)?, cx.codes(output)?);
    let filters = match given {
        Some(given) => of_file(cx, rows, given, [from, to])?,
        None => quantized(cx, rows, bias, [from, to], expected_input)?,
    };
    let taps = p.kernel[0] * p.kernel[1];
    let in_order = |rows: &[Vec<i8>]| -> Vec<i8> {
        if p.depthwise {
            (0..taps).flat_map(|t| rows.iter().map(move |row| row[t])).collect()
        } else {
            rows.concat()
        }
    };
    let low = if filters.low.is_empty() { vec![] } else { in_order(&filters.low) };
    let weights = in_order(&filters.weights);
    let mantissa: Vec<i32> = filters.multiplier.iter().map(|m| m.mantissa).collect();
    let shift: Vec<i8> = filters.multiplier.iter().map(|m| m.shift as i8).collect();
    let bytes = weights.len() + low.len() + 9 * filters.bias.len() + 4 * filters.mantissa_low.len();
    let call = Conv2dInt16Call {
        input: In::new(input),
        output: Out::new(output),
        widths: [from.width, to.width],
        kernel: p.kernel.map(|d| d as u32),
        stride: p.stride.map(|d| d as u32),
        dilation: p.dilation.map(|d| d as u32),
        padding: p.padding.map(|d| d as u32),
        transposed: p.transposed,
        groups: p.groups as u32,
        weights: cx.constant(&weights),
        weights_low: cx.constant(&low),
        bias: cx.constant(&filters.bias),
        mantissa: cx.constant(&mantissa),
        mantissa_low: cx.constant(&filters.mantissa_low),
        shift: cx.constant(&shift),
        input_zero_point: from.zero_point,
        bounds: to.bounds(clamp.min, clamp.max),
    };
    cx.push(call).constant_bytes(bytes);
    Ok(())
}

/// Of real numbers, with 8 bits or, where the layer's weights are wide, with 16.
fn quantized(
    cx: &mut Lowering<'_>,
    rows: &[Vec<f32>],
    bias: &[f32],
    [from, to]: [Codes; 2],
    expected_input: Option<&[f64]>,
) -> Result<Integers> {
    let scales = Scales { input: from.scale, output: to.scale };
    let is_wide = cx.has_wide_weights();
    // The mean error of rounding to 8 bits does not exist for 16-bit weights.
    let expected_input = expected_input.filter(|_| !is_wide);
    let mut filters = Filters::quantize_with(cx, rows, bias, scales, expected_input, |weights, bias| {
        sums(weights, bias, from, is_wide)
    })?;
    let low = if is_wide { filters.add_low_bits(rows) } else { vec![] };
    let Filters { weights, bias, multiplier, .. } = filters;
    Ok(Integers { weights, low, bias, multiplier, mantissa_low: vec![] })
}

/// Those of a file between codes of 16 bits.
///
/// # Errors
/// Codes of other widths, sums or results that do not fit, a factor that is out of range.
fn of_file(
    cx: &Lowering<'_>,
    rows: &[Vec<f32>],
    given: &GivenFilters,
    [from, to]: [Codes; 2],
) -> Result<Integers> {
    if !(from.given && to.given) || cx.has_wide_weights() {
        return Err(cx.error("has weights of 8 bits from a quantised file, and cannot have 16"));
    }
    let (mut weights, mut multiplier, mut mantissa_low) = (vec![], vec![], vec![]);
    for ((row, bias), scale) in rows.iter().zip(&given.bias[..]).zip(&given.scale[..]) {
        let codes: Vec<i8> = row.iter().map(|w| (w / scale).round().clamp(-127.0, 127.0) as i8).collect();
        let real = from.scale as f64 * *scale as f64 / to.scale as f64;
        let sums = sums(&codes, *bias as f64, from, false);
        let factor = cx.multiplier_for(real, sums)?;
        match given.rounding {
            GivenRounding::Program => multiplier.push(factor),
            _ if (codes.len() as i64 * 127 * 32768 + i64::from(bias.unsigned_abs())) as f64 * real
                >= 2f64.powi(31) - 1.0 =>
            {
                return Err(cx.error("its results do not fit 32 bits before they are clamped"));
            }
            _ => {
                let (upper, low) = in_double_precision(real);
                multiplier.push(upper);
                mantissa_low.push(low);
            }
        }
        weights.push(codes);
    }
    Ok(Integers { weights, low: vec![], bias: given.bias.to_vec(), multiplier, mantissa_low })
}

/// The 53 bits of a positive factor: the upper 31 as a multiplier has them, and the lower 22.
fn in_double_precision(real: f64) -> (Multiplier, i32) {
    let bits = real.to_bits();
    let mantissa = (bits & ((1 << 52) - 1)) | (1 << 52);
    let shift = ((bits >> 52) & 0x7ff) as i32 - 1022;
    // What is less gives 0 for all sums.
    if shift < -64 {
        return (Multiplier::ZERO, 0);
    }
    (Multiplier { mantissa: (mantissa >> 22) as i32, shift }, (mantissa & ((1 << 22) - 1)) as i32)
}

/// Sums `bias + sum w (x - z)`; of weights of 16 bits, of which these are the upper half, 256 times as large.
fn sums(weights: &[i8], bias: f64, from: Codes, is_wide: bool) -> Sums {
    let sum: i64 = weights.iter().map(|w| (*w as i64).abs() * from.largest_difference()).sum();
    let sum = (sum + bias.abs() as i64) << if is_wide { 8 } else { 0 };
    // Half a step of the input at the largest weight is noise.
    let fits = Sums::wide(64);
    if sum <= fits.largest { fits } else { Sums { largest: sum, bits: 47, ..fits } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_in_double_precision_keep_their_bits() {
        for real in [1.0, 1.0 / 3.0, 0.000_123_456_789, 2_047.999_999_999, 2f64.powi(-60) * 1.7] {
            let (upper, low) = in_double_precision(real);
            let mantissa = ((upper.mantissa as i64) << 22) + low as i64;
            assert!(upper.mantissa >= 1 << 30 && (0..1 << 22).contains(&low));
            assert_eq!(mantissa as f64 * 2f64.powi(upper.shift - 53), real);
        }
        assert_eq!(in_double_precision(2f64.powi(-80)), (Multiplier::ZERO, 0));
    }
}
