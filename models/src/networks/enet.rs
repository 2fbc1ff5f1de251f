//! ENet, upstream and in the copy that Anam-Net's authors compare with.

use crate::{
    blocks::{Activation, Middle, add_act, conv_bn_act, enet_bottleneck, named},
    options::{Sides, choose},
};
use niello_codegen::{
    Error, Graph, GraphBuilder, Result, Shape, ValueId,
    import::network::{Network, NetworkOptions},
    ops::{
        BatchNormParams, ConvParams, MaxPool2d, MaxPosition2d, MaxUnpool2d, PadChannels, TransposedConvParams,
    },
    weights::WeightSource,
};

/// ENet: 349,140 parameters with one input channel and three classes.
///
/// Input `[h, w, c]`, sides multiples of 8, up to 15 channels. Output logits `[h, w, classes]`. The encoder has PReLUs with one slope
/// each, the decoder ReLUs. Both variants have the same tensors, so weights do not distinguish them.
#[derive(Clone, Copy, Debug)]
pub struct ENet {
    name: &'static str,
    summary: &'static str,
    source: &'static str,
    /// Whether a ReLU follows the last batch norm of an upsampling block's extension.
    act_after_expand: bool,
}

impl ENet {
    /// As published in PyTorch.
    pub const UPSTREAM: Self = Self {
        name: "enet",
        summary: "ENet: segments; small residual encoder-decoder with max unpooling, 0.35 M parameters",
        source: "Paszke et al., arXiv 1606.02147; davidtvs/PyTorch-ENet models/enet.py",
        act_after_expand: false,
    };
    /// As in Anam-Net's repository.
    pub const ANAM: Self = Self {
        name: "enet_anam",
        summary: "ENet of the Anam-Net authors: one more ReLU in upsampling blocks than upstream, 0.35 M parameters",
        source: "Paszke et al., arXiv 1606.02147; NaveenPaluru/Segmentation-COVID-19 enet.py",
        act_after_expand: true,
    };
}

/// Channels behind the initial block.
const INITIAL: usize = 16;

/// Stages 2 and 3 have these blocks.
const STAGE: [(&str, Middle); 8] = [
    ("regular", Middle::Dilated(1)),
    ("dilated", Middle::Dilated(2)),
    ("asymmetric", Middle::Asymmetric(5)),
    ("dilated", Middle::Dilated(4)),
    ("regular", Middle::Dilated(1)),
    ("dilated", Middle::Dilated(8)),
    ("asymmetric", Middle::Asymmetric(5)),
    ("dilated", Middle::Dilated(16)),
];

impl Network for ENet {
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
        Shape::new(512, 512, 1)
    }

    fn default_classes(&self) -> &'static [&'static str] {
        &["background", "abnormal lung", "normal lung"]
    }

    fn build(&self, options: &NetworkOptions, weights: &mut dyn WeightSource) -> Result<Graph> {
        let chosen = choose(self, options, Sides::MultipleOf(8))?;
        if chosen.input.c >= INITIAL {
            let (name, c) = (self.name, chosen.input.c);
            let message = format!("{name}: number of input channels must be below {INITIAL}, got {c}");
            return Err(Error::Invalid(message));
        }
        let regular = Middle::Dilated(1);
        let (encoder, decoder) = (Activation::SharedPRelu, Activation::Relu);
        let mut b = GraphBuilder::new(self.name, weights);
        let x = b.input("input", chosen.input);
        let x = initial_block(&mut b, x);
        let (mut x, first) = downsample(&mut b, "downsample1_0", x, 64);
        for i in 1..=4 {
            x = enet_bottleneck(&mut b, &format!("regular1_{i}"), x, regular, encoder);
        }
        let (mut x, second) = downsample(&mut b, "downsample2_0", x, 128);
        for (stage, start) in [(2, 1), (3, 0)] {
            for (i, (kind, middle)) in (start..).zip(STAGE) {
                x = enet_bottleneck(&mut b, &format!("{kind}{stage}_{i}"), x, middle, encoder);
            }
        }
        x = self.upsample(&mut b, "upsample4_0", x, second, 64);
        for name in ["regular4_1", "regular4_2"] {
            x = enet_bottleneck(&mut b, name, x, regular, decoder);
        }
        x = self.upsample(&mut b, "upsample5_0", x, first, INITIAL);
        x = enet_bottleneck(&mut b, "regular5_1", x, regular, decoder);
        let last = TransposedConvParams::new(chosen.classes, 3, 2).padding(1).output_padding(1).no_bias();
        let logits = b.transposed_conv2d("transposed_conv", x, last);
        b.finish(&[logits])
    }
}

