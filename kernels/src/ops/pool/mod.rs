//! Pooling: largest value, where it is, and mean over windows, mean over the whole image; unpooling.
//!
//! All walk the image pixel by pixel and keep a block of channels in registers.

pub(crate) mod average;
pub(crate) mod global;
pub(crate) mod max;
pub(crate) mod position;
#[cfg(niello_mve)]
mod sums;
pub(crate) mod unpool;

pub use average::AveragePool2d;
pub use global::GlobalAveragePool;
pub use max::MaxPool2d;
pub use position::MaxPosition2d;
pub use unpool::MaxUnpool2d;

use core::ops::Range;

/// The windows of a pool on an image.
#[derive(Clone, Copy)]
pub(crate) struct Windows {
    /// Rows, columns, as the others.
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    /// Of the image.
    size: [usize; 2],
}

impl Windows {
    /// Of an image of that shape.
    #[inline(always)]
    pub(crate) fn new(kernel: [u32; 2], stride: [u32; 2], padding: [u32; 2], [h, w, _]: [usize; 3]) -> Self {
        let [kernel, stride, padding] = [kernel, stride, padding].map(|pair| pair.map(|d| d as usize));
        Self { kernel, stride, padding, size: [h, w] }
    }

    /// Rows of the image that windows of output row `oy` cover.
    #[inline(always)]
    pub(crate) fn rows(&self, oy: usize) -> Range<usize> {
        window(oy, self.kernel[0], self.stride[0], self.padding[0], self.size[0])
    }

    /// Columns of the image that windows of output column `ox` cover.
    #[inline(always)]
    pub(crate) fn columns(&self, ox: usize) -> Range<usize> {
        window(ox, self.kernel[1], self.stride[1], self.padding[1], self.size[1])
    }

    /// Cells of window `at` that lie in the image, with `end` rows and columns of padding below and to the right: PyTorch counts no further
    /// (ceil mode).
    #[inline(always)]
    pub(crate) fn padded_cells(&self, at: [usize; 2], end: [u32; 2]) -> usize {
        let [rows, columns] = [0, 1].map(|axis| {
            let start = at[axis].saturating_mul(self.stride[axis]);
            let padded =
                self.size[axis].saturating_add(self.padding[axis]).saturating_add(end[axis] as usize);
            start.saturating_add(self.kernel[axis]).min(padded).saturating_sub(start)
        });
        rows.wrapping_mul(columns)
    }

    /// Window `at`, of `rows` and `columns` of the image.
    #[inline(always)]
    pub(crate) fn at(&self, at: [usize; 2], rows: Range<usize>, columns: Range<usize>) -> Window {
        let [above, left] =
            [0, 1].map(|axis| self.padding[axis].saturating_sub(at[axis].saturating_mul(self.stride[axis])));
        Window { rows, columns, above, left, width: self.kernel[1] }
    }
}

/// A window, of which positions count.
pub(crate) struct Window {
    /// Rows of the image.
    rows: Range<usize>,
    /// Columns of the image.
    columns: Range<usize>,
    /// Cells that lie above the image.
    above: usize,
    /// Cells that lie to its left.
    left: usize,
    /// Columns of the whole window.
    width: usize,
}

impl Window {
    /// Position of the largest of `N` values, of which `values` returns those at a row and a column of the image. The first of equal ones wins, 0 if
    /// there are none.
    #[inline(always)]
    pub(crate) fn largest<V: Copy + Default + PartialOrd, const N: usize>(
        &self,
        values: impl Fn(usize, usize) -> [V; N],
    ) -> [i8; N] {
        let (mut largest, mut position) = ([V::default(); N], [0i8; N]);
        let mut start = true;
        for (i, y) in self.rows.clone().enumerate() {
            for (j, x) in self.columns.clone().enumerate() {
                let row = self.above.wrapping_add(i).wrapping_mul(self.width);
                let cell = row.wrapping_add(self.left).wrapping_add(j) as i8;
                for ((l, p), v) in largest.iter_mut().zip(&mut position).zip(values(y, x)) {
                    let wins = v > *l || start;
                    *p = if wins { cell } else { *p };
                    *l = if wins { v } else { *l };
                }
                start = false;
            }
        }
        position
    }
}

/// The part of axis `0..size` that window `index` covers.
#[inline(always)]
pub(crate) fn window(
    index: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    size: usize,
) -> Range<usize> {
    let start = index.saturating_mul(stride);
    let end = start.saturating_add(kernel);
    start.saturating_sub(padding).min(size)..end.saturating_sub(padding).min(size)
}
