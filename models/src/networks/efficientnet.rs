//! EfficientNet B0 to B7, and EfficientNet-Lite0 to 4.

use crate::{
    blocks::{MbConv, Style},
    options::{Sides, choose},
};
use niello_codegen::{
    Graph, GraphBuilder, Result, Shape,
    import::network::{Network, NetworkOptions},
    ops::{ConvParams, GlobalAveragePool},
    weights::WeightSource,
};

/// An EfficientNet: with three classes, B0 has 4,011,391 parameters, B5 has 28,346,931, B7 has 63,794,643, Lite0 has 3,374,851.
///
/// Tensors have torchvision's names. The networks `efficientnet_bN` pad as torchvision does, the same on both sides;
/// `efficientnet_bN_tf_same`, for weights that come from TensorFlow or Keras, pads as these do (`SAME`), with their batch norm's
/// constant. EfficientNet-Lite exists in TensorFlow only.
///
/// Input `[h, w, 3]`. torchvision's: RGB / 255, minus (0.485, 0.456, 0.406), over (0.229, 0.224, 0.225); the others: RGB / 255. Output
/// logits `[1, 1, classes]`.
#[derive(Clone, Copy, Debug)]
pub struct EfficientNet {
    name: &'static str,
    /// Usual side of the input.
    side: usize,
    /// Factor of all channels, in tenths.
    width: usize,
    /// Factor of the blocks of each stage, in tenths.
    depth: usize,
    style: Style,
}

/// One stage of B0: ratio, kernel, stride, output channels, blocks.
const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
];

/// Channels of the first convolution, and of the last one of EfficientNet-Lite.
const STEM: usize = 32;
const LITE_HEAD: usize = 1280;

impl EfficientNet {
    /// B0 to B7 as in torchvision.
    pub const TORCHVISION: [Self; 8] = [
        Self::torchvision("efficientnet_b0", 224, 10, 10, 1e-5),
        Self::torchvision("efficientnet_b1", 240, 10, 11, 1e-5),
        Self::torchvision("efficientnet_b2", 288, 11, 12, 1e-5),
        Self::torchvision("efficientnet_b3", 300, 12, 14, 1e-5),
        Self::torchvision("efficientnet_b4", 380, 14, 18, 1e-5),
        Self::torchvision("efficientnet_b5", 456, 16, 22, 1e-3),
        Self::torchvision("efficientnet_b6", 528, 18, 26, 1e-3),
        Self::torchvision("efficientnet_b7", 600, 20, 31, 1e-3),
    ];
    /// B0 to B7 as in TensorFlow.
    pub const TF_SAME: [Self; 8] = [
        Self::tf_same("efficientnet_b0_tf_same", 224, 10, 10),
        Self::tf_same("efficientnet_b1_tf_same", 240, 10, 11),
        Self::tf_same("efficientnet_b2_tf_same", 260, 11, 12),
        Self::tf_same("efficientnet_b3_tf_same", 300, 12, 14),
        Self::tf_same("efficientnet_b4_tf_same", 380, 14, 18),
        Self::tf_same("efficientnet_b5_tf_same", 456, 16, 22),
        Self::tf_same("efficientnet_b6_tf_same", 528, 18, 26),
        Self::tf_same("efficientnet_b7_tf_same", 600, 20, 31),
    ];
    /// EfficientNet-Lite0 to 4.
    pub const LITE: [Self; 5] = [
        Self::lite("efficientnet_lite0", 224, 10, 10),
        Self::lite("efficientnet_lite1", 240, 10, 11),
        Self::lite("efficientnet_lite2", 260, 11, 12),
        Self::lite("efficientnet_lite3", 280, 12, 14),
        Self::lite("efficientnet_lite4", 300, 14, 18),
    ];

    const fn torchvision(name: &'static str, side: usize, width: usize, depth: usize, epsilon: f64) -> Self {
        Self { name, side, width, depth, style: Style { epsilon, tf_same: false, lite: false } }
    }

