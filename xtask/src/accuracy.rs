//! `cargo xtask accuracy`: what trained networks lose on real pictures, where that takes too long for every push.

use crate::{
    Command, Result,
    stage::{Runner, Stage},
};

pub(crate) const COMMAND: Command = Command {
    name: "accuracy",
    arguments: "[TEST]",
    summary: "trained networks on real pictures, the long comparisons only",
    run,
};

fn run(arguments: &[String]) -> Result {
    let mut runner = Runner::new("accuracy");
    let test = "test --release --test shared_figures -- --ignored --nocapture";
    runner.run(Stage::cargo("accuracy", test).arguments(arguments))?;
    runner.finish()
}
