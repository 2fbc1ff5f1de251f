//! Winograd's algorithm in half precision against its definition, for any shape and every instruction set: the same bits. And against the
//! convolution that it stands for: nearly the same numbers.

#[path = "common/halves.rs"]
mod by_definition;
mod common;

use by_definition::{fused_half, next, rounded, value};
use common::{Arena, Tensor, alone, few, some};
use niello_kernels::{conv::scratch_per_thread, float::conv::winograd::*, *};
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Case {
    size: [usize; 2],
    channels: [usize; 2],
    padding: [usize; 2],
    /// Rows and columns of the output beyond those that windows within the padding give.
    more: [usize; 2],
    panel: usize,
    tiles_per_pass: usize,
    /// F16 values between pixels.
    gap: usize,
    range: FloatBounds,
    /// One number in so many is out of the ordinary; 0 for none.
    odd: u32,
    seed: u64,
}

/// `factor * x + sum` in f16; `factor` is one.
fn plus(sum: u16, factor: f32, x: u16) -> u16 {
    fused_half(rounded(factor), x, sum)
}

/// A row or column of a transformed input, as `docs/arithmetic.md` has it.
fn input_row(d: [u16; 6]) -> [u16; 6] {
    let (p, q) = (0.625f32, 1.5f32);
    let (even_p, odd_p) = (plus(d[4], -q * q, d[2]), plus(d[3], -q * q, d[1]));
    let (even_q, odd_q) = (plus(d[4], -p * p, d[2]), plus(d[3], -p * p, d[1]));
    let end = |a: usize| plus(plus(d[a + 4], -(p * p + q * q), d[a + 2]), p * p * q * q, d[a]);
    [
        end(0),
        plus(even_p, p, odd_p),
        plus(even_p, -p, odd_p),
        plus(even_q, q, odd_q),
        plus(even_q, -q, odd_q),
        end(1),
    ]
}

/// A row or column of transformed sums.
fn output_row(m: [f32; 6]) -> [f32; 4] {
    let (p, q) = (0.625f32, 1.5f32);
    let (near, near_odd, far, far_odd) = (m[1] + m[2], m[1] - m[2], m[3] + m[4], m[3] - m[4]);
    [
        (m[0] + near) + far,
        q.mul_add(far_odd, near_odd * p),
        (q * q).mul_add(far, near * (p * p)),
        (q * q * q).mul_add(far_odd, (p * p * p).mul_add(near_odd, m[5])),
    ]
}

/// Sum of products in blocks of 128.
fn sum(products: impl Iterator<Item = (u16, u16)>) -> f32 {
    let (mut total, mut chain, mut count) = (0.0f32, 0u16, 0);
    for (u, v) in products {
        chain = fused_half(u, v, chain);
        count += 1;
        if count % 128 == 0 {
            (total, chain) = (total + value(chain) as f32, 0);
        }
    }
    let total = if count % 128 == 0 { total } else { total + value(chain) as f32 };
    if total.is_nan() { f32::NEG_INFINITY } else { total }
}

impl Case {
    fn half(&self, seed: &mut u64, scale: f32) -> u16 {
        let x = (next(seed) as f32 / 2f32.powi(30) - 1.0) * scale;
        if self.odd > 0 && next(seed).is_multiple_of(self.odd) {
            let odd = [0, 0x8000, 1, 0x8003, 0x7bff, 0xfbff, 0x7c00, 0x7e00, 0x5cb0];
            return odd[next(seed) as usize % odd.len()];
        }
        rounded(x)
    }

    fn out(&self) -> [usize; 2] {
        [0, 1].map(|i| (self.size[i] + 2 * self.padding[i]).saturating_sub(2) + self.more[i])
    }

    /// The half at a pixel of the input, which may lie beyond.
    fn at(&self, input: &[u16], y: i64, x: i64, c: usize) -> u16 {
        let [h, w] = self.size.map(|d| d as i64);
        let inside = (0..h).contains(&y) && (0..w).contains(&x);
        if inside { input[(y * w + x) as usize * self.channels[0] + c] } else { 0 }
    }

