//! Max pooling.

use super::{
    Backward, Clamp, Conv2d, Op, RangeRule,
    conv::fuse_with_max_pool,
    downcast, forward_eval,
    window::{cells, pooled},
};
use crate::{
    error::Result,
    format::Mode,
    lower::Lowering,
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{Bounds, Float, FloatBounds};

/// Largest value of each window; padding takes no part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaxPool2d {
    /// Rows, columns.
    pub kernel: [usize; 2],
    /// Rows, columns.
    pub stride: [usize; 2],
    /// Top, bottom, left, right; less than the window.
    pub padding: [usize; 4],
    /// Pixels from one of a window to the next: rows, columns.
    pub dilation: [usize; 2],
    /// Whether a window may end outside the image (PyTorch's `ceil_mode`).
    pub ceil_mode: bool,
}

impl MaxPool2d {
    /// A square window without padding.
    pub const fn new(kernel: usize, stride: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [stride; 2], padding: [0; 4], dilation: [1; 2], ceil_mode: false }
    }

    /// The whole `h x w` image.
    pub const fn global(h: usize, w: usize) -> Self {
        Self { kernel: [h, w], ..Self::new(1, 1) }
    }

    /// Padding on all sides.
    pub const fn padding(mut self, padding: usize) -> Self {
        self.padding = [padding; 4];
        self
    }

    /// Pixels from one of a window to the next.
    pub const fn dilation(mut self, dilation: usize) -> Self {
        self.dilation = [dilation; 2];
        self
    }

    /// PyTorch's `ceil_mode`.
    pub const fn ceil_mode(mut self, ceil: bool) -> Self {
        self.ceil_mode = ceil;
        self
    }

    /// Whether the pixels of a window are neighbours.
    fn is_dense(&self) -> bool {
        self.dilation == [1, 1]
    }

    /// Padding above and to the left, as kernels take it: where the padding at the other ends ends does not matter.
    pub(super) fn padding_before(&self) -> [u32; 2] {
        [self.padding[0] as u32, self.padding[2] as u32]
    }

    /// The pixels of an input of this shape that a pixel of the result is the largest of, row by row.
    fn window(&self, at: [usize; 2], input: Shape) -> impl Iterator<Item = (usize, usize)> + Clone {
        let cells = |i: usize, size| {
            cells(at[i], self.kernel[i], self.stride[i], self.dilation[i], self.padding[2 * i], size)
        };
        let columns = cells(1, input.w);
        cells(0, input.h).flat_map(move |y| columns.clone().map(move |x| (y, x)))
    }

    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let input = inputs[0];
        let shape = self.output_shapes(&[input.shape]).expect("shapes were checked")[0];
        let mut out = Tensor::filled(shape, T::default());
        for oy in 0..shape.h {
            for ox in 0..shape.w {
                let best = out.pixel_mut(oy, ox);
                for (i, (y, x)) in self.window([oy, ox], input.shape).enumerate() {
                    let values = best.iter_mut().zip(input.pixel(y, x));
                    values.for_each(|(b, v)| *b = if i == 0 { *v } else { b.maximum(*v) });
                }
            }
        }
        out
    }
}

kernel_call! {
    /// Max pooling.
    MaxPoolCall for MaxPool2d by rows {
        input: In,
        output: Out,
        kernel: [u32; 2],
        stride: [u32; 2],
        padding: [u32; 2],
        min: i8,
        max: i8,
    }
}

kernel_call! {
    /// Max pooling in floating point.
    MaxPoolFloatCall for MaxPool2dFloat by rows {
        input: In,
        output: Out,
        types: [Float; 2],
        kernel: [u32; 2],
        stride: [u32; 2],
        padding: [u32; 2],
        range: FloatBounds,
    }
}

kernel_call! {
    /// Max pooling of 16 bits.
    MaxPool2dInt16Call for MaxPool2dInt16 by rows {
        input: In,
        output: Out,
        kernel: [u32; 2],
        stride: [u32; 2],
        padding: [u32; 2],
        bounds: Bounds,
    }
}

