//! SqueezeNet's Fire module: squeeze to few channels, expand by 1x1 and 3x3 kernels side by side.
//!
//! Iandola et al., arXiv 1602.07360, section 3.2; names as in torchvision.

use niello_codegen::{GraphBuilder, ValueId, graph::ConvParams};

/// `[h, w, c]` to `[h, w, 2 * expand]`.
///
/// `NAME.squeeze`, `NAME.expand1x1`, `NAME.expand3x3` are before their ReLU (`…_activation`); `NAME` is the concatenation
/// `[1x1, 3x3]`.
pub(crate) fn fire(
    b: &mut GraphBuilder<'_>,
    name: &str,
    x: ValueId,
    squeeze: usize,
    expand: usize,
) -> ValueId {
    let mut conv_relu = |part: &str, x, conv| {
        let x = b.conv2d(&format!("{name}.{part}"), x, conv);
        b.relu(&format!("{name}.{part}_activation"), x)
    };
    let x = conv_relu("squeeze", x, ConvParams::new(squeeze, 1));
    let narrow = conv_relu("expand1x1", x, ConvParams::new(expand, 1));
    let wide = conv_relu("expand3x3", x, ConvParams::new(expand, 3).padding(1));
    b.concat(name, &[narrow, wide])
}
