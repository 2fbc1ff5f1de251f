//! Channels of a pixel brought to one scale: over their length, and as logarithms of their shares.

use super::softmax::{MOST_CLASSES, SUM_INTEGER_BITS, exp_on_negative, rescale};
use crate::{
    Memory, Multiplier, Operand,
    base::{
        arith,
        memory::{Channels, In, Out},
    },
};
use core::cell::Cell;

/// `out = round(128 * v / sqrt(sum over c of v^2))`, `v = in - input_zero_point`, ties away from zero, at scale 1/128 and zero point 0: TensorFlow
/// Lite's int8 `L2_NORMALIZATION`, without its rounding of the root. 0 where all `v` are. Up to `2^15` channels.
///
/// ```text
/// n = sum of v^2
/// out = sign(v) * floor((floor(sqrt(2^16 v^2 / n)) + 1) / 2)
/// ```
///
/// `output` may be the same view as `input`.
#[derive(Clone, Copy, Debug)]
pub struct L2Normalize {
    /// `[h, w, c]`.
    pub input: Operand,
    /// Of the same shape.
    pub output: Operand,
    /// Zero point of `input`.
    pub input_zero_point: i8,
}

/// `out = in - ln(sum over c of exp(in))`, at scale 1/16 and zero point 127: TensorFlow Lite's int8 `LOG_SOFTMAX`. For at most 4095 classes.
/// `output` may be the same view as `input`.
///
/// Differences to the largest input and the sum of their exponentials are those of [`Softmax`](crate::Softmax).
#[derive(Clone, Copy, Debug)]
pub struct LogSoftmax {
    /// Scores, `[h, w, classes]`.
    pub input: Operand,
    /// Logarithms of probabilities, of the same shape.
    pub output: Operand,
    /// From [`Softmax::parameters`](crate::Softmax::parameters).
    pub multiplier: Multiplier,
    /// From the same: inputs further below the largest one have no part in the sum, and give -128.
    pub min_difference: i32,
}

crate::schedule::kernel!(L2Normalize, |norm| {
    check: |mem| of_one_shape(mem, [&norm.input, &norm.output], 1 << 15),
    run: |views, _| each_pixel(views, |values, cells| {
        let difference = |value: i8| value as i32 - norm.input_zero_point as i32;
        let square = |v: i32| v.wrapping_mul(v) as u32;
        let sum = values.iter().fold(0u32, |sum, value| sum.wrapping_add(square(difference(value))));
        for (cell, value) in cells.iter().zip(values.iter()) {
            let v = difference(value);
            // At most 255^2 * 2^16, which 32 bits hold.
            let halves = (square(v) << 16).checked_div(sum).unwrap_or(0).isqrt();
            let rounded = (halves.wrapping_add(1) >> 1) as i32;
            cell.set((if v < 0 { -rounded } else { rounded }).clamp(-128, 127) as i8);
        }
    }),
});

crate::schedule::kernel!(LogSoftmax, |softmax| {
    check: |mem| of_one_shape(mem, [&softmax.input, &softmax.output], MOST_CLASSES),
    run: |views, _| each_pixel(views, |scores, cells| {
        let largest = scores.iter().max().unwrap_or(0) as i32;
        let rescaled = |score: i8| {
            let difference = score as i32 - largest;
            (difference >= softmax.min_difference).then(|| rescale(softmax.multiplier, difference))
        };
        let exponentials = scores.iter().filter_map(rescaled).map(exp_on_negative);
        let sum = exponentials.fold(0i32, |sum, e| {
            sum.wrapping_add(arith::rounding_shift_right(e, SUM_INTEGER_BITS))
        });
        let log = logarithm(sum as u32);
        for (cell, score) in cells.iter().zip(scores.iter()) {
            // Q5.26 to sixteenths.
            let sixteenths = |d: i32| arith::rounding_shift_right(d.saturating_sub(log), 22);
            let code = rescaled(score).map_or(-128, |d| sixteenths(d).saturating_add(127));
            cell.set(code.clamp(-128, 127) as i8);
        }
    }),
});

/// Views of one shape, with 1 to `most` channels.
fn of_one_shape<'m>(
    mem: &Memory<'m>,
    [input, output]: [&Operand; 2],
    most: usize,
) -> Option<(In<'m>, Out<'m>)> {
    let (input, out) = (mem.read(input)?, mem.write(output)?);
    (input.shape() == out.shape() && (1..=most).contains(&out.shape()[2])).then_some((input, out))
}

/// Does `work` with the channels of every pixel.
#[inline(always)]
pub(crate) fn each_pixel((input, out): (In<'_>, Out<'_>), work: impl Fn(Channels<'_>, &[Cell<i8>])) {
    let [h, w, _] = out.shape();
    for i in 0..h * w {
        work(input.nth(i), out.nth(i));
    }
}

/// The natural logarithm of a number from 1 on in Q12.19, in Q5.26.
///
/// ```text
/// x = 2^e m, m from 1 to 2 in Q1.31;  z = floor(2^31 (m - 1) / (m + 1)), w = floor(z^2 / 2^31)
/// p = 1/17; then p = 1/k + floor(w p / 2^31) for k = 15, 13, ... 1              in Q0.31, each 1/k rounded
/// ln x = floor((e ln 2 + floor(2 z p / 2^31) + 16) / 32)                        in Q0.31, then in Q5.26
/// ```
fn logarithm(x: u32) -> i32 {
    const ONE: u64 = 1 << 31;
    const LN_2: u64 = 1_488_522_236;
    /// `2^31 / k` for k = 15, 13, ... 1, to nearest.
    const INVERSES: [u64; 8] =
        [143_165_577, 165_191_050, 195_225_786, 238_609_294, 306_783_378, 429_496_730, 715_827_883, ONE];
    let headroom = x.leading_zeros();
    let exponent = 12u32.saturating_sub(headroom) as u64;
    let mantissa = x.wrapping_shl(headroom) as u64;
    let z = (mantissa.saturating_sub(ONE) << 31).checked_div(mantissa.wrapping_add(ONE)).unwrap_or(0);
    let square = z.wrapping_mul(z) >> 31;
    let sum =
        INVERSES.iter().fold(126_322_568, |p, inverse| inverse.wrapping_add(square.wrapping_mul(p) >> 31));
    let log = exponent.wrapping_mul(LN_2).wrapping_add(z.wrapping_mul(sum) >> 30);
    (log.wrapping_add(16) >> 5) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_precise() {
        for x in (1 << 19..=u32::MAX / 2)
            .step_by(if cfg!(miri) { 99_999_989 } else { 9973 })
            .chain([1 << 19, (1 << 19) + 1])
        {
            let exact = (x as f64 / 524_288.0).ln() * 67_108_864.0;
            let found = logarithm(x) as f64;
            assert!((found - exact).abs() < 0.75, "ln of {x}: {found} for {exact}");
        }
    }
}
