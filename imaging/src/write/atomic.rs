//! Files that exist whole or not at all.

use crate::{Error, Result};
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// Writes files under other names beside their places, which is where a full disk shows, then renames them. After an error, nothing is
/// left half-written or behind, and what was at a path that was not renamed to yet is still there.
///
/// # Errors
/// A folder that does not exist or cannot be written to, or one in the place of a file.
pub fn write_files(files: &[(PathBuf, &[u8])]) -> Result<()> {
    let write = |(path, bytes): &(PathBuf, &[u8])| {
        // A move would fail there, after others have succeeded.
        if path.is_dir() {
            return Err(Error::file(path, "expected a file or nothing there, found a folder"));
        }
        part(path, bytes).map_err(Error::io("cannot write", path))
    };
    let parts = files.iter().map(write).collect::<Result<Vec<_>>>()?;
    files.iter().zip(parts).try_for_each(|((path, _), part)| {
        part.persist(path).map(drop).map_err(|e| Error::io("cannot write", path)(e.error))
    })
}

/// One file, as [`write_files`].
///
/// # Errors
/// As there.
pub fn write_atomic(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    write_files(&[(path.as_ref().into(), bytes)])
}

/// A file's contents beside its place, on the disk.
fn part(path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile<fs::File>> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Others may read it as they may any file: `tempfile` alone would make it private.
    let mut part =
        tempfile::Builder::new().prefix(".niello-").make_in(folder, |p| fs::File::create_new(p))?;
    part.as_file_mut().write_all(bytes)?;
    part.as_file().sync_all()?;
    Ok(part)
}
