//! Which pixels of an axis make a pixel of a resized one, and with what weights.

use crate::tensor::Real;

/// Where the pixels of a resized image lie in the image: ONNX's `coordinate_transformation_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coordinates {
    /// `(o + 0.5) / scale - 0.5`.
    HalfPixel,
    /// The same around the image's centre, where the scale is not the quotient of the sizes.
    HalfPixelSymmetric,
    /// As [`Coordinates::HalfPixel`], but 0 for a single pixel.
    PytorchHalfPixel,
    /// `o * (size - 1) / (out - 1)`; 0 for a single pixel.
    AlignCorners,
    /// `o / scale`.
    Asymmetric,
}

/// Which of its neighbours is taken for a position: ONNX's `nearest_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nearest {
    /// The nearer one; in the middle the lower one.
    RoundPreferFloor,
    /// The nearer one; in the middle the higher one.
    RoundPreferCeil,
    /// The lower one.
    Floor,
    /// The higher one.
    Ceil,
}

/// How values between pixels come from them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Interpolation {
    /// One of them is taken.
    Nearest(Nearest),
    /// Two of each axis, by their distance.
    Linear,
    /// Four of each axis, by Keys' cubic polynomial.
    Cubic {
        /// Its parameter, ONNX's `cubic_coeff_a`: -0.75 or -0.5 as a rule.
        a: f32,
        /// Whether pixels beyond the border have no weight; else they are the border's.
        exclude_outside: bool,
    },
}

/// Resizing as ONNX's `Resize` describes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Where pixels lie.
    pub coordinates: Coordinates,
    /// How values come from them.
    pub interpolation: Interpolation,
    /// Rows, columns: pixels of the result for one of the image. `None`: quotients of the sizes.
    pub scales: Option<[f32; 2]>,
}

/// One axis of a resized image: as many taps for each of its pixels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    /// Pixels of the image that make one of the result.
    pub(super) taps: usize,
    /// Which they are, pixel by pixel of the result.
    pub(super) pixels: Vec<usize>,
    /// Their weights, whose sum is 1.
    pub(super) weights: Vec<f64>,
}

impl Axis {
    /// One tap for each pixel.
    pub(super) fn picked(pixels: Vec<usize>) -> Self {
        let weights = vec![1.0; pixels.len()];
        Self { taps: 1, pixels, weights }
    }

    /// Between neighbours at `positions`, none of which is negative.
    pub(super) fn linear(size: usize, positions: impl Iterator<Item = f64>) -> Self {
        let (mut pixels, mut weights) = (vec![], vec![]);
        for at in positions {
            let low = (at as usize).min(size - 1);
            let fraction = at - low as f64;
            pixels.extend([low, (low + 1).min(size - 1)]);
            weights.extend([1.0 - fraction, fraction]);
        }
        Self { taps: 2, pixels, weights }
    }

    fn cubic(size: usize, positions: impl Iterator<Item = f64>, a: f64, exclude_outside: bool) -> Self {
        let (mut pixels, mut weights) = (vec![], vec![]);
        for at in positions {
            let (low, last) = (at.floor(), size as f64 - 1.0);
            // |x| up to 1, and from 1 to 2.
            let near = |x: f64| ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
            let far = |x: f64| ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a;
            let f = at - low;
            let mut of_taps = [far(f + 1.0), near(f), near(1.0 - f), far(2.0 - f)];
            let places = [low - 1.0, low, low + 1.0, low + 2.0];
            if exclude_outside {
                of_taps
                    .iter_mut()
                    .zip(places)
                    .filter(|(_, at)| *at < 0.0 || *at > last)
                    .for_each(|(w, _)| *w = 0.0);
                let sum: f64 = of_taps.iter().sum();
                of_taps = of_taps.map(|w| w / sum);
            }
            pixels.extend(places.map(|at| at.clamp(0.0, last) as usize));
            weights.extend(of_taps);
        }
        Self { taps: 4, pixels, weights }
    }

