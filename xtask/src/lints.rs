//! Clippy over all packages and all of their targets, as a part of `ci`.

use crate::{
    Result,
    stage::{Runner, Stage},
};

/// The stages of `ci`.
pub(crate) fn stages(runner: &mut Runner) -> Result {
    runner.part("lints", 240);
    runner.run(Stage::cargo("lints", "clippy --workspace --all-targets -- -D warnings"))?;
    // A feature that nobody switches off breaks unseen.
    let plain = "clippy -p niello-codegen --no-default-features -- -D warnings";
    runner.run(Stage::cargo("lints, without features", plain))
}
