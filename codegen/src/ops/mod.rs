//! One operator, one file: shape rule, float reference, quantisation and lowering.
//!
//! A new operator is a new file with a type that implements [`Op`], and a line below. Nothing else in this crate names
//! operators, except those who add them to graphs (builder, recipes' heads, copies in another format): passes ask [`Op::absorb`] and
//! [`Op::is_identity`], quantisation asks [`Op::range_rule`], the planner reads the steps that [`Op::lower`] appends.

mod add;
mod arg_max;
mod attention;
mod average_pool;
mod batch_norm;
mod clamp;
mod concat;
mod constant;
mod conv;
mod derivative;
mod div;
mod embedding;
mod extremum;
mod function;
mod given;
mod global_average_pool;
mod hard_sigmoid;
mod index;
mod l2_normalize;
mod linear_pair;
mod log_softmax;
mod max_pool;
mod max_position;
mod max_unpool;
mod mul;
mod pad_channels;
mod permute;
mod point_wise;
mod prelu;
mod quantize_linear;
mod reduce;
mod rescale;
mod reshape;
mod resize;
mod sampling;
mod shuffle_channels;
mod slice_channels;
mod softmax;
mod squared_difference;
mod sub;
mod table;
#[cfg(test)]
mod testing;
mod window;

pub use add::Add;
pub use arg_max::ArgMax;
pub use attention::{Attention, Hashing};
pub use average_pool::AveragePool2d;
pub use batch_norm::{BatchNorm, BatchNormParams};
pub use clamp::Clamp;
pub use concat::Concat;
pub use constant::Constant;
pub use conv::{
    Conv2d, ConvParams, GivenFilters, GivenRounding, TransposedConv2d, TransposedConvParams, dilated,
};
pub use div::Div;
pub use embedding::Embedding;
pub use extremum::Extremum;
pub use function::Function;
pub use global_average_pool::GlobalAveragePool;
pub use hard_sigmoid::HardSigmoid;
pub use index::Index;
pub use l2_normalize::L2Normalize;
pub use linear_pair::LinearPair;
pub use log_softmax::LogSoftmax;
pub use max_pool::MaxPool2d;
pub use max_position::MaxPosition2d;
pub use max_unpool::MaxUnpool2d;
pub use mul::Mul;
pub use pad_channels::PadChannels;
pub use permute::Permute;
pub use point_wise::{PointWise, lut};
pub use prelu::PRelu;
pub use quantize_linear::QuantizeLinear;
pub use reduce::{Reduce, ReduceKind};
pub use rescale::Rescale;
pub use reshape::Reshape;
pub use resize::{Resize, ResizeMode};
pub use sampling::{Coordinates, Interpolation, Nearest, Sampling};
pub use shuffle_channels::ShuffleChannels;
pub use slice_channels::SliceChannels;
pub use softmax::Softmax;
pub use squared_difference::SquaredDifference;
pub use sub::Sub;
pub use table::{Table, TabledFunction};

use crate::{
    error::Result,
    format::RangeRule,
    graph::{Backward, Op, ValueId},
    lower::Lowering,
    tensor::{Real, Shape, Tensor},
};
use std::any::Any;

/// Downcasts an operator, for [`Op::absorb`].
pub fn downcast<T: Op>(op: &dyn Op) -> Option<&T> {
    (op as &dyn Any).downcast_ref()
}

/// The shape of the only one of `inputs`.
fn only(inputs: &[Shape]) -> Result<Shape, String> {
    match inputs {
        [one] => Ok(*one),
        _ => Err(format!("expected one input, got {}", inputs.len())),
    }
}

/// Whether an operator has as many parameters as its sizes say.
fn check_len(what: &str, found: usize, wanted: [usize; 4]) -> Result<(), String> {
    match wanted.iter().try_fold(1usize, |product, d| product.checked_mul(*d)) {
        Some(wanted) if wanted == found => Ok(()),
        _ => Err(format!("{found} {what} for sizes of {wanted:?}")),
    }
}

/// Whether all parameters are finite.
fn check_numbers(what: &str, numbers: impl IntoIterator<Item = f64>) -> Result<(), String> {
    match numbers.into_iter().find(|x| !x.is_finite()) {
        Some(bad) => Err(format!("expected finite {what}, got {bad}")),
        None => Ok(()),
    }
}

