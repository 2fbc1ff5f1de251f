//! Residual Attention U-Net.

use crate::{
    blocks::{Bottleneck, LshAttention, bottleneck},
    options::{Sides, choose},
};
use niello_codegen::{
    Error, Graph, GraphBuilder, Result, Shape, ValueId,
    import::network::{Network, NetworkOptions},
    ops::{ConvParams, TransposedConvParams},
    weights::WeightSource,
};

/// A U-Net of ResNeXt blocks with attention by locality-sensitive hashing at the two deepest levels of the decoder; 2,552,660
/// parameters with four classes.
///
/// The paper gives no widths, depths, cardinality or attention sizes and no code; these are those of our golden vectors, with keys of
/// our own. Input `[h, w, 1]`, sides multiples of 16, `h * w` a multiple of 2048: the hash's rotations fix the size (a 369x369 slice is
/// padded to 384x384 at the bottom and right). Output logits `[h, w, classes]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResidualAttentionUNet;

/// Channels of the levels, from the full image down.
const WIDTHS: [usize; 5] = [32, 64, 128, 256, 512];
const ATTENTION: LshAttention = LshAttention { heads: 4, bucket: 16, rounds: 2 };
/// Levels of the decoder from here on have attention.
const FIRST_ATTENTION: usize = 3;
/// The pixels of the deepest attention, 8 times smaller on each side, are whole pairs of chunks.
const AREA: usize = 2 * ATTENTION.bucket * 64;

impl Network for ResidualAttentionUNet {
    fn name(&self) -> &'static str {
        "residual_attention_unet"
    }

    fn summary(&self) -> &'static str {
        "Residual Attention U-Net: segments lesions in CT slices; ResNeXt blocks, LSH attention, 2.6 M parameters"
    }

    fn source(&self) -> &'static str {
        "Chen, Yao, Zhang, arXiv 2004.05645, in our reading; attention of lucidrains/reformer-pytorch"
    }

    fn default_input(&self) -> Shape {
        Shape::new(384, 384, 1)
    }

    fn default_classes(&self) -> &'static [&'static str] {
        &["background", "ground glass", "consolidation", "pleural effusion"]
    }

    fn build(&self, options: &NetworkOptions, weights: &mut dyn WeightSource) -> Result<Graph> {
        let chosen = choose(self, options, Sides::MultipleOf(16))?;
        let Shape { h, w, .. } = chosen.input;
        if !chosen.input.area().is_multiple_of(AREA) {
            let rule = format!("input height times width must be a multiple of {AREA}, got {h}x{w}");
            return Err(Error::Invalid(format!("{}: {rule}", self.name())));
        }
        let mut b = GraphBuilder::new(self.name(), weights);
        let block = |b: &mut GraphBuilder<'_>, name: &str, x: ValueId, out: usize| {
            bottleneck(
                b,
                name,
                name,
                x,
                Bottleneck { inner: out / 2, out, groups: 8, stride: 1, dilation: 1 },
            )
        };
        let mut x = b.input("input", chosen.input);
        let [levels @ .., bottom] = WIDTHS;
        let mut skips = vec![];
        for (n, width) in (1..).zip(levels) {
            x = block(&mut b, &format!("enc{n}"), x, width);
            skips.push((n, width, x));
            x = b.max_pool(&format!("pool{n}"), x, 2, 2, false);
        }
        x = block(&mut b, "bottom", x, bottom);
        for (n, width, skip) in skips.into_iter().rev() {
            let up = b.transposed_conv2d(&format!("up{n}"), x, TransposedConvParams::new(width, 2, 2));
            x = b.concat(&format!("cat{n}"), &[up, skip]);
            if n >= FIRST_ATTENTION {
                let seen = ATTENTION.build(&mut b, &format!("att{n}"), x);
                x = b.add(&format!("att{n}.add"), x, seen);
            }
            x = block(&mut b, &format!("dec{n}"), x, width);
        }
        let logits = b.conv2d("final", x, ConvParams::new(chosen.classes, 1));
        b.finish(&[logits])
    }
}
