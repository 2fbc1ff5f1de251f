//! UNet++.

use super::AnamNet;
use crate::options::{Sides, choose};
use niello_codegen::{
    Graph, GraphBuilder, Result, Shape, ValueId,
    import::network::{Network, NetworkOptions},
    ops::{BatchNormParams, ConvParams, Resize, ResizeMode},
    weights::WeightSource,
};

/// UNet++ (NestedUNet) without deep supervision: every skip connection is a row of blocks; 9,162,819 parameters.
///
/// Input `[h, w, 1]` in 0..=1, sides multiples of 16. Output logits `[h, w, classes]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct UNetPlusPlus;

/// Channels of the levels, from the full image down.
const WIDTHS: [usize; 5] = [32, 64, 128, 256, 512];

/// `NAME.conv1`, `NAME.bn1`, ReLU, `NAME.conv2`, `NAME.bn2`, `NAME` (ReLU).
fn vgg_block(b: &mut GraphBuilder<'_>, name: &str, x: ValueId, out: usize) -> ValueId {
    [(1, format!("{name}.relu")), (2, name.to_string())].into_iter().fold(x, |x, (n, last)| {
        let x = b.conv2d(&format!("{name}.conv{n}"), x, ConvParams::new(out, 3).padding(1));
        let x = b.batch_norm(&format!("{name}.bn{n}"), x, BatchNormParams::default());
        b.relu(&last, x)
    })
}

impl Network for UNetPlusPlus {
    fn name(&self) -> &'static str {
        "unet_plus_plus"
    }

    fn summary(&self) -> &'static str {
        "UNet++: segments lung and lesions in CT slices; nested skip connections, 9.2 M parameters"
    }

    fn source(&self) -> &'static str {
        "Zhou et al., DLMIA 2018, arXiv 1807.10165; 4uiiurz1/pytorch-nested-unet NestedUNet"
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
        // Blocks made so far at each level.
        let mut rows: Vec<Vec<ValueId>> = vec![];
        for (level, width) in WIDTHS.into_iter().enumerate() {
            if level > 0 {
                x = b.max_pool(&format!("pool{level}"), x, 2, 2, false);
            }
            x = vgg_block(&mut b, &format!("conv{level}_0"), x, width);
            rows.push(vec![x]);
        }
        for column in 1..WIDTHS.len() {
            for level in 0..WIDTHS.len() - column {
                let name = format!("conv{level}_{column}");
                let below = rows[level + 1][column - 1];
                let Shape { h, w, .. } = b.shape(below);
                let up = Resize { size: [2 * h, 2 * w], mode: ResizeMode::BilinearAligned };
                let up = b.add_op(&format!("{name}.up"), up, &[below]);
                let inputs: Vec<ValueId> = rows[level].iter().copied().chain([up]).collect();
                let x = b.concat(&format!("{name}.concat"), &inputs);
                let node = vgg_block(&mut b, &name, x, WIDTHS[level]);
                rows[level].push(node);
            }
        }
        let last = rows[0][WIDTHS.len() - 1];
        let logits = b.conv2d("final", last, ConvParams::new(chosen.classes, 1));
        b.finish(&[logits])
    }
}
