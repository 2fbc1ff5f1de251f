//! One layer on several threads: its output's rows are shared out. The bytes are the same for any number of threads.
//!
//! Nothing is shared out unless [`set`] asks for it, and no layer into more parts than its scratch was planned for.

use crate::{Memory, Operand, Space};
use core::ops::Range;
use std::sync::{Arc, RwLock};

/// Workers beside the thread that infers.
struct Workers {
    pool: rayon_core::ThreadPool,
    count: usize,
}

static WORKERS: RwLock<Option<Arc<Workers>>> = RwLock::new(None);

/// Lets every following inference use `count` threads, the one that it was called from included: 1 is none besides, as at
/// the beginning.
///
/// # Errors
/// The operating system gives no threads; then everything stays as it was.
pub fn set(count: usize) -> Result<(), rayon_core::ThreadPoolBuildError> {
    let workers = match count.saturating_sub(1) {
        0 => None,
        count => {
            let pool = rayon_core::ThreadPoolBuilder::new().num_threads(count).build()?;
            Some(Arc::new(Workers { pool, count }))
        }
    };
    // A thread that panicked while it held the lock can have left nothing half-done: it is one assignment.
    *WORKERS.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = workers;
    Ok(())
}

/// How many threads inferences use.
pub fn count() -> usize {
    workers().map_or(1, |workers| workers.count + 1)
}

fn workers() -> Option<Arc<Workers>> {
    WORKERS.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
}

/// Multiply-accumulates below which a layer takes less time than waking a thread.
const WORTH: usize = 100_000;

/// Calls `part` with disjoint ranges of `rows` and their index, on as many threads as there are and as `most` allows; `false`
/// if it is not worth it, and then nothing was done.
///
/// # Safety
/// Calls with disjoint ranges and different indices may run at the same time: none writes what another reads or writes.
pub(crate) unsafe fn split(
    mem: &Memory<'_>,
    rows: usize,
    macs: usize,
    most: usize,
    part: impl Fn(&Memory<'_>, Range<usize>, usize) + Sync,
) -> bool {
    let Some(workers) = workers().filter(|_| macs >= WORTH && most > 1 && rows > 1) else { return false };
    let parts = (workers.count + 1).min(most).min(rows);
    let range = |i: usize| i * rows / parts..(i + 1) * rows / parts;
    let shared = Shared(mem);
    workers.pool.in_place_scope(|scope| {
        for i in 1..parts {
            let (shared, part) = (&shared, &part);
            scope.spawn(move |_| part(shared.memory(), range(i), i));
        }
        part(mem, range(0), 0);
    });
    true
}

/// Memory that several threads use.
struct Shared<'m, 'a>(&'m Memory<'a>);

// SAFETY: only `split` makes one, and its caller promises that the threads use different cells.
unsafe impl Sync for Shared<'_, '_> {}

impl<'a> Shared<'_, 'a> {
    fn memory(&self) -> &Memory<'a> {
        self.0
    }
}

/// Whether no byte between the first and the last of one view is between those of the other.
pub(crate) fn apart(a: &Operand, b: &Operand) -> bool {
    let (Some(a_end), Some(b_end)) = (a.extent(), b.extent()) else { return false };
    // The caller's input may be any memory, but nobody writes it.
    a.space != b.space
        || matches!(a.space, Space::Input(_))
        || a_end <= b.offset as usize
        || b_end <= a.offset as usize
}
