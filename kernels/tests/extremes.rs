//! What random layers hardly reach: sums of nothing but extremes, and every multiplier and rounding at every accumulator.

mod common;
#[allow(dead_code, reason = "the definition of convolution only")]
#[path = "common/reference.rs"]
mod reference;

use common::{Arena, Conv, Tensor, packings};
use niello_kernels::{Isa, Layout, Multiplier, OutputParams, Rounding};
use reference::conv2d;

/// Compares every instruction set and packing with the reference; `weights` of -128 leave out the packings that forbid them.
fn check(conv: &Conv, image: &Tensor, out: [usize; 2], chunk: usize) {
    let expected = conv2d(conv, image, out);
    let lowest = conv.weights.contains(&-128);
    for isa in Isa::available() {
        for (layout, gather) in packings(conv.cin) {
            if lowest && !matches!(layout, Layout::VNNI | Layout::SCALAR) {
                continue;
            }
            let mut arena = Arena::new();
            let input = arena.place(image, conv.cin);
            let output = arena.reserve(expected.shape, conv.cout + 3);
            let got = conv.run(&mut arena, &input, &output, layout, gather, chunk, isa);
            assert!(got == expected, "{layout:?} {gather:?} on {}", isa.name());
        }
    }
}

/// One output channel for each multiplier and bias.
fn layer(kernel: [usize; 2], cin: usize, stage: OutputParams, channels: &[(Multiplier, i32)]) -> Conv {
    let cout = channels.len();
    Conv {
        kernel,
        stride: [1, 1],
        dilation: [1, 1],
        padding: [0, 0],
        groups: 1,
        cin,
        cout,
        weights: vec![0; cout * kernel[0] * kernel[1] * cin],
        bias: channels.iter().map(|(_, bias)| *bias).collect(),
        multipliers: channels.iter().map(|(multiplier, _)| *multiplier).collect(),
        input_zero_point: 0,
        stage,
    }
}

/// Weights of 0 leave the bias as the accumulator.
#[test]
fn every_accumulator_meets_every_multiplier() {
    let sums = [0, 1, -1, 2, -2, 3, -3, 5, -5, 6, -6, 127, -128, 4095, -4097, 1 << 20, -(1 << 20)];
    let large =
        [i32::MAX, i32::MIN, i32::MAX - 1, i32::MIN + 1, 1 << 30, -(1 << 30), 0x5555_5555, -0x5555_5555];
    let mut channels = Vec::new();
    for shift in -31..=30i32 {
        for mantissa in [0, 1, 1 << 30, (1 << 30) + 1, 3 << 29, 1_595_741_824, 1_595_741_857, i32::MAX] {
            // A left shift never overflows: lowering proves it.
            for sum in sums.into_iter().chain(large).map(|sum| sum >> shift.max(0)) {
                channels.push((Multiplier { mantissa, shift }, sum));
            }
            // Ties and their neighbours, just below and above what a right shift keeps.
            for near in [-1, 0, 1] {
                let half = 1i32.wrapping_shl((1 - shift).clamp(0, 30) as u32);
                channels.extend([
                    (Multiplier { mantissa, shift }, half + near),
                    (Multiplier { mantissa, shift }, near - half),
                ]);
            }
        }
    }
    channels.retain(|(m, sum)| i64::from(*sum) << m.shift.max(0) == i64::from(sum << m.shift.max(0)));
    assert!(channels.len() > 10_000);
    let image = Tensor::from_fn([1, 1, 4], |_, _, _| 7);
    for rounding in common::ROUNDINGS {
        for (zero_point, min, max) in [(0, -128, 127), (-128, -128, 127), (127, -128, 127), (-3, -3, 90)] {
            let stage = OutputParams { zero_point, min, max, rounding };
            check(&layer([1, 1], 4, stage, &channels), &image, [1, 1], 8);
        }
    }
}

/// Long reductions of products that are as large as they get, also for the operand that some instructions want unsigned.
#[test]
fn sums_of_extremes_are_exact() {
    type Pattern = fn(usize) -> i8;
    let weights: [Pattern; 5] =
        [|_| 127, |_| -127, |_| -128, |i| [127, -128][i % 2], |i| [127, 127, -128, -128][i % 4]];
    let activations: [Pattern; 4] =
        [|_| 127, |_| -128, |i| [-128, 127][i % 2], |i| [127, 127, -128, -128][i % 4]];
    for (kernel, cin, cout) in [([3, 3], 512, 5), ([1, 1], 700, 33), ([3, 2], 100, 18), ([7, 7], 3, 16)] {
        let taps = kernel[0] * kernel[1] * cin;
        let shift = -(((taps * 128 * 128 / 100) as f64).log2() as i32);
        let channels = vec![(Multiplier { mantissa: 1_400_000_007, shift }, -77); cout];
        for (w, x) in weights.iter().flat_map(|w| activations.iter().map(move |x| (w, x))) {
            let mut conv = layer(kernel, cin, common::stage(9, Rounding::TfliteDouble), &channels);
            // No two channels alike: each has a few smaller weights.
            conv.weights =
                (0..cout * taps).map(|i| if i % (i / taps + 11) == 3 { 1 } else { w(i) }).collect();
            conv.input_zero_point = -128;
            let mut i = 0;
            let image = Tensor::from_fn([kernel[0] + 1, kernel[1] + 4, cin], |_, _, _| {
                i += 1;
                x(i)
            });
            check(&conv, &image, [2, 5], 48);
        }
    }
}
