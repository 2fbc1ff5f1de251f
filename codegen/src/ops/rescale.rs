//! The same values in another number format.

use super::{Backward, Op, forward_eval};
use crate::{
    error::Result,
    format::{Codes, Format, Mode},
    lower::Lowering,
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{Bounds, Float, Width};

/// The input, at the scale and width that the output was given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rescale;

impl Rescale {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].clone()
    }
}

kernel_call! {
    /// Another type.
    CastFloatCall for CastFloat by rows {
        input: In,
        output: Out,
        types: [Float; 2],
    }
}

kernel_call! {
    /// Codes of numbers.
    QuantizeFloatCall for QuantizeFloat by rows {
        input: In,
        output: Out,
        float: Float,
        width: Width,
        scale: f32,
        bounds: Bounds,
    }
}

kernel_call! {
    /// Numbers of codes.
    DequantizeFloatCall for DequantizeFloat by rows {
        input: In,
        output: Out,
        width: Width,
        float: Float,
        scale: f32,
        zero_point: i32,
    }
}

impl Op for Rescale {
    fn kind(&self) -> &'static str {
        "Rescale"
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

    fn takes_int16(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        super::Clamp::NONE.lower(cx)
    }

    fn lower_int16(&self, cx: &mut Lowering<'_>) -> Result<()> {
        super::Clamp::NONE.lower_int16(cx)
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (from, to) = (cx.node().inputs[0], cx.node().output());
        let (input, output) = (In::new(from), Out::new(to));
        match (cx.format(from), cx.format(to)) {
            (Format::Float(a), Format::Float(b)) => {
                cx.push(CastFloatCall { input, output, types: [a, b] });
            }
            (Format::Float(float), _) => {
                let Codes { width, scale, .. } = cx.codes(to)?;
                let bounds = cx.codes(to)?.bounds(f32::NEG_INFINITY, f32::INFINITY);
                cx.push(QuantizeFloatCall { input, output, float, width, scale, bounds });
            }
            (_, _) => {
                let (Codes { width, scale, zero_point, .. }, float) = (cx.codes(from)?, cx.float(to)?);
                cx.push(DequantizeFloatCall { input, output, width, float, scale, zero_point });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, eval, lowered_error, tensor};

    #[test]
    fn values_stay() {
        let x = tensor([1, 2, 2], &[1., -2., 3., 4.]);
        assert_eq!(eval(&Rescale, &[&x]), x);
        assert_refused(&Rescale, &[(&[], "expected one input, got 0")]);
        assert!(lowered_error(Rescale, Shape::new(3, 5, 7)) <= 1.01);
    }
}
