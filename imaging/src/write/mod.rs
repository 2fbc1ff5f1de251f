//! Writers, one file per kind of result. Each writes its file whole or not at all.

mod atomic;
mod grid;
mod heat;
mod label;
mod npy;
mod overlay;
mod text;

pub use atomic::{write_atomic, write_files};
pub use grid::{GridScale, grid_png, write_grid_png};
pub use heat::{heat_png, write_heat_png};
pub use label::write_label_png;
pub use npy::{NpyData, write_npy};
pub use overlay::{Legend, overlay_png, write_legend_png, write_overlay_png};

use crate::{Error, Result};
use std::path::Path;

/// A PNG file's bytes. `palette` makes an indexed image of one channel.
fn encode_png(path: &Path, data: &[u8], [h, w, c]: [usize; 3], palette: Option<Vec<u8>>) -> Result<Vec<u8>> {
    let problem = |message: String| Error::file(path, message);
    if h.checked_mul(w).and_then(|n| n.checked_mul(c)) != Some(data.len()) || data.is_empty() {
        return Err(problem(format!("a {h}x{w}x{c} image cannot have {} samples", data.len())));
    }
    let side =
        |n: usize| u32::try_from(n).map_err(|_| problem(format!("a side of {n} is too large for PNG")));
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side(w)?, side(h)?);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_color(match (c, &palette) {
        (1, Some(_)) => png::ColorType::Indexed,
        (1, None) => png::ColorType::Grayscale,
        _ => png::ColorType::Rgb,
    });
    if let Some(palette) = palette {
        encoder.set_palette(palette);
    }
    let broken = |e: png::EncodingError| problem(format!("cannot encode PNG: {e}"));
    let mut writer = encoder.write_header().map_err(broken)?;
    writer.write_image_data(data).map_err(broken)?;
    writer.finish().map_err(broken)?;
    Ok(bytes)
}
