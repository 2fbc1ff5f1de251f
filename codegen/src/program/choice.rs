//! How layers are lowered that could be lowered otherwise.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// How one layer is lowered. What is absent is as lowering does it by default, or cannot be chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Choice {
    /// Output pixels per pass; Winograd's algorithm rounds them up to whole groups of tiles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels: Option<usize>,
    /// Whether a 3x3 convolution takes Winograd's algorithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub winograd: Option<bool>,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithm = self.winograd.map(|winograd| if winograd { "Winograd" } else { "direct" });
        let pixels = self.pixels.map(|pixels| format!("{pixels} pixels"));
        f.write_str(&algorithm.map(Into::into).into_iter().chain(pixels).collect::<Vec<String>>().join(", "))
    }
}

/// Layers by name, each with how it is lowered.
pub type Choices = BTreeMap<String, Choice>;