/// `[convolution, max pool of the input]`, batch norm, PReLU.
fn initial_block(b: &mut GraphBuilder<'_>, x: ValueId) -> ValueId {
    let name = |part: &str| format!("initial_block.{part}");
    let conv = ConvParams::new(INITIAL - b.shape(x).c, 3).stride(2).padding(1).no_bias();
    let main = b.conv2d(&name("main_branch"), x, conv);
    let pooled = b.add_op(&name("ext_branch"), MaxPool2d::new(3, 2).padding(1), &[x]);
    let x = b.concat(&name("concat"), &[main, pooled]);
    let x = b.batch_norm(&name("batch_norm"), x, BatchNormParams::default());
    Activation::SharedPRelu.apply(b, &name("out_activation"), "initial_block", x)
}

/// The max positions and the size of a downsampling block, for the upsampling block of that size.
#[derive(Clone, Copy)]
struct Pooled {
    positions: ValueId,
    size: [usize; 2],
}

/// Half the size, `out` channels: max pool with channels of zeros behind, plus a bottleneck whose first convolution has stride 2.
fn downsample(b: &mut GraphBuilder<'_>, name: &str, x: ValueId, out: usize) -> (ValueId, Pooled) {
    let (pool, shape, act) = (MaxPool2d::new(2, 2), b.shape(x), Activation::SharedPRelu);
    let inner = shape.c / 4;
    let main = b.add_op(&format!("{name}.pool"), pool, &[x]);
    let positions = b.add_op(&format!("{name}.pool.positions"), MaxPosition2d { pool }, &[x]);
    let main = b.add_op(&format!("{name}.pad"), PadChannels { more: out - shape.c }, &[main]);
    let mut ext = x;
    for (part, conv) in [
        ("ext_conv1", ConvParams::new(inner, 2).stride(2)),
        ("ext_conv2", ConvParams::new(inner, 3).padding(1)),
        ("ext_conv3", ConvParams::new(out, 1)),
    ] {
        ext = conv_bn_act(b, &format!("{name}.{part}"), ext, conv.no_bias(), act);
    }
    let sum = add_act(b, name, main, ext, act);
    (sum, Pooled { positions, size: [shape.h, shape.w] })
}

impl ENet {
    /// Twice the size, `out` channels: 1x1 convolution and max unpooling, plus a bottleneck around a transposed convolution.
    fn upsample(
        &self,
        b: &mut GraphBuilder<'_>,
        name: &str,
        x: ValueId,
        pooled: Pooled,
        out: usize,
    ) -> ValueId {
        let name_of = |part: &str| format!("{name}.{part}");
        let (inner, act) = (b.shape(x).c / 4, Activation::Relu);
        let main = conv_bn(b, &name_of("main_conv1"), x, out);
        let unpool = MaxUnpool2d::new(2, pooled.size);
        let main = b.add_op(&name_of("unpool"), unpool, &[main, pooled.positions]);
        let ext = conv_bn_act(b, &name_of("ext_conv1"), x, ConvParams::new(inner, 1).no_bias(), act);
        let twice = TransposedConvParams::new(inner, 2, 2).no_bias();
        let ext = b.transposed_conv2d(&name_of("ext_tconv1"), ext, twice);
        let ext = b.batch_norm(&name_of("ext_tconv1_bnorm"), ext, BatchNormParams::default());
        let ext = b.relu(&name_of("ext_tconv1_activation"), ext);
        let ext = if self.act_after_expand {
            conv_bn_act(b, &name_of("ext_conv2"), ext, ConvParams::new(out, 1).no_bias(), act)
        } else {
            conv_bn(b, &name_of("ext_conv2"), ext, out)
        };
        add_act(b, name, main, ext, act)
    }
}

/// 1x1 convolution `NAME.0` without bias, batch norm `NAME.1` as `NAME`.
fn conv_bn(b: &mut GraphBuilder<'_>, name: &str, x: ValueId, out: usize) -> ValueId {
    let x = b.conv2d(&format!("{name}.0"), x, ConvParams::new(out, 1).no_bias());
    let x = b.batch_norm(&format!("{name}.1"), x, BatchNormParams::default());
    named(b, name, x)
}
