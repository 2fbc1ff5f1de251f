//! Choices that change the speed and the scratch of a layer and never its bytes: the number of pixels per pass, and the
//! algorithm.
//!
//! Lowering has a default for each. A [`Tuning`] names layers that are lowered otherwise; a program lists the possible
//! choices and the made ones ([`Choices`]). [`search`] selects the programs that a tuner measures and the choices that it keeps, [`TuningFile`] is
//! how it is kept; `docs/tuning.md` describes both.

mod costs;
mod file;
pub mod search;

pub use costs::Costs;
pub use file::{TunedLayer, TuningFile};

use crate::{graph::Graph, program::Choices};

/// The choices that lowering is to make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tuning {
    /// Its source, for errors: a file.
    pub source: String,
    /// Layers that are not lowered as by default.
    pub choices: Choices,
}

impl Tuning {
    /// Everything by default.
    pub const NONE: Self = Self { source: String::new(), choices: Choices::new() };

    /// Whether `made`, the choices of lowering in `graph`, has all of these choices.
    ///
    /// # Errors
    /// The first layer that is unknown or has no such choice.
    pub(crate) fn check(&self, graph: &Graph, made: &Choices) -> Result<(), String> {
        for (layer, asked) in &self.choices {
            let Some(node) = graph.nodes.iter().find(|node| node.name == *layer) else {
                let names: Vec<&str> = made.keys().map(String::as_str).collect();
                return Err(format!("no layer `{layer}`; choices have: {}", names.join(", ")));
            };
            let refuse = |what: &str| Err(format!("layer `{layer}` ({}): {what}", node.op.kind()));
            let made = made.get(layer).copied().unwrap_or_default();
            if asked.pixels.is_some() && made.pixels.is_none() {
                return refuse("`pixels` cannot be chosen, only of convolutions that are not depthwise");
            }
            if asked.winograd.is_some() && made.winograd.is_none() {
                return refuse(
                    "`winograd` cannot be chosen, only of dense 3x3 convolutions of stride 1 and a multiple of 8 \
                     channels, for 64-bit Arm",
                );
            }
        }
        Ok(())
    }
}
