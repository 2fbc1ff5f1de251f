//! One layer on several threads: its output's rows are shared out. The bytes are the same for any number of threads.
//!
//! Nothing is shared out unless [`set`] asks for it, and no layer into more parts than its scratch was planned for.

mod sync;
mod team;

use crate::{Isa, Memory, Operand, Space, schedule::by_rows::RowPartition};
use core::sync::atomic::{AtomicUsize, Ordering};
use std::{io, sync::RwLock};
use team::Team;

static TEAM: RwLock<Option<Team>> = RwLock::new(None);
/// Threads of [`TEAM`] and the one that infers: so that one thread alone takes no lock.
static COUNT: AtomicUsize = AtomicUsize::new(1);

/// Lets every following inference use `count` threads, the one that it was called from included: 1 is none besides, as at
/// the beginning. Inferences that are called from several threads at the same time take turns with them, layer by layer, and whose
/// turn it is not goes on alone.
///
/// Between the layers of an inference the threads wait actively, for half a millisecond at most; then they sleep.
///
/// # Errors
/// The operating system gives no threads; then everything stays as it was.
pub fn set(count: usize) -> io::Result<()> {
    let team = match count.saturating_sub(1) {
        0 => None,
        workers => Some(Team::new(workers)?),
    };
    // A thread that panicked while it held the lock can have left nothing half-done: it is one assignment.
    let mut place = TEAM.write().unwrap_or_else(|poisoned| poisoned.into_inner());
    COUNT.store(team.as_ref().map_or(1, Team::threads), Ordering::Relaxed);
    *place = team;
    Ok(())
}

/// How many threads inferences use.
pub fn count() -> usize {
    COUNT.load(Ordering::Relaxed)
}

/// Work below which a layer takes less time than sharing it out; less where it is checked how it is shared out.
const WORTH: usize = if cfg!(miri) { 100 } else { 100_000 };
/// Work of a piece: where there is more, threads take several of them, and one that is held up takes fewer.
const PIECE: usize = 4_000_000;
/// Pieces per thread, at most.
const MOST_PIECES: usize = 8;

/// Computes `kernel` on several threads; `false` if it is not worth it or parts could meet, and then nothing was done.
pub(crate) fn share<K: RowPartition>(kernel: &K, mem: &Memory<'_>, isa: Isa) -> bool {
    if count() < 2 {
        return false;
    }
    let (work, height) = (kernel.work(), kernel.output().shape[0] as usize);
    let units = height.div_ceil(K::STEP);
    let most = kernel.max_partitions().min(units);
    if most < 2 || work < WORTH || !parts_are_apart(kernel) || !kernel.fits(mem) {
        return false;
    }
    let team = TEAM.read().unwrap_or_else(|poisoned| poisoned.into_inner());
    let Some(team) = team.as_ref() else { return false };
    let threads = team.threads().min(most);
    let per_thread = if K::HALO { 1 } else { (work / threads / PIECE).clamp(1, MOST_PIECES) };
    let pieces = (threads * per_thread).min(units);
    let start = |piece: usize| (piece * units / pieces * K::STEP).min(height);
    let shared = Shared(mem);
    team.run(threads, pieces, &|piece, thread| {
        kernel.with_rows(start(piece)..start(piece + 1), thread).run_serial(shared.memory(), isa);
    })
}

/// Memory that several threads use.
struct Shared<'m, 'a>(&'m Memory<'a>);

// SAFETY: only `share` makes one. Its threads run parts of a kernel with different rows and, at one time, different scratch;
// `parts_are_apart` made sure that none of them meets what another one reads or writes.
unsafe impl Sync for Shared<'_, '_> {}

impl<'a> Shared<'_, 'a> {
    fn memory(&self) -> &Memory<'a> {
        self.0
    }
}

/// Whether no part can write what another one reads or writes.
fn parts_are_apart<K: RowPartition>(kernel: &K) -> bool {
    let (output, scratch) = (kernel.output(), kernel.scratch());
    let scratch = Operand::arena(scratch.offset, [1, 1, scratch.len], scratch.len);
    let rows_are_apart = output.stride >= output.shape[2];
    let meets_no_read =
        |read: &Operand| apart(read, &scratch) && (apart(read, &output) || (K::IN_PLACE && *read == output));
    rows_are_apart && apart(&scratch, &output) && kernel.reads().iter().all(meets_no_read)
}

/// Whether no byte between the first and the last of one view is between those of the other.
fn apart(a: &Operand, b: &Operand) -> bool {
    let (Some(a_end), Some(b_end)) = (a.extent(), b.extent()) else { return false };
    // The caller's input may be any memory, but nobody writes it.
    a.space != b.space
        || matches!(a.space, Space::Input(_))
        || a_end <= b.offset as usize
        || b_end <= a.offset as usize
}
