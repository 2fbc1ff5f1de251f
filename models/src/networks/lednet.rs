//! LEDNet: factorised convolutions on channel halves, channel shuffle, attention pyramid.

use crate::options::{Sides, choose};
use niello_codegen::{
    Error, Graph, GraphBuilder, Result, Shape, ValueId,
    import::network::{Network, NetworkOptions},
    ops::{
        BatchNormParams, ConvParams, GlobalAveragePool, MaxPool2d, Mul, Resize, ResizeMode, ShuffleChannels,
        SliceChannels,
    },
    weights::WeightSource,
};

/// LEDNet: 918,629 parameters with three classes.
///
/// Input `[h, w, 3]`, normalised as for ImageNet, sides multiples of 32. Output logits `[h, w, classes]`: the attention pyramid makes
/// the classes, and its result is resized to the input (the authors' code has 20 classes and one size).
#[derive(Clone, Copy, Debug, Default)]
pub struct LedNet;

/// Output channels of each downsampling block, and the dilations of the blocks behind it.
const STAGES: [(usize, &[usize]); 3] = [(32, &[1, 1, 1]), (64, &[1, 1]), (128, &[1, 2, 5, 9, 2, 5, 9, 17])];

const NORM: BatchNormParams = BatchNormParams { epsilon: 1e-3 };

impl Network for LedNet {
    fn name(&self) -> &'static str {
        "lednet"
    }

    fn summary(&self) -> &'static str {
        "LEDNet: segments; factorised convolutions with channel split and shuffle, attention pyramid, 0.92 M parameters"
    }

    fn source(&self) -> &'static str {
        "Wang et al., ICIP 2019, arXiv 1905.02423; xiaoyufenfei/LEDNet train/lednet.py"
    }

    fn default_input(&self) -> Shape {
        Shape::new(512, 512, 3)
    }

    fn default_classes(&self) -> &'static [&'static str] {
        &["background", "abnormal lung", "normal lung"]
    }

    fn default_preprocess(&self) -> &'static str {
        "imagenet"
    }

    fn build(&self, options: &NetworkOptions, weights: &mut dyn WeightSource) -> Result<Graph> {
        let chosen = choose(self, options, Sides::MultipleOf(32))?;
        if chosen.input.c >= STAGES[0].0 {
            let message =
                format!("lednet: number of input channels must be below 32, got {}", chosen.input.c);
            return Err(Error::Invalid(message));
        }
        let mut b = GraphBuilder::new(self.name(), weights);
        b.ignore(&["encoder.output_conv."]);
        let mut x = b.input("input", chosen.input);
        let mut names = std::iter::once("encoder.initial_block".to_string())
            .chain((0..).map(|i| format!("encoder.layers.{i}")));
        let mut name = || names.next().unwrap_or_default();
        for (out, dilations) in STAGES {
            x = downsample(&mut b, &name(), x, out);
            for dilation in dilations {
                x = split_shuffle(&mut b, &name(), x, *dilation);
            }
        }
        let x = pyramid(&mut b, "decoder.apn", x, chosen.classes);
        let x = resize(&mut b, "output", x, chosen.input);
        b.finish(&[x])
    }
}

/// Half the size, `out` channels: `[convolution, max pool]`, batch norm, ReLU.
fn downsample(b: &mut GraphBuilder<'_>, name: &str, x: ValueId, out: usize) -> ValueId {
    let conv = ConvParams::new(out - b.shape(x).c, 3).stride(2).padding(1);
    let conv = b.conv2d(&format!("{name}.conv"), x, conv);
    let pool = b.add_op(&format!("{name}.pool"), MaxPool2d::new(2, 2), &[x]);
    let x = b.concat(&format!("{name}.concat"), &[conv, pool]);
    let x = b.batch_norm(&format!("{name}.bn"), x, NORM);
    b.relu(name, x)
}

/// Two factorised branches on the channel halves, added to the input; ReLU; channel shuffle.
fn split_shuffle(b: &mut GraphBuilder<'_>, name: &str, x: ValueId, dilation: usize) -> ValueId {
    let half = b.shape(x).c / 2;
    let branches = ["l", "r"].map(|side| {
        let first = if side == "l" { 0 } else { half };
        let part = SliceChannels { first, count: half };
        let part = b.add_op(&format!("{name}.split_{side}"), part, &[x]);
        branch(b, name, side, part, dilation)
    });
    let y = b.concat(&format!("{name}.concat"), &branches);
    let x = b.add(&format!("{name}.add"), x, y);
    let x = b.relu(&format!("{name}.relu"), x);
    b.add_op(name, ShuffleChannels { groups: 2 }, &[x])
}

