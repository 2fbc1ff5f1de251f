//! Element-wise sum.

use super::{Backward, Clamp, Op, as_large_as_output, forward_eval, gradient_of_two};
use crate::{
    error::Result,
    format::{Codes, Mode, QParams},
    lower::{Lowering, Sums},
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{
    Bounds, Float, FloatBounds, Multiplier, OutputParams, Rounding, Width, add::LEFT_SHIFT,
};

/// `clamp(a + b)`; `b` has the shape of `a`, or one pixel (a value for each channel), or channels that divide those of `a` (a value for each
/// group of channels of each pixel).
#[derive(Clone, Copy, Debug)]
pub struct Add {
    /// Fused activation.
    pub clamp: Clamp,
}

impl Default for Add {
    fn default() -> Self {
        Self { clamp: Clamp::NONE }
    }
}

impl Add {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let mut out = inputs[0].clone();
        let second = super::repeated(inputs[1], out.shape);
        out.data.iter_mut().zip(second).for_each(|(x, y)| *x = self.clamp.apply(*x + y));
        out
    }
}

/// Factors that bring two operands to a common scale, and their sum or difference to the output's.
pub(super) struct CommonScale {
    pub(super) a: Multiplier,
    pub(super) b: Multiplier,
    pub(super) result: Multiplier,
}

/// Sums or differences of two codes at the common scale, at which a step of the coarser operand is `2^(LEFT_SHIFT - 1)`.
const SUMS: Sums = Sums::narrow(255 << LEFT_SHIFT, 1 << (LEFT_SHIFT - 2));

impl CommonScale {
    /// As TensorFlow Lite derives them: twice the larger scale is the common one.
    pub(super) fn new(cx: &Lowering<'_>, a: QParams, b: QParams, output: QParams) -> Result<Self> {
        Self::between(cx, [a, b, output].map(|q| q.scale), LEFT_SHIFT, SUMS)
    }

    /// The same for two operands and a result of either width, in 15 more bits; `largest` is the magnitude that results at the common scale can have.
    pub(super) fn of_codes(cx: &Lowering<'_>, codes: [Codes; 3], largest: i64) -> Result<Self> {
        // A step of the coarser operand is 2^14.
        Self::between(cx, codes.map(|q| q.scale), 15, Sums::of_int16(largest, 1 << 13))
    }

    fn between(cx: &Lowering<'_>, scales: [f32; 3], bits: u32, sums: Sums) -> Result<Self> {
        let [a, b, output] = scales.map(f64::from);
        let common = 2.0 * f64::max(a, b);
        Ok(Self {
            a: cx.multiplier(a / common)?,
            b: cx.multiplier(b / common)?,
            result: cx.multiplier_for(common / ((1u64 << bits) as f64 * output), sums)?,
        })
    }
}

kernel_call! {
    /// Sum at a common scale.
    AddCall for Add by rows {
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
    /// The same with an operand that is repeated.
    AddRepeatedCall for AddRepeated by rows {
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
    /// Sum in floating point.
    AddFloatCall for AddFloat by rows {
        a: In,
        b: In,
        output: Out,
        types: [Float; 3],
        range: FloatBounds,
    }
}

kernel_call! {
    /// Sum of either width.
    AddInt16Call for AddInt16 by rows {
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

impl Op for Add {
    fn kind(&self) -> &'static str {
        "Add"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        Ok(vec![super::first_shape_of_two(inputs)?])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        Some(gradient_of_two(at, self.clamp, |_, _| [1.0, 1.0]))
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
        let factors = CommonScale::new(cx, qa, qb, q)?;
        let call = AddCall {
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
        if cx.graph().shape(b) == cx.graph().shape(output) {
            cx.push(call).in_place(&replaced);
            return Ok(());
        }
        let AddCall { a, b, output, a_zero_point, b_zero_point, .. } = call;
        let AddCall { a_multiplier, b_multiplier, multiplier, stage, .. } = call;
        let call = AddRepeatedCall {
            a,
            b,
            output,
            a_zero_point,
            b_zero_point,
            a_multiplier,
            b_multiplier,
            multiplier,
            stage,
        };
        cx.push(call).in_place(&replaced);
        Ok(())
    }

    fn lower_int16(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (a, b, output) = (cx.node().inputs[0], cx.node().inputs[1], cx.node().output());
        let (qa, qb, to) = (cx.codes(a)?, cx.codes(b)?, cx.codes(output)?);
        let factors = CommonScale::of_codes(cx, [qa, qb, to], i32::MAX.into())?;
        let call = AddInt16Call {
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
        let replaced = as_large_as_output(cx);
        cx.push(call).in_place(&replaced);
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (a, b, output) = (cx.node().inputs[0], cx.node().inputs[1], cx.node().output());
        let types = [cx.float(a)?, cx.float(b)?, cx.float(output)?];
        let range = self.clamp.float_range();
        let call = AddFloatCall { a: In::new(a), b: In::new(b), output: Out::new(output), types, range };
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
    fn sums_elements_and_clamps() {
        let (a, b) = (tensor([1, 2, 2], &[1., -2., 3., 4.]), tensor([1, 2, 2], &[0.5, 1., -7., 4.]));
        assert_eq!(eval(&Add::default(), &[&a, &b]), tensor([1, 2, 2], &[1.5, -1., -4., 8.]));
        assert_eq!(eval(&Add { clamp: Clamp::RELU6 }, &[&a, &b]), tensor([1, 2, 2], &[1.5, 0., 0., 6.]));
    }

    #[test]
    fn takes_two_inputs_whose_shapes_meet() {
        assert_refused(
            &Add::default(),
            &[
                (&[[2, 2, 3]], "expected two inputs, got 1"),
                (&[[2, 2, 3]; 3], "expected two inputs, got 3"),
                (&[[2, 2, 3], [2, 2, 2]], "the same, 1x1x3, or 2x2 and a divisor of 3"),
            ],
        );
    }

    #[test]
    fn int8_is_near_float() {
        // Half a step of either operand, which is half a step of the output, and half a step of the output.
        for second in [[9, 7, 6], [1, 1, 6], [9, 7, 1], [9, 7, 3]] {
            let error = lowered_error_of(Add::default(), &[[9, 7, 6], second]);
            assert!(error <= 1.01, "{second:?}: {error}");
        }
    }
}
