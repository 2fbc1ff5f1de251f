//! One file per command.

mod bench;
mod board;
mod calibrate;
mod compile;
mod golden;
mod inspect;
mod models;
mod report;
mod run;
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
    /// Write what calibration decides to a lock beside the recipe, which builds then read
    Calibrate(calibrate::Calibrate),
    /// Write a network as a no_std crate
    Compile(compile::Compile),
    /// Write the bytes of every layer to a file, or check a target or a device against one
    Golden(golden::GoldenCommand),
    /// Run the int8 program on a picture (PNG, JPEG, DICOM, NPY)
    Run(run::Run),
    /// Compare int8 with float, layer by layer and at the output
    Verify(verify::Verify),
    /// Show memory, flash and work, layer by layer
    Report(report::ReportCommand),
    /// Measure the time of each layer on this machine
    Bench(bench::Bench),
    /// Find the fastest kernel and the best number of pixels per pass for each layer
    Tune(tune::Tune),
}

impl Command {
    /// Does what is asked and gives what is to be printed.
    pub(crate) fn run(self) -> Result<String> {
        match self {
            Command::Models(c) => c.run(),
            Command::Inspect(c) => c.run(),
            Command::Calibrate(c) => c.run(),
            Command::Compile(c) => c.run(),
            Command::Golden(c) => c.run(),
            Command::Run(c) => c.run(),
            Command::Verify(c) => c.run(),
            Command::Report(c) => c.run(),
            Command::Bench(c) => c.run(),
            Command::Tune(c) => c.run(),
        }
    }
}

/// What to do about an error, where that is clear.
pub(crate) fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::Weights { .. } => Some("`niello inspect --tensors FILE` lists what a checkpoint holds"),
        Error::Io { action: "cannot create", .. } => Some("choose another folder with `--out`"),
        Error::Invalid(text) if text.starts_with("range override") => {
            Some("`niello inspect --optimized` lists the layers that have a range")
        }
        Error::Invalid(text) if text.starts_with("--dump") => Some(
            "`niello inspect --optimized` lists the layers; what is merged with the next layer has no result",
        ),
        Error::Invalid(text) if text.starts_with("no network") => Some("`niello models` lists all networks"),
        _ => None,
    }
}
