//! Concatenation along channels: mostly free, because producers write into their slice of the result.

use super::{Backward, Op, RangeRule, SliceChannels, forward_eval};
use crate::{
    error::Result,
    format::Mode,
    lower::Lowering,
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};

/// Channels of all inputs, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Concat;

impl Concat {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let shape = self.output_shapes(&inputs.iter().map(|t| t.shape).collect::<Vec<_>>());
        let shape = shape.expect("shapes were checked")[0];
        let mut data = Vec::with_capacity(shape.len());
        for y in 0..shape.h {
            for x in 0..shape.w {
                inputs.iter().for_each(|t| data.extend_from_slice(t.pixel(y, x)));
            }
        }
        Tensor { shape, data }
    }
}

kernel_call! {
    /// A plain copy.
    CopyCall for CopyElements by rows {
        input: In,
        output: Out,
    }
}

impl Op for Concat {
    fn kind(&self) -> &'static str {
        "Concat"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        match inputs {
            [first, rest @ ..] if rest.iter().all(|s| (s.h, s.w) == (first.h, first.w)) => {
                Ok(vec![Shape { c: inputs.iter().map(|s| s.c).sum(), ..*first }])
            }
            _ => Err(format!("expected inputs of one height and width, got {inputs:?}")),
        }
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        let first = at.inputs[..at.index].iter().map(|input| input.shape.c).sum();
        SliceChannels { first, count: at.input().shape.c }.eval_f64(&[at.gradient]).pop()
    }

    fn is_identity(&self) -> bool {
        false
    }

    fn range_rule(&self) -> RangeRule {
        RangeRule::SameAsInputs
    }

    fn places_inputs(&self) -> bool {
        true
    }

    fn takes_int16(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (inputs, output) = (cx.node().inputs.clone(), cx.node().output());
        let mut first = 0;
        for input in inputs {
            let c = cx.graph().shape(input).c;
            let (format, whole) = (cx.format(input), cx.format(output));
            if format != whole {
                let name = &cx.graph().values[input.0].name;
                return Err(cx.error(format!("`{name}` is {}, the result {}", format.name(), whole.name())));
            }
            if !cx.is_placed(input) {
                let call = CopyCall { input: In::new(input), output: Out::channels(output, first, c) };
                cx.push(call);
            }
            first += c;
        }
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
    use crate::ops::testing::{assert_refused, eval, tensor};

    #[test]
    fn channels_follow_each_other_in_every_pixel() {
        let (a, b) = (tensor([2, 1, 2], &[1., 2., 3., 4.]), tensor([2, 1, 1], &[5., 6.]));
        assert_eq!(eval(&Concat, &[&a, &b]), tensor([2, 1, 3], &[1., 2., 5., 3., 4., 6.]));
    }

    #[test]
    fn inputs_share_height_and_width() {
        assert_refused(
            &Concat,
            &[(&[[2, 2, 1], [2, 3, 1]], "one height and width"), (&[], "one height and width")],
        );
    }
}
