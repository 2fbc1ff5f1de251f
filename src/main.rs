//! `niello`: trained CNN in, static `no_std` Rust out, checked against float.

mod args;
mod commands;
mod inputs;
mod table;

use clap::Parser;
use commands::Command;
use std::process::ExitCode;

/// Turns a trained CNN into static no_std Rust, checked layer by layer against float.
#[derive(Parser)]
#[command(name = "niello", version, propagate_version = true, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    match Cli::parse().command.run() {
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
