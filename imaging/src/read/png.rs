//! PNG, through the `png` crate.

use crate::{Error, Image, Result, Samples, image::sample_count};
use png::{BitDepth, ColorType, Decoder, Limits, Transformations};
use std::{io::Cursor, path::Path};

/// Palettes and low depths expanded to 8 bits; 16 bits rounded to 8; alpha dropped.
pub(super) fn read(name: &Path, bytes: &[u8]) -> Result<Image> {
    let broken = |e: png::DecodingError| Error::file(name, format!("damaged PNG: {e}"));
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: 1 << 28 });
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(broken)?;
    // The crate expects whole colours, and not more than an index can name.
    if let (ColorType::Indexed, Some(palette)) = (reader.info().color_type, &reader.info().palette)
        && !(palette.len().is_multiple_of(3) && (1..=256).contains(&(palette.len() / 3)))
    {
        let message = format!("damaged PNG: a palette of {} bytes", palette.len());
        return Err(Error::file(name, message));
    }
    let (w, h) = reader.info().size();
    let (h, w) = (h as usize, w as usize);
    let (colour, depth) = reader.output_color_type();
    sample_count(name, [h, w, colour.samples()])?;
    let size =
        reader.output_buffer_size().ok_or_else(|| Error::file(name, "PNG does not fit into memory"))?;
    let mut data = vec![0; size];
    let frame = reader.next_frame(&mut data).map_err(broken)?;
    data.truncate(frame.buffer_size());
    if depth == BitDepth::Sixteen {
        data = data.chunks_exact(2).map(|b| to_8_bits(u16::from_be_bytes([b[0], b[1]]))).collect();
    }
    let c = match colour {
        ColorType::GrayscaleAlpha | ColorType::Grayscale => 1,
        _ => 3,
    };
    let samples = super::keep_channels(data, colour.samples(), c);
    Image::new(name, [h, w, c], Samples::U8(samples))
}

/// `round(v / 257)`: 0 stays black, 65535 becomes 255.
fn to_8_bits(v: u16) -> u8 {
    ((u32::from(v) + 128) / 257) as u8
}
