//! Some channels of a map.

use super::{Backward, Op, RangeRule, concat::CopyCall, forward_eval};
use crate::{
    error::Result,
    format::Mode,
    lower::Lowering,
    program::{In, Out},
    tensor::{Real, Shape, Tensor},
};

/// Channels `first..first + count`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SliceChannels {
    /// The first one.
    pub first: usize,
    /// How many.
    pub count: usize,
}

impl SliceChannels {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let Shape { h, w, c } = inputs[0].shape;
        let pixels = inputs[0].data.chunks(c);
        let data = pixels.flat_map(|pixel| &pixel[self.first..self.first + self.count]).copied().collect();
        Tensor { shape: Shape::new(h, w, self.count), data }
    }
}

impl Op for SliceChannels {
    fn kind(&self) -> &'static str {
        "SliceChannels"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let Self { first, count } = *self;
        match inputs {
            [s] if count > 0 && first.checked_add(count).is_some_and(|end| end <= s.c) => {
                Ok(vec![Shape { c: count, ..*s }])
            }
            _ => Err(format!("expected one input with {count} channels from {first} on, got {inputs:?}")),
        }
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        Some(at.moved(self))
    }

    fn range_rule(&self) -> RangeRule {
        RangeRule::SameAsInputs
    }

    fn takes_int16(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let part = In::channels(input, self.first, self.count);
        cx.push(CopyCall { input: part, output: Out::new(output) });
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        // Bytes are moved, whatever they mean.
        self.lower(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, eval, lowered_error, tensor};

    #[test]
    fn some_channels_of_every_pixel() {
        let x = tensor([2, 1, 3], &[1., 2., 3., 4., 5., 6.]);
        assert_eq!(eval(&SliceChannels { first: 1, count: 2 }, &[&x]), tensor([2, 1, 2], &[2., 3., 5., 6.]));
        assert!(lowered_error(SliceChannels { first: 3, count: 4 }, Shape::new(3, 5, 9)) <= 0.51);
    }

    #[test]
    fn channels_that_are_not_there_are_refused() {
        for (first, count) in [(0, 0), (2, 2), (4, 1), (usize::MAX, 2)] {
            assert_refused(&SliceChannels { first, count }, &[(&[[1, 1, 3]], "expected one input with")]);
        }
        assert_refused(&SliceChannels { first: 0, count: 1 }, &[(&[], "expected one input with 1 channels")]);
    }
}
