//! Recipes: everything that turns a checkpoint into a crate, in one text that build scripts and the command line share.
//!
//! ```toml
//! network = "anam_net"
//! weights = "weights.safetensors"
//! classes = ["background", "abnormal", "normal"]
//!
//! [input]
//! size = [512, 512]
//! preprocess = "window:-600,1500"
//!
//! [calibrate]
//! images = "calibration/"
//! ```
//!
//! [`Recipe::from_file`] reads one, [`Recipe::new`] begins one in Rust. `docs/recipes.md` describes every key. This
//! module reads and checks recipes; it does not carry them out.

mod board;
mod builder;
mod calibrate;
mod choices;
mod input;
#[cfg(feature = "imaging")]
mod pins;
mod ranges;
mod read;

pub use calibrate::{Calibrate, CalibrationSet, Images};
pub use choices::{Head, NumberFormat, RangeChoice, Reference, Rounding};
pub use input::Input;
pub use ranges::RangeOverride;

use crate::{Error, Result, format::Mode, lower::AUTO, weights::shards};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// A build: the network, its weights, and all choices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Name of the network in the registry, or a model file (`….tflite`, `….onnx`), relative to the recipe's folder.
    pub network: String,
    /// Its weights (safetensors), relative to the recipe's folder; absent: those that are bundled with the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,
    /// Weights from a seed, for figures that need no training: sizes, speed, bits. Without a calibration set, two seeded
    /// inputs are one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub seeded: bool,
    /// The network's base number of channels, where it has one; absent: its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// Class names, in the order of the outputs; empty: the network's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// The input and how images become it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub input: Input,
    /// How the ranges of the activations are found.
    #[serde(default, skip_serializing_if = "is_default")]
    pub calibrate: Calibrate,
    /// The outputs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub output: Output,
    /// The arithmetic.
    #[serde(default, skip_serializing_if = "is_default")]
    pub format: Format,
    /// The machine to build for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub target: Target,
    /// Ranges of single tensors, by layer name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub overrides: BTreeMap<String, RangeOverride>,
    /// The folder that paths are relative to; empty: the current one.
    #[serde(skip)]
    pub base_dir: PathBuf,
    /// The file that it was read from: its calibration lock lies beside it.
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// Whether builds calibrate although there is a lock.
    #[serde(skip)]
    pub recalibrate: bool,
}

/// `[output]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Output {
    /// The operator behind the last layer.
    pub head: Head,
    /// Whether the class-activation map of all classes is another output.
    #[serde(skip_serializing_if = "is_default")]
    pub cam: bool,
}

/// `[format]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Format {
    /// The number format.
    pub numbers: NumberFormat,
    /// The rounding of requantisation.
    pub rounding: Rounding,
    /// Whose kernels a quantised model file is computed like; absent: those of its format's own runtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// Layers that compute in half precision in memory, single precision in between.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub f16: Vec<String>,
    /// Layers that compute in half precision.
    #[serde(rename = "f16-native", skip_serializing_if = "Vec::is_empty")]
    pub f16_native: Vec<String>,
    /// Layers that compute in half precision, by Winograd's algorithm where they are dense 3x3 convolutions of stride 1.
    #[serde(rename = "f16-winograd", skip_serializing_if = "Vec::is_empty")]
    pub f16_winograd: Vec<String>,
    /// Layers that compute in single precision.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub f32: Vec<String>,
    /// Layers whose results have 16 bits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub int16: Vec<String>,
    /// Layers whose weights have 16 bits.
    #[serde(rename = "int16-weights", skip_serializing_if = "Vec::is_empty")]
    pub int16_weights: Vec<String>,
    /// The SQNR that the first output must reach on the calibration set, in decibels: results and weights get 16 bits until it does.
    #[serde(rename = "min-sqnr-db", skip_serializing_if = "Option::is_none")]
    pub min_sqnr_db: Option<f64>,
}

impl Format {
    /// The layers that are named for floating point.
    ///
    /// # Errors
    /// One that is named twice.
    pub fn modes(&self) -> Result<BTreeMap<String, Mode>> {
        let mut modes = BTreeMap::new();
        let lists = [
            (&self.f32, Mode::F32),
            (&self.f16, Mode::F16),
            (&self.f16_native, Mode::F16Native),
            (&self.f16_winograd, Mode::F16Winograd),
        ];
        for (layer, mode) in lists.iter().flat_map(|(layers, mode)| layers.iter().map(move |l| (l, *mode))) {
            if let Some(other) = modes.insert(layer.clone(), mode) {
                let (one, other) = (mode.name(), other.name());
                return Err(Error::Invalid(format!(
                    "recipe: `{layer}` is named for `{other}` and for `{one}`"
                )));
            }
        }
        Ok(modes)
    }

