//! SqueezeNet 1.1.

use crate::{
    blocks::{
        Feature::{self, Conv, Fire, Pool, Relu},
        squeezenet,
    },
    options::{Sides, choose},
};
use niello_codegen::{
    Graph, Result, Shape,
    import::network::{Network, NetworkOptions},
    weights::WeightSource,
};

/// SqueezeNet 1.1, 724,035 parameters with three classes: 1.0's accuracy for 2.4 times fewer operations.
///
/// Input `[h, w, 3]`: RGB / 255, minus (0.485, 0.456, 0.406), over (0.229, 0.224, 0.225), sides from 17 up. Output logits
/// `[1, 1, classes]`, never negative.
#[derive(Clone, Copy, Debug, Default)]
#[allow(non_camel_case_types, reason = "the version's dot")]
pub struct SqueezeNet1_1;

const FEATURES: [Feature; 13] = [
    Conv(64, 3),
    Relu,
    Pool,
    Fire(16, 64),
    Fire(16, 64),
    Pool,
    Fire(32, 128),
    Fire(32, 128),
    Pool,
    Fire(48, 192),
    Fire(48, 192),
    Fire(64, 256),
    Fire(64, 256),
];

impl Network for SqueezeNet1_1 {
    fn name(&self) -> &'static str {
        "squeezenet1_1"
    }

    fn summary(&self) -> &'static str {
        "SqueezeNet 1.1: classifies images; earlier pooling than 1.0, 0.72 M parameters"
    }

    fn source(&self) -> &'static str {
        "Iandola et al., arXiv 1602.07360; torchvision squeezenet1_1"
    }

    fn default_input(&self) -> Shape {
        Shape::new(224, 224, 3)
    }

    fn default_classes(&self) -> &'static [&'static str] {
        &["Covid", "Normal", "Pneumonia"]
    }

    fn default_preprocess(&self) -> &'static str {
        "imagenet"
    }

    fn build(&self, options: &NetworkOptions, weights: &mut dyn WeightSource) -> Result<Graph> {
        // Below 17 pixels the last pool has nothing left.
        squeezenet(self.name(), &FEATURES, 0, choose(self, options, Sides::AtLeast(17))?, weights)
    }
}