/// The largest number of elements of a tensor: `2^31 - 1`, which 32-bit cores can address.
pub(crate) const MAX_ELEMENTS: usize = i32::MAX as usize;

/// Whether a tensor of this shape can be: it has pixels and channels, and not too many.
pub(crate) fn check_shape(shape: Shape) -> Result<(), String> {
    let Shape { h, w, c } = shape;
    match h.checked_mul(w).and_then(|area| area.checked_mul(c)) {
        Some(1..=MAX_ELEMENTS) => Ok(()),
        Some(0) => Err(format!("a tensor of {shape} is empty")),
        _ => {
            Err(format!("a tensor of {shape} has more than {MAX_ELEMENTS} elements; choose a smaller input"))
        }
    }
}

/// The shape that all `inputs` share, or an error.
fn same_shape(inputs: &[Shape]) -> Result<Shape, String> {
    match inputs {
        [first, rest @ ..] if rest.iter().all(|s| s == first) => Ok(*first),
        _ => Err(format!("expected inputs of one shape, got {inputs:?}")),
    }
}

/// The shape of the first of two inputs, if the second one has the same, one pixel or a number of channels that divides the first one's.
fn first_shape_of_two(inputs: &[Shape]) -> Result<Shape, String> {
    let [a, b] = inputs else { return Err(format!("expected two inputs, got {}", inputs.len())) };
    let pixel = Shape::new(1, 1, a.c);
    let by_groups = (a.h, a.w) == (b.h, b.w) && b.c > 0 && a.c.is_multiple_of(b.c);
    if *b != pixel && !by_groups {
        let Shape { h, w, c } = a;
        let others = format!("{pixel}, or {h}x{w} and a divisor of {c} channels");
        return Err(format!("expected a second input of the same, {others}, got {a} and {b}"));
    }
    Ok(*a)
}

/// The node's inputs whose memory its output can take: those of its size.
fn as_large_as_output(cx: &Lowering<'_>) -> Vec<ValueId> {
    let (graph, node) = (cx.graph(), cx.node());
    node.inputs.iter().copied().filter(|id| graph.shape(*id) == graph.shape(node.output())).collect()
}

/// The elements of a second input, each as often as one of a first input of `shape` meets it.
fn repeated_places(second: Shape, shape: Shape) -> impl Iterator<Item = usize> {
    let (by_pixel, in_group) = ((second.h, second.w) == (shape.h, shape.w), shape.c / second.c);
    (0..shape.area()).flat_map(move |p| {
        let first = if by_pixel { p * second.c } else { 0 };
        (0..shape.c).map(move |channel| first + channel / in_group)
    })
}

/// Their values.
fn repeated<T: Real>(second: &Tensor<T>, shape: Shape) -> impl Iterator<Item = T> + '_ {
    repeated_places(second.shape, shape).map(|place| second.data[place])
}

/// The gradient of a clamped function of elements of two inputs, the second one repeated, from its derivatives by both.
fn gradient_of_two(at: &Backward<'_>, clamp: Clamp, slopes: impl Fn(f64, f64) -> [f64; 2]) -> Tensor<f64> {
    let [a, b] = [at.inputs[0], at.inputs[1]];
    let pairs = a.data.iter().zip(repeated(b, a.shape)).zip(clamp.go_back(at).data);
    let gradients = pairs.map(|((a, b), gradient)| gradient * slopes(*a, b)[at.index]);
    if at.index == 0 {
        return Tensor { shape: a.shape, data: gradients.collect() };
    }
    let mut sums = Tensor::filled(b.shape, 0.0);
    repeated_places(b.shape, a.shape)
        .zip(gradients)
        .for_each(|(place, gradient)| sums.data[place] += gradient);
    sums
}

/// Forwards both precisions of an [`Op`](crate::Op) to a generic `eval`, for an operator of one result.
#[macro_export]
macro_rules! forward_eval {
    () => {
        fn eval_f32(&self, inputs: &[&$crate::tensor::Tensor<f32>]) -> Vec<$crate::tensor::Tensor<f32>> {
            vec![self.eval(inputs)]
        }
        fn eval_f64(&self, inputs: &[&$crate::tensor::Tensor<f64>]) -> Vec<$crate::tensor::Tensor<f64>> {
            vec![self.eval(inputs)]
        }
    };
}
pub use forward_eval;
