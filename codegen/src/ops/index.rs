//! Rows, columns and channels by their indices.

use super::{Backward, Op, RangeRule, downcast, forward_eval};
use crate::{
    error::Result,
    format::{Format, Mode},
    lower::Lowering,
    program::{Const, In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use std::sync::Arc;

/// `out[y][x][c] = in[rows[y]][columns[x]][channels[c]]`, where an index of -1 stands for the value `pad`, and `None` for the axis as it is: padding
/// of any kind, crops, slices with steps, flips, gathering by constants, an axis of one element repeated.
///
/// The value `pad` is one of those that calibration sees. Where a format given from elsewhere does not reach it, the nearest code stands for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Index {
    /// Of each row of the result.
    pub rows: Option<Arc<[i32]>>,
    /// Of each column.
    pub columns: Option<Arc<[i32]>>,
    /// Of each channel.
    pub channels: Option<Arc<[i32]>>,
    /// What stands where an index is -1; finite.
    pub pad: f32,
}

impl Index {
    /// Every axis as it is.
    pub const NONE: Self = Self { rows: None, columns: None, channels: None, pad: 0.0 };

    /// The smaller one repeated until it has the shape of the larger: each axis of `from` is that of `to`, or of one element.
    pub fn broadcast(from: Shape, to: Shape) -> Self {
        let axis = |from: usize, to: usize| (from != to).then(|| vec![0; to].into());
        Self { rows: axis(from.h, to.h), columns: axis(from.w, to.w), channels: axis(from.c, to.c), pad: 0.0 }
    }

    fn axes(&self) -> [Option<&[i32]>; 3] {
        [&self.rows, &self.columns, &self.channels].map(|axis| axis.as_deref())
    }

    fn pads(&self) -> bool {
        self.axes().into_iter().flatten().any(|axis| axis.contains(&-1))
    }

    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let s = inputs[0].shape;
        let all = |size: usize| (0..size as i32).collect::<Vec<_>>();
        let [rows, columns, channels] = [(&self.rows, s.h), (&self.columns, s.w), (&self.channels, s.c)]
            .map(|(axis, size)| axis.as_ref().map_or_else(|| all(size), |axis| axis.to_vec()));
        let shape = Shape::new(rows.len(), columns.len(), channels.len());
        let mut out = Tensor::filled(shape, T::from_f32(self.pad));
        for (y, row) in rows.iter().enumerate().filter(|(_, row)| **row >= 0) {
            for (x, column) in columns.iter().enumerate().filter(|(_, column)| **column >= 0) {
                let from = inputs[0].pixel(*row as usize, *column as usize);
                for (to, channel) in out.pixel_mut(y, x).iter_mut().zip(&channels) {
                    if let Ok(channel) = usize::try_from(*channel) {
                        *to = from[channel];
                    }
                }
            }
        }
        out
    }

    /// `self` followed by `next`, if one value stands where either has none.
    fn then(&self, next: &Self) -> Option<Self> {
        if self.pads() && next.pads() && self.pad.to_bits() != next.pad.to_bits() {
            return None;
        }
        let of = |first: &Option<Arc<[i32]>>, then: &Option<Arc<[i32]>>| match (first, then) {
            (Some(first), Some(then)) => {
                Some(then.iter().map(|i| usize::try_from(*i).map_or(-1, |i| first[i])).collect())
            }
            (first, then) => then.as_ref().or(first.as_ref()).cloned(),
        };
        Some(Self {
            rows: of(&self.rows, &next.rows),
            columns: of(&self.columns, &next.columns),
            channels: of(&self.channels, &next.channels),
            pad: if next.pads() { next.pad } else { self.pad },
        })
    }
}

kernel_call! {
    /// A copy by runs of indices.
    IndexCall for Index {
        input: In,
        output: Out,
        element: u32,
        rows: Const<i32>,
        columns: Const<i32>,
        channels: Const<i32>,
        pad: i32,
    }
}

