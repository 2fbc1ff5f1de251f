//! Convolution, with a fused activation; fully connected layers and depthwise convolution are special cases.

use super::{
    backward,
    filters::{Filters, GivenFilters, fold_bias, rounding_noise},
    float, int16,
    packing::Packed,
    params::{ConvParams, Taps},
    winograd, winograd_float,
};
use crate::{
    error::Result,
    format::Mode,
    graph::{Backward, Op},
    lower::Lowering,
    ops::{BatchNorm, Clamp, check_len, downcast, forward_eval, only, window::convolved},
    program::{Const, In, Out, Scratch, kernel_call},
    tensor::{Shape, Tensor},
};
use niello_kernels::{Gather, Layout, OutputParams, conv::scratch_bytes};
use std::sync::Arc;

/// `clamp(conv(x) + bias)`.
#[derive(Clone, Debug)]
pub struct Conv2d {
    /// Kernel, stride, padding, dilation, groups, output channels.
    pub params: ConvParams,
    /// Input channels.
    pub channels: usize,
    /// `[out, in / groups, kh, kw]`.
    pub weight: Arc<[f32]>,
    /// `[out]`.
    pub bias: Arc<[f32]>,
    /// Fused activation.
    pub clamp: Clamp,
    /// The integers of a quantised file, which weights and bias are the real numbers of.
    pub given: Option<GivenFilters>,
}

impl Conv2d {
    /// A convolution of `channels` inputs; `weight` is `[out, in / groups, kh, kw]`.
    pub fn new(params: ConvParams, channels: usize, weight: Arc<[f32]>, bias: Arc<[f32]>) -> Self {
        Self { params, channels, weight, bias, clamp: Clamp::NONE, given: None }
    }

    pub(super) fn taps(&self) -> usize {
        self.params.kernel[0] * self.params.kernel[1]
    }

    pub(super) fn channels_per_group(&self) -> usize {
        self.channels / self.params.groups
    }

    pub(in crate::ops) fn is_depthwise(&self) -> bool {
        self.params.groups > 1 && self.params.groups == self.channels && self.channels == self.params.out
    }

    /// Filters as rows in the order in which the image is walked: `[out][kh][kw][in / groups]`.
    pub(super) fn rows(&self) -> Vec<Vec<f32>> {
        let (taps, c) = (self.taps(), self.channels_per_group());
        self.weight
            .chunks(taps * c)
            .map(|row| (0..taps * c).map(|i| row[(i % c) * taps + i / c]).collect())
            .collect()
    }

    /// The mean input under each weight, from the calibrated mean of each channel, within what the input's format can hold.
    fn expected_input(&self, cx: &Lowering<'_>) -> Option<Vec<f64>> {
        let input = cx.node().inputs[0];
        let means = cx.channel_means(input)?;
        let (low, high) = cx.format(input).range().unwrap_or((f32::MIN, f32::MAX));
        let means: Vec<f64> = means.iter().map(|mean| mean.clamp(low.into(), high.into())).collect();
        // With several groups each output sees other channels; rows of all groups have the same length.
        (self.params.groups == 1)
            .then(|| means.iter().copied().cycle().take(self.taps() * means.len()).collect())
    }

    fn lower_depthwise(&self, cx: &mut Lowering<'_>, filters: &Filters) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let (from, to) = (cx.qparams(input)?, cx.qparams(output)?);
        let p = &self.params;
        let weights: Vec<i8> =
            (0..self.taps()).flat_map(|t| filters.weights.iter().map(move |row| row[t])).collect();
        let bias: Vec<i32> = filters
            .bias
            .iter()
            .zip(&filters.weights)
            .map(|(b, row)| fold_bias(*b, row.iter().copied(), from.zero_point, 0))
            .collect();
        let mantissa: Vec<i32> = filters.multiplier.iter().map(|m| m.mantissa).collect();
        let shift: Vec<i8> = filters.multiplier.iter().map(|m| m.shift as i8).collect();
        let bytes = weights.len() + 9 * bias.len();
        let call = DepthwiseCall {
            input: In::new(input),
            output: Out::new(output),
            kernel: p.kernel.map(|d| d as u32),
            stride: p.stride.map(|d| d as u32),
            dilation: p.dilation.map(|d| d as u32),
            padding: [p.padding[0] as u32, p.padding[2] as u32],
            weights: cx.constant(&weights),
            bias: cx.constant(&bias),
            mantissa: cx.constant(&mantissa),
            shift: cx.constant(&shift),
            input_zero_point: from.zero_point,
            stage: filters.stage(cx, to, self.clamp),
        };
        cx.push(call).constant_bytes(bytes);
        Ok(())
    }
}

