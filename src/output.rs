//! What commands give back: JSON, and files.

use niello_codegen::{Error, Result};
use serde::{Serialize, Serializer};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Values by class name, in the order of the network's outputs (a map of the standard library would sort them).
#[derive(Clone, Debug, Default)]
pub(crate) struct ByClass<T>(pub(crate) Vec<(String, T)>);

impl<T: Serialize> Serialize for ByClass<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<T> ByClass<T> {
    /// Pairs names with values.
    pub(crate) fn new(names: &[String], values: impl IntoIterator<Item = T>) -> Self {
        Self(names.iter().cloned().zip(values).collect())
    }
}

/// A value as JSON text.
pub(crate) fn json(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::Invalid(e.to_string()))?;
    Ok(text + "\n")
}

/// Whether a file can be written at `path`, before minutes of work that end there. Nothing stays behind.
pub(crate) fn check_writable(path: &Path) -> Result<()> {
    if path.is_dir() || path.file_name().is_none() {
        return Err(Error::file(path, "expected the name of a file to write, found a folder"));
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    probe(folder).map_err(Error::io("cannot write", path))
}

fn probe(folder: &Path) -> io::Result<()> {
    let file = folder.join(format!(".niello-{}.tmp", std::process::id()));
    fs::File::create_new(&file)?;
    fs::remove_file(file)
}

/// A folder to write to; the folders that had to be made for it go again unless they are kept.
#[derive(Debug)]
pub(crate) struct NewFolder {
    /// Made here, innermost first.
    made: Vec<PathBuf>,
}

impl NewFolder {
    /// Makes `path` and what is missing above it, and tries to write there.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        let missing = path.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.exists());
        let folder = Self { made: missing.map(Path::to_path_buf).collect() };
        fs::create_dir_all(path).and_then(|()| probe(path)).map_err(Error::io("cannot create", path))?;
        Ok(folder)
    }

    /// Keeps the folders.
    pub(crate) fn keep(mut self) {
        self.made.clear();
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        for folder in &self.made {
            // Only empty ones: what is in a folder by now is not ours to remove.
            let _ = fs::remove_dir(folder);
        }
    }
}
