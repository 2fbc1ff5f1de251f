//! Mean, sum, largest and smallest element along axes.

use super::{Backward, Clamp, Op, RangeRule, forward_eval, only};
use crate::{
    error::Result,
    format::Mode,
    lower::{Lowering, Sums},
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{Bounds, Float, Multiplier, OutputParams, Reduction, Rounding, Width};

/// What becomes of the elements along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReduceKind {
    /// Their mean.
    Mean,
    /// Their sum.
    Sum,
    /// The largest one.
    Max,
    /// The smallest one.
    Min,
}

/// One element for all along some axes, which keep size 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reduce {
    /// Whether height, width, channels are reduced.
    pub axes: [bool; 3],
    /// To what.
    pub kind: ReduceKind,
}

impl Reduce {
    /// How many elements of an input become one.
    fn count(&self, s: Shape) -> usize {
        let sides = [s.h, s.w, s.c].into_iter().zip(self.axes);
        sides.fold(1, |count, (side, reduced)| count.saturating_mul(if reduced { side } else { 1 }))
    }

    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let Shape { h, w, c } = inputs[0].shape;
        let shape = self.output_shapes(&[inputs[0].shape]).expect("shapes were checked")[0];
        let mut out: Vec<Option<T>> = vec![None; shape.len()];
        let of = |i: usize, at| if self.axes[i] { 0 } else { at };
        for (y, x) in (0..h).flat_map(|y| (0..w).map(move |x| (y, x))) {
            let first = (of(0, y) * shape.w + of(1, x)) * shape.c;
            for (channel, value) in inputs[0].pixel(y, x).iter().enumerate().take(c) {
                let result = &mut out[first + of(2, channel)];
                *result = Some(match (*result, self.kind) {
                    (None, _) => *value,
                    (Some(r), ReduceKind::Mean | ReduceKind::Sum) => r + *value,
                    (Some(r), ReduceKind::Max) => r.maximum(*value),
                    (Some(r), ReduceKind::Min) => r.minimum(*value),
                });
            }
        }
        let count = if self.kind == ReduceKind::Mean { self.count(inputs[0].shape) } else { 1 };
        let count = T::from_f64(count as f64);
        let data = out.into_iter().map(|r| r.unwrap_or_default() / count).collect();
        Tensor { shape, data }
    }
}

kernel_call! {
    /// Sum, mean.
    ReduceSumCall for ReduceSum {
        input: In,
        output: Out,
        input_zero_point: i8,
        multiplier: Multiplier,
        stage: OutputParams,
    }
}

kernel_call! {
    /// Mean of either width.
    ReduceSumInt16Call for ReduceSumInt16 {
        input: In,
        output: Out,
        widths: [Width; 2],
        input_zero_point: i32,
        multiplier: Multiplier,
        bounds: Bounds,
        rounding: Rounding,
    }
}

kernel_call! {
    /// Largest, smallest.
    ReduceExtremumCall for ReduceExtremum {
        input: In,
        output: Out,
        largest: bool,
    }
}

kernel_call! {
    /// Of numbers.
    ReduceFloatCall for ReduceFloat {
        input: In,
        output: Out,
        types: [Float; 2],
        reduction: Reduction,
        divisor: f32,
    }
}

