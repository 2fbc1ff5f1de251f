//! The same values in another number format.

use super::{Op, forward_eval, int16};
use crate::{
    error::Result,
    graph::Shape,
    lower::Lowering,
    tensor::{Real, Tensor},
};

/// The input, at the scale and width that the output was given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rescale;

impl Rescale {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].clone()
    }
}

impl Op for Rescale {
    fn kind(&self) -> &'static str {
        "Rescale"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        Ok(vec![super::same_shape(inputs)?])
    }

    forward_eval!();

    fn takes_int16(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        int16::rescale(cx, super::Clamp::NONE)
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
        assert_refused(&Rescale, &[(&[], "one shape")]);
        assert!(lowered_error(Rescale, Shape::new(3, 5, 7)) <= 1.01);
    }
}
