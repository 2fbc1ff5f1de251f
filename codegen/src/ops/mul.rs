//! Element-wise product.

use super::{Backward, Clamp, Op, as_large_as_output, forward_eval, gradient_of_two};
use crate::{
    error::Result,
    format::Mode,
    lower::{Lowering, Sums},
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{Bounds, Float, FloatBounds, Multiplier, OutputParams, Rounding, Width};

/// `clamp(a * b)`; `b` has the shape of `a`, or one pixel (a factor for each channel), or fewer channels (one for each group of
/// channels of each pixel; with one channel, for each pixel).
#[derive(Clone, Copy, Debug)]
pub struct Mul {
    /// Fused activation.
    pub clamp: Clamp,
}

impl Default for Mul {
    fn default() -> Self {
        Self { clamp: Clamp::NONE }
    }
}

impl Mul {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let mut out = inputs[0].clone();
        let second = super::repeated(inputs[1], out.shape);
        out.data.iter_mut().zip(second).for_each(|(x, y)| *x = self.clamp.apply(*x * y));
        out
    }
}

kernel_call! {
    /// Product.
    MulCall for Mul by rows {
        a: In,
        b: In,
        output: Out,
        a_zero_point: i8,
        b_zero_point: i8,
        multiplier: Multiplier,
        stage: OutputParams,
    }
}

kernel_call! {
    /// Product in floating point.
    MulFloatCall for MulFloat {
        a: In,
        b: In,
        output: Out,
        types: [Float; 3],
        range: FloatBounds,
    }
}

kernel_call! {
    /// Product of either width.
    MulInt16Call for MulInt16 {
        a: In,
        b: In,
        output: Out,
        widths: [Width; 3],
        zero_points: [i32; 2],
        multiplier: Multiplier,
        bounds: Bounds,
        rounding: Rounding,
    }
}

impl Op for Mul {
    fn kind(&self) -> &'static str {
        "Mul"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        Ok(vec![super::first_shape_of_two(inputs)?])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        Some(gradient_of_two(at, self.clamp, |a, b| [b, a]))
    }

    fn absorb(&self, next: &dyn Op) -> Option<Box<dyn Op>> {
        self.clamp.absorb(next).map(|clamp| Box::new(Self { clamp }) as _)
    }

    fn takes_int16(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (a, b, output) = (cx.node().inputs[0], cx.node().inputs[1], cx.node().output());
        let (qa, qb, q) = (cx.qparams(a)?, cx.qparams(b)?, cx.qparams(output)?);
        // In single precision, as TensorFlow Lite derives it.
        let multiplier =
            cx.multiplier_for((qa.scale * qb.scale / q.scale) as f64, Sums::narrow(255 * 255, 1))?;
        let call = MulCall {
            a: In::new(a),
            b: In::new(b),
            output: Out::new(output),
            a_zero_point: qa.zero_point,
            b_zero_point: qb.zero_point,
            multiplier,
            stage: cx.stage(q, self.clamp.min, self.clamp.max),
        };
        let replaced = as_large_as_output(cx);
        cx.push(call).in_place(&replaced);
        Ok(())
    }

    fn lower_int16(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (a, b, output) = (cx.node().inputs[0], cx.node().inputs[1], cx.node().output());
        let (qa, qb, to) = (cx.codes(a)?, cx.codes(b)?, cx.codes(output)?);
        let real = match to.given {
            true => (qa.scale * qb.scale / to.scale) as f64,
            false => qa.scale as f64 * qb.scale as f64 / to.scale as f64,
        };
        let call = MulInt16Call {
            a: In::new(a),
            b: In::new(b),
            output: Out::new(output),
            widths: [qa.width, qb.width, to.width],
            zero_points: [qa.zero_point, qb.zero_point],
            multiplier: cx
                .multiplier_for(real, Sums::of_int16(qa.largest_difference() * qb.largest_difference(), 1))?,
            bounds: to.bounds(self.clamp.min, self.clamp.max),
            rounding: cx.rounding(),
        };
        cx.push(call).in_place(&[a]);
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (a, b, output) = (cx.node().inputs[0], cx.node().inputs[1], cx.node().output());
        let types = [cx.float(a)?, cx.float(b)?, cx.float(output)?];
        let range = self.clamp.float_range();
        let call = MulFloatCall { a: In::new(a), b: In::new(b), output: Out::new(output), types, range };
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
    fn multiplies_elements_and_clamps() {
        let (a, b) = (tensor([1, 2, 2], &[1., -2., 3., 4.]), tensor([1, 2, 2], &[0.5, 1., -7., 4.]));
        assert_eq!(eval(&Mul::default(), &[&a, &b]), tensor([1, 2, 2], &[0.5, -2., -21., 16.]));
        assert_eq!(eval(&Mul { clamp: Clamp::RELU6 }, &[&a, &b]), tensor([1, 2, 2], &[0.5, 0., 0., 6.]));
    }

    #[test]
    fn repeats_a_pixel_or_a_channel() {
        let a = tensor([2, 1, 2], &[1., -2., 3., 4.]);
        let by_channel = eval(&Mul::default(), &[&a, &tensor([1, 1, 2], &[2., -1.])]);
        assert_eq!(by_channel, tensor([2, 1, 2], &[2., 2., 6., -4.]));
        let by_pixel = eval(&Mul::default(), &[&a, &tensor([2, 1, 1], &[2., -1.])]);
        assert_eq!(by_pixel, tensor([2, 1, 2], &[2., -4., -3., -4.]));
        let a = tensor([1, 2, 4], &[1., -2., 3., 4., 5., 6., 7., 8.]);
        let by_group = eval(&Mul::default(), &[&a, &tensor([1, 2, 2], &[2., -1., 0.5, 0.])]);
        assert_eq!(by_group, tensor([1, 2, 4], &[2., -4., -3., -4., 2.5, 3., 0., 0.]));
    }

    #[test]
    fn takes_two_inputs_whose_shapes_meet() {
        assert_refused(
            &Mul::default(),
            &[
                (&[[2, 2, 3]], "expected two inputs, got 1"),
                (&[[2, 2, 3]; 3], "expected two inputs, got 3"),
                (&[[2, 2, 3], [2, 2, 2]], "the same, 1x1x3, or 2x2 and a divisor of 3 channels"),
                (&[[2, 2, 3], [1, 2, 3]], "the same, 1x1x3, or 2x2 and a divisor"),
                (&[[1, 1, 3], [2, 2, 3]], "the same, 1x1x3, or 1x1 and a divisor"),
            ],
        );
    }

    #[test]
    fn int8_is_near_float() {
        // Half a step of either operand times the largest of the other, which is half the largest product, in 255 steps: 1. Then
        // half a step of the output.
        for second in [[9, 7, 6], [1, 1, 6], [9, 7, 1], [9, 7, 3]] {
            let error = lowered_error_of(Mul::default(), &[[9, 7, 6], second]);
            assert!(error <= 1.51, "{second:?}: {error}");
        }
    }
}
