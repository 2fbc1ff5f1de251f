//! Label maps over the image that they were found in.

use super::{
    encode_png,
    text::{Canvas, SIDE, fitted, width},
    write_atomic,
};
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
    write_atomic(path, &overlay_png(path, gray, labels, [h, w], palette)?)
}

/// The bytes that [`write_overlay_png`] writes; `name` is the picture's name in errors.
///
/// # Errors
/// If the two are not `h * w` long.
pub fn overlay_png(
    name: impl AsRef<Path>,
    gray: &[u8],
    labels: &[u8],
    [h, w]: [usize; 2],
    palette: &Palette,
) -> Result<Vec<u8>> {
    let name = name.as_ref();
    encode_png(name, &blended(name, gray, labels, palette)?, [h, w, 3], None)
}

/// The legend below an overlay.
#[derive(Clone, Copy, Debug, Default)]
pub struct Legend<'a> {
    /// Class names, in the order of the classes.
    pub names: &'a [String],
    /// Share of each class, 0 to 1; absent: the names alone.
    pub shares: Option<&'a [f64]>,
    /// A line below the classes.
    pub caption: Option<&'a str>,
}

/// The shortest side, in pixels, that has room for words. Smaller images are enlarged by a whole factor.
const MIN_SIDE: usize = 256;
/// Pixels of the image's width for each pixel of a letter.
const WIDTH_PER_SCALE: usize = 256;
/// Classes that have a line at most; the others are counted.
const MAX_LINES: usize = 12;
const PANEL: [u8; 3] = [22, 24, 28];
const TEXT: [u8; 3] = [232, 234, 238];
const DIM: [u8; 3] = [150, 156, 166];
const FRAME: [u8; 3] = [96, 102, 112];

/// As [`write_overlay_png`], with a legend below: a line for each class with its colour, its name and its share in percent. Images of
/// fewer than 256 pixels a side are enlarged by a whole factor, and letters grow with the image.
///
/// Where there are more than 12 classes, those that are in the image have a line, the largest first if those are too many as well.
///
/// # Errors
/// As [`write_overlay_png`].
pub fn write_legend_png(
    path: impl AsRef<Path>,
    gray: &[u8],
    labels: &[u8],
    [h, w]: [usize; 2],
    palette: &Palette,
    legend: &Legend<'_>,
) -> Result<()> {
    let path = path.as_ref();
    let rgb = blended(path, gray, labels, palette)?;
    if h.checked_mul(w) != Some(gray.len()) || gray.is_empty() {
        return Err(Error::file(path, format!("an image of {h}x{w} cannot have {} pixels", gray.len())));
    }
    let zoom = MIN_SIDE.div_ceil(h.min(w)).max(1);
    let (tall, wide) = (h * zoom, w * zoom);
    let scale = (wide.min(tall.max(MIN_SIDE)) / WIDTH_PER_SCALE).clamp(1, 8);
    let (lines, more) = legend.lines(labels);
    let (letter, line, margin) = (SIDE * scale, 14 * scale, 8 * scale);
    let last = match (more, legend.caption) {
        (0, None) => vec![],
        (0, Some(caption)) => vec![caption.to_string()],
        (more, caption) => [Some(format!("and {more} more classes")), caption.map(String::from)]
            .into_iter()
            .flatten()
            .collect(),
    };
    let count = lines.len() + last.len();
    let panel = if count == 0 { 0 } else { 2 * margin + count * line - (line - letter) };
    let mut canvas = Canvas::new([tall + panel, wide], PANEL);
    for (y, row) in canvas.rgb.chunks_exact_mut(3 * wide).take(tall).enumerate() {
        for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
            let at = 3 * (y / zoom * w + x / zoom);
            pixel.copy_from_slice(&rgb[at..at + 3]);
        }
    }
    let mut y = tall + margin;
    for class in lines {
        let share = legend.shares.and_then(|shares| shares.get(class));
        let share = share.map(|share| format!("{:.2} %", 100.0 * share)).unwrap_or_default();
        canvas.swatch([y, margin], letter, scale, palette, class);
        let (left, right) = (margin + letter + margin, wide.saturating_sub(margin + width(&share, scale)));
        let name = fitted(&legend.names[class], scale, right.saturating_sub(left + letter));
        canvas.text([y, left], &name, scale, TEXT);
        canvas.text([y, right], &share, scale, TEXT);
        y += line;
    }
    for text in last {
        canvas.text([y, margin], &fitted(&text, scale, wide.saturating_sub(2 * margin)), scale, DIM);
        y += line;
    }
    let (h, w) = (canvas.h, canvas.w);
    write_atomic(path, &encode_png(path, &canvas.rgb, [h, w, 3], None)?)
}

impl Legend<'_> {
    /// Classes that have a line, and how many have none.
    fn lines(&self, labels: &[u8]) -> (Vec<usize>, usize) {
        let mut lines: Vec<usize> = (0..self.names.len()).collect();
        if lines.len() > MAX_LINES {
            let counts = crate::metrics::class_counts(labels, self.names.len());
            lines.retain(|class| counts[*class] > 0);
            lines.sort_by_key(|class| std::cmp::Reverse(counts[*class]));
            lines.truncate(MAX_LINES);
        }
        let more = self.names.len() - lines.len();
        (lines, more)
    }
}

impl Canvas {
    /// The colour of a class as a square; a frame alone for one that an overlay leaves as it is.
    fn swatch(&mut self, [y, x]: [usize; 2], side: usize, border: usize, palette: &Palette, class: usize) {
        let class = u8::try_from(class).unwrap_or(u8::MAX);
        let hollow = palette.transparent.contains(&class);
        self.fill([y, x], [side, side], if hollow { FRAME } else { palette.colour(class) });
        if hollow {
            self.fill([y + border, x + border], [side - 2 * border, side - 2 * border], PANEL);
        }
    }
}

/// Every pixel under the colour of its class.
fn blended(path: &Path, gray: &[u8], labels: &[u8], palette: &Palette) -> Result<Vec<u8>> {
    if gray.len() != labels.len() {
        let message = format!("an image of {} pixels, but {} labels", gray.len(), labels.len());
        return Err(Error::file(path, message));
    }
    Ok(gray.iter().zip(labels).flat_map(|(g, class)| palette.blend(*g, *class)).collect())
}
