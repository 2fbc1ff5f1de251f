//! Attention U-Net.

use super::AnamNet;
use crate::{
    blocks::{double_conv, named},
    options::{Sides, choose},
};
use niello_codegen::{
    Graph, GraphBuilder, Result, Shape, ValueId,
    import::network::{Network, NetworkOptions},
    ops::{BatchNormParams, ConvParams, PointWise, Resize, ResizeMode},
    weights::WeightSource,
};

/// Attention U-Net: the decoder's features gate every skip connection; 34,877,551 parameters.
///
/// Input `[h, w, 1]` in 0..=1, sides multiples of 16. Output logits `[h, w, classes]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttentionUNet;

/// Channels of the levels, from the full image down.
const WIDTHS: [usize; 5] = [64, 128, 256, 512, 1024];

/// `NAME.0` 1x1 convolution and `NAME.1` batch norm.
fn project(b: &mut GraphBuilder<'_>, name: &str, x: ValueId, out: usize) -> ValueId {
    let x = b.conv2d(&format!("{name}.0"), x, ConvParams::new(out, 1));
    b.batch_norm(&format!("{name}.1"), x, BatchNormParams::default())
}

/// `skip * psi`, with one factor for each pixel: `psi = sigmoid(project(relu(project(signal) + project(skip))))`.
fn gate(b: &mut GraphBuilder<'_>, name: &str, signal: ValueId, skip: ValueId) -> ValueId {
    let inner = b.shape(skip).c / 2;
    let g = project(b, &format!("{name}.W_g"), signal, inner);
    let x = project(b, &format!("{name}.W_x"), skip, inner);
    let sum = b.add(&format!("{name}.add"), g, x);
    let sum = b.relu(&format!("{name}.relu"), sum);
    let psi = project(b, &format!("{name}.psi"), sum, 1);
    let psi = b.add_op(&format!("{name}.psi"), PointWise::sigmoid(), &[psi]);
    b.mul(name, skip, psi)
}

/// `NAME.conv`, as [`double_conv`] names its layers, and the result as `NAME`.
fn module(b: &mut GraphBuilder<'_>, name: &str, x: ValueId, out: usize) -> ValueId {
    let x = double_conv(b, &format!("{name}.conv"), x, out);
    named(b, name, x)
}

/// `NAME.up.0` (nearest, twice the size), `NAME.up.1` 3x3 convolution, `NAME.up.2` batch norm, `NAME` (ReLU).
fn up(b: &mut GraphBuilder<'_>, name: &str, x: ValueId, out: usize) -> ValueId {
    let Shape { h, w, .. } = b.shape(x);
    let resize = Resize { size: [2 * h, 2 * w], mode: ResizeMode::Nearest };
    let x = b.add_op(&format!("{name}.up.0"), resize, &[x]);
    let x = b.conv2d(&format!("{name}.up.1"), x, ConvParams::new(out, 3).padding(1));
    let x = b.batch_norm(&format!("{name}.up.2"), x, BatchNormParams::default());
    b.relu(name, x)
}

impl Network for AttentionUNet {
    fn name(&self) -> &'static str {
        "attention_unet"
    }

    fn summary(&self) -> &'static str {
        "Attention U-Net: segments lung and lesions in CT slices; gated skip connections, 34.9 M parameters"
    }

    fn source(&self) -> &'static str {
        "Oktay et al., MIDL 2018, arXiv 1804.03999; LeeJunHyun/Image_Segmentation AttU_Net"
    }

    fn default_input(&self) -> Shape {
        Shape::new(512, 512, 1)
    }

    fn default_classes(&self) -> &'static [&'static str] {
        AnamNet.default_classes()
    }

    fn default_preprocess(&self) -> &'static str {
        AnamNet.default_preprocess()
    }

    fn build(&self, options: &NetworkOptions, weights: &mut dyn WeightSource) -> Result<Graph> {
        let chosen = choose(self, options, Sides::MultipleOf(16))?;
        let mut b = GraphBuilder::new(self.name(), weights);
        let mut x = b.input("input", chosen.input);
        let mut skips = vec![];
        for (n, width) in (1..).zip(WIDTHS) {
            x = module(&mut b, &format!("Conv{n}"), x, width);
            if n < WIDTHS.len() {
                skips.push((n + 1, width, x));
                x = b.max_pool(&format!("Maxpool{n}"), x, 2, 2, false);
            }
        }
        for (n, width, skip) in skips.into_iter().rev() {
            x = up(&mut b, &format!("Up{n}"), x, width);
            let gated = gate(&mut b, &format!("Att{n}"), x, skip);
            x = b.concat(&format!("Up_conv{n}.concat"), &[gated, x]);
            x = module(&mut b, &format!("Up_conv{n}"), x, width);
        }
        let logits = b.conv2d("Conv_1x1", x, ConvParams::new(chosen.classes, 1));
        b.finish(&[logits])
    }
}
