//! Functions of one value: their names, their definition in double precision, and how a kernel computes them in single precision.

use niello_kernels::float::{self, Elementary};
/// A function of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `x * sigmoid(x)`.
    Silu,
    /// `x * clamp(x + 3, 0, 6) / 6`.
    HardSwish,
    /// `x` where positive, else `alpha * (exp(x) - 1)`.
    Elu(f64),
    /// `x` where positive, else `slope * x`.
    LeakyRelu(f64),
    /// `|x|`.
    Abs,
    /// `-x`.
    Neg,
    /// `x * x`.
    Square,
    /// The square root; of numbers of at least 0.
    Sqrt,
    /// `1 / sqrt(x)`; of positive numbers.
    Rsqrt,
    /// `1 / x`.
    Reciprocal,
    /// `e^x`.
    Exp,
    /// The natural logarithm; of positive numbers.
    Log,
    /// The error function.
    Erf,
    /// `x / 2 * (1 + erf(x / sqrt(2)))`.
    Gelu,
    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`.
    GeluTanh,
    /// `log(1 + exp(x))`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x * tanh(softplus(x))`.
    Mish,
    /// `gamma * x` where positive, else `gamma * alpha * (exp(x) - 1)`: alpha, gamma.
    Selu(f64, f64),
    /// `x` where positive, else `alpha * (exp(x / alpha) - 1)`.
    Celu(f64),
    /// `clamp(alpha * x + beta, 0, 1)`: alpha, beta.
    HardSigmoid(f64, f64),
    /// Sine, of radians.
    Sin,
    /// Cosine, of radians.
    Cos,
    /// The largest integer that is not above.
    Floor,
    /// The smallest integer that is not below.
    Ceil,
    /// The nearest integer, ties to even.
    Round,
    /// 1, 0 or -1.
    Sign,
    /// `factor * x + offset`: factor, offset.
    Affine(f64, f64),
    /// `x^exponent`; of positive numbers, if the exponent is no integer.
    Power(f64),
    /// `x` where larger than alpha, else 0.
    ThresholdedRelu(f64),
    /// `x + bias` below `-lambda`, `x - bias` above `lambda`, else 0: bias, lambda.
    Shrink(f64, f64),
}

