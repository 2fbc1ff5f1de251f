//! More functions of one number: of algebra, rounding, logarithms, and what is made of them.

use super::{
    Float, FloatBounds,
    exp::{self, sqrt},
    function::each,
    fused,
    logarithm::{erf, erfc, log, log1p, polynomial},
};
use crate::{
    Operand,
    formats::elements::{Map, Mapping},
};

/// An element takes about as long as so many multiply-accumulates of a convolution.
const ELEMENT: usize = 64;

/// `2^23`: from here on all numbers are integers.
const INTEGERS: f32 = 8_388_608.0;

/// A function of one number, in single precision: every operation is rounded, those of [`exp`](super::exp) and [`logarithm`](super::logarithm) are
/// defined to the last bit.
///
/// NaN, and a result that is none of the real numbers, becomes [`number`](super::number)'s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Elementary {
    /// `|x|`.
    Abs,
    /// `-x`.
    Neg,
    /// `x * x`.
    Square,
    /// The square root, correctly rounded, of numbers of at least 0.
    Sqrt,
    /// `1 / sqrt(x)`.
    Rsqrt,
    /// `1 / x`.
    Reciprocal,
    /// `e^x`.
    Exp,
    /// The natural logarithm, `-inf` of 0.
    Log,
    /// The error function.
    Erf,
    /// `x / 2 * erfc(-x * sqrt(1 / 2))`.
    Gelu,
    /// `x / (1 + exp(x * fused(x^2, -0.07135481, -1.5957691)))`.
    GeluTanh,
    /// `max(x, 0) + log1p(exp(-|x|))`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x * (n / (n + 2))`, `n = e * (e + 2)`, `e = exp(min(x, 20))`.
    Mish,
    /// `gamma * x` where positive, else `gamma * (alpha * expm1(x))`: alpha, gamma.
    Selu(f32, f32),
    /// `x` where positive, else `alpha * expm1(x / alpha)`, of a positive alpha.
    Celu(f32),
    /// `clamp(fused(x, alpha, beta), 0, 1)`: alpha, beta.
    HardSigmoid(f32, f32),
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// The largest integer that is not above.
    Floor,
    /// The smallest integer that is not below.
    Ceil,
    /// The nearest integer, ties to even.
    Round,
    /// 1, -1, or the number itself where it is 0.
    Sign,
    /// `fused(x, factor, offset)`: factor, offset.
    Affine(f32, f32),
    /// `x^n` by repeated squaring, from the lowest bit of `|n|` on, where `n` is an integer up to 64 in magnitude; its reciprocal where it is
    /// negative. Else `exp(n * log(x))`.
    Power(f32),
    /// `x` where larger than alpha, else 0.
    ThresholdedRelu(f32),
    /// `x + bias` below `-lambda`, `x - bias` above `lambda`, else 0: bias, lambda.
    Shrink(f32, f32),
}

impl Elementary {
    /// The function of several numbers.
    #[inline(always)]
    pub fn of<const N: usize>(self, numbers: [f32; N]) -> [f32; N] {
        match self {
            Self::Abs => each(numbers, f32::abs),
            Self::Neg => each(numbers, |x| -x),
            Self::Square => each(numbers, |x| x * x),
            Self::Sqrt => each(numbers, root),
            Self::Rsqrt => each(numbers, |x| 1.0 / root(x)),
            Self::Reciprocal => each(numbers, |x| 1.0 / x),
            Self::Exp => each(numbers, exp),
            Self::Log => each(numbers, log),
            Self::Erf => each(numbers, erf),
            Self::Gelu => each(numbers, |x| 0.5 * x * erfc(-x * core::f32::consts::FRAC_1_SQRT_2)),
            Self::GeluTanh => each(numbers, |x| {
                let factor = fused(x * x, -0.071_354_814, -1.595_769_2);
                x / (1.0 + exp(x * factor))
            }),
            Self::Softplus => each(numbers, |x| (if x > 0.0 { x } else { 0.0 }) + log1p(exp(-x.abs()))),
            Self::Softsign => each(numbers, |x| x / (1.0 + x.abs())),
            Self::Mish => each(numbers, |x| {
                let e = exp(if x > 20.0 { 20.0 } else { x });
                let n = e * (e + 2.0);
                x * (n / (n + 2.0))
            }),
            Self::Selu(alpha, gamma) => each(numbers, |x| gamma * if x > 0.0 { x } else { alpha * expm1(x) }),
            Self::Celu(alpha) => each(numbers, |x| if x > 0.0 { x } else { alpha * expm1(x / alpha) }),
            Self::HardSigmoid(alpha, beta) => {
                let range = FloatBounds { least: 0.0, most: 1.0 };
                each(numbers, |x| range.clamp(fused(x, alpha, beta)))
            }
            Self::Sin => each(numbers, |x| sine(x, 0)),
            Self::Cos => each(numbers, |x| sine(x, 1)),
            Self::Floor => each(numbers, |x| rounded(x, |whole| if whole > x { whole - 1.0 } else { whole })),
            Self::Ceil => each(numbers, |x| rounded(x, |whole| if whole < x { whole + 1.0 } else { whole })),
            Self::Round => each(numbers, |x| rounded(x, |_| (x.abs() + INTEGERS) - INTEGERS)),
            Self::Sign => each(numbers, |x| if x == 0.0 { x } else { x.signum() }),
            Self::Affine(factor, offset) => each(numbers, |x| fused(x, factor, offset)),
            Self::Power(exponent) => each(numbers, |x| power(x, exponent)),
            Self::ThresholdedRelu(alpha) => each(numbers, |x| if x > alpha { x } else { 0.0 }),
            Self::Shrink(bias, lambda) => each(numbers, |x| {
                let above = if x > lambda { x - bias } else { 0.0 };
                if x < -lambda { x + bias } else { above }
            }),
        }
    }
}

