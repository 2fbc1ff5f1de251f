//! Convolutions whose operands, results or weights have 16 bits.

use super::{
    filters::{Filters, Scales},
    params::Taps,
};
use crate::{
    error::Result,
    format::Codes,
    lower::{Lowering, Sums},
    ops::Clamp,
    program::{Const, In, Out, kernel_call},
};
use niello_kernels::{Bounds, Width};

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
        shift: Const<i8>,
        input_zero_point: i32,
        bounds: Bounds,
    }
}

/// A convolution; `rows` are its filters in the order `[out][kh][kw][in / groups]`.
pub(super) fn conv2d(
    cx: &mut Lowering<'_>,
    p: Taps,
    rows: &[Vec<f32>],
    bias: &[f32],
    expected_input: Option<&[f64]>,
    clamp: Clamp,
) -> Result<()> {
    let (input, output) = (cx.node().inputs[0], cx.node().output());
    let (from, to) = (cx.codes(input)?, cx.codes(output)?);
    let scales = Scales { input: from.scale, output: to.scale };
    let is_wide = cx.has_wide_weights();
    // The mean error of rounding to 8 bits does not exist for 16-bit weights.
    let expected_input = expected_input.filter(|_| !is_wide);
    let mut filters = Filters::quantize_with(cx, rows, bias, scales, expected_input, |weights, bias| {
        sums(weights, bias, from, is_wide)
    })?;
    let taps = p.kernel[0] * p.kernel[1];
    let in_order = |rows: &[Vec<i8>]| -> Vec<i8> {
        if p.depthwise {
            (0..taps).flat_map(|t| rows.iter().map(move |row| row[t])).collect()
        } else {
            rows.concat()
        }
    };
    let low = if cx.has_wide_weights() { in_order(&filters.add_low_bits(rows)) } else { vec![] };
    let weights = in_order(&filters.weights);
    let mantissa: Vec<i32> = filters.multiplier.iter().map(|m| m.mantissa).collect();
    let shift: Vec<i8> = filters.multiplier.iter().map(|m| m.shift as i8).collect();
    let bytes = weights.len() + low.len() + 9 * filters.bias.len();
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
        shift: cx.constant(&shift),
        input_zero_point: from.zero_point,
        bounds: to.bounds(clamp.min, clamp.max),
    };
    cx.push(call).constant_bytes(bytes);
    Ok(())
}

/// Sums `bias + sum w (x - z)`; of weights of 16 bits, of which these are the upper half, 256 times as large.
fn sums(weights: &[i8], bias: f64, from: Codes, is_wide: bool) -> Sums {
    let sum: i64 = weights.iter().map(|w| (*w as i64).abs() * from.largest_difference()).sum();
    let sum = (sum + bias.abs() as i64) << if is_wide { 8 } else { 0 };
    // Half a step of the input at the largest weight is noise.
    let fits = Sums::wide(64);
    if sum <= fits.largest { fits } else { Sums { largest: sum, bits: 47, ..fits } }
}
