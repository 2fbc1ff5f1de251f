//! The ways to bring an image to the network's size.

use crate::resize::{Sample, area, bilinear, centre_crop, cover};

/// How an image is brought to the network's size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ResizeMode {
    /// Not at all: another size is an error.
    None,
    /// Antialiased bilinear as PIL's, proportions not kept.
    Stretch,
    /// Mean of the covered area as OpenCV's `INTER_AREA`, proportions not kept.
    Area,
    /// Antialiased bilinear as PIL's with proportions kept, until the shorter side is `ratio` times the network's
    /// (rounded), then the centre of it. ImageNet's evaluation has a ratio of 256 / 224.
    ShorterSideCrop {
        /// At least 1.
        ratio: f64,
    },
}

impl ResizeMode {
    /// ImageNet's: the shorter side to 256, the centre of 224; in proportion for other sizes.
    pub const IMAGENET: ResizeMode = ResizeMode::ShorterSideCrop { ratio: 256.0 / 224.0 };

    pub(super) fn apply<T: Sample>(
        self,
        data: &[T],
        [h, w, c]: [usize; 3],
        size: [usize; 2],
    ) -> Result<Vec<T>, String> {
        if size.iter().any(|n| *n == 0 || *n > 1 << 15) {
            return Err(format!("cannot be resized to {}x{}", size[0], size[1]));
        }
        match self {
            ResizeMode::None if [h, w] == size => Ok(data.to_vec()),
            ResizeMode::None => Err(format!(
                "expected an image of {}x{} (height x width) as the network's, found {h}x{w}; crop it, or allow \
                 resize=stretch, area or shorter-side-crop",
                size[0], size[1]
            )),
            ResizeMode::Stretch => Ok(bilinear(data, [h, w, c], size)),
            ResizeMode::Area => Ok(area(data, [h, w, c], size)),
            ResizeMode::ShorterSideCrop { ratio } => {
                let wanted = size.map(|n| (n as f64 * ratio).round() as usize);
                let [rh, rw] = cover([h, w], wanted);
                if rh.saturating_mul(rw).saturating_mul(c) > crate::MAX_SAMPLES {
                    return Err(format!(
                        "a {h}x{w} image is too long and thin to be resized to cover {}x{}",
                        wanted[0], wanted[1]
                    ));
                }
                Ok(centre_crop(&bilinear(data, [h, w, c], [rh, rw]), [rh, rw, c], size))
            }
        }
    }

    /// The same for labels, which have no mean: each pixel is the nearest one.
    pub(super) fn apply_to_labels(self, labels: &[u8], from: [usize; 2], size: [usize; 2]) -> Vec<u8> {
        match self {
            ResizeMode::ShorterSideCrop { ratio } => {
                let [rh, rw] = cover(from, size.map(|n| (n as f64 * ratio).round() as usize));
                centre_crop(&nearest(labels, from, [rh, rw]), [rh, rw, 1], size)
            }
            _ => nearest(labels, from, size),
        }
    }

    /// Labels of a network's map brought back to the image.
    pub(super) fn restore_labels(
        self,
        labels: &[u8],
        from: [usize; 2],
        size: [usize; 2],
    ) -> Result<Vec<u8>, String> {
        if let ResizeMode::ShorterSideCrop { ratio } = self
            && (ratio > 1.0 || size[0] * from[1] != size[1] * from[0])
        {
            return Err(format!(
                "the network sees the centre of a {}x{} image, and its map says nothing of the margins; use resize=stretch or area",
                size[0], size[1]
            ));
        }
        Ok(nearest(labels, from, size))
    }
}

/// Each pixel from the nearest one, `floor((i + 1/2) from / to)`.
fn nearest(labels: &[u8], [h, w]: [usize; 2], to: [usize; 2]) -> Vec<u8> {
    let at = |i: usize, from: usize, to: usize| (2 * i + 1) * from / (2 * to);
    (0..to[0] * to[1]).map(|i| labels[at(i / to[1], h, to[0]) * w + at(i % to[1], w, to[1])]).collect()
}
