//! Convolution 3x3 by Winograd's algorithm, F(4x4, 3x3), with the bits of the direct one.
//!
//! A tile of 4x4 outputs takes 36 products per pair of channels instead of 144. All transforms are integer; what they
//! scale is divided out at the end. With `a` the sum of `w * x` of an output, the transforms give `576 * a` modulo `2^32`. As 9 has
//! an inverse there, `64 * a` follows modulo `2^32`, and `a` itself if `-2^25 <= a < 2^25`: any intermediate sum may wrap.
//! Lowering bounds `a` by the weights. Where it could be larger, it splits the input channels, and the sums of each
//! part are transformed separately and then added.
//!
//! The rest is as in [`crate::ops::conv`]: zero points are folded into biases, padding is the zero point.

pub(crate) mod grid;
#[cfg(target_arch = "aarch64")]
mod neon;
mod plain;
mod transform;

pub use transform::filter;

use crate::{
    Isa, Memory, Operand, OutputStage, Region,
    base::memory::{In, Out},
    microkernels::Panels,
    schedule::by_rows::ReceptiveField,
};
use core::cell::Cell;
use grid::{POSITIONS, Place};

/// int8 convolution 3x3, stride 1: [`crate::Conv2d`] with transformed weights.
#[derive(Clone, Copy, Debug)]
pub struct WinogradConv2d<'a> {
    /// `[h, w, cin]`, `cin` a multiple of 8.
    pub input: Operand,
    /// `[oh, ow, cout]`.
    pub output: Operand,
    /// Padding above and to the left.
    pub padding: [u32; 2],
    /// Parts of the input channels that are summed separately; a divisor of `cin / 8`.
    pub splits: u32,
    /// Transformed by [`filter`]; where each lies is said by [`index`].
    pub weights: &'a [i16],
    /// Folded, padded to whole panels of 16.
    pub bias: &'a [i32],
    /// Mantissas, padded to whole panels.
    pub mantissa: &'a [i32],
    /// Shifts, padded to whole panels.
    pub shift: &'a [i8],
    /// The input's zero point, `cin` times.
    pub pad: &'a [i8],
    /// Zero point, clamp and rounding of the output.
    pub stage: OutputStage,
    /// Tiles of 4x4 outputs per pass, a multiple of 8.
    pub chunk: u32,
    /// At least [`scratch_bytes`]; for several threads as many [`crate::ops::conv::part_of_scratch`].
    pub scratch: Region,
}

/// Output channels of a panel.
const CHANNELS: usize = 16;
/// Values of 8 channels of 8 tiles, or of 8 by 8 channels.
const BLOCK: usize = 64;
/// Tiles that are multiplied together.
const GROUP: usize = 8;

/// Largest absolute value of a sum of `w * x` that is found again after the division: one less than `2^25`.
pub const LARGEST_SUM: i64 = (1 << 25) - 1;

/// Number of transformed weights.
pub const fn packed_len(cin: usize, cout: usize) -> usize {
    cout.next_multiple_of(CHANNELS).saturating_mul(cin).saturating_mul(POSITIONS)
}

/// Index of position `position` of the transformed filter from input channel `i` to output channel `o`:
/// `[panel of 16][half][split][position][block of 8 inputs][8 inputs][8 outputs]`; `usize::MAX` if there is no such split.
pub const fn index(cin: usize, splits: usize, o: usize, i: usize, position: usize) -> usize {
    let Some(blocks) = (cin / 8).checked_div(splits) else { return usize::MAX };
    let (Some(split), Some(block)) = ((i / 8).checked_div(blocks), (i / 8).checked_rem(blocks)) else {
        return usize::MAX;
    };
    (((o / 8 * splits + split) * POSITIONS + position) * blocks + block) * BLOCK + i % 8 * 8 + o % 8
}

/// Scratch bytes for `chunk` tiles per pass: transformed inputs, then transformed sums of a panel. `usize::MAX` if that
/// is more than can be counted.
pub const fn scratch_bytes(cin: usize, splits: usize, chunk: usize) -> usize {
    let inputs = cin.saturating_mul(chunk).saturating_mul(POSITIONS * size_of::<i16>());
    inputs.saturating_add(splits.saturating_mul(sums_of_panel() * size_of::<i32>()))
}