kernel_call! {
    /// Dense or grouped convolution.
    Conv2dCall for Conv2d by rows {
        input: In,
        output: Out,
        kernel: [u32; 2],
        stride: [u32; 2],
        dilation: [u32; 2],
        padding: [u32; 2],
        groups: u32,
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

kernel_call! {
    /// Depthwise convolution.
    DepthwiseCall for DepthwiseConv2d by rows {
        input: In,
        output: Out,
        kernel: [u32; 2],
        stride: [u32; 2],
        dilation: [u32; 2],
        padding: [u32; 2],
        weights: Const<i8>,
        bias: Const<i32>,
        mantissa: Const<i32>,
        shift: Const<i8>,
        input_zero_point: i8,
        stage: OutputParams,
    }
}

impl Op for Conv2d {
    fn kind(&self) -> &'static str {
        if self.is_depthwise() { "DepthwiseConv2d" } else { "Conv2d" }
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let p = &self.params;
        let s = only(inputs)?;
        if s.c != self.channels {
            return Err(format!("expected {} channels, got {s}", self.channels));
        }
        let divides = |n: usize| p.groups > 0 && n > 0 && n.is_multiple_of(p.groups);
        if !divides(s.c) || !divides(p.out) {
            return Err(format!(
                "{} groups do not divide {} input and {} output channels",
                p.groups, s.c, p.out
            ));
        }
        check_len("weights", self.weight.len(), [p.out, s.c / p.groups, p.kernel[0], p.kernel[1]])?;
        check_len("biases", self.bias.len(), [p.out, 1, 1, 1])?;
        let [top, bottom, left, right] = p.padding;
        let axis =
            |size, i: usize, padding| convolved(size, p.kernel[i], p.stride[i], p.dilation[i], padding);
        Ok(vec![Shape::new(axis(s.h, 0, [top, bottom])?, axis(s.w, 1, [left, right])?, p.out)])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        backward::of_conv2d(self, at)
    }

    fn macs(&self, _: &[Shape], outputs: &[Shape]) -> u64 {
        (outputs[0].len() * self.taps() * self.channels_per_group()) as u64
    }

    fn takes_int16(&self) -> bool {
        true
    }

    fn weight_noise(&self) -> Option<f64> {
        Some(rounding_noise(&self.rows()))
    }

    fn parameters(&self) -> usize {
        self.weight.len() + if self.params.bias { self.bias.len() } else { 0 }
    }

    fn absorb(&self, next: &dyn Op) -> Option<Box<dyn Op>> {
        if let Some(clamp) = self.clamp.absorb(next) {
            return Some(Box::new(Self { clamp, ..self.clone() }));
        }
        let norm = downcast::<BatchNorm>(next).filter(|_| self.clamp == Clamp::NONE)?;
        let row = self.weight.len() / self.params.out;
        let (weight, bias) = norm.fold(&self.weight, &self.bias, |i| i / row);
        let params = ConvParams { bias: true, ..self.params };
        Some(Box::new(Self { params, weight, bias, ..self.clone() }))
    }

    fn linear_part(&self) -> Option<Box<dyn Op>> {
        let plain =
            self.params.kernel == [1, 1] && self.params.padding == [0; 4] && self.clamp == Clamp::NONE;
        let params = ConvParams { stride: [1, 1], bias: false, ..self.params };
        plain.then(|| {
            let bias = vec![0.0; self.params.out].into();
            Box::new(Self { params, bias, ..self.clone() }) as _
        })
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let expected = self.expected_input(cx);
        let (from, to) = (cx.qparams(input)?, cx.qparams(output)?);
        let filters = match &self.given {
            Some(given) => Filters::given(cx, &self.rows(), given, from, to)?,
            None => Filters::quantize(cx, &self.rows(), &self.bias, from, to, expected.as_deref())?,
        };
        if self.is_depthwise() {
            return self.lower_depthwise(cx, &filters);
        }
        let (p, layout) = (&self.params, cx.target().layout);
        let shape = cx.graph().shape(output);
        let winograd_pays = cx.target().winograd && winograd::pays(p, self.channels, shape);
        if winograd::can(layout, p, self.channels) && cx.takes_winograd(winograd_pays) {
            return winograd::lower(cx, p, self.channels, self.clamp, &filters);
        }
        let (c, cout) = (self.channels_per_group(), p.out / p.groups);
        let gather = Gather::choose(layout, c);
        let (segments, k) = gather.segments(self.taps(), c);
        let mut all = Packed::default();
        for group in 0..p.groups {
            let of = group * cout..(group + 1) * cout;
            all.append(Packed::new(
                layout,
                segments,
                k,
                &filters.weights[of.clone()],
                &filters.bias[of.clone()],
                &filters.multiplier[of],
                from.zero_point,
            ));
        }
        let bytes = all.bytes();
        let chunk = cx.pixels_per_pass(cx.target().chunk, 1, shape.area());
        let scratch = cx.scratch_of_threads(scratch_bytes(layout, gather, self.taps(), c, chunk));
        let call = Conv2dCall {
            input: In::new(input),
            output: Out::new(output),
            kernel: p.kernel.map(|d| d as u32),
            stride: p.stride.map(|d| d as u32),
            dilation: p.dilation.map(|d| d as u32),
            padding: [p.padding[0] as u32, p.padding[2] as u32],
            groups: p.groups as u32,
            layout,
            gather,
            weights: cx.constant(&all.weights),
            bias: cx.constant(&all.bias),
            mantissa: cx.constant(&all.mantissa),
            shift: cx.constant(&all.shift),
            pad: cx.constant(&vec![from.zero_point; c]),
            stage: filters.stage(cx, to, self.clamp),
            pixels_per_pass: chunk as u32,
            scratch: Scratch,
        };
        cx.push(call).scratch(scratch).constant_bytes(bytes);
        Ok(())
    }

    fn lower_int16(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let expected = self.expected_input(cx);
        let taps = Taps::of(&self.params, self.is_depthwise());
        let given = self.given.as_ref();
        int16::conv2d(cx, taps, &self.rows(), &self.bias, expected.as_deref(), self.clamp, given)
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, mode: Mode) -> Result<()> {
        let p = &self.params;
        let shape = cx.graph().shape(cx.node().output());
        if mode == Mode::F16Winograd && winograd_float::takes(p, self.channels, shape) {
            return winograd_float::lower(cx, p, &self.rows(), &self.bias, self.clamp);
        }
        let taps = Taps::of(p, self.is_depthwise());
        float::Convolution { taps, rows: &self.rows(), bias: &self.bias, clamp: self.clamp }.lower(cx, mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, built_error, eval, seeded_tensor, tensor};

    fn conv(params: ConvParams, channels: usize, weight: &[f32], bias: &[f32]) -> Conv2d {
        Conv2d::new(params, channels, weight.into(), bias.into())
    }

    #[test]
    fn hand_computed_examples() {
        let x = tensor([3, 3, 1], &[1., 2., 3., 4., 5., 6., 7., 8., 9.]);
        let kernel = [1., 0., 0., -1.]; // top left minus bottom right
        let same = conv(ConvParams::new(1, 2), 1, &kernel, &[10.]);
        assert_eq!(eval(&same, &[&x]), tensor([2, 2, 1], &[6., 6., 6., 6.]));
        let strided = conv(ConvParams::new(1, 2).stride(2).padding(1), 1, &kernel, &[0.]);
        assert_eq!(eval(&strided, &[&x]), tensor([2, 2, 1], &[-1., -3., -7., -4.]));
        let dilated = conv(ConvParams::new(1, 2).dilation(2), 1, &kernel, &[0.]);
        assert_eq!(eval(&dilated, &[&x]), tensor([1, 1, 1], &[-8.]));
        let relu = Conv2d { clamp: Clamp::RELU, ..strided };
        assert_eq!(eval(&relu, &[&x]), tensor([2, 2, 1], &[0.; 4]));
    }

    #[test]
    fn groups_see_their_own_channels() {
        let x = tensor([1, 1, 4], &[1., 2., 3., 4.]);
        let grouped = conv(ConvParams::new(2, 1).groups(2), 4, &[1., 10., 1., 10.], &[0., 0.5]);
        assert_eq!(eval(&grouped, &[&x]), tensor([1, 1, 2], &[21., 43.5]));
        assert_eq!((grouped.kind(), grouped.parameters()), ("Conv2d", 6));
        let depthwise = conv(ConvParams::new(4, 1).groups(4).no_bias(), 4, &[1., 2., 3., 4.], &[0.; 4]);
        assert_eq!(eval(&depthwise, &[&x]), tensor([1, 1, 4], &[1., 4., 9., 16.]));
        assert_eq!((depthwise.kind(), depthwise.parameters()), ("DepthwiseConv2d", 4));
    }

    #[test]
    fn a_filter_of_next_to_nothing_leaves_its_bias() {
        let weight = [1e-12, -1e-12, 1.0, 0.5];
        let input = [seeded_tensor("input", Shape::new(5, 4, 2))];
        let conv = || conv(ConvParams::new(2, 1), 2, &weight, &[0.75, 0.1]);
        // Half a step of the input at weights that sum to 1.5, and half a step of the output.
        assert!(built_error(&input, |b, x| b.add_op("op", conv(), x)) <= 1.51);
    }

    #[test]
    fn shapes_and_refusals() {
        let conv = conv(ConvParams::new(8, 3).stride(2).padding(1), 2, &[0.; 144], &[0.; 8]);
        assert_eq!(conv.output_shapes(&[Shape::new(7, 8, 2)]), Ok(vec![Shape::new(4, 4, 8)]));
        let macs = conv.macs(&[Shape::new(7, 8, 2)], &[Shape::new(4, 4, 8)]);
        assert_eq!(macs, 4 * 4 * 8 * 9 * 2);
        assert_refused(
            &conv,
            &[
                (&[[7, 8, 3]], "expected 2 channels"),
                (&[[0, 8, 2]], "kernel of 3 pixels does not fit"),
                (&[[7, 8, 2]; 2], "expected one input, got 2"),
            ],
        );
    }
}
