//! Kernels that gather elements along axes, in windows with holes and by tables, and those that bring pixels to one scale: against naive
//! references, for any shape, stride and instruction set.

mod common;
#[path = "common/floats.rs"]
mod floats;

use common::{Arena, Tensor, config, few, refuses};
use floats::{Numbers, exp, number};
use niello_kernels::{float::logarithm::log, *};
use proptest::prelude::*;

/// Codes of all kinds.
fn codes(shape: [usize; 3], seed: &mut u64) -> Tensor {
    let kind = floats::next(seed) % 4;
    Tensor::from_fn(shape, |_, _, _| match (kind, floats::next(seed)) {
        (0, bits) => [-128, 127][bits as usize % 2],
        (_, bits) => bits as i8,
    })
}

/// The result on every instruction set.
fn check(input: &Tensor, expected: &Tensor, gap: usize, make: impl Fn(Operand, Operand) -> Box<dyn Kernel>) {
    for isa in Isa::available() {
        let mut arena = Arena::new();
        let operand = arena.place(input, input.shape[2] + gap);
        let output = arena.reserve(expected.shape, expected.shape[2] + gap);
        let found = arena.run(&*make(operand, output), isa, &output, Region::EMPTY);
        assert_eq!(&found, expected, "{}", isa.name());
    }
}

/// The elements of `shape` that become element `[y, x, c]` of a result of `out`: rows, columns, channels.
fn along(shape: [usize; 3], out: [usize; 3], at: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    let range = move |i: usize| if shape[i] == out[i] { at[i]..at[i] + 1 } else { 0..shape[i] };
    range(0).flat_map(move |y| range(1).flat_map(move |x| range(2).map(move |c| [y, x, c])))
}

/// The cells of a window with holes.
fn in_window(
    [h, w]: [usize; 2],
    [oy, ox]: [usize; 2],
    [kernel, stride, dilation, padding]: [[u32; 2]; 4],
) -> Vec<[usize; 2]> {
    let mut cells = vec![];
    for (ky, kx) in (0..kernel[0]).flat_map(|ky| (0..kernel[1]).map(move |kx| (ky, kx))) {
        let at = |i: usize, o: usize, k: u32| {
            i64::from(stride[i]) * o as i64 + i64::from(dilation[i] * k) - i64::from(padding[i])
        };
        let (y, x) = (at(0, oy, ky), at(1, ox, kx));
        if (0..h as i64).contains(&y) && (0..w as i64).contains(&x) {
            cells.push([y as usize, x as usize]);
        }
    }
    cells
}

fn types() -> impl Strategy<Value = [Float; 2]> {
    let float = || prop_oneof![Just(Float::F16), Just(Float::F32)];
    [float(), float()]
}

fn folded(reduction: Reduction, values: impl Iterator<Item = f32>, divisor: f32) -> f32 {
    // Else the compiler takes instructions for it that hand signalling NaN on.
    let is_larger = |x: f32, m: f32| std::hint::black_box(x > m);
    match reduction {
        Reduction::Sum => number(values.fold(0.0, |s, x| s + x) / divisor),
        Reduction::Largest => values.fold(f32::NEG_INFINITY, |m, x| if is_larger(x, m) { x } else { m }),
        Reduction::Smallest => values.fold(f32::INFINITY, |m, x| if is_larger(m, x) { x } else { m }),
    }
}

