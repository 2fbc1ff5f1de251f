//! Resizing as the libraries do it that the networks were trained with.
//!
//! Images are `[H, W, C]` slices, channels innermost. All sizes must be at least 1 and the slice must have `h * w * c`
//! elements; anything else is a mistake of the caller (the functions return what they can and do not panic).

mod area;
mod bilinear;
mod crop;

pub use area::area;
pub use bilinear::bilinear;
pub use crop::{centre_crop, cover};

mod sample {
    /// Samples that can be resized: 8-bit ones, rounded as the original library rounds, or real ones.
    pub trait Sample: Copy + Default {
        /// The value.
        fn to_f32(self) -> f32;
        /// The nearest sample, of a half the even one.
        fn nearest(x: f32) -> Self;
        /// The mean of a block, of which a half rounds to even, or up if the block is `halved`.
        fn mean(block: &[Self], halved: bool) -> Self;
        /// Two rows of two pixels with the weights of the second row and of the second column.
        fn mix(pixels: [[Self; 2]; 2], weights: [f32; 2]) -> Self;
        /// `sum(values * weights)` of one pass of the bilinear filter.
        fn weigh(values: impl Iterator<Item = Self>, weights: &[f64], fixed: &[i32]) -> Self;
    }
}
pub use sample::Sample;

impl Sample for u8 {
    fn to_f32(self) -> f32 {
        f32::from(self)
    }

    fn nearest(x: f32) -> Self {
        x.round_ties_even() as u8
    }

    fn mean(block: &[Self], halved: bool) -> Self {
        let sum: i32 = block.iter().map(|v| i32::from(*v)).sum();
        if halved { ((sum + 2) >> 2) as u8 } else { Self::nearest(sum as f32 * (1.0 / block.len() as f32)) }
    }

    /// Fixed point with 11 fractional bits for each side, as OpenCV's `HResizeLinear` and `VResizeLinear`.
    fn mix(pixels: [[Self; 2]; 2], weights: [f32; 2]) -> Self {
        let fixed = weights.map(|w| [1.0 - w, w].map(|w| (w * 2048.0).round_ties_even() as i32));
        let line = |row: [u8; 2]| i32::from(row[0]) * fixed[1][0] + i32::from(row[1]) * fixed[1][1];
        let part = |row: usize| (fixed[0][row] * (line(pixels[row]) >> 4)) >> 16;
        ((part(0) + part(1) + 2) >> 2) as u8
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

    fn nearest(x: f32) -> Self {
        x
    }

    /// Four at a time, as the original is unrolled.
    fn mean(block: &[Self], _: bool) -> Self {
        let (fours, rest) = block.as_chunks::<4>();
        let sum = fours.iter().fold(0.0, |sum, [a, b, c, d]| sum + (a + b + c + d));
        rest.iter().fold(sum, |sum, v| sum + v) * (1.0 / block.len() as f32)
    }

    fn mix(pixels: [[Self; 2]; 2], [down, across]: [f32; 2]) -> Self {
        let line = |[left, right]: [f32; 2]| left * (1.0 - across) + right * across;
        line(pixels[0]) * (1.0 - down) + line(pixels[1]) * down
    }

    fn weigh(values: impl Iterator<Item = Self>, weights: &[f64], _: &[i32]) -> Self {
        values.zip(weights).fold(0.0, |sum, (v, k)| sum + f64::from(v) * k) as f32
    }
}
