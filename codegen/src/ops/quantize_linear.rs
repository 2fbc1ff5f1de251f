//! Codes of numbers, as ONNX rounds them.

use super::{Backward, Op, forward_eval};
use crate::{
    error::Result,
    format::{Codes, Mode},
    lower::Lowering,
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{Bounds, Float, Width};

/// The input as codes of 8 bits, ties to even: see [`niello_kernels::QuantizeLinear`]. Between other formats it is [`super::Rescale`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantizeLinear {
    /// Whether the zero point is added before it is rounded, so that ties go to the even code.
    pub of_codes: bool,
    /// Whether the file's codes are those of the program plus 128.
    pub unsigned: bool,
}

impl QuantizeLinear {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].clone()
    }
}

kernel_call! {
    /// Codes of numbers, ties to even.
    QuantizeLinearCall for QuantizeLinear by rows {
        input: In,
        output: Out,
        float: Float,
        width: Width,
        scale: f32,
        constant: f32,
        bounds: Bounds,
    }
}

impl Op for QuantizeLinear {
    fn kind(&self) -> &'static str {
        "QuantizeLinear"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        Ok(vec![super::only(inputs)?])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        Some(at.gradient.clone())
    }

    fn keeps_values(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        super::Rescale.lower(cx)
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, mode: Mode) -> Result<()> {
        let (from, to) = (cx.node().inputs[0], cx.node().output());
        let (Ok(float), Ok(Codes { width, scale, zero_point, .. })) = (cx.float(from), cx.codes(to)) else {
            return super::Rescale.lower_float(cx, mode);
        };
        let mut bounds = cx.codes(to)?.bounds(f32::NEG_INFINITY, f32::INFINITY);
        let mut constant = 0.0;
        if self.of_codes {
            let offset = if self.unsigned { 128 } else { 0 };
            (constant, bounds.zero_point) = ((zero_point + offset) as f32, -offset);
        }
        let (input, output) = (In::new(from), Out::new(to));
        cx.push(QuantizeLinearCall { input, output, float, width, scale, constant, bounds });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, eval, lowered_error, tensor};

    #[test]
    fn values_stay() {
        let (x, op) =
            (tensor([1, 2, 2], &[1., -2., 3., 4.]), QuantizeLinear { of_codes: true, unsigned: true });
        assert_eq!(eval(&op, &[&x]), x);
        assert_refused(&op, &[(&[], "expected one input, got 0")]);
        assert!(lowered_error(op, Shape::new(3, 5, 7)) <= 1.01);
    }
}
