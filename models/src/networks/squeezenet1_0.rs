//! SqueezeNet 1.0.

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

/// SqueezeNet 1.0, 736,963 parameters with three classes.
///
/// Input `[h, w, 3]`: RGB / 255, minus (0.485, 0.456, 0.406), over (0.229, 0.224, 0.225), sides from 21 up. Output logits
/// `[1, 1, classes]`, never negative.
#[derive(Clone, Copy, Debug, Default)]
#[allow(non_camel_case_types, reason = "the version's dot")]
pub struct SqueezeNet1_0;

pub(super) const FEATURES: [Feature; 13] = [
    Conv(96, 7),
    Relu,
    Pool,
    Fire(16, 64),
    Fire(16, 64),
    Fire(32, 128),
    Pool,
    Fire(32, 128),
    Fire(48, 192),
    Fire(48, 192),
    Fire(64, 256),
    Pool,
    Fire(64, 256),
];

impl Network for SqueezeNet1_0 {
    fn name(&self) -> &'static str {
        "squeezenet1_0"
    }

    fn summary(&self) -> &'static str {
        "SqueezeNet 1.0: classifies CT slices (W251's COVIDx-CT classes); Fire modules, 0.74 M parameters"
    }

    fn source(&self) -> &'static str {
        "Iandola et al., arXiv 1602.07360; torchvision squeezenet1_0"
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