    /// The first key that means something among integers only, where there are none.
    fn only_for_integers(&self) -> Option<&'static str> {
        self.only_of_integers().filter(|_| self.numbers != NumberFormat::Int8)
    }

    /// The first key that means something among integers only.
    fn only_of_integers(&self) -> Option<&'static str> {
        let lists = [("int16", &self.int16), ("int16-weights", &self.int16_weights)];
        let named = lists.iter().find(|(_, layers)| !layers.is_empty()).map(|(key, _)| *key);
        named.or(self.min_sqnr_db.map(|_| "min-sqnr-db"))
    }
}

/// `[target]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// `auto` (the board's; without one the machine that is built for), `host` (this machine), `portable`, …
    #[serde(default = "auto")]
    pub name: String,
    /// The board that the model must fit: a file (`….toml`), relative to the recipe's folder, or a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board: Option<String>,
    /// The linker section of the weights; absent: as the board says, else `.rodata`.
    #[serde(default, rename = "weights-section", skip_serializing_if = "Option::is_none")]
    pub weights_section: Option<String>,
    /// The linker section of a static arena; absent: as the board says, else the model owns its arena.
    #[serde(default, rename = "arena-section", skip_serializing_if = "Option::is_none")]
    pub arena_section: Option<String>,
    /// Threads that each layer may be shared out among, on systems that have some; absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// A tuning file, relative to the recipe's folder: layers that are lowered otherwise than by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuning: Option<PathBuf>,
    /// Names and texts of the boards that need no file.
    #[serde(skip)]
    pub known_boards: &'static [(&'static str, &'static str)],
}

fn auto() -> String {
    AUTO.into()
}

impl Default for Target {
    fn default() -> Self {
        Self {
            name: auto(),
            board: None,
            weights_section: None,
            arena_section: None,
            threads: None,
            tuning: None,
            known_boards: &[],
        }
    }
}

impl Target {
    /// The keys of linker sections.
    fn sections(&self) -> [(&'static str, &Option<String>); 2] {
        [("weights-section", &self.weights_section), ("arena-section", &self.arena_section)]
    }
}

impl Recipe {
    /// `path` as seen from the recipe's folder.
    pub fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.base_dir.join(path)
    }

    /// The same with paths that count from the root, wherever it is read from.
    ///
    /// # Errors
    /// No current folder.
    pub fn absolute(mut self) -> Result<Self> {
        let base =
            std::path::absolute(self.base_dir.join(".")).map_err(Error::io("cannot find", &self.base_dir))?;
        let resolve = |path: &Path| base.join(path);
        if is_model_file(&self.network) {
            self.network = resolve(Path::new(&self.network)).to_string_lossy().into_owned();
        }
        self.calibrate.lock = self.calibrate.lock.as_deref().map(resolve);
        self.weights = self.weights.as_deref().map(resolve);
        self.target.tuning = self.target.tuning.as_deref().map(resolve);
        self.calibrate.images =
            self.calibrate.images.as_ref().map(|images| images.paths().map(resolve).collect());
        let board = self.board_file().map(|file| resolve(Path::new(file)).to_string_lossy().into_owned());
        self.target.board = board.or(self.target.board);
        self.base_dir = base;
        Ok(self)
    }

    /// The model file that stands in place of a network's name, resolved.
    pub fn model_path(&self) -> Option<PathBuf> {
        is_model_file(&self.network).then(|| self.resolve(&self.network))
    }

