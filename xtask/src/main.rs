//! The project's habits as commands: `cargo xtask COMMAND`.
//!
//! One file per command, one line per command in [`COMMANDS`]. [`stage`] runs and times what a command consists of,
//! [`tools`] finds what may not be installed.

mod accuracy;
mod c;
mod ci;
mod cortex_m;
mod count;
mod cross;
mod defmt;
mod elf;
mod emulated;
mod generate;
mod images;
mod lints;
mod networks;
mod no_std;
mod package;
mod release;
mod sanitizers;
mod setup;
mod stage;
mod test;
mod tools;

use std::process::ExitCode;

/// What went wrong, as a text for the user.
type Result<T = ()> = std::result::Result<T, String>;

/// One command.
struct Command {
    name: &'static str,
    /// Arguments that it takes, for the overview.
    arguments: &'static str,
    summary: &'static str,
    run: fn(&[String]) -> Result,
}

const COMMANDS: &[Command] = &[
    ci::COMMAND,
    test::COMMAND,
    generate::COMMAND,
    count::COMMAND,
    setup::COMMAND,
    no_std::COMMAND,
    package::COMMAND,
    release::COMMAND,
    networks::COMMAND,
    accuracy::COMMAND,
    images::COMMAND,
    c::COMMAND,
    cortex_m::FLIPS,
    defmt::COMMAND,
    sanitizers::MIRI,
    sanitizers::LOOM,
    sanitizers::TSAN,
    elf::COMMAND,
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let command = arguments.first().and_then(|name| COMMANDS.iter().find(|c| c.name == name));
    let outcome = match (command, arguments.first().map(String::as_str)) {
        (Some(command), _) => (command.run)(&arguments[1..]),
        (None, None | Some("help" | "--help" | "-h")) => {
            print!("{}", overview());
            Ok(())
        }
        (None, Some(unknown)) => Err(format!("no command `{unknown}`\n\n{}", overview())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("\nerror: {message}");
            ExitCode::FAILURE
        }
    }
}

fn overview() -> String {
    let mut text = String::from("usage: cargo xtask COMMAND\n\n");
    for Command { name, arguments, summary, .. } in COMMANDS {
        let call = format!("{name} {arguments}");
        text += &format!("  {call:<50}{summary}\n");
    }
    text
}

/// An error for arguments that a command does not take.
fn no_arguments(arguments: &[String]) -> Result {
    match arguments {
        [] => Ok(()),
        _ => Err(format!("unexpected arguments: {}", arguments.join(" "))),
    }
}
