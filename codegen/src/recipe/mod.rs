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

#[macro_use]
mod setting;

mod board;
mod builder;
mod calibrate;
mod choices;
mod input;
mod keys;
#[cfg(feature = "imaging")]
mod pins;
mod ranges;
mod read;

pub use calibrate::{CalibrationSet, Images};
pub use choices::{Head, NumberFormat, RangeChoice, Reference, Rounding};
pub use keys::{Calibrate, Format, Input, Output, Recipe, Target};
pub use ranges::RangeOverride;
pub use setting::{Key, NameOrFile};

use crate::{Error, Result, format::Mode, weights::shards};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

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
        for key in Self::keys() {
            (key.files)(&mut self).into_iter().for_each(|path| *path = base.join(&*path));
        }
        self.base_dir = base;
        Ok(self)
    }

    /// The files and folders that keys name, as written, with their keys.
    fn named_files(&self) -> Vec<(&'static str, PathBuf)> {
        let mut copy = self.clone();
        let files = |key: &'static Key| {
            let files = (key.files)(&mut copy);
            files.into_iter().map(|path| (key.path, path.clone())).collect::<Vec<_>>()
        };
        Self::keys().flat_map(files).collect()
    }

    /// The model file that stands in place of a network's name, resolved.
    pub fn model_path(&self) -> Option<PathBuf> {
        self.network.file().map(|path| self.resolve(path))
    }

    /// The network's name; of a model file its stem.
    pub fn network_name(&self) -> String {
        let stem = self.network.file().and_then(Path::file_stem);
        stem.map_or_else(|| self.network.to_string(), |stem| stem.to_string_lossy().into_owned())
    }

    /// The first key that means something only for networks that are built from a checkpoint.
    #[cfg(feature = "imaging")]
    pub(crate) fn only_for_checkpoints(&self) -> Option<&'static str> {
        let keys =
            [("weights", self.weights.is_some()), ("seeded", self.seeded), ("width", self.width.is_some())];
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
        let files = self.named_files().into_iter().map(|(key, path)| (key, self.resolve(path)));
        let watched = files.filter(|(key, path)| match *key {
            "calibrate.lock" => false,
            "calibrate.images" => lock.is_none() || path.exists(),
            _ => true,
        });
        let shards = self.weights_path().map(|path| shards(&path));
        watched.map(|(_, path)| path).chain(shards.into_iter().flatten()).chain(lock.clone()).collect()
    }

    /// Whether every file and folder that the recipe names is there.
    ///
    /// # Errors
    /// One that names the key and the path.
    pub fn check_files(&self) -> Result<()> {
        let has_lock = self.used_lock().is_some();
        for (key, path) in self.named_files() {
            let path = self.resolve(path);
            let needless = has_lock && key == "calibrate.images";
            if !needless && !path.exists() {
                let message = format!("expected the file of the recipe's `{key}`, found nothing there");
                return Err(Error::file(path, message));
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
        if self.network.as_str().trim().is_empty() {
            return Some("`network` is empty, expected the name of a network".into());
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
        let mut layers = self.overrides.iter();
        let no_file = || self.named_files().into_iter().find(|(_, path)| path.as_os_str().is_empty());
        let problem = self.input.problem().or_else(|| self.calibrate.problem());
        problem
            .or_else(|| no_file().map(|(key, _)| format!("`{key}` is empty, expected a file")))
            .or_else(|| layers.find_map(|(layer, range)| range.problem(&format!("overrides.\"{layer}\""))))
    }
}

/// The largest number of threads; more than a layer has rows.
const MAX_THREADS: usize = 64;

/// Whether linkers take it as the name of a section.
fn is_section(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-$".contains(c))
}
