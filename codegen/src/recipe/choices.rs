//! The enumerated values of a recipe.

use crate::format::Mode;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// An enum whose variants have names, the same in recipes and flags.
macro_rules! choices {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// Every name.
            pub const NAMES: &[&str] = &[$($text),*];

            /// The name in recipes and flags.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $name {
            type Err = crate::Error;

            fn from_str(text: &str) -> crate::Result<Self> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(crate::Error::Invalid(format!(
                        concat!("no ", $what, " `{}`; there are: {}"), text, Self::NAMES.join(", ")
                    ))),
                }
            }
        }

        parsed!($name);
    };
}

choices! {
    /// The operator behind a network's last layer.
    Head, "output head" {
        /// None: the scores.
        #[default]
        Logits = "logits",
        /// The class of the largest value, per pixel.
        Argmax = "argmax",
        /// Probabilities over the channels.
        Softmax = "softmax",
        /// A probability per channel.
        Sigmoid = "sigmoid",
    }
}

choices! {
    /// A number format.
    NumberFormat, "number format" {
        /// 8-bit integers: activations per tensor with zero point, weights per channel without.
        #[default]
        Int8 = "int8",
        /// Half precision in memory, single precision in between.
        F16 = "f16",
        /// Half precision, in convolutions too.
        F16Native = "f16-native",
        /// As `f16-native`, with 3x3 convolutions by Winograd's algorithm.
        F16Winograd = "f16-winograd",
        /// Single precision.
        F32 = "f32",
    }
}

impl NumberFormat {
    /// How layers compute, if it is in floating point.
    pub fn mode(self) -> Option<Mode> {
        match self {
            Self::Int8 => None,
            Self::F16 => Some(Mode::F16),
            Self::F16Native => Some(Mode::F16Native),
            Self::F16Winograd => Some(Mode::F16Winograd),
            Self::F32 => Some(Mode::F32),
        }
    }
}

choices! {
    /// How a product is rounded when it is requantised; `docs/arithmetic.md` has the formulas.
    Rounding, "rounding" {
        /// Twice, as TensorFlow Lite's reference kernels.
        #[default]
        TfliteDouble = "tflite-double",
        /// Once, ties up.
        Single = "single",
        /// Once, ties to even, the product in single precision, as onnxruntime.
        FloatEven = "float-even",
    }
}

choices! {
    /// Whose kernels a quantised model file is computed like, to the byte.
    Reference, "reference" {
        /// LiteRT's reference kernels: the default for `.tflite`.
        #[default]
        LiteRt = "litert",
        /// TensorFlow Lite of 2023: as TensorFlow Lite for Microcontrollers and CMSIS-NN, but for the sigmoid and the hyperbolic tangent.
        Tflm = "tflm",
        /// TensorFlow Lite for Microcontrollers.
        TflmInterpreter = "tflm-interpreter",
        /// onnxruntime: the default for `.onnx`.
        OnnxRuntime = "onnxruntime",
    }
}

choices! {
    /// How the range of an activation is chosen.
    RangeChoice, "range" {
        /// Per tensor, the one of the others with the smallest error.
        #[default]
        Auto = "auto",
        /// Smallest to largest value seen.
        MinMax = "minmax",
        /// Without the values beyond a percentile.
        Percentile = "percentile",
        /// The range with the smallest mean squared error.
        Mse = "mse",
    }
}
