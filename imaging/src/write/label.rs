//! Label maps.

use super::{encode_png, write_atomic};
use crate::{Palette, Result};
use std::path::Path;

/// Writes a label map `[h, w]` as PNG, samples equal to class indices: indexed with the palette's colours, or gray
/// without one.
///
/// # Errors
/// If `labels` is not `h * w` long, or the file cannot be written.
pub fn write_label_png(
    path: impl AsRef<Path>,
    labels: &[u8],
    [h, w]: [usize; 2],
    palette: Option<&Palette>,
) -> Result<()> {
    let path = path.as_ref();
    let colours = palette.map(|p| (0..=255).flat_map(|class| p.colour(class)).collect());
    write_atomic(path, &encode_png(path, labels, [h, w, 1], colours)?)
}
