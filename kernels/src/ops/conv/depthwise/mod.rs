//! Depthwise convolution: one filter per channel.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod dsp;
#[cfg(niello_mve)]
mod mve;
mod pairs;

use crate::{
    Isa, Memory, Multiplier, Operand, OutputParams,
    base::memory::{In, Out, constants, in_blocks, put},
    schedule::by_rows::{ReceptiveField, elements, positive, taps_fit},
};
use core::{cell::Cell, ops::Range};

/// A tap takes about as long as so many multiply-accumulates of a dense convolution.
const TAP: u32 = 8;

/// int8 depthwise convolution with multiplier 1: TensorFlow Lite's `DEPTHWISE_CONV_2D`.
///
/// `out[c] = stage(requantize(sum over taps of w[tap, c] * x[c] + bias[c]))`; the zero point is folded into `bias`, and
/// taps in the padding read the zero point.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseConv2d<'a> {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[oh, ow, c]`.
    pub output: Operand,
    /// Rows, columns.
    pub kernel: [u32; 2],
    /// Rows, columns.
    pub stride: [u32; 2],
    /// Rows, columns.
    pub dilation: [u32; 2],
    /// Above, to the left.
    pub padding: [u32; 2],
    /// `[kh, kw, c]`.
    pub weights: &'a [i8],
    /// `c` values, zero point folded in.
    pub bias: &'a [i32],
    /// `c` mantissas.
    pub mantissa: &'a [i32],
    /// `c` shifts.
    pub shift: &'a [i8],
    /// Zero point of `input`.
    pub input_zero_point: i8,
    /// Zero point, clamp and rounding of the output.
    pub stage: OutputParams,
}

crate::schedule::kernel!(DepthwiseConv2d<'a>, |conv| {
    check: |mem| conv.views(mem),
    run: |(input, out), isa| conv.compute(isa, input, out),
    reads: [input],
    rows: ReceptiveField::window(conv.kernel, conv.dilation, conv.stride, conv.padding), above: padding[0],
    cost: elements([conv.kernel[0], conv.kernel[1], TAP]),
});

/// Where the taps of one output pixel lie.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "no tile here reads by address"))]
struct Taps {
    image: *const i8,
    /// Height, width.
    size: [usize; 2],
    /// Bytes from one pixel to the next.
    stride: usize,
    /// Row and column of the first tap, modulo the size of a word: beyond every size in the padding before the image.
    first: [usize; 2],
    dilation: [usize; 2],
}

impl Taps {
    /// Row and column of a tap, `None` in the padding.
    #[inline(always)]
    fn position(&self, ky: usize, kx: usize) -> Option<[usize; 2]> {
        let y = self.first[0].wrapping_add(ky * self.dilation[0]);
        let x = self.first[1].wrapping_add(kx * self.dilation[1]);
        (y < self.size[0] && x < self.size[1]).then_some([y, x])
    }

    /// The first channel of a tap, `None` in the padding.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "no tile here reads by address"))]
    #[inline(always)]
    fn get(&self, ky: usize, kx: usize) -> Option<*const i8> {
        let [y, x] = self.position(ky, kx)?;
        Some(self.image.wrapping_add((y * self.size[1] + x) * self.stride))
    }
}

