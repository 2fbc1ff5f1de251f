//! DICOM files: explicit or implicit, little or big endian, deflated; samples as they are, or in the codecs that hospitals use. Values are those
//! behind the modality transformation (PS3.3, C.11.1): a table, or a slope and an intercept, also those of enhanced files. Windows and
//! tables for display (VOI, presentation) are not applied, and padding keeps its value.

mod data_set;
#[cfg(feature = "deflate")]
mod deflate;
mod elements;
mod format;
mod fragments;
#[cfg(feature = "jpeg2000")]
mod jpeg2000;
mod pixels;
mod rle;
mod syntax;
pub(crate) mod tags;
mod values;
mod without;

pub(crate) use data_set::DataSet;
pub(crate) use without::without_image;

use crate::{Error, Image, Result};
use pixels::{Frame, Pixels};
use std::{borrow::Cow, path::Path};

/// A file whose frames are read one by one.
pub(crate) struct Dicom<'a> {
    name: &'a Path,
    pub(crate) set: DataSet<'a>,
    pub(crate) pixels: Pixels,
    /// The data of each frame.
    data: Vec<Vec<&'a [u8]>>,
    /// Functional groups of enhanced files.
    pub(crate) shared_groups: Option<DataSet<'a>>,
    pub(crate) frame_groups: Vec<DataSet<'a>>,
}

/// Samples as a DICOM file stores them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stored {
    /// Frames, rows, columns, samples of a pixel.
    pub shape: [usize; 4],
    /// Bytes of a sample: 1, 2, 4 or 8.
    pub bytes: usize,
    /// Whether samples are signed.
    pub signed: bool,
    /// Whether samples are floating-point numbers, of 4 or 8 bytes.
    pub float: bool,
    /// All samples, little endian, by pixel. Unused bits repeat the sign, or are 0. Samples of one bit take a byte each.
    pub data: Vec<u8>,
}

/// The bytes of a file, inflated if they are deflated.
pub(crate) fn plain<'a>(name: &Path, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    data_set::plain(bytes).map_err(problem(name))
}

fn problem(name: &Path) -> impl Fn(String) -> Error {
    move |message| Error::file(name, format!("DICOM: {message}"))
}

/// One frame, as its modality transformation makes it.
pub(super) fn read(name: &Path, bytes: &[u8]) -> Result<Image> {
    let bytes = plain(name, bytes)?;
    Dicom::parse(name, &bytes, 1)?.image(0)
}

/// Every frame of a DICOM file, in the order of the file, each as [`crate::load`] makes one; `name` is its name in errors.
///
/// # Errors
/// If the bytes are no DICOM file, or one that cannot be read, or if a frame is damaged.
pub fn load_frames(name: impl AsRef<Path>, bytes: &[u8]) -> Result<Vec<Image>> {
    with(name.as_ref(), bytes, |file| (0..file.pixels.frames).map(|index| file.image(index)).collect())
}

/// The samples of all frames as they are stored, before any transformation: bit for bit those of `pydicom`'s
/// `pixel_array(raw=True)`; `name` is its name in errors.
///
/// # Errors
/// As [`load_frames`], except that any photometric interpretation is taken.
pub fn stored_samples(name: impl AsRef<Path>, bytes: &[u8]) -> Result<Stored> {
    with(name.as_ref(), bytes, |file| {
        let Pixels { h, w, c, frames, format, .. } = &file.pixels;
        let mut data = Vec::new();
        for index in 0..*frames {
            let frame = file.frame(index)?;
            match format.float {
                true => data.extend_from_slice(&frame.data),
                false => data.extend(
                    frame
                        .data
                        .chunks_exact(format.bytes)
                        .flat_map(|b| format.stored(b).to_le_bytes().into_iter().take(format.bytes)),
                ),
            }
        }
        let shape = [*frames, *h, *w, *c];
        Ok(Stored { shape, bytes: format.bytes, signed: format.signed, float: format.float, data })
    })
}

/// A file's frames.
pub(crate) fn with<T>(name: &Path, bytes: &[u8], read: impl FnOnce(&Dicom<'_>) -> Result<T>) -> Result<T> {
    if !super::is_dicom(bytes) {
        return Err(Error::file(name, "expected a DICOM file (part 10), found another"));
    }
    let bytes = plain(name, bytes)?;
    read(&Dicom::parse(name, &bytes, usize::MAX)?)
}

impl<'a> Dicom<'a> {
    /// Reads the header of plain bytes with at most `most` frames.
    pub(crate) fn parse(name: &'a Path, bytes: &'a [u8], most: usize) -> Result<Self> {
        let parse = || {
            let (set, syntax) = DataSet::read(bytes)?;
            let pixels = Pixels::of(&set, Some(syntax))?;
            if pixels.frames > most {
                return Err(format!(
                    "expected one slice, found {} frames; `niello scan` reads them as a volume",
                    pixels.frames
                ));
            }
            let data = pixels.split(&set)?;
            let shared_groups = set.item(tags::SHARED_GROUPS)?;
            let frame_groups = set.items(tags::FRAME_GROUPS, pixels.frames)?;
            Ok(Self { name, set, pixels, data, shared_groups, frame_groups })
        };
        parse().map_err(problem(name))
    }

    fn frame(&self, index: usize) -> Result<Frame<'a>> {
        self.pixels.frame(self.name, index, &self.data[index])
    }

    /// The values of a frame.
    pub(crate) fn image(&self, index: usize) -> Result<Image> {
        let frame = self.frame(index)?;
        let samples = self.values(index, &frame).map_err(problem(self.name))?;
        let c = match samples {
            crate::Samples::U8(ref data) => data.len() / (self.pixels.h * self.pixels.w),
            crate::Samples::Real(_) => self.pixels.c,
        };
        Image::new(self.name, [self.pixels.h, self.pixels.w, c], samples)
    }
}
