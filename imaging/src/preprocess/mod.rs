//! From an image to a network's input.
//!
//! The stages, in this order:
//! 1. real values become 8-bit intensities by a window or by min-max, or stay real (`hu`, `raw`);
//! 2. polarity;
//! 3. colour: gray, or three planes;
//! 4. resize and crop to the network's size;
//! 5. normalization: each 8-bit sample becomes the real number that the network was trained on.
//!
//! Stage 5 of most pre-processings is a function of one 8-bit sample: [`Preprocess::table`].

mod normalization;
mod parse;
mod resize_mode;
mod table;
mod window;

pub use normalization::Normalization;
pub use resize_mode::ResizeMode;
pub use table::PlaneTable;
pub use window::Window;

use crate::{Error, Image, Result, Samples};

/// The pre-processing of an image before a network reads it.
///
/// Written as text: the name of a normalization with its arguments, then options.
///
/// ```
/// use niello_imaging::{Image, Preprocess, Samples};
///
/// let lung_window = Preprocess::parse("window:-600,1500").unwrap();
/// let slice = Image::new("slice", [1, 3, 1], Samples::Real(vec![-1350.0, -600.0, 150.0])).unwrap();
/// assert_eq!(lung_window.apply(&slice, [1, 3], 1).unwrap(), [0.0, 128.0 / 255.0, 1.0]);
///
/// // The same for a network of RGB images: the window first, then ImageNet's statistics.
/// Preprocess::parse("imagenet window=-600,1500 resize=stretch").unwrap();
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocess {
    /// How samples become the network's real inputs.
    pub normalization: Normalization,
    /// How the image is brought to the network's size; `None` is the usual way of [`Preprocess::normalization`].
    pub resize: Option<ResizeMode>,
    /// Whether colour is kept.
    pub colour: Colour,
    /// Whether black and white are exchanged.
    pub polarity: Polarity,
    /// Turns real values into intensities first, so that a CT slice can enter a network of 8-bit images.
    pub window: Option<Window>,
}

/// Whether colour is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    /// Gray for a network of one plane; RGB for one of three.
    #[default]
    Auto,
    /// Gray in any case; a network of three planes gets it three times.
    Gray,
}

/// Whether black and white are exchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Polarity {
    /// As stored.
    #[default]
    Normal,
    /// 255 less the sample: for images that show air white.
    Inverted,
}

impl From<Normalization> for Preprocess {
    fn from(normalization: Normalization) -> Self {
        Self {
            normalization,
            resize: None,
            colour: Colour::default(),
            polarity: Polarity::default(),
            window: None,
        }
    }
}

impl Preprocess {
    /// The network's input, `[size[0], size[1], channels]`.
    ///
    /// # Errors
    /// If the image's kind does not fit (Hounsfield units wanted, 8-bit samples found, and the reverse), if it has
    /// another size and must not be resized, or if its channels cannot become the network's.
    pub fn apply(&self, image: &Image, size: [usize; 2], channels: usize) -> Result<Vec<f32>> {
        let problem = |message| Error::file(image.name(), message);
        let stored = self.intensities(image).map_err(problem)?;
        let stored = self.polarise(stored).map_err(problem)?;
        let planes = self.colours(stored, channels).map_err(problem)?;
        let fitted = self.fit(&planes, size).map_err(problem)?;
        self.normalization.normalize(fitted, planes.channels(), channels).map_err(problem)
    }

    /// A label map `[from[0], from[1]]` of an image, brought to the network's size as the image is, each pixel from the nearest one.
    ///
    /// ```
    /// use niello_imaging::Preprocess;
    /// let labels = [0, 0, 1, 1, 2, 2, 3, 3];
    /// assert_eq!(Preprocess::parse("unit resize=stretch").unwrap().labels(&labels, [2, 4], [2, 2]).unwrap(), [0, 1, 2, 3]);
    /// assert!(Preprocess::parse("unit").unwrap().labels(&labels, [2, 4], [2, 2]).is_err());
    /// ```
    ///
    /// # Errors
    /// If the map is not of that size, or the image could not be resized.
    pub fn labels(&self, labels: &[u8], from: [usize; 2], size: [usize; 2]) -> Result<Vec<u8>> {
        let resize = self.resize.unwrap_or_else(|| self.normalization.usual_resize());
        // What cannot be done to an image cannot be done to its labels.
        let plain = Image::new("label map", [from[0], from[1], 1], Samples::U8(labels.to_vec()))?;
        self.fit(&plain, size).map_err(Error::Invalid)?;
        Ok(resize.apply_to_labels(labels, from, size))
    }

