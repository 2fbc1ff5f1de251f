//! Modules whose last layer has a name of its own.

use niello_codegen::{GraphBuilder, ValueId, ops::Clamp};

/// `x`, also under `name`: a layer that does nothing, and that compilation drops.
pub(crate) fn named(b: &mut GraphBuilder<'_>, name: &str, x: ValueId) -> ValueId {
    b.add_op(name, Clamp::NONE, &[x])
}
