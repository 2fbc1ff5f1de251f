//! JPEG (ITU-T T.81, JFIF): baseline, extended and progressive, Huffman codes, 8 bits; in DICOM also 12 bits and lossless coding.
//!
//! Decoded to the bit as libjpeg-turbo does it with its defaults, and therefore PIL and OpenCV: the accurate integer IDCT,
//! chroma interpolated ("fancy upsampling") except where at most two samples wide, colours in 16-bit fixed point. Files that libjpeg
//! completes by guessing (a scan that ends early, a progressive file without its last scans) are errors here.
//!
//! Not a crate, as pre-processing is to give the same bits as where a network was trained: over 5554 files of all samplings,
//! jpeg-decoder 0.3.2 differs from libjpeg-turbo 3.1 by up to 4, in images of at most 4 columns by up to 112, zune-jpeg 0.5.16 by up to 62
//! and 110, this one not at all; libjpeg-turbo-rs 0.9.0 follows it too, but panics on valid files with inks.

mod colour;
mod entropy;
mod idct;
mod lossless;
mod upsample;

use super::Coded;
use crate::{Error, Image, Result, Samples, image::sample_count};
use entropy::{Huffman, Scan};
use std::path::Path;

/// Gray files stay gray, everything else becomes RGB. A truncated file is an error, not a half-gray image; what follows the
/// end marker is not looked at.
pub(super) fn read(name: &Path, bytes: &[u8]) -> Result<Image> {
    let mut decoder = Decoder::new(name, bytes, &[8]);
    let frame = decoder.frame().map_err(|problem| problem.error(name))?;
    let (c, data) = colour::interleave(frame.planes(), frame.colours(decoder.adobe, decoder.jfif));
    Image::new(name, [frame.h, frame.w, c], Samples::U8(data))
}

/// A frame of a DICOM file: its components as they are stored, at the size of the image, of 8 or 12 bits, or of up to 16 without loss.
/// The file must have the size that the data set names, as memory is taken for it.
pub(super) fn coded(name: &Path, bytes: &[u8], size: [usize; 3]) -> Result<Coded> {
    let mut decoder = Decoder::new(name, bytes, &[8, 12]);
    decoder.size = Some(size);
    decoder.coded().map_err(|problem| problem.error(name))
}

/// An error in a file.
pub(super) enum Problem {
    Damaged(String),
    Unsupported(String),
    Error(Error),
}

impl Problem {
    fn error(self, name: &Path) -> Error {
        match self {
            Problem::Damaged(what) => Error::file(name, format!("damaged JPEG: {what}")),
            Problem::Unsupported(what) => {
                let advice = "convert it to a baseline or progressive JPEG of 8 bits, or to PNG";
                Error::file(name, format!("JPEG with {what}, which is not read; {advice}"))
            }
            Problem::Error(error) => error,
        }
    }
}

/// A sample of 8 or more bits.
pub(super) trait Sample: Copy + Default + Into<u32> {
    fn of(value: u32) -> Self;
}

impl Sample for u8 {
    fn of(value: u32) -> Self {
        value as u8
    }
}

impl Sample for u16 {
    fn of(value: u32) -> Self {
        value as u16
    }
}

pub(super) fn damaged<T>(what: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::Damaged(what.into()))
}

/// A walk over the markers of a file.
struct Decoder<'a> {
    name: &'a Path,
    bytes: &'a [u8],
    at: usize,
    /// The numbers of bits that a sample may have.
    depths: &'static [u8],
    /// The height, width and components that are expected, if they are known.
    size: Option<[usize; 3]>,
    quant: [Option<[u16; 64]>; 4],
    dc: [Option<Huffman>; 4],
    ac: [Option<Huffman>; 4],
    /// MCUs between restart markers; 0 for none.
    restart: usize,
    jfif: bool,
    /// The colour transform of Adobe's segment.
    adobe: Option<u8>,
}

/// A frame header, with the coefficients of all scans.
pub(super) struct Frame {
    h: usize,
    w: usize,
    /// 8 or 12.
    bits: u8,
    progressive: bool,
    /// The largest sampling factors.
    max: [usize; 2],
    components: Vec<Component>,
}

