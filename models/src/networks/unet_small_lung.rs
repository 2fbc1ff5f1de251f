//! A small U-Net that finds the lungs.

use crate::{
    blocks::double_conv,
    options::{Sides, choose},
};
use niello_codegen::{
    Graph, GraphBuilder, Result, Shape,
    import::network::{Network, NetworkOptions},
    ops::{ConvParams, PointWise, TransposedConvParams},
    weights::WeightSource,
};

/// Lung mask from a CT slice: U-Net of widths 16, 32, 64, 128 with batch norm.
///
/// Input `[h, w, 1]`: HU + 1024, negatives to 0, not scaled further; sides multiples of 8. Output `[h, w, 1]`:
/// probability of lung (the value `final` holds the logits before the sigmoid).
#[derive(Clone, Copy, Debug, Default)]
pub struct UNetSmallLung;

/// Channels of the levels, from the full image down; `middle` has twice the last.
const WIDTHS: [usize; 3] = [16, 32, 64];

impl Network for UNetSmallLung {
    fn name(&self) -> &'static str {
        "unet_small_lung"
    }

    fn summary(&self) -> &'static str {
        "small U-Net: lung mask from a CT slice in Hounsfield units, 0.54 M parameters"
    }

    fn source(&self) -> &'static str {
        "U-Net: Ronneberger et al., MICCAI 2015, arXiv 1505.04597; weights trained on LCTSC 2017"
    }

    fn default_input(&self) -> Shape {
        Shape::new(512, 512, 1)
    }

    fn default_classes(&self) -> &'static [&'static str] {
        &["lung"]
    }

    fn default_preprocess(&self) -> &'static str {
        "hu:1024"
    }

    fn build(&self, options: &NetworkOptions, weights: &mut dyn WeightSource) -> Result<Graph> {
        let chosen = choose(self, options, Sides::MultipleOf(8))?;
        let mut b = GraphBuilder::new(self.name(), weights);
        let mut x = b.input("input", chosen.input);
        let mut levels = vec![];
        for (n, width) in (1..).zip(WIDTHS) {
            x = double_conv(&mut b, &format!("conv{n}"), x, width);
            levels.push((n, width, x));
            x = b.max_pool(&format!("pool{n}"), x, 2, 2, false);
        }
        x = double_conv(&mut b, "middle", x, 2 * WIDTHS[2]);
        for (n, width, skip) in levels.into_iter().rev() {
            let double = TransposedConvParams::new(width, 3, 2).padding(1).output_padding(1);
            x = b.transposed_conv2d(&format!("upsample{n}"), x, double);
            x = b.concat(&format!("upconv{n}.concat"), &[x, skip]);
            x = double_conv(&mut b, &format!("upconv{n}"), x, width);
        }
        let logits = b.conv2d("final", x, ConvParams::new(chosen.classes, 1));
        let probability = b.add_op("sigmoid", PointWise::sigmoid(), &[logits]);
        b.finish(&[probability])
    }
}
