//! The larger or the smaller of two elements.

use super::{
    elements::{BinaryOp, Broadcast},
    float::{Float, number},
    int16::{
        Bounds, Width,
        elementwise::{ELEMENT, common},
    },
};
use crate::{Multiplier, Operand, Rounding};

/// A number takes about as long as so many multiply-accumulates of a convolution.
const NUMBER: usize = 8;

/// `out = bounds(multiplier(max(a', b')))`, or `min`, with `a' = a_multiplier(2^15 (a - z_a))`, `b'` alike: codes of either width.
///
/// Where all have one scale, these are TensorFlow Lite's `MAXIMUM` and `MINIMUM`. `b` has the shape of `a`, or one pixel (a bound for each channel), or
/// fewer channels (a bound for each group of channels of each pixel). `output` may be the same view as an operand of its shape and width.
#[derive(Clone, Copy, Debug)]
pub struct Extremum {
    /// First operand.
    pub a: Operand,
    /// Second operand.
    pub b: Operand,
    /// Result, of the height, width and channels of `a`.
    pub output: Operand,
    /// Widths of `a`, `b`, `output`.
    pub widths: [Width; 3],
    /// Zero points of `a` and `b`; 0 at 16 bits.
    pub zero_points: [i32; 2],
    /// `s_a / (2 max(s_a, s_b))`, at most 1/2.
    pub a_multiplier: Multiplier,
    /// The same of `b`.
    pub b_multiplier: Multiplier,
    /// `2 max(s_a, s_b) / (2^15 s_out)`.
    pub multiplier: Multiplier,
    /// Zero point and clamp of the output.
    pub bounds: Bounds,
    /// The rounding.
    pub rounding: Rounding,
    /// Whether the larger one is taken.
    pub largest: bool,
}

impl BinaryOp<i32> for Extremum {
    #[inline(always)]
    fn of(&self, a: i32, b: i32) -> i32 {
        let a = common(a, self.zero_points[0], self.a_multiplier, self.rounding);
        let b = common(b, self.zero_points[1], self.b_multiplier, self.rounding);
        let taken = if (a > b) == self.largest { a } else { b };
        self.bounds.clamp(self.multiplier.apply(taken, self.rounding))
    }
}

crate::schedule::kernel!(Extremum, |extremum| {
    check: |mem| Broadcast::new(mem, [&extremum.a, &extremum.b, &extremum.output], extremum.widths, *extremum)
        .filter(|_| extremum.bounds.fits(extremum.widths[2])),
    run: |pairs, isa| isa.vectorize(pairs),
    reads: [a, b],
    one pixel: b,
    in place: true,
    cost: ELEMENT,
});

/// `out = max(a, b)` or `min`, with operands as in [`Extremum`]; NaN where one of them is. Of zeros of both signs, the one of `b`.
#[derive(Clone, Copy, Debug)]
pub struct ExtremumFloat {
    /// First operand.
    pub a: Operand,
    /// Second operand.
    pub b: Operand,
    /// Result, of the height, width and channels of `a`.
    pub output: Operand,
    /// Types of `a`, `b`, `output`.
    pub types: [Float; 3],
    /// Whether the larger one is taken.
    pub largest: bool,
}

struct Numbers {
    largest: bool,
}

impl BinaryOp<f32> for Numbers {
    #[inline(always)]
    fn of(&self, a: f32, b: f32) -> f32 {
        let is_beyond = if self.largest { a > b } else { a < b };
        number(if is_beyond || a.is_nan() { a } else { b })
    }
}

