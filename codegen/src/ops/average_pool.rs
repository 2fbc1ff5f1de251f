//! Average pooling over windows.

use super::{
    Backward, Op, RangeRule, forward_eval,
    window::{pooled, window},
};
use crate::{
    error::Result,
    format::Mode,
    lower::Lowering,
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{AveragePool2dInt16, Float, FloatBounds};
use std::ops::Range;

/// Mean of each window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AveragePool2d {
    /// Rows, columns.
    pub kernel: [usize; 2],
    /// Rows, columns.
    pub stride: [usize; 2],
    /// Top, bottom, left, right; less than the window.
    pub padding: [usize; 4],
    /// Whether a window may end outside the image (PyTorch's `ceil_mode`).
    pub ceil_mode: bool,
    /// Whether padding counts as zeros (PyTorch's `count_include_pad`, on by default there).
    pub count_padding: bool,
}

impl AveragePool2d {
    /// A square window without padding.
    pub const fn new(kernel: usize, stride: usize) -> Self {
        Self {
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [0; 4],
            ceil_mode: false,
            count_padding: true,
        }
    }

    /// Padding above and to the left, and at the other ends.
    fn padding_of_kernels(&self) -> [[u32; 2]; 2] {
        let [top, bottom, left, right] = self.padding.map(|d| d as u32);
        [[top, left], [bottom, right]]
    }

    /// The rows and columns of an input of this shape that a pixel of the result is the mean of, and how many pixels count.
    fn window(&self, at: [usize; 2], input: Shape) -> ([Range<usize>; 2], usize) {
        let size = [input.h, input.w];
        let axes =
            [0, 1].map(|i| window(at[i], self.kernel[i], self.stride[i], self.padding[2 * i], size[i]));
        let counted = |i: usize| {
            let start = at[i] * self.stride[i];
            let [before, after] = [self.padding[2 * i], self.padding[2 * i + 1]];
            (start + self.kernel[i]).min(size[i] + before + after) - start
        };
        let pixels = if self.count_padding { counted(0) * counted(1) } else { axes[0].len() * axes[1].len() };
        (axes, pixels)
    }

    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let input = inputs[0];
        let shape = self.output_shapes(&[input.shape]).expect("shapes were checked")[0];
        let mut out = Tensor::filled(shape, T::default());
        for oy in 0..shape.h {
            for ox in 0..shape.w {
                let ([rows, columns], counted) = self.window([oy, ox], input.shape);
                let mean = out.pixel_mut(oy, ox);
                for y in rows {
                    for x in columns.clone() {
                        mean.iter_mut().zip(input.pixel(y, x)).for_each(|(m, v)| *m += *v);
                    }
                }
                mean.iter_mut().for_each(|m| *m = *m / T::from_f64(counted as f64));
            }
        }
        out
    }
}

kernel_call! {
    /// Average pooling.
    AveragePoolCall for AveragePool2d {
        input: In,
        output: Out,
        kernel: [u32; 2],
        stride: [u32; 2],
        padding: [u32; 2],
        padding_end: [u32; 2],
        count_padding: bool,
        zero_point: i8,
        min: i8,
        max: i8,
    }
}

kernel_call! {
    /// Average pooling in floating point.
    AveragePoolFloatCall for AveragePool2dFloat {
        input: In,
        output: Out,
        types: [Float; 2],
        kernel: [u32; 2],
        stride: [u32; 2],
        padding: [u32; 2],
        padding_end: [u32; 2],
        count_padding: bool,
        range: FloatBounds,
    }
}

kernel_call! {
    /// Average pooling of 16 bits.
    AveragePoolInt16Call for AveragePool2dInt16 {
        input: In,
        output: Out,
        kernel: [u32; 2],
        stride: [u32; 2],
        padding: [u32; 2],
        padding_end: [u32; 2],
        count_padding: bool,
    }
}

