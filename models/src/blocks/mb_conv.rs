//! EfficientNet's inverted residual with squeeze-and-excitation.
//!
//! Tan and Le, ICML 2019, arXiv 1905.11946; Hu et al., CVPR 2018, arXiv 1709.01507; names as in torchvision's `efficientnet.py`.

use super::named;
use niello_codegen::{
    GraphBuilder, ValueId,
    ops::{BatchNormParams, Clamp, ConvParams, Function, GlobalAveragePool, PointWise},
};

/// The common parameters of a network's convolutions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Style {
    /// Batch norm's constant.
    pub(crate) epsilon: f64,
    /// TensorFlow's padding, for which an odd pixel goes after the image; else the same on both sides.
    pub(crate) tf_same: bool,
    /// Without squeeze-and-excitation, ReLU6 for SiLU.
    pub(crate) lite: bool,
}

/// An inverted residual.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MbConv {
    /// The expansion ratio: channels of the middle over channels of the input.
    pub(crate) ratio: usize,
    /// Side of the depthwise kernel.
    pub(crate) kernel: usize,
    /// Its stride.
    pub(crate) stride: usize,
    /// Output channels.
    pub(crate) out: usize,
}

impl Style {
    /// `NAME.0` convolution without bias and `NAME.1` batch norm.
    fn conv_bn(self, b: &mut GraphBuilder<'_>, name: &str, x: ValueId, conv: ConvParams) -> ValueId {
        let size = b.shape(x);
        let conv = if self.tf_same {
            conv.same([size.h, size.w])
        } else {
            let [side, _] = conv.kernel;
            conv.padding((side - 1) / 2)
        };
        let x = b.conv2d(&format!("{name}.0"), x, conv.no_bias());
        b.batch_norm(&format!("{name}.1"), x, BatchNormParams { epsilon: self.epsilon })
    }

    /// The same, and the activation, which bears the name.
    pub(crate) fn conv_bn_act(
        self,
        b: &mut GraphBuilder<'_>,
        name: &str,
        x: ValueId,
        conv: ConvParams,
    ) -> ValueId {
        let x = self.conv_bn(b, name, x, conv);
        if self.lite { b.add_op(name, Clamp::RELU6, &[x]) } else { silu(b, name, x) }
    }

    /// `NAME.block.N`: expansion (unless the ratio is 1), depthwise convolution, squeeze-and-excitation, projection. The input is added
    /// where shapes allow; nothing follows. The result is named `value`.
    pub(crate) fn mb_conv(
        self,
        b: &mut GraphBuilder<'_>,
        name: &str,
        value: &str,
        input: ValueId,
        p: MbConv,
    ) -> ValueId {
        let channels = b.shape(input).c;
        let wide = channels * p.ratio;
        let mut layers = (0..).map(|n| format!("{name}.block.{n}"));
        let mut next = || layers.next().unwrap_or_default();
        let mut x = input;
        if p.ratio != 1 {
            x = self.conv_bn_act(b, &next(), x, ConvParams::new(wide, 1));
        }
        x = self.conv_bn_act(b, &next(), x, ConvParams::new(wide, p.kernel).stride(p.stride).groups(wide));
        if !self.lite {
            x = squeeze_excite(b, &next(), x, (channels / 4).max(1));
        }
        x = self.conv_bn(b, &next(), x, ConvParams::new(p.out, 1));
        if p.stride == 1 && channels == p.out { b.add(value, x, input) } else { named(b, value, x) }
    }
}

fn silu(b: &mut GraphBuilder<'_>, name: &str, x: ValueId) -> ValueId {
    b.add_op(name, PointWise(Function::Silu), &[x])
}

/// `x * sigmoid(fc2(silu(fc1(mean of x))))`, one factor for each channel; named as the module.
fn squeeze_excite(b: &mut GraphBuilder<'_>, name: &str, x: ValueId, squeezed: usize) -> ValueId {
    let channels = b.shape(x).c;
    let scale = b.add_op(&format!("{name}.avgpool"), GlobalAveragePool, &[x]);
    let scale = b.conv2d(&format!("{name}.fc1"), scale, ConvParams::new(squeezed, 1));
    let scale = silu(b, &format!("{name}.activation"), scale);
    let scale = b.conv2d(&format!("{name}.fc2"), scale, ConvParams::new(channels, 1));
    let scale = b.add_op(&format!("{name}.scale_activation"), PointWise::sigmoid(), &[scale]);
    b.mul(name, x, scale)
}
