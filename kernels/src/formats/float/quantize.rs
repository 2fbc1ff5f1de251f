//! From numbers to codes, and back.

use super::{
    Float,
    rows::{in_lanes, same_pixels},
};
use crate::{
    Bounds, Memory, Operand, Width,
    base::{
        isa::Vectorize,
        memory::{In, Out},
    },
};

/// An element takes about as long as so many multiply-accumulates of a convolution.
const ELEMENT: usize = 16;

/// Nearest codes: `out = bounds.clamp(round(in / scale))`, ties away from zero, and the quotient rounded to single precision.
///
/// Quotients beyond `2^22` in magnitude count as that. What is not a number gives the zero point.
#[derive(Clone, Copy, Debug)]
pub struct QuantizeFloat {
    /// What to convert.
    pub input: Operand,
    /// Codes, of the same height, width and channels.
    pub output: Operand,
    /// Type of `input`.
    pub float: Float,
    /// Width of `output`.
    pub width: Width,
    /// What a step of the codes stands for.
    pub scale: f32,
    /// Zero point and clamp of the codes.
    pub bounds: Bounds,
}

/// What codes stand for: `out = scale * (in - zero_point)`, one rounding, another one where the result is stored with 16 bits.
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
    /// What a step of the codes stands for.
    pub scale: f32,
    /// Zero point of `input`; 0 at 16 bits.
    pub zero_point: i32,
}

struct Quantize<'m> {
    kernel: QuantizeFloat,
    input: In<'m>,
    out: Out<'m>,
    channels: usize,
}

impl QuantizeFloat {
    fn walk<'m>(&self, mem: &Memory<'m>) -> Option<Quantize<'m>> {
        let count = |[from, to]: [usize; 2]| [self.float.count(from), self.width.codes(to)];
        let (input, out, channels) = same_pixels(mem, [&self.input, &self.output], count)?;
        self.bounds.fits(self.width).then_some(Quantize { kernel: *self, input, out, channels })
    }

    #[inline(always)]
    fn code(&self, x: f32) -> i32 {
        const MOST: f32 = 4_194_304.0;
        let y = x / self.scale;
        let y = if y > MOST { MOST } else { y };
        let y = if y < -MOST { -MOST } else { y };
        // Towards zero; 0 of what is not a number. The rest is exact.
        let whole = y as i32;
        let rest = y - whole as f32;
        let away = if rest >= 0.5 { 1 } else { 0 } - if rest <= -0.5 { 1 } else { 0 };
        self.bounds.clamp(whole.wrapping_add(away))
    }
}

impl Vectorize for Quantize<'_> {
    const WIDE: bool = false;

    #[inline(always)]
    fn run(self) {
        let Self { kernel, input, out, channels } = self;
        let [h, w, _] = out.shape();
        for i in 0..h * w {
            let (cells, numbers) = (out.nth(i), input.nth(i));
            in_lanes!(first in channels, N => {
                let mut codes = [0; N];
                for (code, x) in codes.iter_mut().zip(kernel.float.block::<N>(numbers, first)) {
                    *code = kernel.code(x);
                }
                kernel.width.put(cells, first, codes);
            });
        }
    }
}

crate::schedule::kernel!(QuantizeFloat, |quantize| {
    check: |mem| quantize.walk(mem),
    run: |walk, isa| isa.vectorize(walk),
    reads: [input],
    cost: ELEMENT,
});

struct Dequantize<'m> {
    kernel: DequantizeFloat,
    input: In<'m>,
    out: Out<'m>,
    channels: usize,
}

impl DequantizeFloat {
    fn walk<'m>(&self, mem: &Memory<'m>) -> Option<Dequantize<'m>> {
        let count = |[from, to]: [usize; 2]| [self.width.codes(from), self.float.count(to)];
        let (input, out, channels) = same_pixels(mem, [&self.input, &self.output], count)?;
        Some(Dequantize { kernel: *self, input, out, channels })
    }
}

impl Vectorize for Dequantize<'_> {
    const WIDE: bool = false;

    #[inline(always)]
    fn run(self) {
        let Self { kernel, input, out, channels } = self;
        let [h, w, _] = out.shape();
        for i in 0..h * w {
            let (cells, codes) = (out.nth(i), input.nth(i));
            in_lanes!(first in channels, N => {
                let mut numbers = [0.0; N];
                for (x, code) in numbers.iter_mut().zip(kernel.width.block::<N>(codes, first)) {
                    *x = kernel.scale * code.wrapping_sub(kernel.zero_point) as f32;
                }
                kernel.float.put(cells, first, numbers);
            });
        }
    }
}

crate::schedule::kernel!(DequantizeFloat, |dequantize| {
    check: |mem| dequantize.walk(mem),
    run: |walk, isa| isa.vectorize(walk),
    reads: [input],
    cost: ELEMENT,
});
