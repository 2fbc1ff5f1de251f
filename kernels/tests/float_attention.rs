//! Attention in floating point against its definition, to the last bit, and near what it should be in double precision.

mod common;
#[path = "common/floats.rs"]
mod floats;

use common::{Arena, few};
use floats::{Numbers, exp, number, random};
use niello_kernels::*;
use proptest::prelude::*;

/// What is computed, of tokens by channels.
#[derive(Clone, Debug)]
struct Case {
    tokens: usize,
    heads: usize,
    width: usize,
    shared: bool,
    rounds: usize,
    bucket: usize,
    /// `[rounds, columns, width]`.
    rotations: Vec<f32>,
    query: Numbers,
    key: Numbers,
    value: Numbers,
}

impl Case {
    fn part<'a>(&self, of: &'a Numbers, token: usize, head: usize) -> &'a [f32] {
        &of.data[(token * self.heads + head) * self.width..][..self.width]
    }

    /// The keys that each token of a head sees.
    fn seen(&self, head: usize) -> Vec<Vec<usize>> {
        if self.rounds == 0 {
            return vec![(0..self.tokens).collect(); self.tokens];
        }
        let columns = self.tokens / self.bucket / 2;
        let mut order = vec![];
        for round in 0..self.rounds {
            let bucket = |token: &usize| {
                let x = self.part(&self.query, *token, head);
                let turned = (0..columns)
                    .map(|i| dot(x, &self.rotations[(round * columns + i) * self.width..][..self.width]));
                let turned: Vec<f32> = turned.collect();
                let both = turned.iter().copied().chain(turned.iter().map(|x| -x));
                both.enumerate().reduce(|best, next| if next.1 > best.1 { next } else { best }).unwrap().0
            };
            let mut sorted: Vec<usize> = (0..self.tokens).collect();
            sorted.sort_by_key(bucket);
            order.extend(sorted);
        }
        let chunks: Vec<&[usize]> = order.chunks(self.bucket).collect();
        let mut seen = vec![vec![]; self.tokens];
        for (i, own) in chunks.iter().enumerate() {
            let before = chunks[if i == 0 { chunks.len() } else { i } - 1];
            own.iter().for_each(|token| seen[*token].extend(own.iter().chain(before)));
        }
        seen
    }

    fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }

    fn in_single_precision(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.query.data.len()];
        for head in 0..self.heads {
            let factor = |key: usize| {
                let k = self.part(&self.key, key, head);
                let length = dot(k, k).sqrt();
                if self.shared {
                    self.scale() / if length > 1e-12 { length } else { 1e-12 }
                } else {
                    self.scale()
                }
            };
            for (token, seen) in self.seen(head).iter().enumerate() {
                let query = self.part(&self.query, token, head);
                let is_masked = |key: &usize| self.shared && *key == token;
                let logits: Vec<f32> = seen
                    .iter()
                    .map(|key| dot(query, self.part(&self.key, *key, head)) * factor(*key))
                    .collect();
                let largest = seen.iter().zip(&logits).filter(|(key, _)| !is_masked(key));
                let largest = largest.fold(f32::NEG_INFINITY, |m, (_, l)| if *l > m { *l } else { m });
                let alone = seen.iter().all(is_masked);
                let weight = |(key, logit): (&usize, &f32)| match is_masked(key) {
                    true if alone => 1.0,
                    true => 0.0,
                    false => exp(logit - largest),
                };
                let weights: Vec<f32> = seen.iter().zip(&logits).map(weight).collect();
                let sum = weights.iter().fold(0.0, |sum, w| sum + w);
                for c in 0..self.width {
                    let products = seen.iter().zip(&weights);
                    let mixed = products
                        .fold(0.0, |sum, (key, w)| w.mul_add(self.part(&self.value, *key, head)[c], sum));
                    out[(token * self.heads + head) * self.width + c] = number(mixed / sum);
                }
            }
        }
        out
    }

    fn in_double_precision(&self) -> Vec<f64> {
        let mut out = vec![0.0; self.query.data.len()];
        let dot =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        for head in 0..self.heads {
            for (token, seen) in self.seen(head).iter().enumerate() {
                let query = self.part(&self.query, token, head);
                let logit = |key: &usize| {
                    let k = self.part(&self.key, *key, head);
                    let length = if self.shared { dot(k, k).sqrt().max(1e-12) } else { 1.0 };
                    if self.shared && *key == token {
                        -5e4
                    } else {
                        dot(query, k) / length / (self.width as f64).sqrt()
                    }
                };
                let logits: Vec<f64> = seen.iter().map(logit).collect();
                let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = logits.iter().map(|l| (l - largest).exp()).collect();
                for c in 0..self.width {
                    let values = seen.iter().map(|key| f64::from(self.part(&self.value, *key, head)[c]));
                    let mixed: f64 = values.zip(&weights).map(|(v, w)| v * w).sum();
                    out[(token * self.heads + head) * self.width + c] = mixed / weights.iter().sum::<f64>();
                }
            }
        }
        out
    }

    fn check(&self, to: Float, gap: usize) {
        let expected = Numbers::new(self.query.shape, to, {
            let results = self.in_single_precision();
            move |i| results[i]
        });
        for isa in Isa::available() {
            let mut arena = Arena::new();
            let mut place = |numbers: &Numbers| {
                let bytes = numbers.bytes();
                arena.place(&bytes, bytes.shape[2] + gap)
            };
            let (query, key, value) = (place(&self.query), place(&self.key), place(&self.value));
            let bytes = expected.bytes();
            let output = arena.reserve(bytes.shape, bytes.shape[2] + gap);
            let scratch = arena.scratch(Attention::scratch_bytes(self.tokens, self.rounds, self.bucket));
            let kernel = AttentionFloat {
                query,
                key: if self.shared { query } else { key },
                value,
                output,
                types: [self.query.float, self.key.float, self.value.float, to],
                heads: self.heads as u32,
                shared: self.shared,
                scale: self.scale(),
                rounds: self.rounds as u32,
                bucket: self.bucket as u32,
                rotations: &self.rotations,
                scratch,
            };
            assert_eq!(arena.run(&kernel, isa, &output, scratch), bytes, "on {}", isa.name());
        }
    }
}

