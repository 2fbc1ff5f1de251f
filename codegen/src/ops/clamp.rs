//! Clamping activations: ReLU, ReLU6. Nearly always absorbed by the operator before.

use super::{Backward, Op, downcast, forward_eval};
use crate::{
    error::Result,
    format::Mode,
    lower::{Lowering, Sums},
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{Bounds, Float, FloatBounds, Multiplier, OutputParams, Rounding, Width};

/// `min(max(x, self.min), self.max)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clamp {
    /// Smallest result; `-inf` for none.
    pub min: f32,
    /// Largest result; `inf` for none.
    pub max: f32,
}

impl Clamp {
    /// No clamping.
    pub const NONE: Self = Self { min: f32::NEG_INFINITY, max: f32::INFINITY };
    /// `max(x, 0)`.
    pub const RELU: Self = Self { min: 0.0, max: f32::INFINITY };
    /// `min(max(x, 0), 6)`.
    pub const RELU6: Self = Self { min: 0.0, max: 6.0 };

    /// `self` followed by `next`.
    pub(crate) fn then(self, next: Clamp) -> Self {
        Self { min: self.min.max(next.min).min(next.max), max: self.max.max(next.min).min(next.max) }
    }

    /// `self` followed by `next`, if that is a clamp.
    pub(crate) fn absorb(self, next: &dyn Op) -> Option<Self> {
        downcast::<Clamp>(next).map(|next| self.then(*next))
    }

    pub(crate) fn apply<T: Real>(self, x: T) -> T {
        let x = if self.min.is_finite() { x.maximum(T::from_f32(self.min)) } else { x };
        if self.max.is_finite() { x.minimum(T::from_f32(self.max)) } else { x }
    }

    /// The gradient before the clamp, from that behind it: none where the result is one of the ends, as `torch.nn.ReLU` and `ReLU6` have it.
    pub(super) fn go_back(self, at: &Backward<'_>) -> Tensor<f64> {
        let inside = |y: f64| y > self.min.into() && y < self.max.into();
        let pairs = at.output.data.iter().zip(&at.gradient.data);
        let data = pairs.map(|(y, gradient)| if inside(*y) { *gradient } else { 0.0 }).collect();
        Tensor { shape: at.gradient.shape, data }
    }

    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].map(|x| self.apply(x))
    }
}

kernel_call! {
    /// Clamp and rescale.
    RequantizeCall for Requantize by rows {
        input: In,
        output: Out,
        input_zero_point: i8,
        multiplier: Multiplier,
        stage: OutputParams,
    }
}

kernel_call! {
    /// Clamp in floating point.
    ClampFloatCall for ClampFloat by rows {
        input: In,
        output: Out,
        types: [Float; 2],
        range: FloatBounds,
    }
}

kernel_call! {
    /// Another scale or width.
    RescaleInt16Call for RescaleInt16 by rows {
        input: In,
        output: Out,
        widths: [Width; 2],
        input_zero_point: i32,
        multiplier: Multiplier,
        bounds: Bounds,
        rounding: Rounding,
    }
}

impl Clamp {
    /// As kernels take it.
    pub(super) fn float_range(self) -> FloatBounds {
        FloatBounds { least: self.min, most: self.max }
    }
}

impl Op for Clamp {
    fn kind(&self) -> &'static str {
        "Clamp"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        // Also where one of them is NaN.
        if self.min.is_nan() || self.max.is_nan() || self.min > self.max {
            return Err(format!(
                "expected a smallest result below the largest, got {} and {}",
                self.min, self.max
            ));
        }
        Ok(vec![super::only(inputs)?])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        Some(self.go_back(at))
    }

    fn absorb(&self, next: &dyn Op) -> Option<Box<dyn Op>> {
        (*self).absorb(next).map(|c| Box::new(c) as _)
    }

    fn is_identity(&self) -> bool {
        *self == Self::NONE
    }

    fn takes_int16(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let (from, to) = (cx.qparams(input)?, cx.qparams(output)?);
        let call = RequantizeCall {
            input: In::new(input),
            output: Out::new(output),
            input_zero_point: from.zero_point,
            multiplier: cx.multiplier_for(from.scale as f64 / to.scale as f64, Sums::CODES)?,
            stage: cx.stage(to, self.min, self.max),
        };
        cx.push(call).in_place(&[input]);
        Ok(())
    }

    fn lower_int16(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let (from, to) = (cx.codes(input)?, cx.codes(output)?);
        let sums = Sums::of_int16(from.largest_difference(), 1);
        let real = match from.given && *self != Self::NONE {
            // In single precision, as TensorFlow Lite derives it where there is an activation.
            true => (from.scale / to.scale) as f64,
            false => from.scale as f64 / to.scale as f64,
        };
        let call = RescaleInt16Call {
            input: In::new(input),
            output: Out::new(output),
            widths: [from.width, to.width],
            input_zero_point: from.zero_point,
            multiplier: cx.multiplier_for(real, sums)?,
            bounds: to.bounds(self.min, self.max),
            rounding: cx.rounding(),
        };
        cx.push(call).in_place(&[input]);
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let (types, range) = ([cx.float(input)?, cx.float(output)?], self.float_range());
        let call = ClampFloatCall { input: In::new(input), output: Out::new(output), types, range };
        cx.push(call).in_place(&[input]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, eval, tensor};

    #[test]
    fn clamps_both_ends() {
        let x = tensor([1, 1, 4], &[-1., 0., 5., 7.]);
        assert_eq!(eval(&Clamp::RELU, &[&x]), tensor([1, 1, 4], &[0., 0., 5., 7.]));
        assert_eq!(eval(&Clamp::RELU6, &[&x]), tensor([1, 1, 4], &[0., 0., 5., 6.]));
        assert_eq!(eval(&Clamp::NONE, &[&x]), x);
    }

    #[test]
    fn one_after_the_other_is_one_clamp() {
        let range = |min, max| Clamp { min, max };
        for (first, second) in [
            (Clamp::RELU, Clamp::RELU6),
            (Clamp::RELU6, Clamp::RELU),
            (Clamp::NONE, range(-1., 1.)),
            (range(2., 3.), range(-1., 1.)), // no common value: everything becomes 1
            (range(-3., -2.), range(-1., 1.)),
        ] {
            let both = first.then(second);
            for x in [-9f64, -2.5, -1., 0., 0.5, 2., 2.5, 6., 9.] {
                assert_eq!(both.apply(x), second.apply(first.apply(x)), "{first:?} then {second:?} of {x}");
            }
        }
    }

    #[test]
    fn needs_an_input_and_bounds() {
        for (min, max) in [(f32::NAN, 1.0), (0.0, f32::NAN), (1.0, 0.5)] {
            assert_refused(&Clamp { min, max }, &[(&[[1, 1, 1]], "expected a smallest result below")]);
        }
        assert_refused(&Clamp::RELU, &[(&[], "expected one input, got 0")]);
    }
}
