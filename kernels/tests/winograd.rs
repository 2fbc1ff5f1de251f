//! Winograd's algorithm gives the bytes of the direct convolution: against the naive reference, on every instruction set.

mod common;
#[path = "common/reference.rs"]
#[allow(dead_code, reason = "a part of it is used here")]
mod reference;

use common::{Arena, Conv, Tensor, few, instruction_sets, some, stage};
use niello_kernels::{conv::scratch_per_thread, winograd::*, *};
use proptest::prelude::*;

/// Numbers from a seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as u32
    }

    /// A byte from `lowest` on; with `extreme`, `lowest` or 127.
    fn byte(&mut self, lowest: i8, extreme: bool) -> i8 {
        let byte = self.next() as i8;
        if extreme { [lowest, 127][(byte & 1) as usize] } else { byte.max(lowest) }
    }
}

/// A 3x3 convolution of stride 1.
fn convolution(
    random: &mut Random,
    [cin, cout]: [usize; 2],
    padding: [usize; 2],
    extreme: bool,
    input_zero_point: i8,
    stage: OutputParams,
) -> Conv {
    // About one standard deviation of the sums: results fill the range of a byte and saturate now and then.
    let magnitude = ((9 * cin) as f64).sqrt() * if extreme { 127.0 * 128.0 } else { 5400.0 };
    let shift = (128.0 / magnitude).log2() as i32;
    Conv {
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        padding,
        groups: 1,
        cin,
        cout,
        weights: (0..9 * cin * cout).map(|_| random.byte(-127, extreme)).collect(),
        bias: (0..cout).map(|_| random.next() as i32 % 50_000).collect(),
        multipliers: (0..cout)
            .map(|_| Multiplier { mantissa: (1 << 30) + (random.next() & 0x3fff_ffff) as i32, shift })
            .collect(),
        input_zero_point,
        stage,
    }
}

/// Transformed and packed, with biases and factors padded to whole panels.
struct Packed {
    weights: Vec<i16>,
    bias: Vec<i32>,
    mantissa: Vec<i32>,
    shift: Vec<i8>,
    pad: Vec<i8>,
}

fn pack(conv: &Conv, splits: usize) -> Packed {
    let channels = conv.cout.next_multiple_of(16);
    let mut packed = Packed {
        weights: vec![0; packed_len(conv.cin, conv.cout)],
        bias: vec![0; channels],
        mantissa: vec![0; channels],
        shift: vec![0; channels],
        pad: vec![conv.input_zero_point; conv.cin],
    };
    for o in 0..conv.cout {
        let mut sum = 0i32;
        for i in 0..conv.cin {
            let tap = |y: usize, x: usize| conv.weights[((o * 3 + y) * 3 + x) * conv.cin + i];
            let g = std::array::from_fn(|y| std::array::from_fn(|x| tap(y, x)));
            sum += g.iter().flatten().map(|w| *w as i32).sum::<i32>();
            for (position, value) in filter(g).into_iter().enumerate() {
                packed.weights[index(conv.cin, splits, o, i, position)] = value;
            }
        }
        packed.bias[o] = conv.bias[o].wrapping_sub(sum * conv.input_zero_point as i32);
        packed.mantissa[o] = conv.multipliers[o].mantissa;
        packed.shift[o] = conv.multipliers[o].shift as i8;
    }
    packed
}

/// Compares on every instruction set.
fn check(
    conv: &Conv,
    image: &Tensor,
    end: [usize; 2],
    splits: usize,
    tiles_per_pass: usize,
    gaps: [usize; 2],
) {
    let out = [0, 1].map(|i| (image.shape[i] + conv.padding[i] + end[i]).saturating_sub(2));
    let expected = reference::conv2d(conv, image, out);
    let packed = pack(conv, splits);
    // Miri takes half a minute for a tile or eight of them.
    for (isa, &threads) in instruction_sets().flat_map(|isa| some(&[3, 1], 1).iter().map(move |t| (isa, t))) {
        threads::set(threads).unwrap();
        let mut arena = Arena::new();
        let input = arena.place(image, conv.cin + gaps[0]);
        let output = arena.reserve(expected.shape, conv.cout + gaps[1]);
        let one = scratch_per_thread(scratch_bytes(conv.cin, splits, tiles_per_pass));
        let scratch = arena.scratch(threads * one);
        let kernel = WinogradConv2d {
            input,
            output,
            padding: conv.padding.map(|p| p as u32),
            splits: splits as u32,
            weights: &packed.weights,
            bias: &packed.bias,
            mantissa: &packed.mantissa,
            shift: &packed.shift,
            pad: &packed.pad,
            stage: conv.stage,
            tiles_per_pass: tiles_per_pass as u32,
            scratch,
        };
        let got = arena.run(&kernel, isa, &output, scratch);
        assert_eq!(got, expected, "on {}, {threads} threads", isa.name());
    }
}

