//! Batch normalisation at inference: a factor and an offset per channel, absorbed by the convolution before.
//!
//! Where there is none (behind a concatenation), it is a depthwise convolution of 1x1 pixel: in int8 each channel's factor is then
//! exact to 31 bits.

use super::{Backward, Conv2d, Op, forward_eval};
use crate::{
    error::Result,
    format::Mode,
    lower::Lowering,
    ops::ConvParams,
    program::{Const, In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{Float, FloatBounds};
use std::sync::Arc;

/// Batch norm's constant.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormParams {
    /// Added to the variance.
    pub epsilon: f64,
}

impl Default for BatchNormParams {
    fn default() -> Self {
        Self { epsilon: 1e-5 }
    }
}

/// `y[c] = x[c] * factor[c] + offset[c]`, with `factor = weight / sqrt(variance + epsilon)` and
/// `offset = bias - mean * factor`.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    /// One per channel.
    pub factor: Vec<f64>,
    /// One per channel.
    pub offset: Vec<f64>,
}

impl BatchNorm {
    /// From the trained tensors, one value per channel each.
    pub fn new(weight: &[f32], bias: &[f32], mean: &[f32], variance: &[f32], epsilon: f64) -> Self {
        let factor: Vec<f64> =
            weight.iter().zip(variance).map(|(w, v)| *w as f64 / (*v as f64 + epsilon).sqrt()).collect();
        let offset = factor.iter().zip(bias).zip(mean).map(|((f, b), m)| *b as f64 - *m as f64 * f).collect();
        Self { factor, offset }
    }

    /// Weights and bias of a convolution followed by this norm; `channel` gives the output channel of a weight.
    pub(super) fn fold(
        &self,
        weight: &[f32],
        bias: &[f32],
        channel: impl Fn(usize) -> usize,
    ) -> (Arc<[f32]>, Arc<[f32]>) {
        let scaled = |(i, w): (usize, &f32)| (*w as f64 * self.factor[channel(i)]) as f32;
        let moved = |(i, b): (usize, &f32)| (*b as f64 * self.factor[i] + self.offset[i]) as f32;
        (weight.iter().enumerate().map(scaled).collect(), bias.iter().enumerate().map(moved).collect())
    }

    /// The convolution that computes the same.
    fn as_conv(&self) -> Conv2d {
        let c = self.factor.len();
        let single = |values: &[f64]| values.iter().map(|v| *v as f32).collect();
        Conv2d::new(ConvParams::new(c, 1).groups(c), c, single(&self.factor), single(&self.offset))
    }

    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let mut out = inputs[0].clone();
        let c = self.factor.len();
        for (i, x) in out.data.iter_mut().enumerate() {
            *x = *x * T::from_f64(self.factor[i % c]) + T::from_f64(self.offset[i % c]);
        }
        out
    }
}

kernel_call! {
    /// A factor and an offset per channel in floating point.
    ScaleFloatCall for ScaleFloat by rows {
        input: In,
        output: Out,
        types: [Float; 2],
        scale: Const<f32>,
        offset: Const<f32>,
        range: FloatBounds,
    }
}

impl Op for BatchNorm {
    fn kind(&self) -> &'static str {
        "BatchNorm"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        super::check_numbers("factors and offsets", self.factor.iter().chain(&self.offset).copied())?;
        match inputs {
            [s] if s.c == self.factor.len() && s.c == self.offset.len() => Ok(vec![*s]),
            _ => Err(format!("expected {} channels, got {inputs:?}", self.factor.len())),
        }
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        let factors = self.factor.iter().cycle();
        let data = at.gradient.data.iter().zip(factors).map(|(gradient, factor)| gradient * factor).collect();
        Some(Tensor { shape: at.gradient.shape, data })
    }

    fn parameters(&self) -> usize {
        2 * self.factor.len()
    }

    fn absorb(&self, next: &dyn Op) -> Option<Box<dyn Op>> {
        self.as_conv().absorb(next)
    }

    fn takes_int16(&self) -> bool {
        true
    }

    fn weight_noise(&self) -> Option<f64> {
        self.as_conv().weight_noise()
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        self.as_conv().lower(cx)
    }

    fn lower_int16(&self, cx: &mut Lowering<'_>) -> Result<()> {
        self.as_conv().lower_int16(cx)
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let single = |values: &[f64]| -> Vec<f32> { values.iter().map(|v| *v as f32).collect() };
        let call = ScaleFloatCall {
            input: In::new(input),
            output: Out::new(output),
            types: [cx.float(input)?, cx.float(output)?],
            scale: cx.constant(&single(&self.factor)),
            offset: cx.constant(&single(&self.offset)),
            range: FloatBounds::ALL,
        };
        let bytes = 4 * (self.factor.len() + self.offset.len());
        cx.push(call).in_place(&[input]).constant_bytes(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{
        Clamp,
        testing::{assert_near, assert_refused, built_error, eval, seeded_tensor, tensor},
    };

    #[test]
    fn normalises_each_channel() {
        // Standard deviations sqrt(6 + 0.25) = 2.5 and sqrt(2 + 0.25) = 1.5.
        let norm = BatchNorm::new(&[2., 1.], &[1., -1.], &[3., 0.], &[6., 2.], 0.25);
        let x = tensor([1, 2, 2], &[3., 0., 5.5, 3.]);
        assert_near(&eval(&norm, &[&x]), &tensor([1, 2, 2], &[1., -1., 3., 1.]));
        assert_eq!(norm.parameters(), 4);
    }

    #[test]
    fn int8_without_a_convolution_before_is_within_a_step_of_float() {
        for c in [1, 5] {
            let norm =
                BatchNorm::new(&[1.5, 0.5, -0.8, 2.0, 0.01][..c], &[0.25; 5], &[0.5; 5], &[0.75; 5], 1e-3);
            let norm = || BatchNorm { factor: norm.factor.clone(), offset: norm.offset[..c].into() };
            // Half a step of the input at a factor of 2.3, at most 2.3 times as coarse, and half a step of the output.
            let error =
                built_error(&[seeded_tensor("input", Shape::new(9, 7, c))], |b, x| b.add_op("bn", norm(), x));
            assert!(error <= 1.51, "{error}");
            let clamped = norm().absorb(&Clamp::RELU).expect("a clamp");
            assert!(clamped.absorb(&norm()).is_none(), "a norm behind a clamp cannot be merged");
            let x = seeded_tensor("input", Shape::new(3, 4, c)).map(f64::from);
            let expected = eval(&norm(), &[&x]).map(|v| v.max(0.0));
            let found = eval(&*clamped, &[&x]);
            assert!(found.data.iter().zip(&expected.data).all(|(f, e)| (f - e).abs() <= 1e-6));
        }
    }

    #[test]
    fn takes_as_many_channels_as_it_has_factors() {
        let norm = BatchNorm::new(&[1.; 3], &[0.; 3], &[0.; 3], &[1.; 3], 0.0);
        assert_refused(
            &norm,
            &[(&[[2, 2, 4]], "expected 3 channels"), (&[[2, 2, 3]; 2], "expected 3 channels")],
        );
    }
}