impl Op for AveragePool2d {
    fn kind(&self) -> &'static str {
        "AveragePool2d"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let s = super::only(inputs)?;
        // Sums of 2^23 codes of at most 128 fit 31 bits.
        if self.kernel[0].saturating_mul(self.kernel[1]) > 1 << 23 {
            return Err(format!("expected at most 2^23 pixels per window, got {:?}", self.kernel));
        }
        let Self { kernel, stride, padding, ceil_mode, .. } = *self;
        let axis = |i: usize, size| {
            pooled(size, kernel[i], stride[i], 1, [padding[2 * i], padding[2 * i + 1]], ceil_mode)
        };
        Ok(vec![Shape::new(axis(0, s.h)?, axis(1, s.w)?, s.c)])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        let shape = at.output.shape;
        let mut out = Tensor::filled(at.input().shape, 0.0);
        for (oy, ox) in (0..shape.h).flat_map(|oy| (0..shape.w).map(move |ox| (oy, ox))) {
            let ([rows, columns], counted) = self.window([oy, ox], out.shape);
            for (y, x) in rows.flat_map(|y| columns.clone().map(move |x| (y, x))) {
                let pixel = out.pixel_mut(y, x).iter_mut().zip(at.gradient.pixel(oy, ox));
                pixel.for_each(|(sum, gradient)| *sum += gradient / counted as f64);
            }
        }
        Some(out)
    }

    fn is_mean_of(&self, input: Shape) -> bool {
        self.kernel == [input.h, input.w] && self.padding == [0; 4]
    }

    fn range_rule(&self) -> RangeRule {
        RangeRule::SameAsInputs
    }

    fn takes_int16(&self) -> bool {
        // Sums fit 31 bits.
        self.kernel[0].saturating_mul(self.kernel[1]) <= AveragePool2dInt16::CELLS
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let [padding, padding_end] = self.padding_of_kernels();
        let call = AveragePoolCall {
            input: In::new(input),
            output: Out::new(output),
            kernel: self.kernel.map(|d| d as u32),
            stride: self.stride.map(|d| d as u32),
            padding,
            padding_end,
            count_padding: self.count_padding,
            zero_point: cx.qparams(input)?.zero_point,
            min: i8::MIN,
            max: i8::MAX,
        };
        cx.push(call);
        Ok(())
    }

    fn lower_int16(&self, cx: &mut Lowering<'_>) -> Result<()> {
        if !self.takes_int16() {
            return Err(cx.error("has windows whose sums do not fit 32 bits"));
        }
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let [padding, padding_end] = self.padding_of_kernels();
        let call = AveragePoolInt16Call {
            input: In::new(input),
            output: Out::new(output),
            kernel: self.kernel.map(|d| d as u32),
            stride: self.stride.map(|d| d as u32),
            padding,
            padding_end,
            count_padding: self.count_padding,
        };
        cx.push(call);
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let [padding, padding_end] = self.padding_of_kernels();
        let call = AveragePoolFloatCall {
            input: In::new(input),
            output: Out::new(output),
            types: [cx.float(input)?, cx.float(output)?],
            kernel: self.kernel.map(|d| d as u32),
            stride: self.stride.map(|d| d as u32),
            padding,
            padding_end,
            count_padding: self.count_padding,
            range: FloatBounds::ALL,
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
    fn padding_counts_only_where_asked_and_never_beyond_it() {
        let x = tensor([2, 3, 1], &[1., 2., 3., 4., 5., 6.]);
        let plain = AveragePool2d::new(2, 1);
        assert_eq!(eval(&plain, &[&x]), tensor([1, 2, 1], &[3., 4.]));
        let padded = AveragePool2d { padding: [1; 4], stride: [2, 2], ..plain };
        assert_eq!(eval(&padded, &[&x]), tensor([2, 2, 1], &[0.25, 1.25, 1., 2.75]));
        let inside = AveragePool2d { count_padding: false, ..padded };
        assert_eq!(eval(&inside, &[&x]), tensor([2, 2, 1], &[1., 2.5, 4., 5.5]));
        // In ceil mode the part of a window beyond the padded image does not count.
        let ceil = AveragePool2d { ceil_mode: true, ..AveragePool2d::new(2, 2) };
        assert_eq!(eval(&ceil, &[&x]), tensor([1, 2, 1], &[3., 4.5]));
    }

    #[test]
    fn a_window_that_does_not_fit_is_refused() {
        assert_refused(&AveragePool2d::new(4096, 1), &[(&[[5000, 5000, 1]], "2^23 pixels per window")]);
        assert_refused(
            &AveragePool2d::new(3, 1),
            &[(&[[2, 8, 1]], "window of 3"), (&[], "expected one input, got 0")],
        );
    }
}
