//! Anam-Net as its authors' code has it.

use crate::{
    blocks::{ad_block, conv_bn_relu},
    options::{Chosen, Sides, choose},
};
use niello_codegen::{
    Graph, GraphBuilder, Result, Shape,
    import::network::{Bundled, Network, NetworkOptions},
    ops::{ConvParams, TransposedConvParams},
    weights::WeightSource,
};

/// Anam-Net: abnormal and normal lung in one CT slice, 4.63 M parameters.
///
/// Input `[h, w, 1]` in 0..=1, sides multiples of 16; output logits `[h, w, 3]`: background, abnormal lung, normal lung.
/// A width of 64 channels is doubled twice on the way down; any multiple of 4 can be chosen instead.
/// The paper's 4.47 M parameters are [`AnamNetPaper`](super::AnamNetPaper)'s.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnamNet;

/// Each side is halved four times.
pub(super) const SIDES: Sides = Sides::MultipleOf(16);

/// Output channels of the encoder's four convolutions, in widths.
const DOWN: [usize; 4] = [1, 2, 4, 4];
/// Output channels of the decoder's four transposed convolutions, and of the convolutions behind them, in widths.
const UP: [usize; 4] = [4, 4, 2, 1];
/// The width of the published weights.
const WIDTH: usize = 64;
/// AD blocks squeeze channels to a quarter.
pub(super) const WIDTH_UNIT: usize = 4;

impl Network for AnamNet {
    fn name(&self) -> &'static str {
        "anam_net"
    }

    fn summary(&self) -> &'static str {
        "Anam-Net (published code): segments abnormal and normal lung; encoder-decoder with AD blocks, 4.63 M parameters"
    }

    fn source(&self) -> &'static str {
        "Paluru et al., IEEE TNNLS 32(3):932-946, 2021, doi 10.1109/TNNLS.2021.3054746; \
         github.com/NaveenPaluru/Segmentation-COVID-19 anamnet.py"
    }

    fn default_input(&self) -> Shape {
        Shape::new(512, 512, 1)
    }

    fn default_classes(&self) -> &'static [&'static str] {
        &["background", "abnormal lung", "normal lung"]
    }

    fn default_preprocess(&self) -> &'static str {
        "window:-600,1500"
    }

    fn width_unit(&self) -> Option<usize> {
        Some(WIDTH_UNIT)
    }

    fn bundled(&self) -> Option<Bundled> {
        Some(crate::bundled::anam_net())
    }

    fn build(&self, options: &NetworkOptions, weights: &mut dyn WeightSource) -> Result<Graph> {
        build(self.name(), choose(self, options, SIDES)?, true, weights)
    }
}

/// The network, with or without the AD blocks of the decoder.
pub(super) fn build(
    name: &str,
    chosen: Chosen,
    decoder_blocks: bool,
    weights: &mut dyn WeightSource,
) -> Result<Graph> {
    let mut b = GraphBuilder::new(name, weights);
    let mut x = b.input("input", chosen.input);
    let mut skips = vec![];
    let width = chosen.width.unwrap_or(WIDTH);
    for (n, widths) in (1..).zip(DOWN) {
        let out = width * widths;
        x = conv_bn_relu(&mut b, &format!("conv{n}_block"), x, ConvParams::new(out, 3).padding(1));
        skips.push(x);
        x = b.max_pool(&format!("max{n}"), x, 2, 2, false);
        if n < 4 {
            x = ad_block(&mut b, &format!("bottleneck{n}"), x);
        }
    }
    for ((n, widths), skip) in (1..).zip(UP).zip(skips.into_iter().rev()) {
        let out = width * widths;
        // Neither batch norm nor activation follows.
        x = b.transposed_conv2d(&format!("up_{n}"), x, TransposedConvParams::new(out, 2, 2));
        if decoder_blocks && n < 4 {
            x = ad_block(&mut b, &format!("bottleneck{}", n + 3), x);
        }
        x = b.concat(&format!("conv_up_{n}.concat"), &[x, skip]);
        x = conv_bn_relu(&mut b, &format!("conv_up_{n}"), x, ConvParams::new(out, 3).padding(1));
    }
    let logits = b.conv2d("conv_final", x, ConvParams::new(chosen.classes, 1));
    b.finish(&[logits])
}