impl Function {
    /// The function in double precision; not finite where it has no value.
    pub fn eval(self, x: f64) -> f64 {
        let elu = |x: f64, alpha: f64| if x > 0.0 { x } else { alpha * libm::expm1(x) };
        match self {
            Self::Sigmoid => 1.0 / (1.0 + libm::exp(-x)),
            Self::Tanh => libm::tanh(x),
            Self::Silu => x / (1.0 + libm::exp(-x)),
            Self::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
            Self::Elu(alpha) => elu(x, alpha),
            Self::LeakyRelu(slope) => {
                if x > 0.0 {
                    x
                } else {
                    slope * x
                }
            }
            Self::Abs => x.abs(),
            Self::Neg => -x,
            Self::Square => x * x,
            Self::Sqrt => libm::sqrt(x),
            Self::Rsqrt => 1.0 / libm::sqrt(x),
            Self::Reciprocal => 1.0 / x,
            Self::Exp => libm::exp(x),
            Self::Log => libm::log(x),
            Self::Erf => libm::erf(x),
            Self::Gelu => 0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2),
            Self::GeluTanh => {
                // (1 + tanh(y)) / 2 = 1 / (1 + exp(-2 y))
                let root = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
                x / (1.0 + libm::exp(-2.0 * root * (x + 0.044715 * x * x * x)))
            }
            Self::Softplus => x.max(0.0) + libm::log1p(libm::exp(-x.abs())),
            Self::Softsign => x / (1.0 + x.abs()),
            Self::Mish => x * libm::tanh(Self::Softplus.eval(x)),
            Self::Selu(alpha, gamma) => gamma * elu(x, alpha),
            Self::Celu(alpha) => {
                if x > 0.0 {
                    x
                } else {
                    alpha * libm::expm1(x / alpha)
                }
            }
            Self::HardSigmoid(alpha, beta) => (alpha * x + beta).clamp(0.0, 1.0),
            Self::Sin => libm::sin(x),
            Self::Cos => libm::cos(x),
            Self::Floor => x.floor(),
            Self::Ceil => x.ceil(),
            Self::Round => x.round_ties_even(),
            Self::Sign => {
                if x == 0.0 {
                    0.0
                } else {
                    x.signum()
                }
            }
            Self::Affine(factor, offset) => factor * x + offset,
            Self::Power(exponent) => libm::pow(x, exponent),
            Self::ThresholdedRelu(alpha) => {
                if x > alpha {
                    x
                } else {
                    0.0
                }
            }
            Self::Shrink(bias, lambda) => {
                if x < -lambda {
                    x + bias
                } else if x > lambda {
                    x - bias
                } else {
                    0.0
                }
            }
        }
    }

    /// Its name, as in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sigmoid => "Sigmoid",
            Self::Tanh => "Tanh",
            Self::Silu => "Silu",
            Self::HardSwish => "HardSwish",
            Self::Elu(_) => "Elu",
            Self::LeakyRelu(_) => "LeakyRelu",
            Self::Abs => "Abs",
            Self::Neg => "Neg",
            Self::Square => "Square",
            Self::Sqrt => "Sqrt",
            Self::Rsqrt => "Rsqrt",
            Self::Reciprocal => "Reciprocal",
            Self::Exp => "Exp",
            Self::Log => "Log",
            Self::Erf => "Erf",
            Self::Gelu => "Gelu",
            Self::GeluTanh => "GeluTanh",
            Self::Softplus => "Softplus",
            Self::Softsign => "Softsign",
            Self::Mish => "Mish",
            Self::Selu(..) => "Selu",
            Self::Celu(_) => "Celu",
            Self::HardSigmoid(..) => "HardSigmoid",
            Self::Sin => "Sin",
            Self::Cos => "Cos",
            Self::Floor => "Floor",
            Self::Ceil => "Ceil",
            Self::Round => "Round",
            Self::Sign => "Sign",
            Self::Affine(..) => "Affine",
            Self::Power(_) => "Power",
            Self::ThresholdedRelu(_) => "ThresholdedRelu",
            Self::Shrink(..) => "Shrink",
        }
    }

    /// Its parameters; 0 where there are none.
    const fn parameters(self) -> [f64; 2] {
        match self {
            Self::Elu(a) | Self::LeakyRelu(a) | Self::Celu(a) | Self::Power(a) | Self::ThresholdedRelu(a) => {
                [a, 0.0]
            }
            Self::Selu(a, b) | Self::HardSigmoid(a, b) | Self::Affine(a, b) | Self::Shrink(a, b) => [a, b],
            _ => [0.0; 2],
        }
    }

    /// Whether there is such a function.
    ///
    /// # Errors
    /// Parameters that are not finite; an alpha that divides and is not positive.
    pub(super) fn check(self) -> Result<(), String> {
        super::check_numbers("parameters", self.parameters())?;
        match self {
            Self::Celu(alpha) if alpha <= 0.0 => Err(format!("expected a positive alpha, got {alpha}")),
            _ => Ok(()),
        }
    }

    /// The function as tables have it: 0 where it has no value, within single precision.
    pub(super) fn saturated(self, x: f64) -> f64 {
        let y = self.eval(x);
        if y.is_nan() { 0.0 } else { y.clamp(f32::MIN.into(), f32::MAX.into()) }
    }

    /// How a kernel computes it.
    ///
    /// # Errors
    /// Parameters that it does not take.
    pub(super) fn in_single_precision(self) -> Result<OnDevice, String> {
        use OnDevice::{More, Plain};
        if let Some(bad) = self.parameters().into_iter().find(|x| !(*x as f32).is_finite()) {
            return Err(format!("{bad} is beyond single precision"));
        }
        Ok(match self {
            Self::Sigmoid => Plain(float::Function::Sigmoid),
            Self::Tanh => Plain(float::Function::Tanh),
            Self::Silu => Plain(float::Function::Silu),
            Self::HardSwish => Plain(float::Function::HardSwish),
            Self::Elu(alpha) => Plain(float::Function::Elu(alpha as f32)),
            Self::LeakyRelu(slope) => Plain(float::Function::LeakyRelu(slope as f32)),
            Self::Abs => More(Elementary::Abs),
            Self::Neg => More(Elementary::Neg),
            Self::Square => More(Elementary::Square),
            Self::Sqrt => More(Elementary::Sqrt),
            Self::Rsqrt => More(Elementary::Rsqrt),
            Self::Reciprocal => More(Elementary::Reciprocal),
            Self::Exp => More(Elementary::Exp),
            Self::Log => More(Elementary::Log),
            Self::Erf => More(Elementary::Erf),
            Self::Gelu => More(Elementary::Gelu),
            Self::GeluTanh => More(Elementary::GeluTanh),
            Self::Softplus => More(Elementary::Softplus),
            Self::Softsign => More(Elementary::Softsign),
            Self::Mish => More(Elementary::Mish),
            Self::Selu(alpha, gamma) => More(Elementary::Selu(alpha as f32, gamma as f32)),
            Self::Celu(alpha) => More(Elementary::Celu((alpha as f32).max(f32::MIN_POSITIVE))),
            Self::HardSigmoid(alpha, beta) => More(Elementary::HardSigmoid(alpha as f32, beta as f32)),
            Self::Sin => More(Elementary::Sin),
            Self::Cos => More(Elementary::Cos),
            Self::Floor => More(Elementary::Floor),
            Self::Ceil => More(Elementary::Ceil),
            Self::Round => More(Elementary::Round),
            Self::Sign => More(Elementary::Sign),
            Self::Affine(factor, offset) => More(Elementary::Affine(factor as f32, offset as f32)),
            Self::Power(exponent) if exponent.fract() == 0.0 && exponent.abs() > 64.0 => {
                return Err(format!(
                    "an exponent of {exponent} has no form in single precision, only up to 64"
                ));
            }
            Self::Power(exponent) => More(Elementary::Power(exponent as f32)),
            Self::ThresholdedRelu(alpha) => More(Elementary::ThresholdedRelu(alpha as f32)),
            Self::Shrink(bias, lambda) => More(Elementary::Shrink(bias as f32, lambda as f32)),
        })
    }
}