    /// The first key that means something only for networks that are built from a checkpoint.
    #[cfg(feature = "imaging")]
    pub(crate) fn only_for_checkpoints(&self) -> Option<&'static str> {
        let keys = [
            ("weights", self.weights.is_some()),
            ("seeded", self.seeded),
            ("width", self.width.is_some()),
            ("input.channels", self.input.channels.is_some()),
        ];
        keys.into_iter().find(|(_, given)| *given).map(|(key, _)| key)
    }

    /// The first key that means something only where niello chooses the scales of activations.
    #[cfg(feature = "imaging")]
    pub(crate) fn only_without_scales(&self) -> Option<&'static str> {
        let keys = [
            ("output.cam", self.output.cam),
            ("overrides", !self.overrides.is_empty()),
            ("calibrate.lock", self.calibrate.lock.is_some()),
            ("format.rounding", self.format.rounding != Rounding::default()),
        ];
        let given = keys.into_iter().find(|(_, given)| *given).map(|(key, _)| key);
        let modes = || self.format.modes().is_ok_and(|modes| !modes.is_empty());
        given.or(self.format.only_of_integers()).or(modes().then_some("format.f32"))
    }

    /// The weights' file, resolved.
    pub fn weights_path(&self) -> Option<PathBuf> {
        self.weights.as_ref().map(|path| self.resolve(path))
    }

    /// Every file and folder that the recipe names, resolved, and its lock: the files that a build script watches. With a lock, calibration inputs
    /// only where they are.
    pub fn files(&self) -> Vec<PathBuf> {
        let lock = self.used_lock();
        let images = self.calibrate.images.iter().flat_map(Images::paths);
        let images = images.filter(|path| lock.is_none() || self.resolve(path).exists());
        let board = self.board_file().map(Path::new);
        let tuning = self.target.tuning.as_deref();
        self.weights
            .iter()
            .map(PathBuf::as_path)
            .chain(images)
            .chain(board)
            .chain(tuning)
            .map(|path| self.resolve(path))
            .chain(self.model_path())
            .chain(self.weights_path().iter().flat_map(|path| shards(path)))
            .chain(lock.clone())
            .collect()
    }

    /// Whether every file and folder that the recipe names is there.
    ///
    /// # Errors
    /// One that names the key and the path.
    pub fn check_files(&self) -> Result<()> {
        let images = self.calibrate.images.iter().flat_map(Images::paths).map(|p| ("calibrate.images", p));
        let images = images.filter(|_| self.used_lock().is_none());
        let lock = self.calibrate.lock.iter().map(|p| ("calibrate.lock", p.as_path()));
        let model = is_model_file(&self.network).then(|| ("network", Path::new(&self.network)));
        let weights = self.weights.iter().map(|p| ("weights", p.as_path())).chain(model);
        let board = self.board_file().map(|p| ("target.board", Path::new(p)));
        let tuning = self.target.tuning.iter().map(|p| ("target.tuning", p.as_path()));
        for (key, path) in weights.chain(images).chain(board).chain(tuning).chain(lock) {
            let path = self.resolve(path);
            if !path.exists() {
                return Err(Error::file(
                    path,
                    format!("expected the file of the recipe's `{key}`, found nothing there"),
                ));
            }
        }
        Ok(())
    }

    /// Checks a recipe without its files.
    ///
    /// # Errors
    /// One that names the key, what was expected and what was found.
    pub fn validate(&self) -> Result<()> {
        self.problem().map_or(Ok(()), |problem| Err(Error::Invalid(format!("recipe: {problem}"))))
    }

    fn problem(&self) -> Option<String> {
        if self.network.trim().is_empty() {
            return Some("`network` is empty, expected the name of a network".into());
        }
        if self.weights.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
            return Some("`weights` is empty, expected a file".into());
        }
        if self.seeded && self.weights.is_some() {
            return Some("`seeded` and `weights` exclude each other".into());
        }
        for (key, section) in self.target.sections() {
            if let Some(section) = section.as_ref().filter(|s| !is_section(s)) {
                return Some(format!("`target.{key}` is `{section}`, expected a name like `.ext_flash`"));
            }
        }
        let mut seen = BTreeSet::new();
        for (i, class) in self.classes.iter().enumerate() {
            if class.trim().is_empty() {
                return Some(format!("name {i} of `classes` is empty"));
            }
            if !seen.insert(class) {
                return Some(format!("`classes` has `{class}` twice, expected different names"));
            }
        }
        if self.target.name.trim().is_empty() {
            return Some("`target.name` is empty, expected the name of a target".into());
        }
        if let Some(db) = self.format.min_sqnr_db.filter(|db| !db.is_finite()) {
            return Some(format!("`format.min-sqnr-db` is {db}, expected decibels"));
        }
        if let Some(key) = self.format.only_for_integers() {
            let numbers = self.format.numbers;
            return Some(format!("`format.{key}` is for networks in int8, `format.numbers` is `{numbers}`"));
        }
        if let Some(threads) = self.target.threads.filter(|n| !(1..=MAX_THREADS).contains(n)) {
            return Some(format!("`target.threads` is {threads}, expected 1 to {MAX_THREADS}"));
        }
        if self.target.tuning.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
            return Some("`target.tuning` is empty, expected a file".into());
        }
        let layers = self.overrides.iter();
        self.input.problem().or_else(|| self.calibrate.problem()).or_else(|| {
            layers.filter_map(|(layer, range)| range.problem(&format!("overrides.\"{layer}\""))).next()
        })
    }
}

/// The largest number of threads; more than a layer has rows.
const MAX_THREADS: usize = 64;

/// Whether linkers take it as the name of a section.
fn is_section(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-$".contains(c))
}

/// Whether a network's name is that of a model file.
fn is_model_file(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| MODEL_FILES.iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

/// Extensions of files that hold a whole network.
const MODEL_FILES: [&str; 2] = ["tflite", "onnx"];

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
