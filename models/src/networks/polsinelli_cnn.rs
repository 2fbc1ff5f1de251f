//! The light CNN of Polsinelli et al.

use crate::{
    blocks::{elu, fire_bn_elu},
    options::{Sides, choose},
};
use niello_codegen::{
    Graph, GraphBuilder, Result, Shape,
    import::network::{Network, NetworkOptions},
    ops::{ConvParams, GlobalAveragePool, TransposedConvParams},
    weights::WeightSource,
};

/// SqueezeNet 1.1's features with ELU and batch norms in the Fire modules; the last map is made four times larger, set beside that of
/// Fire 3 and weighed by a 1x1 convolution, `merge`. 1,266,258 parameters with two classes.
///
/// No code was published: the transposed convolution, the order of the concatenation, the activation of `merge` and the tensor names
/// are a reading of the paper.
///
/// Input `[h, w, 3]`: grey in three equal planes, / 255, minus 0.45, over 0.225; sides 1 to 4 above a multiple of 16, from 33 up, so that
/// both maps have one size. Output logits `[1, 1, classes]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct PolsinelliCnn;

/// Channels of the squeeze and of each expand, from Fire 2 on.
const FIRES: [(usize, usize); 8] =
    [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)];
/// Fire modules with a max pool before them.
const POOLED: [usize; 3] = [2, 4, 6];
/// The Fire module whose map is used again.
const SKIP: usize = 3;

impl Network for PolsinelliCnn {
    fn name(&self) -> &'static str {
        "polsinelli_cnn"
    }

    fn summary(&self) -> &'static str {
        "Polsinelli et al.'s light CNN: COVID-19 in CT slices; Fire modules with ELU, 1.27 M parameters"
    }

    fn source(&self) -> &'static str {
        "Polsinelli, Cinque, Placidi, Pattern Recognition Letters 140, 2020, arXiv 2004.12837"
    }

    fn default_input(&self) -> Shape {
        Shape::new(227, 227, 3)
    }

    fn default_classes(&self) -> &'static [&'static str] {
        &["CT_NonCOVID", "CT_COVID"]
    }

    fn default_preprocess(&self) -> &'static str {
        "mean-std:0.45,0.225 resize=stretch colour=gray"
    }

    fn build(&self, options: &NetworkOptions, weights: &mut dyn WeightSource) -> Result<Graph> {
        let chosen = choose(self, options, Sides::Above { unit: 16, above: [1, 4], min: 33 })?;
        let mut b = GraphBuilder::new(self.name(), weights);
        let x = b.input("input", chosen.input);
        let x = b.conv2d("conv1", x, ConvParams::new(64, 3).stride(2));
        let mut x = elu(&mut b, "conv1_activation", x);
        let mut skip = x;
        for (number, (squeeze, expand)) in (2..).zip(FIRES) {
            if POOLED.contains(&number) {
                x = b.max_pool(&format!("pool{number}"), x, 3, 2, true);
            }
            x = fire_bn_elu(&mut b, &format!("fire{number}"), x, squeeze, expand);
            if number == SKIP {
                skip = x;
            }
        }
        let x = b.transposed_conv2d("up", x, TransposedConvParams::new(16, 8, 4).padding(2));
        let x = b.concat("concat", &[x, skip]);
        let x = b.conv2d("merge", x, ConvParams::new(128, 1));
        let x = elu(&mut b, "merge_activation", x);
        let x = b.add_op("avgpool", GlobalAveragePool, &[x]);
        let logits = b.linear("fc", x, chosen.classes);
        b.finish(&[logits])
    }
}
