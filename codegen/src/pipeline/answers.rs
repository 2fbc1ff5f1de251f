//! The meaning of a network's output: classes and probabilities.

use super::Build;
use crate::{recipe::Head, tensor::Tensor, weights::sha256_of};
use niello_imaging::metrics;

impl Build {
    /// The class of each pixel: the largest score, the first of equal ones; for a single score, whether it says yes.
    pub fn labels(&self, output: &Tensor<f32>) -> Vec<u8> {
        output.data.chunks(output.shape.c).map(|scores| self.class(scores) as u8).collect()
    }

    /// The class that the scores of an image or a pixel stand for, an index of [`Build::label_names`].
    pub fn class(&self, scores: &[f32]) -> usize {
        match scores {
            [label] if self.recipe.output.head == Head::Argmax => *label as usize,
            [one] => (*one > if self.is_probability() { 0.5 } else { 0.0 }) as usize,
            many => metrics::top_1(many).unwrap_or(0),
        }
    }

    /// Whether the scores are probabilities.
    pub fn is_probability(&self) -> bool {
        let graph = &self.quantized.graph;
        graph.producer(graph.outputs[0]).is_some_and(|at| graph.nodes[at].op.gives_probabilities())
    }

    /// Names of the labels that [`Build::class`] gives: a single class is told from the rest.
    pub fn label_names(&self) -> Vec<String> {
        match &self.classes[..] {
            [one] => vec![format!("not {one}"), one.clone()],
            many => many.to_vec(),
        }
    }

    /// Probabilities of [`Build::label_names`] from the scores of an image or a pixel: as they are behind a softmax or
    /// sigmoid, the softmax (of a single score the sigmoid) of logits, 1 for the class of an arg-max.
    pub fn probabilities(&self, scores: &[f32]) -> Vec<f32> {
        match scores {
            [_] if self.recipe.output.head == Head::Argmax => {
                let class = self.class(scores);
                (0..self.classes.len()).map(|i| (i == class) as u8 as f32).collect()
            }
            [one] => {
                let p = if self.is_probability() { *one } else { 1.0 / (1.0 + (-one).exp()) };
                vec![1.0 - p, p]
            }
            many if self.is_probability() => many.to_vec(),
            logits => {
                let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let exps: Vec<f32> = logits.iter().map(|s| (s - largest).exp()).collect();
                let sum: f32 = exps.iter().sum();
                exps.iter().map(|e| e / sum).collect()
            }
        }
    }

    /// SHA-256 that tells this program's results from another's: constants, number formats, rounding, pre-processing.
    pub fn sha256(&self) -> String {
        let program = &self.program;
        let formats: Vec<_> = program.tensors.iter().map(|tensor| (&tensor.name, tensor.format)).collect();
        // Digests of networks whose codes of 16 bits are niello's own are those from before files had any.
        let formats = format!("{formats:?}").replace(", given: false", "");
        let text = format!("{formats} {:?} {}", program.rounding, program.metadata.preprocess);
        sha256_of(&[program.blob.bytes(), text.as_bytes()].concat())
    }
}
