//! The common part of the generators of the MIDS W251 (2021) project: Mirza and Osindero, arXiv 1411.1784; written in Keras there.

use crate::options::Chosen;
use niello_codegen::{
    Graph, GraphBuilder, Result, Shape,
    ops::{ConvParams, Function, PointWise, TransposedConvParams},
    weights::WeightSource,
};

/// Length of an embedded label.
const EMBEDDING: usize = 50;
const LEAKY: PointWise = PointWise(Function::LeakyRelu(0.2));

/// A generator: the latent numbers become a map, the label one more channel of it; transposed convolutions with stride 2 follow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConditionalGenerator {
    /// Side and channels of the first map, without the label's.
    pub(crate) first: [usize; 2],
    /// Channels behind each transposed convolution.
    pub(crate) widths: &'static [usize],
    /// Kernel of the transposed convolutions.
    pub(crate) kernel: usize,
    /// Kernel of the last convolution.
    pub(crate) last_kernel: usize,
}

impl ConditionalGenerator {
    /// Inputs `input` (`[1, 1, n]`, the latent numbers) and `label` (`[1, 1, 1]`); then `label_embedding`, `label_dense`,
    /// `latent_dense`, `upN`, `out`: an image of one channel in -1..=1. All convolutions pad or crop as TensorFlow's `SAME`.
    pub(crate) fn build(&self, name: &str, chosen: Chosen, weights: &mut dyn WeightSource) -> Result<Graph> {
        let [side, channels] = self.first;
        let mut b = GraphBuilder::new(name, weights);
        let latent = b.input("input", chosen.input);
        let label = b.input("label", Shape::new(1, 1, 1));
        let row = b.embedding("label_embedding", label, chosen.classes, EMBEDDING);
        let plane = b.linear("label_dense", row, side * side);
        let plane = b.reshape("label_dense.map", plane, Shape::new(side, side, 1));
        let x = b.linear("latent_dense", latent, side * side * channels);
        // Before the activation, not behind it: then that writes into the concatenation.
        let x = b.reshape("latent_dense.map", x, Shape::new(side, side, channels));
        let x = b.add_op("latent_dense.leaky", LEAKY, &[x]);
        let mut x = b.concat("concat", &[x, plane]);
        for (n, width) in (1..).zip(self.widths) {
            x = b.transposed_conv2d(
                &format!("up{n}"),
                x,
                TransposedConvParams::new(*width, self.kernel, 2).same(),
            );
            x = b.add_op(&format!("up{n}.leaky"), LEAKY, &[x]);
        }
        let before = (self.last_kernel - 1) / 2;
        let after = self.last_kernel - 1 - before;
        let padding = [before, after, before, after];
        let x = b.conv2d("out", x, ConvParams { padding, ..ConvParams::new(1, self.last_kernel) });
        let image = b.add_op("tanh", PointWise(Function::Tanh), &[x]);
        b.finish(&[image])
    }
}
