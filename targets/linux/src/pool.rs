//! Threads that take jobs from one list, each with its own model.

use niello::Model;
use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// The stack of a thread besides the model, in bytes.
const STACK: usize = 8 << 20;

/// Does `work` for every job, on at most `threads` threads; results in the order of the jobs.
///
/// # Errors
/// A thread that cannot be started, for want of memory for instance.
pub(crate) fn run<N: Model + Default, J: Sync, R: Send>(
    jobs: &[J],
    threads: usize,
    work: impl Fn(&mut N, &J) -> R + Sync,
) -> io::Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let take_jobs = || {
        let mut model = Box::<N>::default();
        let mut done = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(i) else { return done };
            done.push((i, work(&mut model, job)));
        }
    };
    // Address space: pages that nobody touches take no memory.
    let stack = STACK + 2 * N::ARENA_BYTES;
    let mut done: Vec<(usize, R)> = Vec::with_capacity(jobs.len());
    thread::scope(|scope| {
        let workers = (0..threads.clamp(1, jobs.len().max(1)))
            .map(|_| thread::Builder::new().stack_size(stack).spawn_scoped(scope, take_jobs))
            .collect::<io::Result<Vec<_>>>()?;
        for worker in workers {
            match worker.join() {
                Ok(results) => done.extend(results),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok::<(), io::Error>(())
    })?;
    done.sort_by_key(|(i, _)| *i);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}
