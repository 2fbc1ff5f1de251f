//! ResNet-18, 34 and 50, ResNeXt-50.

use crate::{
    blocks::{Block, resnet},
    options::{Sides, choose},
};
use niello_codegen::{
    Graph, Result, Shape,
    import::network::{Network, NetworkOptions},
    weights::WeightSource,
};

/// A ResNet: with three classes, ResNet-18 has 11,178,051 parameters, 34 has 21,286,211, 50 has 23,514,179,
/// ResNeXt-50 (32x4d) 22,986,051.
///
/// Input `[h, w, 3]`: RGB / 255, minus (0.485, 0.456, 0.406), over (0.229, 0.224, 0.225). Output logits `[1, 1, classes]`.
#[derive(Clone, Copy, Debug)]
pub struct ResNet {
    name: &'static str,
    summary: &'static str,
    source: &'static str,
    block: Block,
    /// Blocks of each stage.
    repeats: [usize; 4],
}

impl ResNet {
    /// Basic blocks.
    pub const RESNET18: Self = Self {
        name: "resnet18",
        summary: "ResNet-18: classifies images; residual blocks, 11.2 M parameters",
        source: "He et al., CVPR 2016, arXiv 1512.03385; torchvision resnet18",
        block: Block::Basic,
        repeats: [2, 2, 2, 2],
    };
    /// Basic blocks.
    pub const RESNET34: Self = Self {
        name: "resnet34",
        summary: "ResNet-34: classifies images; residual blocks, 21.3 M parameters",
        source: "He et al., CVPR 2016, arXiv 1512.03385; torchvision resnet34",
        block: Block::Basic,
        repeats: [3, 4, 6, 3],
    };
    /// Bottlenecks.
    pub const RESNET50: Self = Self {
        name: "resnet50",
        summary: "ResNet-50: classifies images; residual blocks, 23.5 M parameters",
        source: "He et al., CVPR 2016, arXiv 1512.03385; torchvision resnet50",
        block: Block::Bottleneck { groups: 1, per_group: 64 },
        repeats: [3, 4, 6, 3],
    };
    /// Bottlenecks with 32 groups.
    pub const RESNEXT50: Self = Self {
        name: "resnext50_32x4d",
        summary: "ResNeXt-50 32x4d: classifies images; residual blocks with 32 groups, 23.0 M parameters",
        source: "Xie et al., CVPR 2017, arXiv 1611.05431; torchvision resnext50_32x4d",
        block: Block::Bottleneck { groups: 32, per_group: 4 },
        repeats: [3, 4, 6, 3],
    };
}

impl Network for ResNet {
    fn name(&self) -> &'static str {
        self.name
    }

    fn summary(&self) -> &'static str {
        self.summary
    }

    fn source(&self) -> &'static str {
        self.source
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
        resnet(self.name(), self.block, self.repeats, chosen, weights)
    }
}
