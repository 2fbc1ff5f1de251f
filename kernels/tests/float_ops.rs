//! Kernels in floating point against their definitions, to the last bit, for any shape, both types and every instruction set.

mod common;
#[path = "common/floats.rs"]
mod floats;

use common::{Tensor, few};
use floats::{Numbers, check, check_in_place, clamp, exp, expm1, number};
use niello_kernels::{
    float::{Elementary, Function},
    resize::Corners,
    *,
};
use proptest::prelude::*;

fn float() -> impl Strategy<Value = Float> {
    prop_oneof![Just(Float::F16), Just(Float::F32)]
}

fn range() -> impl Strategy<Value = FloatBounds> {
    prop_oneof![
        Just(FloatBounds::ALL),
        Just(FloatBounds { least: 0.0, most: f32::INFINITY }),
        Just(FloatBounds { least: 0.0, most: 6.0 }),
        Just(FloatBounds { least: -0.5, most: 2.0 }),
    ]
}

/// Any number of channels: whole blocks, what remains of them, few; for Miri, both of the former.
fn shape() -> impl Strategy<Value = [usize; 3]> {
    if cfg!(miri) { [2usize..=2, 1..=2, 17..=18] } else { [1..=4, 1..=5, 1..=90] }
}

/// A kernel of one operand: into other memory, and in place where it may be.
fn check_map(
    input: &Numbers,
    to: Float,
    gap: usize,
    f: impl Fn(f32, usize) -> f32,
    make: impl Fn(Operand, Operand, [Float; 2]) -> Box<dyn Kernel>,
) {
    let c = input.shape[2];
    let expected = Numbers::new(input.shape, to, |i| f(input.data[i], i % c)).bytes();
    let bytes = input.bytes();
    let make: floats::Make<'_> = &|inputs, output| make(inputs[0], output, [input.float, to]);
    check(&[&bytes], &expected, gap, make);
    if input.float == to {
        check_in_place(&[&bytes], &expected, gap, make);
    }
}

/// Constants that live as long as the kernels that read them.
fn keep<T>(values: Vec<T>) -> &'static [T] {
    Box::leak(values.into_boxed_slice())
}

