//! Stored samples of each frame, as bytes of one form: little endian, by pixel, one sample after the other.

use super::{
    data_set::DataSet,
    elements::PIXEL_DATA,
    format::Format,
    fragments::Fragments,
    rle,
    syntax::{Codec, Syntax},
    tags,
};
use crate::{
    Error, Result,
    image::{MAX_SAMPLES, sample_count},
    read::{Coded, jpeg, jpeg_ls},
};
use std::{borrow::Cow, path::Path};

/// The most frames of a file; each takes some memory of its own.
const MAX_FRAMES: usize = 1 << 17;

/// The most samples of all frames together.
const MAX_FRAME_SAMPLES: usize = 8 * MAX_SAMPLES;

/// What the header says of the pixels.
pub(crate) struct Pixels {
    pub h: usize,
    pub w: usize,
    /// Samples of a pixel.
    pub c: usize,
    pub frames: usize,
    pub photometric: String,
    pub format: Format,
    planar: bool,
    codec: Option<Codec>,
    big: bool,
}

/// The samples of a frame.
pub(super) struct Frame<'a> {
    pub data: Cow<'a, [u8]>,
    /// What the frame itself says of its colours: whether they are red, green and blue.
    pub rgb: Option<bool>,
}

impl Pixels {
    /// Checks the header. `None` is a plain syntax.
    pub(super) fn of(set: &DataSet<'_>, syntax: Option<Syntax>) -> Result<Self, String> {
        let [h, w] =
            [(tags::ROWS, "Rows"), (tags::COLUMNS, "Columns")].map(|(tag, what)| set.required(tag, what));
        let (h, w) = (usize::from(h?), usize::from(w?));
        let c = usize::from(set.number(tags::SAMPLES_PER_PIXEL)?.unwrap_or(1));
        let frames = match set.text(tags::FRAMES).filter(|text| !text.is_empty()) {
            None => 1,
            Some(text) => match text.parse() {
                Ok(frames) if (1..=MAX_FRAMES).contains(&frames) => frames,
                _ => {
                    let expected = format!("expected 1 to {MAX_FRAMES}");
                    return Err(format!("the number of frames (0028,0008) is `{text}`, {expected}"));
                }
            },
        };
        if sample_count(Path::new(""), [h, w, c]).is_err() {
            return Err(format!("expected 1 to {MAX_SAMPLES} samples, found {h}x{w}x{c} of them"));
        }
        if (h * w * c).checked_mul(frames).is_none_or(|count| count > MAX_FRAME_SAMPLES) {
            return Err(format!(
                "expected at most {MAX_FRAME_SAMPLES} samples, found {frames} frames of {h}x{w}x{c}"
            ));
        }
        let planar = match set.number(tags::PLANAR)? {
            _ if c == 1 => false,
            None | Some(0) => false,
            Some(1) => true,
            Some(other) => return Err(format!("the planar configuration is {other}, expected 0 or 1")),
        };
        let photometric = set.text(tags::PHOTOMETRIC).unwrap_or_default();
        let (codec, big) = syntax.map_or((None, false), |syntax| (syntax.codec, syntax.big));
        Ok(Self { h, w, c, frames, photometric, format: Format::of(set)?, planar, codec, big })
    }

    /// Whether every second pixel only has its luma.
    fn is_subsampled(&self) -> bool {
        self.photometric == "YBR_FULL_422" && self.c == 3 && matches!(self.codec, None | Some(Codec::Raw))
    }

    /// Bits of a frame that is not compressed.
    fn frame_bits(&self) -> usize {
        match self.is_subsampled() {
            true => self.h * self.w.next_multiple_of(2) * 2 * self.format.allocated,
            false => self.h * self.w * self.c * self.format.allocated,
        }
    }

    /// Bytes of all frames if they are not compressed.
    pub(super) fn bytes(&self) -> Result<usize, String> {
        Ok((self.frame_bits() * self.frames).div_ceil(8))
    }

