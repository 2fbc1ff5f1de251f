//! Channel shuffle: channels of several groups, in turn.

use super::{Backward, Op, RangeRule, forward_eval};
use crate::{
    error::Result,
    format::Mode,
    lower::Lowering,
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::Float;

/// Output channel `i * groups + g` is input channel `g * channels / groups + i`: PyTorch's `channel_shuffle`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShuffleChannels {
    /// A divisor of the number of channels.
    pub groups: usize,
}

impl ShuffleChannels {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let mut out = inputs[0].clone();
        let c = out.shape.c;
        let pixels = out.data.chunks_mut(c).zip(inputs[0].data.chunks(c));
        for (to, from) in pixels {
            for (i, value) in to.iter_mut().enumerate() {
                *value = from[i % self.groups * (c / self.groups) + i / self.groups];
            }
        }
        out
    }
}

kernel_call! {
    /// Channel shuffle.
    ChannelShuffleCall for ChannelShuffle by rows {
        input: In,
        output: Out,
        groups: u32,
    }
}

kernel_call! {
    /// Channel shuffle in floating point.
    ChannelShuffleFloatCall for ChannelShuffleFloat by rows {
        input: In,
        output: Out,
        float: Float,
        groups: u32,
    }
}

kernel_call! {
    /// Channel shuffle of 16 bits.
    ChannelShuffleInt16Call for ChannelShuffleInt16 by rows {
        input: In,
        output: Out,
        groups: u32,
    }
}

impl Op for ShuffleChannels {
    fn kind(&self) -> &'static str {
        "ShuffleChannels"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        match inputs {
            [s] if self.groups > 0 && s.c.is_multiple_of(self.groups) => Ok(vec![*s]),
            _ => Err(format!(
                "expected one input whose channels {} groups divide, got {inputs:?}",
                self.groups
            )),
        }
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        Some(at.moved(self))
    }

    fn is_identity(&self) -> bool {
        self.groups == 1
    }

    fn range_rule(&self) -> RangeRule {
        RangeRule::SameAsInputs
    }

    fn takes_int16(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let call = ChannelShuffleCall {
            input: In::new(input),
            output: Out::new(output),
            groups: self.groups as u32,
        };
        cx.push(call);
        Ok(())
    }

    fn lower_int16(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let (from, to) = (In::new(input), Out::new(output));
        cx.push(ChannelShuffleInt16Call { input: from, output: to, groups: self.groups as u32 });
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let (float, groups) = (cx.float(input)?, self.groups as u32);
        let call = ChannelShuffleFloatCall { input: In::new(input), output: Out::new(output), float, groups };
        cx.push(call);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, eval, lowered_error, tensor};

    #[test]
    fn groups_take_turns() {
        let x = tensor([1, 2, 6], &[0., 1., 2., 3., 4., 5., 10., 11., 12., 13., 14., 15.]);
        let expected = [0., 3., 1., 4., 2., 5., 10., 13., 11., 14., 12., 15.];
        assert_eq!(eval(&ShuffleChannels { groups: 2 }, &[&x]), tensor([1, 2, 6], &expected));
        assert!(lowered_error(ShuffleChannels { groups: 3 }, Shape::new(5, 4, 12)) <= 0.51);
    }

    #[test]
    fn groups_divide_the_channels() {
        let message = "channels 4 groups divide";
        assert_refused(&ShuffleChannels { groups: 4 }, &[(&[[1, 1, 6]], message), (&[], message)]);
        assert_refused(&ShuffleChannels { groups: 0 }, &[(&[[1, 1, 6]], "channels 0 groups divide")]);
    }
}
