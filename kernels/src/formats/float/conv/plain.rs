//! Convolution by its definition, pixel after pixel.

use super::{
    super::{fused, half, native},
    CheckedConv,
};
use crate::base::{
    isa::Vectorize,
    memory::{Channels, Encoding as _, constants, in_blocks, in_lanes},
};

/// Sums of `N` results: all of the chain, or the block that it is in.
pub(super) struct Sums<const N: usize> {
    /// Where blocks are added up.
    total: [f32; N],
    chain: [f32; N],
    /// Products of the block so far.
    count: usize,
}

impl<const N: usize> Sums<N> {
    #[inline(always)]
    pub(super) fn new<const NATIVE: bool>(bias: [f32; N]) -> Self {
        Self { total: bias, chain: if NATIVE { [0.0; N] } else { bias }, count: 0 }
    }

    #[inline(always)]
    pub(super) fn add<const NATIVE: bool>(&mut self, w: [f32; N], x: [f32; N]) {
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
    pub(super) fn result<const NATIVE: bool>(&self) -> [f32; N] {
        match NATIVE && self.count > 0 {
            true => core::array::from_fn(|i| self.total[i] + self.chain[i]),
            false if NATIVE => self.total,
            false => self.chain,
        }
    }
}

impl CheckedConv<'_, '_> {
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
        if cfg!(target_pointer_width = "64") {
            in_lanes!(first in c, N => { self.channels_of::<N, NATIVE>(at, first); });
        } else {
            in_blocks!(first in c, N => { self.channels_of::<N, NATIVE>(at, first); });
        }
    }

    /// `N` channels of a pixel, with a filter each.
    #[inline(always)]
    fn channels_of<const N: usize, const NATIVE: bool>(&self, at: [usize; 2], first: usize) {
        let mut sums = Sums::<N>::new::<NATIVE>(constants(self.conv.bias, first));
        self.each_tap(at, |tap, pixel| {
            let weights = self.weights(tap * self.groups + first);
            sums.add::<NATIVE>(weights, self.conv.types[0].block(pixel, first));
        });
        self.store(at, first, sums.result::<NATIVE>(), N);
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

impl Vectorize for CheckedConv<'_, '_> {
    const WIDE: bool = false;

    #[inline(always)]
    fn run(self) {
        if self.conv.native { self.all::<true>() } else { self.all::<false>() }
    }
}
