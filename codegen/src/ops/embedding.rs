//! Rows of a trained table by labels.

use super::{Op, RangeRule, forward_eval};
use crate::{
    error::Result,
    format::{Mode, QParams},
    lower::Lowering,
    program::{Const, In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{Float, float::half};
use std::sync::Arc;

/// `h x w x 1` labels to `h x w x width` rows of a table, as `torch.nn.Embedding` gives them. A label beyond the last row stands for
/// the last row (PyTorch refuses it), a negative one for the first.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    width: usize,
    /// `[rows, width]`.
    table: Arc<[f32]>,
}

/// Labels are 0 to 127.
const MAX_ROWS: usize = 128;

impl Embedding {
    /// `table` is `[rows, width]`.
    pub fn new(width: usize, table: Arc<[f32]>) -> Self {
        Self { width, table }
    }

    /// Number of labels.
    pub fn rows(&self) -> usize {
        self.table.len().checked_div(self.width).unwrap_or(0)
    }

    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        // Numbers below 0 and beyond the last row saturate.
        let row = |label: &T| (label.to_f64() as usize).min(self.rows() - 1) * self.width;
        let rows = inputs[0].data.iter().map(|label| &self.table[row(label)..][..self.width]);
        let data = rows.flatten().map(|v| T::from_f32(*v)).collect();
        Tensor { shape: Shape { c: self.width, ..inputs[0].shape }, data }
    }

    /// Any label may come: the range is that of the whole table.
    fn format(&self) -> QParams {
        let (min, max) = self.table.iter().fold((0f32, 0f32), |(min, max), v| (min.min(*v), max.max(*v)));
        QParams::from_range(min, max)
    }
}

kernel_call! {
    /// A row for each label.
    EmbeddingCall for Embedding by rows {
        input: In,
        output: Out,
        table: Const<i8>,
    }
}

kernel_call! {
    /// A row of numbers for each label.
    EmbeddingFloatCall for EmbeddingFloat {
        input: In,
        output: Out,
        float: Float,
        table: Const<f32>,
        halves: Const<u16>,
    }
}

impl Op for Embedding {
    fn kind(&self) -> &'static str {
        "Embedding"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let s = super::only(inputs)?;
        if s.c != 1 {
            return Err(format!("expected one label per pixel, got {s}"));
        }
        super::check_numbers("numbers", self.table.iter().copied().map(f64::from))?;
        super::check_len("numbers", self.table.len(), [self.rows(), self.width, 1, 1])?;
        if !(1..=MAX_ROWS).contains(&self.rows()) {
            return Err(format!("expected a table of 1 to {MAX_ROWS} rows, got {}", self.rows()));
        }
        Ok(vec![Shape { c: self.width, ..s }])
    }

    forward_eval!();

    fn parameters(&self) -> usize {
        self.table.len()
    }

    fn takes_labels(&self) -> bool {
        true
    }

    fn range_rule(&self) -> RangeRule {
        RangeRule::Fixed(self.format())
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let to = cx.qparams(output)?;
        let table: Vec<i8> = self.table.iter().map(|v| to.quantize(*v)).collect();
        let call =
            EmbeddingCall { input: In::new(input), output: Out::new(output), table: cx.constant(&table) };
        cx.push(call).constant_bytes(table.len());
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let float = cx.float(output)?;
        let halves: Vec<u16> = match float {
            Float::F16 => self.table.iter().map(|x| half::from_f32(*x)).collect(),
            Float::F32 => vec![],
        };
        let single: &[f32] = if halves.is_empty() { &self.table } else { &[] };
        let bytes = 4 * single.len() + 2 * halves.len();
        let (table, halves) = (cx.constant(single), cx.constant(&halves));
        let call =
            EmbeddingFloatCall { input: In::new(input), output: Out::new(output), float, table, halves };
        cx.push(call).constant_bytes(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, eval, lowered_error, tensor};

    fn table(rows: usize, width: usize) -> Embedding {
        Embedding::new(width, (0..rows * width).map(|i| i as f32 / 4.0 - 1.0).collect())
    }

    #[test]
    fn labels_pick_rows_and_saturate() {
        let labels = tensor([1, 4, 1], &[1., 0., 7., -3.]);
        let rows = tensor([1, 4, 2], &[-0.5, -0.25, -1., -0.75, 0., 0.25, -1., -0.75]);
        assert_eq!(eval(&table(3, 2), &[&labels]), rows);
    }

    #[test]
    fn one_label_per_pixel_and_as_many_rows_as_labels() {
        assert_refused(
            &table(3, 2),
            &[(&[[1, 1, 2]], "one label per pixel"), (&[[1, 1, 1]; 2], "expected one input, got 2")],
        );
        assert_refused(&table(129, 2), &[(&[[1, 1, 1]], "1 to 128 rows, got 129")]);
        assert_refused(&Embedding::new(0, [].into()), &[(&[[1, 1, 1]], "1 to 128 rows, got 0")]);
    }

    #[test]
    fn int8_only_rounds_the_table() {
        assert!(lowered_error(table(3, 9), Shape::new(5, 4, 1)) <= 0.501);
    }
}
