//! Convolution in floating point against the definition, for any shape, any types and every instruction set: the same bits.

#[path = "common/halves.rs"]
mod by_definition;
mod common;

use by_definition::{fused_half, next, rounded, value};
use common::{Arena, Tensor, alone, few};
use niello_kernels::{
    conv::scratch_per_thread,
    float::conv::{default_chunk, packed_index},
    *,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Case {
    size: [usize; 2],
    /// Per group.
    channels: [usize; 2],
    groups: usize,
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: [usize; 2],
    /// Rows and columns of the output beyond those that windows within the padding give.
    more: [usize; 2],
    transposed: bool,
    types: [Float; 2],
    halves: bool,
    native: bool,
    panel: usize,
    pixels_per_pass: u32,
    /// Numbers between pixels.
    gap: usize,
    range: FloatBounds,
    /// One number in so many is out of the ordinary; 0 for none.
    odd: u32,
    seed: u64,
}

/// Numbers, as they are stored.
struct Numbers {
    single: Vec<f32>,
    half: Vec<u16>,
}

impl Case {
    fn number(&self, seed: &mut u64, to: Float, scale: f32) -> f32 {
        let bits = next(seed);
        let x = (bits as f32 / 2f32.powi(30) - 1.0) * scale;
        let x = if self.odd > 0 && next(seed).is_multiple_of(self.odd) {
            let odd = [0.0, -0.0, 1e-7, -6e-8, 6e4, -6e4, f32::INFINITY, f32::NAN, -1e-5, 300.0];
            odd[next(seed) as usize % odd.len()]
        } else {
            x
        };
        if to == Float::F16 && !x.is_nan() { value(rounded(x)) as f32 } else { x }
    }

    fn numbers(&self, n: usize, to: Float, scale: f32, seed: &mut u64) -> Numbers {
        let single: Vec<f32> = (0..n).map(|_| self.number(seed, to, scale)).collect();
        let half = single.iter().map(|x| if x.is_nan() { 0x7e00 } else { rounded(*x) }).collect();
        Numbers { single, half }
    }

    fn out(&self) -> [usize; 2] {
        [0, 1].map(|i| {
            let span = (self.kernel[i] - 1) * self.dilation[i] + 1;
            if self.transposed {
                return ((self.size[i] - 1) * self.stride[i] + span).saturating_sub(2 * self.padding[i])
                    + self.more[i];
            }
            let room = (self.size[i] + 2 * self.padding[i]).checked_sub(span);
            room.map_or(0, |room| room / self.stride[i] + 1) + self.more[i]
        })
    }

    fn all(&self) -> [usize; 2] {
        self.channels.map(|c| c * self.groups)
    }

    /// One result by the definition; weights `[oc][ky][kx][c]`.
    fn result(&self, input: &Numbers, weights: &Numbers, bias: f32, at: [usize; 3]) -> f32 {
        let ([oy, ox, oc], [kh, kw], [cin, cout]) = (at, self.kernel, self.channels);
        let (mut sum, mut chain, mut count) = (bias, 0u16, 0);
        let meets = |o: usize, k: usize, axis: usize| {
            let (o, k, s, p) = (o as i64, k as i64, self.stride[axis] as i64, self.padding[axis] as i64);
            if self.transposed {
                return ((o + p - k).rem_euclid(s) == 0).then(|| (o + p - k).div_euclid(s));
            }
            Some(o * s - p + k * self.dilation[axis] as i64)
        };
        for (ky, kx) in (0..kh).flat_map(|ky| (0..kw).map(move |kx| (ky, kx))) {
            let (Some(y), Some(x)) = (meets(oy, ky, 0), meets(ox, kx, 1)) else { continue };
            let [h, w] = self.size.map(|d| d as i64);
            let inside = (0..h).contains(&y) && (0..w).contains(&x);
            for c in 0..cin {
                let from =
                    ((y * w + x) as usize).wrapping_mul(self.all()[0]).wrapping_add(oc / cout * cin + c);
                let weight = ((oc * kh + ky) * kw + kx) * cin + c;
                if !self.native {
                    let x = if inside { input.single[from] } else { 0.0 };
                    sum = f32::mul_add(weights.single[weight], x, sum);
                    continue;
                }
                chain = fused_half(weights.half[weight], if inside { input.half[from] } else { 0 }, chain);
                count += 1;
                if count % 128 == 0 {
                    (sum, chain) = (sum + value(chain) as f32, 0);
                }
            }
        }
        if self.native && count % 128 != 0 {
            sum += value(chain) as f32;
        }
        self.range.clamp(sum)
    }

    /// Bytes of numbers of type `to`.
    fn bytes(to: Float, numbers: &Numbers) -> Vec<i8> {
        let bytes: Vec<u8> = match to {
            Float::F16 => numbers.half.iter().flat_map(|h| h.to_le_bytes()).collect(),
            Float::F32 => numbers.single.iter().flat_map(|x| x.to_le_bytes()).collect(),
        };
        bytes.into_iter().map(|b| b as i8).collect()
    }

    fn check(&self) {
        self.check_with(&[(1, 1)]);
    }

    /// `threads` and for how many there is scratch.
    fn check_with(&self, threads: &[(usize, usize)]) {
        let mut seed = self.seed;
        let ([h, w], [oh, ow], [c, oc], [cin, cout]) = (self.size, self.out(), self.all(), self.channels);
        if oh * ow == 0 {
            return;
        }
        let taps = self.kernel[0] * self.kernel[1];
        let input = self.numbers(h * w * c, self.types[0], 2.0, &mut seed);
        let of_weights = if self.halves { Float::F16 } else { Float::F32 };
        let plain = self.numbers(oc * taps * cin, of_weights, 0.5, &mut seed);
        let bias = self.numbers(oc, Float::F32, 1.0, &mut seed).single;
        let mut results = Numbers { single: vec![], half: vec![] };
        for at in (0..oh * ow * oc).map(|i| [i / oc / ow, i / oc % ow, i % oc]) {
            let x = self.result(&input, &plain, bias[at[2]], at);
            results.single.push(x);
            results.half.push(rounded(x));
        }
        let expected =
            Tensor::new([oh, ow, oc * self.types[1].bytes()], Self::bytes(self.types[1], &results));

        let padded = cout.next_multiple_of(self.panel);
        let mut weights = vec![0.0f32; self.groups * padded * taps * cin];
        let mut halves = vec![0u16; weights.len()];
        let mut biases = vec![0.0; self.groups * padded];
        for (group, channel) in (0..self.groups).flat_map(|g| (0..cout).map(move |c| (g, c))) {
            biases[group * padded + channel] = bias[group * cout + channel];
            for (tap, k) in (0..taps).flat_map(|t| (0..cin).map(move |k| (t, k))) {
                let at = if self.panel == 1 {
                    tap * c + group
                } else {
                    packed_index(self.panel, [taps, cin], cout, [group, channel, tap, k])
                };
                let from = ((group * cout + channel) * taps + tap) * cin + k;
                (weights[at], halves[at]) = (plain.single[from], plain.half[from]);
            }
        }
        if self.halves {
            weights.clear()
        } else {
            halves.clear()
        }

        let image = Tensor::new([h, w, c * self.types[0].bytes()], Self::bytes(self.types[0], &input));
        for isa in Isa::available() {
            for (threads, parts) in threads {
                threads::set(*threads).unwrap();
                let mut arena = Arena::new();
                // Any address will do for tensors.
                arena.scratch(if self.gap % 2 == 1 { 1 } else { 0 });
                let place = |bytes: usize, to: Float| bytes + self.gap * to.bytes();
                let input = arena.place(&image, place(image.shape[2], self.types[0]));
                let output = arena.reserve(expected.shape, place(expected.shape[2], self.types[1]));
                let pair = |p: [usize; 2]| p.map(|d| d as u32);
                let kernel = Conv2dFloat {
                    input,
                    output,
                    types: self.types,
                    kernel: pair(self.kernel),
                    stride: pair(self.stride),
                    dilation: pair(self.dilation),
                    padding: pair(self.padding),
                    transposed: self.transposed,
                    groups: self.groups as u32,
                    panel: self.panel as u32,
                    weights: &weights,
                    halves: &halves,
                    bias: &biases,
                    range: self.range,
                    native: self.native,
                    pixels_per_pass: self.pixels_per_pass,
                    scratch: Region::EMPTY,
                };
                let scratch = arena.scratch(match parts {
                    1 => kernel.scratch_bytes(),
                    parts => parts * scratch_per_thread(kernel.scratch_bytes()),
                });
                let got = arena.run(&Conv2dFloat { scratch, ..kernel }, isa, &output, scratch);
                let differs = got.data.iter().zip(&expected.data).position(|(a, b)| a != b);
                let pixel = differs.map(|i| {
                    let number = i / self.types[1].bytes();
                    (number / oc / ow, number / oc % ow, number % oc)
                });
                assert_eq!(pixel, None, "{} with {threads} threads: {self:?}", isa.name());
            }
        }
    }
}

const RELU: FloatBounds = FloatBounds { least: 0.0, most: f32::INFINITY };

fn case(kernel: usize, channels: [usize; 2]) -> Case {
    Case {
        size: [9, 11],
        channels,
        groups: 1,
        kernel: [kernel; 2],
        stride: [1; 2],
        dilation: [1; 2],
        padding: [kernel / 2; 2],
        more: [0; 2],
        transposed: false,
        types: [Float::F32; 2],
        halves: false,
        native: false,
        panel: 16,
        pixels_per_pass: default_chunk(16),
        gap: 0,
        range: FloatBounds::ALL,
        odd: 0,
        seed: 1,
    }
}

fn halves(case: Case) -> Case {
    Case { types: [Float::F16; 2], halves: true, range: RELU, ..case }
}

fn native(case: Case) -> Case {
    Case { native: true, ..halves(case) }
}

#[test]
fn layers_of_networks() {
    let _alone = alone();
    for of in [|c| c, halves, native] {
        for (kernel, channels) in [
            (1, [64, 16]),
            (1, [33, 40]),
            (3, [16, 64]),
            (3, [8, 3]),
            (3, [3, 16]),
            (5, [7, 17]),
            (1, [300, 32]),
        ] {
            of(case(kernel, channels)).check();
        }
        of(Case { stride: [2; 2], padding: [0; 2], size: [23, 23], ..case(7, [3, 96]) }).check();
        of(Case { dilation: [2, 3], padding: [2, 3], ..case(3, [16, 16]) }).check();
        of(Case { groups: 3, gap: 1, ..case(3, [4, 20]) }).check();
        of(Case { groups: 70, panel: 1, ..case(3, [1, 1]) }).check();
        of(Case { transposed: true, stride: [2; 2], padding: [1; 2], more: [1; 2], ..case(3, [24, 18]) })
            .check();
        // Wider than a pass.
        of(Case { size: [2, 211], ..case(3, [8, 16]) }).check();
    }
}

#[test]
fn any_number_of_threads() {
    let _alone = alone();
    let threads = [(1, 1), (2, 2), (3, 8), (5, 3), (2, 1)];
    for of in [|c| c, halves, native] {
        of(Case { size: [19, 20], ..case(3, [16, 16]) }).check_with(&threads);
        of(Case { size: [40, 21], ..case(1, [16, 24]) }).check_with(&threads);
        of(Case { size: [13, 12], transposed: true, stride: [2; 2], padding: [1; 2], ..case(4, [16, 16]) })
            .check_with(&threads);
        of(Case { size: [33, 40], groups: 20, panel: 1, ..case(3, [1, 1]) }).check_with(&threads);
    }
    threads::set(1).unwrap();
}

fn any_case() -> impl Strategy<Value = Case> {
    let pair = |range: std::ops::Range<usize>| [range.clone(), range];
    let sizes = (
        pair(1..few(9, 4)),
        (1..few(40, 4), 1..few(40, 6)),
        1..few(4, 3),
        pair(1..few(5, 3)),
        pair(1..4),
        pair(1..4),
        pair(0..few(4, 2)),
    );
    let ways = (any::<[bool; 6]>(), 0usize..4, 1u32..120, 0usize..3, 0u32..4, any::<u64>());
    (sizes, ways).prop_map(|(sizes, ways)| {
        let (size, (cin, cout), groups, kernel, stride, dilation, padding) = sizes;
        let (
            [transposed, in_half, out_half, weights_half, native, more],
            panel,
            pixels_per_pass,
            gap,
            bounds,
            seed,
        ) = ways;
        let panel = [1, 4, 8, 16][panel];
        let panel = if panel == 1 || seed.is_multiple_of(3) { panel } else { 16 };
        let float = |half: bool| if half { Float::F16 } else { Float::F32 };
        let channels = if panel == 1 { [1, 1] } else { [cin, cout] };
        Case {
            size,
            channels,
            groups: if panel == 1 { groups * 13 } else { groups },
            kernel,
            stride,
            dilation: if transposed { [1; 2] } else { dilation },
            padding,
            more: [usize::from(more), 0],
            transposed,
            types: if native { [Float::F16; 2] } else { [float(in_half), float(out_half)] },
            halves: native || weights_half,
            native,
            panel,
            pixels_per_pass,
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
    #![proptest_config(common::config(400, 2))]
    #[test]
    fn any_shape(case in any_case()) {
        let _alone = alone();
        case.check();
    }
}