impl Op for Reduce {
    fn kind(&self) -> &'static str {
        match self.kind {
            ReduceKind::Mean => "ReduceMean",
            ReduceKind::Sum => "ReduceSum",
            ReduceKind::Max => "ReduceMax",
            ReduceKind::Min => "ReduceMin",
        }
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let s = only(inputs)?;
        // 2^23 differences of at most 255 fit 31 bits.
        if [s.h, s.w, s.c].contains(&0) || self.count(s) > 1 << 23 {
            return Err(format!("expected 1 to 2^23 elements that become one, got {s}"));
        }
        let side = |i: usize, side| if self.axes[i] { 1 } else { side };
        Ok(vec![Shape::new(side(0, s.h), side(1, s.w), side(2, s.c))])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        let (input, result) = (at.input(), at.output.shape);
        let count = if self.kind == ReduceKind::Mean { self.count(input.shape) } else { 1 };
        let mut taken = vec![false; result.len()];
        let data = input.data.iter().enumerate().map(|(i, value)| {
            let Shape { w, c, .. } = input.shape;
            let [y, x, c] = [i / c / w, i / c % w, i % c];
            let [y, x, c] = [(0, y), (1, x), (2, c)].map(|(axis, at)| if self.axes[axis] { 0 } else { at });
            let place = (y * result.w + x) * result.c + c;
            let gradient = at.gradient.data[place] / count as f64;
            match self.kind {
                ReduceKind::Mean | ReduceKind::Sum => gradient,
                // The first of equal ones.
                _ if *value == at.output.data[place] && !std::mem::replace(&mut taken[place], true) => {
                    gradient
                }
                _ => 0.0,
            }
        });
        Some(Tensor { shape: input.shape, data: data.collect() })
    }

    fn is_identity(&self) -> bool {
        self.axes == [false; 3]
    }

    fn is_mean_of(&self, _: Shape) -> bool {
        *self == Self { axes: [true, true, false], kind: ReduceKind::Mean }
    }

    fn range_rule(&self) -> RangeRule {
        match self.kind {
            ReduceKind::Mean | ReduceKind::Sum => RangeRule::Calibrated,
            ReduceKind::Max | ReduceKind::Min => RangeRule::SameAsInputs,
        }
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (value, result) = (cx.node().inputs[0], cx.node().output());
        let (input, output) = (In::new(value), Out::new(result));
        if let ReduceKind::Max | ReduceKind::Min = self.kind {
            // Labels have no order.
            cx.codes(value)?;
            cx.push(ReduceExtremumCall { input, output, largest: self.kind == ReduceKind::Max });
            return Ok(());
        }
        let (from, to) = (cx.qparams(value)?, cx.qparams(result)?);
        let (s_in, s_out) = (from.scale as f64, to.scale as f64);
        // The shape rule keeps their number below 2^23.
        let elements = self.count(cx.graph().shape(value)) as u32;
        let divisor = if self.kind == ReduceKind::Mean { elements } else { 1 };
        let sums = Sums::narrow(255 * elements as i64, (elements as i64 / 2).max(1));
        let multiplier = niello_kernels::GlobalAveragePool::multiplier(s_in, s_out, divisor);
        let multiplier = cx.fitting(multiplier, s_in / s_out / divisor as f64, sums)?;
        let stage = cx.stage(to, Clamp::NONE.min, Clamp::NONE.max);
        cx.push(ReduceSumCall { input, output, input_zero_point: from.zero_point, multiplier, stage });
        Ok(())
    }

    fn lower_int16(&self, cx: &mut Lowering<'_>) -> Result<()> {
        if self.kind != ReduceKind::Mean {
            return Err(cx.error("is not supported in 16 bits"));
        }
        let (value, result) = (cx.node().inputs[0], cx.node().output());
        let (from, to) = (cx.codes(value)?, cx.codes(result)?);
        let (s_in, s_out) = (from.scale as f64, to.scale as f64);
        let elements = self.count(cx.graph().shape(value)) as u32;
        let sums = Sums::of_int16(from.largest_difference() * elements as i64, (elements as i64 / 2).max(1));
        let multiplier = niello_kernels::GlobalAveragePool::multiplier(s_in, s_out, elements);
        let call = ReduceSumInt16Call {
            input: In::new(value),
            output: Out::new(result),
            widths: [from.width, to.width],
            input_zero_point: from.zero_point,
            multiplier: cx.fitting(multiplier, s_in / s_out / elements as f64, sums)?,
            bounds: to.bounds(Clamp::NONE.min, Clamp::NONE.max),
            rounding: cx.rounding(),
        };
        cx.push(call);
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (value, result) = (cx.node().inputs[0], cx.node().output());
        let elements = self.count(cx.graph().shape(value));
        let (reduction, divisor) = match self.kind {
            ReduceKind::Mean => (Reduction::Sum, elements as f32),
            ReduceKind::Sum => (Reduction::Sum, 1.0),
            ReduceKind::Max => (Reduction::Largest, 1.0),
            ReduceKind::Min => (Reduction::Smallest, 1.0),
        };
        let types = [cx.float(value)?, cx.float(result)?];
        let (input, output) = (In::new(value), Out::new(result));
        cx.push(ReduceFloatCall { input, output, types, reduction, divisor });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, eval, lowered_error, tensor};

    #[test]
    fn each_kind_along_each_axis() {
        let x = tensor([2, 2, 2], &[1., -1., 2., -2., 3., -3., 6., -6.]);
        let reduced = |kind, axes| eval(&Reduce { axes, kind }, &[&x]);
        let (rows, columns, channels) = ([true, false, false], [false, true, false], [false, false, true]);
        assert_eq!(reduced(ReduceKind::Mean, rows), tensor([1, 2, 2], &[2., -2., 4., -4.]));
        assert_eq!(reduced(ReduceKind::Sum, columns), tensor([2, 1, 2], &[3., -3., 9., -9.]));
        assert_eq!(reduced(ReduceKind::Max, channels), tensor([2, 2, 1], &[1., 2., 3., 6.]));
        assert_eq!(reduced(ReduceKind::Min, [true, true, false]), tensor([1, 1, 2], &[1., -6.]));
        assert_eq!(reduced(ReduceKind::Mean, [true; 3]), tensor([1, 1, 1], &[0.]));
        assert_eq!(reduced(ReduceKind::Sum, [false; 3]), x);
    }

    #[test]
    fn int8_is_within_steps_of_float() {
        // Half a step of the result, and of the operands what is left of half a step of each.
        for (kind, most) in [
            (ReduceKind::Mean, 2.0),
            (ReduceKind::Sum, 2.0),
            (ReduceKind::Max, 0.51),
            (ReduceKind::Min, 0.51),
        ] {
            for axes in [[true, true, false], [false, false, true], [false, true, false], [true; 3]] {
                let error = lowered_error(Reduce { axes, kind }, Shape::new(5, 4, 3));
                assert!(error <= most, "{kind:?} {axes:?}: {error}");
            }
        }
    }

    #[test]
    fn sums_must_fit_32_bits() {
        let all = Reduce { axes: [true; 3], kind: ReduceKind::Sum };
        assert!(all.output_shapes(&[Shape::new(1 << 12, 1 << 9, 4)]).is_ok());
        let text = "1 to 2^23 elements";
        assert_refused(&all, &[(&[[1 << 12, 1 << 9, 5]], text), (&[[0, 4, 3]], text), (&[], "one input")]);
    }
}
