//! Hard sigmoid: a function of one value that has no kernel of its own.

use super::{Backward, Op, RangeRule, forward_eval, only, point_wise};
use crate::{
    error::Result,
    format::{Mode, QParams},
    lower::Lowering,
    program::{Const, In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{Float, FloatBounds};

/// `clamp(x / 6 + 1 / 2, 0, 1)`, element by element: `torch.nn.Hardsigmoid`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HardSigmoid;

impl HardSigmoid {
    fn of(x: f64) -> f64 {
        (x / 6.0 + 0.5).clamp(0.0, 1.0)
    }

    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].map(|x| T::from_f64(Self::of(x.to_f64())))
    }
}

kernel_call! {
    /// In floating point: a factor, an offset and a clamp, the same for each channel.
    HardSigmoidFloatCall for ScaleFloat by rows {
        input: In,
        output: Out,
        types: [Float; 2],
        scale: Const<f32>,
        offset: Const<f32>,
        range: FloatBounds,
    }
}

impl Op for HardSigmoid {
    fn kind(&self) -> &'static str {
        "HardSigmoid"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        Ok(vec![only(inputs)?])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        Some(at.by_slope(|x| if x.abs() < 3.0 { 1.0 / 6.0 } else { 0.0 }))
    }

    fn gives_probabilities(&self) -> bool {
        true
    }

    fn range_rule(&self) -> RangeRule {
        RangeRule::Fixed(QParams { scale: 1.0 / 256.0, zero_point: -128 })
    }

    fn takes_int16(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        point_wise::lower(cx, Self::of)
    }

    fn lower_int16(&self, cx: &mut Lowering<'_>) -> Result<()> {
        point_wise::lower_int16(cx, Self::of)
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let c = cx.graph().shape(input).c;
        let call = HardSigmoidFloatCall {
            input: In::new(input),
            output: Out::new(output),
            types: [cx.float(input)?, cx.float(output)?],
            scale: cx.constant(&vec![1.0f32 / 6.0; c]),
            offset: cx.constant(&vec![0.5f32; c]),
            range: FloatBounds { least: 0.0, most: 1.0 },
        };
        cx.push(call).in_place(&[input]).constant_bytes(8 * c);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, eval, lowered_error, tensor};

    #[test]
    fn known_points() {
        let x = tensor([1, 5, 1], &[-4.0, -3.0, 0.0, 1.5, 7.0]);
        assert_eq!(eval(&HardSigmoid, &[&x]), tensor([1, 5, 1], &[0.0, 0.0, 0.5, 0.75, 1.0]));
        assert_refused(&HardSigmoid, &[(&[[1, 2, 2]; 2], "expected one input, got 2")]);
    }

    #[test]
    fn int8_is_within_a_step_of_float() {
        // Half a step of the input, a sixth as steep, in steps of 1/256; and half a step of the output.
        assert!(lowered_error(HardSigmoid, Shape::new(9, 7, 5)) <= 0.86);
    }
}