/// One colour.
pub(super) struct Component {
    id: u8,
    /// Sampling factors, vertical and horizontal.
    factors: [usize; 2],
    table: usize,
    /// Latched when its first scan begins.
    quant: Option<[u16; 64]>,
    /// Samples.
    size: [usize; 2],
    /// Blocks that hold samples; scans of this component alone have only these.
    blocks: [usize; 2],
    /// Blocks in a row of `coefficients`, a multiple of the sampling factor.
    stride: usize,
    coefficients: Vec<[i16; 64]>,
    /// The lowest bit that is known of each coefficient.
    known: [Option<u8>; 64],
}

impl<'a> Decoder<'a> {
    fn new(name: &'a Path, bytes: &'a [u8], depths: &'static [u8]) -> Self {
        let (quant, dc, ac) = ([None; 4], [const { None }; 4], [const { None }; 4]);
        Self { name, bytes, at: 2, depths, size: None, quant, dc, ac, restart: 0, jfif: false, adobe: None }
    }

    /// The whole image: all segments up to the end marker.
    fn frame(&mut self) -> Result<Frame, Problem> {
        let mut frame = None;
        loop {
            match self.marker()? {
                // The end. Restart markers that are left over are passed over.
                0xd9 => break,
                0xd0..=0xd7 | 0x01 => {}
                0xd8 => return damaged("a second start marker"),
                kind @ (0xc0..=0xc2) => {
                    if frame.is_some() {
                        return damaged("two frame headers");
                    }
                    let header = self.segment()?;
                    frame = Some(Frame::new(self, header, kind == 0xc2)?);
                }
                0xc3 => return Err(Problem::Unsupported("lossless coding".into())),
                0xc5..=0xc7 => return Err(Problem::Unsupported("hierarchical coding".into())),
                0xc9..=0xcb | 0xcd..=0xcf => return Err(Problem::Unsupported("arithmetic coding".into())),
                0xc4 => self.huffman_tables()?,
                0xdb => self.quant_tables()?,
                0xdd => match self.segment()? {
                    [high, low] => self.restart = usize::from(u16::from_be_bytes([*high, *low])),
                    _ => return damaged("a restart interval of another length than 2"),
                },
                0xda => match &mut frame {
                    Some(frame) => self.scan(frame)?,
                    None => return damaged("a scan before the frame header"),
                },
                0xe0 => self.jfif |= self.segment()?.starts_with(b"JFIF\0"),
                0xee => {
                    if let [b'A', b'd', b'o', b'b', b'e', _, _, _, _, _, _, transform, ..] = self.segment()? {
                        self.adobe = Some(*transform);
                    }
                }
                _ => drop(self.segment()?),
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
        Ok(frame)
    }

    /// The stored components, by pixel.
    fn coded(&mut self) -> Result<Coded, Problem> {
        let lossless = loop {
            match self.marker()? {
                0xd8 | 0xd0..=0xd7 | 0x01 => {}
                kind @ (0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf) => break kind == 0xc3,
                0xd9 | 0xda => return damaged("no frame header"),
                _ => drop(self.segment()?),
            }
        };
        self.at = 2;
        if lossless {
            return self.lossless();
        }
        let frame = self.frame()?;
        let planes: Vec<Vec<u16>> = frame.planes();
        let (c, count) = (planes.len(), frame.h * frame.w);
        let samples = (0..count * c).map(|i| planes[i % c][i / c]).collect();
        let ids: Vec<u8> = frame.components.iter().map(|c| c.id).collect();
        Ok(Coded { samples, bits: frame.bits, extend: false, rgb: rgb(&ids, self.jfif) })
    }

    /// The size of a frame header, if it is one of an image that may be read.
    fn frame_size(&self, size: [usize; 3]) -> Result<(), Problem> {
        sample_count(self.name, size).map_err(Problem::Error)?;
        match self.size {
            Some(expected) if expected != size => damaged(super::other_size(size, expected)),
            _ => Ok(()),
        }
    }

    /// The next marker's second byte; bytes before it that belong to nothing are passed over.
    fn marker(&mut self) -> Result<u8, Problem> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match rest.windows(2).position(|w| w[0] == 0xff && !matches!(w[1], 0 | 0xff)) {
            Some(skipped) => {
                self.at += skipped + 2;
                Ok(rest[skipped + 1])
            }
            None => damaged("the file ends before the image does (no end marker)"),
        }
    }

    /// The payload of a marker segment.
    fn segment(&mut self) -> Result<&'a [u8], Problem> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.first_chunk().map(|length| usize::from(u16::from_be_bytes(*length)));
        match length.and_then(|n| rest.get(2..n).map(|segment| (n, segment))) {
            Some((length, segment)) => {
                self.at += length;
                Ok(segment)
            }
            None => damaged(format!("the file ends within the segment at byte {}", self.at)),
        }
    }

