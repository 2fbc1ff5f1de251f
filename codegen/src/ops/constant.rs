//! A tensor that the network holds.

use super::{Op, check_len, check_numbers, check_shape};
use crate::{
    error::Result,
    format::Mode,
    lower::Lowering,
    program::{Const, Out, kernel_call},
    tensor::{Shape, Tensor},
};

/// A tensor that is the same for every input. It takes no inputs; its values are copied from the weights to where their readers find them.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// The tensor; finite.
    pub value: Tensor<f32>,
}

kernel_call! {
    /// A copy of bytes.
    ConstantCall for Constant {
        output: Out,
        data: Const<i8>,
    }
}

impl Op for Constant {
    fn kind(&self) -> &'static str {
        "Constant"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let Tensor { shape, data } = &self.value;
        if !inputs.is_empty() {
            return Err(format!("expected no input, got {}", inputs.len()));
        }
        check_shape(*shape)?;
        check_len("values", data.len(), [shape.h, shape.w, shape.c, 1])?;
        check_numbers("values", data.iter().copied().map(f64::from))?;
        Ok(vec![*shape])
    }

    fn eval_f32(&self, _: &[&Tensor<f32>]) -> Vec<Tensor<f32>> {
        vec![self.value.clone()]
    }

    fn eval_f64(&self, _: &[&Tensor<f64>]) -> Vec<Tensor<f64>> {
        vec![self.value.map(f64::from)]
    }

    fn takes_int16(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let output = cx.node().output();
        let codes = cx.format(output).encode(&self.value.data);
        let data = cx.constant(&codes);
        cx.push(ConstantCall { output: Out::new(output), data }).constant_bytes(codes.len());
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        // Its numbers are encoded in whichever format the result has.
        self.lower(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{
        Add,
        testing::{assert_refused, built_error, eval, seeded_tensor, tensor},
    };

    #[test]
    fn the_same_for_every_input() {
        let value = Tensor::new(Shape::new(1, 2, 1), vec![0.5, -3.0]).expect("two values");
        assert_eq!(eval(&Constant { value: value.clone() }, &[]), tensor([1, 2, 1], &[0.5, -3.0]));
        assert_refused(&Constant { value }, &[(&[[1, 2, 1]], "expected no input, got 1")]);
    }

    #[test]
    fn what_is_no_tensor_is_refused() {
        let of = |shape: [usize; 3], data: &[f32]| Constant {
            value: Tensor { shape: Shape::new(shape[0], shape[1], shape[2]), data: data.to_vec() },
        };
        assert_refused(&of([0, 1, 1], &[]), &[(&[], "is empty")]);
        assert_refused(&of([1, 2, 1], &[1.0]), &[(&[], "1 values for sizes of [1, 2, 1, 1]")]);
        assert_refused(&of([1, 1, 1], &[f32::INFINITY]), &[(&[], "finite values")]);
    }

    #[test]
    fn int8_only_rounds_the_values() {
        let shape = Shape::new(5, 4, 3);
        let [x, value] = ["x", "constant"].map(|seed| seeded_tensor(seed, shape));
        let error = built_error(&[x], |b, inputs| {
            let constant = b.add_op("constant", Constant { value: value.clone() }, &[]);
            b.add_op("sum", Add::default(), &[inputs[0], constant])
        });
        // Half a step of either operand, which is half a step of the output, and half a step of the output.
        assert!(error <= 1.01, "{error}");
    }
}