proptest! {
    #![proptest_config(common::config(64, 1))]

    #[test]
    fn sums_differences_products(
        mut seed: u64, shape in shape(), types in [float(), float(), float()], range in range(), gap in 0usize..3, repeat in 0..4, group in 1usize..5,
    ) {
        let [h, w, c] = shape;
        let (shape, second) = match repeat {
            0 => (shape, [1, 1, c]),
            1 => ([h, w, c * group], [h, w, c]),
            _ => (shape, shape),
        };
        let a = Numbers::random(shape, types[0], &mut seed, true);
        let b = Numbers::random(second, types[1], &mut seed, true);
        let [_, _, c] = shape;
        let other = |i: usize| {
            let (pixel, channel) = if second[..2] == [1, 1] { (0, i % c) } else { (i / c, i % c) };
            b.data[pixel * second[2] + channel / (c / second[2])]
        };
        let (a_bytes, b_bytes) = (a.bytes(), b.bytes());
        let operators: [fn(f32, f32) -> f32; 4] = [|a, b| a + b, |a, b| a - b, |a, b| a * b, |a, b| a / b];
        for (which, operator) in operators.iter().enumerate() {
            let expected = Numbers::new(shape, types[2], |i| clamp(operator(a.data[i], other(i)), range)).bytes();
            let make: floats::Make<'_> = &|inputs, output| {
                let (a, b) = (inputs[0], inputs[1]);
                match which {
                    0 => Box::new(AddFloat { a, b, output, types, range }) as Box<dyn Kernel>,
                    1 => Box::new(SubFloat { a, b, output, types, range }),
                    2 => Box::new(MulFloat { a, b, output, types, range }),
                    _ => Box::new(DivFloat { a, b, output, types, range }),
                }
            };
            check(&[&a_bytes, &b_bytes], &expected, gap, make);
            if types[0] == types[2] {
                check_in_place(&[&a_bytes, &b_bytes], &expected, gap, make);
            }
        }
    }

    #[test]
    fn maps(mut seed: u64, shape in shape(), types in [float(), float()], range in range(), gap in 0usize..3) {
        let x = Numbers::random(shape, types[0], &mut seed, true);
        let mut constants = || keep((0..shape[2]).map(|_| floats::random(&mut seed, true)).collect());
        let [scale, offset] = [constants(), constants()];
        check_map(&x, types[1], gap, |x, _| clamp(x, range), |input, output, types| {
            Box::new(ClampFloat { input, output, types, range })
        });
        check_map(&x, types[1], gap, |x, _| number(x), |input, output, types| {
            Box::new(CastFloat { input, output, types })
        });
        check_map(&x, types[1], gap, |x, c| clamp(x.mul_add(scale[c], offset[c]), range), |input, output, types| {
            Box::new(ScaleFloat { input, output, types, scale, offset, range })
        });
        check_map(&x, types[1], gap, |x, c| number(if x < 0.0 { scale[c] * x } else { x }), |input, output, types| {
            Box::new(PReluFloat { input, output, types, slopes: scale })
        });
    }

    /// Each number alone, whatever stands beside it.
    #[test]
    fn elementary_functions(mut seed: u64, shape in shape(), types in [float(), float()], gap in 0usize..3, which in 0usize..27) {
        let x = Numbers::random(shape, types[0], &mut seed, true);
        let function = [
            Elementary::Abs, Elementary::Neg, Elementary::Square, Elementary::Sqrt, Elementary::Rsqrt, Elementary::Reciprocal,
            Elementary::Exp, Elementary::Log, Elementary::Erf, Elementary::Gelu, Elementary::GeluTanh, Elementary::Softplus,
            Elementary::Softsign, Elementary::Mish, Elementary::Selu(1.7, 1.05), Elementary::Celu(0.5), Elementary::HardSigmoid(0.2, 0.5),
            Elementary::Sin, Elementary::Cos, Elementary::Floor, Elementary::Ceil, Elementary::Round, Elementary::Sign,
            Elementary::Affine(-2.0, 0.3), Elementary::Power(-1.5), Elementary::ThresholdedRelu(0.1), Elementary::Shrink(0.1, 0.2),
        ][which];
        let one = |x: f32| function.of([x])[0];
        check_map(&x, types[1], gap, |x, _| one(x), |input, output, types| {
            Box::new(ElementaryFloat { input, output, types, function })
        });
    }

    #[test]
    fn functions(mut seed: u64, shape in shape(), types in [float(), float()], gap in 0usize..3, parameter in -2f32..2.0) {
        let x = Numbers::random(shape, types[0], &mut seed, true);
        type Case = (Function, &'static dyn Fn(f32, f32) -> f32);
        let cases: [Case; 6] = [
            (Function::Sigmoid, &|x, _| 1.0 / (1.0 + exp(-x))),
            (Function::Silu, &|x, _| x / (1.0 + exp(-x))),
            (Function::HardSwish, &|x, _| {
                x * (clamp(x + 3.0, FloatBounds { least: 0.0, most: 6.0 }) * (1.0 / 6.0))
            }),
            (Function::Tanh, &|x, _| {
                if x.abs() < 0.625 {
                    let s = x * x;
                    let q = [2.063_908_8e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1]
                        .iter()
                        .fold(-5.704_988_7e-3, |q: f32, coefficient| q.mul_add(s, *coefficient));
                    (q * s).mul_add(x, x)
                } else {
                    (1.0 - 2.0 / (1.0 + exp(2.0 * x.abs()))) * x.signum()
                }
            }),
            (Function::Elu(parameter), &|x, alpha| if x > 0.0 { x } else { alpha * expm1(x) }),
            (Function::LeakyRelu(parameter), &|x, slope| if x > 0.0 { x } else { slope * x }),
        ];
        for (function, definition) in cases {
            check_map(&x, types[1], gap, |x, _| number(definition(x, parameter)), |input, output, types| {
                Box::new(PointWiseFloat { input, output, types, function })
            });
        }
    }

    #[test]
    fn pools(
        mut seed: u64, shape in [1..=few(7, 3), 1..=few(7, 3), 1..=few(40, 18)], types in [float(), float()], range in range(), gap in 0usize..3,
        kernel in [1usize..=3, 1usize..=4], stride in [1usize..=3, 1usize..=3], padding in [0usize..=2, 0usize..=2], count_padding: bool,
    ) {
        let input = Numbers::random(shape, types[0], &mut seed, true);
        let sides = [0, 1].map(|i| (shape[i] + 2 * padding[i]).saturating_sub(kernel[i]) / stride[i] + 1);
        let out = [sides[0], sides[1], shape[2]];
        // Values of the image in a window, with their positions in the window.
        let cells = |i: usize| {
            let (pixel, c) = (i / out[2], i % out[2]);
            let (oy, ox) = (pixel / out[1], pixel % out[1]);
            let mut cells = vec![];
            for (ky, kx) in (0..kernel[0]).flat_map(|ky| (0..kernel[1]).map(move |kx| (ky, kx))) {
                let (y, x) = ((oy * stride[0] + ky).wrapping_sub(padding[0]), (ox * stride[1] + kx).wrapping_sub(padding[1]));
                if y < shape[0] && x < shape[1] {
                    cells.push((ky * kernel[1] + kx, input.at(y, x, c)));
                }
            }
            // How many cells there are with the padding, which is as wide on both sides.
            let side = |o: usize, axis: usize| {
                (0..kernel[axis]).filter(|k| o * stride[axis] + k < shape[axis] + 2 * padding[axis]).count()
            };
            (cells, side(oy, 0) * side(ox, 1))
        };
        let bytes = input.bytes();
        let [k, s, p] = [kernel, stride, padding].map(|pair| pair.map(|d| d as u32));
        let largest = |cells: &[(usize, f32)]| cells.iter().fold(f32::NEG_INFINITY, |l, (_, x)| if *x > l { *x } else { l });
        let expected = Numbers::new(out, types[1], |i| clamp(largest(&cells(i).0), range)).bytes();
        check(&[&bytes], &expected, gap, &|inputs, output| {
            Box::new(MaxPool2dFloat { input: inputs[0], output, types, kernel: k, stride: s, padding: p, range })
        });
        let mean = |i: usize| {
            let (cells, padded) = cells(i);
            let count = if count_padding { padded } else { cells.len() };
            let sum = cells.iter().fold(0.0, |sum, (_, x)| sum + x);
            if count == 0 { 0.0 } else { sum / count as f32 }
        };
        let expected = Numbers::new(out, types[1], |i| clamp(mean(i), range)).bytes();
        check(&[&bytes], &expected, gap, &|inputs, output| {
            let (input, padding_end) = (inputs[0], p);
            Box::new(AveragePool2dFloat {
                input, output, types, kernel: k, stride: s, padding: p, padding_end, count_padding, range,
            })
        });
        let first_largest = |i: usize| {
            cells(i).0.into_iter().reduce(|best, cell| if cell.1 > best.1 { cell } else { best }).map_or(0, |cell| cell.0)
        };
        let positions: Vec<i8> = (0..out.iter().product()).map(|i| first_largest(i) as i8).collect();
        check(&[&bytes], &Tensor::new(out, positions), gap, &|inputs, output| {
            let float = types[0];
            Box::new(MaxPosition2dFloat { input: inputs[0], output, float, kernel: k, stride: s, padding: p })
        });
        let sums: Vec<f32> = (0..shape[2]).map(|c| input.data.iter().skip(c).step_by(shape[2]).fold(0.0, |sum, x| sum + x)).collect();
        let pixels = (shape[0] * shape[1]) as f32;
        let expected = Numbers::new([1, 1, shape[2]], types[1], |c| clamp(sums[c] / pixels, range)).bytes();
        check(&[&bytes], &expected, gap, &|inputs, output| {
            Box::new(GlobalAveragePoolFloat { input: inputs[0], output, types, range })
        });
    }

    #[test]
    fn unpooling(mut seed: u64, shape in [1..=few(4, 2), 1..=few(4, 2), 1..=few(40, 18)], float in float(), kernel in [1usize..=3, 1usize..=3], gap in 0usize..3, rest in [0usize..=2, 0usize..=2]) {
        let values = Numbers::random(shape, float, &mut seed, true);
        let [h, w, c] = shape;
        let positions = Tensor::from_fn(shape, |_, _, _| floats::next(&mut seed) as i8 % 12);
        let out = [h * kernel[0] + rest[0], w * kernel[1] + rest[1], c];
        let mut expected = Numbers::new(out, float, |_| 0.0);
        for (i, position) in positions.data.iter().enumerate() {
            let (y, x, position) = (i / c / w, i / c % w, *position as usize);
            if position < kernel[0] * kernel[1] {
                let at = ((y * kernel[0] + position / kernel[1]) * out[1] + x * kernel[1] + position % kernel[1]) * c + i % c;
                expected.data[at] = values.data[i];
            }
        }
        check(&[&values.bytes(), &positions], &expected.bytes(), gap, &|inputs, output| {
            let kernel = kernel.map(|d| d as u32);
            Box::new(MaxUnpool2dFloat { values: inputs[0], positions: inputs[1], output, float, kernel, cropped: 0 })
        });
    }

    #[test]
    fn resizing(mut seed: u64, shape in [1..=few(6, 3), 1..=few(6, 3), 1..=few(40, 18)], size in [1..=few(9, 4), 1..=few(9, 4)], types in [float(), float()], gap in 0usize..3, aligned: bool) {
        let input = Numbers::random(shape, types[0], &mut seed, true);
        let position = |o: usize, axis: usize| {
            let (from, to) = (shape[axis] as f64, size[axis] as f64);
            let at = match aligned {
                true if size[axis] == 1 => 0.0,
                true => o as f64 * (from - 1.0) / (to - 1.0),
                false => ((o as f64 + 0.5) * from / to - 0.5).max(0.0),
            };
            let low = (at.floor() as usize).min(shape[axis] - 1);
            (low, (low + 1).min(shape[axis] - 1), at - low as f64)
        };
        let out = [size[0], size[1], shape[2]];
        let expected = Numbers::new(out, types[1], |i| {
            let (c, ox, oy) = (i % out[2], i / out[2] % out[1], i / out[2] / out[1]);
            let ((y0, y1, fy), (x0, x1, fx)) = (position(oy, 0), position(ox, 1));
            let first = input.at(y0, x0, c) * ((1.0 - fy) * (1.0 - fx)) as f32;
            let sum = input.at(y0, x1, c).mul_add(((1.0 - fy) * fx) as f32, first);
            let sum = input.at(y1, x0, c).mul_add((fy * (1.0 - fx)) as f32, sum);
            number(input.at(y1, x1, c).mul_add((fy * fx) as f32, sum))
        });
        let corners = if aligned { Corners::Aligned } else { Corners::HalfPixel };
        check(&[&input.bytes()], &expected.bytes(), gap, &|inputs, output| {
            Box::new(ResizeBilinearFloat { input: inputs[0], output, types, corners })
        });
    }

    #[test]
    fn shuffles_and_rows(mut seed: u64, sides in [1usize..=3, 1usize..=4], groups in 1usize..5, in_group in 1usize..20, float in float(), gap in 0usize..3, rows in 1usize..6, as_halves: bool) {
        let c = groups * in_group;
        let shape = [sides[0], sides[1], c];
        let input = Numbers::random(shape, float, &mut seed, true);
        let mut expected = input.clone();
        for (i, x) in expected.data.iter_mut().enumerate() {
            *x = input.data[i - i % c + i % c % groups * in_group + i % c / groups];
        }
        check(&[&input.bytes()], &expected.bytes(), gap, &|inputs, output| {
            Box::new(ChannelShuffleFloat { input: inputs[0], output, float, groups: groups as u32 })
        });
        let from = if as_halves { Float::F16 } else { Float::F32 };
        let table = Numbers::random([1, rows, c], from, &mut seed, true);
        let bits = |x: &f32| u16::from_le_bytes(floats::encode(*x, Float::F16).try_into().unwrap());
        let halves = if as_halves { keep(table.data.iter().map(bits).collect()) } else { &[] };
        let numbers = if as_halves { &[] } else { keep(table.data.clone()) };
        let labels = Tensor::from_fn([sides[0], sides[1], 1], |_, _, _| if floats::next(&mut seed).is_multiple_of(5) { -1 } else { (floats::next(&mut seed) % 6) as i8 });
        let expected = Numbers::new(shape, float, |i| {
            let row = (labels.data[i / c] as u8 as usize).min(rows - 1);
            number(table.data[row * c + i % c])
        });
        check(&[&labels], &expected.bytes(), gap, &|inputs, output| {
            Box::new(EmbeddingFloat { input: inputs[0], output, float, table: numbers, halves })
        });
    }

    #[test]
    fn classes(mut seed: u64, shape in shape(), types in [float(), float()], gap in 0usize..3, wild: bool) {
        let input = Numbers::random(shape, types[0], &mut seed, wild);
        let c = shape[2];
        let mut labels = vec![];
        let mut probabilities = vec![];
        for pixel in input.data.chunks(c) {
            let first_largest = (1..c).fold(0, |best, i| if pixel[i] > pixel[best] { i } else { best });
            labels.push(first_largest as i8);
            let largest = pixel.iter().fold(f32::NEG_INFINITY, |m, x| if *x > m { *x } else { m });
            let powers: Vec<f32> = pixel.iter().map(|x| exp(x - largest)).collect();
            let sum = powers.iter().fold(0.0, |sum, e| sum + e);
            probabilities.extend(powers.iter().map(|e| number(e / sum)));
            if !wild {
                let exact: f64 = pixel.iter().map(|x| f64::from(x - largest).exp()).sum();
                for (x, p) in pixel.iter().zip(&probabilities[probabilities.len() - c..]) {
                    let exact = f64::from(x - largest).exp() / exact;
                    assert!((f64::from(*p) - exact).abs() < 1e-6 * exact, "{p} for {exact}");
                }
            }
        }
        let bytes = input.bytes();
        let expected = Numbers::new(shape, types[1], |i| probabilities[i]).bytes();
        let make: floats::Make<'_> = &|inputs, output| Box::new(SoftmaxFloat { input: inputs[0], output, types });
        check(&[&bytes], &expected, gap, make);
        if types[0] == types[1] {
            check_in_place(&[&bytes], &expected, gap, make);
        }
        check(&[&bytes], &Tensor::new([shape[0], shape[1], 1], labels), gap, &|inputs, output| {
            Box::new(ArgMaxFloat { input: inputs[0], output, float: types[0] })
        });
    }

    #[test]
    fn codes(mut seed: u64, shape in shape(), float in float(), wide: bool, scale in 0.001f32..0.3, zero_point in -128i32..128, gap in 0usize..3) {
        let (width, zero_point) = if wide { (Width::Int16, 0) } else { (Width::Int8, zero_point) };
        let most = if wide { 32767 } else { 127 };
        let bounds = Bounds { zero_point, min: -most - i32::from(!wide), max: most };
        let mut input = Numbers::random(shape, float, &mut seed, true);
        // Ties.
        input.data.iter_mut().step_by(3).for_each(|x| *x = (*x * 4.0).floor() * scale + scale / 2.0);
        let input = Numbers::new(shape, float, |i| input.data[i]);
        let code = |x: f32| {
            let q = if x.is_nan() { 0.0 } else { (x / scale).round() };
            f64::from(q + zero_point as f32).clamp(f64::from(bounds.min), f64::from(bounds.max)) as i32
        };
        let encode = |q: i32| if wide { (q as i16).to_le_bytes().map(|b| b as i8).to_vec() } else { vec![q as i8] };
        let bytes = [shape[0], shape[1], shape[2] * width.bytes()];
        let codes: Vec<i32> = input.data.iter().map(|x| code(*x)).collect();
        let expected = Tensor::new(bytes, codes.iter().flat_map(|q| encode(*q)).collect());
        check(&[&input.bytes()], &expected, gap, &|inputs, output| {
            Box::new(QuantizeFloat { input: inputs[0], output, float, width, scale, bounds })
        });
        let numbers = Numbers::new(shape, float, |i| scale * (codes[i] - zero_point) as f32);
        check(&[&expected], &numbers.bytes(), gap, &|inputs, output| {
            Box::new(DequantizeFloat { input: inputs[0], output, width, float, scale, zero_point })
        });
    }
}