/// A function as one of two kernels computes it.
pub(super) enum OnDevice {
    /// `PointWiseFloat`.
    Plain(float::Function),
    /// `ElementaryFloat`.
    More(Elementary),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every function that came after the first six.
    const MORE: &[Function] = &[
        Function::Abs,
        Function::Neg,
        Function::Square,
        Function::Sqrt,
        Function::Rsqrt,
        Function::Reciprocal,
        Function::Exp,
        Function::Log,
        Function::Erf,
        Function::Gelu,
        Function::GeluTanh,
        Function::Softplus,
        Function::Softsign,
        Function::Mish,
        Function::Selu(1.67326, 1.0507),
        Function::Celu(0.75),
        Function::HardSigmoid(0.2, 0.5),
        Function::Sin,
        Function::Cos,
        Function::Floor,
        Function::Ceil,
        Function::Round,
        Function::Sign,
        Function::Affine(-1.25, 0.75),
        Function::Power(3.0),
        Function::Power(-2.0),
        Function::Power(0.0),
        Function::Power(1.5),
        Function::Power(-0.25),
        Function::ThresholdedRelu(0.5),
        Function::Shrink(0.25, 0.5),
    ];

    fn of(function: Function, x: f32) -> f32 {
        let Ok(OnDevice::More(kernel)) = function.in_single_precision() else { panic!("{function:?}") };
        let [alone, several @ ..] = kernel.of([x; 5]);
        assert!(several.into_iter().all(|y| y.to_bits() == alone.to_bits()));
        alone
    }

