//! The text of recipes.

use super::Recipe;
use crate::{
    Error, Result,
    error::{parse_toml, read_text},
};
use std::path::{Path, PathBuf};

impl Recipe {
    /// Reads a recipe's file; its paths are relative to the file's folder.
    ///
    /// # Errors
    /// If the file cannot be read, or is no recipe: one that names the file, the line and the key.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = read_text(path, "a recipe (TOML)")?;
        let recipe = read(path, &text, path.parent().map(Path::to_path_buf).unwrap_or_default())?;
        Ok(Self { file: Some(path.into()), ..recipe })
    }

    /// Reads a recipe's text; its paths are relative to `base_dir`.
    ///
    /// # Errors
    /// As [`Recipe::from_file`], with `recipe` for the file.
    ///
    /// ```
    /// use niello_codegen::recipe::{Head, Recipe};
    ///
    /// let recipe = Recipe::parse("network = 'anam_net'\noutput.head = 'argmax'", ".").unwrap();
    /// assert_eq!(recipe.output.head, Head::Argmax);
    ///
    /// let error = Recipe::parse("network = 'anam_net'\nwieghts = 'w.safetensors'", ".").unwrap_err().to_string();
    /// assert!(error.starts_with("recipe: line 2: unknown field `wieghts`, expected one of `network`, `weights`"));
    /// ```
    pub fn parse(text: &str, base_dir: impl Into<PathBuf>) -> Result<Self> {
        read(Path::new("recipe"), text, base_dir.into())
    }

    /// The recipe's text; [`Recipe::parse`] gives the same recipe back.
    ///
    /// # Errors
    /// If a path is not UTF-8, or a number too large for TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self)
            .map_err(|e| Error::Invalid(format!("recipe of `{}`: cannot be written: {e}", self.network)))
    }
}

fn read(name: &Path, text: &str, base_dir: PathBuf) -> Result<Recipe> {
    let mut recipe: Recipe = parse_toml(name, text)?;
    recipe.base_dir = base_dir;
    match recipe.problem() {
        Some(problem) => Err(Error::file(name, problem)),
        None => Ok(recipe),
    }
}
