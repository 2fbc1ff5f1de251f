//! Kernels with 16-bit operands against a naive reference, for any shape, any widths and every instruction set.

mod common;
#[allow(dead_code, reason = "a part is used")]
#[path = "common/reference.rs"]
mod reference;

use common::{Arena, Tensor, few, instruction_sets, refuses};
use niello_kernels::{int16::ENTRIES, *};
use proptest::prelude::*;
use reference::requantize;

/// Codes of a tensor, each as wide as `width` says.
#[derive(Clone, Debug)]
struct Codes {
    shape: [usize; 3],
    width: Width,
    data: Vec<i64>,
}

impl Codes {
    fn new(shape: [usize; 3], width: Width, mut code: impl FnMut(usize) -> i64) -> Self {
        Self { shape, width, data: (0..shape.iter().product()).map(&mut code).collect() }
    }

    /// Values over the whole width, extremes among them.
    fn random(shape: [usize; 3], width: Width, seed: &mut u64) -> Self {
        Self::new(shape, width, |_| {
            let bits = next(seed);
            let (low, high) = limits(width);
            match bits % 8 {
                0 => low,
                1 => high,
                _ => (bits >> 8) as i64 % (high + 1),
            }
        })
    }

    fn at(&self, y: usize, x: usize, c: usize) -> i64 {
        self.data[(y * self.shape[1] + x) * self.shape[2] + c]
    }

    fn bytes(&self) -> Tensor {
        let [h, w, c] = self.shape;
        let data = self.data.iter().flat_map(|v| match self.width {
            Width::Int8 => vec![*v as i8],
            Width::Int16 => (*v as i16).to_le_bytes().map(|b| b as i8).to_vec(),
        });
        Tensor::new([h, w, c * self.width.bytes()], data.collect())
    }
}

fn next(seed: &mut u64) -> u32 {
    *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    (*seed >> 33) as u32
}

fn limits(width: Width) -> (i64, i64) {
    match width {
        Width::Int8 => (-128, 127),
        Width::Int16 => (-32768, 32767),
    }
}

fn width() -> impl Strategy<Value = Width> {
    prop_oneof![Just(Width::Int8), Just(Width::Int16)]
}

fn rounding() -> impl Strategy<Value = Rounding> {
    prop::sample::select(&common::ROUNDINGS[..])
}

/// Bounds of a width: whole, or those of a ReLU.
fn bounds(width: Width, seed: &mut u64) -> Bounds {
    let (low, high) = limits(width);
    let zero_point = if width == Width::Int8 { next(seed) as i8 as i32 } else { 0 };
    let min = if next(seed).is_multiple_of(2) { zero_point } else { low as i32 };
    Bounds { zero_point, min, max: high as i32 }
}

fn clamp(value: i64, bounds: &Bounds) -> i64 {
    let value = value.clamp(i32::MIN as i64, i32::MAX as i64);
    (value + bounds.zero_point as i64).min(i32::MAX as i64).max(bounds.min as i64).min(bounds.max as i64)
}

/// `rescale` by its definition, in 128 bits.
fn rescale(sum: i64, m: Multiplier) -> i64 {
    let reduced = ((m.mantissa as i128 + (1 << 15)) >> 16).min(0x7fff);
    let total = 15 - m.shift;
    ((sum as i128 * reduced + (1i128 << (total - 1))) >> total) as i64
}

/// A factor that brings values of about `from` to about `to`.
fn factor(from: f64, to: f64, seed: &mut u64) -> Multiplier {
    let spread = 0.5 + next(seed) as f64 / f64::from(u32::MAX >> 1);
    Multiplier::from_real(to / from * spread).expect("a factor in range")
}

/// Makes a kernel from its operands and its output.
type Make<'a> = &'a dyn Fn(&[Operand], Operand) -> Box<dyn Kernel>;

/// The kernel that `make` gives for operands with gaps between their pixels, on every instruction set.
fn check(inputs: &[&Codes], expected: &Codes, gap: usize, make: Make<'_>) {
    for isa in instruction_sets() {
        let mut arena = Arena::new();
        let place = |codes: &&Codes| {
            let bytes = codes.bytes();
            let stride = bytes.shape[2] + gap;
            arena.place(&bytes, stride)
        };
        let operands: Vec<Operand> = inputs.iter().map(place).collect();
        let wanted = expected.bytes();
        let output = arena.reserve(wanted.shape, wanted.shape[2] + gap);
        let kernel = make(&operands, output);
        assert_eq!(arena.run(&*kernel, isa, &output, Region::EMPTY), wanted, "on {}", isa.name());
    }
}

