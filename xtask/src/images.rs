//! `cargo xtask images`: the smallest firmware, built for each Cortex-M and judged.

use crate::{
    Command, Result, cross, elf, no_arguments,
    stage::{Runner, Stage},
};
use std::path::Path;

pub(crate) const COMMAND: Command = Command {
    name: "images",
    arguments: "",
    summary: "build the smallest firmware for each Cortex-M; refuse panics, heap, recursion, floating point",
    run,
};

/// What it is built for: M0, M3, M4 and M7, M33 and M55.
const TARGETS: &[&str] =
    &["thumbv6m-none-eabi", "thumbv7m-none-eabi", "thumbv7em-none-eabihf", "thumbv8m.main-none-eabihf"];

fn run(arguments: &[String]) -> Result {
    no_arguments(arguments)?;
    let mut runner = Runner::new("images");
    stages(&mut runner)?;
    runner.finish()
}

/// The stages, for this command and for `ci`.
pub(crate) fn stages(runner: &mut Runner) -> Result {
    for target in TARGETS {
        runner.run(build(target, "")?)?;
        elf::check(&image(target))?;
        println!("{target}: no panic, no allocator, no recursion, no indirect call, no floating point");
    }
    // The judge can say no: the same firmware with all of that in it.
    let target = "thumbv7m-none-eabi";
    runner.run(build(target, " --features bad")?)?;
    let message = match elf::check(&image(target)) {
        Ok(()) => return Err("an image that panics, recurses and adds floats was not refused".into()),
        Err(message) => message,
    };
    for rule in ["can panic", "recurses", "calculates in floating point"] {
        if !message.contains(rule) {
            return Err(format!(
                "expected `{rule}` among the reasons to refuse the bad image, found{message}"
            ));
        }
    }
    println!("{target}, bad on purpose: refused");
    Ok(())
}

fn build(target: &str, features: &str) -> Result<Stage> {
    let name = format!("smallest firmware, {target}{features}");
    let call =
        format!("build --release --locked --manifest-path targets/Cargo.toml -p niello-plain{features}");
    let stage = cross::bare(&name, &call, target);
    let stage = stage.ok_or_else(|| {
        format!(
            "Rust's core library for {target} is not installed; install it with\n\n    cargo xtask setup\n"
        )
    })?;
    Ok(stage.variable("CARGO_TARGET_DIR", "targets/target"))
}

fn image(target: &str) -> std::path::PathBuf {
    Path::new("targets/target").join(target).join("release/niello-plain")
}
