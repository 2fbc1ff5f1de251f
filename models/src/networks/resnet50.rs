//! ResNet-50.

use crate::{
    blocks::{Block, resnet},
    options::{Sides, choose},
};
use niello_codegen::{
    Graph, Result, Shape,
    network::{Network, NetworkOptions},
    weights::WeightSource,
};

/// ResNet-50, 23,514,179 parameters with three classes.
///
/// Input `[h, w, 3]`: RGB / 255, minus (0.485, 0.456, 0.406), over (0.229, 0.224, 0.225). Output logits `[1, 1, classes]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResNet50;

impl Network for ResNet50 {
    fn name(&self) -> &'static str {
        "resnet50"
    }

    fn summary(&self) -> &'static str {
        "ResNet-50: classifies pictures; residual blocks, 23.5 M parameters"
    }

    fn source(&self) -> &'static str {
        "He et al., CVPR 2016, arXiv 1512.03385; torchvision resnet50"
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
        let chosen = choose(self, options, Sides::AtLeast(1))?;
        resnet(self.name(), Block::Bottleneck, [3, 4, 6, 3], chosen, weights)
    }
}
