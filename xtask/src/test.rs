//! `cargo xtask test`: all tests, on this machine or on emulated cores.

use crate::{
    Result,
    cortex_m::{self, BOARDS, Board},
    count,
    emulated::{self, CORES, Core},
    generate,
    stage::{Runner, Stage},
    tools,
};

/// This machine.
const HOST: &str = "host";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// A core or board of the list instead of this machine
    #[arg(long, value_name = "NAME", conflicts_with_all = ["all", "list"])]
    target: Option<String>,
    /// This machine, and every core and board
    #[arg(long, conflicts_with = "list")]
    all: bool,
    /// Print where tests can run
    #[arg(long)]
    list: bool,
    /// All models on all boards, all suites on all cores: longer than a push should take
    #[arg(long)]
    sweep: bool,
    /// For the tests' programs, of which only those with tests run then
    #[arg(last = true, value_name = "ARG")]
    rest: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result {
    let Options { target, all, list: listed, sweep, rest } = options;
    if *listed {
        print!("{}", list());
        return Ok(());
    }
    let name = target.as_deref().unwrap_or(HOST);
    let cores: Vec<&Core> = CORES.iter().filter(|core| *all || core.name == name).collect();
    let boards: Vec<&Board> = BOARDS.iter().filter(|board| *all || board.name == name).collect();
    let host = *all || name == HOST;
    if !host && cores.is_empty() && boards.is_empty() {
        return Err(format!("no target `{name}`; known:\n\n{}", list()));
    }
    let sweep = *sweep;
    let mut runner = Runner::new("test");
    if host {
        // A test that is named is not a doc test.
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
    if *all && sweep {
        count::sweep(&mut runner)?;
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