kernel_call! {
    /// Max pooling by windows with holes.
    DilatedMaxPoolCall for DilatedMaxPool2d {
        input: In,
        output: Out,
        kernel: [u32; 2],
        stride: [u32; 2],
        dilation: [u32; 2],
        padding: [u32; 2],
    }
}

kernel_call! {
    /// Max pooling by windows with holes, in floating point.
    DilatedMaxPoolFloatCall for DilatedMaxPool2dFloat {
        input: In,
        output: Out,
        types: [Float; 2],
        kernel: [u32; 2],
        stride: [u32; 2],
        dilation: [u32; 2],
        padding: [u32; 2],
    }
}

impl Op for MaxPool2d {
    fn kind(&self) -> &'static str {
        "MaxPool2d"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let s = super::only(inputs)?;
        let Self { kernel, stride, padding, dilation, ceil_mode } = *self;
        let axis = |i: usize, size| {
            pooled(size, kernel[i], stride[i], dilation[i], [padding[2 * i], padding[2 * i + 1]], ceil_mode)
        };
        Ok(vec![Shape::new(axis(0, s.h)?, axis(1, s.w)?, s.c)])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        let (input, shape) = (at.input(), at.output.shape);
        let mut out = Tensor::filled(input.shape, 0.0);
        for (oy, ox) in (0..shape.h).flat_map(|oy| (0..shape.w).map(move |ox| (oy, ox))) {
            let window = self.window([oy, ox], input.shape);
            let best = at.output.pixel(oy, ox).iter().zip(at.gradient.pixel(oy, ox));
            for (c, (best, gradient)) in best.enumerate() {
                // The first of equal ones.
                if let Some((y, x)) = window.clone().find(|(y, x)| input.pixel(*y, *x)[c] == *best) {
                    out.pixel_mut(y, x)[c] += gradient;
                }
            }
        }
        Some(out)
    }

    fn range_rule(&self) -> RangeRule {
        RangeRule::SameAsInputs
    }

    fn can_take_rows_of(&self, producer: &dyn Op) -> bool {
        self.is_dense() && downcast::<Conv2d>(producer).is_some_and(|conv| !conv.is_depthwise())
    }

    fn takes_int16(&self) -> bool {
        self.is_dense()
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let call = MaxPoolCall {
            input: In::new(input),
            output: Out::new(output),
            kernel: self.kernel.map(|d| d as u32),
            stride: self.stride.map(|d| d as u32),
            padding: self.padding_before(),
            min: i8::MIN,
            max: i8::MAX,
        };
        if !self.is_dense() {
            cx.codes(input)?;
            cx.push(DilatedMaxPoolCall {
                input: In::new(input),
                output: Out::new(output),
                kernel: self.kernel.map(|d| d as u32),
                stride: self.stride.map(|d| d as u32),
                dilation: self.dilation.map(|d| d as u32),
                padding: self.padding_before(),
            });
            return Ok(());
        }
        if cx.takes_rows() {
            return fuse_with_max_pool(cx, call);
        }
        cx.push(call);
        Ok(())
    }

    fn lower_int16(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let call = MaxPool2dInt16Call {
            input: In::new(input),
            output: Out::new(output),
            kernel: self.kernel.map(|d| d as u32),
            stride: self.stride.map(|d| d as u32),
            padding: self.padding_before(),
            bounds: cx.codes(output)?.bounds(Clamp::NONE.min, Clamp::NONE.max),
        };
        cx.push(call);
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        if !self.is_dense() {
            cx.push(DilatedMaxPoolFloatCall {
                input: In::new(input),
                output: Out::new(output),
                types: [cx.float(input)?, cx.float(output)?],
                kernel: self.kernel.map(|d| d as u32),
                stride: self.stride.map(|d| d as u32),
                dilation: self.dilation.map(|d| d as u32),
                padding: self.padding_before(),
            });
            return Ok(());
        }
        let call = MaxPoolFloatCall {
            input: In::new(input),
            output: Out::new(output),
            types: [cx.float(input)?, cx.float(output)?],
            kernel: self.kernel.map(|d| d as u32),
            stride: self.stride.map(|d| d as u32),
            padding: self.padding_before(),
            range: FloatBounds::ALL,
        };
        cx.push(call);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, eval, lowered_error, tensor};

    /// `torch.nn.functional.max_pool2d`'s output sizes (its documentation's formula, with the rule for the last window).
    #[test]
    fn output_sizes_are_pytorchs() {
        // size, kernel, stride, padding: without and with ceil mode; 0 where PyTorch refuses.
        for (size, kernel, stride, padding, floor, ceil) in [
            (4, 2, 2, 0, 2, 2),
            (5, 2, 2, 0, 2, 3),
            (5, 3, 2, 0, 2, 2),
            (6, 3, 2, 0, 2, 3),
            (109, 3, 2, 0, 54, 54),
            (110, 3, 2, 0, 54, 55),
            // A map smaller than the window: one clipped window in ceil mode.
            (2, 3, 2, 0, 0, 1),
            (1, 3, 2, 0, 0, 0),
            (1, 3, 3, 0, 0, 1),
            (1, 2, 2, 0, 0, 1),
            // With padding.
            (7, 3, 2, 1, 4, 4),
            (8, 3, 2, 1, 4, 5),
            (1, 3, 2, 1, 1, 1),
            // The last window would start in the right padding: it goes.
            (3, 2, 2, 1, 2, 2),
            (2, 2, 3, 1, 1, 1),
            (5, 1, 3, 0, 2, 2),
            (4, 1, 3, 0, 2, 2),
            // Padding of more than half the window, which PyTorch refuses and ONNX does not; all of the window.
            (8, 3, 1, 2, 10, 10),
            (8, 2, 1, 1, 9, 9),
            (8, 1, 1, 1, 0, 0),
            // Nothing to walk over.
            (0, 2, 2, 0, 0, 0),
            (8, 0, 1, 0, 0, 0),
            (8, 2, 0, 0, 0, 0),
        ] {
            for (mode, expected) in [(false, floor), (true, ceil)] {
                let found = pooled(size, kernel, stride, 1, [padding; 2], mode).unwrap_or(0);
                assert_eq!(found, expected, "{size} {kernel} {stride} {padding} ceil {mode}");
            }
        }
    }

    #[test]
    fn largest_of_each_window_clipped_to_the_image() {
        let x = tensor([3, 3, 1], &[1., 2., 3., 4., 5., 6., 7., 8., -9.]);
        assert_eq!(eval(&MaxPool2d::new(2, 2), &[&x]), tensor([1, 1, 1], &[5.]));
        assert_eq!(eval(&MaxPool2d::new(2, 2).ceil_mode(true), &[&x]), tensor([2, 2, 1], &[5., 6., 8., -9.]));
        assert_eq!(eval(&MaxPool2d::new(3, 2).padding(1), &[&x]), tensor([2, 2, 1], &[5., 6., 8., 8.]));
        assert_eq!(eval(&MaxPool2d::global(3, 3), &[&x]), tensor([1, 1, 1], &[8.]));
    }

    #[test]
    fn windows_with_holes_and_padding_of_each_side() {
        let x = tensor([3, 3, 1], &[1., 2., 3., 4., 5., 6., 7., 8., -9.]);
        let holes = MaxPool2d::new(2, 1).dilation(2);
        assert_eq!(eval(&holes, &[&x]), tensor([1, 1, 1], &[7.]));
        let padded = eval(&holes.padding(1), &[&x]);
        assert_eq!(padded, tensor([3, 3, 1], &[5., 6., 5., 8., 7., 8., 5., 6., 5.]));
        let uneven = MaxPool2d { padding: [0, 1, 2, 0], ..MaxPool2d::new(3, 2) };
        assert_eq!(eval(&uneven, &[&x]), tensor([1, 2, 1], &[7., 8.]));
        assert!(lowered_error(holes.padding(1), Shape::new(6, 5, 4)) <= 0.51);
        assert_refused(
            &holes.padding(1),
            &[(&[[1, 3, 1]], "stride 1, padding 1, dilation 2 does not fit 1 pixels")],
        );
    }

    #[test]
    fn a_window_larger_than_the_map_is_an_error_that_names_both() {
        let five = MaxPool2d::new(5, 2);
        assert_refused(&five, &[(&[[3, 9, 2]], "window of 5, stride 2, padding 0 does not fit 3 pixels")]);
    }
}
