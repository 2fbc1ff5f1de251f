//! Layers with the integers of a quantised ONNX file against their definition in single precision, on every target and instruction set.

use niello_codegen::{
    GraphBuilder, Shape,
    execute::Executor,
    format::{Format, QParams},
    lower::{TARGETS, lower},
    ops::{Conv2d, ConvParams, GivenFilters, GivenRounding},
    program::Metadata,
    quantize::QGraph,
    weights::Seeded,
};
use niello_kernels::{Isa, Rounding};
use std::collections::{BTreeMap, BTreeSet};

const INPUT: Shape = Shape { h: 24, w: 26, c: 20 };

/// Codes from a seed.
fn codes(mut seed: u64) -> impl Iterator<Item = i8> {
    std::iter::repeat_with(move || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 56) as i8
    })
}

/// A 3x3 layer of these scales of weights, and its results by the definition; how many sums are ties, and how many of these
/// `Rounding::Single` gets wrong.
struct Case {
    q: QGraph,
    expected: Vec<i8>,
    ties: usize,
    up: usize,
}

fn case(
    groups: usize,
    out: usize,
    [input, output]: [QParams; 2],
    scales: Vec<f32>,
    rounding: GivenRounding,
) -> Case {
    let channels = INPUT.c / groups;
    let params = ConvParams { groups, ..ConvParams::new(out, 3) };
    let row = 9 * channels;
    let weights: Vec<i8> = codes(7).take(out * row).map(|w| w >> 3).collect();
    let bias: Vec<i32> = codes(11).take(out).map(|b| 37 * b as i32).collect();
    let real = weights.iter().enumerate().map(|(i, w)| *w as f32 * scales[i / row]).collect();
    let mut op = Conv2d::new(params, INPUT.c, real, vec![0.0; out].into());
    op.given = Some(GivenFilters { scale: scales.clone().into(), bias: bias.clone().into(), rounding });
    let mut made = Seeded::new();
    let mut b = GraphBuilder::new("layer", &mut made);
    let x = b.input("input", INPUT);
    let y = b.add_op("layer", op, &[x]);
    let graph = b.finish(&[y]).unwrap();
    let q = QGraph {
        formats: vec![Format::Int8(input), Format::Int8(output)],
        rounding: Rounding::FloatEven,
        channel_means: vec![None; 2],
        corrections: BTreeMap::new(),
        wide_weights: BTreeSet::new(),
        modes: BTreeMap::new(),
        graph,
    };
    let image: Vec<i8> = codes(3).take(INPUT.len()).collect();
    let (mut expected, mut ties, mut up) = (vec![], 0, 0);
    for (y, x, o) in
        (0..INPUT.h - 2).flat_map(|y| (0..INPUT.w - 2).flat_map(move |x| (0..out).map(move |o| (y, x, o))))
    {
        let mut sum = bias[o];
        for (i, dy, dx) in (0..channels).flat_map(|i| (0..9).map(move |tap| (i, tap / 3, tap % 3))) {
            let c = o / (out / groups) * channels + i;
            let code = image[((y + dy) * INPUT.w + x + dx) * INPUT.c + c];
            sum += (code as i32 - input.zero_point as i32) * weights[o * row + i * 9 + dy * 3 + dx] as i32;
        }
        let product = sum as f32 * (input.scale * scales[o] / output.scale);
        let whole = product.round_ties_even();
        let code = whole as i32 + output.zero_point as i32;
        let is_tie = product.fract().abs() == 0.5 && (-128..128).contains(&code);
        ties += is_tie as usize;
        up += (is_tie && whole != product.ceil()) as usize;
        expected.push(code.clamp(-128, 127) as i8);
    }
    Case { q, expected, ties, up }
}

fn check(case: &Case, what: &str) {
    let image: Vec<i8> = codes(3).take(INPUT.len()).collect();
    for target in TARGETS {
        let program = lower(&case.q, target, Metadata::default()).unwrap();
        for isa in Isa::available() {
            let found = Executor::with_isa(&program, isa).run(&[&image]).unwrap().remove(0);
            assert!(found == case.expected, "{what}, packed for {} on {}", target.name, isa.name());
        }
    }
}

/// Dense and depthwise.
const LAYERS: [(usize, usize); 3] = [(1, 35), (20, 20), (4, 12)];

#[test]
fn any_scales() {
    for (groups, out) in LAYERS {
        let formats = [QParams { scale: 0.023_417, zero_point: 5 }, QParams { scale: 0.71, zero_point: -9 }];
        let scales: Vec<f32> = codes(1).take(out).map(|s| 5e-2 + 1e-3 * (s as f32 + 128.0)).collect();
        let case = case(groups, out, formats, scales, GivenRounding::SinglePrecision(None));
        check(&case, &format!("{groups} groups"));
    }
}

#[test]
fn powers_of_two_have_ties_that_go_to_the_even_code() {
    for rounding in [GivenRounding::SinglePrecision(None), GivenRounding::Nearest(None)] {
        for (groups, out) in LAYERS {
            let formats = [QParams { scale: 0.5, zero_point: -3 }, QParams { scale: 0.5, zero_point: 4 }];
            let scales: Vec<f32> = (0..out).map(|i| 1.0 / (16 << (i % 4)) as f32).collect();
            let case = case(groups, out, formats, scales, rounding);
            assert!(case.ties > 60 && case.up > 15, "{} ties, {} up", case.ties, case.up);
            check(&case, &format!("{rounding:?}, {groups} groups"));
        }
    }
}
