//! Softmax over channels.

use super::{Backward, Op, RangeRule, forward_eval, given};
use crate::{
    error::Result,
    format::{Mode, QParams},
    lower::{Lowering, Sums},
    program::{Const, In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{Float, FloatBounds, Multiplier};

/// `exp(beta * x[c]) / sum of exp(beta * x)`, for each pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Softmax {
    /// Factor of the scores: a positive number.
    pub beta: f32,
}

/// The usual softmax, whose scores have a factor of 1.
#[allow(non_upper_case_globals, reason = "reads like the operators without parameters")]
pub const Softmax: Softmax = Softmax { beta: 1.0 };

impl Softmax {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let mut out = inputs[0].clone();
        for pixel in out.data.chunks_mut(inputs[0].shape.c) {
            let scores: Vec<f64> = pixel.iter().map(|x| x.to_f64() * self.beta as f64).collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let exps: Vec<f64> = scores.iter().map(|x| libm::exp(x - largest)).collect();
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
    /// Softmax of 16 bits.
    SoftmaxInt16Call for SoftmaxInt16 {
        input: In,
        output: Out,
        multiplier: Multiplier,
        exp: Const<i16>,
        inverse: Const<i16>,
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

kernel_call! {
    /// The factor of the scores.
    ScaleCall for ScaleFloat by rows {
        input: In,
        output: Out,
        types: [Float; 2],
        scale: Const<f32>,
        offset: Const<f32>,
        range: FloatBounds,
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
        if !(self.beta > 0.0 && self.beta.is_finite()) {
            return Err(format!("expected a positive factor, got {}", self.beta));
        }
        Ok(vec![s])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        let mut out = at.gradient.clone();
        let c = out.shape.c;
        for (gradient, p) in out.data.chunks_mut(c).zip(at.output.data.chunks(c)) {
            let mean: f64 = gradient.iter().zip(p).map(|(g, p)| g * p).sum();
            gradient.iter_mut().zip(p).for_each(|(g, p)| *g = f64::from(self.beta) * p * (*g - mean));
        }
        Some(out)
    }

    fn gives_probabilities(&self) -> bool {
        true
    }

    fn range_rule(&self) -> RangeRule {
        RangeRule::Fixed(QParams { scale: 1.0 / 256.0, zero_point: -128 })
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let scale = cx.qparams(input)?.scale;
        let beta = self.beta as f64;
        let (multiplier, min_difference) = niello_kernels::Softmax::parameters(beta * scale as f64)
            .ok_or_else(|| cx.error(format!("input scale {scale} is out of range")))?;
        let call =
            SoftmaxCall { input: In::new(input), output: Out::new(output), multiplier, min_difference };
        cx.push(call);
        Ok(())
    }

    fn lower_int16(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let (from, to) = (cx.codes(input)?, cx.codes(output)?);
        if !(from.given && to.given) {
            return Err(cx.error("is supported in 16 bits only where a file has the codes"));
        }
        // Differences of codes as steps of a table from -10 to 0.
        let real = (from.scale * self.beta) as f64 / (10.0 / 65535.0);
        let (exp, inverse) = given::softmax_tables();
        let call = SoftmaxInt16Call {
            input: In::new(input),
            output: Out::new(output),
            multiplier: cx.multiplier_for(real, Sums::of_int16(65535, 1))?,
            exp: cx.constant(&exp),
            inverse: cx.constant(&inverse),
        };
        cx.push(call).in_place(&[input]).constant_bytes(2 * (exp.len() + inverse.len()));
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let [from, to] = [cx.float(input)?, cx.float(output)?];
        if self.beta == 1.0 {
            let call =
                SoftmaxFloatCall { input: In::new(input), output: Out::new(output), types: [from, to] };
            cx.push(call);
            return Ok(());
        }
        // The scores with their factor take the place of the result.
        let c = cx.graph().shape(input).c;
        let scaled = ScaleCall {
            input: In::new(input),
            output: Out::new(output),
            types: [from, to],
            scale: cx.constant(&vec![self.beta; c]),
            offset: cx.constant(&vec![0.0f32; c]),
            range: FloatBounds::ALL,
        };
        cx.push(scaled).in_place(&[input]).constant_bytes(8 * c);
        let call = SoftmaxFloatCall { input: In::new(output), output: Out::new(output), types: [to; 2] };
        cx.push(call).in_place(&[output]);
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
        let halves = tensor([1, 1, 2], &[2. * ln(1.), 2. * ln(3.)]);
        assert_near(&eval(&Softmax { beta: 0.5 }, &[&halves]), &tensor([1, 1, 2], &[0.25, 0.75]));
        for beta in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert_refused(&Softmax { beta }, &[(&[[1, 1, 3]], "positive factor")]);
        }
        assert_refused(
            &Softmax,
            &[(&[], "expected one input, got 0"), (&[[1, 1, 4096]], "1 to 4095 classes, got 4096")],
        );
    }
}
