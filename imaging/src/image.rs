//! An image as it was stored: 8-bit intensities or real values.

use crate::{Error, Result, colour};
use std::path::{Path, PathBuf};

/// The largest image that is read: `h * w * c` samples (64 Mi). A header that claims more is rejected before any
/// memory is taken.
pub const MAX_SAMPLES: usize = 1 << 26;

/// An image, `[h, w, c]`, channels innermost.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    name: PathBuf,
    h: usize,
    w: usize,
    c: usize,
    samples: Samples,
}

/// The samples of an image.
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// Intensities, 0 black to 255 white; one channel or RGB.
    U8(Vec<u8>),
    /// Real values: Hounsfield units from a CT, or the values of an NPY file. Never NaN or infinite.
    Real(Vec<f32>),
}

impl Samples {
    pub(crate) fn len(&self) -> usize {
        match self {
            Samples::U8(v) => v.len(),
            Samples::Real(v) => v.len(),
        }
    }
}

impl Image {
    /// An image from its samples. `name` is its name in errors, usually the file's path.
    ///
    /// # Errors
    /// If a side is zero, if the number of samples is not `h * w * c` or passes [`MAX_SAMPLES`], if an 8-bit image
    /// has other than 1 or 3 channels, or if a real sample is not finite.
    pub fn new(name: impl Into<PathBuf>, [h, w, c]: [usize; 3], samples: Samples) -> Result<Self> {
        let name = name.into();
        let count = sample_count(&name, [h, w, c])?;
        if samples.len() != count {
            return Err(Error::file(
                name,
                format!("a {h}x{w}x{c} image has {count} samples, found {}", samples.len()),
            ));
        }
        match &samples {
            Samples::U8(_) if c != 1 && c != 3 => {
                let message = format!("an 8-bit image has 1 or 3 channels, found {c} ({h}x{w}x{c})");
                return Err(Error::file(name, message));
            }
            Samples::Real(v) => {
                if let Some(i) = v.iter().position(|x| !x.is_finite()) {
                    let (y, x) = (i / c / w, i / c % w);
                    let message =
                        format!("every sample must be finite, found {} at row {y}, column {x}", v[i]);
                    return Err(Error::file(name, message));
                }
            }
            Samples::U8(_) => {}
        }
        Ok(Self { name, h, w, c, samples })
    }

    /// Its name in errors.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.h
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.w
    }

    /// Samples per pixel.
    pub fn channels(&self) -> usize {
        self.c
    }

    /// The samples, `[h, w, c]`.
    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// One channel of it: the luma of RGB (as PIL's mode `L`), the mean of several real channels.
    pub fn to_gray(&self) -> Image {
        let samples = match &self.samples {
            same if self.c == 1 => same.clone(),
            Samples::U8(v) => Samples::U8(colour::luma(v)),
            Samples::Real(v) => {
                Samples::Real(v.chunks_exact(self.c).map(|p| p.iter().sum::<f32>() / self.c as f32).collect())
            }
        };
        Image { name: self.name.clone(), c: 1, samples, ..*self }
    }

    /// The same image with other samples.
    pub(crate) fn with_samples(&self, samples: Samples) -> Image {
        debug_assert_eq!(samples.len(), self.samples.len());
        Image { name: self.name.clone(), samples, ..*self }
    }
}

/// `64 (1x64x64 as height, width, channels)`, with advice where the first axis may be the channels.
pub(crate) fn channels([h, w, c]: [usize; 3]) -> String {
    let advice = if h < c {
        "; an array [C, H, W] is saved as numpy.moveaxis(a, 0, -1), [1, H, W] as a[0]"
    } else {
        ""
    };
    format!("{c} ({h}x{w}x{c} as height, width, channels{advice})")
}

/// `h * w * c`, if it is neither zero nor past [`MAX_SAMPLES`].
pub(crate) fn sample_count(name: &Path, [h, w, c]: [usize; 3]) -> Result<usize> {
    match h.checked_mul(w).and_then(|n| n.checked_mul(c)) {
        Some(n) if n > 0 && n <= MAX_SAMPLES => Ok(n),
        _ => {
            Err(Error::file(name, format!("expected 1 to {MAX_SAMPLES} samples, found {h}x{w}x{c} of them")))
        }
    }
}
