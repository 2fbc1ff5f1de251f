//! From numbers to codes, and back.

use super::Float;
use crate::{
    Bounds, Operand, Width,
    base::{arith::nearest_even, isa::Vectorize},
    formats::elements::{Map, Mapping},
};

/// An element takes about as long as so many multiply-accumulates of a convolution.
const ELEMENT: usize = 16;

/// Nearest codes: `out = bounds.clamp(round(in / scale))`, ties away from zero, and the quotient rounded to single precision.
///
/// Quotients beyond `2^22` in magnitude count as that. NaN gives the zero point.
#[derive(Clone, Copy, Debug)]
pub struct QuantizeFloat {
    /// The input.
    pub input: Operand,
    /// Codes, of the same height, width and channels.
    pub output: Operand,
    /// Type of `input`.
    pub float: Float,
    /// Width of `output`.
    pub width: Width,
    /// The scale of the codes.
    pub scale: f32,
    /// Zero point and clamp of the codes.
    pub bounds: Bounds,
}

/// Dequantization: `out = scale * (in - zero_point)`, one rounding, another one where the result is stored with 16 bits.
#[derive(Clone, Copy, Debug)]
pub struct DequantizeFloat {
    /// Codes.
    pub input: Operand,
    /// Numbers, of the same height, width and channels.
    pub output: Operand,
    /// Width of `input`.
    pub width: Width,
    /// Type of `output`.
    pub float: Float,
    /// The scale of the codes.
    pub scale: f32,
    /// Zero point of `input`; 0 at 16 bits.
    pub zero_point: i32,
}

/// Nearest codes as ONNX has them: `out = bounds.clamp(round(in / scale + constant))`, ties to even, each operation rounded to single precision.
///
/// Sums beyond `2^20` in magnitude count as that, and NaN as `2^20`.
#[derive(Clone, Copy, Debug)]
pub struct QuantizeLinear {
    /// The input.
    pub input: Operand,
    /// Codes, of the same height, width and channels.
    pub output: Operand,
    /// Type of `input`.
    pub float: Float,
    /// Width of `output`.
    pub width: Width,
    /// The scale of the codes.
    pub scale: f32,
    /// Added before it is rounded.
    pub constant: f32,
    /// Zero point and clamp of the codes.
    pub bounds: Bounds,
}

impl Mapping<f32, i32> for QuantizeLinear {
    const BY_CHANNEL: bool = false;

    #[inline(always)]
    fn of<const N: usize>(&self, _: usize, numbers: [f32; N]) -> [i32; N] {
        let mut codes = [0; N];
        for (code, x) in codes.iter_mut().zip(numbers) {
            *code = self.bounds.clamp(nearest_even(x / self.scale + self.constant));
        }
        codes
    }
}

impl Vectorize for Map<'_, Float, Width, QuantizeLinear> {
    const WIDE: bool = false;

    #[inline(always)]
    fn run(self) {
        self.convert();
    }
}

crate::schedule::kernel!(QuantizeLinear, |quantize| {
    check: |mem| Map::between(mem, [&quantize.input, &quantize.output], quantize.float, quantize.width, *quantize)
        .filter(|_| quantize.bounds.fits(quantize.width)),
    run: |map, isa| isa.vectorize(map),
    reads: [input],
    cost: ELEMENT,
});

impl Mapping<f32, i32> for QuantizeFloat {
    const BY_CHANNEL: bool = false;

    #[inline(always)]
    fn of<const N: usize>(&self, _: usize, numbers: [f32; N]) -> [i32; N] {
        let mut codes = [0; N];
        for (code, x) in codes.iter_mut().zip(numbers) {
            *code = self.code(x);
        }
        codes
    }
}

impl QuantizeFloat {
    #[inline(always)]
    fn code(&self, x: f32) -> i32 {
        const MOST: f32 = 4_194_304.0;
        let y = x / self.scale;
        let y = if y > MOST { MOST } else { y };
        let y = if y < -MOST { -MOST } else { y };
        // Towards zero; 0 of NaN. The rest is exact.
        let whole = y as i32;
        let rest = y - whole as f32;
        let away = if rest >= 0.5 { 1 } else { 0 } - if rest <= -0.5 { 1 } else { 0 };
        self.bounds.clamp(whole.wrapping_add(away))
    }
}

impl Vectorize for Map<'_, Float, Width, QuantizeFloat> {
    const WIDE: bool = false;

    #[inline(always)]
    fn run(self) {
        self.convert();
    }
}

crate::schedule::kernel!(QuantizeFloat, |quantize| {
    check: |mem| Map::between(mem, [&quantize.input, &quantize.output], quantize.float, quantize.width, *quantize)
        .filter(|_| quantize.bounds.fits(quantize.width)),
    run: |map, isa| isa.vectorize(map),
    reads: [input],
    cost: ELEMENT,
});

impl Mapping<i32, f32> for DequantizeFloat {
    const BY_CHANNEL: bool = false;

    #[inline(always)]
    fn of<const N: usize>(&self, _: usize, codes: [i32; N]) -> [f32; N] {
        let mut numbers = [0.0; N];
        for (x, code) in numbers.iter_mut().zip(codes) {
            *x = self.scale * code.wrapping_sub(self.zero_point) as f32;
        }
        numbers
    }
}

impl Vectorize for Map<'_, Width, Float, DequantizeFloat> {
    const WIDE: bool = false;

    #[inline(always)]
    fn run(self) {
        self.convert();
    }
}

crate::schedule::kernel!(DequantizeFloat, |dequantize| {
    check: |mem| Map::between(
        mem,
        [&dequantize.input, &dequantize.output],
        dequantize.width,
        dequantize.float,
        *dequantize,
    ),
    run: |map, isa| isa.vectorize(map),
    reads: [input],
    cost: ELEMENT,
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_even_integer() {
        for half in -2060..2060 {
            let y = half as f32 / 2.0;
            assert_eq!(nearest_even(y), y.round_ties_even() as i32, "{y}");
        }
        for (y, wanted) in
            [(f32::NAN, 1 << 20), (f32::INFINITY, 1 << 20), (-1e30, -(1 << 20)), (0.499_999_97, 0)]
        {
            assert_eq!(nearest_even(y), wanted, "{y}");
        }
    }
}
