//! Mean of each window.

use super::Windows;
use crate::{
    Memory, Operand,
    base::{
        isa::Vectorize,
        memory::{Code, In, Out, in_blocks},
    },
    schedule::by_rows::{elements, positive},
};

/// Mean of each window: TensorFlow Lite's int8 `AVERAGE_POOL_2D`. Input and output share scale and zero point.
///
/// The sum of the stored values is divided by the number of cells, to nearest, ties away from zero. With
/// `count_padding`, cells in the padding count as zero points (PyTorch's `count_include_pad`). A window without cells
/// gives the zero point. For windows of at most `2^23` cells, so that the sum fits.
#[derive(Clone, Copy, Debug)]
pub struct AveragePool2d {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[oh, ow, c]`.
    pub output: Operand,
    /// Rows, columns.
    pub kernel: [u32; 2],
    /// Rows, columns.
    pub stride: [u32; 2],
    /// Above, to the left.
    pub padding: [u32; 2],
    /// Below, to the right: only to count cells with `count_padding`.
    pub padding_end: [u32; 2],
    /// Whether cells in the padding take part.
    pub count_padding: bool,
    /// Zero point of input and output.
    pub zero_point: i8,
    /// Smallest value to store.
    pub min: i8,
    /// Largest value to store.
    pub max: i8,
}

crate::schedule::kernel!(AveragePool2d, |pool| {
    check: |mem| Means::new(
        mem,
        [&pool.input, &pool.output],
        [pool.kernel, pool.stride, pool.padding],
        pool.count_padding.then_some(pool.padding_end),
        pool.zero_point.into(),
        [pool.min, pool.max],
    ),
    run: |means, isa| isa.vectorize(means),
});

/// The loop over codes of any width.
pub(crate) struct Means<'m, T> {
    windows: Windows,
    /// Padding below and to the right, where cells in the padding take part.
    padding_end: Option<[u32; 2]>,
    input: In<'m>,
    out: Out<'m>,
    zero_point: i32,
    /// Smallest and largest code to store.
    bounds: [T; 2],
}

impl<'m, T: Code> Means<'m, T> {
    /// `None` if operands lie outside memory, channel counts differ, or windows have no or too many cells.
    pub(crate) fn new(
        mem: &Memory<'m>,
        [input, output]: [&Operand; 2],
        [kernel, stride, padding]: [[u32; 2]; 3],
        padding_end: Option<[u32; 2]>,
        zero_point: i32,
        bounds: [T; 2],
    ) -> Option<Self> {
        let (input, out) = (mem.read(input)?, mem.write(output)?);
        let windows = Windows::new(kernel, stride, padding, input.shape());
        let fits = input.shape()[2] == out.shape()[2] && sum_fits(kernel, stride);
        T::count(out.shape()[2])?;
        fits.then_some(Self { windows, padding_end, input, out, zero_point, bounds })
    }
}

/// Whether windows have cells, but no more than 2^23: so many add up in 32 bits, and their number is one in single precision.
pub(crate) fn sum_fits(kernel: [u32; 2], stride: [u32; 2]) -> bool {
    positive(&[kernel, stride]) && elements([kernel[0], kernel[1], 1]) <= 1 << 23
}

impl<T: Code> Vectorize for Means<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { windows, padding_end, input, out, zero_point, bounds: [low, high] } = self;
        let [oh, ow, bytes] = out.shape();
        let channels = bytes / size_of::<T>();
        for oy in 0..oh {
            let rows = windows.rows(oy);
            for ox in 0..ow {
                let columns = windows.columns(ox);
                let inside = rows.len().wrapping_mul(columns.len()) as i32;
                let count = padding_end.map_or(inside, |end| windows.padded_cells([oy, ox], end) as i32);
                let base = count.wrapping_sub(inside).wrapping_mul(zero_point);
                let cells = out.pixel(oy, ox);
                in_blocks!(first in channels, N => {
                    let mut sums = [base; N];
                    for y in rows.clone() {
                        for x in columns.clone() {
                            let values = T::block::<N>(input.pixel(y, x), first);
                            for (sum, v) in sums.iter_mut().zip(values) {
                                *sum = sum.wrapping_add(v.into());
                            }
                        }
                    }
                    let mut means = [T::LEAST; N];
                    for (mean, sum) in means.iter_mut().zip(sums) {
                        let value = rounded_quotient(sum, count).unwrap_or(zero_point);
                        *mean = T::cut(value).max(low).min(high);
                    }
                    T::put(cells, first, means);
                });
            }
        }
    }
}

/// `sum / count` to nearest, ties away from zero; `None` if there is nothing to divide by.
#[inline(always)]
fn rounded_quotient(sum: i32, count: i32) -> Option<i32> {
    let half = if sum > 0 { count / 2 } else { -(count / 2) };
    sum.wrapping_add(half).checked_div(count)
}