crate::schedule::kernel!(ExtremumFloat, |extremum| {
    check: |mem| Broadcast::new(
        mem,
        [&extremum.a, &extremum.b, &extremum.output],
        extremum.types,
        Numbers { largest: extremum.largest },
    ),
    run: |pairs, isa| isa.vectorize(pairs),
    reads: [a, b],
    one pixel: b,
    in place: true,
    cost: NUMBER,
});

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::formats::int16::elementwise::LEFT_SHIFT;
    use crate::{Isa, Kernel, Memory, Space};
    use core::cell::Cell;

    /// Runs a kernel whose operands are inputs 0 and 1 and output 0, with every instruction set.
    fn run(kernel: &dyn Kernel, a: &[i8], b: &[i8], out: &mut [i8]) {
        let mut first: Option<std::vec::Vec<i8>> = None;
        for isa in Isa::available() {
            out.fill(99);
            let (inputs, cells) = ([a, b], [Cell::from_mut(&mut *out).as_slice_of_cells()]);
            let memory = Memory::new(&[], &inputs, &cells);
            assert!(kernel.fits(&memory));
            kernel.run(&memory, isa);
            assert_eq!(first.get_or_insert_with(|| out.to_vec()), out, "{}", isa.name());
        }
    }

    fn operands(shape: [u32; 3], second: [u32; 3]) -> [Operand; 3] {
        [Operand::input(0, shape), Operand::input(1, second), Operand::output(0, shape)]
    }

    #[test]
    fn codes_of_one_scale_are_compared_as_they_are() {
        let codes: std::vec::Vec<i8> = (i8::MIN..=i8::MAX).collect();
        let half = Multiplier::from_real(0.5).expect("a factor");
        for (largest, second, rounding) in [
            (true, 3i8, Rounding::TfliteDouble),
            (false, 3, Rounding::Single),
            (true, -128, Rounding::Single),
            (false, 5, Rounding::FloatEven),
        ] {
            let [a, b, output] = operands([16, 16, 1], [1, 1, 1]);
            let kernel = Extremum {
                a,
                b,
                output,
                widths: [Width::Int8; 3],
                zero_points: [-7; 2],
                a_multiplier: half,
                b_multiplier: half,
                multiplier: Multiplier::from_real(2.0 / f64::from(1 << LEFT_SHIFT)).expect("a factor"),
                bounds: Bounds { zero_point: -7, min: -128, max: 127 },
                rounding,
                largest,
            };
            let mut out = [0; 256];
            run(&kernel, &codes, &[second], &mut out);
            for (code, found) in codes.iter().zip(out) {
                let expected = if largest { *code.max(&second) } else { *code.min(&second) };
                assert_eq!(found, expected, "of {code} and {second}");
            }
            let other = Extremum { output: Operand { shape: [16, 16, 2], stride: 2, ..output }, ..kernel };
            let cells = [Cell::from_mut(&mut out[..]).as_slice_of_cells()];
            assert!(!other.fits(&Memory::new(&[], &[&codes, &[second]], &cells)));
            let wide = Extremum { bounds: Bounds { max: 128, ..kernel.bounds }, ..kernel };
            assert!(!wide.fits(&Memory::new(&[], &[&codes, &[second]], &cells)));
        }
    }

    #[test]
    fn numbers_are_compared_and_nan_stays() {
        let bytes = |numbers: &[f32]| -> std::vec::Vec<i8> {
            numbers.iter().flat_map(|x| x.to_le_bytes().map(|b| b as i8)).collect()
        };
        let (a, b) = ([1.0, -2.0, f32::NAN, 3.0, -0.0], [0.5, 4.0, 1.0, f32::from_bits(0xffc0_0001), 0.0]);
        let nan = f32::from_bits(0x7fc0_0000);
        for (largest, expected) in [(true, [1.0, 4.0, nan, nan, 0.0]), (false, [0.5, -2.0, nan, nan, 0.0])] {
            let [x, y, output] = operands([1, 5, 4], [1, 5, 4]);
            let kernel = ExtremumFloat { a: x, b: y, output, types: [Float::F32; 3], largest };
            let mut out = [0; 20];
            run(&kernel, &bytes(&a), &bytes(&b), &mut out);
            assert_eq!(out[..], bytes(&expected)[..], "{largest}");
        }
        assert_eq!(Operand::output(0, [1, 1, 1]).space, Space::Output(0));
    }
}
