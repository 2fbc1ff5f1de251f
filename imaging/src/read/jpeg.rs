//! JPEG, through `libjpeg-turbo-rs`: to the bit what libjpeg-turbo makes of it with its defaults, and therefore PIL and OpenCV.
//!
//! Decoders differ in chroma upsampling, most in narrow pictures. Largest differences to libjpeg-turbo over 5554 files of 1x1 to
//! 130x57, of noise and of ramps: this crate 0; `jpeg-decoder` 0.3.2 4, and 112 in pictures 3 or 4 wide; `zune-jpeg` 0.5.16 62.
//! What libjpeg guesses at (a file without its end, a progressive file without its last scans) is refused here before it decodes.

use crate::{Error, Picture, Result, Samples, picture::sample_count};
use libjpeg_turbo_rs::{Decoder, PixelFormat};
use std::path::Path;

/// Gray files stay gray, everything else becomes RGB. A truncated file is an error, not a half-gray picture; what follows the
/// end marker is not looked at.
pub(super) fn read(name: &Path, bytes: &[u8]) -> Result<Picture> {
    let damaged = |what: String| Error::file(name, format!("damaged JPEG: {what}"));
    let (frame, end) = walk(bytes).map_err(|problem| match problem {
        Problem::Damaged(what) => damaged(what),
        Problem::Unsupported(what) => {
            let advice = "convert it to a baseline or progressive JPEG of 8 bits, or to PNG";
            Error::file(name, format!("JPEG with {what}, which is not read; {advice}"))
        }
    })?;
    let (c, format) = match frame.components.len() {
        1 => (1, PixelFormat::Grayscale),
        3 => (3, PixelFormat::Rgb),
        _ => (3, PixelFormat::Cmyk),
    };
    sample_count(name, [frame.h, frame.w, frame.components.len()])?;
    let decoded = Decoder::new(&bytes[..end]).and_then(|mut decoder| {
        decoder.set_output_format(format);
        decoder.decode_image()
    });
    let mut samples = decoded.map_err(|e| damaged(e.to_string()))?.into_vec();
    if format == PixelFormat::Cmyk {
        samples = samples.as_chunks().0.iter().flat_map(inks).collect();
    }
    Picture::new(name, [frame.h, frame.w, c], Samples::U8(samples))
}

/// Inks as Adobe stores them (255 is none) to RGB, as PIL's `Convert.c`: what black leaves, less what each ink takes of that.
fn inks([cyan, magenta, yellow, black]: &[u8; 4]) -> [u8; 3] {
    let left = u32::from(*black);
    [cyan, magenta, yellow].map(|v| {
        let product = u32::from(255 - v) * left + 128;
        left.saturating_sub((product + (product >> 8)) >> 8) as u8
    })
}

/// What is wrong with a file.
enum Problem {
    Damaged(String),
    Unsupported(String),
}

fn damaged<T>(what: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::Damaged(what.into()))
}

/// What a frame header says.
struct Frame {
    h: usize,
    w: usize,
    progressive: bool,
    components: Vec<Component>,
}

struct Component {
    id: u8,
    /// The lowest bit that the scans so far hold of each coefficient.
    known: [Option<u8>; 64],
}

