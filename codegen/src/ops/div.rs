//! Element-wise quotient.

use super::{Backward, Clamp, Op, as_large_as_output, forward_eval, gradient_of_two};
use crate::{
    error::Result,
    format::Mode,
    lower::Lowering,
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{Float, FloatBounds};

/// `clamp(a / b)`, in floating point only; `b` has the shape of `a`, or one pixel (a value for each channel), or channels that divide those of `a` (a
/// value for each group of channels of each pixel). A constant divisor is a factor: [`Mul`](super::Mul), in every format.
#[derive(Clone, Copy, Debug)]
pub struct Div {
    /// Fused activation.
    pub clamp: Clamp,
}

impl Default for Div {
    fn default() -> Self {
        Self { clamp: Clamp::NONE }
    }
}

impl Div {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let mut out = inputs[0].clone();
        let second = super::repeated(inputs[1], out.shape);
        out.data.iter_mut().zip(second).for_each(|(x, y)| *x = self.clamp.apply(*x / y));
        out
    }
}

kernel_call! {
    /// Quotient in floating point.
    DivFloatCall for DivFloat by rows {
        a: In,
        b: In,
        output: Out,
        types: [Float; 3],
        range: FloatBounds,
    }
}

impl Op for Div {
    fn kind(&self) -> &'static str {
        "Div"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        Ok(vec![super::first_shape_of_two(inputs)?])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        Some(gradient_of_two(at, self.clamp, |a, b| [1.0 / b, -a / (b * b)]))
    }

    fn absorb(&self, next: &dyn Op) -> Option<Box<dyn Op>> {
        self.clamp.absorb(next).map(|clamp| Box::new(Self { clamp }) as _)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        Err(cx.error(
            "a quotient of two tensors has no form in integers; compute this layer in floating point, or multiply by the reciprocal",
        ))
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (a, b, output) = (cx.node().inputs[0], cx.node().inputs[1], cx.node().output());
        let types = [cx.float(a)?, cx.float(b)?, cx.float(output)?];
        let range = self.clamp.float_range();
        let call = DivFloatCall { a: In::new(a), b: In::new(b), output: Out::new(output), types, range };
        let replaced = as_large_as_output(cx);
        cx.push(call).in_place(&replaced);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, eval, tensor};

    #[test]
    fn divides_elements_and_clamps() {
        let (a, b) = (tensor([1, 2, 2], &[1., -2., 3., 4.]), tensor([1, 2, 2], &[0.5, 1., -6., 4.]));
        assert_eq!(eval(&Div::default(), &[&a, &b]), tensor([1, 2, 2], &[2., -2., -0.5, 1.]));
        let of_channels = eval(&Div { clamp: Clamp::RELU }, &[&a, &tensor([1, 1, 2], &[1., 2.])]);
        assert_eq!(of_channels, tensor([1, 2, 2], &[1., 0., 3., 2.]));
        assert_refused(&Div::default(), &[(&[[2, 2, 3]], "expected two inputs, got 1")]);
    }
}
