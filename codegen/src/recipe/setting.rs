//! Keys as a list, and the types that they may have.

use super::{Images, Recipe};
use crate::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

/// Types whose value in a flag is what `FromStr` reads.
macro_rules! parsed {
    ($($ty:ty)*) => {$(
        impl crate::recipe::setting::Setting for $ty {
            fn set(&mut self, value: &std::ffi::OsStr, _: &std::path::Path) -> crate::Result<()> {
                let read = crate::recipe::setting::text(value)?.parse();
                *self = read.map_err(|e| crate::Error::Invalid(format!("{e}")))?;
                Ok(())
            }
        }
    )*};
}

parsed!(String usize f64 bool);

/// A key of recipes, and the flag of the same meaning; [`Recipe::keys`] lists them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Key {
    /// The key, behind its section and a dot if it is in one.
    pub path: &'static str,
    /// The flag, without dashes.
    pub flag: &'static str,
    /// The name of the flag's value in help; empty for a flag without a value.
    pub value: &'static str,
    /// Whether the flag may be repeated.
    pub many: bool,
    /// Whether the flag's value is always a file or a folder.
    pub file: bool,
    pub(super) docs: &'static str,
    pub(super) set: fn(&mut Recipe, &OsStr, &Path) -> Result<()>,
    pub(super) files: fn(&mut Recipe) -> Vec<&mut PathBuf>,
}

impl Key {
    /// The flag's help: one line without a period.
    pub fn help(&self) -> String {
        let paragraph = self.docs.split("\n\n").next().unwrap_or_default();
        let lines: Vec<&str> = paragraph.lines().map(str::trim).collect();
        lines.join(" ").trim_end_matches('.').into()
    }

    /// Puts a value of the flag into `recipe`; a flag without one has `true`. Relative paths are in `here`. Lists of images and layers get longer,
    /// other values are replaced.
    ///
    /// # Errors
    /// A value that is not of the key's type.
    ///
    /// ```
    /// use niello_codegen::recipe::Recipe;
    ///
    /// let mut recipe = Recipe::new("anam_net");
    /// let key = Recipe::keys().find(|key| key.flag == "input").unwrap();
    /// key.set(&mut recipe, "256x320".as_ref(), "".as_ref()).unwrap();
    /// assert_eq!((key.path, recipe), ("input.size", Recipe::new("anam_net").input_size(256, 320)));
    /// ```
    pub fn set(&self, recipe: &mut Recipe, value: &OsStr, here: &Path) -> Result<()> {
        (self.set)(recipe, value, here)
    }
}

/// The type of a key.
pub(super) trait Setting {
    /// [`Key::many`].
    const MANY: bool = false;
    /// [`Key::file`].
    const FILE: bool = false;

    /// [`Key::set`].
    fn set(&mut self, value: &OsStr, here: &Path) -> Result<()>;

    /// The files and folders that it names.
    fn files(&mut self) -> Vec<&mut PathBuf> {
        vec![]
    }
}

impl<T: Setting + Default> Setting for Option<T> {
    const MANY: bool = T::MANY;
    const FILE: bool = T::FILE;

    fn set(&mut self, value: &OsStr, here: &Path) -> Result<()> {
        self.get_or_insert_default().set(value, here)
    }

    fn files(&mut self) -> Vec<&mut PathBuf> {
        self.iter_mut().flat_map(T::files).collect()
    }
}

impl Setting for PathBuf {
    const FILE: bool = true;

    fn set(&mut self, value: &OsStr, here: &Path) -> Result<()> {
        *self = file(value, here)?;
        Ok(())
    }

    fn files(&mut self) -> Vec<&mut PathBuf> {
        vec![self]
    }
}

/// The name of something known, or a file (`….toml`, `….tflite`, `….onnx`), relative to the recipe's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct NameOrFile(PathBuf);

impl<'de> Deserialize<'de> for NameOrFile {
    /// A text, which errors call a string: it need be no path.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// Extensions of files that names may stand for.
const FILES: [&str; 3] = ["toml", "tflite", "onnx"];

impl std::fmt::Display for NameOrFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.as_str())
    }
}

impl<P: Into<PathBuf>> From<P> for NameOrFile {
    fn from(name_or_file: P) -> Self {
        Self(name_or_file.into())
    }
}

impl NameOrFile {
    /// The file as written, if it is one.
    pub fn file(&self) -> Option<&Path> {
        let is_file = |e: &OsStr| FILES.iter().any(|known| e.eq_ignore_ascii_case(known));
        Some(self.0.as_path()).filter(|path| path.extension().is_some_and(is_file))
    }

    /// What is written, whichever it is.
    pub fn as_str(&self) -> std::borrow::Cow<'_, str> {
        self.0.to_string_lossy()
    }
}

impl Setting for NameOrFile {
    fn set(&mut self, value: &OsStr, here: &Path) -> Result<()> {
        self.0 = value.into();
        self.files().into_iter().for_each(|path| *path = here.join(&*path));
        Ok(())
    }

    fn files(&mut self) -> Vec<&mut PathBuf> {
        let is_file = self.file().is_some();
        Some(&mut self.0).filter(|_| is_file).into_iter().collect()
    }
}

impl Setting for Images {
    const MANY: bool = true;
    const FILE: bool = true;

    fn set(&mut self, value: &OsStr, here: &Path) -> Result<()> {
        self.0.push(file(value, here)?);
        Ok(())
    }

    fn files(&mut self) -> Vec<&mut PathBuf> {
        self.0.iter_mut().collect()
    }
}

impl Setting for Vec<String> {
    const MANY: bool = true;

    fn set(&mut self, value: &OsStr, _: &Path) -> Result<()> {
        self.push(text(value)?.into());
        Ok(())
    }
}

impl Setting for [usize; 2] {
    fn set(&mut self, value: &OsStr, _: &Path) -> Result<()> {
        let text = text(value)?;
        let side = |t: &str| t.parse().ok().filter(|n| *n > 0);
        let size = text.split_once(['x', 'X']).and_then(|(h, w)| Some([side(h)?, side(w)?]));
        *self =
            size.ok_or_else(|| Error::Invalid(format!("`{text}` is not a size, expected e.g. 224x224")))?;
        Ok(())
    }
}

pub(super) fn text(value: &OsStr) -> Result<&str> {
    value.to_str().ok_or_else(|| Error::Invalid(format!("`{}`: expected UTF-8", value.display())))
}

fn file(value: &OsStr, here: &Path) -> Result<PathBuf> {
    let path = Some(here.join(value)).filter(|_| !value.is_empty());
    path.ok_or_else(|| Error::Invalid("expected a path, found nothing".into()))
}
