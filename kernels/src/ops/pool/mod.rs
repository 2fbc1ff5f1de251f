//! Pooling: largest value, where it is, and mean over windows, mean over the whole image; unpooling.
//!
//! All walk the image pixel by pixel and keep a block of channels in registers.

pub(crate) mod average;
pub(crate) mod global;
mod max;
pub(crate) mod position;
pub(crate) mod unpool;

pub use average::AveragePool2d;
pub use global::GlobalAveragePool;
pub use max::MaxPool2d;
pub use position::MaxPosition2d;
pub use unpool::MaxUnpool2d;

/// The part of axis `0..size` that window `index` covers.
#[inline(always)]
pub(crate) fn window(
    index: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    size: usize,
) -> core::ops::Range<usize> {
    let start = index.saturating_mul(stride);
    let end = start.saturating_add(kernel);
    start.saturating_sub(padding).min(size)..end.saturating_sub(padding).min(size)
}
