//! Element-wise difference.

use super::{Backward, Clamp, Op, add::CommonScale, as_large_as_output, forward_eval, gradient_of_two};
use crate::{
    error::Result,
    format::Mode,
    lower::Lowering,
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{Bounds, Float, FloatBounds, Multiplier, OutputParams, Rounding, Width};

/// `clamp(a - b)`; `b` has the shape of `a`, or one pixel (a value for each channel), or channels that divide those of `a` (a value for each
/// group of channels of each pixel).
#[derive(Clone, Copy, Debug)]
pub struct Sub {
    /// Fused activation.
    pub clamp: Clamp,
}

impl Default for Sub {
    fn default() -> Self {
        Self { clamp: Clamp::NONE }
    }
}

impl Sub {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let mut out = inputs[0].clone();
        let second = super::repeated(inputs[1], out.shape);
        out.data.iter_mut().zip(second).for_each(|(x, y)| *x = self.clamp.apply(*x - y));
        out
    }
}

kernel_call! {
    /// Difference at a common scale.
    SubCall for Sub by rows {
        a: In,
        b: In,
        output: Out,
        a_zero_point: i8,
        b_zero_point: i8,
        a_multiplier: Multiplier,
        b_multiplier: Multiplier,
        multiplier: Multiplier,
        stage: OutputParams,
    }
}

kernel_call! {
    /// Difference of either width.
    SubInt16Call for SubInt16 {
        a: In,
        b: In,
        output: Out,
        widths: [Width; 3],
        zero_points: [i32; 2],
        a_multiplier: Multiplier,
        b_multiplier: Multiplier,
        multiplier: Multiplier,
        bounds: Bounds,
        rounding: Rounding,
    }
}

kernel_call! {
    /// Difference in floating point.
    SubFloatCall for SubFloat {
        a: In,
        b: In,
        output: Out,
        types: [Float; 3],
        range: FloatBounds,
    }
}

impl Op for Sub {
    fn kind(&self) -> &'static str {
        "Sub"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        Ok(vec![super::first_shape_of_two(inputs)?])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        Some(gradient_of_two(at, self.clamp, |_, _| [1.0, -1.0]))
    }

    fn absorb(&self, next: &dyn Op) -> Option<Box<dyn Op>> {
        self.clamp.absorb(next).map(|clamp| Box::new(Self { clamp }) as _)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (a, b, output) = (cx.node().inputs[0], cx.node().inputs[1], cx.node().output());
        let (qa, qb, q) = (cx.qparams(a)?, cx.qparams(b)?, cx.qparams(output)?);
        let factors = CommonScale::new(cx, qa, qb, q)?;
        let call = SubCall {
            a: In::new(a),
            b: In::new(b),
            output: Out::new(output),
            a_zero_point: qa.zero_point,
            b_zero_point: qb.zero_point,
            a_multiplier: factors.a,
            b_multiplier: factors.b,
            multiplier: factors.result,
            stage: cx.stage(q, self.clamp.min, self.clamp.max),
        };
        let replaced = as_large_as_output(cx);
        cx.push(call).in_place(&replaced);
        Ok(())
    }

    fn lower_int16(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (a, b, output) = (cx.node().inputs[0], cx.node().inputs[1], cx.node().output());
        let (qa, qb, to) = (cx.codes(a)?, cx.codes(b)?, cx.codes(output)?);
        let factors = CommonScale::of_codes(cx, [qa, qb, to], i32::MAX.into())?;
        let call = SubInt16Call {
            a: In::new(a),
            b: In::new(b),
            output: Out::new(output),
            widths: [qa.width, qb.width, to.width],
            zero_points: [qa.zero_point, qb.zero_point],
            a_multiplier: factors.a,
            b_multiplier: factors.b,
            multiplier: factors.result,
            bounds: to.bounds(self.clamp.min, self.clamp.max),
            rounding: cx.rounding(),
        };
        cx.push(call);
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (a, b, output) = (cx.node().inputs[0], cx.node().inputs[1], cx.node().output());
        let types = [cx.float(a)?, cx.float(b)?, cx.float(output)?];
        let range = self.clamp.float_range();
        let call = SubFloatCall { a: In::new(a), b: In::new(b), output: Out::new(output), types, range };
        let replaced = as_large_as_output(cx);
        cx.push(call).in_place(&replaced);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, eval, lowered_error_of, tensor};

    #[test]
    fn subtracts_elements_and_clamps() {
        let (a, b) = (tensor([1, 2, 2], &[1., -2., 3., 4.]), tensor([1, 2, 2], &[0.5, 1., -7., 4.]));
        assert_eq!(eval(&Sub::default(), &[&a, &b]), tensor([1, 2, 2], &[0.5, -3., 10., 0.]));
        assert_eq!(eval(&Sub { clamp: Clamp::RELU6 }, &[&a, &b]), tensor([1, 2, 2], &[0.5, 0., 6., 0.]));
        let of_channels = eval(&Sub::default(), &[&a, &tensor([1, 1, 2], &[1., 2.])]);
        assert_eq!(of_channels, tensor([1, 2, 2], &[0., -4., 2., 2.]));
    }

    #[test]
    fn takes_two_inputs_whose_shapes_meet() {
        assert_refused(
            &Sub::default(),
            &[
                (&[[2, 2, 3]], "expected two inputs, got 1"),
                (&[[2, 2, 3], [2, 2, 2]], "the same, 1x1x3, or 2x2 and a divisor of 3"),
            ],
        );
    }

    #[test]
    fn int8_is_near_float() {
        // Half a step of either operand, which is half a step of the output, and half a step of the output.
        for second in [[9, 7, 5], [1, 1, 5], [9, 7, 1]] {
            let error = lowered_error_of(Sub::default(), &[[9, 7, 5], second]);
            assert!(error <= 1.01, "{second:?}: {error}");
        }
    }
}
