//! Channels of zeros behind a map's own.

use super::{Backward, Op, RangeRule, forward_eval};
use crate::{
    error::Result,
    format::Mode,
    lower::Lowering,
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};

/// The input's channels, then `more` of zeros.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PadChannels {
    /// How many channels of zeros.
    pub more: usize,
}

impl PadChannels {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let Shape { h, w, c } = inputs[0].shape;
        let mut out = Tensor::filled(Shape::new(h, w, c + self.more), T::default());
        for (to, from) in out.data.chunks_mut(c + self.more).zip(inputs[0].data.chunks(c)) {
            to[..c].copy_from_slice(from);
        }
        out
    }
}

kernel_call! {
    /// A copy with zeros behind.
    PadChannelsCall for PadChannels by rows {
        input: In,
        output: Out,
        zero_point: i8,
    }
}

impl Op for PadChannels {
    fn kind(&self) -> &'static str {
        "PadChannels"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let s = super::only(inputs)?;
        match s.c.checked_add(self.more) {
            Some(c) if s.c > 0 && c <= 1 << 20 => Ok(vec![Shape { c, ..s }]),
            _ => Err(format!("expected 1 to 2^20 channels in all, got {} more than {s}", self.more)),
        }
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        Some(at.moved(self))
    }

    fn is_identity(&self) -> bool {
        self.more == 0
    }

    fn range_rule(&self) -> RangeRule {
        RangeRule::SameAsInputs
    }

    fn takes_int16(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        // At 16 bits, a channel is two bytes and 0 is zeros.
        let zero_point = cx.codes(output)?.zero_point as i8;
        let call = PadChannelsCall { input: In::new(input), output: Out::new(output), zero_point };
        cx.push(call);
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        // The bytes of 0 are zeros.
        let call = PadChannelsCall { input: In::new(input), output: Out::new(output), zero_point: 0 };
        cx.push(call);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, eval, lowered_error, tensor};

    #[test]
    fn zeros_follow_in_every_pixel() {
        let x = tensor([2, 1, 2], &[1., 2., 3., 4.]);
        assert_eq!(eval(&PadChannels { more: 1 }, &[&x]), tensor([2, 1, 3], &[1., 2., 0., 3., 4., 0.]));
        assert!(lowered_error(PadChannels { more: 7 }, Shape::new(3, 5, 4)) <= 0.51);
    }

    #[test]
    fn what_cannot_be_a_number_of_channels_is_refused() {
        let message = "2^20 channels in all";
        assert_refused(&PadChannels { more: usize::MAX }, &[(&[[1, 1, 6]], message)]);
        assert_refused(&PadChannels { more: 3 }, &[(&[[1, 1, 0]], message), (&[], "expected one input")]);
    }
}
