//! Depthwise convolution: one filter per channel.

use crate::{
    Isa, Kernel, Memory, Multiplier, Operand, OutputStage,
    isa::Vectorize,
    memory::{In, Out, in_blocks, put},
};

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
    pub stage: OutputStage,
}

impl Kernel for DepthwiseConv2d<'_> {
    fn run(&self, mem: &Memory<'_>, isa: Isa) {
        let (Some(input), Some(out)) = (mem.read(&self.input), mem.write(&self.output)) else {
            debug_assert!(false, "operands outside memory");
            return;
        };
        if self.fits(input, out).is_none() {
            debug_assert!(false, "parameters of a depthwise convolution do not fit together");
            return;
        }
        isa.vectorize(Walk { conv: self, input, out });
    }
}

impl DepthwiseConv2d<'_> {
    /// `Some` when there are constants for all channels and no position overflows.
    fn fits(&self, input: In<'_>, out: Out<'_>) -> Option<()> {
        let check = |ok: bool| ok.then_some(());
        let [oh, ow, channels] = out.shape();
        let [kh, kw] = self.kernel.map(|d| d as usize);
        check(input.shape()[2] == channels)?;
        check(self.weights.len() >= kh.checked_mul(kw)?.checked_mul(channels)?)?;
        check(
            self.bias.len() >= channels && self.mantissa.len() >= channels && self.shift.len() >= channels,
        )?;
        for (axis, size) in [oh, ow].into_iter().enumerate() {
            let taps =
                (self.kernel[axis] as u64).saturating_sub(1).checked_mul(self.dilation[axis] as u64)?;
            let last = (size as u64).saturating_sub(1).checked_mul(self.stride[axis] as u64)?;
            check(last.checked_add(taps)? <= i32::MAX as u64 && self.padding[axis] <= i32::MAX as u32)?;
        }
        Some(())
    }
}

struct Walk<'k, 'm> {
    conv: &'k DepthwiseConv2d<'k>,
    input: In<'m>,
    out: Out<'m>,
}

impl Vectorize for Walk<'_, '_> {
    #[inline(always)]
    fn run(self) {
        let Self { conv, input, out } = self;
        let [oh, ow, channels] = out.shape();
        let [kh, kw] = conv.kernel.map(|d| d as usize);
        let [sh, sw] = conv.stride.map(|d| d as usize);
        let [dh, dw] = conv.dilation.map(|d| d as usize);
        let [ph, pw] = conv.padding.map(|d| d as usize);
        for oy in 0..oh {
            for ox in 0..ow {
                let cells = out.pixel(oy, ox);
                in_blocks!(first in channels, N => {
                    let mut acc: [i32; N] = constants(conv.bias, first);
                    for ky in 0..kh {
                        for kx in 0..kw {
                            let y = (oy * sh + ky * dh).wrapping_sub(ph);
                            let x = (ox * sw + kx * dw).wrapping_sub(pw);
                            let weights: [i8; N] = constants(conv.weights, (ky * kw + kx) * channels + first);
                            // Outside the image, in the padding, there are no values.
                            let values = input.pixel(y, x);
                            let values = if values.is_empty() {
                                [conv.input_zero_point; N]
                            } else {
                                values.block::<N>(first)
                            };
                            for ((a, w), x) in acc.iter_mut().zip(weights).zip(values) {
                                // Products fit 16 bits.
                                *a = a.wrapping_add((w as i16).wrapping_mul(x as i16) as i32);
                            }
                        }
                    }
                    let mantissa: [i32; N] = constants(conv.mantissa, first);
                    let shift: [i8; N] = constants(conv.shift, first);
                    let mut results = [0; N];
                    for (i, (result, acc)) in results.iter_mut().zip(acc).enumerate() {
                        let multiplier = Multiplier { mantissa: mantissa[i], shift: shift[i] as i32 };
                        *result = conv.stage.store(acc, multiplier);
                    }
                    put(cells, first, results);
                });
            }
        }
    }
}

/// `N` constants from `first` on; `fits` made sure that they are there.
#[inline(always)]
fn constants<T: Copy + Default, const N: usize>(all: &[T], first: usize) -> [T; N] {
    all.get(first..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([T::default(); N])
}
