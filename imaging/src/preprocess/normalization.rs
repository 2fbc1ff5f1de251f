//! Normalization: from samples to the real inputs of a network, as its training had them.

use super::{ResizeMode, Window};
use crate::Samples;

const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];
/// Blue, green, red.
const CAFFE_MEAN: [f32; 3] = [104.0, 117.0, 123.0];

/// How samples become a network's real inputs. `x` is an 8-bit sample; all arithmetic is in `f32`, in the order written.
#[derive(Clone, Debug, PartialEq)]
pub enum Normalization {
    /// `(x / 255 - mean) / std` with ImageNet's statistics, RGB.
    ImageNet,
    /// `x / 255`.
    Unit,
    /// `x`; real values as they are.
    Raw,
    /// Hounsfield units through a window to 8 bits, then `x / 255`. An image of 8-bit samples is taken as windowed.
    Window(Window),
    /// Hounsfield units plus an offset, negatives to 0.
    Hu {
        /// HU.
        offset: f32,
    },
    /// Smallest to largest sample of the slice stretched to 0..255 (a half up), then `x / 255`: the preparation of
    /// Anam-Net's data (`uint8(255 * mat2gray(frame))`).
    MinMax,
    /// `(x / 255 - m) / s` with the mean and the (population) standard deviation of the resized image itself, all
    /// channels together; an even image becomes zeros. MiniSeg's.
    Standardize,
    /// `x` less 104, 117, 123, planes in the order blue, green, red.
    Caffe,
    /// `(x / 255 - mean) / std`, per plane.
    MeanStd {
        /// One for each of three planes; equal for one plane.
        mean: [f32; 3],
        /// Not 0.
        std: [f32; 3],
    },
}

impl Normalization {
    /// The default resizing.
    pub(super) fn usual_resize(&self) -> ResizeMode {
        match self {
            Normalization::ImageNet => ResizeMode::IMAGENET,
            _ => ResizeMode::None,
        }
    }

