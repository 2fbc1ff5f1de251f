//! `cargo xtask images`: the smallest firmware for each Cortex-M, and the firmware of each board, built and checked.

use crate::{
    Result, cross,
    elf::{self, Numbers},
    folders::firmware,
    generate,
    stage::{Runner, Stage},
};
use std::fs;

/// The targets: M0, M3, M4 and M7, M33, M55.
const TARGETS: &[&str] = &[
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabihf",
    cross::M55,
];

/// Those with a floating-point unit; there, every operator is checked in floating point too.
const FLOATING: &[&str] = &["thumbv7em-none-eabihf", "thumbv8m.main-none-eabihf"];

pub(crate) fn run() -> Result {
    let mut runner = Runner::new("images");
    generate::build(&mut runner)?;
    generate::sources(&mut runner, &models())?;
    stages(&mut runner)?;
    runner.finish()
}

/// The sources of [`PLAIN`].
pub(crate) fn models() -> Vec<generate::Model> {
    let model = |folder: &str, name: &str, recipe: &str| generate::Model {
        folder: folder.into(),
        name: name.into(),
        recipe: format!("targets/plain/{recipe}.toml"),
        ..generate::Model::default()
    };
    vec![model(WHOLE, "model", "model"), model(FLOAT, "model", "float"), model(FLOAT, "winograd", "winograd")]
}

/// Folders of its models, and of those with its feature `float`.
const WHOLE: &str = "plain";
const FLOAT: &str = "plain-float";

/// The stages, for this command and for `ci`.
pub(crate) fn stages(runner: &mut Runner) -> Result {
    runner.part("images of boards", 180);
    let plain = TARGETS.iter().map(|target| (PLAIN.to_string(), target.to_string()));
    for (package, target) in plain.chain(boards()?) {
        runner.run(generate::from(build(&package, &target, "")?, WHOLE))?;
        check_image(&package, &target, Numbers::Whole)?;
    }
    for target in FLOATING {
        runner.run(generate::from(build(PLAIN, target, " --features float")?, FLOAT))?;
        check_image(PLAIN, target, Numbers::Floating)?;
    }
    // The check can fail: the same firmware with all of that in it.
    let target = "thumbv7m-none-eabi";
    runner.run(generate::from(build(PLAIN, target, " --features bad")?, WHOLE))?;
    let message = match elf::check(&image(PLAIN, target), Numbers::Whole) {
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

fn check_image(package: &str, target: &str, numbers: Numbers) -> Result {
    elf::check(&image(package, target), numbers)?;
    println!("{package}, {target}: {}", numbers.rules());
    Ok(())
}

/// The firmware that is built for every target.
const PLAIN: &str = "niello-plain";

/// Package and target of every folder in `targets` that describes a board and says what to build for.
fn boards() -> Result<Vec<(String, String)>> {
    let unread = |e: std::io::Error| format!("cannot read `targets`: {e}");
    let mut boards = vec![];
    for entry in fs::read_dir("targets").map_err(unread)? {
        let entry = entry.map_err(unread)?;
        let Ok(config) = fs::read_to_string(entry.path().join(".cargo/config.toml")) else { continue };
        let target = config.lines().find_map(|line| line.strip_prefix("target = \"")?.strip_suffix('"'));
        let Some(target) = target.filter(|_| entry.path().join("board.toml").is_file()) else { continue };
        boards.push((format!("niello-{}", entry.file_name().to_string_lossy()), target.to_string()));
    }
    boards.sort();
    if boards.is_empty() { Err("no board in `targets`".into()) } else { Ok(boards) }
}

/// Builds the firmware of a package; `features` are arguments for cargo, behind a space.
pub(crate) fn build(package: &str, target: &str, features: &str) -> Result<Stage> {
    let name = format!("{package}, {target}{features}");
    let call = format!("build --release --locked --manifest-path targets/Cargo.toml -p {package}{features}");
    let stage = cross::bare(&name, &call, target);
    let stage = stage.ok_or_else(|| {
        format!(
            "Rust's core library for {target} is not installed; install it with\n\n    cargo xtask setup\n"
        )
    })?;
    Ok(stage.variable("CARGO_TARGET_DIR", &folder(target).to_string_lossy()))
}

/// Where cargo builds for a target: one with a core has a folder of its own, as its programs have the names of the others.
pub(crate) fn folder(target: &str) -> std::path::PathBuf {
    let (_, core) = cross::target_and_core(target);
    core.map_or_else(firmware, |core| firmware().join(core))
}

/// Where [`build`] leaves it.
pub(crate) fn image(package: &str, target: &str) -> std::path::PathBuf {
    folder(target).join(cross::target_and_core(target).0).join("release").join(package)
}
