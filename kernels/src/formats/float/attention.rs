//! Attention: over all tokens, or over those that a hash brings together.

use super::{
    Float,
    exp::{exp, sqrt},
    fused, number,
};
use crate::{
    Attention, Memory, Operand, Region,
    base::{
        isa::Vectorize,
        memory::{Channels, Encoding as _, In, Out, in_lanes},
        scratch::I32Scratch,
    },
    ops::attention::{
        MAX_TOKENS,
        chunks::{Chunks, Hashing},
    },
};

/// Softmax attention of several heads, without a causal mask: what [`crate::ops::attention`] says, in single precision. No operand may overlap
/// `output`.
///
/// ```text
/// a . b = eight chains: for c: s[c mod 8] = fused(a[c], b[c], s[c mod 8]), all from +0, and then
///         ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7))
/// factor of a key = scale, or scale / max(sqrt(k . k), 1e-12) where queries are the keys; the root correctly rounded
/// l = (q . k) * factor
/// m = the largest l, from minus infinity on: m = l if l > m else m
/// e = exp(l - m), s = +0 + e + e + ...              over the keys that the query sees, in order
/// out = (+0 + e * v, fused, + e * v, fused, ...) / s  the same keys, in order
/// ```
///
/// The keys are all tokens in order; or by round those of the token's own chunk, then those of the one before. Where queries are the keys,
/// the token itself is left out, with `e = 0`; if it sees nobody else, all its `e` are 1. A bucket is the first largest of `[xR, -xR]`:
/// among `x . r` of the columns `r` the first largest and the first smallest, of which the largest wins a tie. NaN
/// never wins; in a result it becomes [`number`]'s.
#[derive(Clone, Copy, Debug)]
pub struct AttentionFloat<'a> {
    /// `[h, w, heads * width]`, with up to [`MAX_TOKENS`] pixels.
    pub query: Operand,
    /// Of the same height, width and channels; the same operand as `query` where both are shared.
    pub key: Operand,
    /// Of the same height, width and channels.
    pub value: Operand,
    /// Of the same height, width and channels.
    pub output: Operand,
    /// Types of `query`, `key`, `value`, `output`.
    pub types: [Float; 4],
    /// How many heads share the channels.
    pub heads: u32,
    /// Whether keys are divided by their length, and no token sees itself while it sees another: attention with shared queries and keys.
    pub shared: bool,
    /// The factor of products: `1 / sqrt(width)`.
    pub scale: f32,
    /// Rounds of hashing; 0: every token sees all.
    pub rounds: u32,
    /// Tokens of a chunk, at least 2; `2 * bucket` divides the number of tokens.
    pub bucket: u32,
    /// By round: `tokens / bucket / 2` columns of `width` numbers.
    pub rotations: &'a [f32],
    /// [`Attention::scratch_bytes`].
    pub scratch: Region,
}

/// Partial sums of a dot product.
const LANES: usize = 8;

/// Operands and scratch of one call, checked.
struct AttentionHeads<'m, 'k> {
    kernel: AttentionFloat<'k>,
    query: In<'m>,
    key: In<'m>,
    value: In<'m>,
    output: Out<'m>,
    hashing: Hashing,
    width: usize,
    /// Of every key: what its products are multiplied by.
    factors: I32Scratch<'m>,
    /// Of every key that a query sees: its logit, then its weight.
    weights: I32Scratch<'m>,
    chunks: Chunks<'m>,
}

impl<'k> AttentionFloat<'k> {
    fn heads<'m>(&self, mem: &Memory<'m>) -> Option<AttentionHeads<'m, 'k>> {
        let (query, key, value) = (mem.read(&self.query)?, mem.read(&self.key)?, mem.read(&self.value)?);
        let (output, scratch) = (mem.write(&self.output)?, mem.scratch(self.scratch)?);
        let numbers = |float: Float, [h, w, bytes]: [usize; 3]| Some([h, w, float.count(bytes)?]);
        let [of_query, of_key, of_value, to] = self.types;
        let shape @ [h, w, c] = numbers(to, output.shape())?;
        let [heads, rounds, bucket] = [self.heads, self.rounds, self.bucket].map(|n| n as usize);
        let (tokens, width) = (h * w, c.checked_div(heads)?);
        let hashing = Hashing { tokens, rounds, bucket };
        let sizes = (1..=MAX_TOKENS).contains(&tokens)
            && width > 0
            && heads * width == c
            && numbers(of_query, query.shape()) == Some(shape)
            && numbers(of_key, key.shape()) == Some(shape)
            && numbers(of_value, value.shape()) == Some(shape);
        let rotations = rounds == 0
            || self.rotations.len() == rounds.saturating_mul(hashing.columns()).saturating_mul(width);
        let scratch = scratch.get(..Attention::scratch_bytes(tokens, rounds, bucket))?;
        if !(sizes && hashing.fits() && rotations && !output.overlaps(scratch)) {
            return None;
        }
        let (factors, rest) = I32Scratch::split(scratch, tokens)?;
        let (weights, rest) = I32Scratch::split(rest, hashing.keys())?;
        let chunks = Chunks::new(hashing, rest)?;
        Some(AttentionHeads {
            kernel: *self,
            query,
            key,
            value,
            output,
            hashing,
            width,
            factors,
            weights,
            chunks,
        })
    }
}

crate::schedule::kernel!(AttentionFloat<'a>, |attention| {
    check: |mem| attention.heads(mem),
    run: |heads, isa| isa.vectorize(heads),
});

