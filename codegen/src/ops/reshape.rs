//! Another shape for the same elements.

use super::{Backward, Op, RangeRule, downcast, forward_eval};
use crate::{
    error::Result,
    format::Mode,
    graph::{Graph, Node, Value, ValueId},
    lower::Lowering,
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use std::sync::Arc;

/// The input's elements in the order height, width, channel (as Keras' `Reshape`; a `view` of PyTorch goes by channel first), in
/// another shape. Free where the result may lie over the input; else a copy, for example into a slice of a concatenation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reshape {
    /// The shape of the result, with as many elements as the input has.
    pub to: Shape,
}

impl Reshape {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        Tensor { shape: self.to, data: inputs[0].data.clone() }
    }
}

kernel_call! {
    /// A copy from one shape to the other.
    ReshapeCall for Reshape {
        input: In,
        output: Out,
    }
}

impl Op for Reshape {
    fn kind(&self) -> &'static str {
        "Reshape"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let s = super::only(inputs)?;
        if s.len() != self.to.len() {
            return Err(format!("{s} has {} elements, {} has {}", s.len(), self.to, self.to.len()));
        }
        Ok(vec![self.to])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        Some(at.moved(self))
    }

    fn absorb(&self, next: &dyn Op) -> Option<Box<dyn Op>> {
        downcast::<Reshape>(next).map(|reshape| Box::new(*reshape) as _)
    }

    fn range_rule(&self) -> RangeRule {
        RangeRule::SameAsInputs
    }

    fn takes_int16(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let call = ReshapeCall { input: In::new(input), output: Out::new(output) };
        cx.push(call).in_place(&[input]);
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        // Bytes are moved, whatever they mean.
        self.lower(cx)
    }
}

impl Graph {
    /// Makes a value the last output. Of an input, or of another output, that is a copy: the caller's memory for an output is written by a layer of
    /// its own.
    pub(crate) fn push_output(&mut self, id: ValueId) {
        if !self.inputs.contains(&id) && !self.outputs.contains(&id) {
            self.outputs.push(id);
            return;
        }
        let (name, shape) = (format!("{}.copy", self.values[id.0].name), self.shape(id));
        self.values.push(Value { name: name.clone(), shape });
        let copy = ValueId(self.values.len() - 1);
        self.nodes.push(Node {
            name,
            op: Arc::new(Reshape { to: shape }),
            inputs: vec![id],
            outputs: vec![copy],
        });
        self.outputs.push(copy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, eval, lowered_error, tensor};

    #[test]
    fn elements_keep_their_order() {
        let x = tensor([1, 1, 6], &[1., 2., 3., 4., 5., 6.]);
        let map = Reshape { to: Shape::new(1, 3, 2) };
        assert_eq!(eval(&map, &[&x]), tensor([1, 3, 2], &[1., 2., 3., 4., 5., 6.]));
        assert_refused(
            &map,
            &[
                (&[[2, 2, 2]], "2x2x2 has 8 elements, 1x3x2 has 6"),
                (&[[1, 3, 2]; 2], "expected one input, got 2"),
            ],
        );
    }

    #[test]
    fn int8_only_rounds_the_input() {
        assert!(lowered_error(Reshape { to: Shape::new(5, 9, 7) }, Shape::new(9, 7, 5)) <= 0.501);
    }
}
