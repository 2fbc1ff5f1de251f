//! The interface of operators.
//!
//! [`Op::lower`] names the lowering context, which stands above graphs: the only import of the crate that runs up. Without it an operator would be
//! two types, one that nodes hold and one that is lowered.

use super::Backward;
use crate::{
    error::Result,
    format::{Mode, RangeRule},
    lower::Lowering,
    tensor::{Shape, Tensor},
};
use std::{any::Any, fmt};

/// An operator.
pub trait Op: Any + fmt::Debug + Send + Sync {
    /// Its name, as in reports.
    fn kind(&self) -> &'static str;

    /// Shapes of the outputs, or what is wrong with the inputs.
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String>;

    /// The float reference in single precision. `inputs` have shapes that [`Op::output_shapes`] accepted.
    fn eval_f32(&self, inputs: &[&Tensor<f32>]) -> Vec<Tensor<f32>>;

    /// The float reference in double precision.
    fn eval_f64(&self, inputs: &[&Tensor<f64>]) -> Vec<Tensor<f64>>;

    /// The gradient of a number by one of the operands, from that by the only result, in double precision; of the operand's shape. `None` where there is
    /// none. At a kink it is PyTorch's. Operands that are labels are not asked for. See [`crate::grad_cam`].
    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        let _ = at;
        None
    }

    /// Multiply-accumulates of convolutions and matrix products.
    fn macs(&self, inputs: &[Shape], outputs: &[Shape]) -> u64 {
        let _ = (inputs, outputs);
        0
    }

    /// Number of trained parameters.
    fn parameters(&self) -> usize {
        0
    }

    /// The one operator that does the work of `self` followed by `next`, if there is one.
    fn absorb(&self, next: &dyn Op) -> Option<Box<dyn Op>> {
        let _ = next;
        None
    }

    /// Whether the output is the input.
    fn is_identity(&self) -> bool {
        false
    }

    /// Whether the results are probabilities.
    fn gives_probabilities(&self) -> bool {
        false
    }

    /// Whether the result holds the input's values, in another number format (see [`crate::check::warnings`]).
    fn keeps_values(&self) -> bool {
        false
    }

    /// Whether it takes the mean of each channel over all of an input of this shape (see [`crate::passes::cam`]).
    fn is_mean_of(&self, input: Shape) -> bool {
        let _ = input;
        false
    }

    /// The operator that does to each pixel of a map what `self` does to a vector, without the constant that it adds; `None` if it
    /// is not linear or looks at more than one pixel (see [`crate::passes::cam`]).
    fn linear_part(&self) -> Option<Box<dyn Op>> {
        None
    }

    /// Where the output's scale comes from.
    fn range_rule(&self) -> RangeRule {
        RangeRule::Calibrated
    }

    /// Whether the inputs are class labels, not numbers.
    fn takes_labels(&self) -> bool {
        false
    }

    /// Whether a producer of an input may write straight into the output (concatenation). Such an operator has no constants: it is lowered
    /// for every placement that is tried.
    fn places_inputs(&self) -> bool {
        false
    }

    /// Whether operands and result may have 16 bits, each for itself (all of them, if they share one scale).
    fn takes_int16(&self) -> bool {
        false
    }

    /// The rounding noise of its weights in 8 bits over their signal (sums of squares), if it can have weights of 16 bits.
    fn weight_noise(&self) -> Option<f64> {
        None
    }

    /// Whether it can take the result of `producer` row by row, so that the whole of it is never in memory.
    /// [`Lowering::takes_rows`] then says whether it shall. Its constants are the same either way.
    fn can_take_rows_of(&self, producer: &dyn Op) -> bool {
        let _ = producer;
        false
    }

    /// Appends the kernel calls of `cx.node()`.
    ///
    /// # Errors
    /// When the numbers do not allow an exact integer meaning: the error names the layer and says why.
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()>;

    /// Appends the kernel calls of `cx.node()`, of which operands, results or weights have 16 bits; as [`Op::lower`] for operators that move bytes.
    ///
    /// # Errors
    /// As for [`Op::lower`].
    fn lower_int16(&self, cx: &mut Lowering<'_>) -> Result<()> {
        self.lower(cx)
    }

    /// Appends the kernel calls of `cx.node()` in floating point: results, and operands but for labels, are [`Lowering::float`].
    ///
    /// # Errors
    /// Where the operator has no such form, or a parameter is not a number of that type.
    fn lower_float(&self, cx: &mut Lowering<'_>, mode: Mode) -> Result<()> {
        Err(cx.error(format!("cannot compute in {}", mode.name())))
    }
}