impl DepthwiseConv2d<'_> {
    /// Input and output; `None` if they lie outside memory, there are no taps, constants are missing or a position
    /// overflows.
    fn views<'m>(&self, mem: &Memory<'m>) -> Option<(In<'m>, Out<'m>)> {
        let check = |ok: bool| ok.then_some(());
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let channels = out.shape()[2];
        let [kh, kw] = self.kernel.map(|d| d as usize);
        check(input.shape()[2] == channels && positive(&[self.kernel, self.stride, self.dilation]))?;
        check(self.weights.len() >= kh.checked_mul(kw)?.checked_mul(channels)?)?;
        check(
            self.bias.len() >= channels && self.mantissa.len() >= channels && self.shift.len() >= channels,
        )?;
        check(taps_fit(out.shape(), self.kernel, self.stride, self.dilation))?;
        check(self.padding.iter().all(|p| *p < 1 << 29))?;
        Some((input, out))
    }

    #[inline(always)]
    fn compute(&self, isa: Isa, input: In<'_>, out: Out<'_>) {
        if isa.has_no_vectors() {
            return self.small(isa, input, out);
        }
        self.channels(isa, input, out, 0..out.shape()[2]);
    }

    /// On a small core.
    fn small(&self, isa: Isa, input: In<'_>, out: Out<'_>) {
        #[cfg(niello_mve)]
        if mve::run(self, isa, input, out) {
            return;
        }
        // Plain Rust would only be slower with pairs; wide machines check them.
        let pairs = cfg!(any(niello_dsp, target_pointer_width = "64"));
        let some = |channels: Range<usize>| self.channels(isa, input, out, channels);
        let done = pairs && pairs::run(self, input, out, |first| some(first..first + pairs::CHANNELS));
        if !done && !dsp::run(self, input, out) {
            some(0..out.shape()[2]);
        }
    }

    /// Some channels of all pixels.
    #[inline(always)]
    fn channels(&self, isa: Isa, input: In<'_>, out: Out<'_>, channels: Range<usize>) {
        let ([h, w, _], [oh, ow, _]) = (input.shape(), out.shape());
        let [sh, sw] = self.stride.map(|d| d as usize);
        let [ph, pw] = self.padding.map(|d| d as usize);
        let dilation = self.dilation.map(|d| d as usize);
        for oy in 0..oh {
            for ox in 0..ow {
                let first = [(oy * sh).wrapping_sub(ph), (ox * sw).wrapping_sub(pw)];
                let taps =
                    Taps { image: input.as_ptr(), size: [h, w], stride: input.stride(), first, dilation };
                self.pixel(isa, input, &taps, out.pixel(oy, ox), channels.clone());
            }
        }
    }

    /// Some channels of one output pixel: with vectors, all of them.
    #[inline(always)]
    fn pixel(&self, isa: Isa, input: In<'_>, taps: &Taps, cells: &[Cell<i8>], some: Range<usize>) {
        let channels = input.shape()[2];
        #[cfg(target_arch = "x86_64")]
        if let Some(tile) = avx512::Avx512::new(isa) {
            if cells.len() == channels {
                let out = cells.as_ptr().cast::<i8>().cast_mut();
                // SAFETY: `views` measured the constants; `taps` gives pixels within the input only.
                unsafe { tile.pixel(self, taps, channels, out) };
            }
            return;
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(tile) = avx2::Avx2::new(isa, channels) {
            if cells.len() == channels {
                let out = cells.as_ptr().cast::<i8>().cast_mut();
                // SAFETY: as above.
                unsafe { tile.pixel(self, taps, channels, out) };
            }
            return;
        }
        let _ = isa;
        let [kh, kw] = self.kernel.map(|d| d as usize);
        let cells = cells.get(some.clone()).unwrap_or_default();
        in_blocks!(at in cells.len(), N => {
            let first = some.start + at;
            let mut acc: [i32; N] = constants(self.bias, first);
            for ky in 0..kh {
                for kx in 0..kw {
                    let weights: [i8; N] = constants(self.weights, (ky * kw + kx) * channels + first);
                    let values = match taps.position(ky, kx) {
                        Some([y, x]) => input.pixel(y, x).block::<N>(first),
                        None => [self.input_zero_point; N],
                    };
                    for ((a, w), x) in acc.iter_mut().zip(weights).zip(values) {
                        *a = a.wrapping_add(w as i32 * x as i32);
                    }
                }
            }
            let mantissa: [i32; N] = constants(self.mantissa, first);
            let shift: [i8; N] = constants(self.shift, first);
            let mut results = [0; N];
            for (i, (result, acc)) in results.iter_mut().zip(acc).enumerate() {
                let multiplier = Multiplier { mantissa: mantissa[i], shift: shift[i] as i32 };
                *result = self.stage.store(acc, multiplier);
            }
            put(cells, at, results);
        });
    }
}
