//! Every kernel on every instruction set and weight layout against a naive reference, for any shape.
//!
//! The reference works on dense tensors in 64 bits, subtracts zero points where the definition does, and requantises
//! in exact 128-bit arithmetic. Operands lie in one arena with guard bytes around them and between pixels.

mod common;
#[path = "common/reference.rs"]
mod reference;

use common::{Arena, Conv, Tensor, few, packings, some};
use niello_kernels::*;
use proptest::prelude::*;
use reference::*;

/// Activations and weights: random, or the extremes that overflow first.
#[derive(Clone, Copy, Debug)]
enum Fill {
    Random,
    Lowest,
    Highest,
    Extremes,
}

fn fill() -> impl Strategy<Value = Fill> {
    prop_oneof![5 => Just(Fill::Random), 1 => Just(Fill::Lowest), 1 => Just(Fill::Highest), 1 => Just(Fill::Extremes)]
}

/// A small generator: cheaper than a strategy per byte.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 ^ (self.0 >> 22)) >> 24) as u32
    }

    fn value(&mut self, fill: Fill, lowest: i8) -> i8 {
        match fill {
            Fill::Random => (self.next() as i8).max(lowest),
            Fill::Lowest => lowest,
            Fill::Highest => 127,
            Fill::Extremes => [lowest, 127][self.next() as usize % 2],
        }
    }

    fn tensor(&mut self, shape: [usize; 3], fill: Fill) -> Tensor {
        Tensor::from_fn(shape, |_, _, _| self.value(fill, -128))
    }

    /// A factor that brings sums of about `magnitude` to a byte, of the whole range of mantissas.
    fn multiplier(&mut self, magnitude: f64) -> Multiplier {
        let mantissa = match self.next() % 8 {
            0 => 1 << 30,
            1 => i32::MAX,
            _ => (1 << 30) + (self.next() & 0x3fff_ffff) as i32,
        };
        let shift = (128.0 / magnitude).log2().round() as i32 + (self.next() % 3) as i32 - 1;
        Multiplier { mantissa, shift }
    }
}

fn zero_point() -> impl Strategy<Value = i8> {
    prop_oneof![1 => Just(-128i8), 1 => Just(127i8), 3 => any::<i8>()]
}

fn rounding() -> impl Strategy<Value = Rounding> {
    prop::sample::select(&common::ROUNDINGS[..])
}

fn stages() -> impl Strategy<Value = OutputParams> {
    (zero_point(), rounding(), prop_oneof![3 => Just((-128, 127)), 1 => Just((-20, 90)), 1 => Just((5, 5))])
        .prop_map(|(zero_point, rounding, (min, max))| OutputParams { zero_point, min, max, rounding })
}

/// Strides beyond the number of channels, for one input and one output.
fn gaps() -> impl Strategy<Value = [usize; 2]> {
    prop_oneof![2 => Just([0, 0]), 1 => [0usize..40, 0usize..40]]
}

/// Makes a kernel for inputs and an output.
type Make<'a> = dyn Fn(&[Operand], Operand) -> Box<dyn Kernel> + 'a;

/// Runs `kernel` on every instruction set; the output lies in memory of its own.
fn check(
    inputs: &[&Tensor],
    expected: &Tensor,
    gaps: [usize; 2],
    kernel: impl Fn(&[Operand], Operand) -> Box<dyn Kernel>,
) {
    for isa in Isa::available() {
        let mut arena = Arena::new();
        let operands: Vec<_> = inputs.iter().map(|t| arena.place(t, t.shape[2] + gaps[0])).collect();
        let out = arena.reserve(expected.shape, expected.shape[2] + gaps[1]);
        let got = arena.run(&*kernel(&operands, out), isa, &out, Region::EMPTY);
        assert_eq!(&got, expected, "{}", isa.name());
    }
}

/// Runs `kernel` with its output over its first input.
fn check_in_place(
    inputs: &[&Tensor],
    expected: &Tensor,
    gap: usize,
    kernel: impl Fn(&[Operand], Operand) -> Box<dyn Kernel>,
) {
    for isa in Isa::available() {
        let mut arena = Arena::new();
        let operands: Vec<_> = inputs.iter().map(|t| arena.place(t, t.shape[2] + gap)).collect();
        let got = arena.run(&*kernel(&operands, operands[0]), isa, &operands[0], Region::EMPTY);
        assert_eq!(&got, expected, "{} in place", isa.name());
    }
}

