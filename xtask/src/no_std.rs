//! `cargo xtask no-std`: kernels and runtime build without the standard library.

use crate::{
    Result, cross,
    stage::{Runner, Stage},
};

/// Targets that have no standard library at all: code that needs one does not build for them.
const BARE: &[&str] = &["thumbv6m-none-eabi", "thumbv7em-none-eabihf", "aarch64-unknown-none"];

/// Whether it can be built does not depend on how far it is optimised.
pub(crate) const QUICKLY: &str = "--config profile.dev.package.niello-kernels.opt-level=0 -p niello";

pub(crate) fn run() -> Result {
    let mut runner = Runner::new("no-std");
    stages(&mut runner)?;
    runner.finish()
}

/// The stages, for this command and for `ci`.
pub(crate) fn stages(runner: &mut Runner) -> Result {
    runner.part("no_std", 40);
    let call = format!("build {QUICKLY} --no-default-features");
    runner.run(Stage::cargo("no_std, host", &call))?;
    for target in BARE {
        let name = format!("no_std, {target}");
        match cross::bare(&name, &call, target) {
            Some(stage) => runner.run(stage)?,
            None => runner.leave_out(format!("{name} (to have it: cargo xtask setup)"))?,
        }
    }
    Ok(())
}
