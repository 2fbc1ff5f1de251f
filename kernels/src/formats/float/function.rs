//! Functions of one number.

use super::{
    Float,
    exp::{exp, expm1},
    fused, number,
};
use crate::{
    Operand,
    formats::elements::{Map, Mapping},
};

/// An element takes about as long as so many multiply-accumulates of a convolution.
const ELEMENT: usize = 64;

/// A function of one number, in single precision: every operation is rounded, [`exp`] and [`expm1`] are defined to the last bit.
///
/// NaN, and a result that is none of the real numbers, becomes [`number`]'s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `x + x x^2 q(x^2)` below 0.625 in magnitude, else `1 - 2 / (1 + exp(2 |x|))` with the sign of `x`.
    ///
    /// `q` of degree 4 by Horner's rule, each step fused; then `fused(q x^2, x, x)`. Coefficients from Moshier's Cephes library.
    Tanh,
    /// `x / (1 + exp(-x))`.
    Silu,
    /// `x * (clamp(x + 3, 0, 6) * (1 / 6))`, with `1 / 6` in single precision.
    HardSwish,
    /// `x` where positive, else `alpha * expm1(x)`.
    Elu(f32),
    /// `x` where positive, else `slope * x`.
    LeakyRelu(f32),
}

impl Function {
    /// The function of several numbers.
    #[inline(always)]
    pub fn of<const N: usize>(self, numbers: [f32; N]) -> [f32; N] {
        match self {
            Self::Sigmoid => each(numbers, |x| 1.0 / (1.0 + exp(-x))),
            Self::Tanh => each(numbers, tanh),
            Self::Silu => each(numbers, |x| x / (1.0 + exp(-x))),
            Self::HardSwish => each(numbers, |x| {
                let shifted = x + 3.0;
                let shifted = if shifted > 0.0 { shifted } else { 0.0 };
                x * ((if shifted < 6.0 { shifted } else { 6.0 }) * (1.0 / 6.0))
            }),
            Self::Elu(alpha) => each(numbers, |x| if x > 0.0 { x } else { alpha * expm1(x) }),
            Self::LeakyRelu(slope) => each(numbers, |x| if x > 0.0 { x } else { slope * x }),
        }
    }
}

/// A function of each, with [`number`]'s NaN.
#[inline(always)]
pub(super) fn each<const N: usize>(mut numbers: [f32; N], f: impl Fn(f32) -> f32) -> [f32; N] {
    for x in &mut numbers {
        *x = number(f(*x));
    }
    numbers
}

#[inline(always)]
fn tanh(x: f32) -> f32 {
    let magnitude = x.abs();
    let large = 1.0 - 2.0 / (1.0 + exp(magnitude + magnitude));
    let square = x * x;
    let mut q = -5.704_988_7e-3;
    for coefficient in [2.063_908_8e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1] {
        q = fused(q, square, coefficient);
    }
    let small = fused(q * square, x, x);
    if magnitude < 0.625 { small } else { large.copysign(x) }
}

/// A [`Function`] of every element. `output` may be the same view as `input` if both have one type.
#[derive(Clone, Copy, Debug)]
pub struct PointWiseFloat {
    /// The input.
    pub input: Operand,
    /// Result, of the same height, width and channels.
    pub output: Operand,
    /// Types of `input`, `output`.
    pub types: [Float; 2],
    /// The function.
    pub function: Function,
}

impl Mapping<f32, f32> for Function {
    const BY_CHANNEL: bool = false;
    const SHORT: bool = false;

    #[inline(always)]
    fn of<const N: usize>(&self, _: usize, numbers: [f32; N]) -> [f32; N] {
        (*self).of(numbers)
    }
}

crate::schedule::kernel!(PointWiseFloat, |point| {
    check: |mem| Map::new(mem, [&point.input, &point.output], point.types, point.function),
    run: |map, isa| isa.vectorize(map),
    reads: [input],
    in place: true,
    cost: ELEMENT,
});