fn image(random: &mut Random, shape: [usize; 3], extreme: bool) -> Tensor {
    Tensor::from_fn(shape, |_, _, _| random.byte(-128, extreme))
}

#[test]
fn known_shapes() {
    let relu = |rounding| OutputParams { zero_point: -128, min: -128, max: 127, rounding };
    for (name, [h, w], channels, splits, tiles_per_pass) in [
        ("expand", [13, 13], [16, 64], 1, 8),
        ("one tile", [4, 4], [8, 16], 1, 8),
        ("more tiles than a pass", [27, 30], [24, 33], 1, 16),
        ("split", [9, 7], [64, 20], 4, 8),
        ("smaller than a tile", [1, 2], [16, 5], 2, 24),
    ] {
        println!("{name}");
        let random = &mut Random(5);
        for (stage, extreme) in [
            (relu(Rounding::TfliteDouble), false),
            (stage(3, Rounding::TfliteDouble), true),
            (relu(Rounding::Single), true),
            (stage(-5, Rounding::FloatEven), false),
        ] {
            let conv = convolution(random, channels, [1, 1], extreme, 9, stage);
            let image = image(random, [h, w, channels[0]], extreme);
            check(&conv, &image, [1, 1], splits, tiles_per_pass, [0, 0]);
        }
    }
}

/// The largest sums that are promised to come out right: every product has the same sign.
#[test]
fn the_largest_sums_that_are_allowed() {
    let random = &mut Random(1);
    for (byte, weight) in [(-128i8, 127i8), (-128, -127), (127, 127), (127, -127)] {
        // 9 * cin products of 127 * 128 each are below 2^25 for up to 224 channels.
        let cin = 224;
        assert!(9 * 127 * 128 * cin as i64 <= LARGEST_SUM);
        let mut conv = convolution(random, [cin, 16], [0, 0], true, 0, stage(0, Rounding::TfliteDouble));
        conv.weights.fill(weight);
        check(&conv, &Tensor::from_fn([6, 6, cin], |_, _, _| byte), [0, 0], 1, 8, [0, 0]);
    }
}

/// One channel more than the sums can hold must be split: without, the bytes differ, so the bound is the right one.
#[test]
fn larger_sums_need_a_split() {
    let random = &mut Random(1);
    let mut conv = convolution(random, [240, 16], [0, 0], true, 0, stage(0, Rounding::TfliteDouble));
    conv.weights.fill(-127);
    let image = Tensor::from_fn([6, 6, 240], |_, _, _| -128);
    check(&conv, &image, [0, 0], 2, 8, [0, 0]);
    assert!(std::panic::catch_unwind(|| check(&conv, &image, [0, 0], 1, 8, [0, 0])).is_err());
}

proptest! {
    #![proptest_config(common::config(150, 1))]
    #[test]
    fn any_shape(
        seed: u64,
        size in [1..=few(14, 6), 1..=few(14, 6)],
        (padding, end) in ([0usize..=3, 0usize..=3], [0usize..=3, 0usize..=3]),
        (blocks, splits, cout) in (1..=few(4, 1), 1..=few(3, 2), 1..=few(50, 5)),
        (extreme, rounding) in (any::<bool>(), prop::sample::select(&common::ROUNDINGS[..])),
        (input_zero_point, zero_point) in (any::<i8>(), prop_oneof![Just(-128i8), any::<i8>()]),
        clamp in prop_oneof![2 => Just((-128i8, 127i8)), 1 => Just((-20, 90))],
        (gaps, tiles_per_pass) in ([0usize..9, 0usize..9], 1usize..=3),
    ) {
        let random = &mut Random(seed);
        let stage = OutputParams { zero_point, min: clamp.0, max: clamp.1, rounding };
        let cin = 8 * blocks * splits;
        let conv = convolution(random, [cin, cout], padding, extreme, input_zero_point, stage);
        let image = image(random, [size[0], size[1], cin], extreme);
        check(&conv, &image, end, splits, 8 * tiles_per_pass, gaps);
    }
}
