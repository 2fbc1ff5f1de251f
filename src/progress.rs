//! Progress of long steps on standard error: a bar on a terminal, plain lines elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::{IsTerminal, stderr},
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// The amount of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
#[repr(u8)]
pub(crate) enum Verbosity {
    /// Errors only.
    Quiet,
    /// Progress of long steps, notes.
    Normal,
    /// Also the time of each step.
    Verbose,
}

static VERBOSITY: AtomicU8 = AtomicU8::new(Verbosity::Normal as u8);

/// Sets the amount of messages.
pub(crate) fn set(verbosity: Verbosity) {
    VERBOSITY.store(verbosity as u8, Ordering::Relaxed);
}

fn says(verbosity: Verbosity) -> bool {
    VERBOSITY.load(Ordering::Relaxed) >= verbosity as u8
}

/// One line about something that may surprise.
pub(crate) fn note(text: &str) {
    if says(Verbosity::Normal) {
        eprintln!("note: {text}");
    }
}

/// One line about something that is probably not intended.
pub(crate) fn warn(text: &impl std::fmt::Display) {
    if says(Verbosity::Normal) {
        eprintln!("warning: {text}");
    }
}

/// Time before the first line, where no terminal is.
const FIRST_LINE_AFTER: Duration = Duration::from_secs(2);
/// Time between lines.
const LINE_INTERVAL: Duration = Duration::from_secs(15);

/// A step that may take long; it ends when this is dropped.
pub(crate) struct Step {
    message: String,
    start: Instant,
    bar: ProgressBar,
    count: Arc<Count>,
    lines: Option<(Sender<()>, JoinHandle<()>)>,
}

/// Items done, of a total, which is 0 if it is not known.
#[derive(Default)]
struct Count {
    done: AtomicU64,
    total: AtomicU64,
    /// Done before the step began, which tells nothing of its rate.
    before: AtomicU64,
}

impl Count {
    /// The text behind the message in a line, so many seconds after the begin.
    fn text(&self, seconds: f64) -> String {
        let [done, total, before] =
            [&self.done, &self.total, &self.before].map(|n| n.load(Ordering::Relaxed));
        let rate = done.saturating_sub(before) as f64 / seconds;
        match total {
            0 => " ..".into(),
            _ if rate > 0.0 => {
                let left = total.saturating_sub(done) as f64 / rate;
                format!(": {done} of {total}, {rate:.1} per second, {left:.0} s left")
            }
            _ => format!(": {done} of {total}"),
        }
    }
}

impl Step {
    /// Begins; `total` is 0 where it is not known.
    pub(crate) fn new(message: &str, total: u64) -> Self {
        let count = Arc::new(Count::default());
        let start = Instant::now();
        let terminal = stderr().is_terminal();
        let bar = ProgressBar::hidden().with_message(message.to_string());
        let lines = (says(Verbosity::Normal) && !terminal).then(|| {
            let (sender, ended) = mpsc::channel();
            let (count, message) = (Arc::clone(&count), message.to_string());
            let lines = move || {
                let mut pause = FIRST_LINE_AFTER;
                while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                    eprintln!("{message}{}", count.text(start.elapsed().as_secs_f64()));
                    pause = LINE_INTERVAL;
                }
            };
            (sender, thread::spawn(lines))
        });
        let step = Self { message: message.into(), start, bar, count, lines };
        step.set(0, total);
        // Only now, with its style: a bar of nothing would look full.
        if says(Verbosity::Normal) && terminal {
            step.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        step.bar.enable_steady_tick(Duration::from_millis(120));
        step
    }

    /// `done` of `total`.
    pub(crate) fn set(&self, done: u64, total: u64) {
        self.count.done.store(done, Ordering::Relaxed);
        if self.count.total.swap(total, Ordering::Relaxed) != total || self.bar.length().is_none() {
            let template =
                if total == 0 { "{spinner} {msg}" } else { "{msg} {bar:40} {pos}/{len} {per_sec} {eta}" };
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.bar.set_style(style);
            }
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
    }

    /// So many were done before this step began.
    pub(crate) fn resume(&self, done: u64) {
        self.count.before.store(done, Ordering::Relaxed);
        self.bar.reset_eta();
        self.set(done, self.count.total.load(Ordering::Relaxed));
    }

    /// One more.
    pub(crate) fn advance(&self) {
        let done = self.count.done.load(Ordering::Relaxed) + 1;
        self.set(done, self.count.total.load(Ordering::Relaxed));
    }

    /// Something that may write to the terminal itself.
    pub(crate) fn suspend<T>(&self, work: impl FnOnce() -> T) -> T {
        self.bar.suspend(work)
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        if let Some((sender, thread)) = self.lines.take() {
            drop(sender);
            // A thread that panicked has nothing more to say.
            let _ = thread.join();
        }
        if says(Verbosity::Verbose) {
            eprintln!("{}: {:.2} s", self.message, self.start.elapsed().as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn lines_tell_rate_and_remaining_time() {
        let count = |done: u64, total: u64, before: u64| Count {
            done: done.into(),
            total: total.into(),
            before: before.into(),
        };
        assert_eq!(count(30, 100, 10).text(5.0), ": 30 of 100, 4.0 per second, 18 s left");
        assert_eq!(count(0, 100, 0).text(5.0), ": 0 of 100");
        assert_eq!(count(3, 0, 0).text(5.0), " ..");
    }
}
