//! Tools that may be installed.

use crate::folders::target;
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Whether a command can be run and exits with success; it prints nothing.
pub(crate) fn runs(program: &str, arguments: &[&str]) -> bool {
    let quiet = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// The lines that a command prints; none if it cannot be run.
fn lines(program: &str, arguments: &[&str]) -> Vec<String> {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    text.lines().map(Into::into).collect()
}

/// Whether `cargo nextest` can be run.
pub(crate) fn has_nextest() -> bool {
    runs("cargo", &["nextest", "--version"])
}

/// Whether a nightly toolchain has Miri and the library source that it needs.
pub(crate) fn has_miri() -> bool {
    runs("cargo", &["+nightly", "miri", "--version"]) && nightly_has("rust-src")
}

/// Whether the nightly toolchain has a component.
pub(crate) fn nightly_has(component: &str) -> bool {
    let installed = lines("rustup", &["component", "list", "--toolchain", "nightly", "--installed"]);
    installed.iter().any(|line| line.starts_with(component))
}

/// Whether rustup installed the standard library of a target for the toolchain in use.
pub(crate) fn has_target(target: &str) -> bool {
    lines("rustup", &["target", "list", "--installed"]).iter().any(|line| line == target)
}

/// The installed toolchain of a release: `1.90.0-x86_64-unknown-linux-gnu` for `1.90`.
pub(crate) fn toolchain(release: &str) -> Option<String> {
    let installed = lines("rustup", &["toolchain", "list"])
        .into_iter()
        .filter_map(|l| Some(l.split(' ').next()?.to_string()));
    installed.into_iter().find(|name| {
        name.strip_prefix(release).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
    })
}

/// Debian's compiler, where its package of the library source is installed too: it builds `core` for any target.
pub(crate) fn debian_rustc() -> Option<&'static str> {
    const RUSTC: &str = "/usr/bin/rustc";
    let root = lines(RUSTC, &["--print", "sysroot"]).into_iter().next()?;
    let source = Path::new(&root).join("lib/rustlib/src/rust/library/core");
    source.is_dir().then_some(RUSTC)
}

/// Whether a Debian package is installed.
pub(crate) fn has_package(package: &str) -> bool {
    lines("dpkg-query", &["-W", "-f=${db:Status-Abbrev}\n", package])
        .iter()
        .any(|line| line.starts_with("ii"))
}

/// Where `cargo xtask setup` puts programs that it builds.
pub(crate) fn own() -> PathBuf {
    target().join("tools")
}

/// The decoder of defmt's frames: the one that `setup` built, else one in the path.
pub(crate) fn defmt_print() -> Option<String> {
    let own = own().join("bin/defmt-print").to_string_lossy().into_owned();
    [own, "defmt-print".into()].into_iter().find(|program| runs(program, &["--version"]))
}

/// The number of the user that this runs as.
pub(crate) fn user() -> Option<u32> {
    lines("id", &["-u"]).first()?.parse().ok()
}
