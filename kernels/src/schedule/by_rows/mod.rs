//! Kernels that can be partitioned by output row, on this thread or on several.

mod receptive_field;
mod stage;

pub use receptive_field::ReceptiveField;
pub(crate) use receptive_field::covered;
pub use stage::{RowKernel, Views};

use crate::{Isa, Kernel, Memory, Operand, Region, base::scratch::scratch_per_thread};
use core::ops::Range;

/// A kernel that can compute some rows of its output alone.
///
/// # Safety
/// [`RowPartition::with_rows`] writes those rows of [`RowPartition::output`] and its index's share of [`RowPartition::scratch`], and nothing else;
/// it reads nothing but [`RowPartition::reads`], constants and that scratch, and with [`RowPartition::IN_PLACE`] of an operand that is the output itself
/// only the rows that it writes, each element before it is overwritten.
#[cfg_attr(
    not(feature = "threads"),
    allow(dead_code, reason = "without threads every kernel is computed whole")
)]
pub(crate) unsafe trait RowPartition: Copy + Sync {
    /// Parts begin at multiples of so many rows.
    const STEP: usize = 1;
    /// Whether an operand may be the very view that is written.
    const IN_PLACE: bool = false;
    /// Whether neighbouring parts compute something twice, so that they should be few.
    const HALO: bool = false;

    /// The output.
    fn output(&self) -> Operand;

    /// The inputs; the same twice if it is one.
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

    /// Whether [`RowPartition::run_serial`] computes anything: what does not fit together is refused as a whole. [`Kernel::fits`] also asks
    /// the kernels of which this one consists.
    fn fits(&self, mem: &Memory<'_>) -> bool;

    /// All rows on this thread. Small cores get a copy for each caller, fit for it; elsewhere one serves all callers, in other crates too, and
    /// compilers have less to do.
    fn run_serial(&self, mem: &Memory<'_>, isa: Isa);

    /// Some rows, with the scratch of thread `index`.
    fn with_rows(&self, rows: Range<usize>, index: usize) -> Self;

    /// How many threads there is scratch for.
    fn max_partitions(&self) -> usize {
        let one = self.scratch_of_one();
        // The last part's may end without padding.
        let rest = (self.scratch().len as usize).checked_sub(one);
        match scratch_per_thread(one) {
            0 => usize::MAX,
            bytes => rest.map_or(0, |rest| rest.checked_div(bytes).unwrap_or(0) + 1),
        }
    }
}

/// A kernel whose operands can be replaced by parts of them.
pub(crate) trait RowTileable: RowPartition + Kernel {
    /// Whether [`RowTileable::receptive_field`] holds for all operands; a chain takes no kernel of which it does not.
    fn is_by_rows(&self) -> bool {
        true
    }

    /// Which rows of its operands it reads.
    fn receptive_field(&self) -> ReceptiveField {
        ReceptiveField::SAME
    }

    /// The same for output rows from `row` on, which are `output`, from operands that begin with the first row that these
    /// need, with other scratch.
    fn over(&self, row: usize, reads: [Operand; 2], output: Operand, scratch: Region) -> Self;
}

/// [`RowPartition::with_rows`] of kernels whose operands can be replaced.
pub(crate) fn with_rows<K: RowTileable>(kernel: &K, rows: Range<usize>, index: usize) -> K {
    let needed =
        |operand: Operand| operand.rows(kernel.receptive_field().of(rows.clone(), operand.shape[0] as usize));
    let [first, second] = kernel.reads();
    // A single pixel stays whole.
    let second = if kernel.is_by_rows() { needed(second) } else { second };
    let reads = [needed(first), second];
    let scratch = scratch_part(kernel.scratch(), kernel.scratch_of_one(), index);
    kernel.over(rows.start, reads, kernel.output().rows(rows), scratch)
}

/// Scratch of thread `index`, where one needs `one` bytes.
pub(crate) fn scratch_part(all: Region, one: usize, index: usize) -> Region {
    let bytes = scratch_per_thread(one);
    let start = index.saturating_mul(bytes).min(all.len as usize) as u32;
    Region { offset: all.offset + start, len: (all.len - start).min(bytes as u32) }
}

/// Number of elements.
pub(crate) fn elements(shape: [u32; 3]) -> usize {
    shape.iter().fold(1, |product: usize, d| product.saturating_mul(*d as usize))
}

/// Whether no side of a window, step or dilation is 0: then a window has cells, and windows and taps lie apart.
pub(crate) fn positive(pairs: &[[u32; 2]]) -> bool {
    !pairs.as_flattened().contains(&0)
}

/// Whether the position of every tap of every output pixel fits 32 bits with a sign, without the padding.
pub(crate) fn taps_fit(out: [usize; 3], kernel: [u32; 2], stride: [u32; 2], dilation: [u32; 2]) -> bool {
    let product = |steps: u64, step: u32| steps.saturating_sub(1).saturating_mul(step.into());
    (0..2).all(|axis| {
        let last = product(out[axis] as u64, stride[axis]);
        last.saturating_add(product(kernel[axis].into(), dilation[axis])) <= i32::MAX as u64
    })
}
