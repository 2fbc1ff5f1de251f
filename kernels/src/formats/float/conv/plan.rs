//! In which passes a convolution is computed, and what a pass stages.

use super::{super::Float, Conv2dFloat};
use crate::{base::scratch::scratch_per_thread, ops::conv::phase_taps};

/// The most pixels of a pass, whatever the pixels_per_pass: there are tables of so many.
pub(super) const MOST: usize = if cfg!(target_pointer_width = "64") { 192 } else { 16 };

/// Pixels of a tile, of most tiles.
const TILE: usize = if cfg!(target_pointer_width = "64") { 6 } else { 4 };

/// A good number of output pixels per pass for panels of that width: enough that weights which were loaded, or expanded, are used
/// many times.
pub const fn default_chunk(panel: u32) -> u32 {
    if panel >= 8 { 192 } else { 12 }
}

/// One dense convolution over a grid of output pixels: the whole, or a phase of a transposed one.
#[derive(Clone, Copy)]
pub(super) struct Dense {
    /// Rows and columns of taps.
    pub(super) taps: [usize; 2],
    /// Input rows (columns) from one grid row (column) to the next.
    pub(super) stride: [usize; 2],
    /// From one tap to the next; negative where taps meet the input backwards.
    pub(super) dilation: [isize; 2],
    /// Input row and column of tap (0, 0) of grid point (0, 0); negative in the padding.
    pub(super) origin: [isize; 2],
    /// Output pixels that are computed: `first + index * step`.
    pub(super) grid: [usize; 2],
    pub(super) first: [usize; 2],
    pub(super) step: [usize; 2],
    /// Tap (0, 0), and how many taps of the kernel the next row (column) of taps is further.
    pub(super) tap: usize,
    pub(super) tap_steps: [usize; 2],
}

impl Dense {
    /// How far tap (0, 0) lies behind the tap that meets the first row (column) of the input.
    pub(super) fn back(&self, axis: usize) -> usize {
        if self.dilation[axis] < 0 { self.reach(axis) } else { 0 }
    }

    /// Rows (columns) between the first and the last tap.
    fn reach(&self, axis: usize) -> usize {
        self.taps[axis].saturating_sub(1).saturating_mul(self.dilation[axis].unsigned_abs())
    }

    /// Input rows (columns) that so many rows (columns) of the grid meet.
    pub(super) fn met(&self, axis: usize, points: usize) -> usize {
        points.saturating_sub(1).saturating_mul(self.stride[axis]).saturating_add(self.reach(axis) + 1)
    }
}

/// How a pass finds its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// In the input itself.
    Direct,
    /// All rows and columns of the input that the pass meets are copied, with the padding.
    Band,
    /// Every pixel's taps are copied.
    Patches,
}

/// Sizes of a pass.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    /// Rows and columns of the grid, at most.
    pub(super) pass: [usize; 2],
    /// Whether the numbers are read where they are.
    direct: bool,
    /// Whether rows of taps are long; short ones end too often within vectors.
    long: bool,
    /// Input channels of a group.
    cin: usize,
}

impl Plan {
    /// The staged part of a pass over `points` rows and columns, and its length.
    pub(super) fn stage(&self, dense: &Dense, points: [usize; 2]) -> (Stage, usize) {
        if self.direct {
            return (Stage::Direct, 0);
        }
        let [rows, columns] = [0, 1].map(|axis| dense.met(axis, points[axis]));
        let band = rows.saturating_mul(columns).saturating_mul(self.cin);
        let taps = dense.taps[0].saturating_mul(dense.taps[1]);
        let patches = points[0].saturating_mul(points[1]).saturating_mul(taps).saturating_mul(self.cin);
        // Fewer points or taps never need more: either way of counting grows with them.
        if band <= patches && self.long { (Stage::Band, band) } else { (Stage::Patches, patches) }
    }
}