    /// A label map `[from[0], from[1]]` that a network found, brought back to the size of the image that it saw, each pixel from the nearest one.
    ///
    /// ```
    /// use niello_imaging::Preprocess;
    /// assert_eq!(Preprocess::parse("unit resize=area").unwrap().restore(&[1, 2], [1, 2], [2, 4]).unwrap(), [1, 1, 2, 2, 1, 1, 2, 2]);
    /// assert!(Preprocess::parse("imagenet").unwrap().restore(&[0; 64], [8, 8], [16, 16]).is_err());
    /// ```
    ///
    /// # Errors
    /// If the map is not of that size, or if the pre-processing cuts off margins of the image.
    pub fn restore(&self, labels: &[u8], from: [usize; 2], size: [usize; 2]) -> Result<Vec<u8>> {
        Image::new("label map", [from[0], from[1], 1], Samples::U8(labels.to_vec()))?;
        let resize = self.resize.unwrap_or_else(|| self.normalization.usual_resize());
        resize.restore_labels(labels, from, size).map_err(Error::Invalid)
    }

    /// The image as the network sees it, in gray, `[size[0], size[1]]`: the ground of an overlay. Real values that
    /// nothing else turns into intensities are shown in the lung window.
    ///
    /// # Errors
    /// If the image cannot be brought to `size`.
    pub fn view(&self, image: &Image, size: [usize; 2]) -> Result<Vec<u8>> {
        let problem = |message| Error::file(image.name(), message);
        let (normalization, window) = match &self.normalization {
            same @ (Normalization::MinMax | Normalization::Window(_)) => (same.clone(), self.window),
            _ => (Normalization::Unit, Some(self.window.unwrap_or(Window::LUNG))),
        };
        let resize = Some(self.resize.unwrap_or_else(|| self.normalization.usual_resize()));
        let shown = Preprocess { normalization, window, resize, ..self.clone() };
        let gray = shown.intensities(&image.to_gray()).and_then(|p| shown.polarise(p)).map_err(problem)?;
        match shown.fit(&gray, size).map_err(problem)? {
            Samples::U8(v) => Ok(v),
            Samples::Real(_) => Err(problem("no intensities to show".into())),
        }
    }

    /// Stage 1.
    fn intensities(&self, image: &Image) -> Result<Image, String> {
        let samples = match (image.samples(), self.window) {
            (Samples::Real(v), Some(window)) => Samples::U8(window.apply(v)),
            (same, _) => same.clone(),
        };
        Ok(image.with_samples(self.normalization.intensities(samples)?))
    }

    /// Stage 2.
    fn polarise(&self, image: Image) -> Result<Image, String> {
        match (self.polarity, image.samples()) {
            (Polarity::Normal, _) => Ok(image),
            (Polarity::Inverted, Samples::U8(v)) => {
                Ok(image.with_samples(Samples::U8(v.iter().map(|v| 255 - v).collect())))
            }
            (Polarity::Inverted, Samples::Real(_)) => {
                Err("polarity=inverted needs 8-bit samples, found real values; give a window".into())
            }
        }
    }

    /// Stage 3: one channel, or as many as the network has. One channel is repeated in stage 5.
    fn colours(&self, image: Image, channels: usize) -> Result<Image, String> {
        let (gray, c) = (self.colour == Colour::Gray, image.channels());
        if c == 1 || (c == channels && !gray) {
            return Ok(image);
        }
        if c == 3 && (gray || channels == 1) {
            return Ok(image.to_gray());
        }
        let found = crate::image::channels([image.height(), image.width(), c]);
        Err(match gray {
            true => format!("gray is made of 1 or 3 channels, the image has {found}"),
            false => format!("the network has {channels} input channels, the image {found}"),
        })
    }

    /// Stage 4.
    fn fit(&self, image: &Image, size: [usize; 2]) -> Result<Samples, String> {
        let mode = self.resize.unwrap_or_else(|| self.normalization.usual_resize());
        let shape = [image.height(), image.width(), image.channels()];
        Ok(match image.samples() {
            Samples::U8(v) => Samples::U8(mode.apply(v, shape, size)?),
            Samples::Real(v) => Samples::Real(mode.apply(v, shape, size)?),
        })
    }
}
