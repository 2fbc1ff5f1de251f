//! The U-Net that Anam-Net's authors compare with.

use super::AnamNet;
use crate::{
    blocks::{convs, double_conv},
    options::{Sides, choose},
};
use niello_codegen::{
    Graph, GraphBuilder, Result, Shape,
    import::network::{Network, NetworkOptions},
    ops::{ConvParams, TransposedConvParams},
    weights::WeightSource,
};

/// U-Net as in the Anam-Net authors' code: three convolutions in the first block, two elsewhere; 31,079,555 parameters.
///
/// Input `[h, w, 1]` in 0..=1, sides multiples of 16. Output logits `[h, w, classes]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct UNetAnam;

/// Channels of the levels, from the full image down.
const WIDTHS: [usize; 5] = [64, 128, 256, 512, 1024];

impl Network for UNetAnam {
    fn name(&self) -> &'static str {
        "unet_anam"
    }

    fn summary(&self) -> &'static str {
        "U-Net of the Anam-Net authors: segments lung and lesions in CT slices, 31.1 M parameters"
    }

    fn source(&self) -> &'static str {
        "Ronneberger et al., MICCAI 2015, arXiv 1505.04597, in the variant of NaveenPaluru/Segmentation-COVID-19 (model.py)"
    }

    fn default_input(&self) -> Shape {
        Shape::new(512, 512, 1)
    }

    fn default_classes(&self) -> &'static [&'static str] {
        &["background", "abnormal", "normal lung"]
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
            x = convs(&mut b, &format!("conv{n}_block"), x, width, if n == 1 { 3 } else { 2 });
            if n < WIDTHS.len() {
                skips.push((width, x));
                x = b.max_pool(&format!("pool{n}"), x, 2, 2, false);
            }
        }
        for (n, (width, skip)) in (1..).zip(skips.into_iter().rev()) {
            x = b.transposed_conv2d(&format!("up_{n}"), x, TransposedConvParams::new(width, 2, 2));
            x = b.concat(&format!("conv_up_{n}.concat"), &[x, skip]);
            x = double_conv(&mut b, &format!("conv_up_{n}"), x, width);
        }
        let logits = b.conv2d("conv_final", x, ConvParams::new(chosen.classes, 1));
        b.finish(&[logits])
    }
}
