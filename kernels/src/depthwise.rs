//! Depthwise convolution: one filter per channel.

use crate::{Isa, Kernel, Memory, Multiplier, Operand, OutputStage};

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

/// Channels that are accumulated side by side.
const BLOCK: usize = 16;

impl Kernel for DepthwiseConv2d<'_> {
    fn run(&self, mem: &Memory<'_>, _: Isa) {
        let (Some(input), Some(out)) = (mem.read(&self.input), mem.write(&self.output)) else {
            debug_assert!(false, "operands outside memory");
            return;
        };
        let [h, w, _] = input.shape();
        let [oh, ow, channels] = out.shape();
        let [kh, kw] = self.kernel.map(|d| d as usize);
        let [sh, sw] = self.stride.map(|d| d as isize);
        let [dh, dw] = self.dilation.map(|d| d as isize);
        let [ph, pw] = self.padding.map(|d| d as isize);
        let zero = self.input_zero_point as i32;
        for oy in 0..oh {
            for ox in 0..ow {
                let cells = out.pixel(oy, ox);
                let mut first = 0;
                while first < channels {
                    let live = BLOCK.min(channels - first);
                    let mut acc = [0i32; BLOCK];
                    let bias = self.bias.get(first..first + live).unwrap_or(&[]);
                    acc.iter_mut().zip(bias).for_each(|(a, b)| *a = *b);
                    for ky in 0..kh {
                        for kx in 0..kw {
                            let y = oy as isize * sh + ky as isize * dh - ph;
                            let x = ox as isize * sw + kx as isize * dw - pw;
                            let tap = (ky * kw + kx) * channels + first;
                            let weights = self.weights.get(tap..tap + live).unwrap_or(&[]);
                            if (y as usize) < h && (x as usize) < w {
                                let values = input.pixel(y as usize, x as usize);
                                for (i, (a, wt)) in acc.iter_mut().zip(weights).enumerate() {
                                    *a = a.wrapping_add(*wt as i32 * values.get(first + i) as i32);
                                }
                            } else {
                                for (a, wt) in acc.iter_mut().zip(weights) {
                                    *a = a.wrapping_add(*wt as i32 * zero);
                                }
                            }
                        }
                    }
                    let scales = self.mantissa.iter().zip(self.shift).skip(first);
                    for ((cell, acc), (mantissa, shift)) in cells.iter().skip(first).zip(acc).zip(scales) {
                        let multiplier = Multiplier { mantissa: *mantissa, shift: *shift as i32 };
                        cell.set(self.stage.store(acc, multiplier));
                    }
                    first += BLOCK;
                }
            }
        }
    }
}