    /// All results by the definition; `u` is `[position][oc][c]`.
    fn results(&self, input: &[u16], u: &[Vec<u16>], bias: &[f32]) -> Vec<u16> {
        let ([oh, ow], [c, oc]) = (self.out(), self.channels);
        let mut results = vec![0; oh * ow * oc];
        for (ty, tx) in (0..oh.div_ceil(4)).flat_map(|y| (0..ow.div_ceil(4)).map(move |x| (y, x))) {
            let [top, left] =
                [4 * ty as i64 - self.padding[0] as i64, 4 * tx as i64 - self.padding[1] as i64];
            let v: Vec<[[u16; 6]; 6]> = (0..c)
                .map(|k| {
                    let d = |y: usize, x: usize| self.at(input, top + y as i64, left + x as i64, k);
                    let columns: [[u16; 6]; 6] =
                        std::array::from_fn(|x| input_row(std::array::from_fn(|y| d(y, x))));
                    std::array::from_fn(|y| input_row(std::array::from_fn(|x| columns[x][y])))
                })
                .collect();
            for o in 0..oc {
                let m = |y: usize, x: usize| sum((0..c).map(|k| (u[6 * y + x][o * c + k], v[k][y][x])));
                let columns: [[f32; 4]; 6] =
                    std::array::from_fn(|x| output_row(std::array::from_fn(|y| m(y, x))));
                for y in 0..4usize.min(oh - 4 * ty) {
                    let row = output_row(std::array::from_fn(|x| columns[x][y]));
                    for (x, sum) in row.into_iter().enumerate().take(ow - 4 * tx) {
                        let result = self.range.clamp(sum + bias[o]);
                        results[((4 * ty + y) * ow + 4 * tx + x) * oc + o] = rounded(result);
                    }
                }
            }
        }
        results
    }

    /// Relative error of the results against the convolution in double precision.
    fn error(&self, input: &[u16], weights: &[f32], bias: &[f32], results: &[u16]) -> f64 {
        let ([_, ow], [c, oc], [py, px]) = (self.out(), self.channels, self.padding.map(|p| p as i64));
        let (mut noise, mut signal) = (0.0, 0.0);
        for (i, result) in results.iter().enumerate() {
            let (y, x, o) = ((i / oc / ow) as i64, (i / oc % ow) as i64, i % oc);
            let taps = (0..9).flat_map(|t| (0..c).map(move |k| (t, k)));
            let sum: f64 = taps
                .map(|(t, k)| {
                    let x = self.at(input, y - py + t as i64 / 3, x - px + t as i64 % 3, k);
                    f64::from(weights[(o * 9 + t) * c + k]) * value(x)
                })
                .sum();
            let exact = (sum + f64::from(bias[o])).clamp(self.range.least.into(), self.range.most.into());
            noise += (value(*result) - exact).powi(2);
            signal += exact * exact;
        }
        (noise / signal).sqrt()
    }

    /// `threads` and for how many there is scratch. Returns the relative error.
    fn check(&self, threads: &[(usize, usize)]) -> f64 {
        let mut seed = self.seed;
        let ([h, w], [oh, ow], [c, oc]) = (self.size, self.out(), self.channels);
        if oh * ow == 0 {
            return 0.0;
        }
        let input: Vec<u16> = (0..h * w * c).map(|_| self.half(&mut seed, 2.0)).collect();
        let scale = (2.0 / (9 * c) as f32).sqrt();
        let weights: Vec<f32> =
            (0..oc * 9 * c).map(|_| (next(&mut seed) as f32 / 2f32.powi(30) - 1.0) * scale).collect();
        let bias: Vec<f32> = (0..oc).map(|_| value(self.half(&mut seed, 1.0)) as f32).collect();
        let mut u = vec![vec![0; oc * c]; 36];
        let mut packed = vec![0; packed_len(self.panel, c, oc)];
        for (o, k) in (0..oc).flat_map(|o| (0..c).map(move |k| (o, k))) {
            let g = std::array::from_fn(|y| std::array::from_fn(|x| weights[(o * 9 + 3 * y + x) * c + k]));
            for (position, weight) in filter(g).into_iter().enumerate() {
                u[position][o * c + k] = weight;
                packed[index(self.panel, c, [o, position, k])] = weight;
            }
        }
        let results = self.results(&input, &u, &bias);
        let bytes = |halves: &[u16]| halves.iter().flat_map(|h| h.to_le_bytes()).map(|b| b as i8).collect();
        let (image, expected) =
            (Tensor::new([h, w, 2 * c], bytes(&input)), Tensor::new([oh, ow, 2 * oc], bytes(&results)));
        let mut padded = bias.clone();
        padded.resize(oc.next_multiple_of(self.panel), 0.0);
        for (isa, (threads, parts)) in Isa::available().flat_map(|isa| threads.iter().map(move |t| (isa, t)))
        {
            threads::set(*threads).unwrap();
            let mut arena = Arena::new();
            // Any address will do for tensors.
            arena.scratch(if self.gap % 2 == 1 { 1 } else { 0 });
            let input = arena.place(&image, image.shape[2] + 2 * self.gap);
            let output = arena.reserve(expected.shape, expected.shape[2] + 2 * self.gap);
            let one = scratch_bytes(self.panel, c, self.tiles_per_pass);
            let scratch = arena.scratch(if *parts == 1 { one } else { parts * scratch_per_thread(one) });
            let kernel = WinogradConv2dFloat {
                input,
                output,
                padding: self.padding.map(|p| p as u32),
                panel: self.panel as u32,
                weights: &packed,
                bias: &padded,
                range: self.range,
                tiles_per_pass: self.tiles_per_pass as u32,
                scratch,
            };
            let got = arena.run(&kernel, isa, &output, scratch);
            let differs = got.data.iter().zip(&expected.data).position(|(a, b)| a != b);
            let pixel = differs.map(|i| (i / 2 / oc / ow, i / 2 / oc % ow, i / 2 % oc));
            assert_eq!(pixel, None, "{} with {threads} threads: {self:?}", isa.name());
        }
        self.error(&input, &weights, &bias, &results)
    }
}

