//! How a value is stored and computed: number formats, and where their scales come from.

use niello_kernels::{Bounds, Float, Width, float::half};

/// Scale and zero point of an int8 tensor: `real = scale * (q - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QParams {
    /// Positive; single precision, as in TensorFlow Lite files.
    pub scale: f32,
    /// The code of 0.
    pub zero_point: i8,
}

impl QParams {
    /// The finest format that covers `[min, max]` and 0.
    pub fn from_range(min: f32, max: f32) -> Self {
        let (min, max) = (min.min(0.0) as f64, max.max(0.0) as f64);
        let scale = ((max - min) / 255.0) as f32;
        // All values 0 (or denormal): any scale will do.
        let scale = if scale >= f32::MIN_POSITIVE { scale } else { 1.0 / 255.0 };
        let zero_point = (-128.0 - min / scale as f64).round().clamp(-128.0, 127.0) as i8;
        Self { scale, zero_point }
    }

    /// Nearest code, ties away from zero, clamped; for NaN the code of 0.
    pub fn quantize(self, x: f32) -> i8 {
        let x = if x.is_nan() { 0.0 } else { x };
        ((x / self.scale).round() + self.zero_point as f32).clamp(-128.0, 127.0) as i8
    }

    /// The real number of a code; finite, also where the ends of the codes are beyond single precision.
    pub fn dequantize(self, q: i8) -> f32 {
        (self.scale * (q as i32 - self.zero_point as i32) as f32).clamp(f32::MIN, f32::MAX)
    }

    /// Smallest and largest value that can be represented.
    pub fn range(self) -> (f32, f32) {
        (self.dequantize(-128), self.dequantize(127))
    }
}

/// The format of a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    /// Quantised numbers.
    Int8(QParams),
    /// Numbers of 16 bits, two bytes each, little-endian: `real = scale * q`, `q` in `[-32767, 32767]`, or from -32768 on if `given`.
    Int16 {
        /// Positive.
        scale: f32,
        /// Whether a file has the codes: then operators compute them as the kernels do that the file is meant for.
        given: bool,
    },
    /// Numbers in floating point, little-endian.
    Float(Float),
    /// Class labels, 0 to 127.
    Label,
}

impl Format {
    /// Bytes of one code.
    pub fn bytes(self) -> usize {
        match self {
            Self::Int8(_) | Self::Label => 1,
            Self::Int16 { .. } => 2,
            Self::Float(float) => float.bytes(),
        }
    }

    /// Its name: `int8`, `int16`, `f16`, `f32` or `label`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int8(_) => "int8",
            Self::Int16 { .. } => "int16",
            Self::Float(Float::F16) => "f16",
            Self::Float(Float::F32) => "f32",
            Self::Label => "label",
        }
    }

    /// The step between codes; `None` for labels and floating point.
    pub fn step(self) -> Option<f32> {
        match self {
            Self::Int8(q) => Some(q.scale),
            Self::Int16 { scale, .. } => Some(scale),
            Self::Float(_) | Self::Label => None,
        }
    }

    /// Smallest and largest value that can be represented; `None` for labels.
    pub fn range(self) -> Option<(f32, f32)> {
        match self {
            Self::Int8(q) => Some(q.range()),
            Self::Int16 { scale, given } => Some((least_of_int16(given) * scale, 32767.0 * scale)),
            Self::Float(Float::F16) => Some((-65504.0, 65504.0)),
            Self::Float(Float::F32) => Some((f32::MIN, f32::MAX)),
            Self::Label => None,
        }
    }

    /// Codes for real values, or the bytes of their nearest numbers.
    pub fn encode(self, values: &[f32]) -> Vec<i8> {
        match self {
            Format::Int8(q) => values.iter().map(|x| q.quantize(*x)).collect(),
            Format::Label => values.iter().map(|x| *x as u8 as i8).collect(),
            Format::Int16 { scale, given } => values
                .iter()
                .flat_map(|x| {
                    ((x / scale).round().clamp(least_of_int16(given), 32767.0) as i16).to_le_bytes()
                })
                .map(|byte| byte as i8)
                .collect(),
            Format::Float(Float::F32) => bytemuck::cast_slice(values).to_vec(),
            Format::Float(Float::F16) => {
                let halves: Vec<u16> = values.iter().map(|x| half::from_f32(*x)).collect();
                bytemuck::cast_slice(&halves).to_vec()
            }
        }
    }
}

/// The smallest code of 16 bits.
const fn least_of_int16(given: bool) -> f32 {
    if given { -32768.0 } else { -32767.0 }
}

/// How real numbers are coded, with 8 bits or 16.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Codes {
    /// Width of a code.
    pub width: Width,
    /// `real = scale * (q - zero_point)`.
    pub scale: f32,
    /// 0 at 16 bits.
    pub zero_point: i32,
    /// Whether they are codes of 16 bits of a file, as [`Format::Int16`] says.
    pub given: bool,
}

impl Codes {
    /// Codes of 8 bits.
    pub fn int8(QParams { scale, zero_point }: QParams) -> Self {
        Self { width: Width::Int8, scale, zero_point: zero_point.into(), given: false }
    }

    /// The largest difference between a code and the zero point.
    pub fn largest_difference(self) -> i64 {
        match self.width {
            Width::Int8 => 255,
            Width::Int16 => 1 << 15,
        }
    }

    /// Zero point and clamp of an output with a fused activation of range `[min, max]`.
    pub fn bounds(self, min: f32, max: f32) -> Bounds {
        let (lowest, highest) = match self.width {
            Width::Int8 => (-128, 127),
            Width::Int16 => (least_of_int16(self.given) as i32, 32767),
        };
        let code =
            |x: f32| ((x / self.scale).round() + self.zero_point as f32).clamp(lowest as f32, highest as f32);
        let clamp = |x: f32, otherwise: i32| if x.is_finite() { code(x) as i32 } else { otherwise };
        Bounds { zero_point: self.zero_point, min: clamp(min, lowest), max: clamp(max, highest) }
    }
}

/// How a layer computes in floating point; `docs/arithmetic.md` has the order of every sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Single precision.
    F32,
    /// Half precision in memory, single precision in between.
    F16,
    /// As [`Mode::F16`]; convolutions add products in half precision.
    F16Native,
    /// As [`Mode::F16Native`]; dense 3x3 convolutions of stride 1 by Winograd's algorithm, whose sums are rounded elsewhere.
    F16Winograd,
}

impl Mode {
    /// Its name: `f32`, `f16`, `f16-native` or `f16-winograd`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::F16Native => "f16-native",
            Self::F16Winograd => "f16-winograd",
        }
    }

    /// The type of its tensors.
    pub const fn float(self) -> Float {
        match self {
            Self::F32 => Float::F32,
            Self::F16 | Self::F16Native | Self::F16Winograd => Float::F16,
        }
    }
}

/// Where the scale of an output comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RangeRule {
    /// From the values that calibration saw.
    Calibrated,
    /// All inputs and the output share one scale and zero point; inputs that are labels have none.
    SameAsInputs,
    /// Given by the operator's definition.
    Fixed(QParams),
    /// Class labels or positions: codes of 0 to 127, not a quantised number.
    Labels,
}
