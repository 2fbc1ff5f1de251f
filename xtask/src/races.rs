//! `cargo xtask loom` and `cargo xtask tsan`: the threads that share a layer, in a model of all their interleavings, and with every access to
//! memory watched.

use crate::{
    Command, Result, no_arguments,
    stage::{Runner, Stage},
    tools,
};

pub(crate) const LOOM: Command = Command {
    name: "loom",
    arguments: "",
    summary: "try the interleavings of the kernels' threads in a model",
    run: loom,
};

pub(crate) const TSAN: Command = Command {
    name: "tsan",
    arguments: "",
    summary: "run the kernels' threads under ThreadSanitizer (needs nightly)",
    run: tsan,
};

fn loom(arguments: &[String]) -> Result {
    no_arguments(arguments)?;
    let mut runner = Runner::new("loom");
    let stage = Stage::cargo("team of threads, model", "test -p niello-kernels --lib threads::team::model");
    // In a folder of its own: the flag concerns all crates.
    runner.run(stage.variable("RUSTFLAGS", "--cfg loom").variable("CARGO_TARGET_DIR", "target/loom"))?;
    runner.finish()
}

fn tsan(arguments: &[String]) -> Result {
    no_arguments(arguments)?;
    if !tools::nightly_has("rust-src") {
        return Err(
            "the library source is not installed; install it with\n\n    rustup toolchain install nightly --component rust-src\n".into(),
        );
    }
    let mut runner = Runner::new("tsan");
    for (name, what) in
        [("team of threads", "--lib threads::team"), ("layers on several threads", "--test threads")]
    {
        let call = format!("+nightly test -Zbuild-std --target {HOST} -p niello-kernels {what}");
        let stage = Stage::cargo(name, &call).variable("CARGO_TARGET_DIR", "target/tsan");
        runner.run(stage.variable("RUSTFLAGS", "-Zsanitizer=thread"))?;
    }
    runner.finish()
}

/// Where this runs: what is built for a target named is apart from build scripts, which are not watched.
const HOST: &str =
    if cfg!(target_arch = "aarch64") { "aarch64-unknown-linux-gnu" } else { "x86_64-unknown-linux-gnu" };
