//! Kernels whose output rows can be computed apart: some at a time, on this thread or on several.

use crate::{Isa, Kernel, Memory, Operand, Region, base::scratch::part_of_scratch};
use core::ops::Range;

/// Which rows of its input a kernel reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
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

impl Reach {
    /// Each row reads the same row.
    pub const SAME: Self = Self::Window { rows: 1, stride: 1, padding: 0 };

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
        // What lies in the padding alone, or behind the last window, reads nothing: no row behind the last one, which may be behind all memory.
        if start < end.min(height) { start..end.min(height) } else { 0..0 }
    }
}

/// A kernel that can compute some rows of its output alone.
///
/// # Safety
/// [`ByRows::part`] writes those rows of [`ByRows::output`] and its index's share of [`ByRows::scratch`], and nothing else; it reads
/// nothing but [`ByRows::reads`], constants and that scratch, and with [`ByRows::IN_PLACE`] of an operand that is the output itself
/// only the rows that it writes, each element before it is overwritten.
#[cfg_attr(
    not(feature = "threads"),
    allow(dead_code, reason = "without threads every kernel is computed whole")
)]
pub(crate) unsafe trait ByRows: Copy + Sync {
    /// Parts begin at multiples of so many rows.
    const STEP: usize = 1;
    /// Whether an operand may be the very view that is written.
    const IN_PLACE: bool = false;
    /// Whether neighbouring parts compute something twice, so that they should be few.
    const HALO: bool = false;

    /// What is written.
    fn output(&self) -> Operand;

    /// What is read; the same twice if it is one.
    fn reads(&self) -> [Operand; 2];

    /// All scratch, of every thread.
    fn scratch(&self) -> Region {
        Region::EMPTY
    }

    /// Scratch bytes that one thread needs.
    fn scratch_of_one(&self) -> usize {
        0
    }

    /// Multiply-accumulates, or what takes as long.
    fn work(&self) -> usize;