impl Op for Index {
    fn kind(&self) -> &'static str {
        "Index"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let s = super::only(inputs)?;
        super::check_numbers("padding", [self.pad.into()])?;
        let mut sizes = [s.h, s.w, s.c];
        for ((axis, size), name) in
            self.axes().into_iter().zip(&mut sizes).zip(["rows", "columns", "channels"])
        {
            let Some(axis) = axis else { continue };
            if let Some(bad) = axis.iter().find(|i| !(-1..*size as i64).contains(&i64::from(**i))) {
                return Err(format!("expected indices of {size} {name}, or -1, got {bad}"));
            }
            *size = axis.len();
        }
        let shape = Shape::new(sizes[0], sizes[1], sizes[2]);
        super::check_shape(shape)?;
        Ok(vec![shape])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        Some(at.moved(self))
    }

    fn absorb(&self, next: &dyn Op) -> Option<Box<dyn Op>> {
        Some(Box::new(self.then(downcast::<Index>(next)?)?))
    }

    fn is_identity(&self) -> bool {
        self.axes() == [None; 3]
    }

    fn range_rule(&self) -> RangeRule {
        RangeRule::SameAsInputs
    }

    fn takes_int16(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let s = cx.graph().shape(input);
        let [rows, columns, channels] = self.axes();
        let runs = [runs(rows, s.h), runs(columns, s.w), runs(channels, s.c)];
        let (element, pad) = (cx.format(output).bytes() as u32, code(cx.format(output), self.pad));
        let bytes = 4 * runs.iter().map(Vec::len).sum::<usize>();
        let [rows, columns, channels] = runs.map(|axis| cx.constant(&axis));
        let call = IndexCall {
            input: In::new(input),
            output: Out::new(output),
            element,
            rows,
            columns,
            channels,
            pad,
        };
        cx.push(call).constant_bytes(bytes);
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        // Bytes are moved, whatever they mean.
        self.lower(cx)
    }
}

/// The code of `x`, in its lowest bits.
fn code(format: Format, x: f32) -> i32 {
    let bytes = format.encode(&[x]);
    i32::from_le_bytes(std::array::from_fn(|i| bytes.get(i).map_or(0, |byte| *byte as u8)))
}

