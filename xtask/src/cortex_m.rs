//! Generated models on emulated Cortex-M boards: each layer of each case as the golden file has it, the stack within its
//! bound.
//!
//! `targets/cortex-m-qemu` makes an image for each set of models, of which the emulator is told to run one. Boards of the same target and
//! memory map run the same image. Before them, the kernels alone: [`kernels`].

mod flips;
mod image;
mod kernels;
pub(crate) mod log;
pub(crate) mod qemu;

use crate::{Result, cross, folders::shared, generate, stage::Runner};
pub(crate) use flips::run as flips;
use image::{Image, Model, Set};
use std::{
    fs, thread,
    time::{Duration, Instant},
};

/// An emulated board.
pub(crate) struct Board {
    /// Its name for `--target`.
    pub(crate) name: &'static str,
    /// Where it is found.
    pub(crate) summary: &'static str,
    /// QEMU's word for it; options may follow.
    pub(crate) machine: &'static str,
    /// Its memories and what lies where: a file in `targets/cortex-m-qemu/boards`.
    pub(crate) memory: &'static str,
    /// Its Rust target, with the core where it is compiled for another than usual.
    pub(crate) target: &'static str,
    /// The models that run there on every push.
    models: &'static [&'static Set],
    /// Of these, the only ones: the images are another board's, which runs all.
    only: Option<&'static [&'static str]>,
    /// And those that run there in a sweep, with all of `models`.
    sweep: &'static [&'static Set],
}

/// Models for 16 KiB of RAM and 256 KiB of flash.
const TINY: Set = Set { name: "tiny", models: &["anam_net_tiny.tflite-double", "anam_net_tiny.single"] };
/// The rounding that needs floating point in software there.
const EVEN: Set = Set { name: "even", models: &["anam_net_tiny.float-even"] };
const WIDE: Set = Set { name: "wide", models: &["anam_net_wide.tflite-double"] };
const WIDE_SINGLE: Set = Set { name: "wide-single", models: &["anam_net_wide.single"] };
const INT16: Set = Set { name: "int16", models: &["every_operator_int16.tflite-double"] };
/// In whole numbers.
const WHOLE: Set = Set {
    name: "whole",
    models: &[
        "anam_net_narrow.tflite-double",
        "squeezenet1_1.tflite-double",
        "w251_cnn.tflite-double",
        "w251_squeezenet.tflite-double",
        "every_operator_int16.tflite-double",
        "resnet8.tflite-double",
        "ds_cnn.tflite-double",
        "nano_u.tflite-double",
    ],
};
/// Model files, with the bytes of LiteRT.
const FILES: Set =
    Set { name: "files", models: &["resnet8.tflite-double", "ds_cnn.tflite-double", "nano_u.tflite-double"] };
/// As [`WHOLE`] in the other roundings, where there are others. The network of every operator is left out: its code is the same, with another constant.
const SINGLE: Set = Set {
    name: "single",
    models: &[
        "anam_net_narrow.single",
        "anam_net_narrow.float-even",
        "squeezenet1_1.single",
        "w251_cnn.single",
        "w251_squeezenet.single",
    ],
};
/// Models whose parts are placed in memories of their own.
const NARROW: Set =
    Set { name: "narrow", models: &["anam_net_narrow.tflite-double", "anam_net_narrow.single"] };
/// In floating point, and in both.
const FLOATING: Set = Set {
    name: "floating",
    models: &[
        "more_operators.tflite-double",
        "every_operator_f32.tflite-double",
        "every_operator_f16.tflite-double",
        "every_operator_f16_native.tflite-double",
        "squeezenet1_1_mixed.tflite-double",
    ],
};
/// Of these, what stands for all.
const FEW_FLOATING: Set = Set {
    name: "few-floating",
    models: &["every_operator_f16.tflite-double", "squeezenet1_1_mixed.tflite-double"],
};
/// Models with up to 2 MiB of weights.
const SMALL: Set = Set {
    name: "small",
    models: &[
        "squeezenet1_1.tflite-double",
        "every_operator_int16.tflite-double",
        "resnet8.tflite-double",
        "ds_cnn.tflite-double",
        "nano_u.tflite-double",
    ],
};
const MORE: Set = Set { name: "more", models: &["more_operators.tflite-double"] };
const MIXED: Set = Set { name: "mixed", models: &["squeezenet1_1_mixed.tflite-double"] };