fn shape() -> impl Strategy<Value = [usize; 3]> {
    if cfg!(miri) { [2usize..=2, 1..=3, 7..=9] } else { [1..=5, 1..=6, 1..=90] }
}

proptest! {
    #![proptest_config(common::config(96, 1))]

    #[test]
    fn sums_and_scales(
        mut seed: u64, shape in shape(), widths in [width(), width(), width()], rounding in rounding(), gap in 0usize..3,
    ) {
        let seed = &mut seed;
        let (a, b) = (Codes::random(shape, widths[0], seed), Codes::random(shape, widths[1], seed));
        let zero_points = [0, 1].map(|i| if widths[i] == Width::Int8 { next(seed) as i8 as i32 } else { 0 });
        let bounds = bounds(widths[2], seed);
        let multipliers = [factor(2.0, 1.0, seed), factor(2.0, 1.0, seed)];
        let multipliers = multipliers.map(|m| if m.shift > 0 { Multiplier { shift: 0, ..m } } else { m });
        let multiplier = factor(f64::from(1 << 30), limits(widths[2]).1 as f64, seed);
        let expected = |sign: i64| Codes::new(shape, widths[2], |i| {
            let common = |x: i64, z: i32, m| requantize((x - z as i64) << 15, m, rounding);
            let sum = common(a.data[i], zero_points[0], multipliers[0]) + sign * common(b.data[i], zero_points[1], multipliers[1]);
            clamp(requantize(sum, multiplier, rounding), &bounds)
        });
        let [a_multiplier, b_multiplier] = multipliers;
        check(&[&a, &b], &expected(1), gap, &|i, output| Box::new(AddInt16 {
            a: i[0], b: i[1], output, widths, zero_points, a_multiplier, b_multiplier, multiplier, bounds, rounding,
        }));
        check(&[&a, &b], &expected(-1), gap, &|i, output| Box::new(SubInt16 {
            a: i[0], b: i[1], output, widths, zero_points, a_multiplier, b_multiplier, multiplier, bounds, rounding,
        }));

        let multiplier = factor(limits(widths[0]).1 as f64, limits(widths[2]).1 as f64, seed);
        let expected = Codes::new(shape, widths[2], |i| {
            clamp(requantize(a.data[i] - zero_points[0] as i64, multiplier, rounding), &bounds)
        });
        check(&[&a], &expected, gap, &|i, output| Box::new(RescaleInt16 {
            input: i[0], output, widths: [widths[0], widths[2]], input_zero_point: zero_points[0], multiplier, bounds, rounding,
        }));
    }

    #[test]
    fn products(
        mut seed: u64, shape in shape(), repeat in 0usize..4, groups in 1usize..6, widths in [width(), width(), width()],
        rounding in rounding(), gap in 0usize..3,
    ) {
        let seed = &mut seed;
        let [h, w, c] = shape;
        let group = c.div_ceil(groups);
        let (c, shape) = (group * groups, [h, w, group * groups]);
        let second = [shape, [1, 1, c], [h, w, 1], [h, w, groups]][repeat];
        let (a, b) = (Codes::random(shape, widths[0], seed), Codes::random(second, widths[1], seed));
        let zero_points = [0, 1].map(|i| if widths[i] == Width::Int8 { next(seed) as i8 as i32 } else { 0 });
        let bounds = bounds(widths[2], seed);
        let largest = limits(widths[0]).1 as f64 * limits(widths[1]).1 as f64;
        let multiplier = factor(largest.max(1e5), limits(widths[2]).1 as f64 / 8.0, seed);
        let expected = Codes::new(shape, widths[2], |i| {
            let (y, x, ch) = (i / c / w, i / c % w, i % c);
            let of = |extent: usize, at: usize| if extent == 1 { 0 } else { at };
            let factor = b.at(of(second[0], y), of(second[1], x), ch * second[2] / c);
            let product = (a.data[i] - zero_points[0] as i64) * (factor - zero_points[1] as i64);
            clamp(requantize(product, multiplier, rounding), &bounds)
        });
        check(&[&a, &b], &expected, gap, &|i, output| Box::new(MulInt16 {
            a: i[0], b: i[1], output, widths, zero_points, multiplier, bounds, rounding,
        }));
    }

    #[test]
    fn tables(mut seed: u64, shape in shape(), widths in [width(), width()], gap in 0usize..3) {
        let seed = &mut seed;
        let input = Codes::random(shape, widths[0], seed);
        let entries = if widths[0] == Width::Int8 { 256 } else { ENTRIES };
        let table: &'static [i16] = (0..entries).map(|_| next(seed) as i16).collect::<Vec<_>>().leak();
        let expected = Codes::new(shape, widths[1], |i| {
            let x = input.data[i];
            let y = match widths[0] {
                Width::Int8 => table[(x + 128) as usize] as i64,
                Width::Int16 => {
                    let at = (x + 32768) as usize;
                    let [low, high] = [table[at / 128], table[at / 128 + 1]].map(i64::from);
                    low + ((high - low) * (at % 128) as i64 + 64).div_euclid(128)
                }
            };
            if widths[1] == Width::Int8 { (y + 128).div_euclid(256).clamp(-128, 127) } else { y }
        });
        check(&[&input], &expected, gap, &|i, output| Box::new(LutInt16 { input: i[0], output, widths, table }));
    }

    #[test]
    fn sigmoids(mut seed: u64, shape in shape(), tangent: bool, shift in 0u32..32, gap in 0usize..3) {
        let seed = &mut seed;
        let input = Codes::random(shape, Width::Int16, seed);
        let mut table: Vec<i16> = (0..SigmoidInt16::ENTRIES).map(|_| (next(seed) % 32768) as i16).collect();
        table.sort_unstable();
        let table: &'static [i16] = table.leak();
        let multiplier = (next(seed) % 32768) as i32 >> (next(seed) % 16);
        let expected = Codes::new(shape, Width::Int16, |i| {
            let half = (1i64 << shift) / 2;
            let t = (input.data[i] * multiplier as i64 + half).div_euclid(1 << shift);
            let unit = if tangent { 256 } else { 512 };
            let entry = |i: i64| 32768 + table[i as usize] as i64;
            let y = match t.abs() / unit {
                255.. if tangent => 0xffff * 256,
                255.. => 0x7fff * 1024,
                i => unit * entry(i) + t.abs() % unit * (entry(i + 1) - entry(i)),
            };
            match (tangent, t >= 0) {
                (false, true) => (y + 512).div_euclid(1024),
                (false, false) => ((1 << 25) - y + 511).div_euclid(1024),
                (true, true) => (y - (1 << 23) + 128).div_euclid(256),
                (true, false) => ((1 << 23) - y + 127).div_euclid(256),
            }
        });
        check(&[&input], &expected, gap, &|i, output| Box::new(SigmoidInt16 { input: i[0], output, table, multiplier, shift, tangent }));
    }

    #[test]
    fn shares(mut seed: u64, shape in shape(), gap in 0usize..3) {
        let seed = &mut seed;
        let [_, w, c] = shape;
        // Scores near each other, so that more than one has a share.
        let near = 1 + next(seed) as i64 % 5000;
        let input = Codes::random(shape, Width::Int16, seed);
        let input = Codes { data: input.data.iter().map(|v| if v % 3 == 0 { *v } else { v / near }).collect(), ..input };
        let mut exp: Vec<i16> = (0..ENTRIES).map(|_| (next(seed) % 32768) as i16).collect();
        exp.sort_unstable();
        exp[ENTRIES - 2..].fill(32767);
        let exp: &'static [i16] = exp.leak();
        let inverse: &'static [i16] = (0..ENTRIES).map(|_| next(seed) as i16).collect::<Vec<_>>().leak();
        let multiplier = factor(1.0, 2.0, seed);
        let of = |table: &[i16], at: i64| {
            let at = (at.clamp(-32768, 32767) + 32768) as usize;
            let [low, high] = [table[at / 128], table[at / 128 + 1]].map(i64::from);
            low + ((high - low) * (at % 128) as i64 + 64).div_euclid(128)
        };
        let expected = Codes::new(shape, Width::Int16, |i| {
            let (y, x) = (i / c / w, i / c % w);
            let largest = (0..c).map(|channel| input.at(y, x, channel)).max().unwrap_or(0);
            let e = |channel| of(exp, requantize(input.at(y, x, channel) - largest, multiplier, Rounding::TfliteDouble) + 32767);
            let sum: i64 = (0..c).map(e).sum();
            let zeros = (sum as u32).leading_zeros();
            let r = of(inverse, ((sum << (zeros - 1)) + 8192).div_euclid(16384) - 32768 - 65536);
            (e(i % c) * r + (1 << (30 - zeros))).div_euclid(1 << (31 - zeros)).clamp(0, 32767)
        });
        check(&[&input], &expected, gap, &|i, output| Box::new(SoftmaxInt16 { input: i[0], output, multiplier, exp, inverse }));
    }

    #[test]
    fn means_along_axes(
        mut seed: u64, shape in shape(), axes: [bool; 3], widths in [width(), width()], rounding in rounding(), gap in 0usize..3,
    ) {
        let seed = &mut seed;
        let input = Codes::random(shape, widths[0], seed);
        let size = [0, 1, 2].map(|axis| if axes[axis] { 1 } else { shape[axis] });
        let elements = shape.iter().product::<usize>() / size.iter().product::<usize>();
        let input_zero_point = if widths[0] == Width::Int8 { next(seed) as i8 as i32 } else { 0 };
        let (bounds, [from, to]) = (bounds(widths[1], seed), widths.map(|width| limits(width).1 as f64));
        let multiplier = factor(from * elements as f64, to, seed);
        let mut sums = vec![0i64; size.iter().product()];
        for (i, code) in input.data.iter().enumerate() {
            let at = [i / shape[2] / shape[1], i / shape[2] % shape[1], i % shape[2]];
            let [y, x, c] = [0, 1, 2].map(|axis| if axes[axis] { 0 } else { at[axis] });
            sums[(y * size[1] + x) * size[2] + c] += code - input_zero_point as i64;
        }
        let expected = Codes::new(size, widths[1], |i| clamp(requantize(sums[i], multiplier, rounding), &bounds));
        check(&[&input], &expected, gap, &|i, output| Box::new(ReduceSumInt16 {
            input: i[0], output, widths, input_zero_point, multiplier, bounds, rounding,
        }));
    }

    #[test]
    fn pooling(mut seed: u64, shape in shape(), widths in [width(), width()], kernel in [1u32..=3, 1u32..=3], gap in 0usize..3) {
        let seed = &mut seed;
        let [h, w, c] = shape;
        let input = Codes::random(shape, widths[0], seed);
        let zero_point = if widths[0] == Width::Int8 { next(seed) as i8 as i32 } else { 0 };
        let bounds_of_mean = bounds(widths[1], seed);
        let multiplier = factor((limits(widths[0]).1 as usize * h * w) as f64, limits(widths[1]).1 as f64, seed);
        let expected = Codes::new([1, 1, c], widths[1], |c| {
            let sum = (0..h * w).map(|p| input.at(p / w, p % w, c) - zero_point as i64).sum();
            clamp(rescale(sum, multiplier), &bounds_of_mean)
        });
        check(&[&input], &expected, gap, &|i, output| Box::new(GlobalAveragePoolInt16 {
            input: i[0], output, widths, input_zero_point: zero_point, multiplier, bounds: bounds_of_mean,
        }));

        let input = Codes::random(shape, Width::Int16, seed);
        let (stride, padding) = ([1 + next(seed) % 2, 1 + next(seed) % 3], kernel.map(|k| k / 2));
        let out = |size: usize, i: usize| (size + 2 * padding[i] as usize).saturating_sub(kernel[i] as usize) / stride[i] as usize + 1;
        let size = [out(h, 0), out(w, 1), c];
        let bounds = bounds(Width::Int16, seed);
        let expected = Codes::new(size, Width::Int16, |i| {
            let at = [i / c / size[1], i / c % size[1]];
            let span = |axis: usize, size: usize| {
                let start = at[axis] as i64 * stride[axis] as i64 - padding[axis] as i64;
                (start..start + kernel[axis] as i64).filter(move |p| (0..size as i64).contains(p))
            };
            let values = span(0, h).flat_map(|y| span(1, w).map(move |x| (y, x))).map(|(y, x)| input.at(y as usize, x as usize, i % c));
            values.fold(bounds.min as i64, i64::max).min(bounds.max as i64)
        });
        check(&[&input], &expected, gap, &|i, output| Box::new(MaxPool2dInt16 {
            input: i[0], output, kernel, stride, padding, bounds,
        }));

        // Half of the values are equal to many others.
        let input = Codes { data: input.data.iter().map(|v| if v % 2 == 0 { v / 16384 } else { *v }).collect(), ..input };
        let expected = Codes::new(size, Width::Int8, |i| {
            let at = [i / c / size[1], i / c % size[1]];
            let place = |axis: usize, within: usize, size: usize| {
                (at[axis] * stride[axis] as usize + within).checked_sub(padding[axis] as usize).filter(|p| *p < size)
            };
            let columns = kernel[1] as usize;
            let value = |position: &usize| {
                Some(input.at(place(0, position / columns, h)?, place(1, position % columns, w)?, i % c))
            };
            let inside = (0..kernel[0] as usize * columns).filter(|position| value(position).is_some());
            inside.rev().max_by_key(value).unwrap_or(0) as i64
        });
        check(&[&input], &expected, gap, &|i, output| Box::new(MaxPosition2dInt16 {
            input: i[0], output, kernel, stride, padding,
        }));
    }

    #[test]
    fn means_of_windows(
        mut seed: u64, shape in shape(), kernel in [1u32..=3, 1u32..=3], stride in [1u32..=3, 1u32..=3],
        padding in [0u32..=2, 0u32..=2], count_padding: bool, gap in 0usize..3,
    ) {
        let input = Codes::random(shape, Width::Int16, &mut seed);
        let [h, w, c] = shape;
        let padded = |axis: usize| (shape[axis] + 2 * padding[axis] as usize) as i64;
        // One window more than fit: the last ones are cut off, or hold nothing.
        let out = |axis: usize| (padded(axis) as usize).saturating_sub(kernel[axis] as usize) / stride[axis] as usize + 2;
        let size = [out(0), out(1), c];
        let expected = Codes::new(size, Width::Int16, |i| {
            let at = [i / c / size[1], i / c % size[1]];
            let span = |axis: usize| {
                let start = at[axis] as i64 * stride[axis] as i64;
                (start..(start + kernel[axis] as i64).min(padded(axis))).map(move |p| p - padding[axis] as i64)
            };
            let inside = |y: i64, x: i64| (0..h as i64).contains(&y) && (0..w as i64).contains(&x);
            let cells: Vec<i64> = span(0).flat_map(|y| span(1).map(move |x| (y, x)))
                .filter(|(y, x)| count_padding || inside(*y, *x))
                .map(|(y, x)| if inside(y, x) { input.at(y as usize, x as usize, i % c) } else { 0 })
                .collect();
            let (sum, n) = (cells.iter().sum::<i64>(), (cells.len() as i64).max(1));
            sum.signum() * ((2 * sum.abs() + n) / (2 * n))
        });
        check(&[&input], &expected, gap, &|i, output| Box::new(AveragePool2dInt16 {
            input: i[0], output, kernel, stride, padding, padding_end: padding, count_padding,
        }));
    }

    #[test]
    fn resizing(mut seed: u64, shape in shape(), size in [1..=few(14, 5), 1..=few(14, 5)], gap in 0usize..3) {
        let input = Codes::random(shape, Width::Int16, &mut seed);
        let ([h, w, c], [oh, ow]) = (shape, size);
        for corners in [resize::Corners::HalfPixel, resize::Corners::Aligned] {
            // Neighbours, and the fraction between them in 1/1024.
            let axis = |o: usize, size: usize, out: usize| {
                let (o, size, out) = (o as i64, size as i64, out as i64);
                let half_pixel = corners == resize::Corners::HalfPixel;
                let step = if half_pixel || out == 1 {
                    (size * 1024 + out / 2) / out
                } else {
                    ((size - 1) * 1024 + (out - 1) / 2) / (out - 1)
                };
                let at = if half_pixel { o * step + step / 2 - 512 } else { o * step };
                let low = (at / 1024).clamp(0, size - 1);
                (at - low * 1024, low as usize, ((at + 1023) / 1024).clamp(0, size - 1) as usize)
            };
            let expected = Codes::new([oh, ow, c], Width::Int16, |i| {
                let ((fy, y0, y1), (fx, x0, x1)) = (axis(i / c / ow, h, oh), axis(i / c % ow, w, ow));
                let v = |y, x| input.at(y, x, i % c);
                let sum = (v(y0, x0) * (1024 - fx) + v(y0, x1) * fx) * (1024 - fy)
                    + (v(y1, x0) * (1024 - fx) + v(y1, x1) * fx) * fy;
                sum.signum() * ((sum.abs() + (1 << 19)) >> 20)
            });
            check(&[&input], &expected, gap, &|i, output| Box::new(ResizeBilinearInt16 { input: i[0], output, corners }));
        }
    }

    #[test]
    fn channels(
        mut seed: u64, shape in shape(), groups in 1usize..=8, widths in [width(), width()], rounding in rounding(), gap in 0usize..3,
    ) {
        let seed = &mut seed;
        let shuffled = [shape[0], shape[1], shape[2].div_ceil(groups) * groups];
        let input = Codes::random(shuffled, Width::Int16, seed);
        let c = shuffled[2];
        let expected = Codes::new(shuffled, Width::Int16, |i| input.data[i / c * c + i % c % groups * (c / groups) + i % c / groups]);
        check(&[&input], &expected, gap, &|i, output| Box::new(ChannelShuffleInt16 { input: i[0], output, groups: groups as u32 }));

        let (input, c) = (Codes::random(shape, widths[0], seed), shape[2]);
        let slopes: &'static [i16] = (0..c).map(|_| (next(seed) as i16).max(-32767)).collect::<Vec<_>>().leak();
        let zero_point = if widths[0] == Width::Int8 { next(seed) as i8 as i32 } else { 0 };
        let [from, to] = widths.map(|width| limits(width).1 as f64);
        let (positive, negative) = (factor(from, to, seed), factor(from * 32767.0, to, seed));
        let bounds = bounds(widths[1], seed);
        let expected = Codes::new(shape, widths[1], |i| {
            let x = input.data[i] - zero_point as i64;
            let value = if x >= 0 { requantize(x, positive, rounding) } else { requantize(x * slopes[i % c] as i64, negative, rounding) };
            clamp(value, &bounds)
        });
        check(&[&input], &expected, gap, &|i, output| Box::new(PReluInt16 {
            input: i[0], output, widths, slopes, input_zero_point: zero_point, positive, negative, bounds, rounding,
        }));
    }

    #[test]
    fn unpooling(mut seed: u64, shape in shape(), kernel in [1u32..=4, 1u32..=4], more in [0usize..=5, 0usize..=5], gap in 0usize..3) {
        let seed = &mut seed;
        let values = Codes::random(shape, Width::Int16, seed);
        let cells = (kernel[0] * kernel[1]) as i64;
        // Mostly positions in the window, and codes that are none.
        let positions = Codes::new(shape, Width::Int8, |_| match next(seed) {
            bits if bits.is_multiple_of(8) => (bits >> 8) as i8 as i64,
            bits => bits as i64 % cells,
        });
        let ([h, w, c], [kh, kw]) = (shape, kernel.map(|d| d as usize));
        let size = [h * kh + more[0], w * kw + more[1], c];
        let mut expected = Codes::new(size, Width::Int16, |_| 0);
        for (i, position) in positions.data.iter().enumerate().filter(|(_, p)| (0..cells).contains(p)) {
            let (y, x, position) = (i / c / w, i / c % w, *position as usize);
            expected.data[((y * kh + position / kw) * size[1] + x * kw + position % kw) * c + i % c] = values.data[i];
        }
        let cropped = next(seed) as usize % size[0].min(10);
        expected.data.drain(..cropped * size[1] * c);
        expected.shape[0] -= cropped;
        check(&[&values, &positions], &expected, gap, &|i, output| Box::new(MaxUnpool2dInt16 {
            values: i[0], positions: i[1], output, kernel, cropped: cropped as u32,
        }));
    }

    #[test]
    fn convolutions(
        mut seed: u64, [h, w] in [1..=few(6, 3), 1..=few(6, 3)], [groups, inside, outside] in [1..=few(3, 2), 1..=few(40, 5), 1..=few(6, 3)],
        depthwise: bool, transposed: bool, wide_weights: bool, widths in [width(), width()],
        (kernel, stride, dilation) in ([1u32..=3, 1u32..=3], [1u32..=3, 1u32..=3], [1u32..=2, 1u32..=2]), gap in 0usize..3,
    ) {
        let seed = &mut seed;
        let dilation = if transposed { [1; 2] } else { dilation };
        let (groups, inside, outside) = if depthwise { (groups * inside, 1, 1) } else { (groups, inside, outside) };
        // The order of the weights follows from the numbers of channels.
        let depthwise = inside == 1 && outside == 1;
        let (c, oc) = (groups * inside, groups * outside);
        let padding = kernel.map(|k| next(seed) % (k + 1));
        let out = |size: usize, i: usize| {
            let [k, s, d, p] = [kernel[i], stride[i], dilation[i], padding[i]].map(|v| v as usize);
            if transposed { ((size - 1) * s + k).saturating_sub(2 * p) } else { (size + 2 * p).saturating_sub(d * (k - 1) + 1) / s + 1 }
        };
        let size = [out(h, 0).max(1), out(w, 1).max(1), oc];
        let input = Codes::random([h, w, c], widths[0], seed);
        let zero_point = if widths[0] == Width::Int8 { next(seed) as i8 as i32 } else { 0 };
        let taps = (kernel[0] * kernel[1]) as usize;
        let high: &'static [i8] = (0..oc * taps * inside).map(|_| (next(seed) as i8).max(-127)).collect::<Vec<_>>().leak();
        let low: &'static [i8] = if wide_weights { high.iter().map(|_| next(seed) as i8).collect::<Vec<_>>().leak() } else { &[] };
        let bias: &'static [i32] = (0..oc).map(|_| next(seed) as i32 >> 12).collect::<Vec<_>>().leak();
        let largest = limits(widths[0]).1 as f64 * if wide_weights { 32768.0 } else { 128.0 } * ((taps * inside) as f64).sqrt();
        let factors: Vec<Multiplier> = (0..oc).map(|_| factor(largest, limits(widths[1]).1 as f64 / 2.0, seed)).collect();
        let mantissa: &'static [i32] = factors.iter().map(|m| m.mantissa).collect::<Vec<_>>().leak();
        let shift: &'static [i8] = factors.iter().map(|m| m.shift as i8).collect::<Vec<_>>().leak();
        let mantissa_low: &'static [i32] =
            if next(seed).is_multiple_of(2) { (0..oc).map(|_| (next(seed) >> 9) as i32).collect::<Vec<_>>().leak() } else { &[] };
        let bounds = bounds(widths[1], seed);
        let expected = Codes::new(size, widths[1], |i| {
            let (oy, ox, o) = (i / oc / size[1], i / oc % size[1], i % oc);
            // Every input pixel and every tap: which output does it reach?
            let mut sum = 0;
            for (y, x) in (0..h).flat_map(|y| (0..w).map(move |x| (y, x))) {
                for tap in 0..taps {
                    let k = [tap / kernel[1] as usize, tap % kernel[1] as usize];
                    let meets = |o: usize, at: usize, axis: usize| {
                        let [s, d, p] = [stride[axis], dilation[axis], padding[axis]].map(|v| v as i64);
                        let (o, at, k) = (o as i64, at as i64, k[axis] as i64);
                        if transposed { o == at * s - p + k } else { at == o * s - p + k * d }
                    };
                    if !(meets(oy, y, 0) && meets(ox, x, 1)) {
                        continue;
                    }
                    for ch in 0..inside {
                        let at = if depthwise { tap * c + o } else { (o * taps + tap) * inside + ch };
                        let w = if wide_weights { 256 * high[at] as i64 + low[at] as i64 } else { high[at] as i64 };
                        sum += w * (input.at(y, x, o / outside * inside + ch) - zero_point as i64);
                    }
                }
            }
            let sum = sum + bias[o] as i64 * if wide_weights { 256 } else { 1 };
            let scaled = match mantissa_low.get(o) {
                // In double precision.
                Some(low) => {
                    let mantissa = ((mantissa[o] as i64) << 22) + *low as i64;
                    (sum as f64 * (mantissa as f64 * 2f64.powi(shift[o] as i32 - 53))).round() as i64
                }
                None => rescale(sum, factors[o]),
            };
            clamp(scaled, &bounds)
        });
        check(&[&input], &expected, gap, &|i, output| Box::new(Conv2dInt16 {
            input: i[0], output, widths, kernel, stride, dilation, padding, transposed, groups: groups as u32,
            weights: high, weights_low: low, bias, mantissa, mantissa_low, shift, input_zero_point: zero_point, bounds,
        }));
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let mut arena = Arena::new();
    let wide = arena.place(&Tensor::from_fn([2, 2, 8], |y, x, c| (y * 40 + x * 9 + c) as i8), 8);
    let out = arena.reserve([2, 2, 8], 8);
    arena.remember();
    let bounds = Bounds { zero_point: 0, min: -32767, max: 32767 };
    let one = Multiplier::from_real(0.5).unwrap();
    let (widths, rounding) = ([Width::Int16; 3], Rounding::Single);
    let add = |a, b, output, bounds| AddInt16 {
        a,
        b,
        output,
        widths,
        zero_points: [0; 2],
        a_multiplier: one,
        b_multiplier: one,
        multiplier: one,
        bounds,
        rounding,
    };
    let odd = Operand { shape: [2, 2, 7], ..wide };
    let conv = |input, weights, groups| Conv2dInt16 {
        input,
        output: out,
        widths: [Width::Int16; 2],
        kernel: [1; 2],
        stride: [1; 2],
        dilation: [1; 2],
        padding: [0; 2],
        transposed: false,
        groups,
        weights,
        weights_low: &[],
        bias: &[0; 4],
        mantissa: &[0; 4],
        mantissa_low: &[],
        shift: &[0; 4],
        input_zero_point: 0,
        bounds,
    };
    let window = |bounds| MaxPool2dInt16 {
        input: wide,
        output: out,
        kernel: [1; 2],
        stride: [1; 2],
        padding: [0; 2],
        bounds,
    };
    let narrow = arena.reserve([2, 2, 4], 4);
    arena.remember();
    let position =
        |output, kernel| MaxPosition2dInt16 { input: wide, output, kernel, stride: [1; 2], padding: [0; 2] };
    let unpool = |values, positions, output, kernel| MaxUnpool2dInt16 {
        values,
        positions,
        output,
        kernel,
        cropped: 0,
    };
    let mean = |output, kernel| AveragePool2dInt16 {
        input: wide,
        output,
        kernel,
        stride: [1; 2],
        padding: [0; 2],
        padding_end: [0; 2],
        count_padding: false,
    };
    let prelu = |slopes, bounds| PReluInt16 {
        input: wide,
        output: out,
        widths: [Width::Int16; 2],
        slopes,
        input_zero_point: 0,
        positive: one,
        negative: one,
        bounds,
        rounding,
    };
    let corners = resize::Corners::Aligned;
    let sigmoid = |table, multiplier| SigmoidInt16 {
        input: wide,
        output: out,
        table,
        multiplier,
        shift: 1,
        tangent: true,
    };
    let softmax = |output, exp, inverse| SoftmaxInt16 { input: wide, output, multiplier: one, exp, inverse };
    let reduced = |output, bounds| ReduceSumInt16 {
        input: wide,
        output,
        widths: [Width::Int16; 2],
        input_zero_point: 0,
        multiplier: one,
        bounds,
        rounding,
    };
    let AddInt16 { a, b, output, zero_points, a_multiplier, b_multiplier, multiplier, .. } =
        add(wide, odd, out, bounds);
    let difference = SubInt16 {
        a,
        b,
        output,
        widths,
        zero_points,
        a_multiplier,
        b_multiplier,
        multiplier,
        bounds,
        rounding,
    };
    let few_low = Conv2dInt16 { mantissa_low: &[0; 3], ..conv(wide, &[0; 16], 1) };
    let kernels: [(&str, &dyn Kernel); 32] = [
        ("half a code to subtract", &difference),
        ("few lower bits of mantissas", &few_low),
        ("few entries of a sigmoid", &sigmoid(&[0; 255], 3)),
        ("a step of a sigmoid beyond its bits", &sigmoid(&[0; 256], 1 << 16)),
        ("few exponentials", &softmax(out, &[0; 512], &[0; ENTRIES])),
        ("few inverses", &softmax(out, &[0; ENTRIES], &[0; 512])),
        ("shares of other channels", &softmax(narrow, &[0; ENTRIES], &[0; ENTRIES])),
        ("sums of half of the channels", &reduced(Operand { shape: [2, 2, 4], ..out }, bounds)),
        ("a bound of sums beyond the width", &reduced(out, Bounds { max: 40_000, ..bounds })),
        ("half a code", &add(odd, wide, out, bounds)),
        ("another height", &add(wide, Operand { shape: [1, 2, 8], ..wide }, out, bounds)),
        ("beyond the end", &add(wide, wide, Operand { offset: 1 << 20, ..out }, bounds)),
        ("a bound beyond the width", &add(wide, wide, out, Bounds { max: 40_000, ..bounds })),
        ("too few weights", &conv(wide, &[0; 15], 1)),
        ("groups that do not divide", &conv(wide, &[0; 16], 3)),
        ("no groups", &conv(wide, &[0; 16], 0)),
        (
            "too few entries",
            &LutInt16 { input: wide, output: out, widths: [Width::Int16; 2], table: &[0; 512] },
        ),
        ("a bound of pooling beyond the width", &window(Bounds { min: -40_000, ..bounds })),
        ("positions of two bytes", &position(out, [1; 2])),
        ("more cells than positions", &position(narrow, [1, 129])),
        ("positions beyond the end", &position(Operand { offset: 1 << 20, ..narrow }, [1; 2])),
        ("wide positions", &unpool(wide, wide, out, [1; 2])),
        ("half a value", &unpool(odd, Operand { shape: [2, 2, 3], ..narrow }, out, [1; 2])),
        ("another number of channels", &unpool(wide, narrow, narrow, [1; 2])),
        ("no window", &unpool(wide, narrow, out, [1, 0])),
        ("means of another number of channels", &mean(narrow, [1; 2])),
        ("a window whose sum does not fit", &mean(out, [1, (1 << 15) + 1])),
        ("groups that do not divide channels", &ChannelShuffleInt16 { input: wide, output: out, groups: 3 }),
        ("half a channel", &ChannelShuffleInt16 { input: odd, output: odd, groups: 1 }),
        ("too few slopes", &prelu(&[1; 3], bounds)),
        ("a bound of slopes beyond the width", &prelu(&[1; 4], Bounds { max: 40_000, ..bounds })),
        (
            "another number of channels to resize to",
            &ResizeBilinearInt16 { input: wide, output: narrow, corners },
        ),
    ];
    for (what, kernel) in kernels {
        refuses(what, &mut arena, kernel);
    }
}