fn random_conv(
    random: &mut Random,
    fill: Fill,
    stage: OutputParams,
    input_zero_point: i8,
    geometry: ([usize; 2], [usize; 2], [usize; 2], [usize; 2]),
    [groups, cin, cout]: [usize; 3],
) -> Conv {
    let (kernel, stride, dilation, padding) = geometry;
    let taps = kernel[0] * kernel[1];
    let weights = (0..groups * cout * taps * cin).map(|_| random.value(fill, -127)).collect();
    let bias = (0..groups * cout).map(|_| random.next() as i32 % 50_000).collect();
    let magnitude =
        (taps * cin) as f64 * if matches!(fill, Fill::Random) { 60.0 * 60.0 } else { 127.0 * 128.0 };
    let multipliers = (0..groups * cout).map(|_| random.multiplier(magnitude)).collect();
    Conv {
        kernel,
        stride,
        dilation,
        padding,
        groups,
        cin: groups * cin,
        cout: groups * cout,
        weights,
        bias,
        multipliers,
        input_zero_point,
        stage,
    }
}

fn check_conv(conv: &Conv, image: &Tensor, out: [usize; 2], gaps: [usize; 2], chunk: usize) {
    let expected = conv2d(conv, image, out);
    for isa in Isa::available() {
        for (layout, gather) in packings(conv.cin / conv.groups) {
            let mut arena = Arena::new();
            let input = arena.place(image, conv.cin + gaps[0]);
            let output = arena.reserve(expected.shape, conv.cout + gaps[1]);
            let got = conv.run(&mut arena, &input, &output, layout, gather, chunk, isa);
            assert_eq!(got, expected, "{layout:?} {gather:?} chunk {chunk} on {}", isa.name());
        }
    }
}