/// Sums of a panel and a split, of one group of tiles.
const fn sums_of_panel() -> usize {
    2 * POSITIONS * BLOCK
}

crate::schedule::kernel!(WinogradConv2d<'a>, |conv| {
    check: |mem| conv.checked(mem),
    run: |checked, isa| checked.dispatch(isa),
    reads: [input],
    step: 4,
    rows: ReceptiveField::Window { rows: 3, stride: 1, padding: conv.padding[0] }, above: padding[0],
    scratch: scratch of scratch_bytes(conv.input.shape[2] as usize, conv.splits as usize, conv.chunk as usize),
    // A quarter of the direct algorithm's products, at twice the price.
    cost: (conv.input.shape[2] as usize).saturating_mul(9 / 2),
});

/// Sizes that follow from the parameters. To have them is to know that they fit together.
#[derive(Clone, Copy)]
struct Sizes {
    cin: usize,
    cout: usize,
    splits: usize,
    /// Blocks of 8 input channels per split.
    blocks: usize,
    chunk: usize,
    padding: [usize; 2],
}

impl WinogradConv2d<'_> {
    fn checked<'m>(&self, mem: &Memory<'m>) -> Option<CheckedWinograd<'_, 'm>> {
        let check = |ok: bool| ok.then_some(());
        let (input, output, scratch) =
            (mem.read(&self.input)?, mem.write(&self.output)?, mem.scratch(self.scratch)?);
        let ([_, _, cin], [_, _, cout]) = (input.shape(), output.shape());
        let (splits, chunk) = (self.splits as usize, self.chunk as usize);
        let padding = self.padding.map(|p| p as usize);
        check(cin > 0 && cin.is_multiple_of(8) && chunk > 0 && chunk.is_multiple_of(GROUP))?;
        check(splits > 0 && (cin / 8).is_multiple_of(splits))?;
        check(padding.iter().all(|p| *p < 1 << 29))?;
        let channels = cout.next_multiple_of(CHANNELS);
        check(self.weights.len() >= packed_len(cin, cout) && self.pad.len() >= cin)?;
        check(
            self.bias.len() >= channels && self.mantissa.len() >= channels && self.shift.len() >= channels,
        )?;
        check(scratch.len() >= scratch_bytes(cin, splits, chunk))?;
        check((scratch.as_ptr() as usize).is_multiple_of(align_of::<i32>()))?;
        check(!output.overlaps(scratch))?;
        let blocks = (cin / 8).checked_div(splits)?;
        let sizes = Sizes { cin, cout, splits, blocks, chunk, padding };
        Some(CheckedWinograd { kernel: self, input, output, scratch, sizes })
    }
}

/// A panel of output channels, for [`Arithmetic::finish`].
struct Pass<'a> {
    panel: &'a Panels,
    /// Output channels of the panel.
    live: usize,
    splits: usize,
}

impl Pass<'_> {
    /// Where the sums of `quad`, four output channels, lie for the tile at `m`.
    #[inline(always)]
    fn sums(&self, m: *const i32, quad: usize, split: usize) -> *const i32 {
        let (half, rest) = (quad / 2, quad % 2);
        m.wrapping_add((half * self.splits + split) * POSITIONS * BLOCK + 4 * rest)
    }
}

/// The arithmetic of one instruction set.
trait Arithmetic: Copy {
    /// [`transform::tile`].
    ///
    /// # Safety
    /// As there.
    unsafe fn tile(self, pixels: &[*const i8; POSITIONS], channel: usize, to: *mut i16, stride: usize);

    /// At every position, the products of 8 tiles by 8 output channels, over `blocks` times 8 input channels: `v` is
    /// `[position][block][tile][8]`, `u` is `[position][block][8][output channel]`, `m` `[position][tile][output channel]`.
    ///
    /// # Safety
    /// As many values are readable and writable there.
    unsafe fn multiply(self, v: *const i16, u: *const i16, m: *mut i32, blocks: usize);

