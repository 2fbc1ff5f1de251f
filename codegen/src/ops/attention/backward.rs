//! The gradient of attention. Which tokens hashing brings together does not change.

use super::Attention;
use crate::{graph::Backward, tensor::Tensor};

/// Adds `factor` times `values` to `sums`.
fn add(sums: &mut [f64], factor: f64, values: &[f64]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Attention {
    /// By the operand that is asked for.
    pub(super) fn go_back(&self, at: &Backward<'_>) -> Tensor<f64> {
        let [query, key, value] = self.roles(at.inputs);
        let (shape, width) = (query.shape, self.width(query.shape));
        let [mut by_query, mut by_value] = [(); 2].map(|()| Tensor::filled(shape, 0.0));
        let mut by_keys = Tensor::filled(shape, 0.0);
        for head in self.read_heads(query, key) {
            let own = |token: usize| token * shape.c + head.first..token * shape.c + head.first + width;
            for (token, seen) in head.seen.iter().enumerate() {
                let weights = self.weights(&head, token);
                let gradient = &at.gradient.data[own(token)];
                let slopes: Vec<f64> =
                    seen.iter().map(|other| product(gradient, &value.data[own(*other)])).collect();
                let mean = product(&weights, &slopes);
                for ((other, weight), slope) in seen.iter().zip(&weights).zip(slopes) {
                    add(&mut by_value.data[own(*other)], *weight, gradient);
                    // The logit to itself is constant.
                    if !self.shared || *other != token {
                        let by_logit = weight * (slope - mean) / libm::sqrt(width as f64);
                        add(&mut by_query.data[own(token)], by_logit, &head.keys[*other]);
                        add(&mut by_keys.data[own(*other)], by_logit, &head.queries[token]);
                    }
                }
            }
            if self.shared {
                // Keys are the queries over their length.
                for (token, (key, length)) in head.keys.iter().zip(&head.lengths).enumerate() {
                    let gradient = &by_keys.data[own(token)];
                    let along = product(gradient, key);
                    let sums = &mut by_query.data[own(token)];
                    add(sums, 1.0 / length, gradient);
                    add(sums, -along / length, key);
                }
            }
        }
        match (self.shared, at.index) {
            (_, 0) => by_query,
            (false, 1) => by_keys,
            _ => by_value,
        }
    }
}
