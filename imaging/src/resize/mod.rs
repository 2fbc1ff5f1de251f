//! Resizing as the libraries do it that the networks were trained with.
//!
//! Pictures are `[H, W, C]` slices, channels innermost. All sizes must be at least 1 and the slice must have `h * w * c`
//! elements; anything else is a mistake of the caller (the functions return what they can and do not panic).

mod area;
mod bilinear;
mod crop;

pub use area::area;
pub use bilinear::bilinear;
pub use crop::{centre_crop, cover};

mod sample {
    /// What can be resized: 8-bit samples, rounded as the original library rounds, or real ones.
    pub trait Sample: Copy + Default {
        /// The value.
        fn to_f32(self) -> f32;
        /// The nearest sample; of a half, the even one (as OpenCV's `cvRound`) or the upper one.
        fn round(x: f32, half_up: bool) -> Self;
        /// `sum(values * weights)` of one pass of the bilinear filter.
        fn weigh(values: impl Iterator<Item = Self>, weights: &[f64], fixed: &[i32]) -> Self;
    }
}
pub use sample::Sample;

impl Sample for u8 {
    fn to_f32(self) -> f32 {
        f32::from(self)
    }

    fn round(x: f32, half_up: bool) -> Self {
        if half_up { (x + 0.5).floor() as u8 } else { x.round_ties_even() as u8 }
    }

    /// Fixed point with 22 fractional bits, as PIL's `ImagingResampleHorizontal_8bpc`.
    fn weigh(values: impl Iterator<Item = Self>, _: &[f64], fixed: &[i32]) -> Self {
        let half = 1 << (bilinear::PRECISION_BITS - 1);
        let sum = values.zip(fixed).fold(half, |sum, (v, k)| sum + i32::from(v) * k);
        (sum >> bilinear::PRECISION_BITS).clamp(0, 255) as u8
    }
}

impl Sample for f32 {
    fn to_f32(self) -> f32 {
        self
    }

    fn round(x: f32, _: bool) -> Self {
        x
    }

    fn weigh(values: impl Iterator<Item = Self>, weights: &[f64], _: &[i32]) -> Self {
        values.zip(weights).fold(0.0, |sum, (v, k)| sum + f64::from(v) * k) as f32
    }
}