/// [`exp::exp`], once for all functions of a small core.
#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(not(target_pointer_width = "32"), inline(always))]
fn exp(x: f32) -> f32 {
    exp::exp(x)
}

/// [`exp::expm1`], once for all functions of a small core.
#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(not(target_pointer_width = "32"), inline(always))]
fn expm1(x: f32) -> f32 {
    exp::expm1(x)
}

/// The square root; NaN of negative numbers.
#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(not(target_pointer_width = "32"), inline(always))]
fn root(x: f32) -> f32 {
    if x >= 0.0 { sqrt(x) } else { f32::NAN }
}

/// An integer near `x`, from the nearest one towards 0, with the sign of `x`; itself where it is one or NaN.
#[inline(always)]
fn rounded(x: f32, of: impl Fn(f32) -> f32) -> f32 {
    if x.abs() < INTEGERS { of(x as i32 as f32).copysign(x) } else { x }
}

/// The sine of an angle that is `quarters` of a turn further. Beyond `2^20` in magnitude, that of 0.
///
/// ```text
/// n = x 2 / pi, rounded to an integer     as fused(x, 0.63661975, 12582912) - 12582912
/// r = x - n pi / 2                        in three steps, fused, of 1.5703125, 4.837513e-4 and 7.5497899e-8
/// ```
///
/// Then a polynomial of `r` for the sine or the cosine, with the sign of the quarter, from Moshier's Cephes library.
#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(not(target_pointer_width = "32"), inline(always))]
fn sine(x: f32, quarters: u32) -> f32 {
    const SHIFT: f32 = 12_582_912.0;
    let x = if x.abs() <= 1_048_576.0 { x } else { 0.0 * x };
    let shifted = fused(x, core::f32::consts::FRAC_2_PI, SHIFT);
    let n = shifted - SHIFT;
    let mut r = x;
    for part in [1.570_312_5, 4.837_513e-4, 7.549_79e-8] {
        r = fused(-n, part, r);
    }
    let quarter = shifted.to_bits().wrapping_sub(SHIFT.to_bits()).wrapping_add(quarters);
    let square = r * r;
    let q = polynomial(square, &[-1.951_529_6e-4, 8.332_161e-3, -1.666_665_5e-1]);
    let sine = fused(q * square, r, r);
    let q = polynomial(square, &[2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2]);
    let cosine = fused(q * square, square, fused(square, -0.5, 1.0));
    let value = if quarter & 1 == 0 { sine } else { cosine };
    if quarter & 2 == 0 { value } else { -value }
}

#[inline(always)]
fn power(x: f32, exponent: f32) -> f32 {
    let whole = exponent as i32;
    if whole as f32 != exponent || whole.unsigned_abs() > 64 {
        return exp(exponent * log(x));
    }
    let (mut result, mut square, mut bits) = (1.0, x, whole.unsigned_abs());
    while bits != 0 {
        if bits & 1 == 1 {
            result *= square;
        }
        square *= square;
        bits >>= 1;
    }
    if whole < 0 { 1.0 / result } else { result }
}

/// An [`Elementary`] function of every element. `output` may be the same view as `input` if both have one type.
#[derive(Clone, Copy, Debug)]
pub struct ElementaryFloat {
    /// The input.
    pub input: Operand,
    /// Result, of the same height, width and channels.
    pub output: Operand,
    /// Types of `input`, `output`.
    pub types: [Float; 2],
    /// The function.
    pub function: Elementary,
}

impl Mapping<f32, f32> for Elementary {
    const BY_CHANNEL: bool = false;
    const SHORT: bool = false;

    #[inline(always)]
    fn of<const N: usize>(&self, _: usize, numbers: [f32; N]) -> [f32; N] {
        (*self).of(numbers)
    }
}

crate::schedule::kernel!(ElementaryFloat, |elementary| {
    check: |mem| Map::new(mem, [&elementary.input, &elementary.output], elementary.types, elementary.function),
    run: |map, isa| isa.vectorize(map),
    reads: [input],
    in place: true,
    cost: ELEMENT,
});
