//! The channels of each pixel over their length.

use super::{Backward, Op, RangeRule, forward_eval, only};
use crate::{
    error::Result,
    format::{Mode, QParams},
    lower::Lowering,
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::Float;

/// `x[c] / max(sqrt(sum of x^2), 1e-12)`, for each pixel: `torch.nn.functional.normalize` over channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct L2Normalize;

impl L2Normalize {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let mut out = inputs[0].clone();
        for pixel in out.data.chunks_mut(inputs[0].shape.c) {
            let length = pixel.iter().map(|x| x.to_f64() * x.to_f64()).sum::<f64>().sqrt().max(1e-12);
            pixel.iter_mut().for_each(|p| *p = T::from_f64(p.to_f64() / length));
        }
        out
    }
}

kernel_call! {
    /// In integers.
    L2NormalizeCall for L2Normalize {
        input: In,
        output: Out,
        input_zero_point: i8,
    }
}

kernel_call! {
    /// In floating point.
    L2NormalizeFloatCall for L2NormalizeFloat {
        input: In,
        output: Out,
        types: [Float; 2],
    }
}

impl Op for L2Normalize {
    fn kind(&self) -> &'static str {
        "L2Normalize"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let s = only(inputs)?;
        // Squares of at most 255 fit 31 bits.
        if s.c == 0 || s.c > 1 << 15 {
            return Err(format!("expected 1 to 32768 channels, got {}", s.c));
        }
        Ok(vec![s])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        let mut out = at.gradient.clone();
        let c = out.shape.c;
        let pixels = out.data.chunks_mut(c).zip(at.input().data.chunks(c)).zip(at.output.data.chunks(c));
        for ((gradient, x), y) in pixels {
            let length = x.iter().map(|x| x * x).sum::<f64>().sqrt();
            // Below it, the divisor is constant.
            let along = if length > 1e-12 { gradient.iter().zip(y).map(|(g, y)| g * y).sum() } else { 0.0 };
            gradient.iter_mut().zip(y).for_each(|(g, y)| *g = (*g - along * y) / length.max(1e-12));
        }
        Some(out)
    }

    fn range_rule(&self) -> RangeRule {
        RangeRule::Fixed(QParams { scale: 1.0 / 128.0, zero_point: 0 })
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let input_zero_point = cx.qparams(input)?.zero_point;
        let call = L2NormalizeCall { input: In::new(input), output: Out::new(output), input_zero_point };
        cx.push(call).in_place(&[input]);
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let types = [cx.float(input)?, cx.float(output)?];
        cx.push(L2NormalizeFloatCall { input: In::new(input), output: Out::new(output), types });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_near, assert_refused, eval, lowered_error, tensor};

    #[test]
    fn int8_is_within_steps_of_float() {
        // Of pixels that are not short; 1 itself is a step beyond the last code.
        assert!(lowered_error(L2Normalize, Shape::new(9, 7, 5)) <= 2.0);
    }

    #[test]
    fn each_pixel_has_length_one() {
        let x = tensor([1, 3, 2], &[3., -4., 0., 0., 1e-3, 0.]);
        assert_near(&eval(&L2Normalize, &[&x]), &tensor([1, 3, 2], &[0.6, -0.8, 0., 0., 1., 0.]));
        assert_refused(&L2Normalize, &[(&[[1, 1, 40000]], "1 to 32768 channels"), (&[], "one input, got 0")]);
    }
}
