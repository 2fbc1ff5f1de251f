//! SegNet: VGG16 up to its convolutions, and the same backwards behind max unpooling.

use crate::options::{Sides, choose};
use niello_codegen::{
    Graph, GraphBuilder, Result, Shape, ValueId,
    import::network::{Network, NetworkOptions},
    ops::{BatchNormParams, ConvParams, MaxPool2d, MaxPosition2d, MaxUnpool2d},
    weights::WeightSource,
};

/// SegNet with one input channel, as Anam-Net is compared with it: 29,443,587 parameters with three classes.
///
/// Input `[h, w, 1]`, sides multiples of 32. Output logits `[h, w, classes]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SegNet;

/// Channels and convolutions of each stage, from the full image down.
const STAGES: [(usize, usize); 5] = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)];

impl Network for SegNet {
    fn name(&self) -> &'static str {
        "segnet"
    }

    fn summary(&self) -> &'static str {
        "SegNet: segments; VGG16 encoder, decoder with max unpooling at the encoder's positions, 29.4 M parameters"
    }

    fn source(&self) -> &'static str {
        "Badrinarayanan et al., IEEE TPAMI 39(12), 2017, arXiv 1511.00561; yun-liu/MiniSeg full_code/models/Baselines/SegNet.py"
    }

    fn default_input(&self) -> Shape {
        Shape::new(512, 512, 1)
    }

    fn default_classes(&self) -> &'static [&'static str] {
        &["background", "abnormal lung", "normal lung"]
    }

    fn build(&self, options: &NetworkOptions, weights: &mut dyn WeightSource) -> Result<Graph> {
        let chosen = choose(self, options, Sides::MultipleOf(32))?;
        let mut b = GraphBuilder::new(self.name(), weights);
        let mut x = b.input("input", chosen.input);
        let mut pools = vec![];
        for (stage, (width, count)) in (1..).zip(STAGES) {
            for k in 1..=count {
                x = conv_bn_relu(&mut b, &format!("{stage}{k}"), x, width);
            }
            let (pool, shape) = (MaxPool2d::new(2, 2), b.shape(x));
            let values = b.add_op(&format!("pool{stage}"), pool, &[x]);
            let positions = b.add_op(&format!("pool{stage}.positions"), MaxPosition2d { pool }, &[x]);
            pools.push((positions, [shape.h, shape.w]));
            x = values;
        }
        for (index, (positions, size)) in pools.into_iter().enumerate().rev() {
            let (stage, (width, count)) = (index + 1, STAGES[index]);
            x = b.add_op(&format!("unpool{stage}"), MaxUnpool2d::new(2, size), &[x, positions]);
            for k in (2..=count).rev() {
                x = conv_bn_relu(&mut b, &format!("{stage}{k}d"), x, width);
            }
            if index > 0 {
                x = conv_bn_relu(&mut b, &format!("{stage}1d"), x, STAGES[index - 1].0);
            }
        }
        let logits = b.conv2d("conv11d", x, three_by_three(chosen.classes));
        b.finish(&[logits])
    }
}

/// `convNAME`, `bnNAME`, `reluNAME`.
fn conv_bn_relu(b: &mut GraphBuilder<'_>, name: &str, x: ValueId, out: usize) -> ValueId {
    let x = b.conv2d(&format!("conv{name}"), x, three_by_three(out));
    let x = b.batch_norm(&format!("bn{name}"), x, BatchNormParams::default());
    b.relu(&format!("relu{name}"), x)
}

fn three_by_three(out: usize) -> ConvParams {
    ConvParams::new(out, 3).padding(1)
}
