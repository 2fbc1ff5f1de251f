//! `cargo xtask networks`: a generated crate of every network, built and compared with its program, layer by layer.
//!
//! Too long for every push: some networks have 60 million weights.

use crate::{
    Result,
    stage::{Runner, Stage},
};

pub(crate) fn run(names: &[String]) -> Result {
    let mut runner = Runner::new("networks");
    let test = "test --test generated_crate -- --ignored --nocapture";
    runner.run(Stage::cargo("generated crates", test).variable("NIELLO_NETWORKS", &names.join(" ")))?;
    runner.finish()
}
