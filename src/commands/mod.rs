//! One file per command.

mod bench;
mod board;
mod calibrate;
mod compile;
mod evaluate;
mod golden;
mod infer;
mod inspect;
mod manual;
mod models;
mod report;
mod run;
mod scan;
mod tune;
mod verify;

use clap::Subcommand;
use niello_codegen::{Error, Result};

/// The commands.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the networks: input, parameters, multiply-accumulates, source
    Models(models::Models),
    /// Show a network layer by layer, or the tensors of a checkpoint
    Inspect(inspect::Inspect),
    /// Write the results of calibration to a lock beside the recipe, which builds then read
    Calibrate(calibrate::Calibrate),
    /// Write a network as a no_std crate
    Compile(compile::Compile),
    /// Write the bytes of every layer to a file, or check a target or a device against one
    Golden(golden::GoldenCommand),
    /// Run the int8 program on an image (PNG, JPEG, DICOM, NPY)
    Run(run::Run),
    /// Run a network on every slice of a scan (DICOM series, NIfTI): volumes, masks, a page
    Scan(scan::Scan),
    /// Run a network on tensors: any number of cases, codes or numbers in, codes or numbers out
    Infer(infer::Infer),
    /// Compare int8 with float, layer by layer and at the output
    Verify(verify::Verify),
    /// Judge the program on labelled data: figures with intervals, decisions that differ from another network's
    Evaluate(evaluate::Evaluate),
    /// Show memory, flash and work, layer by layer
    Report(report::ReportCommand),
    /// Measure the time of each layer on this machine
    Bench(bench::Bench),
    /// Find the fastest kernel and the best number of pixels per pass for each layer
    Tune(tune::Tune),
    /// Print a shell's completions
    Completions(manual::Completions),
    /// Print a page of the manual
    Man(manual::Man),
}

/// The result of a command.
pub(crate) struct Done {
    /// The text to print.
    pub(crate) text: String,
    /// A failure beside it, which the exit status reports.
    pub(crate) failure: Option<Error>,
}

impl From<String> for Done {
    fn from(text: String) -> Self {
        Self { text, failure: None }
    }
}

impl Command {
    /// Runs the command.
    pub(crate) fn run(self) -> Result<Done> {
        let text = match self {
            Command::Models(c) => c.run(),
            Command::Inspect(c) => c.run(),
            Command::Calibrate(c) => c.run(),
            Command::Compile(c) => c.run(),
            Command::Golden(c) => c.run(),
            Command::Run(c) => return c.run(),
            Command::Scan(c) => return c.run(),
            Command::Infer(c) => c.run(),
            Command::Verify(c) => return c.run(),
            Command::Evaluate(c) => return c.run(),
            Command::Report(c) => return c.run(),
            Command::Bench(c) => c.run(),
            Command::Tune(c) => c.run(),
            Command::Completions(c) => c.run(),
            Command::Man(c) => c.run(),
        };
        text.map(Done::from)
    }

    /// Whether JSON is asked for.
    pub(crate) fn json(&self) -> bool {
        match self {
            Command::Models(c) => c.json,
            Command::Inspect(c) => c.json,
            Command::Calibrate(c) => c.json,
            Command::Compile(c) => c.json,
            Command::Golden(c) => c.json,
            Command::Run(c) => c.json,
            Command::Scan(c) => c.json,
            Command::Infer(c) => c.json,
            Command::Verify(c) => c.json,
            Command::Evaluate(c) => c.json(),
            Command::Report(c) => c.json,
            Command::Bench(c) => c.json,
            Command::Tune(c) => c.json,
            Command::Completions(_) | Command::Man(_) => false,
        }
    }
}

/// Advice on an error, where it is clear.
pub(crate) fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::Weights { .. } => Some("`niello inspect --tensors FILE` lists the tensors of a checkpoint"),
        Error::Io { action: "cannot create", .. } => Some("choose another folder with `--out`"),
        Error::RangeOverride { .. } => {
            Some("`niello inspect --optimized` lists the layers that have a range")
        }
        Error::Intermediate { .. } => Some(
            "`niello inspect --optimized` lists the layers; a layer that is merged with the next has no result",
        ),
        Error::Foreign { .. } => {
            Some("choose another folder with `--out`, or replace the file with `--force`")
        }
        Error::Dependency { .. } => Some("`--runtime` takes the value as it stands in Cargo.toml"),
        Error::Network { .. } => Some("`niello models` lists all networks"),
        Error::Invalid(message) if message.contains(": no class-activation map: ") => {
            Some("`--cam-layer auto` makes a map by Grad-CAM, on this machine")
        }
        _ => None,
    }
}
