//! Generated models on emulated Cortex-M boards: each layer of each case as the golden file has it, the stack within its
//! bound.
//!
//! `targets/cortex-m-qemu` makes an image for each model and rounding. Boards of the same target and memory map run the
//! same image. Before them, the kernels alone: [`kernels`].

mod image;
mod kernels;
pub(crate) mod log;
pub(crate) mod qemu;

use crate::{Result, stage::Runner};
use image::{Image, MODELS};
pub(crate) use image::{root, shared};
use std::{
    fs, thread,
    time::{Duration, Instant},
};

/// An emulated board.
pub(crate) struct Board {
    /// What `--target` takes.
    pub(crate) name: &'static str,
    /// Where it is found.
    pub(crate) summary: &'static str,
    /// QEMU's word for it.
    pub(crate) machine: &'static str,
    /// Its memories and what lies where: a file in `targets/cortex-m-qemu/boards`.
    pub(crate) memory: &'static str,
    /// What is built for it.
    pub(crate) target: &'static str,
    /// The models that run there on every push.
    models: &'static [&'static [&'static str]],
    /// And those that run there in a sweep.
    sweep: &'static [&'static [&'static str]],
}

const TINY: &[&str] = &["anam_net_tiny", "anam_net_wide", "every_operator_int16"];
/// In whole numbers.
const WHOLE: &[&str] =
    &["anam_net_narrow", "squeezenet1_1", "w251_cnn", "w251_squeezenet", "every_operator_int16"];
/// In floating point, and in both.
const FLOATING: &[&str] =
    &["every_operator_f32", "every_operator_f16", "every_operator_f16_native", "squeezenet1_1_mixed"];
/// All boards.
pub(crate) const BOARDS: &[Board] = &[
    Board {
        name: "cortex-m0",
        summary: "Armv6-M in 16 KiB of RAM: the smallest models",
        machine: "microbit",
        memory: "microbit",
        target: "thumbv6m-none-eabi",
        models: &[TINY],
        sweep: &[],
    },
    Board {
        name: "cortex-m3",
        summary: "Armv7-M without DSP",
        machine: "mps2-an385",
        memory: "mps2-an385",
        target: "thumbv7m-none-eabi",
        models: &[WHOLE],
        sweep: &[FLOATING],
    },
    Board {
        name: "cortex-m4",
        summary: "Armv7E-M: DSP",
        machine: "mps2-an386",
        memory: "mps2-an386",
        target: "thumbv7em-none-eabihf",
        models: &[WHOLE, FLOATING],
        sweep: &[],
    },
    Board {
        name: "cortex-m7",
        summary: "Armv7E-M: DSP; STM32H7",
        machine: "mps2-an500",
        memory: "mps2-an386",
        target: "thumbv7em-none-eabihf",
        models: &[WHOLE, FLOATING],
        sweep: &[],
    },
    Board {
        name: "cortex-m7-placed",
        summary: "the M7 again: weights, arena and kernels in memories of their own",
        machine: "mps2-an500",
        memory: "mps2-an500-placed",
        target: "thumbv7em-none-eabihf",
        models: &[&["anam_net_narrow"]],
        sweep: &[],
    },
    Board {
        name: "cortex-m33",
        summary: "Armv8-M with DSP; RP2350",
        machine: "mps2-an505",
        memory: "mps2-an505",
        target: "thumbv8m.main-none-eabihf",
        models: &[WHOLE, &["every_operator_f16", "squeezenet1_1_mixed"]],
        sweep: &[WHOLE, FLOATING],
    },
    Board {
        name: "cortex-m55",
        summary: "Armv8.1-M, as Armv8-M with DSP",
        machine: "mps3-an547",
        memory: "mps3-an547",
        target: "thumbv8m.main-none-eabihf",
        models: &[&["squeezenet1_1", "every_operator_int16", "squeezenet1_1_mixed"]],
        sweep: &[WHOLE, FLOATING],
    },
];

impl Board {
    /// Whether a model runs there, in a sweep or else.
    fn runs(&self, model: &str, sweep: bool) -> bool {
        let sweep = if sweep { self.sweep } else { &[] };
        self.models.iter().chain(sweep).any(|some| some.contains(&model))
    }
}

/// Emulators at the same time.
const WORKERS: usize = 2;

/// What one run showed.
struct Row {
    board: &'static str,
    image: Image,
    layers: usize,
    stack: usize,
    class: Option<String>,
    size: qemu::Size,
    took: Duration,
}

/// Builds the images of some boards, runs them, compares, prints a table.
///
/// # Errors
/// A missing tool, the first layer that differs, a stack beyond its bound.
pub(crate) fn tests(runner: &mut Runner, boards: &[&'static Board], sweep: bool) -> Result {
    qemu::check_tools()?;
    let shared = shared();
    if shared.is_none() && std::env::var("CI").is_ok_and(|ci| ci == "true") {
        return Err(
            "trained models need the shared data: lay it beside the checkout as `shared`, or name it in \
                    NIELLO_SHARED"
                .into(),
        );
    }
    boards.iter().try_for_each(|board| kernels::check(runner, board))?;
    let mut jobs: Vec<(Image, Vec<&Board>)> = vec![];
    for board in boards {
        for model in MODELS.iter().filter(|m| board.runs(m.name, sweep)) {
            if model.trained && shared.is_none() {
                runner.leave_out(format!("{} on {}: no shared data", model.name, board.name));
                continue;
            }
            for rounding in model.roundings.iter().copied() {
                let image = Image {
                    model,
                    rounding,
                    memory: board.memory,
                    target: board.target,
                    dump: None,
                    flip: None,
                };
                match jobs.iter_mut().find(|(other, _)| *other == image) {
                    Some((_, boards)) => boards.push(board),
                    None => jobs.push((image, vec![board])),
                }
            }
        }
    }
    let rows = thread::scope(|scope| {
        let (mut running, mut rows) = (std::collections::VecDeque::new(), vec![]);
        let join = |handle: thread::ScopedJoinHandle<'_, Result<Row>>| {
            handle.join().unwrap_or_else(|_| Err("a worker panicked".into()))
        };
        for (image, boards) in jobs {
            // The next image is built while the last ones run.
            image.build(runner)?;
            for board in boards {
                if running.len() == WORKERS
                    && let Some(first) = running.pop_front()
                {
                    rows.push(join(first)?);
                }
                let image = image.clone();
                running.push_back(scope.spawn(move || run(board, image)));
            }
        }
        rows.extend(running.into_iter().map(join).collect::<Result<Vec<Row>>>()?);
        Ok::<_, String>(rows)
    })?;
    print(&rows);
    boards
        .iter()
        .filter(|board| board.name == SPOILT)
        .try_for_each(|board| a_wrong_weight_is_named(runner, board))
}

/// The board on which a wrong weight is tried out.
const SPOILT: &str = "cortex-m4";

/// With one bit of one weight turned over, the run must fail and name the layer and its first element.
fn a_wrong_weight_is_named(runner: &mut Runner, board: &'static Board) -> Result {
    const LAYER: usize = 9;
    let start = Instant::now();
    let model = MODELS.iter().find(|model| board.runs(model.name, false) && !model.trained);
    let model = model.ok_or_else(|| format!("{} runs no seeded model", board.name))?;
    let (rounding, memory, target) = (model.roundings[0], board.memory, board.target);
    let image = Image { model, rounding, memory, target, dump: None, flip: Some(LAYER) };
    image.build(runner)?;
    let Err(message) = run(board, image) else {
        return Err(format!("{}: a wrong weight in layer {LAYER} was not noticed", board.name));
    };
    if !message.contains(&format!("layer {LAYER} `")) || !message.contains("first at [") {
        return Err(format!(
            "{}: expected layer {LAYER} and an element in the error, found: {message}",
            board.name
        ));
    }
    println!("\n  on purpose: {message}");
    runner.note(format!("{}: a wrong weight is named", board.name), start.elapsed());
    Ok(())
}

/// Runs an image and compares what it prints.
fn run(board: &'static Board, image: Image) -> Result<Row> {
    let start = Instant::now();
    let text = qemu::run(board.machine, &image.elf())?;
    let took = start.elapsed();
    let here = format!("{}, {}", board.name, image.name());
    let path = image.golden();
    let golden = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let layers = log::compare(&golden, &text).map_err(|difference| {
        let element = difference.layer.as_ref().map_or(String::new(), |place| {
            let found = image.element(board.machine, &difference.case, place);
            format!("\n  {}", found.unwrap_or_else(|e| format!("the element is not known: {e}")))
        });
        let last = text.lines().last().unwrap_or("nothing");
        format!("{here}: {difference}{element}\n  last printed: {last}")
    })?;
    if let Some(line) = text.lines().find(|line| line.contains(" failed: ")) {
        return Err(format!("{here}: {line}"));
    }
    let stack = log::value(&text, "stack").and_then(|bytes| bytes.parse().ok());
    let stack: usize = stack.ok_or_else(|| format!("{here}: the run did not reach its end"))?;
    if stack > image.model.stack {
        let bound = image.model.stack;
        return Err(format!("{here}: {stack} bytes of stack, more than the bound of {bound}"));
    }
    let class = log::value(&text, "class").map(Into::into);
    Ok(Row { board: board.name, layers, stack, class, size: qemu::size(&image.elf())?, took, image })
}

fn print(rows: &[Row]) {
    println!(
        "\n  {:<12}{:<18}{:<15}{:>7}{:>9}{:>7}{:>11}{:>11}{:>8}",
        "core", "model", "rounding", "layers", "stack", "bound", "flash", "RAM", "time"
    );
    for Row { board, image, layers, stack, class, size, took } in rows {
        let class = class.as_ref().map_or(String::new(), |class| format!("  {class}"));
        println!(
            "  {board:<12}{:<18}{:<15}{layers:>7}{stack:>9}{:>7}{:>11}{:>11}{:>6.1} s{class}",
            image.model.name,
            image.rounding,
            image.model.stack,
            size.flash,
            size.ram,
            took.as_secs_f64()
        );
    }
}

/// An error for a tool that is not installed.
fn missing(tool: &str) -> String {
    format!("{tool} is not installed; install it with\n\n    cargo xtask setup\n")
}
