//! Max pooling.

use super::{Op, RangeRule, forward_eval};
use crate::{
    error::Result,
    graph::Shape,
    lower::Lowering,
    program::{Ref, kernel_call},
    tensor::{Real, Tensor},
};

/// Largest value of each window; padding takes no part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaxPool2d {
    /// Rows, columns.
    pub kernel: [usize; 2],
    /// Rows, columns.
    pub stride: [usize; 2],
    /// On both sides: rows, columns.
    pub padding: [usize; 2],
    /// Whether a window may end outside the image (PyTorch's `ceil_mode`).
    pub ceil_mode: bool,
}

impl MaxPool2d {
    /// A square window without padding.
    pub const fn new(kernel: usize, stride: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [stride; 2], padding: [0; 2], ceil_mode: false }
    }

    /// The whole `h x w` image.
    pub const fn global(h: usize, w: usize) -> Self {
        Self { kernel: [h, w], stride: [1, 1], padding: [0; 2], ceil_mode: false }
    }

    /// Padding on all sides.
    pub const fn padding(mut self, padding: usize) -> Self {
        self.padding = [padding; 2];
        self
    }

    /// PyTorch's `ceil_mode`.
    pub const fn ceil_mode(mut self, ceil: bool) -> Self {
        self.ceil_mode = ceil;
        self
    }

    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let input = inputs[0];
        let shape = self.output_shapes(&[input.shape]).expect("shapes were checked")[0];
        let mut out = Tensor::filled(shape, T::default());
        for oy in 0..shape.h {
            let rows = window(oy, self.kernel[0], self.stride[0], self.padding[0], input.shape.h);
            for ox in 0..shape.w {
                let columns = window(ox, self.kernel[1], self.stride[1], self.padding[1], input.shape.w);
                let best = out.pixel_mut(oy, ox);
                best.copy_from_slice(input.pixel(rows.start, columns.start));
                for y in rows.clone() {
                    for x in columns.clone() {
                        for (b, v) in best.iter_mut().zip(input.pixel(y, x)) {
                            *b = b.maximum(*v);
                        }
                    }
                }
            }
        }
        out
    }
}

/// The part of `0..size` that window `index` covers.
pub(super) fn window(
    index: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    size: usize,
) -> std::ops::Range<usize> {
    let start = index * stride;
    start.saturating_sub(padding)..(start + kernel).saturating_sub(padding).min(size)
}

/// PyTorch's output size of a pooling axis: in ceil mode a window must still start within the image or left padding.
pub(super) fn pooled(
    size: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    ceil: bool,
) -> Result<usize, String> {
    let padded = size + 2 * padding;
    if stride == 0 || kernel == 0 || padded < kernel || padding * 2 > kernel {
        return Err(format!(
            "window of {kernel}, stride {stride}, padding {padding} does not fit {size} pixels"
        ));
    }
    let mut out = (padded - kernel) / stride + 1;
    if ceil && !(padded - kernel).is_multiple_of(stride) && out * stride < size + padding {
        out += 1;
    }
    Ok(out)
}

kernel_call! {
    /// Max pooling.
    MaxPoolCall for MaxPool2d {
        input: Ref,
        output: Ref,
        kernel: [u32; 2],
        stride: [u32; 2],
        padding: [u32; 2],
        min: i8,
        max: i8,
    }
}

impl Op for MaxPool2d {
    fn kind(&self) -> &'static str {
        "MaxPool2d"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let s = super::same_shape(inputs)?;
        let axis =
            |i: usize, size| pooled(size, self.kernel[i], self.stride[i], self.padding[i], self.ceil_mode);
        Ok(vec![Shape::new(axis(0, s.h)?, axis(1, s.w)?, s.c)])
    }

    forward_eval!();

    fn range_rule(&self) -> RangeRule {
        RangeRule::SameAsInputs
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let call = MaxPoolCall {
            input: Ref::new(input),
            output: Ref::new(output),
            kernel: self.kernel.map(|d| d as u32),
            stride: self.stride.map(|d| d as u32),
            padding: self.padding.map(|d| d as u32),
            min: i8::MIN,
            max: i8::MAX,
        };
        cx.push(call, &[input], output);
        Ok(())
    }
}
