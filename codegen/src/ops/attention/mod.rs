//! Softmax attention of several heads: over all tokens, or over those that locality-sensitive hashing brings together.

mod backward;
mod head;

use super::{Backward, Op};
use crate::{
    error::Result,
    format::Mode,
    lower::Lowering,
    program::{Const, In, Out, Scratch, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{
    Attention as Kernel, Float, Multiplier, OutputParams,
    attention::{MAX_KEYS, MAX_TOKENS, MAX_WIDTH},
};
use std::sync::Arc;

/// Attention without a causal mask; the pixels of a map are tokens in row-major order, head `h` owns the channels from `h * width` on.
/// Logits are divided by the square root of a head's width.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// How many heads share the channels.
    pub heads: usize,
    /// Whether queries are the keys: inputs `[queries and keys, values]` instead of `[queries, keys, values]`. Then keys are divided by
    /// their length, and a token's logit to itself is -5e4 (Kitaev et al., ICLR 2020, arXiv 2001.04451, section 2.1).
    pub shared: bool,
    /// Which tokens a token sees; absent: all.
    pub hashing: Option<Hashing>,
}

/// Locality-sensitive hashing, as in the Reformer. See [`niello_kernels::attention`].
#[derive(Clone, Debug, PartialEq)]
pub struct Hashing {
    /// Tokens of a chunk.
    pub bucket: usize,
    /// Rounds.
    pub rounds: usize,
    /// `[width, rounds, tokens / bucket / 2]`, the same for all heads.
    pub rotations: Arc<[f32]>,
}

impl Attention {
    /// Scaled dot-product attention of queries, keys and values (Vaswani et al., NeurIPS 2017, arXiv 1706.03762).
    pub fn new(heads: usize) -> Self {
        Self { heads, shared: false, hashing: None }
    }

    /// Attention with shared queries and keys, over what `hashing` brings together.
    pub fn shared(heads: usize, hashing: Option<Hashing>) -> Self {
        Self { heads, shared: true, hashing }
    }

    /// Query, key and value among the inputs.
    fn roles<V: Copy>(&self, inputs: &[V]) -> [V; 3] {
        match *inputs {
            [both, value] => [both, both, value],
            [query, key, value, ..] => [query, key, value],
            _ => unreachable!("the number of inputs was checked"),
        }
    }

    /// Channels of a head.
    fn width(&self, shape: Shape) -> usize {
        shape.c / self.heads
    }

    fn rounds_and_bucket(&self) -> (usize, usize) {
        self.hashing.as_ref().map_or((0, 0), |h| (h.rounds, h.bucket))
    }

    /// Bucket of every token, `[heads, rounds, tokens]`: the first largest of `[xR, -xR]`. Empty without hashing.
    pub fn buckets<T: Real>(&self, queries: &Tensor<T>) -> Vec<usize> {
        let Some(hashing) = &self.hashing else { return vec![] };
        let (tokens, width) = (queries.shape.area(), self.width(queries.shape));
        let halves = tokens / hashing.bucket / 2;
        let mut buckets = vec![];
        for head in 0..self.heads {
            for round in 0..hashing.rounds {
                for token in queries.data.chunks(queries.shape.c) {
                    let turned: Vec<T> = (0..halves)
                        .map(|b| {
                            let column = (0..width).map(|f| {
                                T::from_f32(hashing.rotations[(f * hashing.rounds + round) * halves + b])
                            });
                            token[head * width..].iter().zip(column).map(|(x, r)| *x * r).sum()
                        })
                        .collect();
                    let both = turned.iter().copied().chain(turned.iter().map(|x| -*x));
                    let first_largest =
                        |best: (usize, T), next: (usize, T)| if next.1 > best.1 { next } else { best };
                    buckets.push(both.enumerate().reduce(first_largest).map_or(0, |(bucket, _)| bucket));
                }
            }
        }
        buckets
    }

    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let [query, key, value] = self.roles(inputs);
        let (shape, width) = (query.shape, self.width(query.shape));
        let mut out = Tensor::filled(shape, T::default());
        for head in self.read_heads(query, key) {
            for (token, seen) in head.seen.iter().enumerate() {
                let at = token * shape.c + head.first;
                for (weight, other) in self.weights(&head, token).into_iter().zip(seen) {
                    let weight = T::from_f64(weight);
                    let values = &value.data[other * shape.c + head.first..][..width];
                    out.data[at..at + width].iter_mut().zip(values).for_each(|(o, v)| *o += weight * *v);
                }
            }
        }
        out
    }

    /// Rotations in the order of the kernels: `[rounds, columns, width]`.
    fn columns(&self, width: usize) -> Vec<f32> {
        let Some(Hashing { rounds, rotations, .. }) = &self.hashing else { return vec![] };
        let halves = rotations.len() / width / rounds;
        let column = |i: usize| {
            let (round, column, f) = (i / width / halves, i / width % halves, i % width);
            rotations[(f * rounds + round) * halves + column]
        };
        (0..rotations.len()).map(column).collect()
    }

    /// The same as codes, the largest as large as sums allow.
    fn rotations(&self, width: usize) -> Vec<i16> {
        let columns = self.columns(width);
        let largest = columns.iter().fold(0f32, |m, r| m.max(r.abs())).max(f32::MIN_POSITIVE);
        let scale = Kernel::largest_rotation(width) as f64 / largest as f64;
        columns.iter().map(|r| (*r as f64 * scale).round() as i16).collect()
    }
}