    #[test]
    fn single_precision_is_near_the_definition() {
        let magnitudes =
            (-60..=36).flat_map(|e| (0..37).map(move |i| (1.0 + i as f64 / 37.0) * 2f64.powi(e / 2)));
        let numbers: Vec<f32> = magnitudes.flat_map(|x| [x as f32, -x as f32]).chain([0.0, -0.0]).collect();
        for function in MORE {
            // In units of the last place of the result; a part of the argument's own rounding where functions are steep.
            let (mut worst, mut at) = (0.0, 0.0);
            for x in &numbers {
                let (found, exact) = (of(*function, *x) as f64, function.eval(*x as f64));
                if exact.is_nan() || exact.abs() > f32::MAX as f64 {
                    assert!(
                        !found.is_finite() || exact.abs() < 1.01 * f32::MAX as f64,
                        "{function:?} of {x:e}: {found:e}"
                    );
                    continue;
                }
                let unit = match function {
                    // Whose arguments are reduced: as near as 1 is.
                    Function::Sin | Function::Cos => 1.0,
                    // An exponent of up to 88 is rounded.
                    Function::Gelu | Function::GeluTanh | Function::Power(_) => 40.0 * exact.abs(),
                    Function::Affine(_, offset) => exact.abs().max(*offset),
                    Function::HardSigmoid(..) => 1.0,
                    Function::Log => exact.abs().max(1.0),
                    _ => exact.abs(),
                };
                let error = (found - exact).abs() / (unit * 2f64.powi(-24) + 2f64.powi(-126));
                if error > worst {
                    (worst, at) = (error, *x);
                }
            }
            println!("{function:?}: {worst:.2} at {at:e}");
            assert!(worst <= 8.0, "{function:?}: {worst} at {at:e}");
        }
    }

    #[test]
    fn numbers_without_a_value_stay_codes() {
        for (function, x, y) in [
            (Function::Log, 0.0, f64::from(f32::MIN)),
            (Function::Log, -1.0, 0.0),
            (Function::Sqrt, -1.0, 0.0),
            (Function::Rsqrt, 0.0, f32::MAX.into()),
            (Function::Reciprocal, -0.0, f32::MIN.into()),
            (Function::Exp, 1e6, f32::MAX.into()),
            (Function::Power(0.5), -2.0, 0.0),
            (Function::Power(-1.0), 0.0, f32::MAX.into()),
        ] {
            assert_eq!(function.saturated(x), y, "{function:?} of {x}");
        }
        for (function, x, y) in [
            (Function::Log, 0.0, f32::NEG_INFINITY),
            (Function::Log, f32::INFINITY, f32::INFINITY),
            (Function::Log, 1e-40, -92.103_41),
            (Function::Reciprocal, -0.0, f32::NEG_INFINITY),
            (Function::Power(-1.0), 0.0, f32::INFINITY),
            (Function::Erf, f32::INFINITY, 1.0),
            (Function::Gelu, f32::NEG_INFINITY, f32::NAN),
            (Function::Round, 2.5, 2.0),
            (Function::Round, -3.5, -4.0),
            (Function::Floor, -0.5, -1.0),
            (Function::Ceil, 16_777_217.0, 16_777_216.0),
            (Function::Sin, f32::INFINITY, f32::NAN),
            (Function::Cos, 1e30, 1.0),
        ] {
            let found = of(function, x);
            assert!(found == y || found.is_nan() && y.is_nan(), "{function:?} of {x}: {found}");
        }
        for function in MORE {
            let found = of(*function, f32::NAN).to_bits();
            let without = matches!(
                function,
                Function::HardSigmoid(..)
                    | Function::ThresholdedRelu(_)
                    | Function::Shrink(..)
                    | Function::Power(0.0)
            );
            assert_eq!(found == 0x7fc0_0000, !without, "{function:?}: {found:x}");
        }
    }

    #[test]
    fn parameters_that_are_none_are_refused() {
        let nan = Function::Selu(1.0, f64::NAN).check().expect_err("NaN");
        assert!(nan.contains("finite parameters"), "{nan}");
        assert!(Function::Celu(0.0).check().is_err() && Function::Celu(-1.0).check().is_err());
        assert!(Function::Affine(1e300, 0.0).in_single_precision().is_err());
        assert!(Function::Power(65.0).in_single_precision().is_err());
        assert!(Function::Power(64.5).in_single_precision().is_ok());
    }
}