/// Eight chains, and their sum as a tree.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut s = [0f32; 8];
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        s[i % 8] = a.mul_add(*b, s[i % 8]);
    }
    ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

fn float() -> impl Strategy<Value = Float> {
    prop_oneof![Just(Float::F16), Just(Float::F32)]
}

proptest! {
    #![proptest_config(common::config(64, 1))]

    #[test]
    fn every_bit(
        mut seed: u64, heads in 1..few(4, 3), width in 1..few(40, 10), chunks in 1..few(4, 3), bucket in 2..few(6, 3), rounds in 0..few(3, 2),
        types in [float(), float(), float(), float()], shared: bool, wild: bool, gap in 0usize..3,
    ) {
        let tokens = if rounds > 0 { 2 * chunks * bucket } else { chunks * bucket - 1 };
        let shape = [1, tokens, heads * width];
        let mut numbers = |i: usize| Numbers::random(shape, types[i], &mut seed, wild && i == 2);
        let (query, key, value) = (numbers(0), numbers(1), numbers(2));
        let rotations = (0..rounds * chunks * width).map(|_| random(&mut seed, false)).collect();
        let key = if shared { query.clone() } else { key };
        let case = Case { tokens, heads, width, shared, rounds, bucket, rotations, query, key, value };
        case.check(types[3], gap);
        if !wild {
            for (found, exact) in case.in_single_precision().iter().zip(case.in_double_precision()) {
                prop_assert!((f64::from(*found) - exact).abs() < 2e-5, "{found} for {exact}");
            }
        }
    }
}

#[test]
fn a_token_that_is_alone_sees_itself() {
    let one = |values: &[f32]| Numbers::new([1, 1, 2], Float::F32, |i| values[i]);
    let (query, value) = (one(&[3.0, 4.0]), one(&[0.25, -7.0]));
    let key = query.clone();
    let case = Case {
        tokens: 1,
        heads: 1,
        width: 2,
        shared: true,
        rounds: 0,
        bucket: 0,
        rotations: vec![],
        query,
        key,
        value,
    };
    assert_eq!(case.in_single_precision(), [0.25, -7.0]);
    case.check(Float::F32, 0);
}

#[test]
fn lengths_are_square_roots() {
    // The factor of a key shows in the result: one token's logit, of one channel, is the sign of its neighbour times itself.
    for x in [1e-30f32, 1e-22, 1e-20, 1e-15, 3e-13, 0.1, 0.3, 3.0, 1e10, 1e18, 2e19] {
        let query = Numbers::new([1, 3, 1], Float::F32, |i| x * (i as f32 + 1.0));
        let value = Numbers::new([1, 3, 1], Float::F32, |i| i as f32);
        let key = query.clone();
        Case {
            tokens: 3,
            heads: 1,
            width: 1,
            shared: true,
            rounds: 0,
            bucket: 0,
            rotations: vec![],
            query,
            key,
            value,
        }
        .check(Float::F32, 1);
    }
}
