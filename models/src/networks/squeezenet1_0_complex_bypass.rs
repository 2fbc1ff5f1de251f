//! SqueezeNet 1.0 with complex bypass.

use crate::{
    blocks::{
        Feature::{self, Bypassed, Conv, Pool, Projected, Relu},
        squeezenet,
    },
    options::{Sides, choose},
};
use niello_codegen::{
    Graph, Result, Shape,
    import::network::{Network, NetworkOptions},
    weights::WeightSource,
};

/// SqueezeNet 1.0 with the paper's complex bypass: around Fire 2, 4, 6 and 8, whose outputs have more channels than their inputs, goes a
/// 1x1 convolution with bias, `features.N.bypass`; the inputs of Fire 3, 5, 7 and 9 are added as they are. 1,078,211 parameters with
/// three classes.
///
/// Nothing follows the sums, as in the simple bypass. The tensor names of the bypasses are ours: no weights were published.
///
/// Input `[h, w, 3]`: RGB / 255, minus (0.485, 0.456, 0.406), over (0.229, 0.224, 0.225), sides from 21 up. Output logits
/// `[1, 1, classes]`, never negative.
#[derive(Clone, Copy, Debug, Default)]
#[allow(non_camel_case_types, reason = "the version's dot")]
pub struct SqueezeNet1_0ComplexBypass;

const FEATURES: [Feature; 13] = [
    Conv(96, 7),
    Relu,
    Pool,
    Projected(16, 64),
    Bypassed(16, 64),
    Projected(32, 128),
    Pool,
    Bypassed(32, 128),
    Projected(48, 192),
    Bypassed(48, 192),
    Projected(64, 256),
    Pool,
    Bypassed(64, 256),
];

impl Network for SqueezeNet1_0ComplexBypass {
    fn name(&self) -> &'static str {
        "squeezenet1_0_complex_bypass"
    }

    fn summary(&self) -> &'static str {
        "SqueezeNet 1.0 with complex bypass: classifies images; residual sums and 1x1 convolutions around the Fire modules"
    }

    fn source(&self) -> &'static str {
        "Iandola et al., arXiv 1602.07360, section 6 and figure 2; names as torchvision squeezenet1_0"
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
