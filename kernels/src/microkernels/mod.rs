//! The inner tiles of convolution: a block of output pixels times a few panels of output channels.
//!
//! # Packed weights
//!
//! Output channels are split into *panels* of [`Layout::nr`] channels, the last one padded with zeros. The reduction is
//! split into *segments* (one per kernel tap, or a single one when whole patches are gathered) of `k` bytes each, padded
//! with zero weights to a multiple of [`Layout::kr`]: a tile may read any activation there. Weights lie as `[panel][segment][k / kr][nr][kr]`, so that a tile streams them in order.
//! [`Layout::index`] is that formula; the packer and the scalar tile both use it.
//!
//! # Zero points
//!
//! With `x` the stored activation and `z` its zero point, a convolution sums `w * (x - z)`. Some instructions want
//! unsigned activations `u = x + offset`, where `offset` is 128. As the weights are known at build time,
//!
//! ```text
//! sum w * (x - z) + bias  =  sum w * (x + offset) + [bias - (z + offset) * sum w]
//! ```
//!
//! and the bracket is what is stored as the packed bias: no tile ever handles a zero point. All sums are taken modulo
//! `2^32`; lowering proves that the true value fits, so the order of the additions does not matter.
//!
//! # Adding an instruction set
//!
//! One file with a type that implements [`Tile`] and can only be constructed from an [`Isa`] that has the instructions,
//! and one line in [`dispatch`].

#[cfg(target_arch = "aarch64")]
pub mod aarch64;
pub mod dsp;
mod layout;
#[cfg(niello_mve)]
pub mod mve;
pub mod portable;
#[cfg(niello_thumb2)]
mod portable_thumb;
pub mod scalar;
#[cfg(target_arch = "x86_64")]
pub mod x86;

pub use layout::Layout;

use crate::{
    Isa,
    base::arith::{Multiplier, OutputParams},
};

/// Where the activations of a block of pixels lie.
///
/// Pixel `p` of the block reads segment `s` at `base + offsets[p * segments + s]`, or at `pad` if that offset is
/// negative.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// The base of the offsets.
    pub base: *const i8,
    /// `[pixels][segments]` byte offsets.
    pub offsets: *const i32,
    /// `k` bytes holding the input's zero point.
    pub pad: *const i8,
    /// Number of segments.
    pub segments: usize,
    /// Bytes per segment, a multiple of the layout's `kr`.
    pub k: usize,
    /// Scratch of [`Layout::room_len`] bytes, which a tile may write.
    pub room: *mut i8,
}

impl Rows {
    /// Pointer to segment `s` of pixel `p`.
    ///
    /// # Safety
    /// `offsets` must hold entry `p * segments + s`.
    #[inline(always)]
    pub unsafe fn segment(&self, p: usize, s: usize) -> *const i8 {
        // SAFETY: the caller's promise.
        self.resolve(unsafe { *self.offsets.add(p * self.segments + s) })
    }

    /// The address of an offset.
    #[inline(always)]
    pub fn resolve(&self, offset: i32) -> *const i8 {
        if offset < 0 { self.pad } else { self.base.wrapping_add(offset as usize) }
    }
}

/// Packed constants of consecutive panels, and what happens to their accumulators.
#[derive(Clone, Copy, Debug)]
pub struct Panels {
    /// Packed weights of the first panel.
    pub weights: *const i8,
    /// Bytes from one panel's weights to the next.
    pub weights_stride: usize,
    /// `nr` folded biases per panel.
    pub bias: *const i32,
    /// `nr` mantissas per panel.
    pub mantissa: *const i32,
    /// `nr` shifts per panel.
    pub shift: *const i8,
    /// Zero point, clamp and rounding of the output.
    pub stage: OutputParams,
}

impl Panels {
    /// The multiplier of channel `n`, counted from the first panel.
    ///
    /// # Safety
    /// `n` must lie within the panels.
    #[inline(always)]
    pub unsafe fn multiplier(&self, n: usize) -> Multiplier {
        // SAFETY: the caller's promise.
        unsafe { Multiplier { mantissa: *self.mantissa.add(n), shift: *self.shift.add(n) as i32 } }
    }
}

/// An inner tile for one instruction set.
pub trait Tile: Copy {
    /// The weight layout that it streams.
    const LAYOUT: Layout;
    /// The most panels that one call handles.
    const MAX_PANELS: usize;
    /// The most pixels of one call, over all numbers of panels.
    const MAX_PIXELS: usize;
    /// The alignment of a panel's weights; elsewhere the scalar tile works.
    const ALIGNMENT: usize = 1;
    /// Whether the tile reads patches that [`crate::ops::conv`] widened to 16 bits, as [`dsp`] says, and only those.
    const WIDE: bool = false;

