//! A few threads that wait for the next task, actively for a while.
//!
//! A layer takes some ten microseconds; to wake a thread that sleeps takes as long. So threads that were just needed
//! keep looking for the next task, and one that comes late is not waited for: whoever is there takes the pieces.

use super::sync::{
    Arc, AtomicBool, AtomicUsize, Builder, Guarded, JoinHandle, Mutex, MutexGuard, park, spin_loop, yield_now,
};
use core::sync::atomic::Ordering;
use std::{
    boxed::Box,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
    vec::Vec,
};

/// How long a thread waits actively before it sleeps.
const PATIENCE: Duration = Duration::from_micros(500);
/// Looks at the state between two looks at the clock, or before others get the core.
const LOOKS: usize = if IS_MODEL { 1 } else { 64 };
/// Whether interleavings are tried: there is no time then, and waiting actively would be without end.
const IS_MODEL: bool = cfg!(all(loom, test));

/// Computes a piece, as the thread of that index.
type Work<'w> = dyn Fn(usize, usize) + Sync + 'w;

/// Threads beside the caller's.
pub(super) struct Team {
    state: Arc<State>,
    workers: Vec<JoinHandle<()>>,
    /// Held by the caller whose task is being done.
    turn: Mutex<()>,
}

struct State {
    /// How many tasks there have been: what the workers look at.
    tasks: AtomicUsize,
    /// Bit 0 while workers may enter the task; above it the number of them that are inside.
    gate: AtomicUsize,
    /// Written by the caller while the gate is closed and nobody is inside; read by those who are inside.
    task: Guarded<Option<Task>>,
    /// Of each thread, how many of its pieces are taken.
    taken: Box<[AtomicUsize]>,
    panicked: AtomicBool,
    ended: AtomicBool,
    /// Of each worker.
    asleep: Box<[AtomicBool]>,
}

#[derive(Clone, Copy)]
struct Task {
    /// Lives as long as anyone is inside.
    work: *const Work<'static>,
    pieces: usize,
    /// Only threads of lower indices may take part.
    threads: usize,
}

// SAFETY: `task` is guarded by `gate`, as said there; the work that it points to is `Sync`.
unsafe impl Sync for State {}
// SAFETY: as above; nothing in it belongs to a thread.
unsafe impl Send for State {}

const OPEN: usize = 1;
const INSIDE: usize = 2;

impl Team {
    /// `workers` threads.
    ///
    /// # Errors
    /// The operating system gives no more.
    pub(super) fn new(workers: usize) -> io::Result<Self> {
        let state = Arc::new(State {
            tasks: AtomicUsize::new(0),
            gate: AtomicUsize::new(0),
            task: Guarded::new(None),
            taken: (0..=workers).map(|_| AtomicUsize::new(0)).collect(),
            panicked: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            asleep: (0..workers).map(|_| AtomicBool::new(false)).collect(),
        });
        let mut team = Self { state, workers: Vec::new(), turn: Mutex::new(()) };
        for index in 0..workers {
            let state = team.state.clone();
            let worker = Builder::new().name("niello".into()).spawn(move || state.work(index))?;
            team.workers.push(worker);
        }
        Ok(team)
    }

    /// The caller's and the workers.
    pub(super) fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `work` once with each piece, on at most `threads` threads, at one time with different indices below `threads`;
    /// `false` if the team is busy, and then nothing was called.
    ///
    /// # Panics
    /// If a piece panics.
    pub(super) fn run(&self, threads: usize, pieces: usize, work: &Work<'_>) -> bool {
        let Some(_turn) = self.turn() else { return false };
        let state = &*self.state;
        // SAFETY: only the lifetime changes. `closing` waits until nobody is inside, also when this thread panics.
        let work: *const Work<'static> = unsafe { core::mem::transmute(core::ptr::from_ref(work)) };
        let task = Task { work, pieces, threads };
        // SAFETY: the gate is closed and nobody is inside: the last task ended so, and it is this thread's turn.
        unsafe { state.task.set(Some(task)) };
        state.taken.iter().for_each(|taken| taken.store(0, Ordering::Relaxed));
        let closing = Closing(state);
        state.gate.store(OPEN, Ordering::Release);
        state.tasks.fetch_add(1, Ordering::SeqCst);
        for (worker, asleep) in self.workers.iter().zip(&state.asleep) {
            if asleep.load(Ordering::SeqCst) {
                worker.thread().unpark();
            }
        }
        state.take(task, 0);
        drop(closing);
        assert!(!state.panicked.swap(false, Ordering::Relaxed), "a part of a layer panicked");
        true
    }

    fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        match self.turn.try_lock() {
            Ok(turn) => Some(turn),
            // Whoever panicked closed the gate behind it.
            Err(std::sync::TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(std::sync::TryLockError::WouldBlock) => None,
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // It catches panics of its work.
            let _ = worker.join();
        }
    }
}

/// Closes the gate and waits until nobody is inside.
struct Closing<'s>(&'s State);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.gate.fetch_and(!OPEN, Ordering::Relaxed);
        let mut looks = 0;
        while self.0.gate.load(Ordering::Acquire) != 0 {
            spin_loop();
            looks += 1;
            if looks > LOOKS {
                // Perhaps there are more threads than cores, and it is this one that holds the other up.
                yield_now();
            }
        }
    }
}

impl State {
    /// The life of a worker.
    fn work(&self, index: usize) {
        let mut seen = 0;
        while self.wait(index, &mut seen) {
            if !self.enter() {
                continue;
            }
            // SAFETY: inside, the task does not change.
            if let Some(task) = unsafe { self.task.get() }
                && index + 1 < task.threads
                && catch_unwind(AssertUnwindSafe(|| self.take(task, index + 1))).is_err()
            {
                self.panicked.store(true, Ordering::Relaxed);
            }
            self.gate.fetch_sub(INSIDE, Ordering::Release);
        }
    }

    /// Takes pieces until there are no more: its own, which are near what it computed of the layer before, then others'.
    fn take(&self, task: Task, thread: usize) {
        // SAFETY: the caller of `run` keeps it alive until nobody is inside.
        let work = unsafe { &*task.work };
        let first = |owner: usize| owner * task.pieces / task.threads;
        for owner in (thread..task.threads).chain(0..thread) {
            loop {
                let piece = first(owner) + self.taken[owner].fetch_add(1, Ordering::Relaxed);
                if piece >= first(owner + 1) {
                    break;
                }
                work(piece, thread);
            }
        }
    }

    /// Waits for another task than the one `seen`; `false` at the end of the team.
    fn wait(&self, index: usize, seen: &mut usize) -> bool {
        let asleep = &self.asleep[index];
        let mut since = Instant::now();
        loop {
            for _ in 0..LOOKS {
                let tasks = self.tasks.load(Ordering::Acquire);
                if tasks != *seen {
                    *seen = tasks;
                    return true;
                }
                spin_loop();
            }
            if self.ended.load(Ordering::SeqCst) {
                return false;
            }
            if IS_MODEL || since.elapsed() > PATIENCE {
                // Either this thread sees the new task, or the caller sees that it sleeps and wakes it.
                asleep.store(true, Ordering::SeqCst);
                if self.tasks.load(Ordering::SeqCst) == *seen && !self.ended.load(Ordering::SeqCst) {
                    park();
                }
                asleep.store(false, Ordering::SeqCst);
                since = Instant::now();
            }
        }
    }

    /// Enters the task, unless it is over.
    fn enter(&self) -> bool {
        let open = |gate: usize| (gate & OPEN != 0).then_some(gate + INSIDE);
        self.gate.fetch_update(Ordering::Acquire, Ordering::Relaxed, open).is_ok()
    }
}

