//! Max unpooling: values of a smaller map go back to where they were the largest.

use super::{Backward, Op, RangeRule, forward_eval};
use crate::{
    error::Result,
    format::{Format, Mode},
    lower::Lowering,
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::Float;

/// Zeros, and each value at its position in its window: PyTorch's `MaxUnpool2d` with windows next to each other.
///
/// Inputs are the values and the positions that [`super::MaxPosition2d`] makes, of one shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaxUnpool2d {
    /// Rows, columns of a window; as many from one window to the next.
    pub kernel: [usize; 2],
    /// Height, width of the result: those of the map that was pooled.
    pub size: [usize; 2],
}

impl MaxUnpool2d {
    /// A square window.
    pub const fn new(kernel: usize, size: [usize; 2]) -> Self {
        Self { kernel: [kernel; 2], size }
    }

    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let (values, positions) = (inputs[0], inputs[1]);
        let shape = Shape { h: self.size[0], w: self.size[1], ..values.shape };
        let mut out = Tensor::filled(shape, T::default());
        self.places(positions).zip(&values.data).for_each(|(place, value)| {
            if let Some(place) = place {
                out.data[place] = *value;
            }
        });
        out
    }

    /// Where in the result each value goes; `None` for one beyond its border.
    fn places<T: Real>(&self, positions: &Tensor<T>) -> impl Iterator<Item = Option<usize>> {
        let Shape { w, c, .. } = positions.shape;
        positions.data.iter().enumerate().map(move |(i, position)| {
            let (pixel, position) = (i / c, position.to_f64() as usize);
            let y = pixel / w * self.kernel[0] + position / self.kernel[1];
            let x = pixel % w * self.kernel[1] + position % self.kernel[1];
            (y < self.size[0] && x < self.size[1]).then_some((y * self.size[1] + x) * c + i % c)
        })
    }
}

kernel_call! {
    /// Max unpooling.
    MaxUnpoolCall for MaxUnpool2d by rows {
        values: In,
        positions: In,
        output: Out,
        kernel: [u32; 2],
        cropped: u32,
        zero_point: i8,
    }
}

kernel_call! {
    /// Max unpooling in floating point.
    MaxUnpoolFloatCall for MaxUnpool2dFloat by rows {
        values: In,
        positions: In,
        output: Out,
        float: Float,
        kernel: [u32; 2],
        cropped: u32,
    }
}

kernel_call! {
    /// Max unpooling of 16 bits.
    MaxUnpoolInt16Call for MaxUnpool2dInt16 by rows {
        values: In,
        positions: In,
        output: Out,
        kernel: [u32; 2],
        cropped: u32,
    }
}

/// Whether the second operand holds positions.
fn check_positions(cx: &Lowering<'_>) -> Result<()> {
    match cx.codes(cx.node().inputs[1]) {
        Ok(_) => Err(cx.error("positions must be labels, as an operator for positions makes them")),
        Err(_) => Ok(()),
    }
}

