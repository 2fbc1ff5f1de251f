//! `cargo xtask ci`: everything that must hold before a change is merged.
//!
//! Two halves run side by side, as linking, emulation and much of a build keep one core busy: what concerns this machine, and what
//! concerns the targets. They build into different folders, so that cargo makes neither wait for the other for long. The tests of
//! this machine start once they are built, beside emulators that use one core for much of their time. What ran beside the rest is
//! printed when it is done, the tests of this machine last.

use crate::{
    Result, c, count, defmt,
    folders::target,
    generate, images, lints, no_std, package, pages,
    stage::{Runner, Stage},
    test,
};
use std::{fs::File, path::PathBuf, process};

/// Seconds that all of it may take on two cores, from a clean clone.
const BUDGET: u64 = 1500;

/// A part of it alone.
#[derive(clap::Args)]
#[group(multiple = false)]
pub(crate) struct Options {
    /// What concerns this machine
    #[arg(long)]
    host: bool,
    /// What concerns the emulated cores and boards
    #[arg(long)]
    targets: bool,
    /// The tests of this machine, which must be built
    #[arg(long)]
    tests: bool,
}

pub(crate) fn run(options: &Options) -> Result {
    let mut runner = Runner::new(match options {
        Options { host: true, .. } => "ci --host",
        Options { targets: true, .. } => "ci --targets",
        Options { tests: true, .. } => "ci --tests",
        _ => "ci",
    });
    if options.host {
        format(&mut runner)?;
        host(&mut runner)?;
        test::tests(&mut runner, false, &[])?;
        pages::stages(&mut runner)?;
        package::stages(&mut runner, false)?;
        return runner.finish();
    }
    if options.tests {
        test::tests(&mut runner, false, &[])?;
        pages::stages(&mut runner)?;
        return runner.finish();
    }
    if options.targets {
        generate::build(&mut runner)?;
        generate::sources(&mut runner, &generate::all()?)?;
        // Builds in folders of their own come first.
        test::boards(&mut runner)?;
        images::stages(&mut runner)?;
        test::cores(&mut runner)?;
        count::stages(&mut runner)?;
        c::stages(&mut runner)?;
        defmt::stages(&mut runner)?;
        return runner.finish();
    }
    // Before anything is built twice.
    format(&mut runner)?;
    // Both halves need what the generator consists of.
    generate::build(&mut runner)?;
    let targets = Part::start("--targets", "ci-targets.log")?;
    host(&mut runner)?;
    let tests = Part::start("--tests", "ci-tests.log")?;
    package::stages(&mut runner, false)?;
    // In this order, so that the log ends with the test runner's summary.
    runner.part("waiting for the targets", TARGETS_BUDGET);
    let targets = targets.finish();
    runner.part("waiting for the tests", TESTS_BUDGET);
    targets.and(tests.finish())?;
    runner.finish_within(BUDGET)
}

/// Seconds after the rest of this machine's stages that each may still take.
const TARGETS_BUDGET: u64 = 600;
const TESTS_BUDGET: u64 = 120;

fn format(runner: &mut Runner) -> Result {
    runner.part("format", 10);
    runner.run(Stage::cargo("format", "fmt --all --check"))
}

/// Libraries, programs and examples: the command line's program has nothing to document, see its manifest. Without examples, cargo would
/// leave out the features that development needs of other crates, and compile niello-codegen, and run all build scripts, once more.
const DOCUMENTATION: &str =
    "doc --workspace --exclude niello-cli --features niello-codegen/c-api --no-deps --lib --bins --examples";

/// The documentation of everything, without a warning.
pub(crate) fn documentation(runner: &mut Runner) -> Result {
    runner.part("documentation", 120);
    let documentation = Stage::cargo("documentation", DOCUMENTATION);
    runner.run(documentation.variable("RUSTDOCFLAGS", "-D warnings"))
}

/// The checks of this machine, without the tests.
fn host(runner: &mut Runner) -> Result {
    lints::stages(runner)?;
    no_std::stages(runner)?;
    documentation(runner)?;
    test::doc_tests(runner)?;
    runner.part("tests, built", 180);
    runner.run(Stage::cargo("tests, built", "test --workspace --lib --bins --tests --no-run --quiet"))
}

/// A part that runs beside the rest, as a process of its own.
struct Part {
    option: &'static str,
    /// Where it prints to.
    log: PathBuf,
    process: process::Child,
    done: bool,
}

impl Part {
    /// Starts `cargo xtask ci` with `option`.
    fn start(option: &'static str, log: &'static str) -> Result<Self> {
        let this = std::env::current_exe().map_err(|e| format!("cannot find this program: {e}"))?;
        let log = target().join(log);
        let unwritten = |e| format!("cannot write {}: {e}", log.display());
        let output = File::create(&log).map_err(unwritten)?;
        let errors = output.try_clone().map_err(unwritten)?;
        let mut command = process::Command::new(this);
        command.args(["ci", option]).stdout(output).stderr(errors);
        let process = command.spawn().map_err(|e| format!("cannot run `ci {option}`: {e}"))?;
        println!("\n== beside the rest: cargo xtask ci {option} > {}", log.display());
        Ok(Self { option, log, process, done: false })
    }

    /// Waits for it and prints what it printed.
    fn finish(mut self) -> Result {
        let option = self.option;
        let status = self.process.wait().map_err(|e| format!("cannot wait for `ci {option}`: {e}"))?;
        self.done = true;
        let text = std::fs::read_to_string(&self.log);
        let text = text.map_err(|e| format!("cannot read {}: {e}", self.log.display()))?;
        println!("{text}");
        if status.success() {
            Ok(())
        } else {
            Err(format!("ci {option} failed ({status}); its output is above"))
        }
    }
}

impl Drop for Part {
    /// A failure of the rest ends it.
    fn drop(&mut self) {
        if !self.done {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}
