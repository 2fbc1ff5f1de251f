//! One file per command.

mod bench;
mod compile;
mod inspect;
mod models;
mod report;
mod run;
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
    /// Write a network as a no_std crate
    Compile(compile::Compile),
    /// Run the int8 program on a picture (PNG, JPEG, DICOM, NPY)
    Run(run::Run),
    /// Compare int8 with float, layer by layer and at the output
    Verify(verify::Verify),
    /// Show memory, flash and work, layer by layer
    Report(report::ReportCommand),
    /// Measure the time of each layer on this machine
    Bench(bench::Bench),
}

impl Command {
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Command::Models(c) => c.run(),
            Command::Inspect(c) => c.run(),
            Command::Compile(c) => c.run(),
            Command::Run(c) => c.run(),
            Command::Verify(c) => c.run(),
            Command::Report(c) => c.run(),
            Command::Bench(c) => c.run(),
        }
    }
}

/// What to do about an error, where that is clear.
pub(crate) fn hint(error: &Error) -> Option<&'static str> {
    let text = error.to_string();
    match error {
        Error::Weights { .. } => Some("`niello inspect --weights FILE` lists what a checkpoint holds"),
        Error::Io { action, .. }
            if action.starts_with("cannot write") || action.starts_with("cannot create") =>
        {
            Some("choose another place with `--out`")
        }
        _ if text.contains("no network") => Some("`niello models` lists all networks"),
        _ => None,
    }
}

/// Prints a value as JSON.
fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::Invalid(e.to_string()))?;
    println!("{text}");
    Ok(())
}
