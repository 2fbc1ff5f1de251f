//! SqueezeNets: everything but the table of layers.
//!
//! Iandola et al., arXiv 1602.07360; names as in torchvision's `squeezenet.py`.

use super::fire::fire;
use crate::options::Chosen;
use niello_codegen::{
    Graph, GraphBuilder, Result, ValueId,
    ops::{ConvParams, GlobalAveragePool},
    weights::WeightSource,
};

/// A layer of `features`; its index there is its place in the table.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Feature {
    /// Stride 2, no padding: output channels, kernel.
    Conv(usize, usize),
    /// ReLU.
    Relu,
    /// Max pooling 3x3, stride 2; a window may end outside the map.
    Pool,
    /// Fire module: channels of the squeeze, channels of each expand.
    Fire(usize, usize),
    /// Fire module whose input is added to its output, `features.N.bypass`.
    Bypassed(usize, usize),
    /// Fire module to whose output a 1x1 convolution of its input, `features.N.bypass`, is added.
    Projected(usize, usize),
}

/// `features.N` by the table, then `classifier.1` (1x1 convolution to the classes), `classifier.2` (ReLU) and
/// `classifier.3` (global average), `[1, 1, classes]`. `padding` is that of `classifier.1`.
///
/// Because of that ReLU a class score is never negative, and can be exactly 0.
pub(crate) fn squeezenet(
    name: &str,
    features: &[Feature],
    padding: usize,
    chosen: Chosen,
    weights: &mut dyn WeightSource,
) -> Result<Graph> {
    let mut b = GraphBuilder::new(name, weights);
    let mut x = b.input("input", chosen.input);
    for (index, feature) in features.iter().enumerate() {
        x = layer(&mut b, &format!("features.{index}"), x, *feature);
    }
    // classifier.0 is drop-out.
    let x = b.conv2d("classifier.1", x, ConvParams::new(chosen.classes, 1).padding(padding));
    let x = b.relu("classifier.2", x);
    let x = b.add_op("classifier.3", GlobalAveragePool, &[x]);
    b.finish(&[x])
}

fn layer(b: &mut GraphBuilder<'_>, name: &str, x: ValueId, feature: Feature) -> ValueId {
    match feature {
        Feature::Conv(out, kernel) => b.conv2d(name, x, ConvParams::new(out, kernel).stride(2)),
        Feature::Relu => b.relu(name, x),
        Feature::Pool => b.max_pool(name, x, 3, 2, true),
        Feature::Fire(squeeze, expand) => fire(b, name, x, squeeze, expand),
        Feature::Bypassed(squeeze, expand) => {
            let y = fire(b, name, x, squeeze, expand);
            b.add(&format!("{name}.bypass"), x, y)
        }
        Feature::Projected(squeeze, expand) => {
            let y = fire(b, name, x, squeeze, expand);
            let x = b.conv2d(&format!("{name}.bypass"), x, ConvParams::new(2 * expand, 1));
            b.add(&format!("{name}.add"), x, y)
        }
    }
}
