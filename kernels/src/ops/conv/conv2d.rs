//! Convolution: any kernel, stride, dilation, padding and number of groups.

use super::{Gather, driver::ConvParams};
use crate::{
    Layout, Memory, Operand, OutputStage, Region,
    ops::conv::scratch_bytes,
    schedule::by_rows::{ReceptiveField, positive},
};

/// int8 convolution; a fully connected layer is a 1x1 one on a 1x1 image.
///
/// TensorFlow Lite's `CONV_2D` with per-channel weights: `out = stage(requantize(sum w * (x - z) + bias))`, with the
/// zero point folded into `bias` (see [`crate::microkernels`]). Rows and columns at the bottom and right that the output does
/// not reach are ignored, those that it reaches beyond the input are padding.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d<'a> {
    /// `[h, w, cin]`.
    pub input: Operand,
    /// `[oh, ow, cout]`.
    pub output: Operand,
    /// Rows, columns.
    pub kernel: [u32; 2],
    /// Rows, columns.
    pub stride: [u32; 2],
    /// Rows, columns; 1 is a dense kernel.
    pub dilation: [u32; 2],
    /// Padding above and to the left.
    pub padding: [u32; 2],
    /// Groups, dividing both numbers of channels.
    pub groups: u32,
    /// How `weights` is packed.
    pub layout: Layout,
    /// How activations are read.
    pub gather: Gather,
    /// Per group, packed as `layout`.
    pub weights: &'a [i8],
    /// Folded, per group padded to whole panels.
    pub bias: &'a [i32],
    /// Mantissas, per group padded to whole panels.
    pub mantissa: &'a [i32],
    /// Shifts, per group padded to whole panels.
    pub shift: &'a [i8],
    /// The input's zero point, `cin / groups` times.
    pub pad: &'a [i8],
    /// Zero point, clamp and rounding of the output.
    pub stage: OutputStage,
    /// Output pixels per pass.
    pub chunk: u32,
    /// At least [`super::scratch_bytes`], for several threads as many [`super::part_of_scratch`].
    pub scratch: Region,
}

impl Conv2d<'_> {
    fn taps(&self) -> usize {
        (self.kernel[0] as usize).saturating_mul(self.kernel[1] as usize)
    }

    /// Input channels per group.
    fn channels(&self) -> usize {
        (self.input.shape[2] as usize).checked_div(self.groups as usize).unwrap_or(0)
    }

    fn macs_per_output(&self) -> usize {
        self.taps().saturating_mul(self.channels())
    }

    /// The parameters of the loops, if the operands lie in memory and there are taps.
    fn params<'m>(&self, mem: &Memory<'m>) -> Option<ConvParams<'m>>
    where
        Self: 'm,
    {
        let pair = |p: [u32; 2]| p.map(|d| d as usize);
        let output = mem.write(&self.output)?;
        let [oh, ow, _] = output.shape();
        if !positive(&[self.kernel, self.stride, self.dilation]) {
            return None;
        }
        Some(ConvParams {
            input: mem.read(&self.input)?,
            output,
            taps: pair(self.kernel),
            stride: pair(self.stride),
            dilation: pair(self.dilation),
            origin: self.padding.map(|p| (p as isize).wrapping_neg()),
            grid: [oh, ow],
            grid_first: [0, 0],
            grid_step: [1, 1],
            groups: self.groups as usize,
            layout: self.layout,
            gather: self.gather,
            weights: self.weights,
            bias: self.bias,
            mantissa: self.mantissa,
            shift: self.shift,
            pad: self.pad,
            stage: self.stage,
            chunk: self.chunk as usize,
            scratch: mem.scratch(self.scratch)?,
        })
    }
}

crate::schedule::kernel!(Conv2d<'a>, |conv| {
    fits: |mem| conv.params(mem).is_some_and(|params| params.fits()),
    run: |isa| match conv.params(mem) {
        Some(params) => params.run(isa),
        None => crate::schedule::refused!(Conv2d),
    },
    reads: [input],
    rows: ReceptiveField::window(conv.kernel, conv.dilation, conv.stride, conv.padding), above: padding[0],
    scratch: scratch of scratch_bytes(conv.layout, conv.gather, conv.taps(), conv.channels(), conv.chunk as usize),
    cost: conv.macs_per_output(),
});