/// Name, image, `[groups, cin, cout]` per group, `[kernel, stride, dilation, padding]`.
type Shape = (&'static str, [usize; 2], [usize; 3], [[usize; 2]; 4]);

/// Shapes of real networks, each with the case that it stands for.
#[test]
fn convolution_of_known_shapes() {
    #[rustfmt::skip]
    let table: &[Shape] = &[
        ("stem", [17, 19], [1, 3, 40], [[7, 7], [2, 2], [1, 1], [3, 3]]),
        ("squeeze", [13, 13], [1, 64, 16], [[1, 1], [1, 1], [1, 1], [0, 0]]),
        ("expand", [9, 7], [1, 16, 64], [[3, 3], [1, 1], [1, 1], [1, 1]]),
        ("five panels", [5, 5], [1, 8, 80], [[3, 3], [1, 1], [1, 1], [1, 1]]),
        ("three panels", [6, 6], [1, 20, 33], [[3, 3], [1, 1], [1, 1], [1, 1]]),
        ("wide", [4, 5], [1, 12, 259], [[1, 1], [1, 1], [1, 1], [0, 0]]),
        ("fully connected", [1, 1], [1, 600, 11], [[1, 1], [1, 1], [1, 1], [0, 0]]),
        ("sums of more than 512 products", [4, 4], [1, 72, 6], [[3, 3], [1, 1], [1, 1], [1, 1]]),
        ("one row", [1, 40], [1, 4, 6], [[1, 5], [1, 2], [1, 3], [0, 6]]),
        ("one column", [40, 1], [1, 5, 17], [[4, 1], [3, 1], [2, 1], [1, 0]]),
        ("groups", [8, 8], [8, 4, 20], [[3, 3], [1, 1], [1, 1], [1, 1]]),
        ("dilated beyond the image", [6, 6], [1, 8, 8], [[3, 3], [1, 1], [9, 9], [9, 9]]),
        ("padding wider than the kernel", [3, 3], [1, 4, 4], [[2, 2], [2, 2], [1, 1], [5, 5]]),
    ];
    let fills = [
        (Rounding::TfliteDouble, Fill::Random),
        (Rounding::Single, Fill::Extremes),
        (Rounding::TfliteDouble, Fill::Lowest),
        (Rounding::FloatEven, Fill::Random),
    ];
    let mut tried = vec![];
    for (name, image, [groups, cin, cout], [kernel, stride, dilation, padding]) in table {
        println!("{name}");
        // For Miri, which looks where a kernel reads and takes its time: fewer of everything, and one kind of numbers.
        let image = image.map(|side| few(side, if image.contains(&1) { 6 } else { 3 }));
        let most = if kernel == &[1, 1] { 19 } else { 5 };
        let channels = [few(*groups, 2), few(*cin, 4), few(*cout, most)];
        let geometry = (kernel.map(|side| few(side, 3)), *stride, *dilation, *padding);
        // So small, some are the same.
        if tried.contains(&(image, channels, geometry)) {
            continue;
        }
        tried.push((image, channels, geometry));
        for &(rounding, fill) in some(&fills, 1) {
            let random = &mut Random(7);
            let stage = common::stage(-3, rounding);
            let conv = random_conv(random, fill, stage, 11, geometry, channels);
            let image = random.tensor([image[0], image[1], conv.cin], fill);
            check_conv(&conv, &image, same_size(&conv, &image, *padding), [0, 0], 24);
        }
    }
}

/// Output size for a padding at the end of `end`.
fn same_size(conv: &Conv, image: &Tensor, end: [usize; 2]) -> [usize; 2] {
    [0, 1].map(|i| {
        let span = (conv.kernel[i] - 1) * conv.dilation[i] + 1;
        (image.shape[i] + conv.padding[i] + end[i]).checked_sub(span).map_or(0, |d| d / conv.stride[i] + 1)
    })
}

fn axis_pair(range: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = [usize; 2]> {
    [range.clone(), range]
}

proptest! {
    // Few cases, many properties: the whole file stays within a minute.
    #![proptest_config(common::config(400, 2))]
    #[test]
    fn convolution_of_any_shape(
        seed: u64,
        size in axis_pair(1..=9),
        (kernel, stride, dilation) in (axis_pair(1..=4), axis_pair(1..=3), axis_pair(1..=3)),
        (padding, end) in (axis_pair(0..=3), axis_pair(0..=3)),
        (groups, cin, cout) in (prop_oneof![3 => Just(1usize), 1 => 2usize..4], 1..=few(70, 6), 1..=few(70, 6)),
        (fill, weight_fill, zero_point, stage) in (fill(), fill(), zero_point(), stages()),
        (gaps, chunk) in (gaps(), 1usize..40),
    ) {
        let random = &mut Random(seed);
        let geometry = (kernel, stride, dilation, padding);
        let conv = random_conv(random, weight_fill, stage, zero_point, geometry, [groups, cin, cout]);
        let image = random.tensor([size[0], size[1], conv.cin], fill);
        check_conv(&conv, &image, same_size(&conv, &image, end), gaps, chunk);
    }

    #[test]
    fn transposed_convolution_of_any_shape(
        seed: u64,
        size in axis_pair(1..=few(6, 3)),
        // What is cropped above and to the left; below and to the right, or added there.
        (kernel, stride, padding, end) in (axis_pair(1..=few(8, 4)), axis_pair(1..=few(4, 3)), axis_pair(0..=few(7, 2)), axis_pair(0..=few(9, 2))),
        (cin, cout) in (1..=few(40, 5), 1..=few(40, 5)),
        (fill, zero_point, stage) in (fill(), zero_point(), stages()),
        (gaps, chunk) in (gaps(), 1usize..40),
    ) {
        let random = &mut Random(seed);
        let conv = random_conv(random, fill, stage, zero_point, (kernel, stride, [1, 1], padding), [1, cin, cout]);
        let image = random.tensor([size[0], size[1], cin], fill);
        let out =
            [0, 1].map(|i| ((size[i] - 1) * stride[i] + kernel[i] + 2).saturating_sub(padding[i] + end[i]));
        let expected = transposed_conv2d(&conv, &image, out);
        for isa in Isa::available() {
            for (layout, gather) in packings(cin) {
                let mut arena = Arena::new();
                let input = arena.place(&image, cin + gaps[0]);
                let output = arena.reserve(expected.shape, cout + gaps[1]);
                let got = conv.run_transposed(&mut arena, &input, &output, layout, gather, chunk, isa);
                prop_assert_eq!(got, expected.clone(), "{:?} {:?} on {}", layout, gather, isa.name());
            }
        }
    }

    #[test]
    fn depthwise_convolution_of_any_shape(
        seed: u64,
        size in axis_pair(1..=few(9, 5)),
        (kernel, stride, dilation) in (axis_pair(1..=5), axis_pair(1..=3), axis_pair(1..=3)),
        (padding, end) in (axis_pair(0..=3), axis_pair(0..=3)),
        channels in 1..=few(90, 20),
        (fill, zero_point, stage, gaps) in (fill(), zero_point(), stages(), gaps()),
    ) {
        let random = &mut Random(seed);
        let geometry = (kernel, stride, dilation, padding);
        let conv = random_conv(random, fill, stage, zero_point, geometry, [channels, 1, 1]);
        let image = random.tensor([size[0], size[1], channels], fill);
        let expected = conv2d(&conv, &image, same_size(&conv, &image, end));
        let taps = kernel[0] * kernel[1];
        let weights: &'static [i8] =
            (0..taps * channels).map(|i| conv.weights[i % channels * taps + i / channels]).collect::<Vec<_>>().leak();
        let bias: &'static [i32] = (0..channels)
            .map(|c| {
                let sum: i32 = conv.weights[c * taps..][..taps].iter().map(|w| *w as i32).sum();
                conv.bias[c] - sum * zero_point as i32
            })
            .collect::<Vec<_>>()
            .leak();
        let mantissa: &'static [i32] = conv.multipliers.iter().map(|m| m.mantissa).collect::<Vec<_>>().leak();
        let shift: &'static [i8] = conv.multipliers.iter().map(|m| m.shift as i8).collect::<Vec<_>>().leak();
        check(&[&image], &expected, gaps, |i, output| Box::new(DepthwiseConv2d {
            input: i[0], output,
            kernel: kernel.map(|d| d as u32), stride: stride.map(|d| d as u32),
            dilation: dilation.map(|d| d as u32), padding: padding.map(|d| d as u32),
            weights, bias, mantissa, shift, input_zero_point: zero_point, stage,
        }));
    }

    #[test]
    fn element_wise_operators_of_any_shape(
        seed: u64,
        shape in [1usize..=5, 1usize..=7, 1usize..=150],
        (fill, za, zb, stage, gaps) in (fill(), zero_point(), zero_point(), stages(), gaps()),
    ) {
        let random = &mut Random(seed);
        let (a, b) = (random.tensor(shape, fill), random.tensor(shape, fill));
        let table: &'static [i8] = random.tensor([1, 1, 256], Fill::Random).data.leak();
        let half = Multiplier { mantissa: 1 << 30, shift: 0 };
        let smaller = if seed % 5 == 0 { half } else { random.multiplier(256.0 * 8.0) };
        let (a_multiplier, b_multiplier) = if seed % 2 == 0 { (half, smaller) } else { (smaller, half) };
        let sum = random.multiplier(255.0 * f64::from(1 << 20));
        let scale = random.multiplier(128.0);

        let copied: &Make<'_> = &|i, output| Box::new(CopyElements { input: i[0], output });
        check(&[&a], &a, gaps, copied);

        let expected = map(&a, |v| table[(v as i32 + 128) as usize]);
        let kernel: &Make<'_> =
            &|i, output| Box::new(Lut { input: i[0], output, table });
        check(&[&a], &expected, gaps, kernel);
        check_in_place(&[&a], &expected, gaps[0], kernel);

        let expected = map(&a, |v| store(v as i64 - za as i64, scale, &stage));
        let kernel: &Make<'_> = &|i, output| {
            Box::new(Requantize { input: i[0], output, input_zero_point: za, multiplier: scale, stage })
        };
        check(&[&a], &expected, gaps, kernel);
        check_in_place(&[&a], &expected, gaps[0], kernel);

        let expected = add(&a, &b, [za, zb], [a_multiplier, b_multiplier, sum], &stage);
        let kernel: &Make<'_> = &|i, output| {
            Box::new(Add {
                a: i[0], b: i[1], output, a_zero_point: za, b_zero_point: zb, a_multiplier, b_multiplier,
                multiplier: sum, stage,
            })
        };
        check(&[&a, &b], &expected, gaps, kernel);
        check_in_place(&[&a, &b], &expected, gaps[0], kernel);

        let slopes: &'static [i8] = random.tensor([1, 1, shape[2]], fill).data.leak();
        let negative = random.multiplier(128.0 * 128.0);
        let expected = prelu(&a, slopes, za, [scale, negative], &stage);
        let kernel: &Make<'_> = &|i, output| {
            Box::new(PRelu { input: i[0], output, slopes, input_zero_point: za, positive: scale, negative, stage })
        };
        check(&[&a], &expected, gaps, kernel);
        check_in_place(&[&a], &expected, gaps[0], kernel);
    }

    #[test]
    fn channels_that_move_of_any_shape(
        seed: u64,
        (h, w, in_group, groups) in (1usize..=5, 1usize..=7, 1usize..=40, 1usize..=5),
        (more, zero_point, gaps) in (0usize..=90, zero_point(), gaps()),
    ) {
        let image = Random(seed).tensor([h, w, in_group * groups], Fill::Random);
        check(&[&image], &channel_shuffle(&image, groups), gaps, |i, output| {
            Box::new(ChannelShuffle { input: i[0], output, groups: groups as u32 })
        });
        check(&[&image], &pad_channels(&image, more, zero_point), gaps, |i, output| {
            Box::new(PadChannels { input: i[0], output, zero_point })
        });
    }

    #[test]
    fn unpooling_of_any_shape(
        seed: u64,
        shape in [1usize..=5, 1usize..=6, 1..=few(150, 20)],
        (kernel, cropped, more) in (axis_pair(1..=4), 0usize..=9, axis_pair(0..=5)),
        (fill, zero_point, gaps) in (fill(), zero_point(), gaps()),
    ) {
        let random = &mut Random(seed);
        let values = random.tensor(shape, fill);
        // Mostly positions in the window, and codes that are none.
        let cells = (kernel[0] * kernel[1]) as u32;
        let positions = Tensor::from_fn(shape, |_, _, _| match random.next() % 8 {
            0 => random.next() as i8,
            _ => (random.next() % cells) as i8,
        });
        let whole = [0, 1].map(|i| shape[i] * kernel[i] + more[i]);
        let expected = max_unpool(&values, &positions, kernel, whole, zero_point);
        let cropped = cropped.min(whole[0] - 1);
        let [_, w, c] = expected.shape;
        let expected = Tensor::new([whole[0] - cropped, w, c], expected.data[cropped * w * c..].to_vec());
        check(&[&values, &positions], &expected, gaps, |i, output| Box::new(MaxUnpool2d {
            values: i[0], positions: i[1], output, kernel: kernel.map(|d| d as u32), cropped: cropped as u32, zero_point,
        }));
    }

    #[test]
    fn products_and_differences_of_any_shape(
        seed: u64,
        shape in [1usize..=5, 1usize..=7, 1usize..=150],
        (fill, second, za, zb, stage, gaps) in (fill(), fill(), zero_point(), zero_point(), stages(), gaps()),
    ) {
        let random = &mut Random(seed);
        let a = random.tensor(shape, fill);
        let multiplier = random.multiplier(if seed % 3 == 0 { 1.0 / 64.0 } else { 128.0 * 128.0 });
        let kernel: &Make<'_> = &|i, output| {
            Box::new(Mul { a: i[0], b: i[1], output, a_zero_point: za, b_zero_point: zb, multiplier, stage })
        };
        let half = Multiplier { mantissa: 1 << 30, shift: 0 };
        let smaller = random.multiplier(256.0 * 8.0);
        let factors = if seed % 2 == 0 { [half, smaller] } else { [smaller, half] };
        let common = random.multiplier(255.0 * f64::from(1 << 20));
        let difference: &Make<'_> = &|i, output| {
            Box::new(Sub {
                a: i[0], b: i[1], output, a_zero_point: za, b_zero_point: zb, a_multiplier: factors[0],
                b_multiplier: factors[1], multiplier: common, stage,
            })
        };
        let sum: &Make<'_> = &|i, output| {
            Box::new(AddRepeated {
                a: i[0], b: i[1], output, a_zero_point: za, b_zero_point: zb, a_multiplier: factors[0],
                b_multiplier: factors[1], multiplier: common, stage,
            })
        };
        let divisors: Vec<usize> = (1..=shape[2]).filter(|groups| shape[2].is_multiple_of(*groups)).collect();
        let groups = divisors[random.next() as usize % divisors.len()];
        for repeated in [shape, [1, 1, shape[2]], [shape[0], shape[1], 1], [shape[0], shape[1], groups]] {
            let b = random.tensor(repeated, second);
            let expected = mul(&a, &b, [za, zb], multiplier, &stage);
            check(&[&a, &b], &expected, gaps, kernel);
            check_in_place(&[&a, &b], &expected, gaps[0], kernel);
            let expected = sub(&a, &b, [za, zb], [factors[0], factors[1], common], &stage);
            check(&[&a, &b], &expected, gaps, difference);
            check_in_place(&[&a, &b], &expected, gaps[0], difference);
            let expected = add(&a, &b, [za, zb], [factors[0], factors[1], common], &stage);
            check(&[&a, &b], &expected, gaps, sum);
            check_in_place(&[&a, &b], &expected, gaps[0], sum);
        }
    }

    #[test]
    fn pooling_of_any_shape(
        seed: u64,
        shape in [1..=few(9, 5), 1..=few(9, 5), 1..=few(150, 20)],
        (kernel, stride, padding, end) in (axis_pair(1..=4), axis_pair(1..=3), axis_pair(0..=3), axis_pair(0..=4)),
        (fill, zero_point, count_padding, gaps, ceil) in (fill(), zero_point(), any::<bool>(), gaps(), 0usize..2),
        (min, max) in prop_oneof![Just((-128i8, 127i8)), Just((-9, 60))],
        stage in stages(),
    ) {
        let random = &mut Random(seed);
        let image = random.tensor(shape, fill);
        let out = [0, 1].map(|i| {
            (shape[i] + padding[i] + end[i]).checked_sub(kernel[i]).map_or(0, |d| d / stride[i] + 1) + ceil
        });
        let window = Window { kernel, stride, padding, end, out };
        let pair = |p: [usize; 2]| p.map(|d| d as u32);
        check(&[&image], &max_pool(&image, &window, min, max), gaps, |i, output| Box::new(MaxPool2d {
            input: i[0], output, kernel: pair(kernel), stride: pair(stride), padding: pair(padding), min, max,
        }));
        check(&[&image], &max_position(&image, &window), gaps, |i, output| Box::new(MaxPosition2d {
            input: i[0], output, kernel: pair(kernel), stride: pair(stride), padding: pair(padding),
        }));
        let expected = average_pool(&image, &window, count_padding, zero_point, min, max);
        check(&[&image], &expected, gaps, |i, output| Box::new(AveragePool2d {
            input: i[0], output, kernel: pair(kernel), stride: pair(stride), padding: pair(padding),
            padding_end: pair(end), count_padding, zero_point, min, max,
        }));
        let multiplier = random.multiplier((shape[0] * shape[1] * 128) as f64);
        let expected = global_mean(&image, zero_point, multiplier, &stage);
        check(&[&image], &expected, gaps, |i, output| Box::new(GlobalAveragePool {
            input: i[0], output, input_zero_point: zero_point, multiplier, stage,
        }));
    }

    #[test]
    fn convolution_and_max_pooling_as_one_step(
        seed: u64,
        size in axis_pair(1..=few(9, 5)),
        (kernel, stride, padding, end) in (axis_pair(1..=3), axis_pair(1..=2), axis_pair(0..=2), axis_pair(0..=2)),
        (window, step, border, beyond) in (axis_pair(1..=4), axis_pair(1..=3), axis_pair(0..=3), axis_pair(0..=4)),
        (cin, cout, rows) in (1usize..=9, 1..=few(20, 6), 1usize..=7),
        (zero_point, stage, gaps, chunk) in (zero_point(), stages(), gaps(), 1usize..20),
        packing: proptest::sample::Index,
    ) {
        let random = &mut Random(seed);
        let conv = random_conv(random, Fill::Random, stage, zero_point, (kernel, stride, [1, 1], padding), [1, cin, cout]);
        let image = random.tensor([size[0], size[1], cin], Fill::Random);
        let map = conv2d(&conv, &image, same_size(&conv, &image, end));
        let out = [0, 1].map(|i| (map.shape[i] + border[i] + beyond[i]).checked_sub(window[i]).map_or(0, |d| d / step[i] + 1));
        let shape = Window { kernel: window, stride: step, padding: border, end: beyond, out };
        let expected = max_pool(&map, &shape, -100, 90);
        let packings = packings(cin);
        let (layout, gather) = packings[packing.index(packings.len())];
        for isa in Isa::available() {
            let mut arena = Arena::new();
            let input = arena.place(&image, cin + gaps[0]);
            let output = arena.reserve(expected.shape, cout + gaps[1]);
            // The map's rows that are in memory, with the shape of the whole map.
            let held = arena.scratch(rows.min(map.shape[0]) * map.shape[1] * cout);
            let piece = arena.scratch(out[1] * cout);
            let whole = Operand::arena(held.offset, map.shape.map(|d| d as u32), cout as u32);
            let got = conv.kernel(&mut arena, &input, &whole, layout, gather, chunk, |arena, conv| {
                let pair = |p: [usize; 2]| p.map(|d| d as u32);
                let pool = MaxPool2d {
                    input: whole, output, kernel: pair(window), stride: pair(step), padding: pair(border), min: -100, max: 90,
                };
                let scratch = Region { offset: held.offset, len: conv.scratch.offset + conv.scratch.len - held.offset };
                let both = ConvMaxPool2d { conv, pool, rows: rows as u32, piece, scratch, threads: 1 };
                arena.run(&both, isa, &output, scratch)
            });
            prop_assert_eq!(&got, &expected, "{:?} {:?} on {}", layout, gather, isa.name());
        }
    }

    #[test]
    fn resizing_and_labels_of_any_shape(
        seed: u64,
        shape in [1usize..=9, 1usize..=9, 1usize..=100],
        (oh, ow) in (1usize..=20, 1usize..=20),
        (fill, gaps) in (fill(), gaps()),
    ) {
        let random = &mut Random(seed);
        let image = random.tensor(shape, fill);
        check(&[&image], &nearest(&image, [oh, ow]), gaps, |i, output| Box::new(ResizeNearest { input: i[0], output }));
        for corners in [resize::Corners::HalfPixel, resize::Corners::Aligned] {
            let expected = bilinear(&image, [oh, ow], corners == resize::Corners::HalfPixel);
            check(&[&image], &expected, gaps, |i, output| Box::new(ResizeBilinear { input: i[0], output, corners }));
        }
        check(&[&image], &arg_max(&image), gaps, |i, output| Box::new(ArgMax { input: i[0], output }));
    }

    #[test]
    fn reshaping_and_rows_of_any_shape(
        seed: u64,
        (pixels, per, rows) in ([1usize..=4, 1usize..=5], [1usize..=20, 1usize..=20], 1usize..=140),
        (fill, gaps) in (fill(), gaps()),
    ) {
        let random = &mut Random(seed);
        // The same elements as pixels of either size.
        let image = random.tensor([pixels[0], pixels[1] * per[0], per[1]], fill);
        for shape in [
            [pixels[0] * per[1], per[0], pixels[1]],
            [1, 1, image.data.len()],
            [pixels[1] * per[1], per[0], pixels[0]],
            [image.data.len(), 1, 1],
        ] {
            let kernel: &Make<'_> = &|i, output| Box::new(Reshape { input: i[0], output });
            check(&[&image], &Tensor::new(shape, image.data.clone()), gaps, kernel);
        }
        let table: &'static [i8] = random.tensor([1, rows, per[0]], fill).data.leak();
        let labels = random.tensor([pixels[0], pixels[1], 1], fill);
        let expected = rows_of(&labels, table, per[0]);
        check(&[&labels], &expected, gaps, |i, output| Box::new(Embedding { input: i[0], output, table }));
    }

    #[test]
    fn attention_of_any_shape(
        seed: u64,
        (heads, width, chunks, bucket) in (1usize..=3, 1usize..=70, 1usize..=3, 2usize..=5),
        (rounds, shared) in (0usize..=3, any::<bool>()),
        (step, fill, zero_points) in (1e-5f64..1.0, fill(), [zero_point(), zero_point(), zero_point()]),
        (stage, gaps) in (stages(), gaps()),
    ) {
        let random = &mut Random(seed);
        let shape = [bucket, 2 * chunks, heads * width];
        let all = [(); 3].map(|()| random.tensor(shape, fill));
        let both = shared || rounds > 0;
        let inputs = if both { [&all[0], &all[0], &all[2]] } else { [&all[0], &all[1], &all[2]] };
        let [zq, zk, zv] = if both { [zero_points[0], zero_points[0], zero_points[2]] } else { zero_points };
        let bound = Attention::largest_rotation(width);
        let rotation = |_| match random.next() % 4 {
            0 => bound,
            1 => -bound,
            _ => (random.next() as i16).clamp(-bound, bound),
        };
        let rotations: &'static [i16] = (0..rounds * chunks * width).map(rotation).collect::<Vec<_>>().leak();
        let (scale, min_difference) = Attention::parameters(step, shared).unwrap();
        let multiplier = Attention::multiplier(0.1, 0.07).unwrap();
        let attend = Attend {
            heads,
            zero_points: [zq, zk, zv],
            shared,
            scale,
            min_difference: min_difference as i64,
            hashing: (rounds > 0).then_some((rounds, bucket, rotations)),
            multiplier,
            stage,
        };
        let expected = attend.run(inputs);
        for isa in [Isa::scalar(), Isa::detect()] {
            let mut arena = Arena::new();
            let operands: Vec<_> = inputs.iter().map(|t| arena.place(t, shape[2] + gaps[0])).collect();
            let output = arena.reserve(shape, shape[2] + gaps[1]);
            let scratch = arena.scratch(Attention::scratch_bytes(shape[0] * shape[1], rounds, bucket));
            let kernel = Attention {
                query: operands[0],
                key: operands[1],
                value: operands[2],
                output,
                heads: heads as u32,
                query_zero_point: zq,
                key_zero_point: zk,
                value_zero_point: zv,
                shared,
                scale,
                min_difference,
                rounds: rounds as u32,
                bucket: bucket as u32,
                rotations,
                multiplier,
                stage,
                scratch,
            };
            let got = arena.run(&kernel, isa, &output, scratch);
            prop_assert_eq!(&got, &expected, "{}", isa.name());
        }
    }

    #[test]
    fn softmax_is_near_the_real_one(
        seed: u64,
        shape in [1usize..=3, 1usize..=3, 1usize..=100],
        (fill, gaps, scale) in (fill(), gaps(), 0.001f64..1.0),
    ) {
        let image = Random(seed).tensor(shape, fill);
        let (multiplier, min_difference) = Softmax::parameters(scale).unwrap();
        let mut results = Vec::new();
        for isa in Isa::available() {
            let mut arena = Arena::new();
            let (input, output) = (arena.place(&image, shape[2] + gaps[0]), arena.reserve(shape, shape[2] + gaps[1]));
            results.push(arena.run(&Softmax { input, output, multiplier, min_difference }, isa, &output, Region::EMPTY));
        }
        prop_assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
        for y in 0..shape[0] {
            for x in 0..shape[1] {
                let e: Vec<f64> = (0..shape[2]).map(|c| (scale * image.at(y, x, c) as f64).exp()).collect();
                let sum: f64 = e.iter().sum();
                for (c, e) in e.iter().enumerate() {
                    let exact = (256.0 * e / sum - 128.0).min(127.0);
                    let got = results[0].at(y, x, c) as f64;
                    prop_assert!((got - exact).abs() <= 1.0, "{} for {}", got, exact);
                }
            }
        }
    }
}