kernel_call! {
    /// Attention, head by head.
    AttentionCall for Attention {
        query: In,
        key: In,
        value: In,
        output: Out,
        heads: u32,
        query_zero_point: i8,
        key_zero_point: i8,
        value_zero_point: i8,
        shared: bool,
        scale: Multiplier,
        min_difference: i32,
        rounds: u32,
        bucket: u32,
        rotations: Const<i16>,
        multiplier: Multiplier,
        stage: OutputParams,
        scratch: Scratch,
    }
}

kernel_call! {
    /// Attention in floating point.
    AttentionFloatCall for AttentionFloat {
        query: In,
        key: In,
        value: In,
        output: Out,
        types: [Float; 4],
        heads: u32,
        shared: bool,
        scale: f32,
        rounds: u32,
        bucket: u32,
        rotations: Const<f32>,
        scratch: Scratch,
    }
}

impl Op for Attention {
    fn kind(&self) -> &'static str {
        if self.hashing.is_some() { "LshAttention" } else { "Attention" }
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let count = if self.shared { 2 } else { 3 };
        if inputs.len() != count {
            return Err(format!("expected {count} inputs, got {}", inputs.len()));
        }
        let s = super::same_shape(inputs)?;
        if self.heads == 0 || s.c == 0 || !s.c.is_multiple_of(self.heads) {
            return Err(format!("{} heads do not divide the channels of {s}", self.heads));
        }
        let (tokens, width) = (s.area(), self.width(s));
        if width > MAX_WIDTH {
            return Err(format!("expected heads of at most {MAX_WIDTH} channels, got {width}"));
        }
        if !(1..=MAX_TOKENS).contains(&tokens) {
            return Err(format!("expected 1 to {MAX_TOKENS} pixels, got {s}"));
        }
        if let Some(Hashing { bucket, rounds, rotations }) = &self.hashing {
            if *bucket < 2 || *rounds == 0 || Kernel::keys(tokens, *rounds, *bucket) > MAX_KEYS {
                return Err(format!("{rounds} rounds of chunks of {bucket} are too few or too many tokens"));
            }
            if !tokens.is_multiple_of(2 * bucket) {
                return Err(format!("the pixels of {s} are no multiple of two chunks of {bucket}"));
            }
            let wanted = width * rounds * (tokens / bucket / 2);
            if rotations.len() != wanted {
                return Err(format!("expected {wanted} rotations, got {}", rotations.len()));
            }
        }
        Ok(vec![s])
    }

    super::forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        Some(self.go_back(at))
    }

    fn macs(&self, inputs: &[Shape], _: &[Shape]) -> u64 {
        let (elements, tokens) = (inputs[0].len() as u64, inputs[0].area());
        let (rounds, bucket) = self.rounds_and_bucket();
        let hashes = tokens.checked_div(bucket).unwrap_or(0) / 2 * rounds;
        elements * (2 * Kernel::keys(tokens, rounds, bucket) + hashes) as u64
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (inputs, output) = (cx.node().inputs.clone(), cx.node().output());
        let [query, key, value] = self.roles(&inputs);
        let shape = cx.graph().shape(output);
        let (tokens, width) = (shape.area(), self.width(shape));
        let (q, k, v, to) = (cx.qparams(query)?, cx.qparams(key)?, cx.qparams(value)?, cx.qparams(output)?);
        let key_scale = if self.shared { 1.0 } else { k.scale as f64 };
        let step = q.scale as f64 * key_scale / libm::sqrt(width as f64);
        let Some((scale, min_difference)) = Kernel::parameters(step, self.shared) else {
            return Err(cx.error(format!("a step of {step} between logits is out of range")));
        };
        let Some(multiplier) = Kernel::multiplier(v.scale as f64, to.scale as f64) else {
            return Err(cx.error("the scale of the result is too fine for that of the values"));
        };
        let (rounds, bucket) = self.rounds_and_bucket();
        let rotations = self.rotations(width);
        let call = AttentionCall {
            query: In::new(query),
            key: In::new(key),
            value: In::new(value),
            output: Out::new(output),
            heads: self.heads as u32,
            query_zero_point: q.zero_point,
            key_zero_point: k.zero_point,
            value_zero_point: v.zero_point,
            shared: self.shared,
            scale,
            min_difference,
            rounds: rounds as u32,
            bucket: bucket as u32,
            rotations: cx.constant(&rotations),
            multiplier,
            stage: cx.stage(to, f32::NEG_INFINITY, f32::INFINITY),
            scratch: Scratch,
        };
        let scratch = Kernel::scratch_bytes(tokens, rounds, bucket);
        cx.push(call).scratch(scratch).constant_bytes(2 * rotations.len());
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (inputs, output) = (cx.node().inputs.clone(), cx.node().output());
        let [query, key, value] = self.roles(&inputs);
        let shape = cx.graph().shape(output);
        let (tokens, width) = (shape.area(), self.width(shape));
        let (rounds, bucket) = self.rounds_and_bucket();
        let rotations = self.columns(width);
        let call = AttentionFloatCall {
            query: In::new(query),
            key: In::new(key),
            value: In::new(value),
            output: Out::new(output),
            types: [cx.float(query)?, cx.float(key)?, cx.float(value)?, cx.float(output)?],
            heads: self.heads as u32,
            shared: self.shared,
            scale: (1.0 / libm::sqrt(width as f64)) as f32,
            rounds: rounds as u32,
            bucket: bucket as u32,
            rotations: cx.constant(&rotations),
            scratch: Scratch,
        };
        let scratch = Kernel::scratch_bytes(tokens, rounds, bucket);
        cx.push(call).scratch(scratch).constant_bytes(4 * rotations.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ops::testing::{assert_near, assert_refused, eval, lowered_error_of, tensor},
        weights::seeded_values,
    };

    fn seeded(key: &str, len: usize) -> Vec<f64> {
        seeded_values(key).take(len).collect()
    }

    /// Two rounds over 16 tokens, chunks of 4: two columns.
    fn hashed(width: usize) -> Attention {
        let rotations = seeded("rotations", width * 2 * 2).iter().map(|v| *v as f32).collect();
        Attention::shared(2, Some(Hashing { bucket: 4, rounds: 2, rotations }))
    }

    #[test]
    fn equal_logits_average_the_values() {
        let (zeros, v) = (tensor([1, 3, 1], &[0.; 3]), tensor([1, 3, 1], &[1., 2., 6.]));
        assert_near(&eval(&Attention::new(1), &[&zeros, &zeros, &v]), &tensor([1, 3, 1], &[3.; 3]));
        // Nobody sees itself.
        let others = tensor([1, 3, 1], &[4., 3.5, 1.5]);
        assert_near(&eval(&Attention::shared(1, None), &[&zeros, &v]), &others);
        // But for one who is alone.
        let one = tensor([1, 1, 1], &[5.]);
        assert_near(&eval(&Attention::shared(1, None), &[&one, &one]), &one);
    }

    #[test]
    fn logits_are_products_over_the_root_of_the_width() {
        // Two heads of width 4: of the first query the logits are 8 / 2 and 0; the second head's are equal.
        let q = tensor([1, 2, 8], &[[2., 2., 0., 0., 0., 0., 0., 0.], [0.; 8]].concat());
        let k = tensor([1, 2, 8], &[[2., 2., 5., 0., 1., 1., 1., 1.], [0.; 8]].concat());
        let v = tensor([1, 2, 8], &[[1.; 8], [0.; 8]].concat());
        let p = 1. / (1. + (-4f64).exp());
        let expected = [p, p, p, p, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5];
        assert_near(&eval(&Attention::new(2), &[&q, &k, &v]), &tensor([1, 2, 8], &expected));
        // Keys of length 1: the logits of the second query are those of the directions.
        let qk = tensor([1, 3, 1], &[0., 3., -5.]);
        let v = tensor([1, 3, 1], &[1., 0., 0.]);
        let to_first = 1. / (1. + (-3f64).exp());
        let expected = tensor([1, 3, 1], &[0., to_first, 1. / (1. + (-5f64).exp())]);
        let mut found = eval(&Attention::shared(1, None), &[&qk, &v]);
        assert!((found.data[2] - 1. / (1. + (-5f64).exp())).abs() < 1e-12);
        found.data[0] = 0.;
        assert_near(&found, &expected);
    }

    #[test]
    fn the_first_largest_of_both_signs_is_the_bucket() {
        let rotations = [1., -1., 0., 2.].into();
        let op = Attention::shared(1, Some(Hashing { bucket: 2, rounds: 1, rotations }));
        // xR is [a, -a + 2b] of [a, b].
        let x = tensor([2, 4, 2], &[3., 1., -3., -1., 1., 1., 0., 5., 0., -5., 0., 0., 1., 0., -1., 0.]);
        assert_eq!(op.width(x.shape), 2);
        let four = Attention { heads: 1, ..op };
        assert_eq!(four.buckets(&x), [0, 2, 0, 1, 3, 0, 0, 1]);
    }

    #[test]
    fn a_token_sees_its_chunk_and_the_one_before_in_every_round() {
        let rotations = [0.; 4].into();
        let op = Attention::shared(1, Some(Hashing { bucket: 2, rounds: 2, rotations }));
        // First round 1, 3, 0, 2; second round 0, 1, 2, 3.
        let seen = op.seen(4, &[1, 0, 1, 0, 0, 0, 0, 0]);
        assert_eq!(seen[1], [1, 3, 2, 3, 0, 1, 0, 2]);
        assert_eq!(seen[2], [0, 2, 1, 3, 2, 3, 0, 1]);
    }

    #[test]
    fn int8_is_near_float() {
        let sides = [4, 4, 8];
        assert!(lowered_error_of(Attention::new(2), &[sides; 3]) <= 2.5);
        assert!(lowered_error_of(Attention::shared(2, None), &[sides; 2]) <= 2.5);
        // All tokens are in the same buckets in int8, as seeded values are not near a boundary.
        assert!(lowered_error_of(hashed(4), &[sides; 2]) <= 2.5);
    }

    #[test]
    fn shapes_and_refusals() {
        assert_refused(
            &Attention::new(3),
            &[
                (&[[2, 2, 6]; 2], "expected 3 inputs, got 2"),
                (&[[2, 2, 6], [2, 2, 6], [2, 2, 3]], "one shape"),
                (&[[2, 2, 5]; 3], "3 heads do not divide"),
                (&[[2, 2, 3 * 4097]; 3], "at most 4096 channels"),
                (&[[256, 256, 3]; 3], "1 to 65535 pixels"),
            ],
        );
        assert_refused(
            &hashed(4),
            &[
                (&[[4, 5, 8]; 2], "no multiple of two chunks"),
                (&[[8, 4, 8]; 2], "expected 32 rotations, got 16"),
            ],
        );
        let thin = Hashing { bucket: 1, rounds: 1, rotations: [].into() };
        assert_refused(&Attention::shared(1, Some(thin)), &[(&[[4, 4, 8]; 2], "too few or too many")]);
    }
}
