//! Convolution and transposed convolution as indirect matrix multiplication; depthwise convolution and Winograd's algorithm have
//! folders of their own.
//!
//! `driver` walks the image, without knowing instruction sets; `gather` finds the activations; [`crate::microkernels`] does the
//! arithmetic. A transposed convolution of stride `s` is `s * s` ordinary convolutions of stride 1, one per output phase, each with the
//! taps that reach it.

mod conv2d;
pub mod conv_max_pool;
pub mod depthwise;
mod driver;
pub(crate) mod gather;
#[cfg(niello_mve)]
mod lines;
mod transposed;
mod widen;
pub mod winograd;

pub use crate::base::scratch::scratch_per_thread;
pub use conv2d::Conv2d;
pub use transposed::{TransposedConv2d, phase_taps};

use crate::microkernels::Layout;

/// How activations reach the tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gather {
    /// Straight from the image: one segment per kernel tap. The channels per group must be a multiple of the layout's
    /// `kr`, so that no tile reads beyond a pixel.
    Indirect,
    /// Through scratch: the whole patch of a pixel is copied into one segment. For few input channels, and for tiles
    /// that want activations of 16 bits, which are widened there, or pixels that follow each other.
    Im2col,
}

impl Gather {
    /// [`Gather::Indirect`] where the layout allows it and it pays.
    pub const fn choose(layout: Layout, channels_per_group: usize) -> Self {
        if layout.padded_k(channels_per_group) == channels_per_group
            && channels_per_group >= 4
            && !layout.wants_patches()
        {
            Gather::Indirect
        } else {
            Gather::Im2col
        }
    }

    /// Segments and (unpadded) bytes per segment for a kernel of `taps` and `channels` per group. The bytes are
    /// `usize::MAX` if there are more than can be counted.
    pub const fn segments(self, taps: usize, channels: usize) -> (usize, usize) {
        match self {
            Gather::Indirect => (taps, channels),
            Gather::Im2col => (1, taps.saturating_mul(channels)),
        }
    }
}

/// Scratch bytes that a convolution needs to process `pixels_per_pass` output pixels at a time: offsets, then patches, then
/// [`Layout::room_len`]. Patches that are widened take twice as much, and one more patch before it is. `usize::MAX` if that is more than can be
/// counted.
///
/// The kernels use this same function to split their scratch.
pub const fn scratch_bytes(
    layout: Layout,
    gather: Gather,
    taps: usize,
    channels_per_group: usize,
    pixels_per_pass: usize,
) -> usize {
    let (segments, k) = gather.segments(taps, channels_per_group);
    let offsets = pixels_per_pass.saturating_mul(segments).saturating_mul(size_of::<i32>());
    let room = layout.room_len(pixels_per_pass, segments, layout.padded_k(k));
    let patches = match gather {
        Gather::Indirect => 0,
        Gather::Im2col => {
            let patches = if layout.pairs {
                pixels_per_pass.saturating_mul(2).saturating_add(1)
            } else {
                pixels_per_pass
            };
            patches.saturating_mul(layout.padded_k(k))
        }
    };
    offsets.saturating_add(patches).saturating_add(room)
}
