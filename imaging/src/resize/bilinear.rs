//! Antialiased bilinear resizing, bit for bit that of PIL (`Image.resize(size, BILINEAR)`, Pillow up to 12.1) and therefore of
//! torchvision's `Resize` on PIL images. Source: Pillow, `src/libImaging/Resample.c`.
//!
//! Two passes, across and then down. A result pixel is a weighted sum of the source pixels around its centre; the
//! weights are a triangle that widens with the reduction, which keeps fine structures from aliasing. On 8-bit
//! images the weights are integers with 22 fractional bits and each pass rounds to 8 bits.
//!
//! Pillow goes across first up to version 12.1. Version 12.2 goes down first where an image is over a hundred times as tall as
//! wide, version 13 where that is less work, which moves about a fifth of the samples by one. The networks at hand were trained
//! before either.

use super::Sample;

/// Fractional bits of integer weights: 32, less 8 of a sample, less 2 for the sum.
pub(super) const PRECISION_BITS: u32 = 32 - 8 - 2;

/// Resizes `[h, w, c]` to `[size[0], size[1], c]`.
pub fn bilinear<T: Sample>(data: &[T], [h, w, c]: [usize; 3], size: [usize; 2]) -> Vec<T> {
    let across;
    let mut rows = data;
    if size[1] != w {
        across = pass(data, h, w, c, size[1]);
        rows = &across;
    }
    // Down is across, with whole rows for pixels.
    if size[0] == h { rows.to_vec() } else { pass(rows, 1, h, size[1] * c, size[0]) }
}

/// Resizes the middle axis of `[n, from, c]`.
fn pass<T: Sample>(data: &[T], n: usize, from: usize, c: usize, to: usize) -> Vec<T> {
    let taps: Vec<Taps> = (0..to).map(|i| Taps::new(i, from, to)).collect();
    let mut out = Vec::with_capacity(n * to * c);
    for line in data.chunks_exact(from * c).take(n) {
        for taps in &taps {
            for channel in 0..c {
                let values = line.iter().skip(taps.start * c + channel).step_by(c).copied();
                out.push(T::weigh(values, &taps.weights, &taps.fixed));
            }
        }
    }
    out
}

/// The source pixels of one result pixel.
struct Taps {
    start: usize,
    weights: Vec<f64>,
    fixed: Vec<i32>,
}

impl Taps {
    /// `precompute_coeffs` of Pillow, for the triangle filter.
    fn new(index: usize, from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        let support = scale.max(1.0);
        let centre = (index as f64 + 0.5) * scale;
        // Float-to-integer casts truncate and saturate at 0.
        let start = (centre - support + 0.5) as usize;
        let end = ((centre + support + 0.5) as usize).min(from);
        let triangle = |i: usize| (1.0 - ((i as f64 - centre + 0.5) * (1.0 / support)).abs()).max(0.0);
        let mut weights: Vec<f64> = (start..end).map(triangle).collect();
        let sum: f64 = weights.iter().sum();
        if sum != 0.0 {
            weights.iter_mut().for_each(|w| *w /= sum);
        }
        let one = f64::from(1u32 << PRECISION_BITS);
        let fixed = weights.iter().map(|w| (0.5 + w * one) as i32).collect();
        Self { start, weights, fixed }
    }
}
