//! `[calibrate]`: the inputs and the rule that the ranges of activations are found with.

use super::{Calibrate, Recipe, ranges};
use crate::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    fmt,
    path::{Path, PathBuf},
};

impl Calibrate {
    pub(super) fn problem(&self) -> Option<String> {
        if self
            .images
            .as_ref()
            .is_some_and(|i| i.0.is_empty() || i.0.iter().any(|p| p.as_os_str().is_empty()))
        {
            return Some(
                "`calibrate.images` is empty, expected a folder, files or a safetensors file".into(),
            );
        }
        ranges::percentile_problem("calibrate", self.percentile)
    }
}

/// A folder of images, a list of images, or one safetensors file of inputs: written as a text or a list of texts,
/// relative to the recipe's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Images(pub(super) Vec<PathBuf>);

impl Images {
    /// As written.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(PathBuf::as_path)
    }
}

impl<P: Into<PathBuf>> FromIterator<P> for Images {
    fn from_iter<I: IntoIterator<Item = P>>(paths: I) -> Self {
        Self(paths.into_iter().map(Into::into).collect())
    }
}

impl Serialize for Images {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            paths => paths.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Images {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Images;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path or a list of paths")
            }

            fn visit_str<E: de::Error>(self, path: &str) -> Result<Images, E> {
                Ok([path].into_iter().collect())
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut paths: A) -> Result<Images, A::Error> {
                let mut images = Images(Vec::new());
                while let Some(path) = paths.next_element()? {
                    images.0.push(path);
                }
                Ok(images)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// The inputs that a recipe's `calibrate.images` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CalibrationSet {
    /// Image files; folders have been listed.
    Images(Vec<PathBuf>),
    /// A safetensors file of inputs.
    Tensors(PathBuf),
}

impl Recipe {
    /// The path of the recipe's calibration lock, whether it exists or not, resolved; `None` for a recipe without a file that names none.
    pub fn lock_path(&self) -> Option<PathBuf> {
        match &self.calibrate.lock {
            Some(path) => Some(self.resolve(path)),
            None => self.file.as_ref().map(|file| file.with_extension("lock")),
        }
    }

    /// The calibration lock that builds use, if there is one; a lock that the recipe names must be there.
    pub(crate) fn used_lock(&self) -> Option<PathBuf> {
        let path = self.lock_path().filter(|_| !self.recalibrate)?;
        (self.calibrate.lock.is_some() || path.exists()).then_some(path)
    }

    /// Whether no calibration set is named, or anything of it is missing.
    #[cfg(feature = "imaging")]
    pub(crate) fn lacks_images(&self) -> bool {
        let missing = |images: &Images| images.paths().any(|path| !self.resolve(path).exists());
        self.calibrate.images.as_ref().is_none_or(missing)
    }

    /// DICOM files in the folders of the calibration set that hold no image, with a description of each: [`Recipe::calibration_set`] skips them.
    #[cfg(feature = "imaging")]
    pub fn skipped_files(&self) -> Vec<(PathBuf, &'static str)> {
        let folders = self.calibrate.images.iter().flat_map(Images::paths).map(|path| self.resolve(path));
        // A folder that cannot be listed is an error of those who use it.
        let skipped = |folder: PathBuf| {
            niello_imaging::list_folder(folder, true).map(|f| f.skipped).unwrap_or_default()
        };
        folders.filter(|path| path.is_dir()).flat_map(skipped).collect()
    }

    /// The calibration set, resolved; `None` if the recipe names none.
    ///
    /// # Errors
    /// If a path does not exist, a folder has no images, or tensors and images are mixed.
    pub fn calibration_set(&self) -> Result<Option<CalibrationSet>> {
        let Some(images) = &self.calibrate.images else { return Ok(None) };
        let paths: Vec<PathBuf> = images.paths().map(|path| self.resolve(path)).collect();
        let is_tensors =
            |path: &PathBuf| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors"));
        if let [one] = paths.as_slice()
            && is_tensors(one)
        {
            return exists(one).map(|()| Some(CalibrationSet::Tensors(one.clone())));
        }
        let mut files = Vec::new();
        for path in paths {
            exists(&path)?;
            if is_tensors(&path) {
                let message = "a safetensors file of inputs cannot be mixed with other calibration files";
                return Err(Error::file(path, message));
            } else if path.is_dir() {
                files.extend(list(&path)?);
            } else {
                files.push(path);
            }
        }
        if files.is_empty() {
            return Err(Error::Invalid("recipe: `calibrate.images` names no image".into()));
        }
        Ok(Some(CalibrationSet::Images(files)))
    }
}

fn exists(path: &Path) -> Result<()> {
    match path.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::file(
            path,
            "expected the file of the recipe's `calibrate.images`, found nothing there",
        )),
        Err(source) => Err(Error::io("cannot read", path)(source)),
    }
}

#[cfg(feature = "imaging")]
fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    niello_imaging::list_images(folder, true).map_err(|error| match error {
        niello_imaging::Error::Io { action, path, source } => Error::Io { action, path, source },
        niello_imaging::Error::File { path, message } => Error::File { path, message },
        other => Error::Invalid(other.to_string()),
    })
}

#[cfg(not(feature = "imaging"))]
fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    Err(Error::file(folder, "folders of images need niello-codegen's feature `imaging`"))
}
