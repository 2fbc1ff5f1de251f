//! Attention in fixed point: over all tokens, or over those that a hash brings together.
//!
//! The pixels of a map are tokens, in row-major order; head `h` owns the channels from `h * width` on. Every query looks at some
//! keys, and its result is the mean of their values, weighted by the softmax of its logits.
//!
//! With hashing these keys are those of locality-sensitive hashing (Kitaev et al., ICLR 2020, arXiv 2001.04451). In each round a
//! token's bucket is the first largest of `[xR, -xR]`; the tokens sorted by (bucket, position) are cut into chunks, and all
//! rounds' chunks form one sequence. A token sees its own chunk and the one before, in every round. The rounds' results are
//! mixed by the softmax of their log-sum-exp: with the sum `S_r = sum over j of exp(l_rj)` of a round that is
//!
//! ```text
//! sum over r of (S_r / sum of all S) * (sum over j of exp(l_rj) v_rj / S_r) = sum over r, j of exp(l_rj) v_rj / sum of all exp(l_rj)
//! ```
//!
//! so one softmax over all keys that a token sees in all rounds, each as often as it is seen. `docs/arithmetic.md` has the integers.

pub(crate) mod chunks;

use crate::{
    Memory, Multiplier, Operand, OutputParams, Region, Rounding,
    base::{
        isa::Vectorize,
        memory::{Channels, In, Out, in_blocks, put},
        scratch::I32Scratch,
    },
    ops::softmax::exp_on_negative,
};
use chunks::{Chunks, Hashing};

/// Softmax attention of several heads, without a causal mask. No operand may overlap `output`.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// `[h, w, heads * width]`, with `width` up to [`MAX_WIDTH`] and up to [`MAX_TOKENS`] pixels.
    pub query: Operand,
    /// Of the same shape; the same operand as `query` where both are shared.
    pub key: Operand,
    /// Of the same shape.
    pub value: Operand,
    /// Of the same shape.
    pub output: Operand,
    /// How many heads share the channels.
    pub heads: u32,
    /// Zero point of `query`.
    pub query_zero_point: i8,
    /// Zero point of `key`.
    pub key_zero_point: i8,
    /// Zero point of `value`.
    pub value_zero_point: i8,
    /// Whether keys are divided by their length, and no token sees itself while it sees another: attention with shared queries and keys.
    pub shared: bool,
    /// From differences of logits to Q5.26, from [`Attention::parameters`].
    pub scale: Multiplier,
    /// Negative or 0, from [`Attention::parameters`]: keys whose logit is further below the largest one have the weight 0.
    pub min_difference: i32,
    /// Rounds of hashing; 0: every token sees all.
    pub rounds: u32,
    /// Tokens of a chunk, at least 2; `2 * bucket` divides the number of tokens.
    pub bucket: u32,
    /// By round: `tokens / bucket / 2` columns of `width` codes, at most [`Attention::largest_rotation`] in size.
    pub rotations: &'a [i16],
    /// `s_value / (2^22 * s_out)`, at most 1.
    pub multiplier: Multiplier,
    /// Zero point, clamp and rounding of the output.
    pub stage: OutputParams,
    /// [`Attention::scratch_bytes`].
    pub scratch: Region,
}

/// The widest head: the difference of two logits fits 32 bits.
pub const MAX_WIDTH: usize = 4096;
/// The most tokens: a position fits 16 bits.
pub const MAX_TOKENS: usize = 65_535;
/// The most keys that a query may see: the sum of their weights times values fits 32 bits.
pub const MAX_KEYS: usize = 1 << 20;
/// Fraction bits of normalised logits.
const LOGIT_BITS: i32 = 16;
/// Fraction bits of the reciprocal square root.
const ROOT_BITS: i32 = 30;
/// Fraction bits of weights.
const WEIGHT_BITS: i32 = 22;