    /// Pixels and weights of output pixel `o`.
    pub(super) fn of(&self, o: usize) -> impl Iterator<Item = (usize, f64)> + Clone + '_ {
        let range = o * self.taps..(o + 1) * self.taps;
        self.pixels[range.clone()].iter().copied().zip(self.weights[range].iter().copied())
    }

    /// Whether both take the same pixels, or lie between neighbours as far as rounding of positions lets them.
    pub(super) fn is_near(&self, other: &Self) -> bool {
        let at = |axis: &Self, o| axis.of(o).map(|(pixel, weight)| pixel as f64 * weight).sum::<f64>();
        let same = |o| (at(self, o) - at(other, o)).abs() < 1e-6;
        let outputs = self.pixels.len() / self.taps;
        self.taps == other.taps
            && self.taps <= 2
            && self.pixels.len() == other.pixels.len()
            && (0..outputs).all(same)
    }

    /// The weights as integers over `2^10`, with that sum.
    pub(super) fn in_integers(&self) -> Vec<i32> {
        let mut all = Vec::with_capacity(self.weights.len());
        for weights in self.weights.chunks(self.taps) {
            let first = all.len();
            all.extend(weights.iter().map(|w| (w * 1024.0).round() as i32));
            let rest = 1024 - all[first..].iter().sum::<i32>();
            if let Some(largest) = all[first..].iter_mut().max_by_key(|w| **w) {
                *largest += rest;
            }
        }
        all
    }
}

impl Sampling {
    /// Axis `i` (rows, columns) from `size` to `out` pixels, which are not 0.
    pub(super) fn axis(&self, i: usize, size: usize, out: usize) -> Axis {
        let scale = self.scales.map(|scales| scales[i]);
        match self.interpolation {
            // In single precision, as onnxruntime has it: a position in the middle of two pixels falls as there.
            Interpolation::Nearest(nearest) => {
                let pick = |o| {
                    let at: f32 = self.coordinates.position(o, size, out, scale);
                    let at = match nearest {
                        Nearest::RoundPreferFloor => (at - 0.5).ceil(),
                        Nearest::RoundPreferCeil => (at + 0.5).floor(),
                        Nearest::Floor => at.floor(),
                        Nearest::Ceil => at.ceil(),
                    };
                    at.clamp(0.0, (size - 1) as f32) as usize
                };
                Axis::picked((0..out).map(pick).collect())
            }
            Interpolation::Linear => {
                let at = |o| self.coordinates.position::<f64>(o, size, out, scale);
                Axis::linear(size, (0..out).map(|o| at(o).clamp(0.0, (size - 1) as f64)))
            }
            Interpolation::Cubic { a, exclude_outside } => {
                let at = |o| self.coordinates.position::<f64>(o, size, out, scale);
                Axis::cubic(size, (0..out).map(at), a as f64, exclude_outside)
            }
        }
    }

    /// What is wrong with its parameters.
    pub(super) fn check(&self) -> Result<(), String> {
        // Scales that no size limit allows are meant wrongly; positions stay far within what a number holds exactly.
        if let Some(scales) = self.scales.filter(|scales| !scales.iter().all(|s| (3e-5..=4e4).contains(s))) {
            return Err(format!("expected scales from 3e-5 to 4e4, got {scales:?}"));
        }
        match self.interpolation {
            // Sums of |weights| fit 31 bits with codes.
            Interpolation::Cubic { a, .. } if !(-2.0..=0.0).contains(&a) => {
                Err(format!("expected a cubic parameter from -2 to 0, got {a}"))
            }
            _ => Ok(()),
        }
    }
}

