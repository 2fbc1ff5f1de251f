//! Memory that rots: one bit of an image turned over, and what notices.
//!
//! Each flipped image runs for itself: its inferences are compared with the golden file, and the checks that firmware has say what they find.
//! In weights and tables nothing may escape `check_weights`. In parameters and kernels much is noticed by a wrong answer, a fault or a run without
//! end, which a board's watchdog ends; the table counts what is not.

use super::{
    BOARDS, Board, WORKERS,
    image::{Image, Model, Set},
    log, qemu,
};
use crate::{Result, elf, generate, stage::Runner};
use std::{
    fs,
    ops::Range,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

pub(crate) fn run(sweep: bool) -> Result {
    let board = BOARDS.iter().find(|board| board.name == BOARD).ok_or("no such board")?;
    qemu::check_tools()?;
    let mut runner = Runner::new("flips");
    generate::build(&mut runner)?;
    generate::sources(&mut runner, &image(board).map(|(image, _)| image.sources(None)).unwrap_or_default())?;
    check(&mut runner, board, sweep)?;
    runner.finish()
}

/// The model: a run takes a fifth of a second.
const SET: Set = Set { name: "flips", models: &["anam_net_tiny.tflite-double"] };
/// Where it runs.
const BOARD: &str = "cortex-m4";
/// In a sweep, every so manieth bit of a region is turned over; of a small region, more of them.
const STRIDE: usize = 1000;
/// On a push so many bits of a region.
const FEW: usize = 32;
/// A run that takes so long has no end, where it may have none.
const PATIENCE: Duration = Duration::from_secs(5);

/// A region of flash.
struct Region {
    name: &'static str,
    /// Whether a symbol belongs to it.
    holds: fn(&str) -> bool,
    /// Whether `check_weights` reads all of it, and `self_test`.
    read_by: [bool; 2],
}

const REGIONS: [Region; 4] = [
    Region { name: "weights", holds: |symbol| symbol.ends_with("::WEIGHTS"), read_by: [true, true] },
    Region { name: "input table", holds: |symbol| symbol.ends_with("::INPUT_TABLE"), read_by: [true, false] },
    Region {
        name: "parameters",
        holds: |symbol| {
            symbol.rsplit("::").next().is_some_and(|name| {
                name.starts_with('L') && name[1..].starts_with(|c: char| c.is_ascii_digit())
            })
        },
        read_by: [false; 2],
    },
    // The rest of the program has inferences three times: for the cases and for each of two checks.
    Region { name: "kernels", holds: |symbol| symbol.contains("niello_kernels::"), read_by: [false; 2] },
];

/// The image of a board and its model, if bits are turned over there.
pub(super) fn image(board: &Board) -> Option<(Image, Model)> {
    let model = SET.models().into_iter().next().filter(|_| board.name == BOARD)?;
    Some((Image::of(&SET, board), model))
}

/// How a run with one bit turned over ended.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Run {
    /// Checks that failed: `check_weights`, `self_test`, `check_layers`.
    failed: [bool; 3],
    /// Whether it came to its end.
    ended: bool,
    /// Whether a layer or an output is not as the golden file has it.
    wrong: bool,
}

const CHECKS: [&str; 3] = ["check_weights", "self_test", "check_layers"];

impl Run {
    fn of(log: &str, golden: &str) -> Self {
        let failed = CHECKS.map(|check| log.lines().any(|line| line.starts_with(&format!("{check} failed"))));
        let ended = log::value(log, "stack").is_some();
        Self { failed, ended, wrong: log::compare(golden, log).is_err() }
    }

    fn is_noticed(&self) -> bool {
        self.failed.contains(&true) || !self.ended
    }
}

