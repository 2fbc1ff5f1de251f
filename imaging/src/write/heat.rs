//! A map over the image that it was made from.

use super::{encode_png, write_atomic};
use crate::{Error, Result, resize};
use std::path::Path;

/// Colours of a heat map from low to high, equally far apart: dark violet, vermilion, yellow. The brightness rises all along, so
/// that it can be read without seeing the colours.
const COLOURS: [[f32; 3]; 3] = [[48.0, 18.0, 92.0], [213.0, 94.0, 0.0], [252.0, 240.0, 120.0]];
/// The opacity of the largest value over the image; the smallest is invisible.
const OPACITY: f32 = 0.75;

/// Writes `gray` (`[h, w]`, see [`crate::Preprocess::view`]) as an RGB PNG with `map` (`[map_size[0], map_size[1]]`) over it, brought to
/// the image's size bilinearly: its smallest value leaves the image as it is, its largest lies on it in bright yellow. A map of one
/// value leaves all of it as it is.
///
/// # Errors
/// If lengths and sizes do not fit, or the file cannot be written.
pub fn write_heat_png(
    path: impl AsRef<Path>,
    gray: &[u8],
    size: [usize; 2],
    map: &[f32],
    map_size: [usize; 2],
) -> Result<()> {
    let path = path.as_ref();
    write_atomic(path, &heat_png(path, gray, size, map, map_size)?)
}

/// The bytes that [`write_heat_png`] writes; `name` is the picture's name in errors.
///
/// # Errors
/// If lengths and sizes do not fit.
pub fn heat_png(
    name: impl AsRef<Path>,
    gray: &[u8],
    [h, w]: [usize; 2],
    map: &[f32],
    map_size: [usize; 2],
) -> Result<Vec<u8>> {
    let path = name.as_ref();
    for (what, len, [h, w]) in [("image", gray.len(), [h, w]), ("map", map.len(), map_size)] {
        if len == 0 || h.checked_mul(w) != Some(len) {
            return Err(Error::file(path, format!("a {what} of {h}x{w} cannot have {len} pixels")));
        }
    }
    let (min, max) = map.iter().fold((f32::MAX, f32::MIN), |(min, max), v| (min.min(*v), max.max(*v)));
    let level = |v: f32| if max > min { ((v - min) / (max - min)).clamp(0.0, 1.0) } else { 0.0 };
    let large = resize::bilinear(map, [map_size[0], map_size[1], 1], [h, w]);
    let rgb: Vec<u8> = gray.iter().zip(large).flat_map(|(gray, v)| blend(*gray, level(v))).collect();
    encode_png(path, &rgb, [h, w, 3], None)
}

/// A gray pixel under the colour of `level`, 0 to 1.
fn blend(gray: u8, level: f32) -> [u8; 3] {
    let at = level * (COLOURS.len() - 1) as f32;
    let low = (at as usize).min(COLOURS.len() - 2);
    let (share, alpha) = (at - low as f32, OPACITY * level);
    std::array::from_fn(|i| {
        let colour = COLOURS[low][i] * (1.0 - share) + COLOURS[low + 1][i] * share;
        (f32::from(gray) * (1.0 - alpha) + colour * alpha).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::blend;

    #[test]
    fn brightness_rises_with_the_level_on_black() {
        let luma = |level: f32| {
            let [r, g, b] = blend(0, level).map(f32::from);
            0.299 * r + 0.587 * g + 0.114 * b
        };
        assert!((0..20).all(|i| luma(i as f32 / 20.0) < luma((i + 1) as f32 / 20.0)));
        assert_eq!(blend(77, 0.0), [77; 3]);
        assert_eq!(blend(0, 1.0), [189, 180, 90]);
    }
}