impl Attention<'_> {
    /// Scale and smallest difference for real logits of `step` between neighbouring products of query and key codes: `s_query /
    /// sqrt(width)` of normalised keys, else `s_query * s_key / sqrt(width)`. `None` if the scale is NaN or out of range.
    pub fn parameters(step: f64, shared: bool) -> Option<(Multiplier, i32)> {
        let fraction = if shared { LOGIT_BITS } else { 0 };
        let scale = Multiplier::from_real(step * ((1i64 << 26) >> fraction) as f64)?;
        // Rescaled differences fit 5 integer bits.
        let limit = (31i64 << 26) as f64 / scale.to_real();
        Some((scale, -(limit.min(i32::MAX as f64) as i32)))
    }

    /// The factor of [`Attention::multiplier`] for the scales of values and output.
    pub fn multiplier(value_scale: f64, output_scale: f64) -> Option<Multiplier> {
        Multiplier::from_real(value_scale / output_scale / (1u64 << WEIGHT_BITS) as f64)
            .filter(|m| m.shift <= 0)
    }

    /// The largest code of a rotation: the dot product with `width` differences of codes fits 32 bits.
    pub const fn largest_rotation(width: usize) -> i16 {
        match (i32::MAX as usize).checked_div(255 * width) {
            Some(largest) if largest < i16::MAX as usize => largest as i16,
            _ => i16::MAX,
        }
    }

    /// How many keys each query sees.
    pub const fn keys(tokens: usize, rounds: usize, bucket: usize) -> usize {
        Hashing { tokens, rounds, bucket }.keys()
    }

    /// Scratch: reciprocals of lengths, the keys that a query sees and their weights, and for hashing the order of tokens, its
    /// inverse, buckets and their sizes.
    pub const fn scratch_bytes(tokens: usize, rounds: usize, bucket: usize) -> usize {
        let hashing = Hashing { tokens, rounds, bucket };
        let words = tokens.saturating_add(hashing.keys());
        words.saturating_mul(4).saturating_add(hashing.scratch_bytes())
    }
}

/// Operands and scratch of one call, checked.
struct AttentionHeads<'m, 'k> {
    kernel: &'k Attention<'k>,
    query: In<'m>,
    key: In<'m>,
    value: In<'m>,
    output: Out<'m>,
    hashing: Hashing,
    width: usize,
    /// Of every key: the reciprocal of its length.
    reciprocals: I32Scratch<'m>,
    /// Of every key that a query sees: its logit, then its weight.
    weights: I32Scratch<'m>,
    chunks: Chunks<'m>,
}

impl Attention<'_> {
    fn heads<'m>(&'m self, mem: &Memory<'m>) -> Option<AttentionHeads<'m, 'm>> {
        let (query, key, value) = (mem.read(&self.query)?, mem.read(&self.key)?, mem.read(&self.value)?);
        let (output, scratch) = (mem.write(&self.output)?, mem.scratch(self.scratch)?);
        let shape = output.shape();
        let [h, w, c] = shape;
        let [heads, rounds, bucket] = [self.heads, self.rounds, self.bucket].map(|n| n as usize);
        let (tokens, width) = (h * w, c.checked_div(heads)?);
        let hashing = Hashing { tokens, rounds, bucket };
        let sizes = tokens > 0
            && tokens <= MAX_TOKENS
            && (1..=MAX_WIDTH).contains(&width)
            && heads * width == c
            && [query, key, value].iter().all(|operand| operand.shape() == shape)
            && hashing.keys() <= MAX_KEYS;
        let rotations = rounds == 0
            || self.rotations.len() == rounds.saturating_mul(hashing.columns()).saturating_mul(width)
                && self.rotations.iter().all(|r| r.unsigned_abs() <= Self::largest_rotation(width) as u16);
        let scratch = scratch.get(..Self::scratch_bytes(tokens, rounds, bucket))?;
        let apart = !output.overlaps(scratch);
        let multipliers = self.multiplier.mantissa >= 0
            && (-31..=0).contains(&self.multiplier.shift)
            && (-31..=30).contains(&self.scale.shift);
        if !(sizes && hashing.fits() && rotations && apart && multipliers) {
            return None;
        }
        let (reciprocals, rest) = I32Scratch::split(scratch, tokens)?;
        let (weights, rest) = I32Scratch::split(rest, hashing.keys())?;
        let chunks = Chunks::new(hashing, rest)?;
        Some(AttentionHeads {
            kernel: self,
            query,
            key,
            value,
            output,
            hashing,
            width,
            reciprocals,
            weights,
            chunks,
        })
    }
}

