//! Sizes of convolutions, as PyTorch and TensorFlow describe them.

/// A convolution, as `torch.nn.Conv2d` describes it.
#[derive(Clone, Copy, Debug)]
pub struct ConvParams {
    /// Output channels.
    pub out: usize,
    /// Rows, columns.
    pub kernel: [usize; 2],
    /// Rows, columns.
    pub stride: [usize; 2],
    /// Rows, columns.
    pub dilation: [usize; 2],
    /// Top, bottom, left, right.
    pub padding: [usize; 4],
    /// Groups.
    pub groups: usize,
    /// Whether there is a bias.
    pub bias: bool,
}

impl ConvParams {
    /// A square kernel, stride 1, no padding, with bias.
    pub const fn new(out: usize, kernel: usize) -> Self {
        Self {
            out,
            kernel: [kernel; 2],
            stride: [1; 2],
            dilation: [1; 2],
            padding: [0; 4],
            groups: 1,
            bias: true,
        }
    }

    /// Stride on both axes.
    pub const fn stride(mut self, stride: usize) -> Self {
        self.stride = [stride; 2];
        self
    }

    /// Padding on all sides.
    pub const fn padding(mut self, padding: usize) -> Self {
        self.padding = [padding; 4];
        self
    }

    /// TensorFlow's `SAME` padding for an input of `size` rows and columns: `ceil(size / stride)` come out, and an odd pixel of padding
    /// goes to the bottom and the right. Kernel, stride and dilation must have been set.
    pub const fn same(mut self, size: [usize; 2]) -> Self {
        let mut axis = 0;
        while axis < 2 {
            let stride = if self.stride[axis] == 0 { 1 } else { self.stride[axis] };
            let span =
                self.kernel[axis].saturating_sub(1).saturating_mul(self.dilation[axis]).saturating_add(1);
            let covered = size[axis].div_ceil(stride).saturating_sub(1) * stride;
            let padding = covered.saturating_add(span).saturating_sub(size[axis]);
            self.padding[2 * axis] = padding / 2;
            self.padding[2 * axis + 1] = padding - padding / 2;
            axis += 1;
        }
        self
    }

    /// Dilation on both axes.
    pub const fn dilation(mut self, dilation: usize) -> Self {
        self.dilation = [dilation; 2];
        self
    }

    /// Groups.
    pub const fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// Without bias.
    pub const fn no_bias(mut self) -> Self {
        self.bias = false;
        self
    }
}

/// A transposed convolution, as `torch.nn.ConvTranspose2d` describes it (one group, dilation 1).
#[derive(Clone, Copy, Debug)]
pub struct TransposedConvParams {
    /// Output channels.
    pub out: usize,
    /// Rows, columns.
    pub kernel: [usize; 2],
    /// Rows, columns.
    pub stride: [usize; 2],
    /// Top, bottom, left, right; cropped.
    pub padding: [usize; 4],
    /// Rows, columns; added at the bottom and right.
    pub output_padding: [usize; 2],
    /// Whether there is a bias.
    pub bias: bool,
}

impl TransposedConvParams {
    /// A square kernel, with bias.
    pub const fn new(out: usize, kernel: usize, stride: usize) -> Self {
        Self {
            out,
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [0; 4],
            output_padding: [0; 2],
            bias: true,
        }
    }

    /// Padding on all sides.
    pub const fn padding(mut self, padding: usize) -> Self {
        self.padding = [padding; 4];
        self
    }

    /// TensorFlow's `SAME`: the output is the input's size times the stride. A kernel larger than the stride is cropped by the
    /// surplus, half of it (rounded down) above and to the left, the rest below and to the right.
    pub const fn same(mut self) -> Self {
        let mut axis = 0;
        while axis < 2 {
            let (kernel, stride) = (self.kernel[axis], self.stride[axis]);
            let surplus = kernel.saturating_sub(stride);
            self.padding[2 * axis] = surplus / 2;
            self.padding[2 * axis + 1] = surplus - surplus / 2;
            self.output_padding[axis] = stride.saturating_sub(kernel);
            axis += 1;
        }
        self
    }

    /// Without bias.
    pub const fn no_bias(mut self) -> Self {
        self.bias = false;
        self
    }

    /// Output padding on both axes.
    pub const fn output_padding(mut self, padding: usize) -> Self {
        self.output_padding = [padding; 2];
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_is_tensorflows() {
        for (kernel, stride, dilation, size, expected) in [
            (3, 1, 1, [8, 9], [1, 1, 1, 1]),
            (3, 2, 1, [8, 9], [0, 1, 1, 1]),
            (5, 2, 1, [8, 9], [1, 2, 2, 2]),
            (8, 1, 1, [16, 16], [3, 4, 3, 4]),
            (1, 2, 1, [8, 9], [0, 0, 0, 0]),
            (3, 1, 4, [8, 2], [4, 4, 4, 4]),
            (2, 3, 1, [9, 1], [0, 0, 0, 1]),
        ] {
            let p = ConvParams::new(1, kernel).stride(stride).dilation(dilation).same(size);
            assert_eq!(
                p.padding, expected,
                "kernel {kernel}, stride {stride}, dilation {dilation}, {size:?}"
            );
        }
    }
}

/// Where the taps of a convolution lie.
#[derive(Clone, Copy)]
pub(super) struct Taps {
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) dilation: [usize; 2],
    /// Above, to the left.
    pub(super) padding: [usize; 2],
    pub(super) transposed: bool,
    pub(super) groups: usize,
    pub(super) depthwise: bool,
}

impl Taps {
    pub(super) fn of(p: &ConvParams, depthwise: bool) -> Self {
        let (padding, groups) = ([p.padding[0], p.padding[2]], p.groups);
        let (kernel, stride, dilation) = (p.kernel, p.stride, p.dilation);
        Self { kernel, stride, dilation, padding, transposed: false, groups, depthwise }
    }

    /// Of a transposed convolution that crops `padding` rows and columns above and to the left.
    pub(super) fn transposed(kernel: [usize; 2], stride: [usize; 2], padding: [usize; 2]) -> Self {
        Self { kernel, stride, dilation: [1; 2], padding, transposed: true, groups: 1, depthwise: false }
    }
}
