//! The heads of an attention, as the float reference and its gradient take them.

use super::{Attention, Hashing};
use crate::tensor::{Real, Tensor};

/// The logit of a token to itself.
const SELF: f64 = -5e4;

/// What a head reads.
pub(super) struct Head<T> {
    /// Its first channel.
    pub(super) first: usize,
    /// The query of each token.
    pub(super) queries: Vec<Vec<T>>,
    /// The key of each token; over its length, if queries are keys.
    pub(super) keys: Vec<Vec<T>>,
    /// What each key was divided by.
    pub(super) lengths: Vec<T>,
    /// The tokens that each token sees, over all rounds.
    pub(super) seen: Vec<Vec<usize>>,
}

/// The channels of a head of each token.
fn parts<T: Real>(tensor: &Tensor<T>, first: usize, width: usize) -> Vec<Vec<T>> {
    tensor.data.chunks(tensor.shape.c).map(|token| token[first..first + width].to_vec()).collect()
}

impl Attention {
    /// One after the other.
    pub(super) fn read_heads<'a, T: Real>(
        &'a self,
        query: &'a Tensor<T>,
        key: &'a Tensor<T>,
    ) -> impl Iterator<Item = Head<T>> + 'a {
        let (width, tokens, buckets) = (self.width(query.shape), query.shape.area(), self.buckets(query));
        let rounds = self.rounds_and_bucket().0 * tokens;
        (0..self.heads).map(move |head| {
            let first = head * width;
            let (queries, mut keys) = (parts(query, first, width), parts(key, first, width));
            let mut lengths = vec![T::from_f64(1.0); tokens];
            if self.shared {
                for (key, length) in keys.iter_mut().zip(&mut lengths) {
                    let squares: T = key.iter().map(|x| *x * *x).sum();
                    *length = T::from_f64(libm::sqrt(squares.to_f64()).max(1e-12));
                    key.iter_mut().for_each(|x| *x = *x / *length);
                }
            }
            let seen = self.seen(tokens, &buckets[head * rounds..(head + 1) * rounds]);
            Head { first, queries, keys, lengths, seen }
        })
    }

    /// The tokens that each token of a head sees, over all rounds.
    pub(super) fn seen(&self, tokens: usize, buckets: &[usize]) -> Vec<Vec<usize>> {
        let Some(Hashing { bucket: size, .. }) = self.hashing else {
            return vec![(0..tokens).collect(); tokens];
        };
        // The sorted rounds, one after the other.
        let mut order = vec![];
        for round in buckets.chunks(tokens) {
            let mut sorted: Vec<usize> = (0..tokens).collect();
            sorted.sort_by_key(|token| (round[*token], *token));
            order.extend(sorted);
        }
        let chunks: Vec<&[usize]> = order.chunks(size).collect();
        let mut seen = vec![vec![]; tokens];
        for (i, own) in chunks.iter().enumerate() {
            let before = chunks[(i + chunks.len() - 1) % chunks.len()];
            own.iter().for_each(|token| seen[*token].extend(own.iter().chain(before)));
        }
        seen
    }

    /// The weights of the tokens that a token sees; their sum is 1.
    pub(super) fn weights<T: Real>(&self, head: &Head<T>, token: usize) -> Vec<f64> {
        let query = &head.queries[token];
        let logit = |other: &usize| {
            if self.shared && *other == token {
                return SELF;
            }
            let product: T = query.iter().zip(&head.keys[*other]).map(|(q, k)| *q * *k).sum();
            product.to_f64() / libm::sqrt(query.len() as f64)
        };
        let logits: Vec<f64> = head.seen[token].iter().map(logit).collect();
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // One softmax over all rounds: the rounds' own, mixed by their log-sum-exp, are the same.
        let weights: Vec<f64> = logits.iter().map(|l| libm::exp(l - largest)).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / sum).collect()
    }
}