proptest! {
    #![proptest_config(config(96, 2))]

    #[test]
    fn axes(
        mut seed: u64, shape in [1..=few(6, 2), 1..=few(6, 2), 1..=few(90, 18)], axes: [bool; 3], gap in 0usize..3, types in types(),
        zero_point: i8, rounding in prop::sample::select(&common::ROUNDINGS[..]),
    ) {
        let out = [0, 1, 2].map(|i| if axes[i] { 1 } else { shape[i] });
        let image = codes(shape, &mut seed);
        let values = |at| along(shape, out, at).map(|[y, x, c]| image.at(y, x, c));
        for largest in [false, true] {
            let expected = Tensor::from_fn(out, |y, x, c| {
                let values = values([y, x, c]);
                if largest { values.max() } else { values.min() }.expect("an element")
            });
            check(&image, &expected, gap, |input, output| Box::new(ReduceExtremum { input, output, largest }));
        }
        let elements = (shape.iter().product::<usize>() / out.iter().product::<usize>()) as u32;
        let stage = OutputParams { zero_point: zero_point.wrapping_mul(3), min: -120, max: 127, rounding };
        for divisor in [1, elements] {
            let multiplier = GlobalAveragePool::multiplier(0.7, 1.1, divisor).expect("a factor");
            let expected = Tensor::from_fn(out, |y, x, c| {
                let sum = values([y, x, c]).map(|v| v as i32 - zero_point as i32).sum();
                stage.store(sum, multiplier)
            });
            check(&image, &expected, gap, |input, output| {
                Box::new(ReduceSum { input, output, input_zero_point: zero_point, multiplier, stage })
            });
        }
        let numbers = Numbers::random(shape, types[0], &mut seed, true);
        let bytes = numbers.bytes();
        for (reduction, divisor) in
            [(Reduction::Sum, 1.0), (Reduction::Sum, elements as f32), (Reduction::Largest, 1.0), (Reduction::Smallest, 1.0)]
        {
            let expected = Numbers::new(out, types[1], |i| {
                let at = [i / out[2] / out[1], i / out[2] % out[1], i % out[2]];
                folded(reduction, along(shape, out, at).map(|[y, x, c]| numbers.at(y, x, c)), divisor)
            });
            floats::check(&[&bytes], &expected.bytes(), gap, &|inputs, output| {
                Box::new(ReduceFloat { input: inputs[0], output, types, reduction, divisor })
            });
        }
    }

    #[test]
    fn windows_with_holes(
        mut seed: u64, shape in [1..=few(9, 4), 1..=few(9, 4), 1..=few(90, 18)], kernel in [1u32..4, 1u32..4], stride in [1u32..4, 1u32..4],
        dilation in [1u32..4, 1u32..4], padding in [0u32..5, 0u32..5], out in [1usize..6, 1usize..6], gap in 0usize..3, types in types(),
    ) {
        let windows = [kernel, stride, dilation, padding];
        let (size, out) = ([shape[0], shape[1]], [out[0], out[1], shape[2]]);
        let image = codes(shape, &mut seed);
        let expected = Tensor::from_fn(out, |y, x, c| {
            in_window(size, [y, x], windows).iter().map(|[y, x]| image.at(*y, *x, c)).max().unwrap_or(-128)
        });
        check(&image, &expected, gap, |input, output| {
            Box::new(DilatedMaxPool2d { input, output, kernel, stride, dilation, padding })
        });
        let numbers = Numbers::random(shape, types[0], &mut seed, true);
        let expected = Numbers::new(out, types[1], |i| {
            let cells = in_window(size, [i / out[2] / out[1], i / out[2] % out[1]], windows);
            folded(Reduction::Largest, cells.iter().map(|[y, x]| numbers.at(*y, *x, i % out[2])), 1.0)
        });
        floats::check(&[&numbers.bytes()], &expected.bytes(), gap, &|inputs, output| {
            Box::new(DilatedMaxPool2dFloat { input: inputs[0], output, types, kernel, stride, dilation, padding })
        });
    }

    #[test]
    fn tables(
        mut seed: u64, shape in [1..=few(6, 3), 1..=few(6, 3), 1..=few(90, 18)], out in [1usize..6, 1usize..6], taps in [1usize..5, 1usize..5],
        gap in 0usize..3, types in types(),
    ) {
        let mut places = |i: usize| -> Vec<i32> {
            (0..out[i] * taps[i]).map(|_| (floats::next(&mut seed) as usize % shape[i]) as i32).collect()
        };
        let (rows, columns) = (places(0), places(1));
        let mut weights = |i: usize| -> Vec<i32> {
            (0..out[i]).flat_map(|_| {
                let mut all: Vec<i32> = (0..taps[i]).map(|_| floats::next(&mut seed) as i32 % 400).collect();
                all[0] += 1024 - all.iter().sum::<i32>();
                all
            }).collect()
        };
        let (row_weights, column_weights) = (weights(0), weights(1));
        let out = [out[0], out[1], shape[2]];
        let pair = taps.map(|taps| taps as u32);
        let all = |y: usize, x: usize| {
            let at = move |i: usize, o: usize| o * taps[i]..(o + 1) * taps[i];
            at(0, y).flat_map(move |i| at(1, x).map(move |j| (i, j)))
        };
        let image = codes(shape, &mut seed);
        let expected = Tensor::from_fn(out, |y, x, c| {
            let term = |(i, j): (usize, usize)| {
                let weight = row_weights[i] as i64 * column_weights[j] as i64;
                weight * image.at(rows[i] as usize, columns[j] as usize, c) as i64
            };
            // Sums are modulo 2^32.
            let sum = all(y, x).map(term).sum::<i64>() as i32 as f64 / (1 << 20) as f64;
            sum.round().clamp(-128.0, 127.0) as i8
        });
        let (rows, columns) = (&rows[..], &columns[..]);
        for isa in Isa::available() {
            let mut arena = Arena::new();
            let (input, output) = (arena.place(&image, shape[2] + gap), arena.reserve(out, out[2] + gap));
            let kernel = Interpolate { input, output, taps: pair, rows, columns, row_weights: &row_weights, column_weights: &column_weights };
            prop_assert_eq!(&arena.run(&kernel, isa, &output, Region::EMPTY), &expected, "{}", isa.name());
        }
        let single = |weights: &[i32]| weights.iter().map(|w| *w as f32 / 1000.0).collect::<Vec<_>>();
        let (row_weights, column_weights) = (single(&row_weights), single(&column_weights));
        let numbers = Numbers::random(shape, types[0], &mut seed, true);
        let expected = Numbers::new(out, types[1], |n| {
            let (y, x, c) = (n / out[2] / out[1], n / out[2] % out[1], n % out[2]);
            let s = all(y, x).fold(0.0f32, |s, (i, j)| {
                (row_weights[i] * column_weights[j]).mul_add(numbers.at(rows[i] as usize, columns[j] as usize, c), s)
            });
            number(s)
        });
        floats::check(&[&numbers.bytes()], &expected.bytes(), gap, &|inputs, output| {
            let (row_weights, column_weights) = (&row_weights[..], &column_weights[..]);
            Box::new(InterpolateFloat { input: inputs[0], output, types, taps: pair, rows, columns, row_weights, column_weights })
        });
    }

    #[test]
    fn lengths_and_logarithms(
        mut seed: u64, shape in [1..=few(3, 2), 1..=few(4, 2), 1..=few(60, 18)], gap in 0usize..3, types in types(),
        zero_point: i8, scale in 0.002f64..0.5,
    ) {
        let image = codes(shape, &mut seed);
        let pixel = |y: usize, x: usize| (0..shape[2]).map(move |c| (y, x, c)).map(|(y, x, c)| image.at(y, x, c));
        let expected = Tensor::from_fn(shape, |y, x, c| {
            let v = |code: i8| code as i64 - zero_point as i64;
            let n: i64 = pixel(y, x).map(|code| v(code) * v(code)).sum();
            let (sign, v) = (v(image.at(y, x, c)).signum(), v(image.at(y, x, c)).abs());
            // The largest k for which k - 1/2 is at most 128 v / sqrt(n).
            let k = (1..=128).rev().find(|k| n > 0 && (2 * k - 1) * (2 * k - 1) * n <= 65536 * v * v).unwrap_or(0);
            (sign * k).clamp(-128, 127) as i8
        });
        check(&image, &expected, gap, |input, output| {
            Box::new(L2Normalize { input, output, input_zero_point: zero_point })
        });
        let (multiplier, min_difference) = Softmax::parameters(scale).expect("a scale");
        for isa in Isa::available() {
            let mut arena = Arena::new();
            let (input, output) = (arena.place(&image, shape[2] + gap), arena.reserve(shape, shape[2] + gap));
            let kernel = LogSoftmax { input, output, multiplier, min_difference };
            let found = arena.run(&kernel, isa, &output, Region::EMPTY);
            for (y, x) in (0..shape[0]).flat_map(|y| (0..shape[1]).map(move |x| (y, x))) {
                let sum: f64 = pixel(y, x).map(|code| (scale * code as f64).exp()).sum();
                let largest = pixel(y, x).max().expect("a channel");
                for c in 0..shape[2] {
                    if image.at(y, x, c) as i32 - (largest as i32) < min_difference {
                        prop_assert_eq!(found.at(y, x, c), -128);
                        continue;
                    }
                    let exact = 16.0 * (scale * image.at(y, x, c) as f64 - sum.ln()) + 127.0;
                    let error = found.at(y, x, c) as f64 - exact.max(-128.0);
                    prop_assert!(error.abs() <= 0.502, "{} for {exact}", found.at(y, x, c));
                }
            }
        }
        let numbers = Numbers::random(shape, types[0], &mut seed, true);
        let of_pixel = |i: usize| &numbers.data[i / shape[2] * shape[2]..][..shape[2]];
        let expected = Numbers::new(shape, types[1], |i| {
            let sum = of_pixel(i).iter().fold(0.0f32, |s, x| x.mul_add(*x, s));
            // The root of what is no number is 0.
            let length = if sum.is_nan() { 0.0 } else { sum.sqrt() };
            number(numbers.data[i] / if length > 1e-12 { length } else { 1e-12 })
        });
        floats::check(&[&numbers.bytes()], &expected.bytes(), gap, &|inputs, output| {
            Box::new(L2NormalizeFloat { input: inputs[0], output, types })
        });
        let expected = Numbers::new(shape, types[1], |i| {
            let largest = folded(Reduction::Largest, of_pixel(i).iter().copied(), 1.0);
            let sum = of_pixel(i).iter().fold(0.0, |s, x| s + exp(x - largest));
            number((numbers.data[i] - largest) - log(sum))
        });
        floats::check(&[&numbers.bytes()], &expected.bytes(), gap, &|inputs, output| {
            Box::new(LogSoftmaxFloat { input: inputs[0], output, types })
        });
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let mut arena = Arena::new();
    let input = arena.place(&Tensor::from_fn([4, 4, 8], |y, x, c| (y * 50 + x * 9 + c) as i8), 8);
    let output = arena.reserve([4, 4, 8], 8);
    arena.remember();
    let stage = OutputParams { zero_point: 0, min: -128, max: 127, rounding: Rounding::Single };
    let multiplier = Multiplier { mantissa: 1 << 30, shift: 0 };
    let (types, reduction, divisor) = ([Float::F32; 2], Reduction::Sum, 1.0);
    let (kernel, stride, dilation, padding) = ([2, 2], [1, 1], [2, 2], [1, 1]);
    let (rows, columns, taps) = (&[0, 1, 2, 3][..], &[3, 2, 1, 0][..], [1, 1]);
    let (row_weights, column_weights) = (&[1024; 4][..], &[1024; 4][..]);
    let floats = &[1.0; 4][..];
    let table =
        |input, output| Interpolate { input, output, taps, rows, columns, row_weights, column_weights };
    let table_float = |input, output| InterpolateFloat {
        input,
        output,
        types,
        taps,
        rows,
        columns,
        row_weights: floats,
        column_weights: floats,
    };
    let shape = |[h, w, c]: [u32; 3]| Operand { shape: [h, w, c], ..output };
    let outside = Operand { offset: 1 << 20, ..output };
    for (what, input, output) in [
        ("outside", outside, output),
        ("outside", input, outside),
        ("channels", Operand { shape: [4, 4, 4], ..input }, output),
        ("half a number", input, shape([4, 4, 7])),
        ("no pixels to take", Operand { shape: [0, 4, 8], ..input }, shape([1, 4, 7])),
    ] {
        let kernels: &[&dyn Kernel] = &[
            &ReduceSum { input, output, input_zero_point: 0, multiplier, stage },
            &ReduceExtremum { input, output, largest: true },
            &ReduceFloat { input, output, types, reduction, divisor },
            &DilatedMaxPool2d { input, output, kernel, stride, dilation, padding },
            &DilatedMaxPool2dFloat { input, output, types, kernel, stride, dilation, padding },
            &table(input, output),
            &table_float(input, output),
            &L2Normalize { input, output, input_zero_point: 0 },
            &L2NormalizeFloat { input, output, types },
            &LogSoftmax { input, output, multiplier, min_difference: -9 },
            &LogSoftmaxFloat { input, output, types },
        ];
        kernels.iter().for_each(|kernel| refuses(what, &mut arena, *kernel));
    }
    let sums = ReduceSum { input, output, input_zero_point: 0, multiplier, stage };
    for sides in [[3, 4, 8], [4, 2, 8], [1, 1, 4]] {
        refuses("sides", &mut arena, &ReduceSum { output: shape(sides), ..sums });
    }
    let pool = DilatedMaxPool2d { input, output, kernel, stride, dilation, padding };
    refuses("no window", &mut arena, &DilatedMaxPool2d { kernel: [0, 2], ..pool });
    refuses("no step", &mut arena, &DilatedMaxPool2d { stride: [2, 0], ..pool });
    refuses("no distance", &mut arena, &DilatedMaxPool2d { dilation: [0, 1], ..pool });
    let good = table(input, output);
    let cases = [
        Interpolate { taps: [0, 1], ..good },
        Interpolate { taps: [1, u32::MAX], ..good },
        Interpolate { rows: &[0, 1, 2], ..good },
        Interpolate { rows: &[0, 1, 2, 4], ..good },
        Interpolate { columns: &[0, 1, 2, -1], ..good },
        Interpolate { row_weights: &[1024; 3], ..good },
        Interpolate { column_weights: &[1024; 5], ..good },
    ];
    cases.iter().for_each(|case| refuses("a table", &mut arena, case));
    let many = Operand { shape: [1, 1, 4096], stride: 4096, ..input };
    refuses(
        "many classes",
        &mut arena,
        &LogSoftmax { input: many, output: many, multiplier, min_difference: -9 },
    );
    let no_shape = Operand { shape: [2, 2, 0], stride: 0, ..input };
    refuses(
        "no channels",
        &mut arena,
        &L2Normalize { input: no_shape, output: no_shape, input_zero_point: 0 },
    );
    for kernel in [&sums as &dyn Kernel, &pool, &good] {
        arena.run(kernel, Isa::scalar(), &output, Region::EMPTY);
        assert!(!arena.unchanged());
    }
}
