//! Files that exist whole or not at all.

use crate::{Error, Result};
use std::{
    fs,
    io::Write,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

/// Writes a file under another name beside `path`, then renames it. After an error, the previous file at `path` is still
/// there, and nothing is left behind.
///
/// # Errors
/// If the folder does not exist or cannot be written to.
pub fn write_atomic(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let path = path.as_ref();
    let name = path.file_name().ok_or_else(|| Error::file(path, "expected the name of a file"))?;
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}-{number}.tmp", std::process::id()));
    let temporary = path.with_file_name(temporary);
    let written = fs::File::create_new(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&temporary, path)).map_err(|source| {
        // Best effort: the first error is the one to report.
        let _ = fs::remove_file(&temporary);
        Error::Io { action: "cannot write", path: path.to_path_buf(), source }
    })
}
