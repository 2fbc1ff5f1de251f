//! Which rows of its input a row of the output needs.

use core::ops::Range;

/// Which rows of its input a kernel reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceptiveField {
    /// Output row `o` reads `rows` rows from `o * stride - padding` on.
    Window {
        /// Rows of the window, with dilation.
        rows: u32,
        /// Rows from one window to the next, at least 1.
        stride: u32,
        /// Rows above the image.
        padding: u32,
    },
    /// Input row `i` reaches `rows` output rows from `i * stride - padding` on: a transposed convolution.
    Spread {
        /// Rows of the kernel.
        rows: u32,
        /// Output rows from one input row to the next, at least 1.
        stride: u32,
        /// Rows cropped above.
        padding: u32,
    },
}

impl ReceptiveField {
    /// Each row reads the same row.
    pub const SAME: Self = Self::Window { rows: 1, stride: 1, padding: 0 };

    /// [`ReceptiveField::Window`] of a kernel with these rows and columns, whose taps are `dilation` apart.
    pub(crate) fn window(kernel: [u32; 2], dilation: [u32; 2], stride: [u32; 2], padding: [u32; 2]) -> Self {
        Self::Window { rows: covered(kernel[0], dilation[0]), stride: stride[0], padding: padding[0] }
    }

    /// [`ReceptiveField::Spread`] of a kernel with these rows and columns.
    pub(crate) fn spread(kernel: [u32; 2], stride: [u32; 2], padding: [u32; 2]) -> Self {
        Self::Spread { rows: kernel[0], stride: stride[0], padding: padding[0] }
    }

    /// Padding or cropping above output row `row`, if the input begins with the first row that this row needs.
    pub(crate) fn above(self, row: usize) -> u32 {
        let above = match self {
            Self::Window { stride, padding, .. } => {
                (padding as usize).saturating_sub(row.saturating_mul(stride as usize))
            }
            Self::Spread { stride, padding, .. } => {
                let first = self.of(row..row.saturating_add(1), usize::MAX).start;
                // Rows of the output above are cropped, those of the input above are not there to be cropped.
                (padding as usize).saturating_add(row).saturating_sub(first.saturating_mul(stride as usize))
            }
        };
        above as u32
    }

    /// The rows that `rows` of the output read, of an input of `height` rows; `0..0` if they read none.
    pub fn of(self, rows: Range<usize>, height: usize) -> Range<usize> {
        if rows.is_empty() {
            return 0..0;
        }
        let (first, last) = (rows.start, rows.end - 1);
        let (start, end) = match self {
            Self::Window { rows, stride, padding } => {
                let [window, stride, padding] = [rows, stride, padding].map(|d| d as usize);
                let end = last.saturating_mul(stride).saturating_add(window);
                (first.saturating_mul(stride).saturating_sub(padding), end.saturating_sub(padding))
            }
            Self::Spread { rows, stride, padding } => {
                let [kernel, stride, padding] = [rows, stride.max(1), padding].map(|d| d as usize);
                // The first input row whose last tap is not above, and the row after the last one that begins. Where the kernel is
                // smaller than the stride, that first one may begin below: then the one before, so that nothing is negative.
                let begun = |row: usize| row.saturating_add(padding).checked_div(stride).unwrap_or(0);
                let above = first.saturating_add(padding).saturating_add(1).saturating_sub(kernel);
                (above.div_ceil(stride).min(begun(first)), begun(last).saturating_add(1))
            }
        };
        // Rows in the padding alone, or behind the last window, read nothing: no row behind the last one, which may be behind all memory.
        if start < end.min(height) { start..end.min(height) } else { 0..0 }
    }
}

/// Rows that a dilated kernel covers.
pub(crate) fn covered(kernel: u32, dilation: u32) -> u32 {
    kernel.saturating_sub(1).saturating_mul(dilation).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which input rows meet which output rows, by definition.
    fn meets(field: ReceptiveField, input: usize, output: usize) -> bool {
        match field {
            ReceptiveField::Window { rows, stride, padding } => {
                let start = output as i64 * stride as i64 - padding as i64;
                (start..start + rows as i64).contains(&(input as i64))
            }
            ReceptiveField::Spread { rows, stride, padding } => {
                let start = input as i64 * stride as i64 - padding as i64;
                (start..start + rows as i64).contains(&(output as i64))
            }
        }
    }

    #[test]
    fn rows_that_are_read() {
        const MOST: u32 = if cfg!(miri) { 3 } else { 6 };
        let mut cases = 0;
        for (rows, stride, padding) in
            (1..MOST).flat_map(|r| (1..4).flat_map(move |s| (0..r).map(move |p| (r, s, p))))
        {
            for field in [
                ReceptiveField::Window { rows, stride, padding },
                ReceptiveField::Spread { rows, stride, padding },
            ] {
                for height in 0..9 {
                    for (start, end) in (0..12).flat_map(|s| (s + 1..13).map(move |e| (s, e))) {
                        let read = (0..height)
                            .filter(|i| (start..end).any(|o| meets(field, *i, o)))
                            .collect::<std::vec::Vec<_>>();
                        let found = field.of(start..end, height);
                        assert!(!found.is_empty() || found == (0..0), "{field:?} {start}..{end} of {height}");
                        let (Some(first), Some(last)) = (read.first(), read.last()) else { continue };
                        // Where windows do not touch, rows between them may be counted in.
                        let exact = found == (*first..last + 1);
                        let more = rows < stride && found.start <= *first && found.end > *last;
                        assert!(exact || more, "{field:?} {start}..{end} of {height}: {found:?}");
                        cases += 1;
                    }
                }
            }
        }
        assert!(cases > if cfg!(miri) { 1000 } else { 10_000 });
        assert_eq!(ReceptiveField::SAME.of(3..3, 9), 0..0);
    }
}
