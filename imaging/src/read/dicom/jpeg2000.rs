//! JPEG 2000 (ITU-T T.800), through a crate without unsafe code. What the stream claims is looked at before the crate sees it.
//!
//! Of the crates in Rust, `hayro-jpeg2000` follows OpenJPEG, which pydicom asks, but needs Rust 1.92; `dicom-toolkit-jpeg2000` is an older state of
//! it without the middle of what lossy files leave out; `openjp2` is a translation of OpenJPEG that is mostly unsafe.

use crate::{Error, Result, read::Coded};
use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};
use std::path::Path;

/// A frame. It must have the size that the data set names, as memory is taken for it.
pub(super) fn decode(name: &Path, bytes: &[u8], size: [usize; 3]) -> Result<Coded> {
    coded(bytes, size).map_err(|message| Error::file(name, format!("DICOM: JPEG 2000: {message}")))
}

fn coded(bytes: &[u8], size: [usize; 3]) -> Result<Coded, String> {
    let stream = stream(bytes)?;
    let header = Header::read(stream)?;
    if header.size != size {
        return Err(super::super::other_size(header.size, size));
    }
    let settings =
        DecodeSettings { resolve_palette_indices: false, strict: true, ..DecodeSettings::default() };
    let damaged = |e| format!("{e}");
    let mut context = DecoderContext::default();
    let image = Image::new(stream, &settings).map_err(damaged)?;
    let decoded = image.decode(&mut context).map_err(damaged)?;
    let [h, w, c] = size;
    let planes: Vec<&[f32]> = decoded.components().iter().map(|component| component.samples()).collect();
    if planes.len() != c || planes.iter().any(|plane| plane.len() != h * w) {
        return Err(format!("expected {c} components of {h}x{w} samples, decoded {}", planes.len()));
    }
    // The crate takes signed samples for unsigned ones, which are half the range higher.
    let most = (1u32 << header.bits) - 1;
    let half = if header.signed { 1 << (header.bits - 1) } else { 0 };
    let sample = |v: f32| (v.round_ties_even().clamp(0.0, most as f32) as u16).wrapping_sub(half);
    let samples = (0..h * w * c).map(|i| sample(planes[i % c][i / c])).collect();
    Ok(Coded { samples, bits: header.bits, extend: true, rgb: None })
}

/// The codestream, also of one within a JP2 file, as some writers have it.
fn stream(bytes: &[u8]) -> Result<&[u8], String> {
    let mut rest = bytes;
    if !bytes.starts_with(b"\0\0\0\x0cjP  ") {
        return Ok(bytes);
    }
    while let Some((head, tail)) = rest.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let length = if length == 0 { rest.len() } else { length };
        if &head[4..] == b"jp2c" {
            return Ok(&tail[..tail.len().min(length.saturating_sub(8))]);
        }
        rest = rest.get(length.max(8)..).unwrap_or_default();
    }
    Err("a JP2 file without a codestream".into())
}

/// What the main header says.
struct Header {
    size: [usize; 3],
    bits: u8,
    signed: bool,
}

impl Header {
    /// The main header and those of tile-parts, as far as they say how much memory is needed.
    fn read(stream: &[u8]) -> Result<Self, String> {
        let cut = || "the stream ends within its header".to_string();
        let rest = stream.strip_prefix(b"\xff\x4f\xff\x51").ok_or("no start marker and size")?;
        let size = segment(rest).ok_or_else(cut)?;
        let word =
            |at: usize| size.get(at..at + 4).and_then(|b| b.first_chunk()).map(|b| u32::from_be_bytes(*b));
        let words: Option<Vec<u64>> = (0..8).map(|i| word(2 + 4 * i).map(u64::from)).collect();
        let words = words.ok_or_else(cut)?;
        let &[x1, y1, x0, y0, tile_w, tile_h, tile_x, tile_y] = words.as_slice() else { return Err(cut()) };
        let components = size.get(36..).unwrap_or_default();
        let (components, odd) = components.as_chunks::<3>();
        let count = size.get(34..36).map(|b| usize::from(b[0]) << 8 | usize::from(b[1]));
        if count != Some(components.len()) || !odd.is_empty() || components.is_empty() {
            return Err("a size segment of another form".into());
        }
        if x1 <= x0 || y1 <= y0 || tile_w == 0 || tile_h == 0 || tile_x > x0 || tile_y > y0 {
            return Err("an image or tiles without samples".into());
        }
        let (w, h) = (x1 - x0, y1 - y0);
        let tiles = (x1 - tile_x).div_ceil(tile_w).saturating_mul((y1 - tile_y).div_ceil(tile_h));
        if tiles > 64 && tiles > w * h / 256 {
            return Err(format!("{tiles} tiles for {w}x{h} samples, which is not read"));
        }
        if components.iter().any(|c| c != &components[0]) || components[0][1..] != [1, 1] {
            return Err("components of several sizes or depths, which are not read".into());
        }
        let (bits, signed) = ((components[0][0] & 0x7f) + 1, components[0][0] & 0x80 != 0);
        if bits > 16 {
            return Err(format!("{bits} bits a sample, which are not read"));
        }
        // The main header, then that of each tile-part, behind which its data are passed over.
        let mut rest = &rest[size.len() + 2..];
        let mut part: Option<&[u8]> = None;
        while let Some((marker, tail)) = rest.split_first_chunk::<2>() {
            let body = segment(tail);
            match (marker, body) {
                ([0xff, 0x90], Some(&[_, _, a, b, c, d, ..])) if part.is_none() => {
                    let length = u32::from_be_bytes([a, b, c, d]) as usize;
                    part = Some(rest.get(length..).filter(|_| length >= 14).unwrap_or_default());
                }
                ([0xff, 0x93], _) => {
                    rest = part.take().ok_or("data before a tile-part")?;
                    continue;
                }
                ([0xff, 0xd9], _) => break,
                ([0xff, 0x52], Some(style)) => coding(style, 5)?,
                ([0xff, 0x53], Some(style)) => {
                    coding(style.get(if components.len() < 257 { 1 } else { 2 }..).ok_or_else(cut)?, 1)?;
                }
                ([0xff, _], Some(_)) => {}
                _ => return Err("a marker segment was expected".into()),
            }
            rest = &tail[body.map_or(0, |b| b.len() + 2)..];
        }
        let size = [h, w, components.len() as u64].map(|n| n as usize);
        Ok(Self { size, bits, signed })
    }
}

/// The payload of a marker segment.
fn segment(rest: &[u8]) -> Option<&[u8]> {
    let length = rest.first_chunk().map(|b| usize::from(u16::from_be_bytes(*b)))?;
    rest.get(2..length)
}

/// Refuses precincts of a few samples and thousands of layers: each takes memory of its own. `levels` is the place of the number of levels.
fn coding(style: &[u8], levels: usize) -> Result<(), String> {
    let cut = || "a coding style of another form".to_string();
    let own = style.first().ok_or_else(cut)? & 1 == 1;
    if levels == 5 {
        let layers = style.get(2..4).map(|b| u16::from_be_bytes([b[0], b[1]])).ok_or_else(cut)?;
        if !(1..=1000).contains(&layers) {
            return Err(format!("{layers} layers, which are not read"));
        }
    }
    let precincts = style.get(levels + 5..).ok_or_else(cut)?;
    if own && precincts.iter().skip(1).any(|b| b & 15 < 4 || b >> 4 < 4) {
        return Err("precincts of less than 16x16 samples, which are not read".into());
    }
    Ok(())
}
