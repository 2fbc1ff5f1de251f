//! Sums and products as onnxruntime computes them on codes of 8 bits.

use super::{Add, Backward, Clamp, Mul, Op, as_large_as_output, forward_eval, gradient_of_two};
use crate::{
    error::Result,
    format::Mode,
    lower::Lowering,
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::OutputParams;

/// `a + b` or `a * b`; `b` has one of the shapes of [`super::Sub`]'s. In int8, as onnxruntime computes it: see [`niello_kernels::LinearPair`]. In floating
/// point there are [`super::Add`] and [`super::Mul`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinearPair {
    /// Whether it is a product.
    pub product: bool,
    /// Whether it is an operator of codes (`QLinearAdd`, `QLinearMul`), which adds the zero point of the result before it rounds, so that ties go to the
    /// even code; else one of real numbers, between codes.
    pub of_codes: bool,
    /// Whether the second operand of the file is the first one here.
    pub swapped: bool,
    /// Whether codes of both operands and of the result are those of the program plus 128 in the file.
    pub unsigned: [bool; 3],
}

impl LinearPair {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let mut out = inputs[0].clone();
        let second = super::repeated(inputs[1], out.shape);
        out.data.iter_mut().zip(second).for_each(|(x, y)| *x = if self.product { *x * y } else { *x + y });
        out
    }
}

kernel_call! {
    /// Sum or product in single precision.
    LinearPairCall for LinearPair by rows {
        a: In,
        b: In,
        output: Out,
        product: bool,
        a_offset: i32,
        b_offset: i32,
        a_factor: f32,
        b_factor: f32,
        a_constant: f32,
        b_constant: f32,
        factor: f32,
        divisor: f32,
        constant: f32,
        stage: OutputParams,
    }
}

impl Op for LinearPair {
    fn kind(&self) -> &'static str {
        "LinearPair"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        Ok(vec![super::first_shape_of_two(inputs)?])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        let slopes = |a, b| if self.product { [b, a] } else { [1.0, 1.0] };
        Some(gradient_of_two(at, Clamp::NONE, slopes))
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (a, b, output) = (cx.node().inputs[0], cx.node().inputs[1], cx.node().output());
        let (qa, qb, q) = (cx.qparams(a)?, cx.qparams(b)?, cx.qparams(output)?);
        let offset = self.unsigned.map(|is| if is { 128 } else { 0 });
        let stage = cx.stage(q, f32::NEG_INFINITY, f32::INFINITY);
        // Of real numbers between codes.
        let mut call = LinearPairCall {
            a: In::new(a),
            b: In::new(b),
            output: Out::new(output),
            product: self.product,
            a_offset: -(qa.zero_point as i32),
            b_offset: -(qb.zero_point as i32),
            a_factor: qa.scale,
            b_factor: qb.scale,
            a_constant: 0.0,
            b_constant: 0.0,
            factor: 1.0,
            divisor: q.scale,
            constant: 0.0,
            stage,
        };
        if self.of_codes {
            // Zero points as in the file.
            let file = |zero_point: i8, offset: i32| (zero_point as i32 + offset) as f32;
            let (za, zb, z) = (
                file(qa.zero_point, offset[0]),
                file(qb.zero_point, offset[1]),
                file(q.zero_point, offset[2]),
            );
            (call.divisor, call.stage.zero_point) = (1.0, (-offset[2]) as i8);
            if self.product {
                (call.a_factor, call.b_factor) = (1.0, 1.0);
                (call.factor, call.constant) = (qa.scale * qb.scale / q.scale, z);
            } else {
                (call.a_offset, call.b_offset) = (offset[0], offset[1]);
                (call.a_factor, call.b_factor) = (qa.scale / q.scale, qb.scale / q.scale);
                let constant = z - (call.a_factor * za + call.b_factor * zb);
                // To the second operand of the file.
                *(if self.swapped { &mut call.a_constant } else { &mut call.b_constant }) = constant;
            }
        }
        let replaced = as_large_as_output(cx);
        cx.push(call).in_place(&replaced);
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, mode: Mode) -> Result<()> {
        match self.product {
            true => Mul::default().lower_float(cx, mode),
            false => Add::default().lower_float(cx, mode),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, built_error, eval, seeded_tensor, tensor};

    fn pair(product: bool, of_codes: bool, unsigned: bool) -> LinearPair {
        LinearPair { product, of_codes, swapped: false, unsigned: [unsigned; 3] }
    }

    #[test]
    fn sums_and_products() {
        let (a, b) = (tensor([1, 2, 2], &[1., -2., 3., 4.]), tensor([1, 1, 2], &[0.5, 1.]));
        assert_eq!(eval(&pair(false, true, true), &[&a, &b]), tensor([1, 2, 2], &[1.5, -1., 3.5, 5.]));
        assert_eq!(eval(&pair(true, true, true), &[&a, &b]), tensor([1, 2, 2], &[0.5, -2., 1.5, 4.]));
        assert_refused(&pair(false, true, true), &[(&[[2, 2, 3]], "expected two inputs, got 1")]);
    }

    #[test]
    fn int8_is_near() {
        let shape = Shape::new(5, 4, 3);
        let inputs = ["a", "b"].map(|seed| seeded_tensor(seed, shape));
        for op in [[false, false], [false, true], [true, false], [true, true]] {
            for unsigned in [false, true] {
                let [product, of_codes] = op;
                let op = pair(product, of_codes, unsigned);
                let error = built_error(&inputs, |b, x| b.add_op("pair", op, x));
                assert!(error <= 2.5, "{op:?}: {error}");
            }
        }
    }
}
