//! The activation behind a layer.

use niello_codegen::{GraphBuilder, ValueId, ops::PRelu, weights::Kind};

/// An activation that a network repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// One trained slope for all channels, `torch.nn.PReLU()`.
    SharedPRelu,
}

impl Activation {
    /// The activation of `x`, as a value named `value`; trained slopes are `MODULE.weight`.
    pub(crate) fn apply(self, b: &mut GraphBuilder<'_>, module: &str, value: &str, x: ValueId) -> ValueId {
        match self {
            Activation::Relu => b.relu(value, x),
            Activation::SharedPRelu => prelu(b, module, value, x, 1),
        }
    }
}

/// PReLU with `slopes` slopes, `MODULE.weight`, as a value named `value`.
pub(crate) fn prelu(
    b: &mut GraphBuilder<'_>,
    module: &str,
    value: &str,
    x: ValueId,
    slopes: usize,
) -> ValueId {
    let slopes = b.tensor(&format!("{module}.weight"), &[slopes], Kind::PReluSlope);
    b.add_op(value, PRelu::new(slopes), &[x])
}
