//! Convolution in floating point: dense, grouped, depthwise or transposed.

use super::{Float, Range, fused, half, native};
use crate::{
    Isa, Kernel, Memory, Operand, Region,
    by_rows::{self, ByRows, Reach, Windowed, covered, elements, padding_above, spread_above},
    isa::Vectorize,
    memory::{Channels, In, Out, in_blocks},
};
use core::ops::Range as Span;

/// Convolution, or transposed convolution.
///
/// ```text
/// sum = bias; for ky, for kx, for c: sum = fused(w, x, sum)      each sum a single chain in this order
/// out = range.clamp(sum)                                         rounded to the output's type
/// ```
///
/// A tap beyond the image reads +0, and is part of the chain. Of a transposed convolution, taps that fall between input pixels are not.
/// With `native`, chains are cut as [`native`] says.
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
    pub range: Range,
    /// Whether products are added in half precision. Input, output and weights are halves then.
    pub native: bool,
    /// Output pixels per pass.
    pub chunk: u32,
    /// At least [`scratch_bytes`], for several threads as many [`crate::conv::part_of_scratch`].
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

struct Walk<'k, 'm> {
    conv: Conv2dFloat<'k>,
    input: In<'m>,
    out: Out<'m>,
    /// Of the input, of the output, per group.
    channels: [usize; 2],
    groups: usize,
}

impl<'k> Conv2dFloat<'k> {
    fn taps(&self) -> usize {
        (self.kernel[0] as usize).saturating_mul(self.kernel[1] as usize)
    }

    fn is_depthwise(&self) -> bool {
        self.panel == 1
    }

    fn walk<'m>(&self, mem: &Memory<'m>) -> Option<Walk<'k, 'm>> {
        let check = |ok: bool| ok.then_some(());
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let [c, oc] = [self.types[0].count(input.shape()[2])?, self.types[1].count(out.shape()[2])?];
        let groups = self.groups as usize;
        check(c.checked_rem(groups) == Some(0) && oc.checked_rem(groups) == Some(0))?;
        let channels @ [inside, outside] = [c.checked_div(groups)?, oc.checked_div(groups)?];
        check(matches!(self.panel, 1 | 4 | 8 | 16))?;
        check(!self.is_depthwise() || channels == [1, 1])?;
        let taps = (self.kernel[0] as usize).checked_mul(self.kernel[1] as usize)?;
        let padded = outside.checked_next_multiple_of(self.panel as usize)?.checked_mul(groups)?;
        let weights = taps.checked_mul(inside)?.checked_mul(padded)?;
        let there = if self.weights.is_empty() { self.halves.len() } else { self.weights.len() };
        check(there >= weights && self.bias.len() >= padded)?;
        check(!self.native || (self.types == [Float::F16; 2] && self.weights.is_empty()))?;
        for (axis, size) in out.shape()[..2].iter().enumerate() {
            let reach =
                (self.kernel[axis] as u64).saturating_sub(1).checked_mul(self.dilation[axis] as u64)?;
            let last = (*size as u64).saturating_sub(1).checked_mul(self.stride[axis] as u64)?;
            check(last.checked_add(reach)? <= i32::MAX as u64 && self.padding[axis] <= i32::MAX as u32)?;
        }
        Some(Walk { conv: *self, input, out, channels, groups })
    }
}

