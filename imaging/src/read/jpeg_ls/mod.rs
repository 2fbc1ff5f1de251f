//! JPEG-LS (ITU-T T.87): lossless and near-lossless, 2 to 16 bits, components by plane, by line or by sample.
//!
//! No crate: those in Rust bind a C++ library, or belong to a toolkit of their own; the decoder is small.

mod bits;
mod scan;

use super::Coded;
use crate::{Error, Result, image::sample_count};
use bits::Bits;
use scan::{Interleave, Parameters};
use std::path::Path;

/// A frame of a DICOM file. It must have the size that the data set names, as memory is taken for it.
pub(super) fn coded(name: &Path, bytes: &[u8], size: [usize; 3]) -> Result<Coded> {
    sample_count(name, size)?;
    decode(bytes, size).map_err(|message| Error::file(name, format!("JPEG-LS: {message}")))
}

/// What a frame header says.
struct Frame {
    bits: u8,
    ids: Vec<u8>,
}

fn decode(bytes: &[u8], [h, w, c]: [usize; 3]) -> Result<Coded, String> {
    let mut walk = Walk { bytes, at: 0 };
    if walk.marker()? != 0xd8 {
        return Err("no start marker".into());
    }
    let mut frame: Option<Frame> = None;
    // Maximum, three thresholds and reset, as an own segment gives them; 0 for the default.
    let mut preset = [0u16; 5];
    let mut samples = Vec::new();
    let mut scanned = Vec::new();
    loop {
        match walk.marker()? {
            0xd9 => break,
            0xf7 if frame.is_none() => {
                let (found, size) = Frame::parse(walk.segment()?)?;
                if size != [h, w, c] {
                    return Err(super::other_size(size, [h, w, c]));
                }
                samples = vec![0u16; h * w * c];
                frame = Some(found);
            }
            0xf7 => return Err("two frame headers".into()),
            0xf8 => match walk.segment()? {
                [1, values @ ..] if values.len() == 10 => {
                    for (to, from) in preset.iter_mut().zip(values.as_chunks().0) {
                        *to = u16::from_be_bytes(*from);
                    }
                }
                [kind, ..] => return Err(format!("parameters of kind {kind}, which are not read")),
                [] => return Err("an empty segment of parameters".into()),
            },
            0xdd => match walk.segment()? {
                interval if interval.iter().all(|b| *b == 0) => {}
                _ => return Err("restart markers, which are not read".into()),
            },
            // The colour transformation of another encoder.
            0xe8 => match walk.segment()? {
                [b'm', b'r', b'f', b'x', kind, ..] if *kind != 0 => {
                    return Err(format!("the colour transformation {kind} of HP, which is not read"));
                }
                _ => {}
            },
            0xda => {
                let Some(frame) = &frame else { return Err("a scan before the frame header".into()) };
                let segment = walk.segment()?;
                let (chosen, near, interleave) = frame.scan(segment, &mut scanned)?;
                let parameters = Parameters::new(frame.bits, near, preset)?;
                let mut bits = Bits::new(bytes, walk.at);
                parameters.decode(&mut bits, &mut samples, [h, w, c], &chosen, interleave)?;
                walk.at = bits.end();
            }
            _ => drop(walk.segment()?),
        }
    }
    let Some(frame) = frame else { return Err("no frame header".into()) };
    match frame.ids.iter().enumerate().find(|(i, _)| !scanned.contains(i)) {
        Some((_, id)) => Err(format!("no scan of component {id}")),
        None => {
            let rgb = matches!(frame.ids.as_slice(), b"RGB" | b"rgb").then_some(true);
            Ok(Coded { samples, bits: frame.bits, extend: true, rgb })
        }
    }
}

impl Frame {
    /// The header, and height, width and components.
    fn parse(segment: &[u8]) -> Result<(Self, [usize; 3]), String> {
        let wrong = || "a frame header of another form".to_string();
        let [bits, h1, h0, w1, w0, n, rest @ ..] = segment else { return Err(wrong()) };
        let (components, tail) = rest.as_chunks::<3>();
        if components.len() != usize::from(*n) || !tail.is_empty() || !(2..=16).contains(bits) {
            return Err(wrong());
        }
        if components.iter().any(|c| c[1] != 0x11) {
            return Err("components of several sizes, which are not read".into());
        }
        let ids: Vec<u8> = components.iter().map(|c| c[0]).collect();
        if ids.len() > 4 || ids.iter().enumerate().any(|(i, id)| ids[..i].contains(id)) {
            return Err(wrong());
        }
        let [h, w] = [[*h1, *h0], [*w1, *w0]].map(|b| usize::from(u16::from_be_bytes(b)));
        let size = [h, w, ids.len()];
        Ok((Self { bits: *bits, ids }, size))
    }

    /// The components of a scan, the greatest error of a sample, and their order.
    fn scan(&self, segment: &[u8], scanned: &mut Vec<usize>) -> Result<(Vec<usize>, u8, Interleave), String> {
        let (named, near, interleave, shift) = match segment {
            [n, rest @ ..] if (1..=4).contains(n) && rest.len() == 2 * usize::from(*n) + 3 => {
                let (named, end) = rest.split_at(2 * usize::from(*n));
                (named, end[0], end[1], end[2])
            }
            _ => return Err("a scan header of another form".into()),
        };
        let mut chosen = Vec::new();
        for [id, table] in named.as_chunks::<2>().0 {
            let index = self.ids.iter().position(|own| own == id).filter(|i| !scanned.contains(i));
            let index = index.ok_or_else(|| format!("a scan of a component {id} that is not there"))?;
            if *table != 0 {
                return Err("a table of colours, which is not read".into());
            }
            chosen.push(index);
            scanned.push(index);
        }
        let interleave = match (interleave, chosen.len(), shift) {
            (_, _, 1..) => return Err("a point transformation, which is not read".into()),
            (0, 1, 0) => Interleave::Line,
            (1, _, 0) => Interleave::Line,
            (2, _, 0) => Interleave::Sample,
            _ => return Err(format!("a scan of {} components in the order {interleave}", chosen.len())),
        };
        Ok((chosen, near, interleave))
    }
}

/// A walk over markers.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    fn marker(&mut self) -> Result<u8, String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match rest.windows(2).position(|b| b[0] == 0xff && b[1] >= 0x80 && b[1] != 0xff) {
            Some(skipped) => {
                self.at += skipped + 2;
                Ok(rest[skipped + 1])
            }
            None => Err("the data ends before the image does (no end marker)".into()),
        }
    }

    fn segment(&mut self) -> Result<&'a [u8], String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.first_chunk().map(|b| usize::from(u16::from_be_bytes(*b)));
        let segment = length.and_then(|n| rest.get(2..n));
        let segment =
            segment.ok_or_else(|| format!("the data ends within the segment at byte {}", self.at))?;
        self.at += segment.len() + 2;
        Ok(segment)
    }
}
