//! The output of commands: JSON, and files.

use niello_codegen::{Error, Result};
use serde::{Serialize, Serializer};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
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
    let _writing = writing();
    probe(folder).map_err(Error::io("cannot write", path))
}

/// Whether a file can be made there.
fn probe(folder: &Path) -> io::Result<()> {
    tempfile::tempfile_in(folder).map(drop)
}

/// Whether a folder can be made at `path`, or written to, before minutes of work that end there. Nothing is made yet: an interrupted
/// command leaves nothing behind.
pub(crate) fn check_folder(path: &Path) -> Result<()> {
    let there = path.ancestors().find(|p| p.as_os_str().is_empty() || p.exists()).unwrap_or(path);
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let _writing = writing();
    let found = if there.is_dir() { probe(there) } else { Err(io::ErrorKind::NotADirectory.into()) };
    found.map_err(Error::io("cannot create", path))
}

/// Held while files are written: an interrupt waits for its end.
static WRITING: Mutex<()> = Mutex::new(());

/// Temporary folders, which an interrupt removes.
static TEMPORARY: Mutex<Vec<PathBuf>> = Mutex::new(vec![]);

/// Makes Ctrl-C wait as long as the result lives.
pub(crate) fn writing() -> MutexGuard<'static, ()> {
    WRITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An interrupt removes this folder.
pub(crate) fn temporary(folder: &Path) {
    TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner).push(folder.into());
}

/// Handles Ctrl-C: waits for files that are being written, removes temporary folders, ends the program as shells expect it.
pub(crate) fn interrupted() -> ! {
    let _writing = writing();
    for folder in TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        // A folder that cannot be removed lies among temporary files.
        let _ = fs::remove_dir_all(folder);
    }
    std::process::exit(130)
}
