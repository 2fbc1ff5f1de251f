//! The larger or the smaller of two tensors, element by element.

use super::{
    Backward, Clamp, Op, add::CommonScale, as_large_as_output, first_shape_of_two, forward_eval,
    gradient_of_two, repeated,
};
use crate::{
    error::Result,
    format::Mode,
    lower::Lowering,
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{Bounds, Float, Multiplier, Rounding, Width};

/// The larger or the smaller element of two; the second tensor has the shape of the first, or one pixel, or fewer channels, as for
/// [`Mul`](super::Mul). NaN where one of both is, as in `torch.maximum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extremum {
    /// Whether the larger one is taken.
    pub largest: bool,
}

impl Extremum {
    /// `max(a, b)`.
    pub const MAXIMUM: Self = Self { largest: true };
    /// `min(a, b)`.
    pub const MINIMUM: Self = Self { largest: false };

    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let mut out = inputs[0].clone();
        let second = repeated(inputs[1], out.shape);
        out.data.iter_mut().zip(second).for_each(|(x, y)| {
            let is_beyond = if self.largest { *x > y } else { *x < y };
            *x = if is_beyond || x.to_f64().is_nan() { *x } else { y };
        });
        out
    }
}

kernel_call! {
    /// Of codes of either width.
    ExtremumCall for Extremum by rows {
        a: In,
        b: In,
        output: Out,
        widths: [Width; 3],
        zero_points: [i32; 2],
        a_multiplier: Multiplier,
        b_multiplier: Multiplier,
        multiplier: Multiplier,
        bounds: Bounds,
        rounding: Rounding,
        largest: bool,
    }
}

kernel_call! {
    /// In floating point.
    ExtremumFloatCall for ExtremumFloat by rows {
        a: In,
        b: In,
        output: Out,
        types: [Float; 3],
        largest: bool,
    }
}

impl Op for Extremum {
    fn kind(&self) -> &'static str {
        if self.largest { "Maximum" } else { "Minimum" }
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        Ok(vec![first_shape_of_two(inputs)?])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        // Of equal elements each has half of it.
        let share = |taken: f64, other: f64| match taken.partial_cmp(&other) {
            Some(order) if order.is_eq() => 0.5,
            Some(order) if order.is_gt() == self.largest => 1.0,
            _ => 0.0,
        };
        Some(gradient_of_two(at, Clamp::NONE, |a, b| [share(a, b), share(b, a)]))
    }

    fn takes_int16(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (a, b, output) = (cx.node().inputs[0], cx.node().inputs[1], cx.node().output());
        let (qa, qb, to) = (cx.codes(a)?, cx.codes(b)?, cx.codes(output)?);
        let factors = CommonScale::of_codes(cx, [qa, qb, to], 1 << 29)?;
        let call = ExtremumCall {
            a: In::new(a),
            b: In::new(b),
            output: Out::new(output),
            widths: [qa.width, qb.width, to.width],
            zero_points: [qa.zero_point, qb.zero_point],
            a_multiplier: factors.a,
            b_multiplier: factors.b,
            multiplier: factors.result,
            bounds: to.bounds(f32::NEG_INFINITY, f32::INFINITY),
            rounding: cx.rounding(),
            largest: self.largest,
        };
        let replaced = as_large_as_output(cx);
        cx.push(call).in_place(&replaced);
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (a, b, output) = (cx.node().inputs[0], cx.node().inputs[1], cx.node().output());
        let call = ExtremumFloatCall {
            a: In::new(a),
            b: In::new(b),
            output: Out::new(output),
            types: [cx.float(a)?, cx.float(b)?, cx.float(output)?],
            largest: self.largest,
        };
        let replaced = as_large_as_output(cx);
        cx.push(call).in_place(&replaced);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, eval, lowered_error_of, tensor};

    #[test]
    fn takes_the_larger_or_the_smaller_one() {
        let (a, b) = (tensor([1, 2, 2], &[1., -2., 3., f64::NAN]), tensor([1, 1, 2], &[0.5, -1.]));
        let found = eval(&Extremum::MAXIMUM, &[&a.map(|x| if x.is_nan() { 4. } else { x }), &b]);
        assert_eq!(found, tensor([1, 2, 2], &[1., -1., 3., 4.]));
        let found = Extremum::MINIMUM.eval(&[&a, &b]);
        assert_eq!(found.data[..3], [0.5, -2., 0.5]);
        assert!(found.data[3].is_nan());
        assert_refused(
            &Extremum::MINIMUM,
            &[(&[[2, 2, 3], [1, 2, 3]], "expected a second input of the same")],
        );
    }

    #[test]
    fn int8_is_within_steps_of_float() {
        // Half a step of the operand that is taken, and half a step of the output.
        for op in [Extremum::MAXIMUM, Extremum::MINIMUM] {
            for second in [[9, 7, 6], [1, 1, 6], [9, 7, 3]] {
                let error = lowered_error_of(op, &[[9, 7, 6], second]);
                assert!(error <= 1.21, "{op:?} {second:?}: {error}");
            }
        }
    }
}