impl Coordinates {
    fn position<T: Real>(self, o: usize, size: usize, out: usize, scale: Option<f32>) -> T {
        let number = |n: usize| T::from_f64(n as f64);
        let half = T::from_f64(0.5);
        let scale = scale.map_or_else(|| number(out) / number(size), T::from_f32);
        match self {
            Self::PytorchHalfPixel | Self::AlignCorners if out == 1 => number(0),
            Self::HalfPixel | Self::PytorchHalfPixel => (number(o) + half) / scale - half,
            Self::HalfPixelSymmetric => {
                let adjustment = number(out) / (scale * number(size));
                let offset = number(size) * half * (number(1) - adjustment);
                offset + (number(o) + half) / scale - half
            }
            Self::AlignCorners => number(o) * number(size - 1) / number(out - 1),
            Self::Asymmetric => number(o) / scale,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(
        coordinates: Coordinates,
        interpolation: Interpolation,
        scale: Option<f32>,
        size: usize,
        out: usize,
    ) -> Axis {
        let sampling = Sampling { coordinates, interpolation, scales: scale.map(|s| [s; 2]) };
        sampling.check().expect("valid parameters");
        let axis = sampling.axis(0, size, out);
        for o in 0..out {
            let sum: f64 = axis.of(o).map(|(_, w)| w).sum();
            assert!((sum - 1.0).abs() < 1e-12 && axis.of(o).all(|(p, _)| p < size), "{sampling:?} {o}");
        }
        assert!(axis.in_integers().chunks(axis.taps).all(|w| w.iter().sum::<i32>() == 1024));
        axis
    }

    fn picked(
        coordinates: Coordinates,
        nearest: Nearest,
        scale: Option<f32>,
        size: usize,
        out: usize,
    ) -> Vec<usize> {
        axis(coordinates, Interpolation::Nearest(nearest), scale, size, out).pixels
    }

    /// Worked by hand from the formulas of the ONNX operator's documentation.
    #[test]
    fn nearest_pixels_by_hand() {
        use Coordinates::{AlignCorners, Asymmetric, HalfPixel, HalfPixelSymmetric, PytorchHalfPixel};
        // Positions -0.25, 0.25, 0.75, 1.25.
        assert_eq!(picked(HalfPixel, Nearest::Floor, None, 2, 4), [0, 0, 0, 1]);
        assert_eq!(picked(HalfPixel, Nearest::Ceil, None, 2, 4), [0, 1, 1, 1]);
        assert_eq!(picked(HalfPixel, Nearest::RoundPreferFloor, None, 2, 4), [0, 0, 1, 1]);
        // Positions 0.5, 2.5: in the middle.
        assert_eq!(picked(HalfPixel, Nearest::RoundPreferFloor, None, 4, 2), [0, 2]);
        assert_eq!(picked(HalfPixel, Nearest::RoundPreferCeil, None, 4, 2), [1, 3]);
        // 0, 1.5, 3.
        assert_eq!(picked(AlignCorners, Nearest::RoundPreferCeil, None, 4, 3), [0, 2, 3]);
        // The scale that is given, not 3 / 4: 0, 5/3, 10/3.
        assert_eq!(picked(Asymmetric, Nearest::Floor, Some(0.6), 5, 3), [0, 1, 3]);
        assert_eq!(picked(PytorchHalfPixel, Nearest::Ceil, None, 5, 1), [0]);
        assert_eq!(picked(HalfPixel, Nearest::RoundPreferFloor, None, 5, 1), [2]);
        // 5 pixels by 0.6 are 3, and the centre stays where it is: 2.5 * (1 - 3 / 3) + 1/3, 2, 11/3.
        assert_eq!(picked(HalfPixelSymmetric, Nearest::RoundPreferFloor, Some(0.6), 5, 3), [0, 2, 4]);
    }

    #[test]
    fn weights_by_hand() {
        let linear = axis(Coordinates::HalfPixel, Interpolation::Linear, None, 2, 4);
        assert_eq!(linear.pixels, [0, 1, 0, 1, 0, 1, 1, 1]);
        assert_eq!(linear.weights[..6], [1.0, 0.0, 0.75, 0.25, 0.25, 0.75]);
        // At 0.5, from Keys' polynomial with a = -0.75.
        let cubic = Interpolation::Cubic { a: -0.75, exclude_outside: false };
        let found = axis(Coordinates::HalfPixel, cubic, None, 4, 2);
        assert_eq!(
            (&found.pixels[..4], &found.weights[..4]),
            (&[0, 0, 1, 2][..], &[-0.09375, 0.59375, 0.59375, -0.09375][..])
        );
        let excluded = Interpolation::Cubic { a: -0.75, exclude_outside: true };
        assert_eq!(axis(Coordinates::HalfPixel, excluded, None, 4, 2).weights[0], 0.0);
        let sampling = |a, scale| Sampling {
            coordinates: Coordinates::HalfPixel,
            interpolation: Interpolation::Cubic { a, exclude_outside: false },
            scales: Some([1.0, scale]),
        };
        assert!(sampling(0.5, 1.0).check().unwrap_err().contains("cubic parameter"));
        assert!(sampling(f32::NAN, 1.0).check().is_err());
        for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(sampling(-0.5, scale).check().unwrap_err().contains("scales"), "{scale}");
        }
    }
}