    /// How many pixels to hand over per call when `panels` are processed together.
    fn pixels(self, panels: usize) -> usize;

    /// Computes `pixels x channels` outputs: accumulate, requantise, clamp, store channel `n` of pixel `p` at
    /// `out[p] + n`.
    ///
    /// # Safety
    /// * `1 <= pixels <= self.pixels(panels)`, `out` holds `pixels` pointers, `1 <= panels <= MAX_PANELS`,
    ///   `1 <= channels <= panels * nr`;
    /// * every segment of every pixel in `rows` has `rows.k` readable bytes, and `rows.k` is a multiple of `kr`;
    /// * `constants` holds `panels` panels packed as [`Tile::LAYOUT`] for `rows.segments` and `rows.k`;
    /// * `channels` bytes at each `out[p]` are writable, and none of them is read as an activation;
    /// * [`Layout::room_len`] bytes for as many pixels at `rows.room` are writable, and nothing else lies there.
    unsafe fn run(
        self,
        rows: &Rows,
        constants: &Panels,
        panels: usize,
        channels: usize,
        pixels: usize,
        out: &[*mut i8],
    );
}

/// Pixels that follow each other at fixed distances, in memory that is read and in memory that is written.
#[cfg(niello_mve)]
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// The first pixel's bytes: its patch, padded to whole groups.
    pub x: *const i8,
    /// Bytes to the next.
    pub pitch: usize,
    /// Where the first pixel's channels go.
    pub out: *mut i8,
    /// Bytes to the next.
    pub out_pitch: usize,
    /// How many.
    pub pixels: usize,
}

/// A tile that takes any number of pixels, each a patch in one segment, and needs no offsets.
#[cfg(niello_mve)]
pub trait LineTile: Copy {
    /// The weight layout that it streams.
    const LAYOUT: Layout;

    /// Computes `channels` of all pixels: accumulate, requantise, clamp, store.
    ///
    /// # Safety
    /// * `k` bytes of each pixel are readable; `k` is a multiple of `kr` and not 0;
    /// * `constants` holds as many panels as the channels need, packed as [`LineTile::LAYOUT`] for one segment of `k`;
    /// * `channels` bytes of each pixel are writable, and none of them is read as an activation.
    unsafe fn line(self, line: &Line, k: usize, constants: &Panels, channels: usize);
}

/// Something to do with a tile, whichever it is.
pub trait WithTile {
    /// Called once by [`dispatch`].
    fn call<T: Tile>(self, tile: T);
    /// Called once by [`dispatch`] for a tile of whole lines.
    #[cfg(niello_mve)]
    fn call_lines<T: LineTile>(self, tile: T);
    /// Called once by [`dispatch`] when only the portable tile can read the layout.
    fn call_scalar(self, tile: scalar::Scalar);
}

/// Finds the tile for weights packed as `layout` that `isa` can execute; the scalar tile reads every layout.
#[inline(always)]
pub fn dispatch(layout: Layout, isa: Isa, action: impl WithTile) {
    #[cfg(target_arch = "x86_64")]
    if layout == x86::avx512vnni::Avx512Vnni::LAYOUT
        && let Some(tile) = x86::avx512vnni::Avx512Vnni::new(isa)
    {
        return action.call(tile);
    }
    #[cfg(target_arch = "x86_64")]
    if layout == x86::avx2::Avx2::LAYOUT
        && let Some(tile) = x86::avx2::Avx2::new(isa)
    {
        return action.call(tile);
    }
    #[cfg(target_arch = "aarch64")]
    if layout == aarch64::i8mm::I8mm::LAYOUT
        && let Some(tile) = aarch64::i8mm::I8mm::new(isa)
    {
        return action.call(tile);
    }
    #[cfg(target_arch = "aarch64")]
    if layout == aarch64::dotprod::Dotprod::LAYOUT
        && let Some(tile) = aarch64::dotprod::Dotprod::new(isa)
    {
        return action.call(tile);
    }
    #[cfg(target_arch = "aarch64")]
    if layout == aarch64::neon::Neon::LAYOUT
        && let Some(tile) = aarch64::neon::Neon::new(isa)
    {
        return action.call(tile);
    }
    #[cfg(niello_mve)]
    if layout == mve::Mve::LAYOUT
        && let Some(tile) = mve::Mve::new(isa)
    {
        return action.call_lines(tile);
    }
    if layout == dsp::Dsp::LAYOUT
        && let Some(tile) = dsp::Dsp::new(isa)
    {
        return action.call(tile);
    }
    if layout == portable::Portable::LAYOUT
        && let Some(tile) = portable::Portable::new(isa)
    {
        return action.call(tile);
    }
    action.call_scalar(scalar::Scalar { layout })
}