/// `N` constants from `first` on, or zeros if they are not all there.
#[inline(always)]
fn constants<T: Copy + Default, const N: usize>(all: &[T], first: usize) -> [T; N] {
    all.get(first..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([T::default(); N])
}

/// Sums of `N` results: all of the chain, or the block that it is in.
struct Sums<const N: usize> {
    /// Where blocks are added up.
    total: [f32; N],
    chain: [f32; N],
    /// Products of the block so far.
    count: usize,
}

impl<const N: usize> Sums<N> {
    #[inline(always)]
    fn new<const NATIVE: bool>(bias: [f32; N]) -> Self {
        Self { total: bias, chain: if NATIVE { [0.0; N] } else { bias }, count: 0 }
    }

    #[inline(always)]
    fn add<const NATIVE: bool>(&mut self, w: [f32; N], x: [f32; N]) {
        if !NATIVE {
            for i in 0..N {
                self.chain[i] = fused(w[i], x[i], self.chain[i]);
            }
            return;
        }
        for i in 0..N {
            self.chain[i] = native::fused_half(w[i], x[i], self.chain[i]);
        }
        self.count += 1;
        if self.count == native::BLOCK {
            *self = Self { total: self.result::<true>(), chain: [0.0; N], count: 0 };
        }
    }

    #[inline(always)]
    fn result<const NATIVE: bool>(&self) -> [f32; N] {
        match NATIVE && self.count > 0 {
            true => core::array::from_fn(|i| self.total[i] + self.chain[i]),
            false if NATIVE => self.total,
            false => self.chain,
        }
    }
}

impl Walk<'_, '_> {
    #[inline(always)]
    fn weights<const N: usize>(&self, first: usize) -> [f32; N] {
        if self.conv.weights.is_empty() {
            constants::<u16, N>(self.conv.halves, first).map(half::to_f32)
        } else {
            constants(self.conv.weights, first)
        }
    }

    /// Every tap of output pixel `[oy, ox]`: its index and its channels, none of them beyond the image.
    #[inline(always)]
    fn each_tap(&self, [oy, ox]: [usize; 2], mut each: impl FnMut(usize, Channels<'_>)) {
        let [kh, kw] = self.conv.kernel.map(|d| d as usize);
        for ky in 0..kh {
            let Some(y) = self.meets(oy, ky, 0) else { continue };
            for kx in 0..kw {
                let Some(x) = self.meets(ox, kx, 1) else { continue };
                each(ky * kw + kx, self.input.pixel(y, x));
            }
        }
    }

    /// The row (or column) of the input that tap `k` of output row `o` meets, which may lie beyond the image; `None` between pixels.
    #[inline(always)]
    fn meets(&self, o: usize, k: usize, axis: usize) -> Option<usize> {
        let conv = &self.conv;
        let [stride, dilation, padding] =
            [conv.stride[axis], conv.dilation[axis], conv.padding[axis]].map(|d| d as isize);
        if conv.transposed {
            let from = o as isize + padding - k as isize;
            return (from.checked_rem_euclid(stride)? == 0).then(|| from.div_euclid(stride) as usize);
        }
        Some((o as isize * stride + k as isize * dilation - padding) as usize)
    }

    #[inline(always)]
    fn store<const N: usize>(&self, [oy, ox]: [usize; 2], first: usize, sums: [f32; N], count: usize) {
        let [_, to] = self.conv.types;
        let (cells, results) = (self.out.pixel(oy, ox), sums.map(|x| self.conv.range.clamp(x)));
        if count >= N {
            to.put(cells, first, results);
        } else {
            results.iter().take(count).enumerate().for_each(|(i, x)| to.put(cells, first + i, [*x]));
        }
    }

    #[inline(always)]
    fn depthwise<const NATIVE: bool>(&self, at: [usize; 2]) {
        let c = self.groups;
        in_blocks!(first in c, N => {
            let mut sums = Sums::<N>::new::<NATIVE>(constants(self.conv.bias, first));
            self.each_tap(at, |tap, pixel| {
                sums.add::<NATIVE>(self.weights(tap * c + first), self.conv.types[0].block(pixel, first));
            });
            self.store(at, first, sums.result::<NATIVE>(), N);
        });
    }

    #[inline(always)]
    fn dense<const N: usize, const NATIVE: bool>(&self, at: [usize; 2]) {
        let ([inside, outside], taps) = (self.channels, self.conv.taps());
        let panels = outside.div_ceil(N);
        for group in 0..self.groups {
            for panel in 0..panels {
                let index = group * panels + panel;
                let mut sums = Sums::<N>::new::<NATIVE>(constants(self.conv.bias, index * N));
                self.each_tap(at, |tap, pixel| {
                    let row = (index * taps + tap) * inside;
                    for k in 0..inside {
                        let [x] = self.conv.types[0].block::<1>(pixel, group * inside + k);
                        sums.add::<NATIVE>(self.weights((row + k) * N), [x; N]);
                    }
                });
                let count = outside - panel * N;
                self.store(at, group * outside + panel * N, sums.result::<NATIVE>(), count);
            }
        }
    }

    #[inline(always)]
    fn all<const NATIVE: bool>(&self) {
        let [oh, ow, _] = self.out.shape();
        for at in (0..oh).flat_map(|oy| (0..ow).map(move |ox| [oy, ox])) {
            match self.conv.panel {
                1 => self.depthwise::<NATIVE>(at),
                4 => self.dense::<4, NATIVE>(at),
                8 => self.dense::<8, NATIVE>(at),
                _ => self.dense::<16, NATIVE>(at),
            }
        }
    }
}

impl Vectorize for Walk<'_, '_> {
    #[inline(always)]
    fn run(self) {
        if self.conv.native { self.all::<true>() } else { self.all::<false>() }
    }
}

impl Kernel for Conv2dFloat<'_> {
    fn run(&self, mem: &Memory<'_>, isa: Isa) {
        by_rows::run(self, mem, isa);
    }
}

/// Scratch bytes that one thread needs; `padded` as for packed weights.
pub const fn scratch_bytes(_native: bool, _types: [Float; 2], _k: usize, _chunk: usize) -> usize {
    0
}

// SAFETY: a part writes its rows of the output and reads the input and the constants.
unsafe impl ByRows for Conv2dFloat<'_> {
    fn output(&self) -> Operand {
        self.output
    }

    fn reads(&self) -> [Operand; 2] {
        [self.input; 2]
    }

    fn scratch(&self) -> Region {
        self.scratch
    }

    fn work(&self) -> usize {
        let c = (self.input.shape[2] as usize).checked_div(self.types[0].bytes()).unwrap_or(0);
        let filter = self.taps().saturating_mul(c);
        filter.saturating_mul(elements(self.output.shape)).checked_div(self.groups as usize).unwrap_or(0)
    }

    fn fits(&self, mem: &Memory<'_>) -> bool {
        self.walk(mem).is_some()
    }

    fn part(&self, rows: Span<usize>, index: usize) -> Self {
        by_rows::part(self, rows, index)
    }

    #[inline(always)]
    fn alone(&self, mem: &Memory<'_>, isa: Isa) {
        match self.walk(mem) {
            Some(walk) => isa.vectorize(walk),
            None => debug_assert!(false, "parameters of a convolution do not fit together"),
        }
    }
}

impl Windowed for Conv2dFloat<'_> {
    fn reach(&self) -> Reach {
        if self.transposed {
            return Reach::Spread { rows: self.kernel[0], stride: self.stride[0], padding: self.padding[0] };
        }
        let rows = covered(self.kernel[0], self.dilation[0]);
        Reach::Window { rows, stride: self.stride[0], padding: self.padding[0] }
    }

    fn over(&self, row: usize, reads: [Operand; 2], output: Operand, scratch: Region) -> Self {
        let above = if self.transposed {
            spread_above(self.reach(), row)
        } else {
            padding_above(row, self.stride[0], self.padding[0])
        };
        Self { input: reads[0], output, padding: [above, self.padding[1]], scratch, ..*self }
    }
}
