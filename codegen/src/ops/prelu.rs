//! Leaky ReLU with trained slopes.

use super::{Backward, Clamp, Function, Op, forward_eval, point_wise};
use crate::{
    error::Result,
    format::Mode,
    lower::{Lowering, Sums},
    program::{Const, In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{Bounds, Float, Multiplier, OutputParams, Rounding, Width};
use std::sync::Arc;

/// `x` where not negative, else `slope * x`.
#[derive(Clone, Debug)]
pub struct PRelu {
    /// One for all channels, or one per channel.
    pub slopes: Arc<[f32]>,
    /// The scale of their codes in int8, where a file gives one; else that of the largest slope.
    pub scale: Option<f32>,
}

impl PRelu {
    /// One slope for all channels, or one per channel.
    pub const fn new(slopes: Arc<[f32]>) -> Self {
        Self { slopes, scale: None }
    }

    /// With slopes of a file that has a zero point: codes less that, at `scale`, need nine bits.
    fn lower_nine_bits(&self, cx: &mut Lowering<'_>, scale: f32) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let (from, to) = (cx.qparams(input)?, cx.qparams(output)?);
        let slopes = self.slopes.iter().cycle().take(cx.graph().shape(input).c);
        let codes: Vec<i16> = slopes.map(|s| (s / scale).round().clamp(-255.0, 255.0) as i16).collect();
        let factor = from.scale as f64 / to.scale as f64;
        let call = PReluInt16Call {
            input: In::new(input),
            output: Out::new(output),
            widths: [Width::Int8; 2],
            slopes: cx.constant(&codes),
            input_zero_point: from.zero_point.into(),
            positive: cx.multiplier_for(factor, Sums::CODES)?,
            negative: cx.multiplier_for(factor * scale as f64, Sums::narrow(255 * 255, 1))?,
            bounds: cx.codes(output)?.bounds(Clamp::NONE.min, Clamp::NONE.max),
            rounding: cx.rounding(),
        };
        cx.push(call).constant_bytes(2 * codes.len()).in_place(&[input]);
        Ok(())
    }

    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let mut out = inputs[0].clone();
        let slopes: Vec<T> = self.slopes.iter().map(|s| T::from_f32(*s)).collect();
        for (i, x) in out.data.iter_mut().enumerate() {
            // One slope is every channel's.
            *x = if x.to_f64() >= 0.0 { *x } else { slopes[i % slopes.len()] * *x };
        }
        out
    }
}

kernel_call! {
    /// A slope per channel.
    PReluCall for PRelu by rows {
        input: In,
        output: Out,
        slopes: Const<i8>,
        input_zero_point: i8,
        positive: Multiplier,
        negative: Multiplier,
        stage: OutputParams,
    }
}

kernel_call! {
    /// A slope per channel in floating point.
    PReluFloatCall for PReluFloat by rows {
        input: In,
        output: Out,
        types: [Float; 2],
        slopes: Const<f32>,
    }
}

kernel_call! {
    /// A slope per channel, of either width.
    PReluInt16Call for PReluInt16 by rows {
        input: In,
        output: Out,
        widths: [Width; 2],
        slopes: Const<i16>,
        input_zero_point: i32,
        positive: Multiplier,
        negative: Multiplier,
        bounds: Bounds,
        rounding: Rounding,
    }
}

impl Op for PRelu {
    fn kind(&self) -> &'static str {
        "PRelu"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        super::check_numbers("slopes", self.slopes.iter().copied().map(f64::from))?;
        if let Some(bad) = self.scale.filter(|scale| !(*scale > 0.0 && scale.is_finite())) {
            return Err(format!("expected a positive scale of slopes, got {bad}"));
        }
        match inputs {
            [s] if self.slopes.len() == 1 || self.slopes.len() == s.c => Ok(vec![*s]),
            _ => Err(format!("expected one input of {} channels, got {inputs:?}", self.slopes.len())),
        }
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        let slopes = self.slopes.iter().cycle();
        let places = at.input().data.iter().zip(&at.gradient.data).zip(slopes);
        let data =
            places.map(|((x, gradient), slope)| if *x > 0.0 { *gradient } else { gradient * *slope as f64 });
        Some(Tensor { shape: at.input().shape, data: data.collect() })
    }

    fn parameters(&self) -> usize {
        self.slopes.len()
    }

    fn takes_int16(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        if let ([slope], None) = (&self.slopes[..], self.scale) {
            let slope = *slope;
            return point_wise::lower(cx, |x| Function::LeakyRelu(slope as f64).eval(x));
        }
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let (from, to) = (cx.qparams(input)?, cx.qparams(output)?);
        let beyond = |scale: &f32| self.slopes.iter().any(|s| (s / scale).round().abs() > 127.0);
        if let Some(scale) = self.scale.filter(beyond) {
            return self.lower_nine_bits(cx, scale);
        }
        let largest = self.slopes.iter().fold(0f32, |m, s| m.max(s.abs()));
        // Slopes of zero need a scale all the same.
        let usual = if largest / 127.0 >= f32::MIN_POSITIVE { largest / 127.0 } else { 1.0 };
        let scale = self.scale.unwrap_or(usual);
        let code = |s: &f32| (s / scale).round().clamp(-127.0, 127.0) as i8;
        let c = cx.graph().shape(input).c;
        let slopes: Vec<i8> = self.slopes.iter().map(code).cycle().take(c).collect();
        let factor = from.scale as f64 / to.scale as f64;
        // Both sides see all codes in the kernel, which then chooses.
        let positive = cx.multiplier_for(factor, Sums::CODES)?;
        let negative = cx.multiplier_for(factor * scale as f64, Sums::narrow(255 * 127, 1))?;
        let bytes = slopes.len();
        let call = PReluCall {
            input: In::new(input),
            output: Out::new(output),
            slopes: cx.constant(&slopes),
            input_zero_point: from.zero_point,
            positive,
            negative,
            stage: cx.stage(to, f32::NEG_INFINITY, f32::INFINITY),
        };
        cx.push(call).constant_bytes(bytes).in_place(&[input]);
        Ok(())
    }

    fn lower_int16(&self, cx: &mut Lowering<'_>) -> Result<()> {
        if let [slope] = self.slopes[..] {
            return point_wise::lower_int16(cx, |x| Function::LeakyRelu(slope as f64).eval(x));
        }
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let (from, to) = (cx.codes(input)?, cx.codes(output)?);
        let largest = self.slopes.iter().fold(0f32, |m, s| m.max(s.abs()));
        // Slopes of zero need a scale all the same.
        let scale = if largest / 32767.0 >= f32::MIN_POSITIVE { largest / 32767.0 } else { 1.0 };
        let codes: Vec<i16> =
            self.slopes.iter().map(|s| (s / scale).round().clamp(-32767.0, 32767.0) as i16).collect();
        let factor = from.scale as f64 / to.scale as f64;
        let values = from.largest_difference();
        let positive = cx.multiplier_for(factor, Sums::of_int16(values, 1))?;
        let products = Sums::of_int16(values * 32767, 1);
        let negative = cx.multiplier_for(factor * scale as f64, products)?;
        let call = PReluInt16Call {
            input: In::new(input),
            output: Out::new(output),
            widths: [from.width, to.width],
            slopes: cx.constant(&codes),
            input_zero_point: from.zero_point,
            positive,
            negative,
            bounds: to.bounds(Clamp::NONE.min, Clamp::NONE.max),
            rounding: cx.rounding(),
        };
        cx.push(call).constant_bytes(2 * codes.len()).in_place(&[input]);
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let c = cx.graph().shape(input).c;
        let slopes: Vec<f32> = self.slopes.iter().copied().cycle().take(c).collect();
        let call = PReluFloatCall {
            input: In::new(input),
            output: Out::new(output),
            types: [cx.float(input)?, cx.float(output)?],
            slopes: cx.constant(&slopes),
        };
        cx.push(call).in_place(&[input]).constant_bytes(4 * slopes.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ops::testing::{assert_near, assert_refused, built_error, eval, seeded_tensor, tensor},
        weights::seeded_values,
    };

    fn prelu(slopes: &[f32]) -> PRelu {
        PRelu::new(slopes.into())
    }

    #[test]
    fn negative_values_are_multiplied_by_their_channels_slope() {
        let x = tensor([1, 2, 2], &[-1., -2., 3., -4.]);
        assert_near(&eval(&prelu(&[0.5, -0.25]), &[&x]), &tensor([1, 2, 2], &[-0.5, 0.5, 3., 1.]));
        assert_near(&eval(&prelu(&[0.5]), &[&x]), &tensor([1, 2, 2], &[-0.5, -1., 3., -2.]));
        assert_eq!((prelu(&[0.5, 1.0]).parameters(), prelu(&[0.5]).parameters()), (2, 1));
    }

    #[test]
    fn takes_as_many_channels_as_slopes_or_any_with_one() {
        let message = "expected one input of 2 channels";
        assert_refused(&prelu(&[0.5, 1.0]), &[(&[[1, 1, 3]], message), (&[[1, 1, 2]; 2], message)]);
        assert!(prelu(&[0.5]).output_shapes(&[Shape::new(4, 5, 6)]).is_ok());
    }

    #[test]
    fn int8_is_within_a_step_of_float() {
        let slopes: Vec<f32> = seeded_values("slopes").take(5).map(|v| 0.5 * v as f32).collect();
        for op in [prelu(&slopes), prelu(&slopes[..1]), prelu(&[0.0; 5])] {
            let input = [seeded_tensor("input", Shape::new(9, 7, 5))];
            // Half a step of the input, which is up to twice as coarse, half a step of a slope at the largest value, half a step of the output.
            let error = built_error(&input, |b, x| b.add_op("op", op.clone(), x));
            assert!(error <= 1.76, "{op:?}: {error}");
        }
    }
}
