//! Label maps over the picture that they were found in.

use super::{encode_png, write_atomic};
use crate::{Error, Palette, Result};
use std::path::Path;

/// Writes `gray` (`[h, w]`, see [`crate::Preprocess::view`]) as an RGB PNG with the classes of `labels` (`[h, w]`) in
/// the palette's colours over it.
///
/// # Errors
/// If the two are not `h * w` long, or the file cannot be written.
pub fn write_overlay_png(
    path: impl AsRef<Path>,
    gray: &[u8],
    labels: &[u8],
    [h, w]: [usize; 2],
    palette: &Palette,
) -> Result<()> {
    let path = path.as_ref();
    if gray.len() != labels.len() {
        let message = format!("a picture of {} pixels, but {} labels", gray.len(), labels.len());
        return Err(Error::file(path, message));
    }
    let rgb: Vec<u8> = gray.iter().zip(labels).flat_map(|(g, class)| palette.blend(*g, *class)).collect();
    write_atomic(path, &encode_png(path, &rgb, [h, w, 3], None)?)
}
