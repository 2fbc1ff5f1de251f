//! From numbers to codes, and back.

use super::Float;
use crate::{
    Bounds, Operand, Width,
    base::isa::Vectorize,
    formats::elements::{Map, Mapping},
};

/// An element takes about as long as so many multiply-accumulates of a convolution.
const ELEMENT: usize = 16;

/// Nearest codes: `out = bounds.clamp(round(in / scale))`, ties away from zero, and the quotient rounded to single precision.
///
/// Quotients beyond `2^22` in magnitude count as that. A NaN gives the zero point.
#[derive(Clone, Copy, Debug)]
pub struct QuantizeFloat {
    /// Input.
    pub input: Operand,
    /// Codes, of the same height, width and channels.
    pub output: Operand,
    /// Type of `input`.
    pub float: Float,
    /// Width of `output`.
    pub width: Width,
    /// Scale of the codes.
    pub scale: f32,
    /// Zero point and clamp of the codes.
    pub bounds: Bounds,
}

/// The numbers that codes stand for: `out = scale * (in - zero_point)`, one rounding, another one where the result is stored with 16 bits.
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
    /// Scale of the codes.
    pub scale: f32,
    /// Zero point of `input`; 0 at 16 bits.
    pub zero_point: i32,
}

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
        // Towards zero; 0 for NaN. The rest is exact.
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