    /// The name in texts.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Normalization::ImageNet => "imagenet",
            Normalization::Unit => "unit",
            Normalization::Raw => "raw",
            Normalization::Window(_) => "window",
            Normalization::Hu { .. } => "hu",
            Normalization::MinMax => "minmax",
            Normalization::Standardize => "standardize",
            Normalization::Caffe => "caffe",
            Normalization::MeanStd { .. } => "mean-std",
        }
    }

    /// Samples of the kind that [`Normalization::normalize`] expects.
    pub(super) fn intensities(&self, samples: Samples) -> Result<Samples, String> {
        match (self, samples) {
            (Normalization::Hu { offset }, Samples::Real(v)) => {
                Ok(Samples::Real(v.iter().map(|hu| (hu + offset).max(0.0)).collect()))
            }
            (Normalization::Hu { .. }, Samples::U8(_)) => {
                let message =
                    "`hu` needs Hounsfield units (DICOM, or an NPY of real values), found 8-bit samples";
                Err(message.into())
            }
            (Normalization::Window(window), Samples::Real(v)) => Ok(Samples::U8(window.apply(&v))),
            (Normalization::MinMax, Samples::Real(v)) => Ok(Samples::U8(min_max(&v))),
            (Normalization::MinMax, Samples::U8(v)) => {
                Ok(Samples::U8(min_max(&v.into_iter().map(f32::from).collect::<Vec<_>>())))
            }
            (_, Samples::U8(v)) => Ok(Samples::U8(v)),
            (Normalization::Raw, Samples::Real(v)) => Ok(Samples::Real(v)),
            (other, Samples::Real(_)) => Err(format!(
                "`{}` needs 8-bit samples, found real values (Hounsfield units?); add a window, window=-600,1500 for \
                 example",
                other.name()
            )),
        }
    }

    /// Whether a real input depends on its own 8-bit sample only.
    pub(super) fn is_per_sample(&self) -> bool {
        !matches!(self, Normalization::Hu { .. } | Normalization::MinMax | Normalization::Standardize)
    }

    /// The real inputs for the 256 samples on a plane; `all` are the samples of the image. Planes past the third are as
    /// the third.
    pub(super) fn table(&self, plane: usize, all: &[u8]) -> [f32; 256] {
        let plane = plane.min(2);
        let number: Box<dyn Fn(f32) -> f32> = match self {
            Normalization::Raw | Normalization::Hu { .. } => Box::new(|x| x),
            Normalization::Unit | Normalization::Window(_) | Normalization::MinMax => Box::new(|x| x / 255.0),
            Normalization::ImageNet => {
                Box::new(move |x| (x / 255.0 - IMAGENET_MEAN[plane]) / IMAGENET_STD[plane])
            }
            Normalization::MeanStd { mean, std } => Box::new(move |x| (x / 255.0 - mean[plane]) / std[plane]),
            Normalization::Caffe => Box::new(move |x| x - CAFFE_MEAN[plane]),
            Normalization::Standardize => {
                let (mean, std) = statistics(all);
                Box::new(move |x| (x / 255.0 - mean) / std)
            }
        };
        std::array::from_fn(|x| number(x as f32))
    }

    /// The colour channel, of three, that a plane is made from.
    pub(super) fn source(&self, plane: usize) -> usize {
        if *self == Normalization::Caffe { 2usize.saturating_sub(plane) } else { plane }
    }

    /// Whether it is defined for that many planes.
    pub(super) fn check_planes(&self, channels: usize) -> Result<(), String> {
        let fits = match self {
            Normalization::ImageNet | Normalization::Caffe => channels == 3,
            Normalization::MeanStd { mean, std } => {
                channels == 3 || (channels == 1 && mean.iter().all(|m| *m == mean[0]) && *std == [std[0]; 3])
            }
            _ => channels > 0,
        };
        let name = self.name();
        if fits { Ok(()) } else { Err(format!("`{name}` is not made for {channels} input channels")) }
    }

    /// Stage 5: `c` channels of samples to `channels` planes; a single channel is repeated.
    pub(super) fn normalize(&self, samples: Samples, c: usize, channels: usize) -> Result<Vec<f32>, String> {
        self.check_planes(channels)?;
        let source = |plane: usize| if c == 1 { 0 } else { self.source(plane).min(c - 1) };
        match samples {
            Samples::Real(v) => Ok(v
                .chunks_exact(c)
                .flat_map(|pixel| (0..channels).map(|plane| pixel[source(plane)]))
                .collect()),
            Samples::U8(v) => {
                let tables: Vec<_> =
                    (0..channels).map(|plane| (source(plane), self.table(plane, &v))).collect();
                Ok(v.chunks_exact(c)
                    .flat_map(|pixel| tables.iter().map(|(source, table)| table[usize::from(pixel[*source])]))
                    .collect())
            }
        }
    }
}

/// Smallest to largest sample stretched to 0..255; an even slice becomes 0.
pub(super) fn min_max(v: &[f32]) -> Vec<u8> {
    let (low, high) = v.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), x| (l.min(*x), h.max(*x)));
    let range = f64::from(high) - f64::from(low);
    let stretch = |x: &f32| if range > 0.0 { (f64::from(*x) - f64::from(low)) / range } else { 0.0 };
    v.iter().map(|x| (255.0 * stretch(x)).round() as u8).collect()
}

/// Mean and standard deviation of `x / 255`, 1 for a deviation of 0.
fn statistics(v: &[u8]) -> (f32, f32) {
    let n = v.len().max(1) as f64;
    let sum: u64 = v.iter().map(|x| u64::from(*x)).sum();
    let squares: u64 = v.iter().map(|x| u64::from(*x).pow(2)).sum();
    let mean = sum as f64 / n;
    let variance = (squares as f64 / n - mean * mean).max(0.0);
    let even = v.iter().all(|x| *x == v[0]);
    let std = if even { 255.0 } else { variance.sqrt() };
    ((mean / 255.0) as f32, (std / 255.0) as f32)
}
