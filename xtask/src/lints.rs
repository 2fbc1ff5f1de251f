//! Clippy over all packages and all of their targets, as a part of `ci`.
//!
//! `cargo clippy` keeps what it compiles apart from what everything else compiles, also where it has to compile for real: what build
//! scripts call (the kernels, niello-codegen), and then it runs them, which calibrates. In a checkout where nothing has been built yet,
//! clippy's driver is therefore called by `cargo check`, which shares all of that with the tests. Elsewhere that would skip what
//! `cargo check` has found up to date without clippy.

use crate::{
    Result,
    cortex_m::root,
    stage::{Runner, Stage},
};
use std::{
    env,
    ffi::OsString,
    fs,
    path::Path,
    process::{Command, ExitCode},
};

const WHAT: &str = "--workspace --all-targets";

/// Set while this program stands in for the compiler.
const DRIVER: &str = "NIELLO_XTASK_DRIVER";

/// The stages of `ci`.
pub(crate) fn stages(runner: &mut Runner) -> Result {
    runner.run(if nothing_is_built() {
        let this = env::current_exe().map_err(|e| format!("cannot find this program: {e}"))?;
        Stage::cargo("lints", &format!("check {WHAT}"))
            .variable("RUSTC_WRAPPER", &this.to_string_lossy())
            // Arguments, as `cargo clippy` hands them over.
            .variable("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__")
            .variable(DRIVER, "1")
    } else {
        Stage::cargo("lints", &format!("clippy {WHAT} -- -D warnings"))
    })?;
    // A feature that nobody switches off breaks unseen.
    runner.run(Stage::cargo(
        "lints, without features",
        "clippy -p niello-codegen --no-default-features -- -D warnings",
    ))
}

/// Whether cargo has compiled none of the project's packages here but this one.
fn nothing_is_built() -> bool {
    let Ok(units) = fs::read_dir(root().join("target/debug/.fingerprint")) else { return false };
    !units.flatten().any(|unit| unit.file_name().to_string_lossy().starts_with("niello"))
}

/// In place of the compiler, if cargo calls this program as one: clippy for what is only checked and for build scripts, the compiler for
/// the rest.
pub(crate) fn driver() -> Option<ExitCode> {
    env::var_os(DRIVER)?;
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let rustc = Path::new(arguments.first()?);
    let mut command = if is_linted(&arguments, env::var_os("CARGO_PRIMARY_PACKAGE").is_some()) {
        let mut clippy = Command::new(rustc.with_file_name("clippy-driver"));
        clippy.arg(rustc);
        clippy
    } else {
        Command::new(rustc)
    };
    let status = command.args(&arguments[1..]).status();
    Some(match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: cannot run {command:?}: {error}");
            ExitCode::FAILURE
        }
    })
}

/// Whether a call of the compiler is for clippy: it is for one of the packages that were asked for, and nothing runs its result but
/// cargo.
fn is_linted(arguments: &[OsString], primary: bool) -> bool {
    let has = |wanted: &str| arguments.iter().any(|a| a == wanted);
    let links = arguments.iter().any(|a| {
        let emitted = a.to_str().and_then(|a| a.strip_prefix("--emit="));
        emitted.is_some_and(|kinds| kinds.split(',').any(|kind| kind == "link"))
    });
    primary && has("--crate-name") && (!links || has("build_script_build"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clippy_sees_what_is_checked_and_build_scripts() {
        let is_linted = |line: &str, primary| {
            is_linted(&line.split(' ').map(Into::into).collect::<Vec<OsString>>(), primary)
        };
        let checked = "rustc --crate-name niello --emit=dep-info,metadata";
        let linked = "rustc --crate-name niello_codegen --emit=dep-info,metadata,link";
        let script = "rustc --crate-name build_script_build --emit=dep-info,link";
        for (line, linted) in [(checked, true), (linked, false), (script, true), ("rustc -vV", false)] {
            assert_eq!(is_linted(line, true), linted, "{line}");
            assert!(!is_linted(line, false), "{line}");
        }
    }
}
