//! `niello`: trained CNN in, static `no_std` Rust out, checked against float.
//!
//! The binary of this crate knows the networks of `niello-models`. [`main()`] gives the same command line for networks of one's own, with their
//! own operators and kernels: `docs/own-networks-and-operators.md`.

mod args;
mod blocks;
mod commands;
mod ends;
mod html;
mod inputs;
mod output;
mod progress;
mod runtime;
mod table;

use clap::{CommandFactory, Parser, error::ErrorKind};
use commands::Command;
use niello_codegen::{Error, Result, import::network::Networks};
use progress::Verbosity;
use std::{
    io::{self, Write},
    process::ExitCode,
    sync::OnceLock,
};

/// What `--model` may name.
static NETWORKS: OnceLock<&'static dyn Networks> = OnceLock::new();

/// The networks of this process.
///
/// # Panics
/// Before [`main()`] has begun.
fn networks() -> &'static dyn Networks {
    *NETWORKS.get().expect("`main` has begun")
}

/// Turns a trained CNN into static no_std Rust, checked layer by layer against float.
///
/// Figures go to standard output, progress and errors to standard error. Exit status: 0 done, 1 an error, 2 a command
/// line that is wrong, 130 interrupted.
#[derive(Parser)]
#[command(name = "niello", version = env!("NIELLO_VERSION"), propagate_version = true, max_term_width = 100)]
#[command(after_help = "Example:\n  niello run --model anam_net slice.png --overlay overlay.png\n\n\
                        `niello COMMAND --help` has an example of each command.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print errors only: no progress, no notes
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Print the time of each step
    #[arg(short, long, global = true)]
    verbose: bool,
}

impl Cli {
    /// Checks conflicts that clap does not see between a flag before the command and one behind it.
    fn checked(self) -> Result<Self, clap::Error> {
        if self.quiet && self.verbose {
            let message = "the argument '--quiet' cannot be used with '--verbose'";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, message));
        }
        Ok(self)
    }
}

/// The command line `niello` for these networks: reads the process's arguments, does what they ask, and returns the exit status.
///
/// ```no_run
/// // src/main.rs: the built-in networks, and one more.
/// use niello_models::{EveryOperator, Registry};
///
/// fn main() -> std::process::ExitCode {
///     niello_cli::main(&(Registry, [&EveryOperator]))
/// }
/// ```
pub fn main(networks: &'static dyn Networks) -> ExitCode {
    let networks = NETWORKS.get_or_init(|| networks);
    debug_assert!(!networks.all().is_empty(), "a command line without networks");
    let cli = Cli::try_parse().and_then(Cli::checked).unwrap_or_else(|error| unknown_words(&error));
    progress::set(match (cli.quiet, cli.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    });
    // Without a handler an interrupt ends the program at once.
    let _ = ctrlc::set_handler(|| output::interrupted());
    let json = cli.command.json();
    let done = cli.command.run().and_then(|done| {
        print(&done.text)?;
        done.failure.map_or(Ok(()), Err)
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error.to_string(), commands::hint(&error), json);
            ExitCode::FAILURE
        }
    }
}

/// Ends the program: a wrong command line, help, or the version.
fn unknown_words(error: &clap::Error) -> ! {
    if error.use_stderr() && std::env::args_os().any(|word| word == "--json") {
        let text = error.to_string();
        let (text, _) = text.split_once("\n\nUsage:").unwrap_or((&text, ""));
        report(
            text.trim_start_matches("error: ").trim(),
            Some("`--help` lists the commands and flags"),
            true,
        );
        std::process::exit(error.exit_code());
    }
    error.exit()
}

/// An error on standard error, as text or as JSON.
fn report(error: &str, hint: Option<&str>, json: bool) {
    #[derive(serde::Serialize)]
    struct Failure<'a> {
        error: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<&'a str>,
    }
    if let Some(text) = json.then(|| output::json(&Failure { error, hint })).and_then(Result::ok) {
        eprint!("{text}");
        return;
    }
    eprintln!("error: {error}");
    if let Some(hint) = hint {
        eprintln!("hint: {hint}");
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
