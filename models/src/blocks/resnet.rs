//! The blocks of ResNets and ResNeXts: He et al., CVPR 2016, arXiv 1512.03385; Xie et al., CVPR 2017, arXiv 1611.05431; names as
//! in torchvision's `resnet.py`.

use crate::options::Chosen;
use niello_codegen::{
    Graph, GraphBuilder, Result, ValueId,
    ops::{BatchNormParams, ConvParams, GlobalAveragePool, MaxPool2d},
    weights::WeightSource,
};

/// The block that a network repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// Two 3x3 convolutions.
    Basic,
    /// A [`Bottleneck`] to four times the stage's width.
    Bottleneck {
        /// Groups of the 3x3 convolution.
        groups: usize,
        /// Channels of a group where the stage's width is 64; in proportion elsewhere.
        per_group: usize,
    },
}

/// 1x1, 3x3, 1x1; the 3x3 has the stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bottleneck {
    /// Channels between the convolutions.
    pub(crate) inner: usize,
    /// Output channels.
    pub(crate) out: usize,
    /// Groups of the 3x3 convolution.
    pub(crate) groups: usize,
    /// Its stride.
    pub(crate) stride: usize,
    /// Its dilation.
    pub(crate) dilation: usize,
}

/// Channels of the four stages, before a bottleneck widens them.
const WIDTHS: [usize; 4] = [64, 128, 256, 512];

/// Blocks of one width.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stage<'d> {
    /// The block.
    pub(crate) block: Block,
    /// Channels, before a bottleneck widens them.
    pub(crate) width: usize,
    /// Stride of the first block.
    pub(crate) stride: usize,
    /// Dilation of each block's 3x3 convolutions.
    pub(crate) dilations: &'d [usize],
}

/// `conv1`, `bn1`, `relu`, `maxpool`, then `layerL.B` by `repeats`, `avgpool`, `fc`: logits `[1, 1, classes]`.
pub(crate) fn resnet(
    name: &str,
    block: Block,
    repeats: [usize; 4],
    chosen: Chosen,
    weights: &mut dyn WeightSource,
) -> Result<Graph> {
    let mut b = GraphBuilder::new(name, weights);
    let x = b.input("input", chosen.input);
    let mut x = stem(&mut b, "", x);
    for (number, (width, count)) in (1..).zip(WIDTHS.into_iter().zip(repeats)) {
        let stride = if number > 1 { 2 } else { 1 };
        let of_stage = Stage { block, width, stride, dilations: &vec![1; count] };
        x = stage(&mut b, &format!("layer{number}"), x, of_stage);
    }
    let x = b.add_op("avgpool", GlobalAveragePool, &[x]);
    let logits = b.linear("fc", x, chosen.classes);
    b.finish(&[logits])
}

/// `conv1`, `bn1`, `relu` and `maxpool`, each with `prefix` before it.
pub(crate) fn stem(b: &mut GraphBuilder<'_>, prefix: &str, x: ValueId) -> ValueId {
    let x = conv_bn(b, prefix, "1", x, ConvParams::new(WIDTHS[0], 7).stride(2).padding(3));
    let x = b.relu(&format!("{prefix}relu"), x);
    b.add_op(&format!("{prefix}maxpool"), MaxPool2d::new(3, 2).padding(1), &[x])
}

/// `NAME.B`; the last block's value is the stage's, `NAME`.
pub(crate) fn stage(b: &mut GraphBuilder<'_>, name: &str, mut x: ValueId, stage: Stage<'_>) -> ValueId {
    for (index, dilation) in stage.dilations.iter().enumerate() {
        let of_block = format!("{name}.{index}");
        let value = if index + 1 == stage.dilations.len() { name } else { &of_block };
        let stride = if index == 0 { stage.stride } else { 1 };
        x = residual(b, &of_block, value, x, Stage { stride, dilations: &[*dilation], ..stage });
    }
    x
}

/// `convN` without bias and `bnN`, with `prefix` before them.
fn conv_bn(b: &mut GraphBuilder<'_>, prefix: &str, number: &str, x: ValueId, conv: ConvParams) -> ValueId {
    let x = b.conv2d(&format!("{prefix}conv{number}"), x, conv.no_bias());
    b.batch_norm(&format!("{prefix}bn{number}"), x, BatchNormParams::default())
}

/// `relu(shortcut(x) + block(x))`, named `value`: the only block of `stage`.
fn residual(b: &mut GraphBuilder<'_>, name: &str, value: &str, x: ValueId, stage: Stage<'_>) -> ValueId {
    let Stage { block, width, stride, dilations } = stage;
    let dilation = dilations.first().copied().unwrap_or(1);
    match block {
        Block::Basic => {
            let three =
                |stride| ConvParams::new(width, 3).stride(stride).dilation(dilation).padding(dilation);
            let prefix = format!("{name}.");
            let y = conv_bn(b, &prefix, "1", x, three(stride));
            let y = b.relu(&format!("{name}.relu1"), y);
            let y = conv_bn(b, &prefix, "2", y, three(1));
            joined(b, name, value, x, y, stride)
        }
        Block::Bottleneck { groups, per_group } => {
            let inner = groups * per_group * width / WIDTHS[0];
            bottleneck(b, name, value, x, Bottleneck { inner, out: 4 * width, groups, stride, dilation })
        }
    }
}

/// `relu(shortcut(x) + bottleneck(x))`, named `value`.
pub(crate) fn bottleneck(
    b: &mut GraphBuilder<'_>,
    name: &str,
    value: &str,
    x: ValueId,
    p: Bottleneck,
) -> ValueId {
    let prefix = format!("{name}.");
    let y = conv_bn(b, &prefix, "1", x, ConvParams::new(p.inner, 1));
    let y = b.relu(&format!("{name}.relu1"), y);
    let three = ConvParams::new(p.inner, 3).stride(p.stride).dilation(p.dilation).padding(p.dilation);
    let y = conv_bn(b, &prefix, "2", y, three.groups(p.groups));
    let y = b.relu(&format!("{name}.relu2"), y);
    let y = conv_bn(b, &prefix, "3", y, ConvParams::new(p.out, 1));
    joined(b, name, value, x, y, p.stride)
}

/// `relu(shortcut(x) + y)`, named `value`: the shortcut is a 1x1 convolution where size or channels change.
fn joined(
    b: &mut GraphBuilder<'_>,
    name: &str,
    value: &str,
    x: ValueId,
    y: ValueId,
    stride: usize,
) -> ValueId {
    let out = b.shape(y).c;
    let shortcut = if stride != 1 || b.shape(x).c != out {
        let conv = ConvParams::new(out, 1).stride(stride).no_bias();
        let x = b.conv2d(&format!("{name}.downsample.0"), x, conv);
        b.batch_norm(&format!("{name}.downsample.1"), x, BatchNormParams::default())
    } else {
        x
    };
    let sum = b.add(&format!("{name}.add"), y, shortcut);
    b.relu(value, sum)
}
