//! The float reference of convolution. Each output is `bias + patch[0] weight[0] + patch[1] weight[1] + ...` in this order, rounded after every
//! operation, padding included: ranges, and so the bytes of a model, follow from these sums.

use super::Conv2d;
use crate::{
    graph::Op,
    tensor::{Real, Shape, Tensor},
};
use rayon::prelude::*;

/// Outputs of a group below which a matrix product has images as its columns: columns are computed 32 at a time.
const FEW_OUTPUTS: usize = 24;

impl Conv2d {
    pub(super) fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let input = inputs[0];
        let out = self.output_shapes(&[input.shape]).expect("shapes were checked")[0];
        let mut result = Tensor::filled(out, T::default());
        if self.is_depthwise() {
            self.eval_depthwise(input, &mut result);
        } else {
            self.eval_groups(input, &mut result);
        }
        result.data.par_iter_mut().with_min_len(1 << 14).for_each(|v| *v = self.clamp.apply(*v));
        result
    }

    /// Tap after tap on rows of outputs: all channels side by side.
    fn eval_depthwise<T: Real>(&self, input: &Tensor<T>, result: &mut Tensor<T>) {
        let (p, from, to) = (&self.params, input.shape, result.shape);
        let (taps, zeros) = (self.taps(), vec![T::default(); to.c]);
        let by_tap: Vec<Vec<T>> = (0..taps)
            .map(|tap| self.weight.iter().skip(tap).step_by(taps).map(|w| T::from_f32(*w)).collect())
            .collect();
        result.data.par_chunks_mut((to.w * to.c).max(1)).enumerate().for_each(|(oy, sums)| {
            self.fill_with_bias(sums, 0..to.c);
            for (tap, weights) in by_tap.iter().enumerate() {
                let (ky, kx) = (tap / p.kernel[1], tap % p.kernel[1]);
                let y = (oy * p.stride[0] + ky * p.dilation[0]).wrapping_sub(p.padding[0]);
                let at = kx * p.dilation[1];
                // Outputs in `first..end` see this tap inside of the image.
                let seen = |edge: usize| edge.saturating_sub(at).div_ceil(p.stride[1]).min(to.w);
                let first = seen(p.padding[2]);
                let end = if y < from.h { seen(from.w + p.padding[2]).max(first) } else { first };
                let (left, rest) = sums.split_at_mut(first * to.c);
                let (inside, right) = rest.split_at_mut((end - first) * to.c);
                for padded in [left, right] {
                    T::scaled_rows([padded.len() / to.c, to.c], 0, &zeros, weights, padded);
                }
                if end > first {
                    let x = first * p.stride[1] + at - p.padding[2];
                    let row = &input.data[(y * from.w + x) * from.c..];
                    T::scaled_rows([end - first, to.c], p.stride[1], row, weights, inside);
                }
            }
        });
    }

    /// Several rows of outputs at a time: a matrix product per group.
    fn eval_groups<T: Real>(&self, input: &Tensor<T>, result: &mut Tensor<T>) {
        let (p, out) = (&self.params, result.shape);
        let filters: Vec<T> = self.rows().iter().flatten().map(|w| T::from_f32(*w)).collect();
        let (c, cout) = (self.channels_per_group(), p.out / p.groups);
        let k = self.taps() * c;
        let step = (4096 / out.w.max(1)).clamp(1, 32);
        result.data.par_chunks_mut(step * out.w * out.c).enumerate().for_each(|(block, chunk)| {
            let pixels = chunk.len() / out.c;
            let mut patches = vec![T::default(); pixels * k];
            let mut product = vec![T::default(); pixels * cout];
            for group in 0..p.groups {
                self.gather(input, out, block * step * out.w, group, &mut patches);
                let filters = &filters[group * cout * k..(group + 1) * cout * k];
                let channels = group * cout..(group + 1) * cout;
                if cout < FEW_OUTPUTS {
                    for (sums, b) in product.chunks_mut(pixels).zip(&self.bias[channels]) {
                        sums.fill(T::from_f32(*b));
                    }
                    T::gemm_transposed([cout, k, pixels], filters, &patches, &mut product);
                    for (o, sums) in product.chunks(pixels).enumerate() {
                        let outputs = chunk[group * cout + o..].iter_mut().step_by(out.c);
                        outputs.zip(sums).for_each(|(output, sum)| *output = *sum);
                    }
                } else {
                    self.fill_with_bias(&mut product, channels);
                    T::gemm_transposed([pixels, k, cout], &patches, filters, &mut product);
                    for (sums, pixel) in product.chunks(cout).zip(chunk.chunks_mut(out.c)) {
                        pixel[group * cout..][..cout].copy_from_slice(sums);
                    }
                }
            }
        });
    }

    /// Pixels as the biases of `channels`.
    fn fill_with_bias<T: Real>(&self, sums: &mut [T], channels: std::ops::Range<usize>) {
        let bias = &self.bias[channels];
        for pixel in sums.chunks_mut(bias.len()) {
            pixel.iter_mut().zip(bias).for_each(|(sum, b)| *sum = T::from_f32(*b));
        }
    }

    /// The inputs under the kernel as rows `[kh][kw][in / groups]`, for the pixels of `out` from `first` on.
    fn gather<T: Real>(&self, input: &Tensor<T>, out: Shape, first: usize, group: usize, rows: &mut [T]) {
        let (p, c) = (&self.params, self.channels_per_group());
        for (i, row) in rows.chunks_mut(self.taps() * c).enumerate() {
            let (oy, ox) = ((first + i) / out.w, (first + i) % out.w);
            for (tap, values) in row.chunks_mut(c).enumerate() {
                let (ky, kx) = (tap / p.kernel[1], tap % p.kernel[1]);
                let y = (oy * p.stride[0] + ky * p.dilation[0]).wrapping_sub(p.padding[0]);
                let x = (ox * p.stride[1] + kx * p.dilation[1]).wrapping_sub(p.padding[2]);
                if y < input.shape.h && x < input.shape.w {
                    values.copy_from_slice(&input.pixel(y, x)[group * c..(group + 1) * c]);
                } else {
                    values.fill(T::default());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ops::{Clamp, ConvParams},
        weights::seeded_values,
    };

    /// The sums of the module's first sentence, one output at a time.
    fn in_order(conv: &Conv2d, input: &Tensor<f32>) -> Tensor<f32> {
        let (p, taps, c) = (&conv.params, conv.taps(), conv.channels_per_group());
        let out = conv.output_shapes(&[input.shape]).expect("shapes that fit")[0];
        let mut result = Tensor::filled(out, 0.0);
        for (at, output) in result.data.iter_mut().enumerate() {
            let (o, ox, oy) = (at % out.c, at / out.c % out.w, at / out.c / out.w);
            let mut sum = conv.bias[o];
            for (tap, i) in (0..taps).flat_map(|tap| (0..c).map(move |i| (tap, i))) {
                let y = (oy * p.stride[0] + tap / p.kernel[1] * p.dilation[0]).wrapping_sub(p.padding[0]);
                let x = (ox * p.stride[1] + tap % p.kernel[1] * p.dilation[1]).wrapping_sub(p.padding[2]);
                let inside = y < input.shape.h && x < input.shape.w;
                let group = o / (p.out / p.groups);
                let value = if inside { input.pixel(y, x)[group * c + i] } else { 0.0 };
                sum += value * conv.weight[(o * c + i) * taps + tap];
            }
            *output = conv.clamp.apply(sum);
        }
        result
    }

    #[test]
    fn sums_have_one_order_whatever_the_groups() {
        for (channels, out, groups) in
            [(6, 6, 6), (40, 40, 40), (6, 12, 6), (8, 16, 2), (3, 40, 1), (5, 2, 1), (64, 64, 2), (1, 1, 1)]
        {
            for (kernel, stride, dilation, padding) in [
                ([1, 1], 1, 1, 0),
                ([3, 3], 1, 1, 1),
                ([3, 2], 2, 1, 1),
                ([2, 3], 1, 3, 2),
                ([3, 3], 2, 2, 5),
            ] {
                let params = ConvParams { kernel, ..ConvParams::new(out, 1) };
                let params = params.stride(stride).dilation(dilation).padding(padding).groups(groups);
                let len = out * (channels / groups) * kernel[0] * kernel[1];
                let weight = seeded_values("weight").take(len).map(|v| v as f32).collect();
                // -0.0 keeps its sign only where every product of zero is added, too.
                let bias = (0..out).map(|o| if o % 2 == 0 { -0.0 } else { 0.3 }).collect();
                let conv = Conv2d { clamp: Clamp::RELU6, ..Conv2d::new(params, channels, weight, bias) };
                for conv in [Conv2d { clamp: Clamp::NONE, ..conv.clone() }, conv] {
                    let shape = Shape::new(7, 9, channels);
                    let values = seeded_values("input").take(shape.len()).map(|v| (v as f32).max(0.0));
                    let input = Tensor::new(shape, values.collect()).expect("as many values");
                    let (found, expected) = (conv.eval(&[&input]), in_order(&conv, &input));
                    let bits = |t: &Tensor<f32>| t.data.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                    assert_eq!((found.shape, bits(&found)), (expected.shape, bits(&expected)), "{conv:?}");
                }
            }
        }
    }
}
