//! Axes in another order.

use super::{Backward, Op, RangeRule, Reshape, downcast, forward_eval};
use crate::{
    error::Result,
    format::Mode,
    lower::Lowering,
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::permute::AXES;

/// The input's elements in the order height, width, channel, seen as a dense array of [`Permute::sizes`], with its axes in another order, seen as
/// [`Permute::to`]: `numpy.transpose(a.reshape(sizes), order).reshape(to)`. Transposes, channel shuffle, space to depth, depth to space, and vectors
/// that go by channel first.
#[derive(Clone, Debug, PartialEq)]
pub struct Permute {
    /// Sizes of the axes, 1 to 6 of them, outermost first; their product is the number of elements.
    pub sizes: Vec<usize>,
    /// Which axis of the input each axis of the result is.
    pub order: Vec<usize>,
    /// The shape of the result.
    pub to: Shape,
}

impl Permute {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let axes = self.merged();
        let mut data = Vec::with_capacity(self.to.len());
        let mut at = vec![0; axes.len()];
        for _ in 0..self.to.len() {
            data.push(inputs[0].data[at.iter().zip(&axes).map(|(i, axis)| i * axis.stride).sum::<usize>()]);
            for (i, axis) in at.iter_mut().zip(&axes).rev() {
                *i += 1;
                if *i < axis.size {
                    break;
                }
                *i = 0;
            }
        }
        Tensor { shape: self.to, data }
    }

    /// The axes of the result, outermost first: those of size 1 left out, those that lie one behind the other in the input merged.
    fn merged(&self) -> Vec<Axis> {
        let stride = |axis: usize| self.sizes[axis + 1..].iter().product::<usize>();
        let mut axes: Vec<Axis> = vec![];
        for axis in self.order.iter().map(|axis| Axis { size: self.sizes[*axis], stride: stride(*axis) }) {
            match axes.last_mut() {
                _ if axis.size == 1 => {}
                Some(last) if last.stride == axis.size * axis.stride => {
                    *last = Axis { size: last.size * axis.size, stride: axis.stride };
                }
                _ => axes.push(axis),
            }
        }
        axes
    }

    /// Whether the elements stay in order.
    fn is_reshape(&self) -> bool {
        self.merged().len() <= 1
    }

    /// `self` followed by a `next` that sees the same axes.
    fn then(&self, next: &Self) -> Option<Self> {
        let (sizes, order) =
            (self.sizes.clone(), next.order.iter().map(|axis| self.order.get(*axis).copied()));
        let same = next.sizes.iter().copied().eq(self.order.iter().map(|axis| sizes[*axis]));
        Some(Self { order: order.collect::<Option<_>>()?, sizes, to: next.to }).filter(|_| same)
    }
}

/// An axis of the result.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Axis {
    size: usize,
    /// Elements of the input from one to the next.
    stride: usize,
}

kernel_call! {
    /// A strided copy.
    PermuteCall for Permute {
        input: In,
        output: Out,
        element: u32,
        sizes: [u32; AXES],
        strides: [u32; AXES],
    }
}