crate::schedule::kernel!(Attention<'a>, |attention| {
    check: |mem| attention.heads(mem),
    run: |heads, isa| isa.vectorize(heads),
});

impl Vectorize for AttentionHeads<'_, '_> {
    #[inline(always)]
    fn run(self) {
        for head in 0..self.kernel.heads as usize {
            self.head(head * self.width);
        }
    }
}

impl AttentionHeads<'_, '_> {
    /// One head, whose channels begin at `first`.
    #[inline(always)]
    fn head(&self, first: usize) {
        if self.kernel.shared {
            let zero = self.kernel.key_zero_point;
            for token in 0..self.hashing.tokens {
                let key = self.key.nth(token);
                let squares = dot(key, zero, key, zero, first, self.width);
                self.reciprocals.set(token, reciprocal_root(squares));
            }
        }
        for round in 0..self.hashing.rounds {
            self.chunks.sort(round, |token| self.hash(first, round, token));
        }
        self.chunks.see_all();
        let keys = self.hashing.keys();
        for token in 0..self.hashing.tokens {
            self.attend(first, token, keys);
        }
    }

    /// Index of the first largest of `[xR, -xR]`.
    #[inline(always)]
    fn hash(&self, first: usize, round: usize, token: usize) -> usize {
        let columns = self.hashing.columns();
        let query = self.query.nth(token);
        let zero = self.kernel.query_zero_point as i16;
        let (mut largest, mut at_largest) = (i32::MIN, 0);
        let (mut smallest, mut at_smallest) = (i32::MAX, 0);
        for i in 0..columns {
            let column = self.kernel.rotations.get((round * columns + i) * self.width..).unwrap_or_default();
            let mut sum = 0i32;
            in_blocks!(at in self.width, N => {
                if let Some(column) = column.get(at..).and_then(|rest| rest.first_chunk::<N>()) {
                    for (q, r) in query.block::<N>(first + at).iter().zip(column) {
                        sum = sum.wrapping_add((*q as i16 - zero) as i32 * *r as i32);
                    }
                }
            });
            if sum > largest {
                (largest, at_largest) = (sum, i);
            }
            if sum < smallest {
                (smallest, at_smallest) = (sum, i);
            }
        }
        // No sum is `i32::MIN`: rotations are bounded.
        if largest >= -smallest { at_largest } else { columns + at_smallest }
    }

