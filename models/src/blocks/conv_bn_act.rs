//! Convolution, batch norm, activation.

use super::Activation;
use niello_codegen::{
    GraphBuilder, ValueId,
    ops::{BatchNormParams, ConvParams},
};

/// `NAME.0` convolution, `NAME.1` batch norm, `NAME` ReLU.
pub(crate) fn conv_bn_relu(b: &mut GraphBuilder<'_>, name: &str, x: ValueId, conv: ConvParams) -> ValueId {
    conv_bn_act(b, name, x, conv, Activation::Relu)
}

/// Twice 3x3 convolution to `out` channels, batch norm, ReLU: `NAME.0`, `.1`, `.2`, `NAME.3`, `.4`, `NAME`.
pub(crate) fn double_conv(b: &mut GraphBuilder<'_>, name: &str, x: ValueId, out: usize) -> ValueId {
    convs(b, name, x, out, 2)
}

/// The same `count` times.
pub(crate) fn convs(b: &mut GraphBuilder<'_>, name: &str, x: ValueId, out: usize, count: usize) -> ValueId {
    let conv = ConvParams::new(out, 3).padding(1);
    (0..count).fold(x, |x, i| {
        let last = if i + 1 == count { name.to_string() } else { format!("{name}.{}", 3 * i + 2) };
        conv_bn_act_at(b, name, 3 * i, &last, x, conv, Activation::Relu)
    })
}

/// `NAME.0` convolution, `NAME.1` batch norm, `NAME` the activation `NAME.2`.
pub(crate) fn conv_bn_act(
    b: &mut GraphBuilder<'_>,
    name: &str,
    x: ValueId,
    conv: ConvParams,
    act: Activation,
) -> ValueId {
    conv_bn_act_at(b, name, 0, name, x, conv, act)
}

/// `NAME.FIRST` convolution, `NAME.(FIRST + 1)` batch norm, then the activation `NAME.(FIRST + 2)` as a value named `last`.
pub(crate) fn conv_bn_act_at(
    b: &mut GraphBuilder<'_>,
    name: &str,
    first: usize,
    last: &str,
    x: ValueId,
    conv: ConvParams,
    act: Activation,
) -> ValueId {
    let x = b.conv2d(&format!("{name}.{first}"), x, conv);
    let x = b.batch_norm(&format!("{name}.{}", first + 1), x, BatchNormParams::default());
    act.apply(b, &format!("{name}.{}", first + 2), last, x)
}
