//! `cargo xtask ci`: everything that must hold before a change is merged.
//!
//! Two halves run side by side, as linking, emulation and much of a build keep one core busy: what concerns this machine, and what
//! concerns the targets. They build into different folders, so that cargo makes neither wait for the other for long. The second
//! half's output is printed when it is done; the tests of this machine come last.

use crate::{
    Command, Result, c,
    cortex_m::root,
    count, defmt, images, lints, no_std,
    stage::{Runner, Stage},
    test,
};
use std::{fs::File, process};

pub(crate) const COMMAND: Command = Command {
    name: "ci",
    arguments: "[--host | --targets]",
    summary: "format, lints, no_std builds, documentation, all tests, here and on every emulated core",
    run,
};

fn run(arguments: &[String]) -> Result {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            let mut runner = Runner::new("ci");
            // Before anything is built twice.
            runner.run(Stage::cargo("format", "fmt --all --check"))?;
            let targets = Targets::start()?;
            host(&mut runner)?;
            targets.finish()?;
            tests(runner)
        }
        ["--host"] => {
            let mut runner = Runner::new("ci --host");
            runner.run(Stage::cargo("format", "fmt --all --check"))?;
            host(&mut runner)?;
            tests(runner)
        }
        ["--targets"] => {
            let mut runner = Runner::new("ci --targets");
            // What builds in folders of its own comes first.
            images::stages(&mut runner)?;
            test::boards(&mut runner)?;
            test::cores(&mut runner)?;
            count::stages(&mut runner)?;
            c::stages(&mut runner)?;
            defmt::stages(&mut runner)?;
            runner.finish()
        }
        _ => Err(format!("unexpected arguments; usage: ci {}", COMMAND.arguments)),
    }
}

/// Libraries, programs and examples: the command line's program has nothing to document, see its manifest. Without examples, cargo would
/// leave out the features that development needs of other crates, and compile niello-codegen, and run all build scripts, once more.
const DOCUMENTATION: &str =
    "doc --workspace --exclude niello-cli --features niello-codegen/c-api --no-deps --lib --bins --examples";

/// What concerns this machine, all but the tests.
fn host(runner: &mut Runner) -> Result {
    lints::stages(runner)?;
    no_std::stages(runner)?;
    let documentation = Stage::cargo("documentation", DOCUMENTATION);
    runner.run(documentation.variable("RUSTDOCFLAGS", "-D warnings"))?;
    test::doc_tests(runner)?;
    runner.run(Stage::cargo("tests, built", "test --workspace --lib --bins --tests --no-run --quiet"))
}

/// Last, so that the log ends with the test runner's summary.
fn tests(mut runner: Runner) -> Result {
    test::tests(&mut runner, &[])?;
    runner.finish()
}

/// The other half, under way.
struct Targets {
    process: process::Child,
    done: bool,
}

/// Where it prints to.
const LOG: &str = "target/ci-targets.log";

impl Targets {
    fn start() -> Result<Self> {
        let this = std::env::current_exe().map_err(|e| format!("cannot find this program: {e}"))?;
        let log = File::create(root().join(LOG)).map_err(|e| format!("cannot write {LOG}: {e}"))?;
        let errors = log.try_clone().map_err(|e| format!("cannot write {LOG}: {e}"))?;
        let mut command = process::Command::new(this);
        command.args(["ci", "--targets"]).stdout(log).stderr(errors);
        let process = command.spawn().map_err(|e| format!("cannot run `ci --targets`: {e}"))?;
        println!("\n== targets: cargo xtask ci --targets > {LOG}");
        Ok(Self { process, done: false })
    }

    /// Waits for it and prints what it printed.
    fn finish(mut self) -> Result {
        let status = self.process.wait().map_err(|e| format!("cannot wait for `ci --targets`: {e}"))?;
        self.done = true;
        let log = std::fs::read_to_string(root().join(LOG)).map_err(|e| format!("cannot read {LOG}: {e}"))?;
        println!("{log}");
        if status.success() {
            Ok(())
        } else {
            Err(format!("ci --targets failed ({status}); its output is above"))
        }
    }
}

impl Drop for Targets {
    /// A failure of the first half ends the second.
    fn drop(&mut self) {
        if !self.done {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}
