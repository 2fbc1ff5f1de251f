//! The pictures of a folder.

use crate::{Error, Result, read};
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

/// Pictures of a folder, sorted by path: names that end in `.png`, `.jpg`, `.jpeg`, `.npy`, `.dcm`, `.dicom` (any case),
/// and DICOM files without an extension. Hidden files are left out. `recursive` also looks into its folders.
///
/// # Errors
/// If the folder cannot be read, or holds no picture.
pub fn list_images(dir: impl AsRef<Path>, recursive: bool) -> Result<Vec<PathBuf>> {
    let dir = dir.as_ref();
    let mut found = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(Error::io("cannot list folder", &folder))? {
            let entry = entry.map_err(Error::io("cannot list folder", &folder))?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = entry.path();
            // Links are followed for files only, so that no loop of folders is walked.
            let is_folder = entry.file_type().is_ok_and(|t| t.is_dir());
            if is_folder && recursive {
                folders.push(path);
            } else if !is_folder && path.is_file() && looks_like_picture(&path) {
                found.push(path);
            }
        }
    }
    if found.is_empty() {
        let hint = if recursive { " or in its folders" } else { "" };
        return Err(Error::file(
            dir,
            format!("expected PNG, JPEG, DICOM or NPY pictures, found none in it{hint}"),
        ));
    }
    found.sort();
    Ok(found)
}

fn looks_like_picture(path: &Path) -> bool {
    match path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()) {
        Some(e) => {
            // A UID as a name ("1.2.840.1") has digits for an "extension".
            matches!(e.as_str(), "png" | "jpg" | "jpeg" | "npy" | "dcm" | "dicom")
                || (e.bytes().all(|b| b.is_ascii_digit()) && has_dicom_magic(path))
        }
        None => has_dicom_magic(path),
    }
}

fn has_dicom_magic(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = fs::File::open(path).and_then(|f| f.take(132).read_to_end(&mut start));
    read.is_ok() && read::is_dicom(&start)
}
