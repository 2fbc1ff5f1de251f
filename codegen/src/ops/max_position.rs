//! Where in its window the largest value is: what max unpooling needs beside the values of a max pool.

use super::{MaxPool2d, Op, RangeRule, forward_eval, window::window};
use crate::{
    error::Result,
    format::Mode,
    lower::Lowering,
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::Float;

/// Position of the largest value in each window of a max pool, `row * kernel columns + column` from the window's first cell on;
/// of equal values the first. Labels, not numbers with a scale.
///
/// PyTorch's `return_indices` gives the same places as `y * width + x` in the pool's input, which is more than a byte holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaxPosition2d {
    /// The pool with the same windows.
    pub pool: MaxPool2d,
}

impl MaxPosition2d {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let (input, pool) = (inputs[0], &self.pool);
        let shape = self.output_shapes(&[input.shape]).expect("shapes were checked")[0];
        let mut out = Tensor::filled(shape, T::default());
        for oy in 0..shape.h {
            let rows = window(oy, pool.kernel[0], pool.stride[0], pool.padding[0], input.shape.h);
            for ox in 0..shape.w {
                let columns = window(ox, pool.kernel[1], pool.stride[1], pool.padding[2], input.shape.w);
                for (c, position) in out.pixel_mut(oy, ox).iter_mut().enumerate() {
                    let cells = rows.clone().flat_map(|y| columns.clone().map(move |x| (y, x)));
                    let at = |(y, x): (usize, usize)| input.pixel(y, x)[c].to_f64();
                    let first_largest =
                        cells.reduce(|best, cell| if at(cell) > at(best) { cell } else { best });
                    let (y, x) = first_largest.expect("every window has a cell of the image");
                    let row = y + pool.padding[0] - oy * pool.stride[0];
                    let column = x + pool.padding[2] - ox * pool.stride[1];
                    *position = T::from_f64((row * pool.kernel[1] + column) as f64);
                }
            }
        }
        out
    }
}

kernel_call! {
    /// Positions of maxima.
    MaxPositionCall for MaxPosition2d by rows {
        input: In,
        output: Out,
        kernel: [u32; 2],
        stride: [u32; 2],
        padding: [u32; 2],
    }
}

kernel_call! {
    /// Positions of maxima in floating point.
    MaxPositionFloatCall for MaxPosition2dFloat by rows {
        input: In,
        output: Out,
        float: Float,
        kernel: [u32; 2],
        stride: [u32; 2],
        padding: [u32; 2],
    }
}

kernel_call! {
    /// Positions of maxima among 16 bits.
    MaxPositionInt16Call for MaxPosition2dInt16 by rows {
        input: In,
        output: Out,
        kernel: [u32; 2],
        stride: [u32; 2],
        padding: [u32; 2],
    }
}

impl Op for MaxPosition2d {
    fn kind(&self) -> &'static str {
        "MaxPosition2d"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let kernel = self.pool.kernel;
        // Positions are codes from 0 to 127.
        if kernel[0].saturating_mul(kernel[1]) > 128 {
            return Err(format!("expected at most 128 pixels per window, got {kernel:?}"));
        }
        if self.pool.dilation != [1, 1] {
            return Err(format!("expected a dilation of 1, got {:?}", self.pool.dilation));
        }
        self.pool.output_shapes(inputs)
    }

    forward_eval!();

    fn range_rule(&self) -> RangeRule {
        RangeRule::Labels
    }

    fn takes_int16(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let call = MaxPositionCall {
            input: In::new(input),
            output: Out::new(output),
            kernel: self.pool.kernel.map(|d| d as u32),
            stride: self.pool.stride.map(|d| d as u32),
            padding: self.pool.padding_before(),
        };
        cx.push(call);
        Ok(())
    }

    fn lower_int16(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let call = MaxPositionInt16Call {
            input: In::new(input),
            output: Out::new(output),
            kernel: self.pool.kernel.map(|d| d as u32),
            stride: self.pool.stride.map(|d| d as u32),
            padding: self.pool.padding_before(),
        };
        cx.push(call);
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let call = MaxPositionFloatCall {
            input: In::new(input),
            output: Out::new(output),
            float: cx.float(input)?,
            kernel: self.pool.kernel.map(|d| d as u32),
            stride: self.pool.stride.map(|d| d as u32),
            padding: self.pool.padding_before(),
        };
        cx.push(call);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, eval, tensor};

    #[test]
    fn first_of_equal_values_counted_from_the_windows_first_cell() {
        let x = tensor([3, 4, 1], &[1., 5., 0., 0., 5., 2., 0., 7., 3., 3., 9., 1.]);
        let at = |pool| MaxPosition2d { pool };
        assert_eq!(eval(&at(MaxPool2d::new(2, 2)), &[&x]), tensor([1, 2, 1], &[1., 3.]));
        let ceil = at(MaxPool2d::new(2, 2).ceil_mode(true));
        assert_eq!(eval(&ceil, &[&x]), tensor([2, 2, 1], &[1., 3., 0., 0.]));
        // The window's first row and column are padding.
        let padded = at(MaxPool2d::new(3, 2).padding(1));
        assert_eq!(eval(&padded, &[&x]), tensor([2, 2, 1], &[5., 8., 1., 4.]));
    }

    #[test]
    fn a_position_must_be_a_code() {
        let wide = MaxPosition2d { pool: MaxPool2d { kernel: [1, 129], ..MaxPool2d::new(2, 2) } };
        assert_refused(&wide, &[(&[[4, 400, 1]], "at most 128 pixels per window, got [1, 129]")]);
        let two = MaxPosition2d { pool: MaxPool2d::new(2, 2) };
        assert_refused(&two, &[(&[[1, 4, 1]], "window of 2"), (&[], "expected one input, got 0")]);
    }
}
