//! Which tokens see which: all of them, or those that locality-sensitive hashing brings together. [`attention`](crate::ops::attention) says how.

use crate::base::scratch::U16Scratch;
use core::cell::Cell;

/// How many tokens there are, in how many rounds they are hashed (0: every token sees all), and how many of them make a chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hashing {
    pub(crate) tokens: usize,
    pub(crate) rounds: usize,
    pub(crate) bucket: usize,
}

impl Hashing {
    /// How many keys each query sees.
    pub(crate) const fn keys(&self) -> usize {
        if self.rounds == 0 { self.tokens } else { self.rounds.saturating_mul(self.bucket).saturating_mul(2) }
    }

    /// Columns of a rotation: half as many as there are buckets. 0 without chunks.
    pub(crate) const fn columns(&self) -> usize {
        match self.tokens.checked_div(self.bucket) {
            Some(chunks) => chunks / 2,
            None => 0,
        }
    }

    /// Whether chunks of at least two tokens fill two or more of one size, or there is no hashing.
    pub(crate) const fn fits(&self) -> bool {
        let columns = self.columns();
        let whole = columns > 0 && self.bucket >= 2 && columns * 2 * self.bucket == self.tokens;
        self.rounds == 0 || whole
    }

    /// Scratch: the keys that a query sees, and for hashing the order of tokens, its inverse, buckets and their sizes.
    pub(crate) const fn scratch_bytes(&self) -> usize {
        let hashing = match self.tokens.checked_div(self.bucket) {
            Some(buckets) if self.rounds > 0 => {
                let halves = self.rounds.saturating_mul(2).saturating_add(1).saturating_mul(self.tokens);
                halves.saturating_add(buckets).saturating_add(1)
            }
            _ => 0,
        };
        self.keys().saturating_add(hashing).saturating_mul(2)
    }
}

/// Tokens in the order of their buckets.
pub(crate) struct Chunks<'m> {
    hashing: Hashing,
    /// The keys that a query sees.
    seen: U16Scratch<'m>,
    /// Tokens by round, sorted.
    order: U16Scratch<'m>,
    /// By round: where in the order each token is.
    places: U16Scratch<'m>,
    /// Of every token, in one round.
    buckets: U16Scratch<'m>,
    /// By bucket: where its next token goes.
    next: U16Scratch<'m>,
}

impl<'m> Chunks<'m> {
    /// In scratch of [`Hashing::scratch_bytes`]; `None` if there is less.
    pub(crate) fn new(hashing: Hashing, scratch: &'m [Cell<i8>]) -> Option<Self> {
        let Hashing { tokens, rounds, .. } = hashing;
        let (seen, rest) = U16Scratch::split(scratch, hashing.keys())?;
        let hashed = if rounds > 0 { tokens } else { 0 };
        let (order, rest) = U16Scratch::split(rest, rounds * hashed)?;
        let (places, rest) = U16Scratch::split(rest, rounds * hashed)?;
        let (buckets, rest) = U16Scratch::split(rest, hashed)?;
        let (next, _) = U16Scratch::split(rest, if rounds > 0 { 2 * hashing.columns() + 1 } else { 0 })?;
        Some(Self { hashing, seen, order, places, buckets, next })
    }

    /// Where all tokens see all, lists them once and for all.
    #[inline(always)]
    pub(crate) fn see_all(&self) {
        if self.hashing.rounds == 0 {
            (0..self.hashing.tokens).for_each(|i| self.seen.set(i, i as u16));
        }
    }

    /// Key `i` of those that a token sees.
    #[inline(always)]
    pub(crate) fn seen(&self, i: usize) -> usize {
        self.seen.get(i) as usize
    }

    /// Sorts the tokens of one round by (bucket, position): counts, then places in order of position.
    #[inline(always)]
    pub(crate) fn sort(&self, round: usize, bucket_of: impl Fn(usize) -> usize) {
        let (tokens, buckets) = (self.hashing.tokens, 2 * self.hashing.columns());
        (0..=buckets).for_each(|bucket| self.next.set(bucket, 0));
        for token in 0..tokens {
            let bucket = bucket_of(token);
            self.buckets.set(token, bucket as u16);
            self.next.set(bucket + 1, self.next.get(bucket + 1) + 1);
        }
        for bucket in 1..=buckets {
            self.next.set(bucket, self.next.get(bucket) + self.next.get(bucket - 1));
        }
        for token in 0..tokens {
            let bucket = self.buckets.get(token) as usize;
            let place = self.next.get(bucket);
            self.next.set(bucket, place + 1);
            self.order.set(round * tokens + place as usize, token as u16);
            self.places.set(round * tokens + token, place);
        }
    }

    /// Lists the keys that a token sees: by round, its own chunk, then the one before.
    #[inline(always)]
    pub(crate) fn look(&self, token: usize) {
        let Hashing { tokens, rounds, bucket } = self.hashing;
        let all = rounds * tokens;
        for round in 0..rounds {
            let start = round * tokens;
            let place = self.places.get(start + token) as usize;
            let own = start + place - place.checked_rem(bucket).unwrap_or(0);
            let before = if own == 0 { all } else { own } - bucket;
            let first = round * 2 * bucket;
            for i in 0..bucket {
                self.seen.set(first + i, self.order.get(own + i));
                self.seen.set(first + bucket + i, self.order.get(before + i));
            }
        }
    }
}