/// Walks over the segments up to the end marker, which must be there, as all scans before it; where it ends.
fn walk(bytes: &[u8]) -> Result<(Frame, usize), Problem> {
    let (mut frame, mut at, mut restarts) = (None, 2, 0);
    loop {
        // Scans are passed over, and bytes that belong to nothing: `ff` in a scan is followed by 0 or is a restart marker's.
        let rest = bytes.get(at..).unwrap_or_default();
        let next = rest.windows(2).position(|w| w[0] == 0xff && !matches!(w[1], 0 | 1 | 0xff));
        let Some(skipped) = next else {
            return damaged("the file ends before the picture does (no end marker)");
        };
        let (marker, rest) = (rest[skipped + 1], &rest[skipped + 2..]);
        at += skipped + 2;
        match marker {
            0xd0..=0xd7 if marker & 7 != restarts % 8 => {
                return damaged(format!("expected restart marker {} before byte {at}", restarts % 8));
            }
            0xd0..=0xd7 => {
                restarts += 1;
                continue;
            }
            0xd8 => return damaged("a second start marker"),
            0xd9 => break,
            _ => {}
        }
        let length = rest.first_chunk().map(|length| usize::from(u16::from_be_bytes(*length)));
        let Some(segment) = length.and_then(|n| rest.get(2..n)) else {
            return damaged(format!("the file ends within the segment at byte {at}"));
        };
        at += 2 + segment.len();
        let unsupported = |what: &str| Err(Problem::Unsupported(what.into()));
        match (marker, &mut frame) {
            (0xc0..=0xc2, Some(_)) => return damaged("two frame headers"),
            (0xc0..=0xc2, None) => frame = Some(Frame::new(segment, marker == 0xc2)?),
            (0xc3, _) => return unsupported("lossless coding"),
            (0xc5..=0xc7, _) => return unsupported("hierarchical coding"),
            (0xc9..=0xcb | 0xcd..=0xcf, _) => return unsupported("arithmetic coding"),
            (0xda, Some(frame)) => {
                frame.scan(segment)?;
                restarts = 0;
            }
            (0xda, None) => return damaged("a scan before the frame header"),
            _ => {}
        }
    }
    let Some(frame) = frame else { return damaged("no frame header") };
    for component in &frame.components {
        if component.known[0].is_none() {
            return damaged(format!("no scan of component {}", component.id));
        }
        if component.known.iter().any(|bit| *bit != Some(0)) {
            return damaged("a progressive file without all of its scans");
        }
    }
    Ok((frame, at))
}

impl Frame {
    fn new(segment: &[u8], progressive: bool) -> Result<Self, Problem> {
        let (bits, [h, w], described) = match segment {
            [bits, h1, h0, w1, w0, n, rest @ ..] if rest.len() == 3 * usize::from(*n) => {
                (*bits, [[*h1, *h0], [*w1, *w0]].map(|b| usize::from(u16::from_be_bytes(b))), rest)
            }
            _ => return damaged("a frame header of another form"),
        };
        let described = described.as_chunks::<3>().0;
        let unsupported = |what| Err(Problem::Unsupported(what));
        if bits != 8 {
            return unsupported(format!("{bits} bits a sample"));
        }
        if h == 0 {
            return unsupported("its height behind the picture (DNL)".into());
        }
        if !matches!(described.len(), 1 | 3 | 4) {
            return unsupported(format!("{} components", described.len()));
        }
        let factors = |c: &[u8; 3]| [c[1] >> 4, c[1] & 15];
        let max = described.iter().map(factors).fold([0; 2], |[a, b], [h, v]| [a.max(h), b.max(v)]);
        let mut components: Vec<Component> = Vec::with_capacity(described.len());
        for c in described {
            let own = factors(c);
            if (0..2).any(|i| own[i] == 0 || max[i] > 4 || max[i] % own[i] != 0) {
                let [[h, v], [of_h, of_v]] = [own, max];
                return unsupported(format!("sampling factors {h}x{v} of {of_h}x{of_v}"));
            }
            if components.iter().any(|other| other.id == c[0]) {
                return damaged("a frame header of another form");
            }
            components.push(Component { id: c[0], known: [None; 64] });
        }
        Ok(Self { h, w, progressive, components })
    }

    /// Notes what a scan brings: every bit of every coefficient once, in the order that the standard asks for.
    fn scan(&mut self, header: &[u8]) -> Result<(), Problem> {
        let (chosen, [first, last, bits]) = match header {
            [n, rest @ .., first, last, bits] if (1..=4).contains(n) && rest.len() == 2 * usize::from(*n) => {
                (rest.as_chunks::<2>().0, [*first, *last, *bits])
            }
            _ => return damaged("a scan header of another form"),
        };
        // Some encoders write zeros for the whole range, which has no other meaning in a file that is not progressive.
        let [first, last, bits] = if self.progressive { [first, last, bits] } else { [0, 63, 0] };
        let [high, low] = [bits >> 4, bits & 15];
        if last > 63 || first > last || (high > 0 && high != low + 1) {
            return damaged(format!("a scan of coefficients {first} to {last}, bits {high} to {low}"));
        }
        for [id, _] in chosen {
            let Some(component) = self.components.iter_mut().find(|c| c.id == *id) else {
                return damaged(format!("a scan of a component {id} that is not there"));
            };
            let known = &mut component.known[usize::from(first)..=usize::from(last)];
            if known.iter().any(|bit| *bit != (high > 0).then_some(high)) {
                return damaged("scans that do not follow each other");
            }
            known.fill(Some(low));
        }
        Ok(())
    }
}
