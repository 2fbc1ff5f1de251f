//! Convolution in floating point: dense, grouped, depthwise or transposed.
//!
//! * `plain` follows the definition: the reference, and what runs where there is no tile.
//! * `plan` says in which passes the output is computed, and where the numbers that a pass reads lie.
//! * `stage` copies them there, `driver` hands tiles of pixels to what computes them.
//! * `winograd` is a convolution 3x3 in another format, with fewer products.
//! * `tile` is the inner loop's interface, with one file per instruction set that implements it, chosen in `dispatch`.
//!
//! A transposed convolution of stride `s` is `s * s` dense ones, one per phase of the output, each with the taps that reach it: as
//! [`crate::ops::conv`], but with taps in ascending order, which meet the input backwards.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod dispatch;
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64", niello_vfp)),
    allow(dead_code, reason = "there is no tile")
)]
mod driver;
#[cfg(target_arch = "aarch64")]
mod fp16;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "aarch64")]
mod neon_asm;
#[cfg(target_arch = "aarch64")]
mod neon_store;
mod plain;
mod plan;
mod stage;
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    allow(dead_code, reason = "a part is used, or there is no tile")
)]
mod tile;
#[cfg(niello_vfp)]
mod vfp;
pub mod winograd;

pub use plan::default_chunk;

use super::{Float, FloatBounds};
use crate::{
    Memory, Operand, Region,
    base::memory::{Encoding as _, In, Out},
    schedule::by_rows::{ReceptiveField, elements, positive, taps_fit},
};

/// Convolution, or transposed convolution.
///
/// ```text
/// sum = bias; for ky, for kx, for c: sum = fused(w, x, sum)      each sum a single chain in this order
/// out = range.clamp(sum)                                         rounded to the output's type
/// ```
///
/// A tap beyond the image reads +0, and is part of the chain. Of a transposed convolution, taps that fall between input pixels are not.
/// With `native`, chains are cut as [`native`](super::native) says.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dFloat<'a> {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[oh, ow, oc]`.
    pub output: Operand,
    /// Types of `input`, `output`.
    pub types: [Float; 2],
    /// Rows, columns.
    pub kernel: [u32; 2],
    /// Rows, columns.
    pub stride: [u32; 2],
    /// Rows, columns.
    pub dilation: [u32; 2],
    /// Above, to the left.
    pub padding: [u32; 2],
    /// Whether the convolution is transposed: each input pixel reaches `kernel` output pixels, `stride` apart, of which `padding` are
    /// cropped above and to the left. Without dilation then.
    pub transposed: bool,
    /// Groups, which divide `c` and `oc`.
    pub groups: u32,
    /// Output channels of a group that lie together: 4, 8 or 16; see [`packed_index`]. 1 where there are `c = oc` groups of one channel: then
    /// weights are `[kh][kw][c]`.
    pub panel: u32,
    /// Weights in single precision; empty if they are `halves`.
    pub weights: &'a [f32],
    /// Weights in half precision.
    pub halves: &'a [u16],
    /// `oc` values, for each group padded to whole panels.
    pub bias: &'a [f32],
    /// Fused activation.
    pub range: FloatBounds,
    /// Whether products are added in half precision. Input, output and weights are f16 then.
    pub native: bool,
    /// Output pixels per pass, at least 1: see [`default_chunk`].
    pub pixels_per_pass: u32,
    /// At least [`Conv2dFloat::scratch_bytes`], at a multiple of four bytes; for several threads as many
    /// [`crate::ops::conv::scratch_per_thread`].
    pub scratch: Region,
}

/// Index of a weight: `[group][panel][tap][c / groups][panel width]`; `channel` counts within the group, in which there are `channels`.
pub const fn packed_index(
    panel: usize,
    [taps, c]: [usize; 2],
    channels: usize,
    [group, channel, tap, k]: [usize; 4],
) -> usize {
    let panels = channels.div_ceil(panel);
    (((group * panels + channel / panel) * taps + tap) * c + k) * panel + channel % panel
}

/// A convolution whose parameters fit together.
#[derive(Clone, Copy)]
struct CheckedConv<'k, 'm> {
    conv: Conv2dFloat<'k>,
    input: In<'m>,
    out: Out<'m>,
    /// Of the input, of the output, per group.
    channels: [usize; 2],
    groups: usize,
    scratch: &'m [core::cell::Cell<i8>],
}

impl<'k> Conv2dFloat<'k> {
    const fn taps(&self) -> usize {
        (self.kernel[0] as usize).saturating_mul(self.kernel[1] as usize)
    }

    const fn is_depthwise(&self) -> bool {
        self.panel == 1
    }

    fn rows(&self) -> ReceptiveField {
        if self.transposed {
            return ReceptiveField::spread(self.kernel, self.stride, self.padding);
        }
        ReceptiveField::window(self.kernel, self.dilation, self.stride, self.padding)
    }

    /// Multiply-accumulates.
    fn work(&self) -> usize {
        let c = (self.input.shape[2] as usize).checked_div(self.types[0].bytes()).unwrap_or(0);
        let filter = self.taps().saturating_mul(c);
        filter.saturating_mul(elements(self.output.shape)).checked_div(self.groups as usize).unwrap_or(0)
    }

    fn checked<'m>(&self, mem: &Memory<'m>) -> Option<CheckedConv<'k, 'm>> {
        let check = |ok: bool| ok.then_some(());
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let [c, oc] = [self.types[0].count(input.shape()[2])?, self.types[1].count(out.shape()[2])?];
        let groups = self.groups as usize;
        check(c.checked_rem(groups) == Some(0) && oc.checked_rem(groups) == Some(0))?;
        let channels @ [inside, outside] = [c.checked_div(groups)?, oc.checked_div(groups)?];
        check(matches!(self.panel, 1 | 4 | 8 | 16))?;
        check(positive(&[self.kernel, self.stride, self.dilation]))?;
        check(!self.is_depthwise() || channels == [1, 1])?;
        let taps = (self.kernel[0] as usize).checked_mul(self.kernel[1] as usize)?;
        let padded = outside.checked_next_multiple_of(self.panel as usize)?.checked_mul(groups)?;
        let weights = taps.checked_mul(inside)?.checked_mul(padded)?;
        let there = if self.weights.is_empty() { self.halves.len() } else { self.weights.len() };
        check(there >= weights && self.bias.len() >= padded)?;
        check(!self.native || (self.types == [Float::F16; 2] && self.weights.is_empty()))?;
        check(taps_fit(out.shape(), self.kernel, self.stride, self.dilation))?;
        check(self.padding.iter().all(|p| *p <= i32::MAX as u32))?;
        // A bound on the phases, of which far fewer have taps.
        check(!self.transposed || (self.dilation == [1, 1] && self.phases() <= 1 << 15))?;
        let scratch = mem.scratch(self.scratch)?;
        check(scratch.len() >= self.scratch_bytes() && self.pixels_per_pass > 0)?;
        // Neither what is staged nor where it ends may change while it is in use.
        check(scratch.is_empty() || !out.overlaps(scratch))?;
        check(scratch.is_empty() || (scratch.as_ptr() as usize).is_multiple_of(align_of::<f32>()))?;
        Some(CheckedConv { conv: *self, input, out, channels, groups, scratch })
    }
}

crate::schedule::kernel!(Conv2dFloat<'a>, |conv| {
    check: |mem| conv.checked(mem),
    run: |checked, isa| dispatch::run(checked, isa),
    reads: [input],
    rows: conv.rows(), above: padding[0],
    scratch: scratch of conv.scratch_bytes(),
    work: conv.work(),
});
