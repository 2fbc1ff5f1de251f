//! `cargo xtask release --dry-run`: what must hold before the crates are published. `docs/releasing.md` has the steps that follow.

use crate::{
    Result, ci,
    folders::root,
    package::{self, CRATES},
    stage::{Runner, Stage},
    tools,
};
use std::{fs, time::Instant};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The oldest compiler: `1.90`.
const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");

/// One that takes no time.
type Check = fn() -> Result;

pub(crate) fn run() -> Result {
    let mut runner = Runner::new("release");
    let mut failed = vec![];
    // All of them, so that one call shows everything that is missing.
    for (name, check) in [
        ("no uncommitted changes", clean as Check),
        ("one version everywhere", versions),
        ("changelog", changelog),
    ] {
        let start = Instant::now();
        match check() {
            Ok(()) => runner.note(name.into(), start.elapsed()),
            Err(why) => failed.push(format!("{name}: {why}")),
        }
    }
    let packages = |runner: &mut Runner| package::stages(runner, true);
    let stages: [fn(&mut Runner) -> Result; 4] = [packages, ci::documentation, oldest_compiler, compatible];
    failed.extend(stages.into_iter().filter_map(|stage| stage(&mut runner).err()));
    if failed.is_empty() {
        runner.finish()
    } else {
        Err(format!("not ready for {VERSION}:\n\n{}", failed.join("\n")))
    }
}

fn clean() -> Result {
    let changes = Stage::new("git", "git").arguments(&["status".into(), "--porcelain".into()]).output()?;
    if changes.is_empty() { Ok(()) } else { Err(format!("commit or remove\n{changes}")) }
}

/// Each dependency on a crate of the workspace asks for the workspace's version.
fn versions() -> Result {
    let expected = format!("version = \"{VERSION}\"");
    for file in ["Cargo.toml", "codegen/Cargo.toml"] {
        let other = |line: &&str| {
            line.contains("path = \"") && line.starts_with("niello") && !line.contains(&expected)
        };
        if let Some(line) = read(file)?.lines().find(other) {
            return Err(format!("{file}: `{line}`, expected `{expected}`"));
        }
    }
    Ok(())
}

fn changelog() -> Result {
    let heading = format!("## [{VERSION}] - ");
    if read("CHANGELOG.md")?.lines().any(|line| line.starts_with(&heading)) {
        return Ok(());
    }
    Err(format!("CHANGELOG.md has no `{heading}YYYY-MM-DD`"))
}

fn read(file: &str) -> Result<String> {
    fs::read_to_string(root().join(file)).map_err(|e| format!("cannot read {file}: {e}"))
}

/// With the compiler that `rust-version` promises.
fn oldest_compiler(runner: &mut Runner) -> Result {
    runner.part("oldest compiler", 300);
    let Some(toolchain) = tools::toolchain(OLDEST) else {
        return runner.leave_out(format!(
            "Rust {OLDEST} (to have it: rustup toolchain install {OLDEST} --profile minimal)"
        ));
    };
    // The codec of JPEG 2000 needs a later one, and the command line has it.
    let (codecs, libraries): (Vec<&str>, Vec<&str>) =
        CRATES.iter().partition(|name| matches!(**name, "niello-cli" | "niello-imaging"));
    debug_assert_eq!(codecs.len(), 2, "{codecs:?}");
    let call = format!("+{toolchain} check --all-features -p {}", libraries.join(" -p "));
    runner.run(Stage::cargo(format!("oldest compiler, {OLDEST}"), &call))?;
    let call = format!("+{toolchain} check -p niello-imaging --features scans");
    runner.run(Stage::cargo(format!("oldest compiler of images, {OLDEST}"), &call))
}

/// No change that breaks users, unless the version says so.
fn compatible(runner: &mut Runner) -> Result {
    runner.part("compatibility", 600);
    let tags = Stage::new("git", "git")
        .arguments(&["tag", "--list", "v*", "--sort=-version:refname"].map(Into::into));
    let tags = tags.output()?;
    let Some(last) = tags.lines().find(|tag| tag[1..] != *VERSION) else {
        runner.mention("compatibility: there is no earlier release");
        return Ok(());
    };
    if !tools::runs("cargo", &["semver-checks", "--version"]) {
        return runner.leave_out("compatibility (to have it: cargo install cargo-semver-checks --locked)");
    }
    let libraries =
        CRATES.iter().filter(|name| **name != "niello-cli").copied().collect::<Vec<_>>().join(" -p ");
    runner.run(Stage::cargo("compatibility", &format!("semver-checks --baseline-rev {last} -p {libraries}")))
}
