//! What ResNets share: He et al., CVPR 2016, arXiv 1512.03385; names as in torchvision's `resnet.py`.

use crate::options::Chosen;
use niello_codegen::{
    Graph, GraphBuilder, Result, ValueId,
    graph::{BatchNormParams, ConvParams},
    ops::{GlobalAveragePool, MaxPool2d},
    weights::WeightSource,
};

/// Which block a network repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// Two 3x3 convolutions.
    Basic,
    /// 1x1, 3x3, 1x1 to four times the width; the 3x3 has the stride.
    Bottleneck,
}

/// Channels of the four stages, before a bottleneck widens them.
const WIDTHS: [usize; 4] = [64, 128, 256, 512];

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
    let x = conv_bn(&mut b, "", "1", x, ConvParams::new(WIDTHS[0], 7).stride(2).padding(3));
    let x = b.relu("relu", x);
    let mut x = b.add_op("maxpool", MaxPool2d::new(3, 2).padding(1), &[x]);
    for (stage, (width, count)) in (1..).zip(WIDTHS.into_iter().zip(repeats)) {
        for index in 0..count {
            let stride = if stage > 1 && index == 0 { 2 } else { 1 };
            // The last block's value is the stage's.
            let last = index + 1 == count;
            let of_block = format!("layer{stage}.{index}");
            let value = if last { format!("layer{stage}") } else { of_block.clone() };
            x = residual(&mut b, block, &of_block, &value, x, width, stride);
        }
    }
    let x = b.add_op("avgpool", GlobalAveragePool, &[x]);
    let logits = b.linear("fc", x, chosen.classes);
    b.finish(&[logits])
}

/// `NAME.convN` without bias and `NAME.bnN`; without a name, those of the network itself.
fn conv_bn(b: &mut GraphBuilder<'_>, name: &str, number: &str, x: ValueId, conv: ConvParams) -> ValueId {
    let dot = if name.is_empty() { "" } else { "." };
    let x = b.conv2d(&format!("{name}{dot}conv{number}"), x, conv.no_bias());
    b.batch_norm(&format!("{name}{dot}bn{number}"), x, BatchNormParams::default())
}

/// `relu(shortcut(x) + block(x))`, named `value`.
fn residual(
    b: &mut GraphBuilder<'_>,
    block: Block,
    name: &str,
    value: &str,
    x: ValueId,
    width: usize,
    stride: usize,
) -> ValueId {
    let relu = |b: &mut GraphBuilder<'_>, number: usize, x| b.relu(&format!("{name}.relu{number}"), x);
    let three = |stride| ConvParams::new(width, 3).stride(stride).padding(1);
    let (y, out) = match block {
        Block::Basic => {
            let y = conv_bn(b, name, "1", x, three(stride));
            let y = relu(b, 1, y);
            (conv_bn(b, name, "2", y, three(1)), width)
        }
        Block::Bottleneck => {
            let y = conv_bn(b, name, "1", x, ConvParams::new(width, 1));
            let y = relu(b, 1, y);
            let y = conv_bn(b, name, "2", y, three(stride));
            let y = relu(b, 2, y);
            (conv_bn(b, name, "3", y, ConvParams::new(4 * width, 1)), 4 * width)
        }
    };
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