const RELU: FloatBounds = FloatBounds { least: 0.0, most: f32::INFINITY };

fn case(size: [usize; 2], channels: [usize; 2]) -> Case {
    Case {
        size,
        channels,
        padding: [1; 2],
        more: [0; 2],
        panel: 16,
        tiles_per_pass: 24.min(MOST_TILES),
        gap: 0,
        range: RELU,
        odd: 0,
        seed: 1,
    }
}

#[test]
fn layers_of_networks() {
    let _alone = alone();
    for (case, most) in [
        (case([13, 13], [16, 64]), 0.005),
        (case([9, 10], [64, 48]), 0.007),
        (Case { range: FloatBounds::ALL, ..case([4, 4], [8, 16]) }, 0.005),
        (Case { gap: 1, ..case([27, 30], [24, 33]) }, 0.006),
        // Two blocks of products, and part of a third.
        (case([6, 5], [264, 20]), 0.01),
        (Case { padding: [0; 2], tiles_per_pass: 1, ..case([7, 9], [16, 3]) }, 0.005),
        (Case { panel: 4, tiles_per_pass: 2, ..case([9, 9], [16, 10]) }, 0.005),
        (Case { panel: 8, tiles_per_pass: 5, ..case([9, 9], [16, 12]) }, 0.005),
    ] {
        let error = case.check(&[(1, 1)]);
        assert!(error < most, "{error}: {case:?}");
    }
}

/// Small enough for Miri.
#[test]
fn a_tile_and_a_part_of_one() {
    let _alone = alone();
    Case { panel: 4, tiles_per_pass: 1, gap: 1, ..case([3, 5], [8, 3]) }.check(&[(1, 1)]);
}

#[test]
fn any_number_of_threads() {
    let _alone = alone();
    for threads in some(&[[(1, 1), (2, 2)], [(3, 8), (5, 3)]], 1) {
        case([few(23, 6), few(20, 4)], [few(16, 8), few(16, 3)]).check(threads);
    }
    threads::set(1).unwrap();
}

#[test]
fn a_filter_is_transformed_in_double_precision() {
    // Of a filter of one weight in the middle, position [1, 1] is (p u)^2.
    let (p, q) = (0.625f64, 1.5f64);
    let u = 1.0 / (2.0 * p * p * (p * p - q * q));
    let middle = filter([[0.0; 3], [0.0, 2.0, 0.0], [0.0; 3]]);
    assert_eq!(middle[7], rounded((2.0 * (p * u) * (p * u)) as f32));
    assert_eq!((middle[0], middle[35], middle[8]), (0, 0, middle[7] | 0x8000));
    let corner = filter([[0.0; 3], [0.0; 3], [0.0, 0.0, -3.0]]);
    assert_eq!(corner[35], rounded(-3.0));
    assert_eq!(filter([[1e9; 3]; 3])[35], 0x7c00, "beyond half precision");
}

fn any_case() -> impl Strategy<Value = Case> {
    let pair = |range: std::ops::Range<usize>| [range.clone(), range];
    let sizes = (pair(1..14), 1usize..5, 1usize..40, pair(0..3), pair(0..2));
    let ways = (0usize..3, 1usize..=MOST_TILES, 0usize..3, 0u32..4, any::<u64>());
    (sizes, ways).prop_map(|((size, c, oc, padding, more), (panel, tiles_per_pass, gap, bounds, seed))| {
        Case {
            size,
            channels: [8 * c, oc],
            padding,
            more,
            panel: if seed.is_multiple_of(3) { [4, 8, 16][panel] } else { 16 },
            tiles_per_pass,
            gap,
            range: match bounds {
                0 => FloatBounds::ALL,
                1 => RELU,
                2 => FloatBounds { least: 0.0, most: 6.0 },
                // Bounds whose sign could be lost.
                _ => FloatBounds { least: -1.0, most: 0.0 },
            },
            odd: [0, 0, 9, 200][(seed >> 32) as usize % 4],
            seed,
        }
    })
}

proptest! {
    #![proptest_config(common::config(60, 1))]
    #[test]
    fn any_shape(case in any_case()) {
        let _alone = alone();
        case.check(&[(1, 1)]);
    }
}