    /// The result of one token.
    #[inline(always)]
    fn attend(&self, first: usize, token: usize, keys: usize) {
        self.chunks.look(token);
        let query = self.query.nth(token);
        let (zero, key_zero) = (self.kernel.query_zero_point, self.kernel.key_zero_point);
        let is_masked = |key: usize| self.kernel.shared && key == token;
        let mut largest = None;
        for i in 0..keys {
            let key = self.chunks.seen(i);
            if is_masked(key) {
                continue;
            }
            let product = dot(query, zero, self.key.nth(key), key_zero, first, self.width);
            let logit = if self.kernel.shared {
                let cosine = product as i64 * self.reciprocals.get(key) as i64;
                let shift = ROOT_BITS - LOGIT_BITS;
                ((cosine + (1 << (shift - 1))) >> shift) as i32
            } else {
                product
            };
            self.weights.set(i, logit);
            largest = Some(largest.map_or(logit, |largest: i32| largest.max(logit)));
        }
        let mut sum = 0i64;
        for i in 0..keys {
            let weight = match largest {
                Some(_) if is_masked(self.chunks.seen(i)) => 0,
                Some(largest) => self.exponential(self.weights.get(i).wrapping_sub(largest)),
                // A token that sees nobody else sees itself.
                None => i32::MAX,
            };
            self.weights.set(i, weight);
            sum += weight as i64;
        }
        for i in 0..keys {
            let weight = ((self.weights.get(i) as i64) << WEIGHT_BITS) + sum / 2;
            self.weights.set(i, weight.checked_div(sum).unwrap_or(0) as i32);
        }
        let out = self.output.nth(token);
        let value_zero = self.kernel.value_zero_point as i32;
        in_blocks!(at in self.width, N => {
            let mut sums = [0i32; N];
            for i in 0..keys {
                let weight = self.weights.get(i);
                if weight != 0 {
                    let values = self.value.nth(self.chunks.seen(i)).block::<N>(first + at);
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum = sum.wrapping_add(weight * (value as i32 - value_zero));
                    }
                }
            }
            put(out, first + at, sums.map(|sum| self.kernel.stage.store(sum, self.kernel.multiplier)));
        });
    }

    /// `exp` of a logit's difference to the largest one, in Q0.31.
    #[inline(always)]
    fn exponential(&self, difference: i32) -> i32 {
        if difference < self.kernel.min_difference {
            return 0;
        }
        exp_on_negative(self.kernel.scale.apply(difference, Rounding::Single).min(0))
    }
}

/// `sum of (a - za) * (b - zb)` over `len` channels from `first` on.
#[inline(always)]
fn dot(a: Channels<'_>, za: i8, b: Channels<'_>, zb: i8, first: usize, len: usize) -> i32 {
    // Factors of 16 bits: vectors multiply and add them in pairs.
    let (za, zb) = (za as i16, zb as i16);
    let mut sum = 0i32;
    in_blocks!(at in len, N => {
        for (a, b) in a.block::<N>(first + at).iter().zip(b.block::<N>(first + at)) {
            sum = sum.wrapping_add((*a as i16 - za) as i32 * (b as i16 - zb) as i32);
        }
    });
    sum
}

/// `floor(2^30 / sqrt(n))`, exactly; 0 for a key of length 0, whose products are 0 anyway.
fn reciprocal_root(n: i32) -> i32 {
    match (1u64 << (2 * ROOT_BITS)).checked_div(n.max(0) as u64) {
        // floor(sqrt(floor(x))) = floor(sqrt(x)).
        Some(quotient) => quotient.isqrt() as i32,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reciprocal_roots_are_exact() {
        assert_eq!(reciprocal_root(0), 0);
        let numbers = (1..70_000).chain((1..2000).map(|i| i * 1_073_741));
        for n in numbers.step_by(if cfg!(miri) { 701 } else { 1 }).chain([i32::MAX]) {
            let r = reciprocal_root(n) as u128;
            // r <= 2^30 / sqrt(n) < r + 1
            assert!(r * r * n as u128 <= 1 << 60 && (r + 1) * (r + 1) * n as u128 > 1 << 60, "{n}: {r}");
        }
    }

    #[test]
    fn the_largest_rotation_is_the_largest() {
        for width in [1, 64, 257, 258, 4096] {
            let largest = Attention::largest_rotation(width) as u64;
            assert!(largest * 255 * width as u64 <= i32::MAX as u64);
            assert!(largest == 32_767 || (largest + 1) * 255 * width as u64 > i32::MAX as u64);
        }
    }

    #[test]
    fn parameters_bound_the_rescaled_difference() {
        for (step, shared) in [(0.05, true), (1e-4, true), (3.0, true), (1e-4, false), (0.3, false)] {
            let (scale, min) = Attention::parameters(step, shared).unwrap();
            let lowest = scale.apply(min, Rounding::Single) as f64;
            assert!(
                lowest >= -(2f64.powi(31)) && (lowest <= -30.9 * 2f64.powi(26) || min == -i32::MAX),
                "{step}"
            );
        }
        assert_eq!(Attention::parameters(f64::NAN, true), None);
        assert_eq!(Attention::parameters(-1.0, true), None);
    }
}