/// Distance in units of the last place of the nearest number, never below `2^-149`.
fn ulps(found: f32, exact: f64) -> f64 {
    let exponent = exact.abs().log2().floor().max(-126.0) as i32;
    (f64::from(found) - exact).abs() / 2f64.powi(exponent - 23)
}

#[test]
#[cfg_attr(miri, ignore = "millions of numbers, and no memory")]
fn functions_are_precise() {
    use niello_kernels::float::exp as kernels;
    let (mut worst, mut worst_small, mut worst_minus, mut worst_tanh, mut worst_sigmoid) =
        (0f64, 0f64, 0f64, 0f64, 0f64);
    for i in 0..2_000_000u32 {
        let x = (i as f32 - 1_080_000.0) * 9.6e-5;
        let (found, exact) = (kernels::exp(x), f64::from(x).exp());
        assert_eq!(found.to_bits(), exp(x).to_bits(), "exp({x})");
        if exact < f64::from(f32::MAX) {
            let worst = if exact < f64::from(f32::MIN_POSITIVE) { &mut worst_small } else { &mut worst };
            *worst = worst.max(ulps(found, exact));
        }
        let [tanh] = Function::Tanh.of([x / 10.0]);
        worst_tanh = worst_tanh.max(ulps(tanh, f64::from(x / 10.0).tanh()));
        let [sigmoid] = Function::Sigmoid.of([x / 10.0]);
        worst_sigmoid = worst_sigmoid.max(ulps(sigmoid, 1.0 / (1.0 + (-f64::from(x / 10.0)).exp())));
        let negative = -x.abs() / 4.0;
        if negative != 0.0 {
            worst_minus = worst_minus.max(ulps(kernels::expm1(negative), f64::from(negative).exp_m1()));
        }
    }
    let errors = [worst, worst_small, worst_minus, worst_tanh, worst_sigmoid];
    assert!(
        worst < 1.0 && worst_small < 1.0 && worst_minus < 2.0 && worst_tanh < 2.0 && worst_sigmoid < 3.0,
        "{errors:?}"
    );
    for (x, expected) in [
        (88.7228, 3.402_694_7e38),
        (88.7229, f32::INFINITY),
        (f32::INFINITY, f32::INFINITY),
        (f32::MAX, f32::INFINITY),
        (-103.97, f32::from_bits(1)),
        (-103.98, 0.0),
        (f32::NEG_INFINITY, 0.0),
        (0.0, 1.0),
        (-0.0, 1.0),
    ] {
        let found = kernels::exp(x);
        assert!(found == expected || (found / expected - 1.0).abs() < 1e-6, "exp({x}) = {found}");
    }
    assert!(kernels::exp(f32::NAN).is_nan() && kernels::expm1(f32::NAN).is_nan());
    assert_eq!([0.0, -1e-20, -50.0].map(kernels::expm1), [0.0, -1e-20, -1.0]);
}
