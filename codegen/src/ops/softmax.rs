//! Softmax over channels.

use super::{Op, RangeRule, forward_eval};
use crate::{
    error::Result,
    format::{Mode, QParams},
    lower::Lowering,
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{Float, Multiplier};

/// `exp(x[c]) / sum of exp(x)`, for each pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Softmax;

impl Softmax {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let mut out = inputs[0].clone();
        for pixel in out.data.chunks_mut(inputs[0].shape.c) {
            let largest = pixel.iter().map(|x| x.to_f64()).fold(f64::NEG_INFINITY, f64::max);
            let exps: Vec<f64> = pixel.iter().map(|x| libm::exp(x.to_f64() - largest)).collect();
            let sum: f64 = exps.iter().sum();
            pixel.iter_mut().zip(exps).for_each(|(p, e)| *p = T::from_f64(e / sum));
        }
        out
    }
}

kernel_call! {
    /// Fixed-point softmax.
    SoftmaxCall for Softmax {
        input: In,
        output: Out,
        multiplier: Multiplier,
        min_difference: i32,
    }
}

kernel_call! {
    /// Softmax in floating point.
    SoftmaxFloatCall for SoftmaxFloat {
        input: In,
        output: Out,
        types: [Float; 2],
    }
}

impl Op for Softmax {
    fn kind(&self) -> &'static str {
        "Softmax"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let s = super::only(inputs)?;
        // The kernel keeps the sum of the exponentials with 12 integer bits.
        if s.c == 0 || s.c > 4095 {
            return Err(format!("expected 1 to 4095 classes, got {}", s.c));
        }
        Ok(vec![s])
    }

    forward_eval!();

    fn gives_probabilities(&self) -> bool {
        true
    }

    fn range_rule(&self) -> RangeRule {
        RangeRule::Fixed(QParams { scale: 1.0 / 256.0, zero_point: -128 })
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let scale = cx.qparams(input)?.scale;
        let (multiplier, min_difference) = niello_kernels::Softmax::parameters(scale as f64)
            .ok_or_else(|| cx.error(format!("input scale {scale} is out of range")))?;
        let call =
            SoftmaxCall { input: In::new(input), output: Out::new(output), multiplier, min_difference };
        cx.push(call);
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let types = [cx.float(input)?, cx.float(output)?];
        let call = SoftmaxFloatCall { input: In::new(input), output: Out::new(output), types };
        cx.push(call);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_near, assert_refused, eval, tensor};

    #[test]
    fn shares_of_each_pixel() {
        let ln = f64::ln;
        let x = tensor([1, 2, 3], &[ln(1.), ln(2.), ln(5.), 1000., 1000., -1000.]);
        let shares = tensor([1, 2, 3], &[0.125, 0.25, 0.625, 0.5, 0.5, 0.]);
        // Single precision holds ln 5 to 24 bits; `eval` allows for that.
        assert_near(&eval(&Softmax, &[&x]), &shares);
        assert_refused(
            &Softmax,
            &[(&[], "expected one input, got 0"), (&[[1, 1, 4096]], "1 to 4095 classes, got 4096")],
        );
    }
}
