//! Logarithm of softmax over channels.

use super::{Backward, Op, RangeRule, forward_eval, only};
use crate::{
    error::Result,
    format::{Mode, QParams},
    lower::Lowering,
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{Float, Multiplier};

/// `x[c] - ln(sum of exp(x))`, for each pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogSoftmax;

impl LogSoftmax {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let mut out = inputs[0].clone();
        for pixel in out.data.chunks_mut(inputs[0].shape.c) {
            let largest = pixel.iter().map(|x| x.to_f64()).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = pixel.iter().map(|x| libm::exp(x.to_f64() - largest)).sum();
            let log = libm::log(sum);
            pixel.iter_mut().for_each(|p| *p = T::from_f64(p.to_f64() - largest - log));
        }
        out
    }
}

kernel_call! {
    /// In fixed point.
    LogSoftmaxCall for LogSoftmax {
        input: In,
        output: Out,
        multiplier: Multiplier,
        min_difference: i32,
    }
}

kernel_call! {
    /// In floating point.
    LogSoftmaxFloatCall for LogSoftmaxFloat {
        input: In,
        output: Out,
        types: [Float; 2],
    }
}

impl Op for LogSoftmax {
    fn kind(&self) -> &'static str {
        "LogSoftmax"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let s = only(inputs)?;
        // The kernel keeps the sum of the exponentials with 12 integer bits.
        if s.c == 0 || s.c > 4095 {
            return Err(format!("expected 1 to 4095 classes, got {}", s.c));
        }
        Ok(vec![s])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        let mut out = at.gradient.clone();
        let c = out.shape.c;
        for (gradient, logarithm) in out.data.chunks_mut(c).zip(at.output.data.chunks(c)) {
            let sum: f64 = gradient.iter().sum();
            gradient.iter_mut().zip(logarithm).for_each(|(g, l)| *g -= libm::exp(*l) * sum);
        }
        Some(out)
    }

    fn range_rule(&self) -> RangeRule {
        RangeRule::Fixed(QParams { scale: 1.0 / 16.0, zero_point: 127 })
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let scale = cx.qparams(input)?.scale;
        let (multiplier, min_difference) = niello_kernels::Softmax::parameters(scale as f64)
            .ok_or_else(|| cx.error(format!("input scale {scale} is out of range")))?;
        let call =
            LogSoftmaxCall { input: In::new(input), output: Out::new(output), multiplier, min_difference };
        cx.push(call).in_place(&[input]);
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let types = [cx.float(input)?, cx.float(output)?];
        cx.push(LogSoftmaxFloatCall { input: In::new(input), output: Out::new(output), types });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_near, assert_refused, eval, lowered_error, tensor};

    #[test]
    fn int8_is_within_a_step_of_float() {
        // A step of the input, a quarter of the result's, and half a step of the result.
        assert!(lowered_error(LogSoftmax, Shape::new(9, 7, 5)) <= 0.76);
    }

    #[test]
    fn logarithms_of_the_shares() {
        let ln = f64::ln;
        let x = tensor([1, 2, 3], &[ln(1.), ln(2.), ln(5.), 1000., 1000., 980.]);
        let last = ln(2. + f64::exp(-20.));
        let logs = tensor([1, 2, 3], &[ln(0.125), ln(0.25), ln(0.625), -last, -last, -20. - last]);
        assert_near(&eval(&LogSoftmax, &[&x]), &logs);
        assert_refused(
            &LogSoftmax,
            &[(&[], "expected one input, got 0"), (&[[1, 1, 4096]], "1 to 4095 classes, got 4096")],
        );
    }
}
