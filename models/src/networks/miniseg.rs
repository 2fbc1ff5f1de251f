//! MiniSeg: two paths of depthwise and dilated convolutions, attention by group.

use crate::{
    blocks::{named, prelu},
    options::{Sides, choose},
};
use niello_codegen::{
    Graph, GraphBuilder, Result, Shape, ValueId,
    import::network::{Network, NetworkOptions},
    ops::{AveragePool2d, BatchNormParams, ConvParams, Mul, PointWise, Resize, ResizeMode, SliceChannels},
    weights::WeightSource,
};

/// MiniSeg: 82,666 parameters with two classes.
///
/// Input `[h, w, 3]` minus the mean, over the deviation of its training set (the image's own do), sides multiples of 16. Output
/// logits `[h, w, classes]`. The auxiliary heads of training (`pred2` to `pred4`) are left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct MiniSeg;

/// Output channels and blocks of each stage, from half the size down.
const STAGES: [(usize, usize); 4] = [(8, 2), (24, 3), (32, 8), (64, 6)];

impl Network for MiniSeg {
    fn name(&self) -> &'static str {
        "miniseg"
    }

    fn summary(&self) -> &'static str {
        "MiniSeg: segments lesions in CT slices; attentive hierarchical spatial pyramid, 0.08 M parameters"
    }

    fn source(&self) -> &'static str {
        "Qiu et al., AAAI 2021, arXiv 2004.09750; yun-liu/MiniSeg MiniSeg.py"
    }

    fn default_input(&self) -> Shape {
        Shape::new(512, 512, 3)
    }

    fn default_classes(&self) -> &'static [&'static str] {
        &["background", "infection"]
    }

    fn default_preprocess(&self) -> &'static str {
        "standardize resize=stretch"
    }

    fn build(&self, options: &NetworkOptions, weights: &mut dyn WeightSource) -> Result<Graph> {
        let chosen = choose(self, options, Sides::MultipleOf(16))?;
        let mut b = GraphBuilder::new(self.name(), weights);
        b.ignore(&["pred2.", "pred3.", "pred4."]);
        let x = b.input("input", chosen.input);
        let (mut into_long, mut into_out) = (x, x);
        let mut stages = vec![];
        for (n, (width, depth)) in (1..).zip(STAGES) {
            let (long, out) = stage(&mut b, n, width, depth, [into_long, into_out]);
            stages.push(out);
            if n < STAGES.len() {
                [into_long, into_out] = exchange(&mut b, &format!("cat{n}"), long, out);
            }
        }
        let x = decoder(&mut b, &stages);
        let x = b.conv2d("pred1.1", x, ConvParams::new(chosen.classes, 1));
        let x = resize(&mut b, "output", x, chosen.input);
        b.finish(&[x])
    }
}

/// Half the size: the two paths, which blocks read together. The first half of the blocks serves both, the others the output path.
fn stage(
    b: &mut GraphBuilder<'_>,
    n: usize,
    width: usize,
    depth: usize,
    [into_long, into_out]: [ValueId; 2],
) -> (ValueId, ValueId) {
    let block = |b: &mut GraphBuilder<'_>, name: &str, x, stride| {
        if n == 1 { plain(b, name, x, width, stride) } else { pyramid(b, name, x, width, stride) }
    };
    let mut long = downsampler(b, &format!("long{n}"), into_long, width, 2);
    let mut out = block(b, &format!("down{n}"), into_out, 2);
    for i in 0..depth {
        let name = format!("level{n}.{i}");
        let both = b.add(&format!("{name}.both"), out, long);
        let y = block(b, &name, both, 1);
        out = b.add(&format!("{name}.add"), y, out);
        if i < depth / 2 {
            let name = format!("level{n}_long.{i}");
            let y = downsampler(b, &name, both, width, 1);
            long = b.add(&format!("{name}.add"), y, long);
        }
    }
    (long, out)
}

/// Both paths through one convolution, each half of the result added to its path.
fn exchange(b: &mut GraphBuilder<'_>, name: &str, long: ValueId, out: ValueId) -> [ValueId; 2] {
    let width = b.shape(long).c;
    let x = b.concat(&format!("{name}.concat"), &[long, out]);
    let x = b.conv2d(&format!("{name}.0"), x, ConvParams::new(2 * width, 1).no_bias());
    let x = b.batch_norm(&format!("{name}.1"), x, BatchNormParams::default());
    let x = named(b, name, x);
    [("long", 0, long), ("out", width, out)].map(|(path, first, own)| {
        let half = SliceChannels { first, count: width };
        let half = b.add_op(&format!("{name}.{path}"), half, &[x]);
        b.add(&format!("{name}.{path}.add"), half, own)
    })
}

/// 3x3 convolution, batch norm, PReLU: `NAME.conv`, `NAME.bn`, `NAME`.
fn plain(b: &mut GraphBuilder<'_>, name: &str, x: ValueId, out: usize, stride: usize) -> ValueId {
    let conv = ConvParams::new(out, 3).stride(stride).padding(1).no_bias();
    let x = b.conv2d(&format!("{name}.conv"), x, conv);
    norm_act(b, name, x)
}