impl Vectorize for AttentionHeads<'_, '_> {
    const WIDE: bool = false;

    #[inline(always)]
    fn run(self) {
        for head in 0..self.kernel.heads as usize {
            self.head(head * self.width);
        }
    }
}

/// A number in scratch.
#[inline(always)]
fn get(words: &I32Scratch<'_>, i: usize) -> f32 {
    f32::from_bits(words.get(i) as u32)
}

#[inline(always)]
fn set(words: &I32Scratch<'_>, i: usize, x: f32) {
    words.set(i, x.to_bits() as i32);
}

/// Numbers of one token, for a dot product.
trait Vector {
    /// Numbers `at..at + N`.
    fn block<const N: usize>(&self, at: usize) -> [f32; N];
}

/// Channels from `first` on.
struct Part<'m> {
    float: Float,
    channels: Channels<'m>,
    first: usize,
}

impl Vector for Part<'_> {
    #[inline(always)]
    fn block<const N: usize>(&self, at: usize) -> [f32; N] {
        self.float.block::<N>(self.channels, self.first + at)
    }
}

impl Vector for &[f32] {
    #[inline(always)]
    fn block<const N: usize>(&self, at: usize) -> [f32; N] {
        crate::base::memory::constants(self, at)
    }
}

/// The dot product of `len` numbers.
#[cfg_attr(target_pointer_width = "64", inline(always))]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
fn dot(a: &impl Vector, b: &impl Vector, len: usize) -> f32 {
    let mut s = [0.0; LANES];
    let whole = len - len % LANES;
    for at in (0..whole).step_by(LANES) {
        let (a, b) = (a.block::<LANES>(at), b.block::<LANES>(at));
        for i in 0..LANES {
            s[i] = fused(a[i], b[i], s[i]);
        }
    }
    for (at, s) in (whole..len).zip(&mut s) {
        let ([a], [b]) = (a.block::<1>(at), b.block::<1>(at));
        *s = fused(a, b, *s);
    }
    ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

impl AttentionHeads<'_, '_> {
    #[inline(always)]
    fn query(&self, token: usize, first: usize) -> Part<'_> {
        Part { float: self.kernel.types[0], channels: self.query.nth(token), first }
    }

    #[inline(always)]
    fn key(&self, token: usize, first: usize) -> Part<'_> {
        Part { float: self.kernel.types[1], channels: self.key.nth(token), first }
    }

    /// One head, whose channels begin at `first`.
    #[inline(always)]
    fn head(&self, first: usize) {
        for token in 0..self.hashing.tokens {
            let factor = if self.kernel.shared {
                let key = self.key(token, first);
                let length = sqrt(dot(&key, &key, self.width));
                self.kernel.scale / if length > 1e-12 { length } else { 1e-12 }
            } else {
                self.kernel.scale
            };
            set(&self.factors, token, factor);
        }
        for round in 0..self.hashing.rounds {
            self.chunks.sort(round, |token| self.hash(first, round, token));
        }
        self.chunks.see_all();
        for token in 0..self.hashing.tokens {
            self.attend(first, token);
        }
    }

    /// Index of the first largest of `[xR, -xR]`.
    #[inline(always)]
    fn hash(&self, first: usize, round: usize, token: usize) -> usize {
        let (query, columns) = (self.query(token, first), self.hashing.columns());
        let (mut largest, mut at_largest) = (f32::NEG_INFINITY, 0);
        let (mut smallest, mut at_smallest) = (f32::INFINITY, 0);
        for i in 0..columns {
            let column = self.kernel.rotations.get((round * columns + i) * self.width..).unwrap_or_default();
            let sum = dot(&query, &column, self.width);
            if sum > largest {
                (largest, at_largest) = (sum, i);
            }
            if sum < smallest {
                (smallest, at_smallest) = (sum, i);
            }
        }
        if largest >= -smallest { at_largest } else { columns + at_smallest }
    }

    /// The result of one token.
    #[inline(always)]
    fn attend(&self, first: usize, token: usize) {
        self.chunks.look(token);
        let (query, keys) = (self.query(token, first), self.hashing.keys());
        let is_masked = |key: usize| self.kernel.shared && key == token;
        let (mut largest, mut is_alone) = (f32::NEG_INFINITY, true);
        for i in 0..keys {
            let key = self.chunks.seen(i);
            if is_masked(key) {
                continue;
            }
            is_alone = false;
            let logit = dot(&query, &self.key(key, first), self.width) * get(&self.factors, key);
            set(&self.weights, i, logit);
            largest = if logit > largest { logit } else { largest };
        }
        let mut sum = 0.0;
        for i in 0..keys {
            let weight = match is_masked(self.chunks.seen(i)) {
                // A token that sees nobody else sees itself.
                true if is_alone => 1.0,
                true => 0.0,
                false => exp(get(&self.weights, i) - largest),
            };
            set(&self.weights, i, weight);
            sum += weight;
        }
        let (out, [.., of_value, to]) = (self.output.nth(token), self.kernel.types);
        in_lanes!(at in self.width, N => {
            let mut sums = [0.0; N];
            for i in 0..keys {
                let weight = get(&self.weights, i);
                let values = of_value.block::<N>(self.value.nth(self.chunks.seen(i)), first + at);
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum = fused(weight, value, *sum);
                }
            }
            for result in &mut sums {
                *result = number(*result / sum);
            }
            to.put(out, first + at, sums);
        });
    }
}
