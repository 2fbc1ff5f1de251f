//! `cargo xtask test`: all tests, on this machine or on emulated cores.

use crate::{
    Command, Result,
    cortex_m::{self, BOARDS, Board},
    emulated::{self, CORES, Core},
    generate,
    stage::{Runner, Stage},
    tools,
};

pub(crate) const COMMAND: Command = Command {
    name: "test",
    arguments: "[--target NAME | --all | --list] [--sweep] [-- ARG ...]",
    summary: "run all tests, here or on an emulated core",
    run,
};

/// This machine.
const HOST: &str = "host";

fn run(arguments: &[String]) -> Result {
    let (own, rest) = match arguments.iter().position(|a| a == "--") {
        Some(at) => (&arguments[..at], &arguments[at + 1..]),
        None => (arguments, &[][..]),
    };
    // All models on all boards, all suites on all cores: longer than a push should take.
    let sweep = own.iter().any(|a| a == "--sweep");
    let own: Vec<&str> = own.iter().map(String::as_str).filter(|a| *a != "--sweep").collect();
    let (host, cores, boards) = match own[..] {
        [] | ["--target", HOST] => (true, vec![], vec![]),
        ["--all"] => (true, CORES.iter().collect(), BOARDS.iter().collect()),
        ["--target", name] => {
            let cores: Vec<&Core> = CORES.iter().filter(|core| core.name == name).collect();
            let boards: Vec<&Board> = BOARDS.iter().filter(|board| board.name == name).collect();
            if cores.is_empty() && boards.is_empty() {
                return Err(format!("no target `{name}`; known:\n\n{}", list()));
            }
            (false, cores, boards)
        }
        ["--list"] => {
            print!("{}", list());
            return Ok(());
        }
        _ => {
            return Err(format!(
                "unexpected arguments: {}; usage: test {}",
                own.join(" "),
                COMMAND.arguments
            ));
        }
    };
    let mut runner = Runner::new("test");
    if host {
        // What is asked for by name is no doc test.
        if rest.is_empty() {
            doc_tests(&mut runner)?;
        }
        tests(&mut runner, sweep, rest)?;
    }
    let mut models = if cores.is_empty() { vec![] } else { emulated::models() };
    models.extend(cortex_m::models(&boards, sweep));
    if !models.is_empty() && rest.is_empty() {
        generate::build(&mut runner)?;
        generate::sources(&mut runner, &models)?;
    }
    for core in cores {
        emulated::tests(&mut runner, core, sweep, rest)?;
    }
    if !boards.is_empty() {
        cortex_m::tests(&mut runner, &boards, sweep)?;
    }
    runner.finish()
}

/// Where tests can run, one per line.
fn list() -> String {
    let mut text = format!("  {HOST:<22}this machine\n");
    let cores = CORES.iter().map(|Core { name, summary, .. }| (name, summary));
    for (name, summary) in cores.chain(BOARDS.iter().map(|Board { name, summary, .. }| (name, summary))) {
        text += &format!("  {name:<22}{summary}\n");
    }
    text
}

/// Everything that runs on emulated Cortex-A cores.
pub(crate) fn cores(runner: &mut Runner) -> Result {
    CORES.iter().try_for_each(|core| emulated::tests(runner, core, false, &[]))
}

/// Everything that runs on emulated Cortex-M boards.
pub(crate) fn boards(runner: &mut Runner) -> Result {
    cortex_m::tests(runner, &BOARDS.iter().collect::<Vec<_>>(), false)
}

/// The examples in the documentation.
pub(crate) fn doc_tests(runner: &mut Runner) -> Result {
    runner.part("doc tests", 120);
    runner.run(Stage::cargo("doc tests", "test --workspace --doc"))
}

/// Everything else, with nextest where it is installed.
pub(crate) fn tests(runner: &mut Runner, sweep: bool, arguments: &[String]) -> Result {
    runner.part("tests", 480);
    let call = if tools::has_nextest() {
        "nextest run --workspace --no-fail-fast"
    } else {
        "test --workspace --lib --bins --tests --no-fail-fast"
    };
    let stage = Stage::cargo("tests", call).arguments(arguments);
    runner.run(if sweep { stage.variable("NIELLO_SWEEP", "1") } else { stage })
}