/// Twice two convolutions of three pixels, the second two dilated: rows before columns on the left, columns before rows on the right.
fn branch(b: &mut GraphBuilder<'_>, name: &str, side: &str, x: ValueId, dilation: usize) -> ValueId {
    let axes = if side == "l" { ["3x1", "1x3"] } else { ["1x3", "3x1"] };
    [(1, 1), (2, dilation)].into_iter().fold(x, |x, (step, d)| {
        let [first, second] = axes.map(|axis| format!("{name}.conv{axis}_{step}_{side}"));
        let x = b.conv2d(&first, x, factor(b.shape(x).c, axes[0], d));
        let x = b.relu(&format!("{first}.relu"), x);
        let x = b.conv2d(&second, x, factor(b.shape(x).c, axes[1], d));
        let x = b.batch_norm(&format!("{name}.bn{step}_{side}"), x, NORM);
        if step == 1 { b.relu(&format!("{name}.bn{step}_{side}.relu"), x) } else { x }
    })
}

/// Three rows or three columns, `d` pixels apart.
fn factor(channels: usize, axis: &str, d: usize) -> ConvParams {
    let (kernel, padding) = if axis == "3x1" { ([3, 1], [d, d, 0, 0]) } else { ([1, 3], [0, 0, d, d]) };
    ConvParams { kernel, padding, dilation: [d; 2], ..ConvParams::new(channels, 1) }
}

/// Attention pyramid: a 1x1 path to the classes times a one-channel pyramid, plus a branch with the mean of the map.
fn pyramid(b: &mut GraphBuilder<'_>, name: &str, x: ValueId, classes: usize) -> ValueId {
    let whole = b.shape(x);
    let name_of = |part: &str| format!("{name}.{part}");
    let mean = b.add_op(&name_of("branch1.0"), GlobalAveragePool, &[x]);
    let mean = unit(b, &name_of("branch1.1"), &name_of("branch1"), mean, ConvParams::new(classes, 1));
    let mean = resize(b, &name_of("branch1.resize"), mean, whole);
    let mid = unit(b, &name_of("mid.0"), &name_of("mid"), x, ConvParams::new(classes, 1));
    let down = |kernel: usize| ConvParams::new(1, kernel).stride(2).padding(kernel / 2);
    let same = |kernel: usize| ConvParams::new(1, kernel).padding(kernel / 2);
    let first = unit(b, &name_of("down1"), &name_of("down1"), x, down(7));
    let second = unit(b, &name_of("down2"), &name_of("down2"), first, down(5));
    let third = unit(b, &name_of("down3.0"), &name_of("down3.0"), second, down(3));
    let mut y = unit(b, &name_of("down3.1"), &name_of("down3"), third, same(3));
    for (level, map, kernel) in [("2", second, 5), ("1", first, 7)] {
        let conv = name_of(&format!("conv{level}"));
        let own = unit(b, &conv, &conv, map, same(kernel));
        y = resize(b, &name_of(&format!("resize{level}")), y, b.shape(map));
        y = b.add(&name_of(&format!("add{level}")), own, y);
    }
    let y = resize(b, &name_of("resize"), y, whole);
    let y = b.add_op(&name_of("mul"), Mul::default(), &[mid, y]);
    b.add(name, y, mean)
}

/// `NAME.conv.0` convolution, `NAME.conv.1` batch norm, then a ReLU named `last`.
fn unit(b: &mut GraphBuilder<'_>, name: &str, last: &str, x: ValueId, conv: ConvParams) -> ValueId {
    let x = b.conv2d(&format!("{name}.conv.0"), x, conv);
    let x = b.batch_norm(&format!("{name}.conv.1"), x, NORM);
    b.relu(last, x)
}

/// To the height and width of `to`.
fn resize(b: &mut GraphBuilder<'_>, name: &str, x: ValueId, to: Shape) -> ValueId {
    b.add_op(name, Resize { size: [to.h, to.w], mode: ResizeMode::BilinearAligned }, &[x])
}