/// Indices as runs of equal steps: the first one, the step, how many; -1 and step 0 where there are none. Nothing for an axis as it is.
fn runs(axis: Option<&[i32]>, size: usize) -> Vec<i32> {
    let Some(axis) = axis else { return vec![] };
    if axis.iter().copied().eq(0..size as i32) {
        return vec![];
    }
    let mut runs: Vec<[i32; 3]> = vec![];
    for index in axis {
        match runs.last_mut() {
            // Neither step leads from an index to none, or back.
            Some([first, step, count]) if *count == 1 && (*first < 0) == (*index < 0) => {
                (*step, *count) = (index - *first, 2);
            }
            Some([first, step, count])
                if *count > 1 && (*first < 0) == (*index < 0) && *first + *step * *count == *index =>
            {
                *count += 1;
            }
            _ => runs.push([*index, 0, 1]),
        }
    }
    runs.into_flattened()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        GraphBuilder,
        ops::{
            Sub,
            testing::{assert_refused, built_error, eval, lowered_error, seeded_tensor, tensor},
        },
        weights::Seeded,
    };

    fn index(rows: Option<&[i32]>, columns: Option<&[i32]>, channels: Option<&[i32]>, pad: f32) -> Index {
        let [rows, columns, channels] = [rows, columns, channels].map(|axis| axis.map(Arc::from));
        Index { rows, columns, channels, pad }
    }

    #[test]
    fn elements_by_their_indices() {
        let x = tensor([2, 2, 2], &[0., 1., 2., 3., 4., 5., 6., 7.]);
        let flipped = index(Some(&[1, 0]), None, Some(&[1]), 0.0);
        assert_eq!(eval(&flipped, &[&x]), tensor([2, 2, 1], &[5., 7., 1., 3.]));
        let padded = index(None, Some(&[-1, 0, 0, 1]), None, -9.0);
        let expected = [-9., -9., 0., 1., 0., 1., 2., 3., -9., -9., 4., 5., 4., 5., 6., 7.];
        assert_eq!(eval(&padded, &[&x]), tensor([2, 4, 2], &expected));
        let channels = index(Some(&[0]), Some(&[1]), Some(&[-1, 1, 0]), 0.5);
        assert_eq!(eval(&channels, &[&x]), tensor([1, 1, 3], &[0.5, 3., 2.]));
        let one = Index::broadcast(Shape::new(1, 2, 1), Shape::new(2, 2, 2));
        let expected = tensor([2, 2, 2], &[1., 1., 2., 2., 1., 1., 2., 2.]);
        assert_eq!(eval(&one, &[&tensor([1, 2, 1], &[1., 2.])]), expected);
        assert!(Index::NONE.is_identity() && !flipped.is_identity());
    }

    #[test]
    fn one_after_the_other_is_one() {
        let x = tensor([3, 2, 1], &[0., 1., 2., 3., 4., 5.]);
        let first = index(Some(&[-1, 2, 1, 0]), None, None, 7.0);
        let then = index(Some(&[0, 1, 3, -1]), Some(&[1]), None, 7.0);
        let both = first.absorb(&then).expect("one value pads");
        assert_eq!(both.eval_f64(&[&x]), then.eval_f64(&[&first.eval(&[&x])]));
        assert!(first.absorb(&Index { pad: 8.0, ..then.clone() }).is_none());
        let crop = index(Some(&[1, 0]), None, None, 8.0);
        let both = first.absorb(&crop).expect("only one pads");
        assert_eq!(both.eval_f64(&[&x]), crop.eval_f64(&[&first.eval(&[&x])]));
    }

    #[test]
    fn runs_say_the_same_as_indices() {
        assert!(runs(None, 4).is_empty());
        assert!(runs(Some(&[0, 1, 2]), 3).is_empty());
        assert_eq!(runs(Some(&[0, 1, 2]), 4), [0, 1, 3]);
        assert_eq!(runs(Some(&[-1, -1, 0, 1, -1]), 2), [-1, 0, 2, 0, 1, 2, -1, 0, 1]);
        let some = [3, 3, 3, 1, 5, 2, 1, 0, -1, -1, -1, 6, 4, 2, 0];
        let all = runs(Some(&some), 7);
        let told = all.chunks(3).flat_map(|run| (0..run[2]).map(|i| run[0] + i * run[1]));
        assert!(told.eq(some));
    }

    #[test]
    fn indices_of_what_is_not_there_are_refused() {
        let cases: &[(&[[usize; 3]], &str)] = &[(&[[2, 3, 4]], "or -1, got")];
        for bad in [-2, 4, i32::MAX, i32::MIN] {
            assert_refused(&index(None, None, Some(&[0, bad]), 0.0), cases);
            assert_refused(&index(Some(&[bad]), None, None, 0.0), cases);
        }
        assert_refused(&index(None, Some(&[]), None, 0.0), &[(&[[2, 3, 4]], "is empty")]);
        assert_refused(&index(None, None, None, f32::NAN), &[(&[[2, 3, 4]], "finite padding")]);
        assert_refused(&Index::NONE, &[(&[], "expected one input, got 0")]);
    }

    #[test]
    fn int8_only_rounds_the_input() {
        for op in [
            index(Some(&[-1, 0, 1, 2, 3, 4, -1, -1]), Some(&[-1, 0, 1, 2, 3]), None, -0.5),
            index(Some(&[4, 3, 0]), Some(&[0, 0, 1, 3, 3]), Some(&[5, 3, 1, -1, 0, 1, 2]), 0.0),
            index(None, None, Some(&[0, 2, 4]), 0.0),
        ] {
            let error = lowered_error(op.clone(), Shape::new(5, 4, 6));
            assert!(error <= 0.51, "{op:?}: {error}");
        }
    }
    #[test]
    fn operands_are_repeated_as_far_as_kernels_do_not() {
        for (first, second, as_given) in [
            ([5, 4, 6], [1, 4, 6], [true, false]),
            ([5, 4, 6], [1, 1, 1], [true, false]),
            ([5, 4, 6], [5, 1, 1], [true, false]),
            ([5, 4, 6], [5, 4, 1], [true, true]),
            ([1, 1, 6], [5, 4, 6], [false, true]),
            ([5, 1, 6], [1, 4, 1], [false, false]),
            ([1, 1, 6], [1, 1, 1], [true, true]),
            ([5, 4, 1], [1, 1, 6], [false, true]),
        ] {
            let inputs = [first, second].map(|[h, w, c]| Shape::new(h, w, c));
            let inputs = [seeded_tensor("first", inputs[0]), seeded_tensor("second", inputs[1])];
            let error = built_error(&inputs, |b, inputs| {
                let (x, y) = b.broadcast("both", inputs[0], inputs[1]);
                assert_eq!([x == inputs[0], y == inputs[1]], as_given, "{first:?} {second:?}");
                b.add_op("difference", Sub::default(), &[x, y])
            });
            // Half a step of either operand, which is half a step of the output, and half a step of the output.
            assert!(error <= 1.01, "{first:?} {second:?}: {error}");
        }
        let mut weights = Seeded::new();
        let mut b = GraphBuilder::new("two", &mut weights);
        let [x, y] = [[2, 3, 1], [3, 1, 1]].map(|[h, w, c]| b.input(&format!("{h}"), Shape::new(h, w, c)));
        let (x, y) = b.broadcast("both", x, y);
        let sum = b.add("sum", x, y);
        let error = b.finish(&[sum]).expect_err("2 and 3 rows").to_string();
        assert!(error.contains("`both` (Broadcast): expected axes of one size or of one element"), "{error}");
    }
}
