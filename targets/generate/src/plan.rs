//! Plans: the models to write, their targets and folders.
//!
//! ```toml
//! images = "../shared/data/ct/covid_ct/val/COVID"   # absent: cases of golden files that are images are left out
//!
//! [[model]]
//! folder = "bits"
//! name = "anam_net_tiny.single.portable"
//! recipe = "tests/bits/anam_net_tiny.toml"            # or "kernels": single layers
//! rounding = "single"                                 # absent: the recipe's
//! target = "portable"                                 # or `board`; neither: the recipe's
//! layer-checks = true
//! golden = "tests/bits/anam_net_tiny.single.golden"   # whose cases the model runs
//! flip = 9                                            # a layer whose first weight is wrong by one bit
//! ```

use niello_codegen::{Error, Result};
use serde::Deserialize;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// In place of a recipe: the layers of [`crate::kernels`].
pub(crate) const KERNELS: &str = "kernels";

/// The models to write.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// The folder of the images that golden files name.
    pub(crate) images: Option<PathBuf>,
    /// All models.
    #[serde(default)]
    pub(crate) model: Vec<Model>,
}

/// One model in one folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Model {
    /// Its folder, below the output folder.
    pub(crate) folder: String,
    /// Its name in programs.
    pub(crate) name: String,
    /// The recipe's path, or [`KERNELS`].
    pub(crate) recipe: String,
    /// Another rounding than the recipe's.
    pub(crate) rounding: Option<String>,
    /// The target that weights are packed for.
    pub(crate) target: Option<String>,
    /// The board's file: its packing and placement, and its memory map in the folder.
    pub(crate) board: Option<String>,
    /// Whether it can compare every layer's bytes.
    #[serde(default)]
    pub(crate) layer_checks: bool,
    /// The golden file whose cases it runs.
    pub(crate) golden: Option<PathBuf>,
    /// A layer with a flipped bit in one weight.
    pub(crate) flip: Option<usize>,
}

impl Plan {
    /// Reads a plan.
    ///
    /// # Errors
    /// A file that cannot be read, or is no plan.
    pub(crate) fn from_file(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(Error::io("cannot read", path))?;
        toml::from_str(&text).map_err(|error| Error::file(path, error.to_string()))
    }
}

impl Model {
    /// Its module, and the stem of its files.
    pub(crate) fn module(&self) -> String {
        self.name.replace(['-', '.'], "_")
    }
}
