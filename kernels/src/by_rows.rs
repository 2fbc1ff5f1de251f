//! Kernels whose output rows can be computed apart: on this thread, or shared out among several.

use crate::{Isa, Memory, Operand, Region};
use core::ops::Range;

/// A kernel that can compute some rows of its output alone.
///
/// # Safety
/// [`ByRows::part`] writes those rows of [`ByRows::output`] and the scratch of its index, and nothing else; it reads nothing
/// that is not part of [`ByRows::reads`], of constants or of that scratch, and with [`ByRows::IN_PLACE`] of an operand that is
/// the output itself only the rows that it writes. Scratch of different indices does not overlap.
#[cfg_attr(
    not(feature = "threads"),
    allow(dead_code, reason = "without threads every kernel is computed whole")
)]
pub(crate) unsafe trait ByRows: Copy + Sync {
    /// Parts begin at multiples of so many rows.
    const STEP: usize = 1;
    /// Whether an operand may be the very view that is written, each element read before it is overwritten.
    const IN_PLACE: bool = false;
    /// Whether neighbouring parts compute something twice, so that they should be few.
    const HALO: bool = false;

    /// What is written.
    fn output(&self) -> Operand;

    /// What is read.
    fn reads(&self) -> [Operand; 2];

    /// All scratch, of every index.
    fn scratch(&self) -> Region {
        Region::EMPTY
    }

    /// How many indices there is scratch for.
    fn most(&self) -> usize {
        usize::MAX
    }

    /// Multiply-accumulates, or what takes as long.
    fn work(&self) -> usize;

    /// Whether [`ByRows::alone`] computes anything: what does not fit together is refused as a whole.
    fn fits(&self, mem: &Memory<'_>) -> bool;

    /// Some rows, with the scratch of `index`.
    fn part(&self, rows: Range<usize>, index: usize) -> Self;

    /// All rows on this thread.
    fn alone(&self, mem: &Memory<'_>, isa: Isa);
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

/// The first row of the input that output row `row` reads, and the rows of padding above it.
#[inline(always)]
pub(crate) fn above(row: usize, stride: u32, padding: u32) -> (usize, u32) {
    let (start, padding) = (row.saturating_mul(stride as usize), padding as usize);
    (start.saturating_sub(padding), padding.saturating_sub(start) as u32)
}

/// Number of elements.
pub(crate) fn elements(shape: [u32; 3]) -> usize {
    shape.iter().fold(1, |product: usize, d| product.saturating_mul(*d as usize))
}

/// Scratch of part `index`, where one takes `bytes`: what is left of it, if that is less.
pub(crate) fn scratch_part(all: Region, bytes: usize, index: usize) -> Region {
    let start = index.saturating_mul(bytes).min(all.len as usize) as u32;
    Region { offset: all.offset + start, len: (all.len - start).min(bytes as u32) }
}

/// How many parts of `bytes`, of which the last needs `one`, `all` has.
pub(crate) fn parts_of(all: Region, bytes: usize, one: usize) -> usize {
    let rest = (all.len as usize).checked_sub(one);
    rest.map_or(0, |rest| rest.checked_div(bytes).map_or(usize::MAX, |more| more + 1))
}
