//! `cargo xtask accuracy`: the loss of trained networks on real images, too long for every push.

use crate::{
    Result,
    stage::{Runner, Stage},
};

pub(crate) fn run(arguments: &[String]) -> Result {
    let mut runner = Runner::new("accuracy");
    for (name, tests) in
        [("masks", "--test shared_figures"), ("float", "-p niello-models --test shared_data")]
    {
        let call = format!("test --release {tests} -- --ignored --nocapture");
        runner.run(Stage::cargo(format!("accuracy, {name}"), &call).arguments(arguments))?;
    }
    runner.finish()
}