    /// Transforms the sums of the tile at `m`, adds those of all splits, requantises and stores 16 pixels of a panel; a
    /// null pointer is a pixel outside the output.
    ///
    /// # Safety
    /// The sums are those of all splits; `live` channels are writable at each of `out` that is not null.
    unsafe fn finish(self, pass: &Pass<'_>, m: *const i32, out: &[*mut i8; 16]);
}

/// The loops around the arithmetic: passes of tiles, panels, groups of 8 tiles.
struct CheckedWinograd<'w, 'a> {
    kernel: &'w WinogradConv2d<'w>,
    input: In<'a>,
    output: Out<'a>,
    scratch: &'a [Cell<i8>],
    sizes: Sizes,
}

impl CheckedWinograd<'_, '_> {
    #[cfg_attr(target_pointer_width = "32", inline(always))]
    fn dispatch(self, isa: Isa) {
        #[cfg(target_arch = "aarch64")]
        if let Some(neon) = neon::Neon::new(isa) {
            return self.run(neon);
        }
        let _ = isa;
        self.run(plain::Plain);
    }

    fn run(&self, arithmetic: impl Arithmetic) {
        let Sizes { cin, splits, blocks, chunk, .. } = self.sizes;
        // `checked` measured and aligned the scratch.
        let v = self.scratch.as_ptr().cast::<i16>().cast_mut();
        let m = v.wrapping_add(cin * chunk * POSITIONS).cast::<i32>();
        let (mut left, mut first) = (grid::tiles(&self.output), Place::FIRST);
        while left > 0 {
            let count = chunk.min(left);
            let mut place = first;
            for t in 0..count {
                let pixels = place.reads(&self.input, self.sizes.padding, self.kernel.pad.as_ptr());
                for split in 0..splits {
                    let part = v.wrapping_add((t / GROUP * splits + split) * self.part() + t % GROUP * 8);
                    for block in 0..blocks {
                        let channel = 8 * (split * blocks + block);
                        // SAFETY: the block's 8 channels of a pixel of the input, or of the pad; the group's part of
                        // the scratch, which `check` measured.
                        unsafe {
                            arithmetic.tile(
                                &pixels,
                                channel,
                                part.wrapping_add(block * BLOCK),
                                blocks * BLOCK,
                            );
                        }
                    }
                }
                place.advance(&self.output);
            }
            self.panels(arithmetic, first, count, v, m);
            (first, left) = (place, left - count);
        }
    }

    /// Values of a split of a group.
    fn part(&self) -> usize {
        POSITIONS * self.sizes.blocks * BLOCK
    }

    /// All output channels of `count` tiles from `first` on, whose transformed inputs are at `v`.
    fn panels(&self, arithmetic: impl Arithmetic, first: Place, count: usize, v: *const i16, m: *mut i32) {
        let Sizes { cout, splits, blocks, .. } = self.sizes;
        for n in 0..cout.div_ceil(CHANNELS) {
            let panel = Panels {
                weights: core::ptr::null(),
                weights_stride: 0,
                bias: self.kernel.bias.as_ptr().wrapping_add(CHANNELS * n),
                mantissa: self.kernel.mantissa.as_ptr().wrapping_add(CHANNELS * n),
                shift: self.kernel.shift.as_ptr().wrapping_add(CHANNELS * n),
                stage: self.kernel.stage,
            };
            let pass = Pass { panel: &panel, live: (cout - CHANNELS * n).min(CHANNELS), splits };
            let mut place = first;
            for group in 0..count.div_ceil(GROUP) {
                for half in 0..2 {
                    for split in 0..splits {
                        let i = half * splits + split;
                        let v = v.wrapping_add((group * splits + split) * self.part());
                        let u = self.kernel.weights.as_ptr().wrapping_add((2 * n * splits + i) * self.part());
                        // SAFETY: parts of the inputs in scratch and of the weights, and room for the sums: `check`
                        // measured all of them.
                        unsafe { arithmetic.multiply(v, u, m.wrapping_add(i * POSITIONS * BLOCK), blocks) };
                    }
                }
                for t in 0..GROUP.min(count - GROUP * group) {
                    let out = place.writes(&self.output, CHANNELS * n);
                    // SAFETY: the sums are there; the pixels are the output's, and the channels the panel's.
                    unsafe { arithmetic.finish(&pass, m.wrapping_add(8 * t), &out) };
                    place.advance(&self.output);
                }
            }
        }
    }
}
