//! Derivatives of the functions of one value, for [`Op::gradient`](super::Op::gradient).

use super::Function;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

impl Function {
    /// The derivative in double precision; not finite where it has none. At a kink it is PyTorch's: of ReLU's kind the slope to the left, of what is
    /// clamped none, of `|x|` 0.
    pub fn derivative(self, x: f64) -> f64 {
        let sigmoid = |x| Self::Sigmoid.eval(x);
        let one_if = |holds: bool| f64::from(u8::from(holds));
        match self {
            Self::Sigmoid => sigmoid(x) * sigmoid(-x),
            Self::Tanh => 1.0 - libm::tanh(x) * libm::tanh(x),
            Self::Silu => sigmoid(x) * (1.0 + x * sigmoid(-x)),
            Self::HardSwish if x.abs() < 3.0 => x / 3.0 + 0.5,
            Self::HardSwish => one_if(x > 0.0),
            Self::Elu(_) | Self::LeakyRelu(_) | Self::Celu(_) if x > 0.0 => 1.0,
            Self::Elu(alpha) => alpha * libm::exp(x),
            Self::LeakyRelu(slope) => slope,
            Self::Celu(alpha) => libm::exp(x / alpha),
            Self::Selu(alpha, gamma) => gamma * Self::Elu(alpha).derivative(x),
            Self::Abs => Self::Sign.eval(x),
            Self::Neg => -1.0,
            Self::Square => 2.0 * x,
            Self::Sqrt => 0.5 / libm::sqrt(x),
            Self::Rsqrt => -0.5 / (x * libm::sqrt(x)),
            Self::Reciprocal => -1.0 / (x * x),
            Self::Exp => libm::exp(x),
            Self::Log => 1.0 / x,
            Self::Erf => FRAC_2_SQRT_PI * libm::exp(-x * x),
            Self::Gelu => {
                let density = 0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2 * libm::exp(-0.5 * x * x);
                0.5 * libm::erfc(-x * FRAC_1_SQRT_2) + x * density
            }
            Self::GeluTanh => {
                // x * sigmoid(y) with y = 2 sqrt(2 / pi) * (x + 0.044715 x^3)
                let root = 2.0 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
                let y = root * (x + 0.044715 * x * x * x);
                let slope = root * (1.0 + 3.0 * 0.044715 * x * x);
                sigmoid(y) * (1.0 + x * slope * sigmoid(-y))
            }
            Self::Softplus => sigmoid(x),
            Self::Softsign => 1.0 / ((1.0 + x.abs()) * (1.0 + x.abs())),
            Self::Mish => {
                let t = libm::tanh(Self::Softplus.eval(x));
                t + x * (1.0 - t * t) * sigmoid(x)
            }
            Self::HardSigmoid(alpha, beta) => {
                let y = alpha * x + beta;
                if y > 0.0 && y < 1.0 { alpha } else { 0.0 }
            }
            Self::Sin => libm::cos(x),
            Self::Cos => -libm::sin(x),
            Self::Floor | Self::Ceil | Self::Round | Self::Sign => 0.0,
            Self::Affine(factor, _) => factor,
            Self::Power(0.0) => 0.0,
            Self::Power(exponent) => exponent * libm::pow(x, exponent - 1.0),
            Self::ThresholdedRelu(alpha) => one_if(x > alpha),
            Self::Shrink(_, lambda) => one_if(x.abs() > lambda),
        }
    }
}