/// Every interleaving of a few threads, with few preemptions: run by `cargo xtask loom`.
#[cfg(all(loom, test))]
mod model {
    use super::*;
    use loom::cell::UnsafeCell;

    /// The results of pieces, for which there is no order but the team's.
    struct Results([UnsafeCell<usize>; 2]);

    // SAFETY: the model finds out whether two threads have one of them at the same time.
    unsafe impl Sync for Results {}

    fn tasks(workers: usize, tasks: &'static [usize], preemptions: usize) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(preemptions);
        model.check(move || {
            let team = Team::new(workers).unwrap();
            for pieces in tasks {
                let results = Results([0; 2].map(UnsafeCell::new));
                let ran = team.run(team.threads(), *pieces, &|piece, _| {
                    let Results(results) = &results;
                    // SAFETY: each piece is one thread's.
                    results[piece].with_mut(|result| unsafe { *result += 1 });
                });
                assert!(ran);
                for (i, result) in results.0.iter().enumerate() {
                    // SAFETY: nobody computes any more.
                    result.with(|result| assert_eq!(unsafe { *result }, usize::from(i < *pieces)));
                }
            }
        });
    }

    #[test]
    fn two_workers() {
        tasks(2, &[2], 2);
    }

    #[test]
    fn one_worker_and_several_jobs() {
        tasks(1, &[2, 0, 1], 2);
    }
}

#[cfg(all(not(loom), test))]
mod tests {
    use super::*;
    use std::{panic, thread};

    #[test]
    fn every_piece_is_computed_once() {
        for workers in [1, 2, 5] {
            let team = Team::new(workers).unwrap();
            for pieces in [0, 1, 2, 7, 100] {
                for threads in 1..=team.threads() {
                    let done: Vec<AtomicUsize> = (0..pieces).map(|_| AtomicUsize::new(0)).collect();
                    let in_use: Vec<AtomicBool> = (0..threads).map(|_| AtomicBool::new(false)).collect();
                    let ran = team.run(threads, pieces, &|piece, thread| {
                        assert!(!in_use[thread].swap(true, Ordering::SeqCst), "two at one index");
                        done[piece].fetch_add(1, Ordering::SeqCst);
                        in_use[thread].store(false, Ordering::SeqCst);
                    });
                    assert!(ran && done.iter().all(|d| d.load(Ordering::SeqCst) == 1));
                }
            }
        }
    }

    #[test]
    fn sleepers_wake_up() {
        let team = Team::new(1).unwrap();
        for pause in [Duration::ZERO, 3 * PATIENCE, PATIENCE, Duration::ZERO] {
            thread::sleep(pause);
            // Each piece waits for the other: only two threads get through.
            let arrived = AtomicUsize::new(0);
            team.run(2, 2, &|_, _| {
                arrived.fetch_add(1, Ordering::SeqCst);
                while arrived.load(Ordering::SeqCst) < 2 {
                    thread::yield_now();
                }
            });
        }
    }

    #[test]
    fn a_busy_team_refuses() {
        let team = Team::new(1).unwrap();
        let inner = AtomicBool::new(true);
        team.run(1, 1, &|_, _| inner.store(team.run(2, 2, &|_, _| {}), Ordering::SeqCst));
        assert!(!inner.into_inner());
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_team_goes_on() {
        let team = Team::new(1).unwrap();
        for bad in [0, 1] {
            // Both threads are there, so that either of them panics.
            let arrived = AtomicUsize::new(0);
            let result = panic::catch_unwind(AssertUnwindSafe(|| {
                team.run(2, 2, &|_, thread| {
                    arrived.fetch_add(1, Ordering::SeqCst);
                    while arrived.load(Ordering::SeqCst) < 2 {
                        thread::yield_now();
                    }
                    assert!(thread != bad, "as planned");
                })
            }));
            assert!(result.is_err());
            assert!(team.run(2, 5, &|_, _| {}));
        }
    }
}
