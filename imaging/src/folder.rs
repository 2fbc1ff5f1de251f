//! The images of a folder.

use crate::{Error, Result, read};
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

/// The contents of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder {
    /// Images, sorted by path.
    pub images: Vec<PathBuf>,
    /// DICOM files that hold no image, sorted by path, with a description of each ("a DICOMDIR, …").
    pub skipped: Vec<(PathBuf, &'static str)>,
}

/// [`Folder::images`] of [`list_folder`].
///
/// # Errors
/// As [`list_folder`].
pub fn list_images(dir: impl AsRef<Path>, recursive: bool) -> Result<Vec<PathBuf>> {
    Ok(list_folder(dir, recursive)?.images)
}

/// Images of a folder: names that end in `.png`, `.jpg`, `.jpeg`, `.npy`, `.dcm`, `.dicom`, `.ima` (any case), and DICOM
/// files of any other name. Hidden files are left out. `recursive` also looks into its folders. Other files
/// of a CD (a DICOMDIR, a structured report) are skipped, and listed.
///
/// # Errors
/// If the folder cannot be read, or holds no image.
pub fn list_folder(dir: impl AsRef<Path>, recursive: bool) -> Result<Folder> {
    let dir = dir.as_ref();
    let mut found = Folder::default();
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
            } else if !is_folder && path.is_file() {
                match kind(&path) {
                    Kind::Image => found.images.push(path),
                    Kind::WithoutImage(what) => found.skipped.push((path, what)),
                    Kind::Other => {}
                }
            }
        }
    }
    found.images.sort();
    found.skipped.sort();
    if found.images.is_empty() {
        let mut message = "expected PNG, JPEG, DICOM or NPY images, found none in it".to_string();
        if recursive {
            message += " or in its folders";
        }
        if let Some((path, what)) = found.skipped.first() {
            message += &format!("; {} is {what}", path.strip_prefix(dir).unwrap_or(path).display());
        }
        return Err(Error::file(dir, message));
    }
    Ok(found)
}

enum Kind {
    Image,
    WithoutImage(&'static str),
    Other,
}

fn kind(path: &Path) -> Kind {
    // Enough for the header of an image; a longer one is found only by reading all of it.
    const HEAD: u64 = 1 << 16;
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let named = matches!(extension.as_str(), "png" | "jpg" | "jpeg" | "npy" | "dcm" | "dicom" | "ima");
    let mut head = Vec::new();
    let read = fs::File::open(path).and_then(|f| f.take(HEAD).read_to_end(&mut head));
    if read.is_ok() && read::is_dicom(&head) {
        return read::without_image(&head, (head.len() as u64) < HEAD)
            .map_or(Kind::Image, Kind::WithoutImage);
    }
    if named { Kind::Image } else { Kind::Other }
}