#[test]
fn requantisation_is_exact_for_any_multiplier() {
    let mut random = Random(3);
    for i in 0..2_000_000u32 {
        let multiplier = random.multiplier(2f64.powi((i % 32) as i32 + 5));
        let acc = match i % 4 {
            0 => random.next() as i32 % 1000,
            1 => [i32::MAX, i32::MIN, 0, -1][random.next() as usize % 4],
            _ => random.next() as i32,
        };
        // Codegen proves that a left shift does not overflow: keep to that here.
        let acc = acc >> multiplier.shift.max(0);
        for rounding in common::ROUNDINGS {
            let exact = requantize(acc as i64, multiplier, rounding);
            assert_eq!(multiplier.apply(acc, rounding) as i64, exact, "{acc} {multiplier:?} {rounding:?}");
        }
    }
}

#[test]
fn isa_names_are_distinct_and_scalar_comes_first() {
    let names: Vec<_> = Isa::available().map(Isa::name).collect();
    assert_eq!(names[0], "scalar");
    assert_eq!(Isa::available().next(), Some(Isa::scalar()));
    assert_eq!(Isa::available().last(), Some(Isa::detect()));
    let mut unique = names.clone();
    unique.dedup();
    assert_eq!(names, unique);
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx512vnni") {
        assert_eq!(Isa::detect().name(), "avx512vnni");
    }
}
