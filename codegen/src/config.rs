//! The API of build scripts: a recipe in, Rust source in `OUT_DIR` out.

use crate::{
    emit::{LayerChecks, WeightsPath, emit, write_files},
    error::{Error, Result, tell_cargo},
    import::network::Networks,
    pipeline::{Build, build},
    recipe::Recipe,
};
use std::{
    path::{Path, PathBuf},
    sync::Mutex,
};

/// Compiles recipes in a build script. `niello_models::compile` is the one call for the common case.
///
/// ```no_run
/// // build.rs
/// # fn build(registry: &dyn niello_codegen::import::network::Networks) -> niello_codegen::Result<()> {
/// niello_codegen::Config::new(registry).target("portable").compile("model.toml")?;
/// # Ok(())
/// # }
/// // src/main.rs: mod model { include!(concat!(env!("OUT_DIR"), "/model.rs")); }
/// ```
pub struct Config<'n> {
    networks: &'n dyn Networks,
    out_dir: Option<PathBuf>,
    file_name: Option<String>,
    target: Option<String>,
    layer_checks: bool,
}

impl<'n> Config<'n> {
    /// Finds networks in `networks`, writes to cargo's `OUT_DIR`.
    pub fn new(networks: &'n dyn Networks) -> Self {
        Self { networks, out_dir: None, file_name: None, target: None, layer_checks: false }
    }

    /// Writes to another folder; the source then includes its weights from beside itself.
    ///
    /// ```
    /// # fn f(config: niello_codegen::Config) {
    /// config.out_dir("src/generated");
    /// # }
    /// ```
    pub fn out_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(dir.into());
        self
    }

    /// Stem of the files; the recipe's by default: `model.toml` gives `model.rs` and `model.bin`.
    ///
    /// ```
    /// # fn f(config: niello_codegen::Config) {
    /// config.file_name("lung");
    /// # }
    /// ```
    pub fn file_name(mut self, stem: impl Into<String>) -> Self {
        self.file_name = Some(stem.into());
        self
    }

    /// Another target than the recipe's, which is `auto` where it names none: that of the machine that is built for
    /// ([`Target::find`](crate::lower::Target::find)), whatever machine the build script runs on.
    ///
    /// ```
    /// # fn f(config: niello_codegen::Config) {
    /// config.target("portable");
    /// # }
    /// ```
    pub fn target(mut self, name: impl Into<String>) -> Self {
        self.target = Some(name.into());
        self
    }

    /// Lets the model compare every layer's bytes on the board: its `check_layers`.
    ///
    /// ```
    /// # fn f(config: niello_codegen::Config) {
    /// config.layer_checks(true);
    /// # }
    /// ```
    pub fn layer_checks(mut self, yes: bool) -> Self {
        self.layer_checks = yes;
        self
    }

    /// As [`Config::compile`]; an error ends the build script with its text.
    ///
    /// ```no_run
    /// // build.rs
    /// # fn build(registry: &dyn niello_codegen::import::network::Networks) {
    /// niello_codegen::Config::new(registry).layer_checks(true).build("model.toml");
    /// # }
    /// ```
    pub fn build(&self, recipe: impl AsRef<Path>) -> Build {
        self.compile(recipe).unwrap_or_else(|error| error.fail())
    }

    /// Builds the recipe in a file and writes `STEM.rs` and `STEM.bin`. Tells cargo which files to watch.
    ///
    /// # Errors
    /// Whatever is wrong with the recipe or the files that it names.
    pub fn compile(&self, recipe: impl AsRef<Path>) -> Result<Build> {
        let path = recipe.as_ref();
        tell_cargo(format_args!("rerun-if-changed={}", path.display()));
        let recipe = Recipe::from_file(path)?;
        let stem = path.file_stem().map_or_else(|| "model".into(), |s| s.to_string_lossy().into_owned());
        self.compile_recipe(&recipe, &stem)
    }

    /// As [`Config::compile`], with a recipe made in code; `stem` names the files unless [`Config::file_name`] does.
    ///
    /// # Errors
    /// Whatever is wrong with the recipe or the files that it names.
    pub fn compile_recipe(&self, recipe: &Recipe, stem: &str) -> Result<Build> {
        for file in recipe.files() {
            tell_cargo(format_args!("rerun-if-changed={}", file.display()));
        }
        let mut recipe = recipe.clone();
        if let Some(target) = &self.target {
            recipe.target.name = target.clone();
        }
        if recipe.target.known_boards.is_empty() {
            recipe.target.known_boards = self.networks.boards();
        }
        for (path, what) in recipe.skipped_files() {
            tell_cargo(format_args!("warning={}: skipped: {what}", path.display()));
        }
        let build = build(&recipe, self.networks, |_| {})?;
        self.write(&build, stem)?;
        for warning in &build.warnings {
            tell_cargo(format_args!("warning={warning}"));
        }
        if let Some(advice) = build.calibrated.as_ref().and_then(|c| c.advice(&build.recipe)) {
            tell_cargo(format_args!("warning={advice}"));
        }
        Ok(build)
    }

    /// Writes the program of a build, as [`Config::compile_recipe`] does: for several targets, build once, [`Build::retarget`] and write
    /// each.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn write(&self, build: &Build, stem: &str) -> Result<()> {
        let stem = self.file_name.as_deref().unwrap_or(stem);
        let (dir, weights) = match &self.out_dir {
            Some(dir) => (dir.clone(), WeightsPath::Beside(format!("{stem}.bin"))),
            None => {
                let dir = std::env::var_os("OUT_DIR").ok_or_else(|| {
                    Error::Invalid("OUT_DIR is not set: outside a build script, say where to write".into())
                })?;
                (PathBuf::from(dir), WeightsPath::OutDir(format!("{stem}.bin")))
            }
        };
        claim(&dir, stem, build)?;
        let mut options = build.emit_options();
        options.weights = weights;
        options.layer_checks = if self.layer_checks { LayerChecks::Inline } else { LayerChecks::Absent };
        let generated = emit(&build.program, &options)?;
        std::fs::create_dir_all(&dir).map_err(Error::io("cannot create", &dir))?;
        write_files(&[
            (dir.join(format!("{stem}.bin")), &generated.weights),
            (dir.join(format!("{stem}.rs")), generated.source.as_bytes()),
        ])
    }
}

/// Folders and stems that this process has written to, with the recipe and the target.
static WRITTEN: Mutex<Vec<(PathBuf, String, Recipe, String)>> = Mutex::new(vec![]);

/// Notes that `build` is written to `STEM.rs`.
///
/// # Errors
/// Another model that was written there before: a build script would lose it.
fn claim(dir: &Path, stem: &str, build: &Build) -> Result<()> {
    let mut written = WRITTEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let (recipe, target) = (&build.recipe, &build.program.target);
    match written.iter().find(|(d, s, ..)| d == dir && s == stem) {
        Some((_, _, other, packed)) if other != recipe || packed != target => Err(Error::file(
            dir.join(format!("{stem}.rs")),
            format!(
                "two models would be written there, `{}` for {packed} and `{}` for {target}: give one of them another name \
                 with `file_name`",
                other.network, recipe.network
            ),
        )),
        Some(_) => Ok(()),
        None => {
            written.push((dir.into(), stem.into(), recipe.clone(), target.clone()));
            Ok(())
        }
    }
}