/// All boards.
pub(crate) const BOARDS: &[Board] = &[
    Board {
        name: "cortex-m0",
        summary: "Armv6-M in 16 KiB of RAM: the smallest models",
        machine: "microbit",
        memory: "microbit",
        target: "thumbv6m-none-eabi",
        models: &[&TINY, &WIDE, &WIDE_SINGLE, &INT16],
        only: None,
        sweep: &[],
    },
    Board {
        name: "cortex-m0-large",
        summary: "the M0 again, in 256 KiB of RAM: model files, and `float-even`",
        // As large as no such chip is, so that models fit.
        machine: "microbit -global nrf51-soc.flash-size=1048576 -global nrf51-soc.sram-size=262144",
        memory: "microbit-large",
        target: "thumbv6m-none-eabi",
        models: &[&FILES, &EVEN],
        only: None,
        sweep: &[],
    },
    Board {
        name: "cortex-m3",
        summary: "Armv7-M without DSP",
        machine: "mps2-an385",
        memory: "mps2-an385",
        target: "thumbv7m-none-eabi",
        models: &[&WHOLE],
        only: None,
        sweep: &[&SINGLE, &FLOATING],
    },
    Board {
        name: "cortex-m4",
        summary: "Armv7E-M: DSP",
        machine: "mps2-an386",
        memory: "mps2-an386",
        target: "thumbv7em-none-eabihf",
        models: &[&WHOLE, &SINGLE, &FLOATING],
        only: None,
        sweep: &[],
    },
    Board {
        name: "cortex-m7",
        summary: "Armv7E-M: DSP; STM32H7",
        machine: "mps2-an500",
        memory: "mps2-an386",
        target: "thumbv7em-none-eabihf",
        models: &[&WHOLE],
        only: Some(&[
            "squeezenet1_1.tflite-double",
            "resnet8.tflite-double",
            "ds_cnn.tflite-double",
            "nano_u.tflite-double",
        ]),
        sweep: &[&SINGLE, &FLOATING],
    },
    Board {
        name: "cortex-m7-placed",
        summary: "the M7 again: weights, arena and kernels in memories of their own",
        machine: "mps2-an500",
        memory: "mps2-an500-placed",
        target: "thumbv7em-none-eabihf",
        models: &[&NARROW],
        only: None,
        sweep: &[],
    },
    Board {
        name: "cortex-m33",
        summary: "Armv8-M with DSP; RP2350",
        machine: "mps2-an505",
        memory: "mps2-an505",
        target: "thumbv8m.main-none-eabihf",
        models: &[&WHOLE, &FEW_FLOATING],
        only: None,
        sweep: &[&SINGLE, &FLOATING],
    },
    Board {
        name: "cortex-m55",
        summary: "Armv8.1-M with Helium",
        machine: "mps3-an547",
        memory: "mps3-an547",
        target: cross::M55,
        models: &[&SMALL, &NARROW],
        only: None,
        sweep: &[&MIXED, &MORE],
    },
];

impl Board {
    /// Its images, and of each the models that run.
    fn images(&self, sweep: bool) -> Vec<(Image, Vec<Model>)> {
        let more = if sweep { self.sweep } else { &[] };
        let only = self.only.filter(|_| !sweep);
        let runs = |model: &Model| only.is_none_or(|only| only.contains(&&*model.name()));
        let sets = self.models.iter().chain(more);
        sets.map(|set| (Image::of(set, self), set.models().into_iter().filter(runs).collect())).collect()
    }

    /// The image with a wrong weight in it, and that model.
    fn spoilt(&self) -> Option<(Image, Model)> {
        let set = self.models.first().filter(|_| self.memory == SPOILT_MEMORY)?;
        let model = set.models().into_iter().next()?;
        Some((Image::of(set, self), Model { flip: Some(WRONG), ..model }))
    }
}

/// The sources of what runs on some boards.
pub(crate) fn models(boards: &[&Board], sweep: bool) -> Vec<generate::Model> {
    let of_board = |board: &&Board| -> Vec<generate::Model> {
        let spoilt = board.spoilt();
        let of_image = |(image, _): (Image, _)| {
            image.sources(spoilt.filter(|(other, _)| *other == image).map(|(_, model)| model))
        };
        let flipped = flips::image(board).map(|(image, _)| image.sources(None)).unwrap_or_default();
        board.images(sweep).into_iter().flat_map(of_image).chain(flipped).collect()
    };
    boards.iter().flat_map(of_board).collect()
}

/// Emulators at the same time.
const WORKERS: usize = 2;

/// The result of one run.
struct Row {
    board: &'static str,
    model: Model,
    layers: usize,
    stack: usize,
    class: Option<String>,
    took: Duration,
}

