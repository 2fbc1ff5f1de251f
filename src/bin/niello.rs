//! The command line for the networks of `niello-models`.

use std::process::ExitCode;

fn main() -> ExitCode {
    niello_cli::main(&niello_models::Registry)
}
