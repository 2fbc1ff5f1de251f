//! Convolution with 16-bit input, output or both.

use super::{Bounds, Width, constants, rescale, rescale_double};
use crate::{
    Memory, Multiplier, Operand,
    base::{
        isa::Vectorize,
        memory::{Channels, Encoding as _, In, Out, in_blocks},
    },
    schedule::by_rows::{ReceptiveField, elements, positive, taps_fit},
};

/// A product takes about as long as so many multiply-accumulates of an int8 convolution.
const PRODUCT: u32 = 8;

/// Convolution, dense, grouped, depthwise or transposed: TensorFlow Lite's `16x8` where both operands have 16 bits and weights 8.
///
/// ```text
/// sum = bias + sum over taps and channels of w (x - z_in)        64 bits; taps in the padding add nothing
/// out = bounds(rescale(sum))                                     `rescale` of s_in s_w / s_out, or `rescale_double`
/// ```
///
/// Weights of 16 bits are `256 w + w_low`; then `sum = 256 (bias + sum of w (x - z_in)) + sum of w_low (x - z_in)`, and `s_w` is the scale of
/// that whole.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dInt16<'a> {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[oh, ow, oc]`.
    pub output: Operand,
    /// Widths of `input`, `output`.
    pub widths: [Width; 2],
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
    /// `[oc][kh][kw][c / groups]`; where there are `c = oc` groups of one channel, `[kh][kw][c]`.
    pub weights: &'a [i8],
    /// The lower eight bits of 16-bit weights, in the same order; empty where weights have 8.
    pub weights_low: &'a [i8],
    /// `oc` values.
    pub bias: &'a [i32],
    /// `oc` mantissas.
    pub mantissa: &'a [i32],
    /// The lower 22 bits of mantissas of 53, of which `mantissa` has the upper 31; empty where they have 31. With them, sums are
    /// rounded by [`rescale_double`].
    pub mantissa_low: &'a [i32],
    /// `oc` shifts.
    pub shift: &'a [i8],
    /// Zero point of `input`; 0 at 16 bits.
    pub input_zero_point: i32,
    /// Zero point and clamp of the output.
    pub bounds: Bounds,
}

struct CheckedConv<'k, 'm> {
    conv: Conv2dInt16<'k>,
    input: In<'m>,
    out: Out<'m>,
    /// Of the input, of the output.
    channels: [usize; 2],
    /// The same of a group.
    of_group: [usize; 2],
    groups: usize,
}

/// Filters whose sums are made at once.
const FILTERS: usize = 4;

impl<'k> Conv2dInt16<'k> {
    fn checked<'m>(&self, mem: &Memory<'m>) -> Option<CheckedConv<'k, 'm>> {
        let check = |ok: bool| ok.then_some(());
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let channels @ [c, oc] =
            [self.widths[0].count(input.shape()[2])?, self.widths[1].count(out.shape()[2])?];
        let groups = self.groups as usize;
        check(positive(&[self.kernel, self.stride, self.dilation]))?;
        check(!self.transposed || self.dilation == [1, 1])?;
        check(c.checked_rem(groups) == Some(0) && oc.checked_rem(groups) == Some(0))?;
        let taps = (self.kernel[0] as usize).checked_mul(self.kernel[1] as usize)?;
        let of_group = [c.checked_div(groups)?, oc.checked_div(groups)?];
        let weights = taps.checked_mul(of_group[0])?.checked_mul(oc)?;
        check(self.weights.len() >= weights)?;
        check(self.weights_low.is_empty() || self.weights_low.len() >= weights)?;
        check(self.bias.len() >= oc && self.mantissa.len() >= oc && self.shift.len() >= oc)?;
        check(self.mantissa_low.is_empty() || self.mantissa_low.len() >= oc)?;
        check(taps_fit(out.shape(), self.kernel, self.stride, self.dilation))?;
        check(self.padding.iter().all(|p| *p <= i32::MAX as u32))?;
        check(self.bounds.fits(self.widths[1]))?;
        Some(CheckedConv { conv: *self, input, out, channels, of_group, groups })
    }

    fn rows(&self) -> ReceptiveField {
        if self.transposed {
            return ReceptiveField::spread(self.kernel, self.stride, self.padding);
        }
        ReceptiveField::window(self.kernel, self.dilation, self.stride, self.padding)
    }

    /// Relative cost in multiply-accumulates.
    fn work(&self) -> usize {
        let taps = elements([self.kernel[0], self.kernel[1], PRODUCT]);
        let filter = taps.saturating_mul(self.input.shape[2] as usize);
        filter.saturating_mul(elements(self.output.shape)).checked_div(self.groups as usize).unwrap_or(0)
    }

    /// The sum of a channel, times its factor.
    #[inline(always)]
    fn scaled(&self, sum: i64, channel: usize) -> i32 {
        let ([mantissa], [shift]) = (constants(self.mantissa, channel), constants(self.shift, channel));
        let shift = i32::from(shift);
        if self.mantissa_low.is_empty() {
            return rescale(sum, Multiplier { mantissa, shift });
        }
        let [low] = constants(self.mantissa_low, channel);
        rescale_double(sum, (mantissa as u64) << 22 | low as u64, (53 - shift) as u32)
    }
}