impl Op for Permute {
    fn kind(&self) -> &'static str {
        "Permute"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let s = super::only(inputs)?;
        let Self { sizes, order, to } = self;
        if !(1..=AXES).contains(&sizes.len()) || sizes.contains(&0) {
            return Err(format!("expected 1 to {AXES} axes, none empty, got {sizes:?}"));
        }
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..sizes.len()) {
            return Err(format!("expected each of {} axes once, got {order:?}", sizes.len()));
        }
        let len = sizes.iter().try_fold(1usize, |len, size| len.checked_mul(*size));
        if len != Some(s.len()) || s.len() != to.len() {
            return Err(format!("{s} has {} elements, axes of {sizes:?}, {to} has {}", s.len(), to.len()));
        }
        Ok(vec![*to])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        Some(at.moved(self))
    }

    fn absorb(&self, next: &dyn Op) -> Option<Box<dyn Op>> {
        let both = match (downcast::<Reshape>(next), downcast::<Permute>(next)) {
            (Some(reshape), _) => Self { to: reshape.to, ..self.clone() },
            (_, Some(next)) => self.then(next)?,
            _ => return None,
        };
        Some(if both.is_reshape() { Box::new(Reshape { to: both.to }) } else { Box::new(both) })
    }

    fn range_rule(&self) -> RangeRule {
        RangeRule::SameAsInputs
    }

    fn takes_int16(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        if self.is_reshape() {
            return Reshape { to: self.to }.lower(cx);
        }
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let (mut sizes, mut strides) = ([1; AXES], [0; AXES]);
        let axes = self.merged();
        for (i, axis) in (AXES - axes.len()..).zip(axes) {
            (sizes[i], strides[i]) = (axis.size as u32, axis.stride as u32);
        }
        let element = cx.format(output).bytes() as u32;
        let call = PermuteCall { input: In::new(input), output: Out::new(output), element, sizes, strides };
        cx.push(call);
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

    fn permute(sizes: &[usize], order: &[usize], [h, w, c]: [usize; 3]) -> Permute {
        Permute { sizes: sizes.to_vec(), order: order.to_vec(), to: Shape::new(h, w, c) }
    }

    fn counted(shape: [usize; 3]) -> Tensor<f64> {
        tensor(shape, &(0..shape.iter().product()).map(|i: usize| i as f64).collect::<Vec<_>>())
    }

    #[test]
    fn axes_take_turns() {
        // By channel first.
        let by_channel = permute(&[1, 2, 3], &[2, 0, 1], [1, 1, 6]);
        assert_eq!(eval(&by_channel, &[&counted([1, 2, 3])]).data, [0., 3., 1., 4., 2., 5.]);
        let transposed = permute(&[2, 2, 2], &[1, 0, 2], [2, 2, 2]);
        assert_eq!(eval(&transposed, &[&counted([2, 2, 2])]).data, [0., 1., 4., 5., 2., 3., 6., 7.]);
        // Space to depth of blocks of 2 x 2.
        let blocks = permute(&[1, 2, 2, 2, 1], &[0, 2, 1, 3, 4], [1, 2, 4]);
        assert_eq!(eval(&blocks, &[&counted([2, 4, 1])]).data, [0., 1., 4., 5., 2., 3., 6., 7.]);
        // As torch.Tensor.permute has it.
        let x = counted([3, 4, 10]);
        let found = eval(&permute(&[3, 4, 2, 5], &[2, 0, 3, 1], [2, 3, 20]), &[&x]);
        let expected = (0..120).map(|i| {
            let (a, b, c, d) = (i / 60, i / 20 % 3, i / 4 % 5, i % 4);
            (b * 40 + d * 10 + a * 5 + c) as f64
        });
        assert!(found.data.into_iter().eq(expected));
    }

    #[test]
    fn one_after_the_other_is_one() {
        let first = permute(&[2, 3, 4], &[2, 0, 1], [4, 2, 3]);
        let x = counted([2, 3, 4]);
        let back = permute(&[4, 2, 3], &[1, 2, 0], [2, 3, 4]);
        let both = first.absorb(&back).expect("the same axes");
        assert_eq!(both.kind(), "Reshape");
        assert_eq!(both.eval_f64(&[&x])[0], x);
        let turned = permute(&[4, 2, 3], &[0, 2, 1], [12, 1, 2]);
        let both = first.absorb(&turned).expect("the same axes");
        assert_eq!(both.eval_f64(&[&x]), turned.eval_f64(&[&first.eval(&[&x])]));
        let seen = first.absorb(&Reshape { to: Shape::new(1, 1, 24) }).expect("it only moves");
        assert_eq!(seen.eval_f64(&[&x])[0].data, first.eval(&[&x]).data);
        assert!(first.absorb(&permute(&[8, 3], &[1, 0], [1, 3, 8])).is_none());
    }

    #[test]
    fn axes_that_do_not_fit_are_refused() {
        let cases: &[(&[[usize; 3]], &str)] = &[(&[[1, 2, 3]], "expected")];
        for (sizes, order) in [
            (&[][..], &[][..]),
            (&[1, 1, 1, 1, 1, 1, 6], &[0, 1, 2, 3, 4, 5, 6]),
            (&[2, 3], &[0, 0]),
            (&[2, 3], &[0]),
            (&[2, 3], &[1, 2]),
            (&[0, 6], &[0, 1]),
        ] {
            assert_refused(&permute(sizes, order, [1, 1, 6]), cases);
        }
        let cases: &[(&[[usize; 3]], &str)] =
            &[(&[[1, 2, 3]], "1x2x3 has 6 elements"), (&[], "expected one input")];
        assert_refused(&permute(&[2, 4], &[1, 0], [1, 2, 3]), cases);
        assert_refused(&permute(&[2, 3], &[1, 0], [1, 2, 4]), cases);
        assert_refused(&permute(&[usize::MAX, 3], &[1, 0], [1, 2, 3]), cases);
    }

    #[test]
    fn int8_only_rounds_the_input() {
        for (sizes, order) in
            [(&[5, 4, 6][..], &[2, 1, 0][..]), (&[5, 4, 6], &[0, 2, 1]), (&[20, 3, 2], &[0, 2, 1])]
        {
            assert!(lowered_error(permute(sizes, order, [10, 4, 3]), Shape::new(5, 4, 6)) <= 0.501);
        }
        assert!(lowered_error(permute(&[5, 4, 6], &[0, 1, 2], [10, 4, 3]), Shape::new(5, 4, 6)) <= 0.501);
    }
}
