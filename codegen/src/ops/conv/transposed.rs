//! Transposed convolution, with a fused activation.

use super::{
    backward,
    filters::{Filters, GivenFilters, rounding_noise},
    float, int16,
    packing::Packed,
    params::{Taps, TransposedConvParams},
};
use crate::{
    error::Result,
    format::Mode,
    graph::{Backward, Op},
    lower::Lowering,
    ops::{BatchNorm, Clamp, MAX_ELEMENTS, check_len, downcast, forward_eval, only, window::spread},
    program::{Const, In, Out, Scratch, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{
    Gather, Layout, OutputParams,
    conv::{phase_taps, scratch_bytes},
};
use std::sync::Arc;

/// `clamp(conv_transpose(x) + bias)`.
#[derive(Clone, Debug)]
pub struct TransposedConv2d {
    /// Kernel, stride, padding, output channels.
    pub params: TransposedConvParams,
    /// Input channels.
    pub channels: usize,
    /// `[in, out, kh, kw]`.
    pub weight: Arc<[f32]>,
    /// `[out]`.
    pub bias: Arc<[f32]>,
    /// Fused activation.
    pub clamp: Clamp,
    /// The integers of a quantised file, which weights and bias are the real numbers of.
    pub given: Option<GivenFilters>,
}

/// Places of what is cropped first on each axis, in [`TransposedConvParams::padding`].
pub(super) const TOP: usize = 0;
pub(super) const LEFT: usize = 2;

impl TransposedConv2d {
    /// A transposed convolution of `channels` inputs; `weight` is `[in, out, kh, kw]`.
    pub fn new(params: TransposedConvParams, channels: usize, weight: Arc<[f32]>, bias: Arc<[f32]>) -> Self {
        Self { params, channels, weight, bias, clamp: Clamp::NONE, given: None }
    }

    fn where_taps_lie(&self) -> Taps {
        let p = &self.params;
        Taps::transposed(p.kernel, p.stride, [p.padding[TOP], p.padding[LEFT]])
    }

    fn taps(&self) -> usize {
        self.params.kernel[0] * self.params.kernel[1]
    }

    /// Filters as rows `[out][kh][kw][in]`.
    fn rows(&self) -> Vec<Vec<f32>> {
        let (taps, c, out) = (self.taps(), self.channels, self.params.out);
        let at = |o: usize, t: usize, i: usize| self.weight[(i * out + o) * taps + t];
        (0..out).map(|o| (0..taps * c).map(|j| at(o, j / c, j % c)).collect()).collect()
    }

    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let (p, input) = (&self.params, inputs[0]);
        let shape = self.output_shapes(&[input.shape]).expect("shapes were checked")[0];
        let mut out = Tensor::filled(shape, T::default());
        for pixel in out.data.chunks_mut(p.out) {
            pixel.iter_mut().zip(&self.bias[..]).for_each(|(o, b)| *o = T::from_f32(*b));
        }
        // One matrix product gives every tap's contribution of every input pixel; then they are scattered.
        let filters: Vec<T> = (0..self.taps())
            .flat_map(|t| (0..p.out).map(move |o| (t, o)))
            .flat_map(|(t, o)| {
                (0..self.channels).map(move |i| T::from_f32(self.weight[(i * p.out + o) * self.taps() + t]))
            })
            .collect();
        scatter(self.where_taps_lie(), &filters, input, &mut out);
        out.data.iter_mut().for_each(|v| *v = self.clamp.apply(*v));
        out
    }
}

/// Adds to `out` what the taps of each pixel of `input` give it; `filters` are rows `[tap][out]` of the input's channels.
pub(super) fn scatter<T: Real>(taps: Taps, filters: &[T], input: &Tensor<T>, out: &mut Tensor<T>) {
    let Taps { kernel, stride, dilation, padding, .. } = taps;
    let (Shape { w, c, .. }, shape) = (input.shape, out.shape);
    let n = kernel[0] * kernel[1] * shape.c;
    for (y, row) in input.data.chunks(w * c).enumerate() {
        let mut product = vec![T::default(); w * n];
        T::gemm_transposed([w, c, n], row, filters, &mut product);
        for (x, parts) in product.chunks(n).enumerate() {
            for (t, part) in parts.chunks(shape.c).enumerate() {
                let oy = (y * stride[0] + t / kernel[1] * dilation[0]).wrapping_sub(padding[0]);
                let ox = (x * stride[1] + t % kernel[1] * dilation[1]).wrapping_sub(padding[1]);
                if oy < shape.h && ox < shape.w {
                    out.pixel_mut(oy, ox).iter_mut().zip(part).for_each(|(o, v)| *o += *v);
                }
            }
        }
    }
}

/// Kernels with holes as kernels without: `dilation - 1` zeros between their taps, for a transposed convolution, which has none of its own.
/// `weights` are rows of `kernel` taps; they are returned with the new size.
///
/// # Errors
/// A size of 0, weights that are no whole kernels, or more than `2^31 - 1` of them in the end.
pub fn dilated<T: Copy + Default>(
    weights: &[T],
    kernel: [usize; 2],
    dilation: [usize; 2],
) -> Result<(Vec<T>, [usize; 2]), String> {
    let refuse = || format!("cannot spread {} weights of {kernel:?} by {dilation:?}", weights.len());
    let taps =
        kernel[0].checked_mul(kernel[1]).filter(|taps| *taps > 0 && weights.len().is_multiple_of(*taps));
    let taps = taps.filter(|_| !dilation.contains(&0)).ok_or_else(refuse)?;
    let span = |i: usize| (kernel[i] - 1).checked_mul(dilation[i])?.checked_add(1);
    let spans = [span(0).ok_or_else(refuse)?, span(1).ok_or_else(refuse)?];
    let area = spans[0].checked_mul(spans[1]).filter(|area| *area <= MAX_ELEMENTS).ok_or_else(refuse)?;
    let all = (weights.len() / taps).checked_mul(area).filter(|all| *all <= MAX_ELEMENTS);
    let mut spread = vec![T::default(); all.ok_or_else(refuse)?];
    for (i, weight) in weights.iter().enumerate() {
        let (y, x) = (i % taps / kernel[1] * dilation[0], i % kernel[1] * dilation[1]);
        spread[i / taps * area + y * spans[1] + x] = *weight;
    }
    Ok((spread, spans))
}

kernel_call! {
    /// Transposed convolution by output phases.
    TransposedConv2dCall for TransposedConv2d by rows {
        input: In,
        output: Out,
        kernel: [u32; 2],
        stride: [u32; 2],
        padding: [u32; 2],
        layout: Layout,
        gather: Gather,
        weights: Const<i8>,
        bias: Const<i32>,
        mantissa: Const<i32>,
        shift: Const<i8>,
        pad: Const<i8>,
        stage: OutputParams,
        pixels_per_pass: u32,
        scratch: Scratch,
    }
}

impl Op for TransposedConv2d {
    fn kind(&self) -> &'static str {
        "TransposedConv2d"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let p = &self.params;
        let s = only(inputs)?;
        if s.c != self.channels {
            return Err(format!("expected {} channels, got {s}", self.channels));
        }
        check_len("weights", self.weight.len(), [s.c, p.out, p.kernel[0], p.kernel[1]])?;
        check_len("biases", self.bias.len(), [p.out, 1, 1, 1])?;
        let [top, bottom, left, right] = p.padding;
        let axis =
            |size, i: usize, padding| spread(size, p.kernel[i], p.stride[i], p.output_padding[i], padding);
        Ok(vec![Shape::new(axis(s.h, 0, [top, bottom])?, axis(s.w, 1, [left, right])?, p.out)])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        backward::of_transposed(self, at)
    }

    fn macs(&self, inputs: &[Shape], _: &[Shape]) -> u64 {
        (inputs[0].len() * self.taps() * self.params.out) as u64
    }

    fn parameters(&self) -> usize {
        self.weight.len() + if self.params.bias { self.bias.len() } else { 0 }
    }

    fn absorb(&self, next: &dyn Op) -> Option<Box<dyn Op>> {
        if let Some(clamp) = self.clamp.absorb(next) {
            return Some(Box::new(Self { clamp, ..self.clone() }));
        }
        let norm = downcast::<BatchNorm>(next).filter(|_| self.clamp == Clamp::NONE)?;
        let (taps, out) = (self.taps(), self.params.out);
        let (weight, bias) = norm.fold(&self.weight, &self.bias, |i| i / taps % out);
        let params = TransposedConvParams { bias: true, ..self.params };
        Some(Box::new(Self { params, weight, bias, ..self.clone() }))
    }

    fn takes_int16(&self) -> bool {
        true
    }

    fn weight_noise(&self) -> Option<f64> {
        Some(rounding_noise(&self.rows()))
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let (from, to) = (cx.qparams(input)?, cx.qparams(output)?);
        let filters = match &self.given {
            Some(given) => Filters::given(cx, &self.rows(), given, from, to)?,
            None => Filters::quantize(cx, &self.rows(), &self.bias, from, to, None)?,
        };
        let (p, layout, c) = (&self.params, cx.target().layout, self.channels);
        let gather = Gather::choose(layout, c);
        let mut all = Packed::default();
        for ry in 0..p.stride[0] {
            for rx in 0..p.stride[1] {
                // Taps of this phase, in the order in which they meet the input: descending.
                let taps = |axis: usize, r: usize| {
                    let n = phase_taps(p.kernel[axis], p.stride[axis], r);
                    (0..n).rev().map(move |j| r + j * p.stride[axis])
                };
                let picked: Vec<usize> =
                    taps(0, ry).flat_map(|ky| taps(1, rx).map(move |kx| ky * p.kernel[1] + kx)).collect();
                let rows: Vec<Vec<i8>> = filters
                    .weights
                    .iter()
                    .map(|row| picked.iter().flat_map(|t| row[t * c..(t + 1) * c].iter().copied()).collect())
                    .collect();
                let (segments, k) = gather.segments(picked.len(), c);
                all.append_phase(Packed::new(
                    layout,
                    segments,
                    k,
                    &rows,
                    &filters.bias,
                    &filters.multiplier,
                    from.zero_point,
                ));
            }
        }
        let bytes = all.bytes();
        let pixels_per_pass = cx.pixels_per_pass(cx.target().chunk, 1, cx.graph().shape(input).area());
        let most_taps = phase_taps(p.kernel[0], p.stride[0], 0) * phase_taps(p.kernel[1], p.stride[1], 0);
        let scratch = cx.scratch_of_threads(scratch_bytes(layout, gather, most_taps, c, pixels_per_pass));
        let call = TransposedConv2dCall {
            input: In::new(input),
            output: Out::new(output),
            kernel: p.kernel.map(|d| d as u32),
            stride: p.stride.map(|d| d as u32),
            padding: [p.padding[TOP] as u32, p.padding[LEFT] as u32],
            layout,
            gather,
            weights: cx.constant(&all.weights),
            bias: cx.constant(&all.bias),
            mantissa: cx.constant(&all.mantissa),
            shift: cx.constant(&all.shift),
            pad: cx.constant(&vec![from.zero_point; c]),
            stage: filters.stage(cx, to, self.clamp),
            pixels_per_pass: pixels_per_pass as u32,
            scratch: Scratch,
        };
        cx.push(call).scratch(scratch).constant_bytes(bytes);
        Ok(())
    }

    fn lower_int16(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let given = self.given.as_ref();
        int16::conv2d(cx, self.where_taps_lie(), &self.rows(), &self.bias, None, self.clamp, given)
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, mode: Mode) -> Result<()> {
        let taps = self.where_taps_lie();
        float::Convolution { taps, rows: &self.rows(), bias: &self.bias, clamp: self.clamp }.lower(cx, mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, eval, lowered_error, tensor};

    fn up(params: TransposedConvParams, weight: &[f32], bias: f32) -> TransposedConv2d {
        TransposedConv2d::new(
            params,
            weight.len() / params.kernel[0] / params.kernel[1],
            weight.into(),
            [bias].into(),
        )
    }

    #[test]
    fn each_input_pixel_stamps_the_kernel() {
        let x = tensor([1, 2, 1], &[1., 10.]);
        let k2 = up(TransposedConvParams::new(1, 2, 2), &[1., 2., 3., 4.], 0.5);
        assert_eq!(eval(&k2, &[&x]), tensor([2, 4, 1], &[1.5, 2.5, 10.5, 20.5, 3.5, 4.5, 30.5, 40.5]));
        // Kernel 3, stride 2: stamps overlap in the middle column; padding 1 crops, output padding 1 adds at the end.
        let k3 = TransposedConvParams::new(1, 3, 2).padding(1).output_padding(1);
        let k3 = up(k3, &[0., 0., 0., 1., 2., 3., 0., 0., 0.], 0.);
        assert_eq!(eval(&k3, &[&x]), tensor([2, 4, 1], &[2., 13., 20., 30., 0., 0., 0., 0.]));
    }

    #[test]
    fn same_crops_the_surplus_and_one_more_at_the_end_than_at_the_beginning() {
        let x = tensor([1, 2, 1], &[1., 10.]);
        // A full row is 1, 2, 3 + 10, 4 + 20, 5 + 30, 40, 50; SAME drops one before and two after.
        let k5 =
            TransposedConvParams { kernel: [1, 5], stride: [1, 2], ..TransposedConvParams::new(1, 1, 1) };
        let k5 = up(k5.same(), &[1., 2., 3., 4., 5.], 0.);
        assert_eq!(k5.params.padding, [0, 0, 1, 2]);
        assert_eq!(eval(&k5, &[&x]), tensor([1, 4, 1], &[2., 13., 24., 35.]));
        for (kernel, stride, padding, output_padding) in [
            (2, 2, [0; 4], 0),
            (4, 2, [1; 4], 0),
            (8, 4, [2; 4], 0),
            (5, 2, [1, 2, 1, 2], 0),
            (1, 3, [0; 4], 2),
        ] {
            let same = TransposedConvParams::new(1, kernel, stride).same();
            assert_eq!(
                (same.padding, same.output_padding),
                (padding, [output_padding; 2]),
                "{kernel} {stride}"
            );
            let weight = vec![1.; kernel * kernel];
            let shape = up(same, &weight, 0.).output_shapes(&[Shape::new(7, 3, 1)]);
            assert_eq!(shape, Ok(vec![Shape::new(7 * stride, 3 * stride, 1)]));
        }
    }

    #[test]
    fn cropped_int8_is_within_a_step_of_float() {
        // Half a step of each input code through the kernel's sums is far below a step of the output's wide range.
        for (kernel, stride) in [(5, 2), (4, 2), (8, 4)] {
            let weight: Vec<f32> =
                (0..3 * kernel * kernel).map(|i| ((i * 7 % 11) as f32 - 5.0) / 8.0).collect();
            let op = up(TransposedConvParams::new(1, kernel, stride).same(), &weight, 0.1);
            assert!(lowered_error(op, Shape::new(6, 5, 3)) <= 2.0, "{kernel} {stride}");
        }
    }

    #[test]
    fn channels_are_summed() {
        let x = tensor([1, 1, 2], &[1., 10.]);
        let both = up(TransposedConvParams::new(1, 1, 1), &[3., 4.], 0.);
        assert_eq!(eval(&both, &[&x]), tensor([1, 1, 1], &[43.]));
    }

    #[test]
    fn holes_become_zeros() {
        let two = [1, 2, 3, 4, 5, 6, 7, 8];
        let spread = [1, 0, 2, 3, 0, 4, 5, 0, 6, 7, 0, 8];
        assert_eq!(dilated(&two, [2, 2], [1, 2]), Ok((spread.to_vec(), [2, 3])));
        assert_eq!(dilated(&two[..2], [2, 1], [3, 9]), Ok((vec![1, 0, 0, 2], [4, 1])));
        for (kernel, dilation) in
            [([0, 2], [1, 1]), ([3, 1], [1, 1]), ([2, 2], [0, 1]), ([2, 2], [1 << 20, 1 << 20])]
        {
            assert!(dilated(&two, kernel, dilation).is_err(), "{kernel:?} {dilation:?}");
        }
    }

    #[test]
    fn shapes_and_refusals() {
        let cropped = up(TransposedConvParams::new(1, 1, 1).padding(1), &[1.], 0.);
        assert_refused(
            &cropped,
            &[
                (&[[2, 2, 1]], "padding of 1 and 1 leaves nothing of 2"),
                (&[[2, 2, 3]], "expected 1 channels"),
                (&[[4, 4, 1]; 2], "expected one input, got 2"),
            ],
        );
        assert_eq!(cropped.output_shapes(&[Shape::new(4, 3, 1)]), Ok(vec![Shape::new(2, 1, 1)]));
    }
}