/// Turns bits over, one by one, and prints what noticed.
pub(super) fn check(runner: &mut Runner, board: &Board, sweep: bool) -> Result {
    let Some((image, model)) = image(board) else { return Ok(()) };
    runner.part("one wrong bit on Cortex-M", 40);
    image.build(runner)?;
    let start = Instant::now();
    let of_file = |path: &Path| {
        let path = path.display().to_string();
        move |e: std::io::Error| format!("{path}: {e}")
    };
    let path = image.elf();
    let bytes = fs::read(&path).map_err(of_file(&path))?;
    let golden = fs::read_to_string(model.golden()).map_err(of_file(&model.golden()))?;
    let whole = Run::of(&qemu::run(board.machine, &path, &[model.name()])?, &golden);
    if whole != (Run { ended: true, ..Run::default() }) {
        return Err(format!("{}: no bit is turned over, and it ends in {whole:?}", model.name()));
    }
    let mut symbols = elf::symbols(&path)?;
    // Behind the weights lie zeros, up to what they are aligned to.
    let weights = image.weights(&model);
    let len = fs::metadata(&weights).map_err(of_file(&weights))?.len() as usize;
    symbols.iter_mut().filter(|symbol| (REGIONS[0].holds)(&symbol.name)).for_each(|symbol| symbol.size = len);
    println!(
        "\n  {:<14}{:>9}{:>7}{:>15}{:>11}{:>14}{:>14}{:>10}{:>19}",
        "one bit of",
        "bytes",
        "flips",
        CHECKS[0],
        CHECKS[1],
        CHECKS[2],
        "fault, no end",
        "harmless",
        "wrong, not noticed"
    );
    let mut flips = 0;
    for region in &REGIONS {
        let own = symbols.iter().filter(|symbol| (region.holds)(&symbol.name));
        let places: Vec<Range<usize>> =
            own.filter_map(|symbol| elf::place(&bytes, symbol.address, symbol.size)).collect();
        let bits: Vec<usize> = places.into_iter().flat_map(|place| 8 * place.start..8 * place.end).collect();
        if bits.is_empty() {
            return Err(format!("{}: nothing of it is {}", path.display(), region.name));
        }
        let few = (bits.len() / FEW).max(1);
        let stride = if sweep { few.min(STRIDE) } else { few };
        let flipped: Vec<usize> = bits.iter().copied().step_by(stride).collect();
        let patience = if region.read_by[0] { 12 * PATIENCE } else { PATIENCE };
        let next = AtomicUsize::new(0);
        let work = |worker: usize| -> Result<Vec<(usize, Run)>> {
            let copy = path.with_extension(format!("flip{worker}.elf"));
            let mut runs = vec![];
            while let Some(bit) = flipped.get(next.fetch_add(1, Ordering::Relaxed)) {
                let mut bytes = bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                fs::write(&copy, &bytes).map_err(of_file(&copy))?;
                let log = qemu::run_within(board.machine, &copy, &[model.name()], patience)?;
                runs.push((*bit, Run::of(&log, &golden)));
            }
            Ok(runs)
        };
        let runs = thread::scope(|scope| {
            let workers: Vec<_> = (0..WORKERS).map(|worker| scope.spawn(move || work(worker))).collect();
            let runs =
                workers.into_iter().map(|w| w.join().unwrap_or_else(|_| Err("a worker panicked".into())));
            runs.collect::<Result<Vec<_>>>()
        })?
        .concat();
        let count = |what: &dyn Fn(&Run) -> bool| runs.iter().filter(|(_, run)| what(run)).count();
        println!(
            "  {:<14}{:>9}{:>7}{:>15}{:>11}{:>14}{:>14}{:>10}{:>19}",
            region.name,
            bits.len() / 8,
            runs.len(),
            count(&|run| run.failed[0]),
            count(&|run| run.failed[1]),
            count(&|run| run.failed[2]),
            count(&|run| !run.ended),
            count(&|run| !run.is_noticed() && !run.wrong),
            count(&|run| !run.is_noticed() && run.wrong),
        );
        for (reader, reads) in region.read_by.into_iter().enumerate().filter(|(_, reads)| *reads) {
            if let Some((bit, run)) = runs.iter().find(|(_, run)| run.failed[reader] != reads) {
                let (byte, check) = (bit / 8, CHECKS[reader]);
                return Err(format!(
                    "{}: bit {} of byte {byte} in the file escapes {check}: {run:?}",
                    region.name,
                    bit % 8
                ));
            }
        }
        flips += runs.len();
    }
    runner.note(format!("{}: {flips} images with one wrong bit", board.name), start.elapsed());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = "case seed:1\nlayer 0 conv 2x2x3 aa\noutput 0 aa\n";
    const GOOD: &str = "case seed:1\nlayer 0 conv 2x2x3 aa\noutput 0 aa\nself_test ok\ncheck_layers ok\ncheck_weights ok\nstack 9\n";

    #[test]
    fn what_noticed_is_told_from_the_log() {
        let good = Run { ended: true, ..Run::default() };
        assert_eq!(Run::of(GOOD, GOLDEN), good);
        assert!(!good.is_noticed());
        for (from, to, expected) in [
            (
                "check_weights ok",
                "check_weights failed: weights of",
                Run { failed: [true, false, false], ..good },
            ),
            ("self_test ok", "self_test failed: output", Run { failed: [false, true, false], ..good }),
            ("stack 9\n", "fault at 0x12\n", Run { ended: false, ..good }),
        ] {
            let run = Run::of(&GOOD.replace(from, to), GOLDEN);
            assert_eq!(run, expected);
            assert!(run.is_noticed());
        }
        let wrong = Run::of(&GOOD.replace("aa", "ab"), GOLDEN);
        assert!(wrong.wrong && !wrong.is_noticed());
    }

    #[test]
    fn symbols_belong_to_one_region() {
        for (symbol, expected) in [
            ("niello_cortex_m_qemu::models::a::WEIGHTS", Some("weights")),
            ("niello_cortex_m_qemu::models::a::INPUT_TABLE", Some("input table")),
            ("niello_cortex_m_qemu::models::a::L00_CONV", Some("parameters")),
            ("niello_cortex_m_qemu::models::a::LAYERS", None),
            ("<niello_kernels::ops::elementwise::add::Add as niello_kernels::Kernel>::run", Some("kernels")),
            ("niello_cortex_m_qemu::models::MODELS::run", None),
            ("core::fmt::write", None),
        ] {
            let own: Vec<&str> = REGIONS.iter().filter(|r| (r.holds)(symbol)).map(|r| r.name).collect();
            assert_eq!(own, expected.into_iter().collect::<Vec<_>>(), "{symbol}");
        }
    }
}
