//! `cargo xtask ci`: everything that must hold before a change is merged.

use crate::{
    Command, Result, c, count, defmt, images, no_arguments, no_std,
    stage::{Runner, Stage},
    test,
};

pub(crate) const COMMAND: Command = Command {
    name: "ci",
    arguments: "",
    summary: "format, lints, no_std builds, documentation, all tests, here and on every emulated core",
    run,
};

fn run(arguments: &[String]) -> Result {
    no_arguments(arguments)?;
    let mut runner = Runner::new("ci");
    runner.run(Stage::cargo("format", "fmt --all --check"))?;
    runner.run(Stage::cargo("lints", "clippy --workspace --all-targets -- -D warnings"))?;
    // A feature that nobody switches off breaks unseen.
    runner.run(Stage::cargo(
        "lints, without features",
        "clippy -p niello-codegen --no-default-features -- -D warnings",
    ))?;
    no_std::stages(&mut runner)?;
    let documentation = Stage::cargo("documentation", "doc --workspace --no-deps");
    runner.run(documentation.variable("RUSTDOCFLAGS", "-D warnings"))?;
    test::doc_tests(&mut runner)?;
    images::stages(&mut runner)?;
    c::stages(&mut runner)?;
    defmt::stages(&mut runner)?;
    test::emulated(&mut runner)?;
    count::stages(&mut runner)?;
    // Last, so that the log ends with the test runner's summary.
    test::tests(&mut runner, &[])?;
    runner.finish()
}
