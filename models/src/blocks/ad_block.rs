//! Anam-Net's anamorphic depth block: squeeze the channels to a quarter, convolve, stretch them again, add.
//!
//! Paluru et al., IEEE TNNLS 32(3), 2021, section III; the code is ENet's regular bottleneck with ReLU for PReLU and plain
//! convolutions.

use super::{
    Activation,
    enet_bottleneck::{Middle, enet_bottleneck},
};
use niello_codegen::{GraphBuilder, ValueId};

/// `relu(x + ext(x))`, shape `[h, w, c]` to `[h, w, c]`; names as in [`enet_bottleneck`].
pub(crate) fn ad_block(b: &mut GraphBuilder<'_>, name: &str, x: ValueId) -> ValueId {
    enet_bottleneck(b, name, x, Middle::Dilated(1), Activation::Relu)
}
