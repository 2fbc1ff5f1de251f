//! The channels of a map beside each other.

use super::{encode_png, write_atomic};
use crate::{Error, MAX_SAMPLES, Result};
use std::path::Path;

/// How the values of a map become gray levels: the smallest is black, the largest white.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GridScale {
    /// Smallest and largest of each channel: shows the structure of every channel.
    #[default]
    Channel,
    /// Smallest and largest of the whole map: shows which channels are strong.
    Map,
}

/// Pixels between channels.
const SEPARATOR: usize = 1;
/// Their gray level.
const SEPARATOR_GRAY: u8 = 255;
/// The longest side, in pixels, that a map is enlarged to.
const MAX_ENLARGED: usize = 24;

/// Writes a map `[h, w, c]`, channels innermost, as a gray PNG: a grid of its channels, row by row from the top left, as
/// near to a square as it gets, with white lines of one pixel between them. Cells behind the last channel are white. Maps
/// whose longer side has at most 12 pixels are enlarged by a whole factor, to at most 24.
///
/// NaN is black, and so is a channel (or map) of one value only.
///
/// # Errors
/// If `data` is not `h * w * c` long or empty, if the image would pass [`MAX_SAMPLES`], or the file cannot be written.
pub fn write_grid_png(
    path: impl AsRef<Path>,
    data: &[f32],
    shape: [usize; 3],
    scale: GridScale,
) -> Result<()> {
    let path = path.as_ref();
    write_atomic(path, &grid_png(path, data, shape, scale)?)
}

/// The bytes that [`write_grid_png`] writes; `name` is the picture's name in errors.
///
/// # Errors
/// If `data` is not `h * w * c` long or empty, or if the image would pass [`MAX_SAMPLES`].
pub fn grid_png(
    name: impl AsRef<Path>,
    data: &[f32],
    [h, w, c]: [usize; 3],
    scale: GridScale,
) -> Result<Vec<u8>> {
    let path = name.as_ref();
    let count = h.checked_mul(w).and_then(|n| n.checked_mul(c));
    if count != Some(data.len()) || data.is_empty() {
        let message = format!("a map of {h}x{w}x{c} cannot have {} values", data.len());
        return Err(Error::file(path, message));
    }
    let zoom = (MAX_ENLARGED / h.max(w)).max(1);
    let columns = columns([h * zoom, w * zoom], c);
    let height = c.div_ceil(columns) * (h * zoom + SEPARATOR) - SEPARATOR;
    let width = columns * (w * zoom + SEPARATOR) - SEPARATOR;
    if height.saturating_mul(width) > MAX_SAMPLES {
        let message = format!("a grid of {height}x{width} pixels is too large, at most {MAX_SAMPLES} fit");
        return Err(Error::file(path, message));
    }
    let all = range(data.iter().copied());
    let mut gray = vec![SEPARATOR_GRAY; height * width];
    for channel in 0..c {
        let values = || data.iter().skip(channel).step_by(c).copied();
        let (min, max) = if scale == GridScale::Map { all } else { range(values()) };
        let (top, left) =
            (channel / columns * (h * zoom + SEPARATOR), channel % columns * (w * zoom + SEPARATOR));
        for (i, value) in values().enumerate() {
            let level = (255.0 * (f64::from(value) - min) / (max - min)).round() as u8;
            let (y, x) = (top + i / w * zoom, left + i % w * zoom);
            gray.chunks_exact_mut(width).skip(y).take(zoom).for_each(|row| row[x..x + zoom].fill(level));
        }
    }
    encode_png(path, &gray, [height, width, 1], None)
}

/// The number of columns that makes the longer side of the grid shortest; of several the smallest.
fn columns([h, w]: [usize; 2], c: usize) -> usize {
    let side = |n: usize| (c.div_ceil(n) * (h + SEPARATOR)).max(n * (w + SEPARATOR));
    (1..=c).min_by_key(|n| side(*n)).unwrap_or(1)
}

/// Smallest and largest value; NaN is left out.
fn range(values: impl Iterator<Item = f32>) -> (f64, f64) {
    let (min, max) =
        values.fold((f32::INFINITY, f32::NEG_INFINITY), |(min, max), v| (min.min(v), max.max(v)));
    (f64::from(min), f64::from(max))
}

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn grids_are_as_square_as_they_get() {
        for (size, channels, expected) in [
            ([24, 24], 1, 1),
            ([24, 24], 64, 8),
            ([24, 24], 60, 8),
            ([24, 24], 512, 23),
            ([10, 40], 16, 2),
            ([40, 10], 16, 8),
        ] {
            assert_eq!(columns(size, channels), expected, "{size:?} of {channels}");
        }
    }
}
