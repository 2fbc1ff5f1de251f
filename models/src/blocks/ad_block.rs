//! Anam-Net's anamorphic depth block: squeeze the channels to a quarter, convolve, stretch them again, add.
//!
//! Paluru et al., IEEE TNNLS 32(3), 2021, section III; the code is ENet's regular bottleneck (Paszke et al., arXiv
//! 1606.02147) with ReLU for PReLU and plain convolutions.

use super::conv_bn_relu;
use niello_codegen::{GraphBuilder, ValueId, graph::ConvParams};

/// `relu(x + ext(x))`, shape `[h, w, c]` to `[h, w, c]`; `ext` ends in a ReLU too.
///
/// `NAME.ext_conv1` (1x1 to `c / 4`), `NAME.ext_conv2` (3x3), `NAME.ext_conv3` (1x1 to `c`), each convolution `.0` without
/// bias and batch norm `.1`; then `NAME.add` and `NAME`.
pub(crate) fn ad_block(b: &mut GraphBuilder<'_>, name: &str, x: ValueId) -> ValueId {
    let channels = b.shape(x).c;
    let inner = channels / 4;
    let squeeze = ConvParams::new(inner, 1).no_bias();
    let convolve = ConvParams::new(inner, 3).padding(1).no_bias();
    let stretch = ConvParams::new(channels, 1).no_bias();
    let ext = conv_bn_relu(b, &format!("{name}.ext_conv1"), x, squeeze);
    let ext = conv_bn_relu(b, &format!("{name}.ext_conv2"), ext, convolve);
    let ext = conv_bn_relu(b, &format!("{name}.ext_conv3"), ext, stretch);
    let sum = b.add(&format!("{name}.add"), x, ext);
    b.relu(name, sum)
}
