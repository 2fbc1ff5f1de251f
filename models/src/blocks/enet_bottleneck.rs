//! ENet's regular bottleneck: squeeze the channels to a quarter, convolve, stretch them again, add.
//!
//! Paszke et al., arXiv 1606.02147, figure 2b; names as in davidtvs/PyTorch-ENet.

use super::{
    Activation,
    conv_bn_act::{conv_bn_act, conv_bn_act_at},
};
use niello_codegen::{GraphBuilder, ValueId, ops::ConvParams};

/// The convolution between the two 1x1 ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Middle {
    /// 3x3 with this dilation.
    Dilated(usize),
    /// `n` by 1, then 1 by `n`, each with batch norm and activation.
    Asymmetric(usize),
}

/// `act(x + ext(x))`, shape `[h, w, c]` to `[h, w, c]`; `ext` ends in an activation too.
///
/// `NAME.ext_conv1` (1x1 to `c / 4`), `NAME.ext_conv2` (`middle`), `NAME.ext_conv3` (1x1 to `c`), each convolution `.0` without
/// bias and batch norm `.1`; then `NAME.add` and `NAME`, whose slopes are `NAME.out_activation`'s.
pub(crate) fn enet_bottleneck(
    b: &mut GraphBuilder<'_>,
    name: &str,
    x: ValueId,
    middle: Middle,
    act: Activation,
) -> ValueId {
    let channels = b.shape(x).c;
    let inner = channels / 4;
    let ext = conv_bn_act(b, &format!("{name}.ext_conv1"), x, ConvParams::new(inner, 1).no_bias(), act);
    let second = format!("{name}.ext_conv2");
    let ext = match middle {
        Middle::Dilated(d) => {
            let conv = ConvParams::new(inner, 3).padding(d).dilation(d).no_bias();
            conv_bn_act(b, &second, ext, conv, act)
        }
        Middle::Asymmetric(k) => {
            let (one, half) = (ConvParams::new(inner, 1).no_bias(), k / 2);
            let tall = ConvParams { kernel: [k, 1], padding: [half, half, 0, 0], ..one };
            let wide = ConvParams { kernel: [1, k], padding: [0, 0, half, half], ..one };
            let ext = conv_bn_act_at(b, &second, 0, &format!("{second}.2"), ext, tall, act);
            conv_bn_act_at(b, &second, 3, &second, ext, wide, act)
        }
    };
    let ext = conv_bn_act(b, &format!("{name}.ext_conv3"), ext, ConvParams::new(channels, 1).no_bias(), act);
    add_act(b, name, x, ext, act)
}

/// `act(main + ext)`: `NAME.add` and `NAME`.
pub(crate) fn add_act(
    b: &mut GraphBuilder<'_>,
    name: &str,
    main: ValueId,
    ext: ValueId,
    act: Activation,
) -> ValueId {
    let sum = b.add(&format!("{name}.add"), main, ext);
    act.apply(b, &format!("{name}.out_activation"), name, sum)
}
