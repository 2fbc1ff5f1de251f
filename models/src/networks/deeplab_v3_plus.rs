//! DeepLabV3+ on ResNet-101.

use crate::{
    blocks::{Block, Stage, stage, stem},
    options::{Sides, choose},
};
use niello_codegen::{
    Graph, GraphBuilder, Result, Shape, ValueId,
    import::network::{Network, NetworkOptions},
    ops::{BatchNormParams, ConvParams, GlobalAveragePool, Resize, ResizeMode},
    weights::WeightSource,
};

/// DeepLabV3+ with ResNet-101 at output stride 16: dilated convolutions side by side, then a decoder; 59,339,683 parameters.
///
/// Input `[h, w, 3]`: RGB / 255, minus (0.485, 0.456, 0.406), over (0.229, 0.224, 0.225), any sides. Output logits
/// `[h, w, classes]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeepLabV3Plus;

/// Width, stride and dilations of ResNet's stages; the last one keeps its size, with a multi-grid of 1, 2, 4.
const STAGES: [(usize, usize, &[usize]); 4] =
    [(64, 1, &[1; 3]), (128, 2, &[1; 4]), (256, 2, &[1; 23]), (512, 1, &[2, 4, 8])];
/// Kernel and dilation of the convolutions that see the same map.
const RATES: [(usize, usize); 4] = [(1, 1), (3, 6), (3, 12), (3, 18)];
/// Channels of each of them, and of the decoder.
const WIDTH: usize = 256;

/// Convolution and batch norm of these names, and a ReLU named `value`.
fn conv_bn(b: &mut GraphBuilder<'_>, names: [String; 2], value: &str, x: ValueId, p: ConvParams) -> ValueId {
    let [conv, norm] = names;
    let x = b.conv2d(&conv, x, p.no_bias());
    let x = b.batch_norm(&norm, x, BatchNormParams::default());
    b.relu(value, x)
}

/// Bilinear, corners on corners.
fn resized(b: &mut GraphBuilder<'_>, name: &str, x: ValueId, to: Shape) -> ValueId {
    b.add_op(name, Resize { size: [to.h, to.w], mode: ResizeMode::BilinearAligned }, &[x])
}

/// Convolutions of several dilations and the mean of the image, side by side, then one 1x1 convolution.
fn pyramid(b: &mut GraphBuilder<'_>, x: ValueId) -> ValueId {
    let shape = b.shape(x);
    let mut branches = vec![];
    for (n, (kernel, dilation)) in (1..).zip(RATES) {
        let name = format!("aspp.aspp{n}");
        let conv =
            ConvParams::new(WIDTH, kernel).dilation(dilation).padding(if kernel == 1 { 0 } else { dilation });
        let names = [format!("{name}.atrous_conv"), format!("{name}.bn")];
        branches.push(conv_bn(b, names, &name, x, conv));
    }
    let name = "aspp.global_avg_pool";
    let mean = b.add_op(&format!("{name}.0"), GlobalAveragePool, &[x]);
    let names = [format!("{name}.1"), format!("{name}.2")];
    let mean = conv_bn(b, names, name, mean, ConvParams::new(WIDTH, 1));
    branches.push(resized(b, "aspp.interpolate", mean, shape));
    let x = b.concat("aspp.concat", &branches);
    conv_bn(b, ["aspp.conv1".into(), "aspp.bn1".into()], "aspp", x, ConvParams::new(WIDTH, 1))
}

impl Network for DeepLabV3Plus {
    fn name(&self) -> &'static str {
        "deeplab_v3_plus"
    }

    fn summary(&self) -> &'static str {
        "DeepLabV3+ on ResNet-101: segments images; dilated convolutions, 59.3 M parameters"
    }

    fn source(&self) -> &'static str {
        "Chen et al., ECCV 2018, arXiv 1802.02611; jfzhang95/pytorch-deeplab-xception"
    }

    fn default_input(&self) -> Shape {
        Shape::new(512, 512, 3)
    }

    fn default_classes(&self) -> &'static [&'static str] {
        &["background", "abnormal", "normal lung"]
    }

    fn default_preprocess(&self) -> &'static str {
        "imagenet"
    }

    fn build(&self, options: &NetworkOptions, weights: &mut dyn WeightSource) -> Result<Graph> {
        let chosen = choose(self, options, Sides::AtLeast(1))?;
        let mut b = GraphBuilder::new(self.name(), weights);
        let x = b.input("input", chosen.input);
        let mut x = stem(&mut b, "backbone.", x);
        let mut low = x;
        for (number, (width, stride, dilations)) in (1..).zip(STAGES) {
            let block = Block::Bottleneck { groups: 1, per_group: 64 };
            let of_stage = Stage { block, width, stride, dilations };
            x = stage(&mut b, &format!("backbone.layer{number}"), x, of_stage);
            if number == 1 {
                low = x;
            }
        }
        let x = pyramid(&mut b, x);

        let names = ["decoder.conv1".into(), "decoder.bn1".into()];
        let low = conv_bn(&mut b, names, "decoder.relu", low, ConvParams::new(48, 1));
        let size = b.shape(low);
        let x = resized(&mut b, "decoder.interpolate", x, size);
        let x = b.concat("decoder.concat", &[x, low]);
        let three = ConvParams::new(WIDTH, 3).padding(1);
        let name = |n: usize| format!("decoder.last_conv.{n}");
        // 3 and 7 are drop-outs.
        let x = conv_bn(&mut b, [name(0), name(1)], &name(2), x, three);
        let x = conv_bn(&mut b, [name(4), name(5)], &name(6), x, three);
        let x = b.conv2d(&name(8), x, ConvParams::new(chosen.classes, 1));
        let x = resized(&mut b, "interpolate", x, chosen.input);
        b.finish(&[x])
    }
}