/// Builds the images of some boards from generated sources, runs them, compares, prints a table.
///
/// # Errors
/// A missing tool, the first layer that differs, a stack beyond its bound.
pub(crate) fn tests(runner: &mut Runner, boards: &[&'static Board], sweep: bool) -> Result {
    qemu::check_tools()?;
    if shared().is_none() {
        runner.leave_out(
            "trained models on Cortex-M: no shared data; lay it beside the checkout as `shared`, or name it in NIELLO_SHARED",
        )?;
    }
    runner.part("kernels on Cortex-M", 90);
    boards.iter().try_for_each(|board| kernels::check(runner, board))?;
    runner.part("models on Cortex-M", 180);
    let mut jobs: Vec<(Image, Vec<(&'static Board, Model)>)> = vec![];
    for board in boards.iter().copied() {
        for (image, models) in board.images(sweep) {
            let runs = models.into_iter().map(|model| (board, model));
            match jobs.iter_mut().find(|(other, _)| *other == image) {
                Some((_, all)) => all.extend(runs),
                None => jobs.push((image, runs.collect())),
            }
        }
    }
    let (rows, sizes) = thread::scope(|scope| {
        let (mut running, mut rows) = (std::collections::VecDeque::new(), vec![]);
        let mut sizes = vec![];
        let join = |handle: thread::ScopedJoinHandle<'_, Result<Row>>| {
            handle.join().unwrap_or_else(|_| Err("a worker panicked".into()))
        };
        for (image, runs) in jobs {
            // The next image is built while the last ones run.
            image.build(runner)?;
            sizes.push((image, qemu::size(&image.elf())?));
            for (board, model) in runs {
                if running.len() == WORKERS
                    && let Some(first) = running.pop_front()
                {
                    rows.push(join(first)?);
                }
                running.push_back(scope.spawn(move || run(board, image, model)));
            }
        }
        rows.extend(running.into_iter().map(join).collect::<Result<Vec<Row>>>()?);
        Ok::<_, String>((rows, sizes))
    })?;
    print(&rows, &sizes);
    boards
        .iter()
        .filter(|board| board.name == SPOILT)
        .try_for_each(|board| a_wrong_weight_is_named(runner, board))?;
    boards.iter().try_for_each(|board| flips::check(runner, board, sweep))
}

/// The board on which a wrong weight is tried out, and the memory map of its image.
const SPOILT: &str = "cortex-m4";
const SPOILT_MEMORY: &str = "mps2-an386";
/// The layer that has it.
const WRONG: usize = 9;

/// With one bit of one weight turned over, the run must fail and name the layer and its first element.
fn a_wrong_weight_is_named(runner: &mut Runner, board: &'static Board) -> Result {
    let start = Instant::now();
    let (image, model) = board.spoilt().ok_or_else(|| format!("{} has no image", board.name))?;
    let Err(message) = run(board, image, model) else {
        return Err(format!("{}: a wrong weight in layer {WRONG} was not noticed", board.name));
    };
    if !message.contains(&format!("layer {WRONG} `")) || !message.contains("first at [") {
        return Err(format!(
            "{}: expected layer {WRONG} and an element in the error, found: {message}",
            board.name
        ));
    }
    println!("\n  on purpose: {message}");
    runner.note(format!("{}: a wrong weight is named", board.name), start.elapsed());
    Ok(())
}

/// Runs a model of an image and compares what it prints.
fn run(board: &'static Board, image: Image, model: Model) -> Result<Row> {
    let start = Instant::now();
    let text = qemu::run(board.machine, &image.elf(), &[model.name()])?;
    let took = start.elapsed();
    let here = format!("{}, {}", board.name, model.name());
    let path = model.golden();
    let golden = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let layers = log::compare(&golden, &text).map_err(|difference| {
        let element = difference.layer.as_ref().map_or(String::new(), |place| {
            let found = image.element(board.machine, &model, &difference.case, place);
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
    if stack > model.recipe.stack {
        let bound = model.recipe.stack;
        return Err(format!("{here}: {stack} bytes of stack, more than the bound of {bound}"));
    }
    let class = log::value(&text, "class").map(Into::into);
    Ok(Row { board: board.name, model, layers, stack, class, took })
}

fn print(rows: &[Row], sizes: &[(Image, qemu::Size)]) {
    println!("\n  {:<40}{:>11}{:>11}", "image", "flash", "RAM");
    for (image, size) in sizes {
        let name = format!("{}, {}", image.memory, image.set.name);
        println!("  {name:<40}{:>11}{:>11}", size.flash, size.ram);
    }
    println!("\n  {:<18}{:<40}{:>7}{:>9}{:>7}{:>8}", "core", "model", "layers", "stack", "bound", "time");
    for Row { board, model, layers, stack, class, took } in rows {
        let class = class.as_ref().map_or(String::new(), |class| format!("  {class}"));
        println!(
            "  {board:<18}{:<40}{layers:>7}{stack:>9}{:>7}{:>6.1} s{class}",
            model.name(),
            model.recipe.stack,
            took.as_secs_f64()
        );
    }
}

/// An error for a tool that is not installed.
fn missing(tool: &str) -> String {
    format!("{tool} is not installed; install it with\n\n    cargo xtask setup\n")
}
