//! Squares of element-wise differences.

use super::{Backward, Clamp, Op, as_large_as_output, forward_eval, gradient_of_two};
use crate::{
    error::Result,
    lower::{Lowering, Sums},
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{Multiplier, OutputParams, squared_difference::LEFT_SHIFT};

/// `(a - b)^2`; `b` has one of the shapes of [`super::Sub`]'s. In int8, as TensorFlow Lite computes it; in floating point it is a difference and a
/// function of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SquaredDifference;

impl SquaredDifference {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let mut out = inputs[0].clone();
        let second = super::repeated(inputs[1], out.shape);
        out.data.iter_mut().zip(second).for_each(|(x, y)| *x = (*x - y) * (*x - y));
        out
    }
}

kernel_call! {
    /// Square of a difference at a common scale.
    SquaredDifferenceCall for SquaredDifference by rows {
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

/// Squares of differences of two codes at the common scale, at which a step of the coarser operand is `2^(LEFT_SHIFT - 1)`.
const SQUARES: Sums = Sums::narrow((255 << LEFT_SHIFT) * (255 << LEFT_SHIFT), 1 << (2 * LEFT_SHIFT - 4));

impl Op for SquaredDifference {
    fn kind(&self) -> &'static str {
        "SquaredDifference"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        Ok(vec![super::first_shape_of_two(inputs)?])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        let slopes = |a, b| [2.0 * (a - b), 2.0 * (b - a)];
        Some(gradient_of_two(at, Clamp::NONE, slopes))
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (a, b, output) = (cx.node().inputs[0], cx.node().inputs[1], cx.node().output());
        let (qa, qb, q) = (cx.qparams(a)?, cx.qparams(b)?, cx.qparams(output)?);
        let common = 2.0 * f64::max(qa.scale.into(), qb.scale.into());
        let real = common * common / ((1u64 << (2 * LEFT_SHIFT)) as f64 * q.scale as f64);
        let call = SquaredDifferenceCall {
            a: In::new(a),
            b: In::new(b),
            output: Out::new(output),
            a_zero_point: qa.zero_point,
            b_zero_point: qb.zero_point,
            a_multiplier: cx.multiplier(qa.scale as f64 / common)?,
            b_multiplier: cx.multiplier(qb.scale as f64 / common)?,
            multiplier: cx.multiplier_for(real, SQUARES)?,
            stage: cx.stage(q, f32::NEG_INFINITY, f32::INFINITY),
        };
        let replaced = as_large_as_output(cx);
        cx.push(call).in_place(&replaced);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, built_error, eval, seeded_tensor, tensor};

    #[test]
    fn squares_of_differences() {
        let (a, b) = (tensor([1, 2, 2], &[1., -2., 3., 4.]), tensor([1, 1, 2], &[0.5, 1.]));
        assert_eq!(eval(&SquaredDifference, &[&a, &b]), tensor([1, 2, 2], &[0.25, 9., 6.25, 9.]));
        assert_refused(&SquaredDifference, &[(&[[2, 2, 3]], "expected two inputs, got 1")]);
    }

    #[test]
    fn int8_is_near() {
        let shape = Shape::new(5, 4, 3);
        let inputs = ["a", "b"].map(|seed| seeded_tensor(seed, shape));
        // Half a step of either operand, twice the largest difference, in steps of a result of that squared over 255.
        let error = built_error(&inputs, |b, x| b.add_op("square", SquaredDifference, x));
        assert!(error <= 3.5, "{error}");
    }
}
