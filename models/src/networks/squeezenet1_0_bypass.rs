//! SqueezeNet 1.0 with simple bypass.

use crate::{
    blocks::{
        Feature::{self, Bypassed, Conv, Fire, Pool, Relu},
        squeezenet,
    },
    options::{Sides, choose},
};
use niello_codegen::{
    Graph, Result, Shape,
    import::network::{Network, NetworkOptions},
    weights::WeightSource,
};

/// SqueezeNet 1.0 with the paper's simple bypass: the inputs of Fire 3, 5, 7 and 9 are added to their outputs. 736,963 parameters with
/// three classes, as without.
///
/// Input `[h, w, 3]`: RGB / 255, minus (0.485, 0.456, 0.406), over (0.229, 0.224, 0.225), sides from 21 up. Output logits
/// `[1, 1, classes]`, never negative.
#[derive(Clone, Copy, Debug, Default)]
#[allow(non_camel_case_types, reason = "the version's dot")]
pub struct SqueezeNet1_0Bypass;

const FEATURES: [Feature; 13] = [
    Conv(96, 7),
    Relu,
    Pool,
    Fire(16, 64),
    Bypassed(16, 64),
    Fire(32, 128),
    Pool,
    Bypassed(32, 128),
    Fire(48, 192),
    Bypassed(48, 192),
    Fire(64, 256),
    Pool,
    Bypassed(64, 256),
];

impl Network for SqueezeNet1_0Bypass {
    fn name(&self) -> &'static str {
        "squeezenet1_0_bypass"
    }

    fn summary(&self) -> &'static str {
        "SqueezeNet 1.0 with simple bypass: classifies images; residual sums around every other Fire module"
    }

    fn source(&self) -> &'static str {
        "Iandola et al., arXiv 1602.07360, sections 3 and 6; names as torchvision squeezenet1_0"
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
        // Below 21 pixels the last pool has nothing left.
        squeezenet(self.name(), &FEATURES, 0, choose(self, options, Sides::AtLeast(21))?, weights)
    }
}
