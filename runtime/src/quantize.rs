//! Quantization of inputs and dequantization of outputs.

use crate::{F16, kernels::memory::Element};

/// The element type of an input or output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elements {
    /// `i8`: codes, `real = scale * (code - zero_point)`.
    Codes,
    /// `i16`: codes of 16 bits, `real = scale * code`.
    Codes16,
    /// `i8`: class indices, as unsigned bytes.
    Labels,
    /// [`F16`]: half precision.
    F16,
    /// `f32`: single precision.
    F32,
}

/// Shape and number format of an input or output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorInfo {
    /// Name.
    pub name: &'static str,
    /// Height, width, channels; elements lie in this order, channels innermost.
    pub shape: [usize; 3],
    /// The element type.
    pub elements: Elements,
    /// The scale of codes; 0 for labels, 1 for f16 and f32.
    pub scale: f32,
    /// The code of 0; 0 for labels, f16 and f32.
    pub zero_point: i8,
}

/// An element type with its conversions from and to real numbers. An `i8` is a code or a label, as the [`TensorInfo`] says.
pub trait Number: Element {
    /// See [`TensorInfo::quantize`].
    fn from_real(x: f32, info: &TensorInfo) -> Self;

    /// See [`TensorInfo::dequantize`].
    fn to_real(self, info: &TensorInfo) -> f32;
}

/// The nearest whole number of steps, ties away from zero.
fn nearest(x: f32, info: &TensorInfo) -> i32 {
    let scaled = x / info.scale;
    // The fraction is exact; values too large for i32 saturate, NaN becomes 0.
    let whole = scaled as i32;
    let fraction = scaled - whole as f32;
    whole.saturating_add((fraction >= 0.5) as i32 - (fraction <= -0.5) as i32)
}

impl Number for i8 {
    fn from_real(x: f32, info: &TensorInfo) -> Self {
        if info.elements == Elements::Labels {
            return x as u8 as i8;
        }
        nearest(x, info).saturating_add(info.zero_point as i32).clamp(-128, 127) as i8
    }

    fn to_real(self, info: &TensorInfo) -> f32 {
        if info.elements == Elements::Labels {
            return self as u8 as f32;
        }
        info.scale * (self as i32 - info.zero_point as i32) as f32
    }
}

impl Number for i16 {
    fn from_real(x: f32, info: &TensorInfo) -> Self {
        nearest(x, info).clamp(i16::MIN.into(), i16::MAX.into()) as i16
    }

    fn to_real(self, info: &TensorInfo) -> f32 {
        info.scale * self as f32
    }
}

impl Number for F16 {
    fn from_real(x: f32, _: &TensorInfo) -> Self {
        Self::from_f32(x)
    }

    fn to_real(self, _: &TensorInfo) -> f32 {
        self.to_f32()
    }
}

impl Number for f32 {
    fn from_real(x: f32, _: &TensorInfo) -> Self {
        x
    }

    fn to_real(self, _: &TensorInfo) -> f32 {
        self
    }
}

impl TensorInfo {
    /// Bytes of all its elements.
    pub const fn bytes(&self) -> usize {
        let [h, w, c] = self.shape;
        let element = match self.elements {
            Elements::Codes | Elements::Labels => 1,
            Elements::Codes16 | Elements::F16 => 2,
            Elements::F32 => 4,
        };
        h * w * c * element
    }

    /// The element that stands for a real number; needs floating point. A code is the nearest one, ties away from zero, clamped, and the code
    /// of 0 for NaN; an f16 is the nearest one; an f32 is the number itself. The array's type decides: the same line of firmware fills the
    /// input of a model in any format.
    ///
    /// ```
    /// # use niello::{Elements, F16, TensorInfo};
    /// # let info = TensorInfo { name: "x", shape: [1, 1, 2], elements: Elements::Codes, scale: 0.5, zero_point: 3 };
    /// let mut input = [0i8; 2];
    /// for (element, real) in input.iter_mut().zip([1.0, -0.3]) {
    ///     *element = info.quantize(real);
    /// }
    /// assert_eq!(input, [5, 2]);
    /// ```
    pub fn quantize<N: Number>(&self, x: f32) -> N {
        N::from_real(x, self)
    }

    /// The real number of an element; needs floating point.
    pub fn dequantize<N: Number>(&self, element: N) -> f32 {
        element.to_real(self)
    }

    /// Number of elements.
    pub const fn len(&self) -> usize {
        self.shape[0] * self.shape[1] * self.shape[2]
    }

    /// Whether there are no elements.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// `codes[i] = table[sample[i]]`, one table per channel: 8-bit samples to codes without floating point.
///
/// `samples` and `codes` are `[h, w, C]`, channels innermost; as many elements as both have are converted.
pub fn apply_table<const C: usize>(table: &[[i8; 256]; C], samples: &[u8], codes: &mut [i8]) {
    for (pixel, out) in samples.chunks(C).zip(codes.chunks_mut(C)) {
        for ((s, o), t) in pixel.iter().zip(out).zip(table) {
            *o = t[*s as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantize_rounds_half_away_from_zero_and_clamps() {
        let info =
            TensorInfo { name: "x", shape: [1, 1, 1], elements: Elements::Codes, scale: 0.5, zero_point: 3 };
        for (x, code) in [
            (0.0, 3),
            (0.25, 4),
            (-0.25, 2),
            (0.249_999_99, 3),
            (-0.75, 1),
            (1e9, 127),
            (-1e9, -128),
            (f32::INFINITY, 127),
            (61.9, 127),
            (f32::NAN, 3),
            (-f32::NAN, 3),
        ] {
            assert_eq!(info.quantize::<i8>(x), code, "{x}");
        }
        assert_eq!(info.dequantize(5i8), 1.0);
    }

    #[test]
    fn labels_and_floats_are_not_scaled() {
        let info = |elements, scale| TensorInfo { name: "x", shape: [1; 3], elements, scale, zero_point: 0 };
        let labels = info(Elements::Labels, 0.0);
        assert_eq!((labels.quantize::<i8>(200.0), labels.dequantize(-56i8)), (-56, 200.0));
        let wide = info(Elements::Codes16, 0.25);
        assert_eq!([0.125, -0.374, 1e9, f32::NAN].map(|x| wide.quantize::<i16>(x)), [1, -1, i16::MAX, 0]);
        assert_eq!((wide.dequantize(-32768i16), wide.quantize::<i16>(-1e9)), (-8192.0, -32768));
        let f16 = info(Elements::F16, 1.0);
        assert_eq!((f16.quantize(0.1), f16.dequantize(F16(0x3c00))), (F16(0x2e66), 1.0));
        let f32 = info(Elements::F32, 1.0);
        assert_eq!((f32.quantize::<f32>(0.3), f32.dequantize(-7.25f32)), (0.3, -7.25));
    }

    #[test]
    fn table_is_applied_per_channel() {
        let mut table = [[0i8; 256]; 2];
        table[0][7] = 1;
        table[1][7] = 2;
        let mut codes = [9i8; 4];
        apply_table(&table, &[7, 7, 0, 7], &mut codes);
        assert_eq!(codes, [1, 2, 0, 2]);
    }
}