    fn quant_tables(&mut self) -> Result<(), Problem> {
        let mut rest = self.segment()?;
        while let [head, tail @ ..] = rest {
            let (wide, index) = (usize::from(head >> 4), usize::from(head & 15));
            let (values, after) = match tail.split_at_checked(64 << wide.min(1)) {
                Some(split) if wide <= 1 && index < 4 => split,
                _ => return damaged("a quantisation table of another form"),
            };
            let mut table = [0; 64];
            for (i, value) in values.chunks_exact(1 << wide).enumerate() {
                table[idct::ZIGZAG[i]] = value.iter().fold(0, |word, b| word << 8 | u16::from(*b));
            }
            self.quant[index] = Some(table);
            rest = after;
        }
        Ok(())
    }

    fn huffman_tables(&mut self) -> Result<(), Problem> {
        let mut rest = self.segment()?;
        while let [head, tail @ ..] = rest {
            let table = tail.split_first_chunk::<16>().and_then(|(counts, tail)| {
                let (values, after) = tail.split_at_checked(counts.iter().map(|n| usize::from(*n)).sum())?;
                Some((Huffman::new(counts, values)?, after))
            });
            let tables = if head >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            match (table, tables.get_mut(usize::from(head & 15))) {
                (Some((table, after)), Some(place)) if head >> 4 <= 1 => {
                    *place = Some(table);
                    rest = after;
                }
                _ => return damaged("a Huffman table that is none"),
            }
        }
        Ok(())
    }

    /// One scan, header and data.
    fn scan(&mut self, frame: &mut Frame) -> Result<(), Problem> {
        let (components, [first, last, bits]) = match self.segment()? {
            [n, rest @ ..] if (1..=4).contains(n) && rest.len() == 2 * usize::from(*n) + 3 => {
                let (components, parameters) = rest.split_at(2 * usize::from(*n));
                (components, [parameters[0], parameters[1], parameters[2]])
            }
            _ => return damaged("a scan header of another form"),
        };
        let [high, low] = [bits >> 4, bits & 15];
        let right = match frame.progressive {
            true => {
                last < 64
                    && first <= last
                    && (first > 0 || last == 0)
                    && low < 14
                    && (high == 0 || high == low + 1)
            }
            // Some encoders write zeros for the whole range, which has no other meaning here.
            false => true,
        };
        if !right || (first > 0 && components.len() > 2 && frame.progressive) {
            return damaged(format!("a scan of coefficients {first} to {last}, bits {high} to {low}"));
        }
        let range = if frame.progressive { usize::from(first)..=usize::from(last) } else { 0..=63 };
        let [high, low] = if frame.progressive { [high, low] } else { [0, 0] };
        let mut chosen: Vec<(usize, usize, usize)> = Vec::with_capacity(4);
        for pair in components.chunks_exact(2) {
            let index = frame.components.iter().position(|c| c.id == pair[0]);
            let Some(index) = index.filter(|i| !chosen.iter().any(|(c, ..)| c == i)) else {
                return damaged(format!("a scan of a component {} that is not there", pair[0]));
            };
            let component = &mut frame.components[index];
            // Every bit once, in the order that the standard asks for.
            let expected = (high != 0).then_some(high);
            if component.known[range.clone()].iter().any(|known| *known != expected)
                || (first > 0 && component.known[0].is_none() && frame.progressive)
            {
                return damaged("scans that do not follow each other");
            }
            component.known[range.clone()].fill(Some(low));
            if component.quant.is_none() {
                component.quant = self.quant[component.table];
                if component.quant.is_none() {
                    return damaged(format!("no quantisation table {}", component.table));
                }
            }
            chosen.push((index, usize::from(pair[1] >> 4), usize::from(pair[1] & 15)));
        }
        let scan = Scan { range, high, low, restart: self.restart, dc: &self.dc, ac: &self.ac };
        self.at = scan.decode(self.bytes, self.at, frame, &chosen)?;
        Ok(())
    }
}

