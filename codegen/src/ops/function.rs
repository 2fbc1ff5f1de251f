//! Functions of one value: their names, their definition in double precision, and how a kernel computes them in single precision.

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
                let root = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
                0.5 * x * (1.0 + libm::tanh(root * (x + 0.044715 * x * x * x)))
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

    /// Whether its parameters are numbers, for which it has values.
    ///
    /// # Errors
    /// Parameters that are not finite; an alpha of 0 that divides.
    pub(super) fn check(self) -> Result<(), String> {
        let parameters = match self {
            Self::Celu(0.0) => return Err("expected an alpha other than 0".into()),
            Self::Elu(a) | Self::LeakyRelu(a) | Self::Celu(a) | Self::Power(a) | Self::ThresholdedRelu(a) => {
                [a, 0.0]
            }
            Self::Selu(a, b) | Self::HardSigmoid(a, b) | Self::Affine(a, b) | Self::Shrink(a, b) => [a, b],
            _ => [0.0; 2],
        };
        super::check_numbers("parameters", parameters)
    }
}
