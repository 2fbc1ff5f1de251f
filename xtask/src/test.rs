//! `cargo xtask test`: all tests.

use crate::{
    Command, Result,
    stage::{Runner, Stage},
    tools,
};

pub(crate) const COMMAND: Command = Command {
    name: "test",
    arguments: "[--target NAME] [-- ARG ...]",
    summary: "run all tests (arguments go to the test runner)",
    run,
};

/// Where tests can run.
const TARGETS: &[&str] = &["host"];

fn run(arguments: &[String]) -> Result {
    let (own, rest) = match arguments.iter().position(|a| a == "--") {
        Some(at) => (&arguments[..at], &arguments[at + 1..]),
        None => (arguments, &[][..]),
    };
    match own {
        [] => {}
        [flag, target] if flag == "--target" && TARGETS.contains(&target.as_str()) => {}
        [flag, target] if flag == "--target" => {
            return Err(format!("no target `{target}`; known: {}", TARGETS.join(", ")));
        }
        _ => return Err(format!("unexpected arguments: {}; usage: {}", own.join(" "), COMMAND.arguments)),
    }
    let mut runner = Runner::new("test");
    // What is asked for by name is no doc test.
    if rest.is_empty() {
        doc_tests(&mut runner)?;
    }
    tests(&mut runner, rest)?;
    runner.finish()
}

/// The examples in the documentation.
pub(crate) fn doc_tests(runner: &mut Runner) -> Result {
    runner.run(Stage::cargo("doc tests", "test --workspace --doc"))
}

/// Everything else, with nextest where it is installed.
pub(crate) fn tests(runner: &mut Runner, arguments: &[String]) -> Result {
    let call = if tools::has_nextest() {
        "nextest run --workspace --no-fail-fast"
    } else {
        "test --workspace --lib --bins --tests --no-fail-fast"
    };
    runner.run(Stage::cargo("tests", call).arguments(arguments))
}