impl Frame {
    fn new(decoder: &Decoder<'_>, segment: &[u8], progressive: bool) -> Result<Self, Problem> {
        let (bits, [h, w], described) = match segment {
            [bits, h1, h0, w1, w0, n, rest @ ..] if rest.len() == 3 * usize::from(*n) => {
                (*bits, [[*h1, *h0], [*w1, *w0]].map(|b| usize::from(u16::from_be_bytes(b))), rest)
            }
            _ => return damaged("a frame header of another form"),
        };
        if !decoder.depths.contains(&bits) {
            return Err(Problem::Unsupported(format!("{bits} bits a sample")));
        }
        if h == 0 {
            return Err(Problem::Unsupported("its height behind the image (DNL)".into()));
        }
        let n = described.len() / 3;
        if !matches!(n, 1 | 3 | 4) {
            return Err(Problem::Unsupported(format!("{n} components")));
        }
        decoder.frame_size([h, w, n])?;
        // Vertical, horizontal.
        let factors = |c: &[u8]| [usize::from(c[1] & 15), usize::from(c[1] >> 4)];
        let max = described.chunks_exact(3).map(factors).fold([0; 2], |[a, b], [v, h]| [a.max(v), b.max(h)]);
        let mut components: Vec<Component> = Vec::with_capacity(n);
        for c in described.chunks_exact(3) {
            let factors = factors(c);
            let odd = |i: usize| !(1..=4).contains(&factors[i]) || max[i] > 4 || max[i] % factors[i] != 0;
            if odd(0) || odd(1) {
                let [v, h] = factors;
                return Err(Problem::Unsupported(format!(
                    "sampling factors {h}x{v} of {}x{}",
                    max[1], max[0]
                )));
            }
            if c[2] > 3 || components.iter().any(|other| other.id == c[0]) {
                return damaged("a frame header of another form");
            }
            let full = [h, w];
            let size = [0, 1].map(|i| (full[i] * factors[i]).div_ceil(max[i]));
            let [rows, stride] = [0, 1].map(|i| full[i].div_ceil(8 * max[i]) * factors[i]);
            components.push(Component {
                id: c[0],
                factors,
                table: c[2].into(),
                quant: None,
                size,
                blocks: size.map(|n| n.div_ceil(8)),
                stride,
                coefficients: vec![[0; 64]; rows * stride],
                known: [None; 64],
            });
        }
        Ok(Self { h, w, bits, progressive, max, components })
    }

    /// All samples of each component, at the size of the image.
    fn planes<T: Sample>(&self) -> Vec<Vec<T>> {
        self.components.iter().map(|component| self.plane(component)).collect()
    }

    fn plane<T: Sample>(&self, component: &Component) -> Vec<T> {
        let width = component.stride * 8;
        let mut samples = vec![T::default(); component.coefficients.len() * 64];
        let quant = component.quant.as_ref().expect("every component has had a scan");
        for (i, block) in component.coefficients.iter().enumerate() {
            let at = i / component.stride * 8 * width + i % component.stride * 8;
            idct::block(block, quant, self.bits, &mut samples[at..], width);
        }
        let factors = [0, 1].map(|i| self.max[i] / component.factors[i]);
        upsample::upsample(&samples, width, component.size, factors, [self.h, self.w])
    }

    /// The colour space of the components, by libjpeg's rules.
    fn colours(&self, adobe: Option<u8>, jfif: bool) -> colour::Colours {
        use colour::Colours::*;
        let ids: Vec<u8> = self.components.iter().map(|c| c.id).collect();
        match (ids.as_slice(), adobe) {
            ([_], _) => Gray,
            ([_, _, _, _], None | Some(0)) => Cmyk,
            ([_, _, _, _], _) => Ycck,
            (_, _) if jfif => Ycc,
            (_, Some(0)) => Rgb,
            (b"RGB", None) => Rgb,
            _ => Ycc,
        }
    }
}

/// Whether the names of the components say that they are red, green and blue (or that they are not).
fn rgb(ids: &[u8], jfif: bool) -> Option<bool> {
    match ids {
        b"RGB" | b"rgb" => Some(true),
        [_, _, _] if jfif => Some(false),
        _ => None,
    }
}
