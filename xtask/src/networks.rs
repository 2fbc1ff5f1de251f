//! `cargo xtask networks`: a generated crate of every network, built and compared with its program, layer by layer.
//!
//! Too long for every push: some networks have 60 million weights.

use crate::{
    Command, Result,
    stage::{Runner, Stage},
};

pub(crate) const COMMAND: Command = Command {
    name: "networks",
    arguments: "[NAME ...]",
    summary: "generate, build and run a crate of every network (of these), and compare each layer's bytes",
    run,
};

fn run(names: &[String]) -> Result {
    let mut runner = Runner::new("networks");
    let test = "test --test generated_crate -- --ignored --nocapture";
    runner.run(Stage::cargo("generated crates", test).variable("NIELLO_NETWORKS", &names.join(" ")))?;
    runner.finish()
}