impl Op for MaxUnpool2d {
    fn kind(&self) -> &'static str {
        "MaxUnpool2d"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let s = super::same_shape(inputs)?;
        if inputs.len() != 2 {
            return Err(format!("expected values and positions, got {inputs:?}"));
        }
        // As many windows as the values are, and less than one more.
        let fits = |size: usize, kernel: usize, values: usize| size.checked_div(kernel) == Some(values);
        if s.area() == 0
            || !fits(self.size[0], self.kernel[0], s.h)
            || !fits(self.size[1], self.kernel[1], s.w)
        {
            let Self { kernel, size } = self;
            return Err(format!("windows of {kernel:?} on {size:?} pixels do not give {s}"));
        }
        Ok(vec![Shape::new(self.size[0], self.size[1], s.c)])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        let taken = |place: Option<usize>| place.map_or(0.0, |place| at.gradient.data[place]);
        let data = || self.places(at.inputs[1]).map(taken).collect();
        (at.index == 0).then(|| Tensor { shape: at.input().shape, data: data() })
    }

    fn range_rule(&self) -> RangeRule {
        RangeRule::SameAsInputs
    }

    fn takes_int16(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (values, positions, output) = (cx.node().inputs[0], cx.node().inputs[1], cx.node().output());
        check_positions(cx)?;
        let call = MaxUnpoolCall {
            values: In::new(values),
            positions: In::new(positions),
            output: Out::new(output),
            kernel: self.kernel.map(|d| d as u32),
            cropped: 0,
            zero_point: cx.qparams(values)?.zero_point,
        };
        cx.push(call);
        Ok(())
    }

    fn lower_int16(&self, cx: &mut Lowering<'_>) -> Result<()> {
        check_positions(cx)?;
        let (values, positions, output) = (cx.node().inputs[0], cx.node().inputs[1], cx.node().output());
        let call = MaxUnpoolInt16Call {
            values: In::new(values),
            positions: In::new(positions),
            output: Out::new(output),
            kernel: self.kernel.map(|d| d as u32),
            cropped: 0,
        };
        cx.push(call);
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (values, positions, output) = (cx.node().inputs[0], cx.node().inputs[1], cx.node().output());
        if cx.format(positions) != Format::Label {
            return Err(cx.error("positions must be labels, as an operator for positions makes them"));
        }
        let call = MaxUnpoolFloatCall {
            values: In::new(values),
            positions: In::new(positions),
            output: Out::new(output),
            float: cx.float(values)?,
            kernel: self.kernel.map(|d| d as u32),
            cropped: 0,
        };
        cx.push(call);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        GraphBuilder, ValueId,
        ops::{
            MaxPool2d, MaxPosition2d,
            testing::{assert_refused, built_error, eval, tensor},
        },
        weights::seeded_values,
    };

    #[test]
    fn values_return_to_their_positions() {
        let values = tensor([1, 2, 1], &[5., -7.]);
        let positions = tensor([1, 2, 1], &[1., 2.]);
        let unpool = MaxUnpool2d::new(2, [2, 5]);
        let expected = tensor([2, 5, 1], &[0., 5., 0., 0., 0., 0., 0., -7., 0., 0.]);
        assert_eq!(eval(&unpool, &[&values, &positions]), expected);
    }

    #[test]
    fn the_result_has_as_many_windows_as_there_are_values() {
        let unpool = MaxUnpool2d::new(2, [5, 6]);
        assert_refused(
            &unpool,
            &[
                (&[[2, 3, 1]], "expected values and positions"),
                (&[[2, 3, 1], [2, 3, 2]], "one shape"),
                (&[[3, 3, 1], [3, 3, 1]], "windows of [2, 2] on [5, 6] pixels do not give 3x3x1"),
                (&[[2, 2, 1], [2, 2, 1]], "do not give"),
            ],
        );
        assert_refused(&MaxUnpool2d::new(0, [5, 6]), &[(&[[2, 3, 1], [2, 3, 1]], "do not give")]);
    }

    fn through_pool_and_back(b: &mut GraphBuilder<'_>, x: &[ValueId]) -> ValueId {
        let pool = MaxPool2d::new(2, 2);
        let values = b.add_op("pool", pool, x);
        let positions = b.add_op("positions", MaxPosition2d { pool }, x);
        b.add_op("unpool", MaxUnpool2d::new(2, [9, 7]), &[values, positions])
    }

    #[test]
    fn codes_go_through_a_pool_and_back_as_they_are() {
        // Multiples of 1/64 from -2 to 127/64 have exact codes, and many are equal.
        let mut values: Vec<f32> =
            seeded_values("input").take(9 * 7 * 5).map(|v| (v * 8.0).round() as f32 / 64.0).collect();
        (values[0], values[1]) = (-2.0, 127.0 / 64.0);
        let input = Tensor::new(Shape::new(9, 7, 5), values).unwrap();
        assert!(built_error(&[input], through_pool_and_back) <= 1e-4);
    }
}