impl Conv2dFloat<'_> {
    /// How many dense convolutions this is.
    pub(super) fn phases(&self) -> usize {
        if self.transposed { (self.stride[0] as usize).saturating_mul(self.stride[1] as usize) } else { 1 }
    }

    /// Number `index` of them.
    pub(super) fn dense(&self, index: usize) -> Dense {
        let pair = |p: [u32; 2]| p.map(|d| d as usize);
        let (kernel, stride, padding) = (pair(self.kernel), pair(self.stride), pair(self.padding));
        let out = [self.output.shape[0] as usize, self.output.shape[1] as usize];
        if !self.transposed {
            return Dense {
                taps: kernel,
                stride,
                dilation: self.dilation.map(|d| d as isize),
                origin: padding.map(|p| -(p as isize)),
                grid: out,
                first: [0; 2],
                step: [1; 2],
                tap: 0,
                tap_steps: [kernel[1], 1],
            };
        }
        // PyTorch's definition: output row `o` and tap `k` meet input row `i` with `i * s + k = o + p`. With `o + p = q * s + r`, these
        // are taps `r + j * s` and rows `q - j`.
        let columns = stride[1].max(1);
        let phase = [index / columns, index % columns];
        let axes = [0, 1].map(|axis| {
            let (s, p, r) = (stride[axis].max(1), padding[axis], phase[axis]);
            // The first output row with that remainder.
            let first = (r + s - p % s) % s;
            let count = out[axis].saturating_sub(first).div_ceil(s);
            (phase_taps(kernel[axis], s, r), first, count, ((first + p) / s) as isize)
        });
        Dense {
            taps: axes.map(|a| a.0),
            stride: [1; 2],
            dilation: [-1; 2],
            origin: axes.map(|a| a.3),
            grid: axes.map(|a| a.2),
            first: axes.map(|a| a.1),
            step: stride,
            tap: phase[0] * kernel[1] + phase[1],
            tap_steps: [stride[0].saturating_mul(kernel[1]), stride[1]],
        }
    }

    /// The type that tiles multiply in: activations are staged as it.
    pub(super) fn number(&self) -> Float {
        if self.native { Float::F16 } else { Float::F32 }
    }

    /// Input channels of a group.
    fn channels_in(&self) -> usize {
        (self.input.shape[2] as usize / self.types[0].bytes()).checked_div(self.groups as usize).unwrap_or(0)
    }

    /// Whether every tap lies within the image, whose numbers are as tiles read them.
    fn is_direct(&self) -> bool {
        let dense = self.dense(0);
        let inside = |axis: usize| {
            let size = self.input.shape[axis] as usize;
            self.padding[axis] == 0 && dense.met(axis, self.output.shape[axis] as usize) <= size
        };
        let whole = self.input.stride.is_multiple_of(self.types[0].bytes() as u32);
        !self.transposed && self.types[0] == self.number() && whole && inside(0) && inside(1)
    }

    /// Sizes of passes; the same for all phases.
    pub(super) fn plan(&self) -> Plan {
        let steps = if self.transposed { self.stride.map(|s| s.max(1)) } else { [1; 2] };
        let [height, width] = [0, 1].map(|axis| self.output.shape[axis].div_ceil(steps[axis]) as usize);
        let pixels_per_pass = (self.pixels_per_pass as usize).clamp(1, MOST);
        let pass = if width <= pixels_per_pass {
            [pixels_per_pass.checked_div(width).unwrap_or(1).min(height.max(1)), width.max(1)]
        } else {
            // Pieces of about one size, of whole tiles.
            let piece = width.div_ceil(width.div_ceil(pixels_per_pass).max(1)).checked_next_multiple_of(TILE);
            [1, piece.unwrap_or(pixels_per_pass).min(pixels_per_pass)]
        };
        let cin = self.channels_in();
        // Of the phases, the first has the most taps.
        let dense = self.dense(0);
        let row = dense.taps[1].saturating_mul(cin);
        // Vectors of f16 have eight numbers, of which a short row leaves some.
        let ends = self.native && row < 64 && !row.is_multiple_of(8);
        let long = (row >= 16 && !ends) || dense.taps == [1, 1];
        Plan { pass, direct: self.is_direct(), long, cin }
    }

    /// Scratch bytes that one thread needs, whatever the offsets of its operands and the numbers that its weights are. What its
    /// weights are is only asked for by whether [`Conv2dFloat::weights`] is empty.
    pub fn scratch_bytes(&self) -> usize {
        if self.is_depthwise() {
            return 0;
        }
        let [numbers, panel] = self.scratch_numbers();
        let staged = scratch_per_thread(numbers.saturating_mul(self.number().bytes()));
        staged.saturating_add(panel.saturating_mul(4))
    }

    /// Numbers that are staged, of [`Conv2dFloat::number`]'s type, and weights of a panel that are expanded to single precision.
    pub(super) fn scratch_numbers(&self) -> [usize; 2] {
        let (dense, plan) = (self.dense(0), self.plan());
        let staged = plan.stage(&dense, plan.pass).1;
        let expands = self.panel == 16 && !self.native && self.weights.is_empty();
        // Of the phases, the first has the most taps.
        let taps = dense.taps[0].saturating_mul(dense.taps[1]);
        let panel =
            if expands { taps.saturating_mul(plan.cin).saturating_mul(self.panel as usize) } else { 0 };
        [staged, panel]
    }
}
