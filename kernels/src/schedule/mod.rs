//! Which rows of an output are computed when, and by whom: parts of a layer, several layers in one step, several threads.

pub mod by_rows;
mod kernel;
pub mod row_chain;
#[cfg(feature = "threads")]
pub mod threads;

pub(crate) use kernel::{kernel, refused};

use crate::{Isa, Memory};
use by_rows::RowPartition;

/// ContiguousSpans it, on several threads where there are any and it pays.
#[inline(always)]
pub(crate) fn run<K: RowPartition>(kernel: &K, mem: &Memory<'_>, isa: Isa) {
    #[cfg(feature = "threads")]
    if threads::share(kernel, mem, isa) {
        return;
    }
    kernel.run_serial(mem, isa);
}

/// ```compile_fail,E0277
/// use niello_kernels::{Isa, Memory, Operand, Region, by_rows::{ReceptiveField, RowKernel, Views}};
///
/// struct Mine(Operand);
///
/// impl RowKernel for Mine {
///     fn is_by_rows(&self) -> bool { true }
///     fn output(&self) -> Operand { self.0 }
///     fn reads(&self) -> [Operand; 2] { [self.0; 2] }
///     fn scratch(&self) -> Region { Region::EMPTY }
///     fn receptive_field(&self) -> ReceptiveField { ReceptiveField::SAME }
///     fn work(&self) -> usize { usize::MAX }
///     fn compute(&self, _: usize, _: Views, _: &Memory<'_>, _: Isa) {}
///     fn fits(&self, _: usize, _: Views, _: &Memory<'_>) -> bool { true }
/// }
/// ```
///
/// ```compile_fail,E0277
/// use niello_kernels::{Isa, Memory, by_rows::Views, row_chain::{StageInfo, Stages}};
///
/// #[derive(Clone, Copy)]
/// struct Mine;
///
/// impl Stages for Mine {
///     fn count(&self) -> usize { 0 }
///     fn link(&self, _: usize) -> Option<StageInfo> { None }
///     fn compute(&self, _: usize, _: usize, _: Views, _: &Memory<'_>, _: Isa) {}
///     fn fits(&self, _: usize, _: usize, _: Views, _: &Memory<'_>) -> bool { true }
/// }
/// ```
#[cfg(doctest)]
pub struct FromOutside;
