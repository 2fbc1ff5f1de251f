//! `cargo xtask pages`: opens pages that the command line writes in headless Chromium.

use crate::{
    Result,
    stage::{Runner, Stage},
    tools,
};

pub(crate) fn run() -> Result {
    let mut runner = Runner::new("pages");
    stages(&mut runner)?;
    runner.finish()
}

/// Where Chromium is installed. Tests of a page's structure need none.
pub(crate) fn stages(runner: &mut Runner) -> Result {
    runner.part("pages in a browser", 60);
    if !tools::runs("chromium", &["--version"]) {
        runner.mention("pages in a browser: Debian's package `chromium` is not installed");
        return Ok(());
    }
    runner.run(Stage::cargo("pages in a browser", "test --test report -- --ignored"))
}
