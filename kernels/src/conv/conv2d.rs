//! Convolution: any kernel, stride, dilation, padding and number of groups.

use super::{Gather, driver::Job};
use crate::{Isa, Kernel, Layout, Memory, Operand, OutputStage, Region};
#[cfg(feature = "threads")]
use crate::{
    conv::{part_of_scratch, scratch_bytes},
    threads::{apart, split},
};
use core::ops::Range;

/// int8 convolution; a fully connected layer is a 1x1 one on a 1x1 image.
///
/// TensorFlow Lite's `CONV_2D` with per-channel weights: `out = stage(requantize(sum w * (x - z) + bias))`, with the
/// zero point folded into `bias` (see [`crate::tiles`]). Rows and columns at the bottom and right that the output does
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
    /// The same for some rows of the output, to `output`.
    #[inline(always)]
    pub(crate) fn rows(&self, rows: Range<usize>, output: Operand) -> Self {
        let [h, _, _] = self.input.shape;
        let (start, padding) = (rows.start * self.stride[0] as usize, self.padding[0] as usize);
        let first = start.saturating_sub(padding).min(h as usize);
        let padding = [padding.saturating_sub(start) as u32, self.padding[1]];
        Self { input: self.input.rows(first..h as usize), output, padding, ..*self }
    }

    /// Shares the rows out among threads, where there are any and it pays.
    #[cfg(feature = "threads")]
    fn split(&self, mem: &Memory<'_>, isa: Isa) -> bool {
        let [h, w, c] = self.output.shape.map(|d| d as usize);
        let taps = self.kernel[0] as usize * self.kernel[1] as usize;
        let channels = (self.input.shape[2] as usize).checked_div(self.groups as usize).unwrap_or(0);
        let one = scratch_bytes(self.layout, self.gather, taps, channels, self.chunk as usize);
        let need = part_of_scratch(one);
        // The last part's may end without padding.
        let rest = (self.scratch.len as usize).checked_sub(one);
        let most = rest.map_or(0, |rest| rest.checked_div(need).unwrap_or(0) + 1);
        let scratch = Operand::arena(self.scratch.offset, [1, 1, self.scratch.len], self.scratch.len);
        // What does not fit together is refused as a whole.
        if most < 2
            || !self.job(mem).is_some_and(|job| job.fits())
            || !apart(&self.input, &self.output)
            || !apart(&scratch, &self.input)
            || !apart(&scratch, &self.output)
        {
            return false;
        }
        let macs = h.saturating_mul(w).saturating_mul(c).saturating_mul(taps.saturating_mul(channels));
        let part = |mem: &Memory<'_>, rows: Range<usize>, part: usize| {
            let (offset, len) =
                (self.scratch.offset + (part * need) as u32, self.scratch.len - (part * need) as u32);
            let scratch = Region { offset, len: len.min(need as u32) };
            Self { scratch, ..self.rows(rows.clone(), self.output.rows(rows)) }.alone(mem, isa);
        };
        // SAFETY: parts write different rows of the output and different scratch; neither meets the input, and constants are
        // never written.
        unsafe { split(mem, h, macs, most, part) }
    }

    /// What there is to do, if the operands lie in memory.
    fn job<'m>(&self, mem: &Memory<'m>) -> Option<Job<'m>>
    where
        Self: 'm,
    {
        let pair = |p: [u32; 2]| p.map(|d| d as usize);
        let output = mem.write(&self.output)?;
        let [oh, ow, _] = output.shape();
        Some(Job {
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

    /// All rows on this thread.
    fn alone(&self, mem: &Memory<'_>, isa: Isa) {
        match self.job(mem) {
            Some(job) => job.run(isa),
            None => debug_assert!(false, "operands outside memory"),
        }
    }
}

impl Kernel for Conv2d<'_> {
    fn run(&self, mem: &Memory<'_>, isa: Isa) {
        #[cfg(feature = "threads")]
        if self.split(mem, isa) {
            return;
        }
        self.alone(mem, isa);
    }
}
