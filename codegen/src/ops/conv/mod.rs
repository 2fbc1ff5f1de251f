//! Convolutions: one operator per file, and what they share.

mod backward;
mod conv2d;
mod filters;
mod float;
mod int16;
mod max_pool;
mod packing;
mod params;
mod reference;
mod transposed;
mod winograd;
mod winograd_float;

pub use conv2d::Conv2d;
pub use filters::{GivenFilters, GivenRounding};
pub(super) use max_pool::fuse as fuse_with_max_pool;
pub use params::{ConvParams, TransposedConvParams};
pub use transposed::{TransposedConv2d, dilated};

use crate::{error::Result, lower::Lowering};

/// Whether filters and biases are finite, as they are unless a batch norm that they were merged with carried them beyond single precision.
fn check_finite(cx: &Lowering<'_>, rows: &[Vec<f32>], bias: &[f32]) -> Result<()> {
    let is_bad = |(row, bias): (&Vec<f32>, &f32)| !bias.is_finite() || row.iter().any(|w| !w.is_finite());
    match rows.iter().zip(bias).position(is_bad) {
        Some(channel) => Err(cx.error(format!(
            "the weights of output channel {channel}, merged with the batch norm behind them, are beyond single precision"
        ))),
        None => Ok(()),
    }
}

/// Whether a half is infinite: what was rounded to it is beyond half precision.
pub(super) fn is_infinite(half: u16) -> bool {
    half & 0x7fff == 0x7c00
}

/// Biases as kernels take them: a zero of either sign is the same bias, but would not be the same bits.
pub(super) fn biases(bias: &[f32]) -> Vec<f32> {
    bias.iter().map(|b| b + 0.0).collect()
}
