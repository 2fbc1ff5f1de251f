//! JPEG, through `zune-jpeg`.

use crate::{Error, Picture, Result, Samples, picture::sample_count};
use std::path::Path;
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

/// Gray files stay gray, everything else becomes RGB. A truncated file is an error, not a half-gray picture.
pub(super) fn read(name: &Path, bytes: &[u8]) -> Result<Picture> {
    let broken = |e| Error::file(name, format!("damaged or unsupported JPEG: {e}"));
    let options = DecoderOptions::default().set_strict_mode(true);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(broken)?;
    let (w, h) = decoder.dimensions().ok_or_else(|| Error::file(name, "damaged JPEG: no frame header"))?;
    let (c, space) = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => (1, ColorSpace::Luma),
        _ => (3, ColorSpace::RGB),
    };
    sample_count(name, [h, w, c])?;
    decoder.set_options(options.jpeg_set_out_colorspace(space));
    let data = decoder.decode().map_err(broken)?;
    if !ends(bytes) {
        return Err(Error::file(name, "damaged JPEG: the file ends before the picture does (no end marker)"));
    }
    Picture::new(name, [h, w, c], Samples::U8(data))
}

/// Whether an end marker follows the last scan. The decoder fills up what is missing from the last few bytes; within a
/// scan `ff` is always followed by 0 or a restart marker, so that `ff d9` there can only be the end.
fn ends(bytes: &[u8]) -> bool {
    let last = |marker: [u8; 2]| bytes.windows(2).rposition(|w| w == marker);
    matches!((last([0xff, 0xda]), last([0xff, 0xd9])), (Some(scan), Some(end)) if end > scan)
}
