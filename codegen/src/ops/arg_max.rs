//! The class of each pixel.

use super::{Op, RangeRule, forward_eval};
use crate::{
    error::Result,
    format::Mode,
    lower::Lowering,
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::Float;

/// `h x w x classes` to `h x w x 1` labels; the first of equal scores wins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArgMax;

impl ArgMax {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let shape = inputs[0].shape;
        let label = |pixel: &[T]| {
            let mut best = 0;
            (1..pixel.len()).for_each(|c| {
                if pixel[c] > pixel[best] {
                    best = c;
                }
            });
            T::from_f64(best as f64)
        };
        let data = inputs[0].data.chunks(shape.c).map(label).collect();
        Tensor { shape: Shape { c: 1, ..shape }, data }
    }
}

kernel_call! {
    /// Labels.
    ArgMaxCall for ArgMax {
        input: In,
        output: Out,
    }
}

kernel_call! {
    /// The class of the largest number.
    ArgMaxFloatCall for ArgMaxFloat {
        input: In,
        output: Out,
        float: Float,
    }
}

impl Op for ArgMax {
    fn kind(&self) -> &'static str {
        "ArgMax"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let s = super::only(inputs)?;
        if s.c == 0 || s.c > 128 {
            return Err(format!("expected 1 to 128 classes, got {}", s.c));
        }
        Ok(vec![Shape { c: 1, ..s }])
    }

    forward_eval!();

    fn range_rule(&self) -> RangeRule {
        RangeRule::Labels
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let call = ArgMaxCall { input: In::new(input), output: Out::new(output) };
        cx.push(call);
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let float = cx.float(input)?;
        cx.push(ArgMaxFloatCall { input: In::new(input), output: Out::new(output), float });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, eval, tensor};

    #[test]
    fn first_of_equal_scores_wins() {
        let x = tensor([1, 3, 3], &[1., 2., 3., 5., 5., 4., -1., -1., -1.]);
        assert_eq!(eval(&ArgMax, &[&x]), tensor([1, 3, 1], &[2., 0., 0.]));
    }

    #[test]
    fn labels_fit_seven_bits() {
        assert!(ArgMax.output_shapes(&[Shape::new(4, 4, 128)]).is_ok());
        assert_refused(&ArgMax, &[(&[[4, 4, 129]], "1 to 128 classes"), (&[[4, 4, 0]], "1 to 128 classes")]);
    }
}
