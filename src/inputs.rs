//! The pictures that a command works on.

use crate::progress;
use niello_codegen::{Error, Result};
use std::path::{Path, PathBuf};

/// A picture, or all pictures of a folder and the folders in it, sorted.
pub(crate) fn pictures(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_dir() {
        let folder = niello_imaging::list_folder(path, true)?;
        for (path, what) in &folder.skipped {
            progress::note(&format!("{}: passed over: {what}", path.display()));
        }
        return Ok(folder.pictures);
    }
    if !path.exists() {
        return Err(Error::file(path, "expected a picture or a folder of pictures, found nothing there"));
    }
    Ok(vec![path.to_path_buf()])
}