    /// Each frame's data in the file: plain samples, or compressed fragments.
    pub(super) fn split<'a>(&self, set: &DataSet<'a>) -> Result<Vec<Vec<&'a [u8]>>, String> {
        let tag = match (self.format.float, self.format.allocated) {
            (false, _) => PIXEL_DATA,
            (true, 32) => tags::FLOAT_PIXEL_DATA,
            (true, _) => tags::DOUBLE_PIXEL_DATA,
        };
        let element = set.element(tag).ok_or("no pixel data (7fe0,0010)")?;
        let Some(codec) = self.codec else {
            let (expected, length) = (self.bytes()?, element.value.len());
            let (h, w, c, bits) = (self.h, self.w, self.c, self.format.allocated);
            // Padding behind it is harmless, but not another image of that size: then the header is wrong.
            // The last byte of words may stand behind one that belongs to no sample.
            let taken = if self.big && self.format.words { expected.next_multiple_of(2) } else { expected };
            let data = element.value.get(..taken).filter(|_| length < (2 * expected).max(3));
            let frames = if self.frames == 1 { String::new() } else { format!("{} frames of ", self.frames) };
            let data = data.ok_or_else(|| {
                format!("{frames}{h}x{w}x{c} samples of {bits} bits take {expected} bytes, found {length}")
            })?;
            // Frames of single bits begin within a byte; they are unpacked from the whole.
            return Ok(match self.format.allocated {
                1 => vec![vec![data]; self.frames],
                _ if self.frames == 1 => vec![vec![data]],
                _ => data.chunks_exact(self.frame_bits() / 8).map(|frame| vec![frame]).collect(),
            });
        };
        let numbers = |tag| {
            set.value(tag)
                .map(|value| value.as_chunks().0.iter().map(|b| u64::from_le_bytes(*b)).collect::<Vec<_>>())
        };
        let extended = numbers(tags::EXTENDED_OFFSETS).filter(|offsets| !offsets.is_empty());
        let extended = extended.map(|offsets| (offsets, numbers(tags::EXTENDED_LENGTHS).unwrap_or_default()));
        let starts = |fragment: &[u8]| match codec {
            Codec::Jpeg | Codec::JpegLs => fragment.starts_with(b"\xff\xd8\xff"),
            Codec::Jpeg2000 => {
                fragment.starts_with(b"\xff\x4f\xff\x51") || fragment.starts_with(b"\0\0\0\x0cjP  ")
            }
            Codec::Raw | Codec::Rle => true,
        };
        Fragments::read(element.value)?.frames(self.frames, extended, starts)
    }

    /// The samples of frame `index`, from its data.
    pub(super) fn frame<'a>(&self, name: &Path, index: usize, data: &[&'a [u8]]) -> Result<Frame<'a>> {
        let joined = || match data {
            [one] => Cow::Borrowed(*one),
            several => Cow::Owned(several.concat()),
        };
        let size = [self.h, self.w, self.c];
        let coded = match self.codec {
            None => return Ok(Frame { data: self.plain(joined(), index), rgb: None }),
            Some(Codec::Raw) => {
                let (data, expected) = (joined(), self.frame_bits().div_ceil(8));
                let fits = data.len() == expected || data.len() == expected.next_multiple_of(2);
                if !fits || self.format.allocated == 1 {
                    let bits = self.format.allocated;
                    let message = format!(
                        "a frame of {size:?} samples of {bits} bits takes {expected} bytes, found {}",
                        data.len()
                    );
                    return Err(Error::file(name, format!("DICOM: {message}")));
                }
                let data = match data {
                    Cow::Borrowed(data) => Cow::Borrowed(&data[..expected]),
                    Cow::Owned(data) => Cow::Owned(data[..expected].to_vec()),
                };
                return Ok(Frame { data: self.plain(data, 0), rgb: None });
            }
            Some(Codec::Rle) => {
                let data = rle::decode(&joined(), size, self.format.bytes)
                    .map_err(|message| Error::file(name, format!("DICOM: {message}")))?;
                return Ok(Frame { data: Cow::Owned(data), rgb: None });
            }
            Some(Codec::Jpeg) => jpeg::coded(name, &joined(), size)?,
            Some(Codec::JpegLs) => jpeg_ls::coded(name, &joined(), size)?,
            #[cfg(feature = "jpeg2000")]
            Some(Codec::Jpeg2000) => super::jpeg2000::decode(name, &joined(), size)?,
            #[cfg(not(feature = "jpeg2000"))]
            Some(Codec::Jpeg2000) => unreachable!("the syntax is refused"),
        };
        self.pack(name, coded)
    }

    /// Samples of a codec in the words of the data set.
    fn pack<'a>(&self, name: &Path, coded: Coded) -> Result<Frame<'a>> {
        let Coded { samples, bits, extend, rgb } = coded;
        let bytes = self.format.bytes;
        if usize::from(bits) > 8 * bytes || self.format.float {
            let allocated = self.format.allocated;
            let message =
                format!("DICOM: frames of {bits} bits a sample, of which {allocated} are allocated");
            return Err(Error::file(name, message));
        }
        // Whether there is a sign, the data set says.
        let unused = 32 - u32::from(bits);
        let word = |v: u16| match extend && self.format.signed {
            true => (i32::from(v) << unused >> unused) as u32,
            false => u32::from(v) << unused >> unused,
        };
        let data = samples.into_iter().flat_map(|v| word(v).to_le_bytes().into_iter().take(bytes)).collect();
        Ok(Frame { data: Cow::Owned(data), rgb })
    }

    /// Plain samples in the one form.
    fn plain<'a>(&self, data: Cow<'a, [u8]>, index: usize) -> Cow<'a, [u8]> {
        let pixels = self.h * self.w;
        if self.format.allocated == 1 {
            let count = pixels * self.c;
            let bit = |i: usize| data[i / 8] >> (i % 8) & 1;
            return Cow::Owned((index * count..(index + 1) * count).map(bit).collect());
        }
        let bytes = self.format.bytes;
        let mut data = data;
        let samples = self.frame_bits() / 8;
        if self.big && (bytes > 1 || self.format.words) {
            // Bytes lie two in a word there, the second one first.
            let width = bytes.max(2);
            let odd = data.len() % width;
            let data = data.to_mut();
            let end = data.len() - odd;
            data[..end].chunks_exact_mut(width).for_each(<[u8]>::reverse);
            data.truncate(samples);
        }
        if self.is_subsampled() {
            let row = self.w.div_ceil(2) * 4;
            let sample = |i: usize| {
                let (y, x, channel) = (i / 3 / self.w, i / 3 % self.w, i % 3);
                let at = y * row + x / 2 * 4;
                if channel == 0 { at + x % 2 } else { at + channel + 1 }
            };
            let at = (0..pixels * 3).flat_map(|i| (0..bytes).map(move |b| sample(i) * bytes + b));
            return Cow::Owned(at.map(|at| data[at]).collect());
        }
        if self.planar {
            let at = (0..pixels * self.c).map(|i| i % self.c * pixels + i / self.c);
            return Cow::Owned(at.flat_map(|at| &data[at * bytes..][..bytes]).copied().collect());
        }
        data
    }
}
