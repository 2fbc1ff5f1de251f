//! Transposed convolution as one ordinary convolution per output phase.
//!
//! PyTorch's definition: input row `i` and tap `k` meet in output row `i * s - p + k`. With `o + p = s * q + r` the taps
//! that reach output row `o` are `k = r + s * j`, and they meet input row `q - j`. So all output rows with the same phase
//! `r` share one dense kernel of `ceil((K - r) / s)` rows, and successive ones read successive input rows.

use super::{Gather, driver::ConvParams};
use crate::{
    Layout, Memory, Operand, OutputParams, Region,
    ops::conv::scratch_bytes,
    schedule::by_rows::{ReceptiveField, elements, positive},
};

/// int8 transposed convolution: TensorFlow Lite's `TRANSPOSE_CONV` with per-channel weights.
///
/// Constants of the phases follow each other, phase `(ry, rx)` at index `ry * stride_x + rx`. Within a phase the taps
/// are stored in the order in which they meet the input: descending `k`.
#[derive(Clone, Copy, Debug)]
pub struct TransposedConv2d<'a> {
    /// `[h, w, cin]`.
    pub input: Operand,
    /// `[oh, ow, cout]`.
    pub output: Operand,
    /// Rows, columns.
    pub kernel: [u32; 2],
    /// Rows, columns.
    pub stride: [u32; 2],
    /// Rows and columns cropped above and to the left (PyTorch's `padding`).
    pub padding: [u32; 2],
    /// How `weights` is packed.
    pub layout: Layout,
    /// How activations are read.
    pub gather: Gather,
    /// Per phase, packed as `layout`.
    pub weights: &'a [i8],
    /// Per phase, padded to whole panels, each with its own taps folded in.
    pub bias: &'a [i32],
    /// Padded to whole panels; the same for every phase.
    pub mantissa: &'a [i32],
    /// Padded to whole panels; the same for every phase.
    pub shift: &'a [i8],
    /// The input's zero point, `cin` times.
    pub pad: &'a [i8],
    /// Zero point, clamp and rounding of the output.
    pub stage: OutputParams,
    /// Output pixels per pass.
    pub pixels_per_pass: u32,
    /// At least [`super::scratch_bytes`] of the phase with the most taps, phase (0, 0); for several threads as many
    /// [`super::scratch_per_thread`].
    pub scratch: Region,
}

/// Number of taps of phase `r` along one axis: those `k < kernel` with `k % stride == r`.
pub const fn phase_taps(kernel: usize, stride: usize, r: usize) -> usize {
    if kernel > r { (kernel - r).div_ceil(stride) } else { 0 }
}

/// One axis of one phase: taps, first output index, number of outputs, input index of the first stored tap.
fn phase(kernel: usize, stride: usize, padding: usize, out: usize, r: usize) -> (usize, usize, usize, isize) {
    let taps = phase_taps(kernel, stride, r);
    let remainder = padding.checked_rem(stride).unwrap_or(0);
    // The first output `o >= 0` with (o + padding) % stride == r.
    let first = if r >= remainder { r - remainder } else { r + stride - remainder };
    let count = if out > first { (out - first - 1).checked_div(stride).unwrap_or(0) + 1 } else { 0 };
    let q = (first + padding).checked_div(stride).unwrap_or(0);
    (taps, first, count, q as isize - (taps as isize - 1))
}

impl TransposedConv2d<'_> {
    /// Scratch bytes of one thread.
    fn scratch_bytes(&self) -> usize {
        let [ty, tx] = [0, 1].map(|i| phase_taps(self.kernel[i] as usize, self.stride[i].max(1) as usize, 0));
        let channels = self.input.shape[2] as usize;
        scratch_bytes(
            self.layout,
            self.gather,
            ty.saturating_mul(tx),
            channels,
            self.pixels_per_pass as usize,
        )
    }

    /// Hands the phases over, one after the other, until `each` says `false` or they do not fit together: then it is `false`.
    fn phases(&self, mem: &Memory<'_>, mut each: impl FnMut(ConvParams<'_>) -> bool) -> bool {
        let (Some(input), Some(output), Some(scratch)) =
            (mem.read(&self.input), mem.write(&self.output), mem.scratch(self.scratch))
        else {
            return false;
        };
        let pair = |p: [u32; 2]| p.map(|d| d as usize);
        let (kernel, stride, padding) = (pair(self.kernel), pair(self.stride), pair(self.padding));
        // Far fewer phases than this have taps; and a bound keeps the sums below 32 bits.
        let taps = positive(&[self.kernel, self.stride]);
        if !taps || stride.iter().any(|s| *s > 1 << 15) || padding.iter().any(|p| *p > 1 << 28) {
            return false;
        }
        let ([oh, ow, cout], cin) = (output.shape(), input.shape()[2]);
        let channels = self.layout.padded_channels(cout);
        let (mut weights, mut bias) = (self.weights, self.bias);
        for ry in 0..stride[0] {
            for rx in 0..stride[1] {
                let (ty, fy, ny, iy) = phase(kernel[0], stride[0], padding[0], oh, ry);
                let (tx, fx, nx, ix) = phase(kernel[1], stride[1], padding[1], ow, rx);
                let (segments, k) = self.gather.segments(ty.saturating_mul(tx), cin);
                let len = self.layout.packed_len(cout, segments, k);
                let (Some((w, more_weights)), Some((b, more_bias))) =
                    (weights.split_at_checked(len), bias.split_at_checked(channels))
                else {
                    return false;
                };
                (weights, bias) = (more_weights, more_bias);
                let params = ConvParams {
                    input,
                    output,
                    taps: [ty, tx],
                    stride: [1, 1],
                    dilation: [1, 1],
                    origin: [iy, ix],
                    grid: [ny, nx],
                    grid_first: [fy, fx],
                    grid_step: stride,
                    groups: 1,
                    layout: self.layout,
                    gather: self.gather,
                    weights: w,
                    bias: b,
                    mantissa: self.mantissa,
                    shift: self.shift,
                    pad: self.pad,
                    stage: self.stage,
                    pixels_per_pass: self.pixels_per_pass as usize,
                    scratch,
                };
                if !each(params) {
                    return false;
                }
            }
        }
        true
    }
}

crate::schedule::kernel!(TransposedConv2d<'a>, |conv| {
    fits: |mem| conv.phases(mem, |params| params.fits()),
    // All phases are checked before the first one computes.
    run: |isa| if conv.phases(mem, |params| params.fits()) {
        conv.phases(mem, |params| {
            params.run(isa);
            true
        });
    } else {
        crate::schedule::refused!(TransposedConv2d)
    },
    reads: [input],
    rows: ReceptiveField::spread(conv.kernel, conv.stride, conv.padding), above: padding[0],
    scratch: scratch of conv.scratch_bytes(),
    work: elements([conv.kernel[0], conv.kernel[1], conv.output.shape[2]]).saturating_mul(elements(conv.input.shape)),
});
