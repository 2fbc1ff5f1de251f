//! A function of one value whose table is given.

use super::{Backward, Function, Op, PointWise, forward_eval, point_wise::TableCall};
use crate::{
    error::Result,
    format::Mode,
    lower::Lowering,
    program::{In, Out},
    tensor::{Real, Shape, Tensor},
};
use std::{fmt, sync::Arc};

/// A function of one value, of which a file has the codes in int8, as another program has rounded them. It knows no other format.
#[derive(Clone)]
pub struct Table {
    /// The function's name, as in reports.
    pub kind: &'static str,
    /// The results for the codes from -128 on, in the formats of operand and result.
    pub entries: Arc<[i8; 256]>,
    /// The function of real numbers, for the float reference.
    pub function: Arc<dyn Fn(f64) -> f64 + Send + Sync>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Table {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].map(|x| T::from_f64((self.function)(x.to_f64())))
    }
}

impl Op for Table {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        Ok(vec![super::only(inputs)?])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        // Only values are known: a central difference.
        let slope = |x: f64| {
            let step = 1e-5 * x.abs().max(1.0);
            ((self.function)(x + step) - (self.function)(x - step)) / (2.0 * step)
        };
        Some(at.by_slope(slope))
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        // Entries are codes of these formats.
        cx.qparams(input)?;
        cx.qparams(output)?;
        let table = cx.constant(&self.entries[..]);
        let call = TableCall { input: In::new(input), output: Out::new(output), table };
        cx.push(call).constant_bytes(256).in_place(&[input]);
        Ok(())
    }
}

/// A function of one value that has a name: a [`Table`] of 8 bits, itself in floating point.
#[derive(Clone, Debug)]
pub struct TabledFunction {
    function: PointWise,
    table: Table,
}

impl TabledFunction {
    /// With these results for the codes from -128 on.
    pub fn new(function: Function, entries: [i8; 256]) -> Self {
        let eval = Arc::new(move |x| function.eval(x));
        let table = Table { kind: function.name(), entries: Arc::new(entries), function: eval };
        Self { function: PointWise(function), table }
    }
}

impl Op for TabledFunction {
    fn kind(&self) -> &'static str {
        self.table.kind
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        self.function.output_shapes(inputs)
    }

    fn eval_f32(&self, inputs: &[&Tensor<f32>]) -> Vec<Tensor<f32>> {
        self.table.eval_f32(inputs)
    }

    fn eval_f64(&self, inputs: &[&Tensor<f64>]) -> Vec<Tensor<f64>> {
        self.table.eval_f64(inputs)
    }

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        self.function.gradient(at)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        self.table.lower(cx)
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, mode: Mode) -> Result<()> {
        self.function.lower_float(cx, mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, eval, lowered_error, tensor};

    fn negated() -> Table {
        let entries = Arc::new(std::array::from_fn(|i| (127 - i as i32).max(-127) as i8));
        Table { kind: "Negated", entries, function: Arc::new(|x| -x) }
    }

    #[test]
    fn the_reference_is_the_function() {
        let x = tensor([1, 2, 1], &[0.5, -3.0]);
        assert_eq!(eval(&negated(), &[&x]), tensor([1, 2, 1], &[-0.5, 3.0]));
        assert_refused(&negated(), &[(&[], "expected one input, got 0")]);
    }

    #[test]
    fn the_reference_of_a_function_with_entries_is_the_function() {
        let half = TabledFunction::new(Function::Affine(0.5, 1.0), [7; 256]);
        assert_eq!(eval(&half, &[&tensor([1, 2, 1], &[0.5, -3.0])]), tensor([1, 2, 1], &[1.25, -0.5]));
        assert_refused(&half, &[(&[], "expected one input, got 0")]);
    }

    #[test]
    fn int8_takes_the_entries() {
        // Formats of ranges that mirror each other: zero points lie a step off.
        assert!(lowered_error(negated(), Shape::new(9, 7, 5)) <= 1.6);
    }
}