impl CheckedConv<'_, '_> {
    /// Every tap of output pixel `[oy, ox]` that lies in the image: its index and its channels.
    #[inline(always)]
    fn taps(&self, [oy, ox]: [usize; 2], mut each: impl FnMut(usize, Channels<'_>)) {
        let [kh, kw] = self.conv.kernel.map(|d| d as usize);
        let [h, w, _] = self.input.shape();
        for ky in 0..kh {
            let Some(y) = self.meets(oy, ky, 0).filter(|y| *y < h) else { continue };
            for kx in 0..kw {
                if let Some(x) = self.meets(ox, kx, 1).filter(|x| *x < w) {
                    each(ky * kw + kx, self.input.pixel(y, x));
                }
            }
        }
    }

    /// The row (or column) of the input that tap `k` of output row `o` meets; it may lie outside.
    #[inline(always)]
    fn meets(&self, o: usize, k: usize, axis: usize) -> Option<usize> {
        let conv = &self.conv;
        let [stride, dilation, padding] =
            [conv.stride[axis], conv.dilation[axis], conv.padding[axis]].map(|d| d as usize);
        if conv.transposed {
            let from = (o + padding).checked_sub(k)?;
            return (from.checked_rem(stride)? == 0).then(|| from / stride);
        }
        (o * stride + k * dilation).checked_sub(padding)
    }

    /// Sums of `weights` of filters `filter..filter + F` of one group at one pixel.
    #[inline(always)]
    fn dense<const F: usize>(&self, weights: &[i8], at: [usize; 2], filter: usize, group: usize) -> [i64; F] {
        let conv = &self.conv;
        let channels = self.of_group[0];
        let row = conv.kernel[0] as usize * conv.kernel[1] as usize * channels;
        let mut sums = [0i64; F];
        self.taps(at, |tap, pixel| {
            in_blocks!(first in channels, N => {
                let x = conv.widths[0].block::<N>(pixel, group * channels + first);
                let x = x.map(|x| x.wrapping_sub(conv.input_zero_point));
                for (f, sum) in sums.iter_mut().enumerate() {
                    let w: [i8; N] = constants(weights, (filter + f) * row + tap * channels + first);
                    let mut part = 0i32;
                    for i in 0..N {
                        part = part.wrapping_add(w[i] as i32 * x[i]);
                    }
                    *sum = sum.wrapping_add(part as i64);
                }
            });
        });
        sums
    }

    /// Sums of `weights` of `N` filters of one channel each at one pixel.
    #[inline(always)]
    fn depthwise<const N: usize>(&self, weights: &[i8], at: [usize; 2], first: usize) -> [i64; N] {
        let (conv, [channels, _]) = (&self.conv, self.channels);
        let mut sums = [0i64; N];
        self.taps(at, |tap, pixel| {
            let x = conv.widths[0].block::<N>(pixel, first);
            let w: [i8; N] = constants(weights, tap * channels + first);
            for i in 0..N {
                let product = w[i] as i32 * x[i].wrapping_sub(conv.input_zero_point);
                sums[i] = sums[i].wrapping_add(product as i64);
            }
        });
        sums
    }

    /// Completes the sums of `sums_of` some weights of filters `filter..filter + F`, and stores the results.
    #[inline(always)]
    fn store<const F: usize>(
        &self,
        [oy, ox]: [usize; 2],
        filter: usize,
        sums_of: impl Fn(&[i8]) -> [i64; F],
    ) {
        let conv = &self.conv;
        let mut sums = sums_of(conv.weights);
        let bias: [i32; F] = constants(conv.bias, filter);
        for (sum, bias) in sums.iter_mut().zip(bias) {
            *sum = sum.wrapping_add(bias as i64);
        }
        if !conv.weights_low.is_empty() {
            for (sum, low) in sums.iter_mut().zip(sums_of(conv.weights_low)) {
                *sum = sum.wrapping_mul(256).wrapping_add(low);
            }
        }
        let mut codes = [0; F];
        for (f, (code, sum)) in codes.iter_mut().zip(sums).enumerate() {
            *code = conv.bounds.clamp(conv.scaled(sum, filter + f));
        }
        conv.widths[1].put(self.out.pixel(oy, ox), filter, codes);
    }
}

impl Vectorize for CheckedConv<'_, '_> {
    #[inline(always)]
    fn run(self) {
        let ([oh, ow, _], [c, _], [inside, outside]) = (self.out.shape(), self.channels, self.of_group);
        for at in (0..oh).flat_map(|oy| (0..ow).map(move |ox| [oy, ox])) {
            if inside == 1 && outside == 1 {
                in_blocks!(first in c, N => {
                    self.store::<N>(at, first, |weights| self.depthwise(weights, at, first));
                });
                continue;
            }
            for group in 0..self.groups {
                let (mut filter, end) = (group * outside, (group + 1) * outside);
                while filter + FILTERS <= end {
                    self.store::<FILTERS>(at, filter, |weights| self.dense(weights, at, filter, group));
                    filter += FILTERS;
                }
                while filter < end {
                    self.store::<1>(at, filter, |weights| self.dense(weights, at, filter, group));
                    filter += 1;
                }
            }
        }
    }
}

crate::schedule::kernel!(Conv2dInt16<'a>, |conv| {
    check: |mem| conv.checked(mem),
    run: |checked, isa| isa.vectorize(checked),
    reads: [input],
    rows: conv.rows(), above: padding[0],
    work: conv.work(),
});
