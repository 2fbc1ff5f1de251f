//! SqueezeNet's Fire module: squeeze to few channels, expand by 1x1 and 3x3 kernels side by side.
//!
//! Iandola et al., arXiv 1602.07360, section 3.2; names as in torchvision.

use niello_codegen::{
    GraphBuilder, ValueId,
    ops::{BatchNormParams, ConvParams, Function, PointWise},
};

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
    let x = b.conv2d(&format!("{name}.squeeze"), x, ConvParams::new(squeeze, 1));
    expanded(b, name, x, expand, GraphBuilder::relu)
}

/// Polsinelli et al., arXiv 2004.12837: ELU for ReLU, and a batch norm `NAME.bn` between the squeeze and its activation.
pub(crate) fn fire_bn_elu(
    b: &mut GraphBuilder<'_>,
    name: &str,
    x: ValueId,
    squeeze: usize,
    expand: usize,
) -> ValueId {
    let x = b.conv2d(&format!("{name}.squeeze"), x, ConvParams::new(squeeze, 1));
    let x = b.batch_norm(&format!("{name}.bn"), x, BatchNormParams::default());
    expanded(b, name, x, expand, elu)
}

/// `x` where positive, else `exp(x) - 1`.
pub(crate) fn elu(b: &mut GraphBuilder<'_>, name: &str, x: ValueId) -> ValueId {
    b.add_op(name, PointWise(Function::Elu(1.0)), &[x])
}

/// Everything behind the squeeze.
fn expanded<'w>(
    b: &mut GraphBuilder<'w>,
    name: &str,
    squeezed: ValueId,
    expand: usize,
    activation: impl Fn(&mut GraphBuilder<'w>, &str, ValueId) -> ValueId,
) -> ValueId {
    let x = activation(b, &format!("{name}.squeeze_activation"), squeezed);
    let parts =
        [("expand1x1", ConvParams::new(expand, 1)), ("expand3x3", ConvParams::new(expand, 3).padding(1))];
    let parts = parts.map(|(part, conv)| {
        let x = b.conv2d(&format!("{name}.{part}"), x, conv);
        activation(b, &format!("{name}.{part}_activation"), x)
    });
    b.concat(name, &parts)
}