    /// Whether [`ByRows::alone`] computes anything: what does not fit together is refused as a whole. [`Kernel::fits`] also asks the kernels of
    /// which this one consists.
    fn fits(&self, mem: &Memory<'_>) -> bool;

    /// All rows on this thread. Small cores get a copy for each caller, fit for it; elsewhere one serves all callers, in other crates too, and
    /// compilers have less to do.
    fn alone(&self, mem: &Memory<'_>, isa: Isa);

    /// Some rows, with the scratch of thread `index`.
    fn part(&self, rows: Range<usize>, index: usize) -> Self;

    /// How many threads there is scratch for.
    fn most(&self) -> usize {
        let one = self.scratch_of_one();
        // The last part's may end without padding.
        let rest = (self.scratch().len as usize).checked_sub(one);
        match part_of_scratch(one) {
            0 => usize::MAX,
            bytes => rest.map_or(0, |rest| rest.checked_div(bytes).unwrap_or(0) + 1),
        }
    }
}

/// [`Kernel`](crate::Kernel) for kernels that are [`ByRows`].
macro_rules! kernel {
    ($kernel:ident $(<$l:lifetime>)?) => {
        impl$(<$l>)? $crate::Kernel for $kernel$(<$l>)? {
            fn run(&self, mem: &$crate::Memory<'_>, isa: $crate::Isa) {
                $crate::by_rows::run(self, mem, isa);
            }

            fn fits(&self, mem: &$crate::Memory<'_>) -> bool {
                $crate::by_rows::ByRows::fits(self, mem)
            }
        }
    };
}
pub(crate) use kernel;

/// A kernel whose operands can be replaced by parts of them.
pub(crate) trait Windowed: ByRows + Kernel {
    /// Whether [`Windowed::reach`] holds for all operands; a chain takes no kernel of which it does not.
    fn is_by_rows(&self) -> bool {
        true
    }

    /// Which rows of its operands it reads.
    fn reach(&self) -> Reach;

    /// The same for output rows from `row` on, which are `output`, from operands that begin with the first row that these
    /// need, with other scratch.
    fn over(&self, row: usize, reads: [Operand; 2], output: Operand, scratch: Region) -> Self;
}

/// [`ByRows::part`] of kernels whose operands can be replaced.
pub(crate) fn part<K: Windowed>(kernel: &K, rows: Range<usize>, index: usize) -> K {
    let needed = |operand: Operand| operand.rows(kernel.reach().of(rows.clone(), operand.shape[0] as usize));
    let [first, second] = kernel.reads();
    let reads = [needed(first), needed(second)];
    let scratch = scratch_part(kernel.scratch(), kernel.scratch_of_one(), index);
    kernel.over(rows.start, reads, kernel.output().rows(rows), scratch)
}

/// Scratch of thread `index`, where one needs `one` bytes.
pub(crate) fn scratch_part(all: Region, one: usize, index: usize) -> Region {
    let bytes = part_of_scratch(one);
    let start = index.saturating_mul(bytes).min(all.len as usize) as u32;
    Region { offset: all.offset + start, len: (all.len - start).min(bytes as u32) }
}

/// A kernel that computes some rows at a time, for whoever does not know which it is.
///
/// Only kernels of this crate are: threads rely on what [`RowStage::compute`] writes, and on nothing else being written.
pub trait RowStage: sealed::RowStage {
    /// Whether [`RowStage::reach`] holds for all operands: only then it can be part of a chain.
    fn is_by_rows(&self) -> bool;

    /// What is written, as a whole.
    fn output(&self) -> Operand;

    /// What is read, as wholes; the same twice if it is one.
    fn reads(&self) -> [Operand; 2];

    /// Scratch.
    fn scratch(&self) -> Region;

    /// Which rows of what is read a row reads.
    fn reach(&self) -> Reach;

    /// Multiply-accumulates, or what takes as long.
    fn work(&self) -> usize;

    /// Computes the output's rows from `row` on, to `output`, from operands that begin with the first row that they need.
    /// Operands and scratch are other memory than the kernel's own.
    fn compute(&self, row: usize, views: Views, mem: &Memory<'_>, isa: Isa);

    /// Whether [`RowStage::compute`] computes anything.
    fn fits(&self, row: usize, views: Views, mem: &Memory<'_>) -> bool;
}

/// Memory for [`RowStage::compute`].
#[derive(Clone, Copy, Debug)]
pub struct Views {
    /// For [`RowStage::reads`].
    pub reads: [Operand; 2],
    /// For [`RowStage::output`].
    pub output: Operand,
    /// For [`RowStage::scratch`].
    pub scratch: Region,
}

/// What only this crate can implement.
pub(crate) mod sealed {
    /// See [`super::RowStage`].
    pub trait RowStage {}

    /// See [`crate::row_chain::Stages`].
    pub trait Stages {}
}

/// ```compile_fail,E0277
/// use niello_kernels::{Isa, Memory, Operand, Region, by_rows::{Reach, RowStage, Views}};
///
/// struct Mine(Operand);
///
/// impl RowStage for Mine {
///     fn is_by_rows(&self) -> bool { true }
///     fn output(&self) -> Operand { self.0 }
///     fn reads(&self) -> [Operand; 2] { [self.0; 2] }
///     fn scratch(&self) -> Region { Region::EMPTY }
///     fn reach(&self) -> Reach { Reach::SAME }
///     fn work(&self) -> usize { usize::MAX }
///     fn compute(&self, _: usize, _: Views, _: &Memory<'_>, _: Isa) {}
///     fn fits(&self, _: usize, _: Views, _: &Memory<'_>) -> bool { true }
/// }
/// ```
///
/// ```compile_fail,E0277
/// use niello_kernels::{Isa, Memory, by_rows::Views, row_chain::{Link, Stages}};
///
/// #[derive(Clone, Copy)]
/// struct Mine;
///
/// impl Stages for Mine {
///     fn count(&self) -> usize { 0 }
///     fn link(&self, _: usize) -> Option<Link> { None }
///     fn compute(&self, _: usize, _: usize, _: Views, _: &Memory<'_>, _: Isa) {}
///     fn fits(&self, _: usize, _: usize, _: Views, _: &Memory<'_>) -> bool { true }
/// }
/// ```
#[cfg(doctest)]
pub struct FromOutside;

impl<K: Windowed> sealed::RowStage for K {}

impl<K: Windowed> RowStage for K {
    fn is_by_rows(&self) -> bool {
        Windowed::is_by_rows(self)
    }

    fn output(&self) -> Operand {
        ByRows::output(self)
    }

    fn reads(&self) -> [Operand; 2] {
        ByRows::reads(self)
    }

    fn scratch(&self) -> Region {
        ByRows::scratch(self)
    }

    fn reach(&self) -> Reach {
        Windowed::reach(self)
    }

    fn work(&self) -> usize {
        ByRows::work(self)
    }

    // One copy for all chains.
    #[inline(never)]
    fn compute(&self, row: usize, views: Views, mem: &Memory<'_>, isa: Isa) {
        let Views { reads, output, scratch } = views;
        self.over(row, reads, output, scratch).alone(mem, isa);
    }

    fn fits(&self, row: usize, views: Views, mem: &Memory<'_>) -> bool {
        let Views { reads, output, scratch } = views;
        Kernel::fits(&self.over(row, reads, output, scratch), mem)
    }
}

/// Runs it, on several threads where there are any and it pays.
#[inline(always)]
pub(crate) fn run<K: ByRows>(kernel: &K, mem: &Memory<'_>, isa: Isa) {
    #[cfg(feature = "threads")]
    if crate::threads::share(kernel, mem, isa) {
        return;
    }
    kernel.alone(mem, isa);
}

/// Padding above a window of output row `row`, whose input begins with the first row of the image that it covers.
pub(crate) fn padding_above(row: usize, stride: u32, padding: u32) -> u32 {
    (padding as usize).saturating_sub(row.saturating_mul(stride as usize)) as u32
}

/// Rows cropped above output row `row` of a transposed convolution, whose input begins with the first row that reaches it.
pub(crate) fn spread_above(reach: Reach, row: usize) -> u32 {
    let Reach::Spread { stride, padding, .. } = reach else { return 0 };
    let first = reach.of(row..row.saturating_add(1), usize::MAX).start;
    // Rows of the output above are cropped, those of the input above are not there to be cropped.
    (padding as usize).saturating_add(row).saturating_sub(first.saturating_mul(stride as usize)) as u32
}

/// Rows that a dilated kernel covers.
pub(crate) fn covered(kernel: u32, dilation: u32) -> u32 {
    kernel.saturating_sub(1).saturating_mul(dilation).saturating_add(1)
}

/// Whether no side of a window, step or dilation is 0: then a window has cells, and windows and taps lie apart.
pub(crate) fn positive(pairs: &[[u32; 2]]) -> bool {
    !pairs.as_flattened().contains(&0)
}

/// Number of elements.
pub(crate) fn elements(shape: [u32; 3]) -> usize {
    shape.iter().fold(1, |product: usize, d| product.saturating_mul(*d as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which input rows meet which output rows, by definition.
    fn meets(reach: Reach, input: usize, output: usize) -> bool {
        match reach {
            Reach::Window { rows, stride, padding } => {
                let start = output as i64 * stride as i64 - padding as i64;
                (start..start + rows as i64).contains(&(input as i64))
            }
            Reach::Spread { rows, stride, padding } => {
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
            for reach in [Reach::Window { rows, stride, padding }, Reach::Spread { rows, stride, padding }] {
                for height in 0..9 {
                    for (start, end) in (0..12).flat_map(|s| (s + 1..13).map(move |e| (s, e))) {
                        let read = (0..height)
                            .filter(|i| (start..end).any(|o| meets(reach, *i, o)))
                            .collect::<std::vec::Vec<_>>();
                        let found = reach.of(start..end, height);
                        assert!(!found.is_empty() || found == (0..0), "{reach:?} {start}..{end} of {height}");
                        let (Some(first), Some(last)) = (read.first(), read.last()) else { continue };
                        // Where windows do not touch, rows between them may be counted in.
                        let exact = found == (*first..last + 1);
                        let more = rows < stride && found.start <= *first && found.end > *last;
                        assert!(exact || more, "{reach:?} {start}..{end} of {height}: {found:?}");
                        cases += 1;
                    }
                }
            }
        }
        assert!(cases > if cfg!(miri) { 1000 } else { 10_000 });
        assert_eq!(Reach::SAME.of(3..3, 9), 0..0);
    }
}
