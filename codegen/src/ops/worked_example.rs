//! Absolute value: the worked example of `docs/adding-an-operator.md`, which shows this file as it is.

use super::{Op, RangeRule, downcast, forward_eval, lut};
use crate::{
    error::Result,
    lower::Lowering,
    program::{Const, In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};

/// `|x|`, element by element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Abs;

impl Abs {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].map(|x| x.maximum(-x))
    }
}

kernel_call! {
    /// A look-up per element.
    AbsCall for Table by rows {
        input: In,
        output: Out,
        table: Const<i8>,
    }
}

impl Op for Abs {
    fn kind(&self) -> &'static str {
        "Abs"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        match inputs {
            [s] => Ok(vec![*s]),
            _ => Err(format!("expected one input, got {}", inputs.len())),
        }
    }

    forward_eval!();

    fn absorb(&self, next: &dyn Op) -> Option<Box<dyn Op>> {
        // ||x|| = |x|
        downcast::<Abs>(next).map(|abs| Box::new(*abs) as _)
    }

    fn range_rule(&self) -> RangeRule {
        RangeRule::Calibrated
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let table = lut(f64::abs, cx.qparams(input)?, cx.qparams(output)?);
        let call = AbsCall { input: In::new(input), output: Out::new(output), table: cx.constant(&table) };
        cx.push(call).constant_bytes(256).in_place(&[input]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, eval, lowered_error, tensor};

    #[test]
    fn sign_goes() {
        let x = tensor([1, 2, 2], &[-1., 2., -0.5, 0.]);
        assert_eq!(eval(&Abs, &[&x]), tensor([1, 2, 2], &[1., 2., 0.5, 0.]));
        assert_refused(&Abs, &[(&[[1, 2, 2]; 2], "expected one input, got 2")]);
    }

    #[test]
    fn int8_is_within_a_step_of_float() {
        // Up to half a step of the input, which is up to twice as coarse, and half a step of the output.
        assert!(lowered_error(Abs, Shape::new(9, 7, 5)) <= 1.51);
    }
}