    const fn tf_same(name: &'static str, side: usize, width: usize, depth: usize) -> Self {
        Self { name, side, width, depth, style: Style { epsilon: 1e-3, tf_same: true, lite: false } }
    }

    const fn lite(name: &'static str, side: usize, width: usize, depth: usize) -> Self {
        Self { name, side, width, depth, style: Style { epsilon: 1e-3, tf_same: true, lite: true } }
    }

    /// Channels, made wider: to a multiple of 8, and not more than a tenth below.
    fn scaled(&self, channels: usize) -> usize {
        let tenths = channels * self.width;
        let rounded = ((tenths + 40) / 80 * 8).max(8);
        if 100 * rounded < 9 * tenths { rounded + 8 } else { rounded }
    }

    /// Blocks of stage `stage`; the first and the last one of EfficientNet-Lite are not made deeper.
    fn repeats(&self, stage: usize, blocks: usize) -> usize {
        let fixed = self.style.lite && (stage == 1 || stage == STAGES.len());
        if fixed { blocks } else { (blocks * self.depth).div_ceil(10) }
    }
}

impl Network for EfficientNet {
    fn name(&self) -> &'static str {
        self.name
    }

    fn summary(&self) -> &'static str {
        match self.style {
            Style { lite: true, .. } => "EfficientNet-Lite: classifies images; inverted residuals with ReLU6",
            Style { tf_same: true, .. } => {
                "EfficientNet, padded as in TensorFlow: classifies images; inverted residuals with squeeze-and-excitation"
            }
            _ => "EfficientNet: classifies images; inverted residuals with squeeze-and-excitation",
        }
    }

    fn source(&self) -> &'static str {
        match self.style {
            Style { lite: true, .. } => {
                "Tan and Le, ICML 2019, arXiv 1905.11946; tensorflow/tpu efficientnet/lite; names as in torchvision"
            }
            Style { tf_same: true, .. } => {
                "Tan and Le, ICML 2019, arXiv 1905.11946; Keras EfficientNet; names as in torchvision"
            }
            _ => "Tan and Le, ICML 2019, arXiv 1905.11946; torchvision efficientnet",
        }
    }

    fn default_input(&self) -> Shape {
        Shape::new(self.side, self.side, 3)
    }

    fn default_classes(&self) -> &'static [&'static str] {
        &["Covid", "Healthy", "Others"]
    }

    fn default_preprocess(&self) -> &'static str {
        if self.style.tf_same { "unit" } else { "imagenet" }
    }

    fn build(&self, options: &NetworkOptions, weights: &mut dyn WeightSource) -> Result<Graph> {
        let chosen = choose(self, options, Sides::AtLeast(1))?;
        let style = self.style;
        let (stem, head) =
            if style.lite { (STEM, LITE_HEAD) } else { (self.scaled(STEM), 4 * self.scaled(320)) };
        let mut b = GraphBuilder::new(self.name, weights);
        let x = b.input("input", chosen.input);
        let mut x = style.conv_bn_act(&mut b, "features.0", x, ConvParams::new(stem, 3).stride(2));
        for (stage, (ratio, kernel, stride, out, blocks)) in (1..).zip(STAGES) {
            let count = self.repeats(stage, blocks);
            for index in 0..count {
                let stride = if index == 0 { stride } else { 1 };
                // The last block's value is the stage's.
                let name = format!("features.{stage}.{index}");
                let value = if index + 1 == count { format!("features.{stage}") } else { name.clone() };
                let block = MbConv { ratio, kernel, stride, out: self.scaled(out) };
                x = style.mb_conv(&mut b, &name, &value, x, block);
            }
        }
        let last = STAGES.len() + 1;
        let x = style.conv_bn_act(&mut b, &format!("features.{last}"), x, ConvParams::new(head, 1));
        let x = b.add_op("avgpool", GlobalAveragePool, &[x]);
        // classifier.0 is drop-out.
        let logits = b.linear("classifier.1", x, chosen.classes);
        b.finish(&[logits])
    }
}