/// 1x1 convolution, depthwise 5x5, batch norm, PReLU: `NAME.conv0`, `NAME.conv1`, `NAME.bn`, `NAME`.
fn downsampler(b: &mut GraphBuilder<'_>, name: &str, x: ValueId, out: usize, stride: usize) -> ValueId {
    let x = b.conv2d(&format!("{name}.conv0"), x, ConvParams::new(out, 1).no_bias());
    let depthwise = ConvParams::new(out, 5).stride(stride).padding(2).groups(out).no_bias();
    let x = b.conv2d(&format!("{name}.conv1"), x, depthwise);
    norm_act(b, name, x)
}

/// Attentive hierarchical spatial pyramid: four dilated depthwise convolutions of the squeezed map, each added to the one before and
/// weighed by its attention.
fn pyramid(b: &mut GraphBuilder<'_>, name: &str, x: ValueId, out: usize, stride: usize) -> ValueId {
    let name_of = |part: &str| format!("{name}.{part}");
    let quarter = out / 4;
    let x = b.conv2d(&name_of("conv1x1_down"), x, ConvParams::new(quarter, 1).no_bias());
    let pool = AveragePool2d { padding: [1; 4], ..AveragePool2d::new(3, stride) };
    let mut sum = b.add_op(&name_of("pool"), pool, &[x]);
    let scales = [1, 2, 3, 4].map(|n| {
        let dilation = 1 << (n - 1);
        let conv = ConvParams::new(quarter, 3).stride(stride).padding(dilation).dilation(dilation);
        let y = b.conv2d(&name_of(&format!("conv{n}")), x, conv.groups(quarter).no_bias());
        sum = b.add(&name_of(&format!("add{n}")), y, sum);
        sum
    });
    let all = b.concat(&name_of("scales"), &scales);
    let weights = b.conv2d(&name_of("attention"), all, ConvParams::new(4, 1).groups(4).no_bias());
    let weights = b.add_op(&name_of("attention.sigmoid"), PointWise::sigmoid(), &[weights]);
    let more = b.add_op(&name_of("attention.mul"), Mul::default(), &[all, weights]);
    let x = b.add(&name_of("weighed"), all, more);
    let x = b.conv2d(&name_of("conv1x1_fuse"), x, ConvParams::new(out, 1).groups(4).no_bias());
    norm_act(b, name, x)
}

/// `NAME.bn`, then the PReLU `NAME.act` as `NAME`.
fn norm_act(b: &mut GraphBuilder<'_>, name: &str, x: ValueId) -> ValueId {
    let x = b.batch_norm(&format!("{name}.bn"), x, BatchNormParams::default());
    let slopes = b.shape(x).c;
    prelu(b, &format!("{name}.act"), name, x, slopes)
}

/// From the smallest map up: each stage's own 1x1 convolution plus the widened map from below.
fn decoder(b: &mut GraphBuilder<'_>, stages: &[ValueId]) -> ValueId {
    let mut below: Option<ValueId> = None;
    for (index, stage) in stages.iter().enumerate().rev() {
        let n = index + 1;
        let shape = b.shape(*stage);
        let name_of = |part: &str| format!("up{n}_{part}");
        let own = b.conv2d(&name_of(&format!("conv{n}")), *stage, ConvParams::new(shape.c, 1));
        let mut x = b.batch_norm(&name_of(&format!("bn{n}")), own, BatchNormParams::default());
        if let Some(below) = below {
            let below = resize(b, &name_of("resize"), below, shape);
            let widened = widen(b, &name_of(&format!("conv{}", n + 1)), below, shape.c);
            x = b.add(&name_of("add"), widened, x);
        }
        below = Some(b.prelu(&name_of("act"), x, shape.c));
    }
    below.unwrap_or(stages[0])
}

/// 1x1 convolution, the sum of depthwise 3x3 ones with dilations 1 and 2, batch norm: `NAME.conv0` to `NAME.conv2`, `NAME.add`,
/// `NAME.bn`.
fn widen(b: &mut GraphBuilder<'_>, name: &str, x: ValueId, out: usize) -> ValueId {
    let x = b.conv2d(&format!("{name}.conv0"), x, ConvParams::new(out, 1).no_bias());
    let [one, two] = [1, 2].map(|d| {
        let conv = ConvParams::new(out, 3).padding(d).dilation(d).groups(out).no_bias();
        b.conv2d(&format!("{name}.conv{d}"), x, conv)
    });
    let sum = b.add(&format!("{name}.add"), one, two);
    b.batch_norm(&format!("{name}.bn"), sum, BatchNormParams::default())
}

/// To the height and width of `to`.
fn resize(b: &mut GraphBuilder<'_>, name: &str, x: ValueId, to: Shape) -> ValueId {
    b.add_op(name, Resize { size: [to.h, to.w], mode: ResizeMode::Bilinear }, &[x])
}
