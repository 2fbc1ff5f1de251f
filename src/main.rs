//! `niello`: trained CNN in, static `no_std` Rust out, checked against float.

mod args;
mod commands;
mod inputs;
mod output;
mod overrides;
mod table;

use clap::Parser;
use commands::Command;
use niello_codegen::{Error, Result};
use std::{
    io::{self, Write},
    process::ExitCode,
};

/// Turns a trained CNN into static no_std Rust, checked layer by layer against float.
///
/// Figures go to standard output, progress and errors to standard error. Exit status: 0 done, 1 an error, 2 a command
/// line that makes no sense.
#[derive(Parser)]
#[command(name = "niello", version, propagate_version = true, max_term_width = 110)]
#[command(after_help = "Example:\n  niello run --model anam_net slice.png --overlay overlay.png\n\n\
                        `niello COMMAND --help` has an example of each command.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    match Cli::parse().command.run().and_then(|text| print(&text)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            if let Some(hint) = commands::hint(&error) {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard output. A reader that has seen enough (`niello models | head -1`) is no error.
fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::io("cannot write", "standard output")(error))
        }
        _ => Ok(()),
    }
}
