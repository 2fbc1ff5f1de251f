//! `cargo xtask setup`: installs what cross-building and emulation need, and nothing that is there already.
//!
//! Standard libraries for other targets come from rustup where it can reach its servers, else from Debian: its packages
//! hold a compiler, `/usr/bin/rustc`, with the library for aarch64 Linux and the source of `core` for everything else.
//! Linkers and QEMU are Debian's. [`crate::cross`] finds what was installed. `defmt-print`, which decodes what firmware logs, is
//! built from source. `--profilers` adds what `cargo xtask count` needs for this machine and for `--loops`.

use crate::{Result, cross, tools};
use std::{
    process,
    thread::sleep,
    time::{Duration, Instant},
};

/// Debian's compiler for other targets, for where rustup has none.
const COMPILER: &[&str] =
    &["rustc-web", "rust-web-llvm", "libstd-rust-web-dev", "libstd-rust-web-dev:arm64", "rust-web-src"];
/// Compilers for this machine, linkers and C libraries.
const CROSS: &[&str] = &[
    "gcc",
    "g++",
    "gcc-aarch64-linux-gnu",
    "libc6-dev-arm64-cross",
    "gcc-arm-none-eabi",
    "binutils-arm-none-eabi",
    "libnewlib-arm-none-eabi",
    "lld",
    "make",
];
/// The emulators.
const EMULATORS: &[&str] = &["qemu-user", "qemu-system-arm"];
/// Callgrind counts on this machine, `llvm-mca` estimates cycles. No check needs them.
const PROFILERS: &[&str] = &["valgrind", "llvm-19"];

/// The release of `defmt-print` that is built: it must know the version of the protocol that firmware uses.
const DEFMT_PRINT: &str = "1.2.0";

/// How long rustup may take for one target before its servers count as out of reach.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Also valgrind and llvm-mca, for `cargo xtask count`
    #[arg(long)]
    profilers: bool,
}

pub(crate) fn run(options: &Options) -> Result {
    let mut packages = [CROSS, EMULATORS].concat();
    if options.profilers {
        packages.extend(PROFILERS);
    }
    if !rustup_has_all() {
        packages.extend(COMPILER);
    }
    let missing: Vec<&str> = packages.into_iter().filter(|p| !tools::has_package(p)).collect();
    if !missing.is_empty() {
        install(&missing)?;
    }
    let mut installed = missing;
    if tools::defmt_print().is_none() {
        install_defmt_print()?;
        installed.push("defmt-print");
    }
    if installed.is_empty() {
        println!("setup: everything is there");
    } else {
        println!("\nsetup: installed {}", installed.join(" "));
    }
    Ok(())
}

/// Whether rustup has every target, after asking it for those that are missing. It is not asked again once Debian's
/// compiler is installed.
fn rustup_has_all() -> bool {
    let missing: Vec<&str> = cross::TARGETS.iter().copied().filter(|t| !tools::has_target(t)).collect();
    if missing.is_empty() {
        return true;
    }
    if COMPILER.iter().all(|p| tools::has_package(p)) {
        return false;
    }
    let reached = missing.iter().all(|target| add_target(target));
    if !reached {
        println!("setup: rustup cannot install targets here; taking Debian's compiler instead");
    }
    reached
}

/// Has rustup install a target, unless that takes too long.
fn add_target(target: &str) -> bool {
    println!("setup: rustup target add {target}");
    let mut command = process::Command::new("rustup");
    // Without this, it would try a server out of reach several times.
    command.args(["target", "add", target]).env("RUSTUP_MAX_RETRIES", "0");
    let Ok(mut child) = command.spawn() else { return false };
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => sleep(Duration::from_millis(100)),
            Err(_) => return false,
        }
    }
    // Either may fail if it has just ended by itself.
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// Another apt may be at work: it is waited for.
const LOCK: [&str; 2] = ["-o", "DPkg::Lock::Timeout=300"];

/// Installs Debian packages.
fn install(packages: &[&str]) -> Result {
    let by_hand = format!(
        "dpkg --add-architecture arm64 && apt-get update\n    apt-get install -y --no-install-recommends {}",
        packages.join(" ")
    );
    if !tools::runs("apt-get", &["--version"]) {
        return Err(format!(
            "this system has no apt-get: install what these Debian packages hold, then run this again\n\n    {}\n",
            packages.join(" ")
        ));
    }
    if tools::user() != Some(0) {
        return Err(format!("packages can only be installed by root; as root, run\n\n    {by_hand}\n"));
    }
    if packages.iter().any(|p| p.ends_with(":arm64")) {
        command("dpkg", &["--add-architecture", "arm64"])?;
    }
    // Mirrors that are being synchronised fail for a while.
    retry("apt-get", &[&LOCK[..], &["update", "-q"]].concat())?;
    retry("apt-get", &[&LOCK[..], &["install", "-y", "-q", "--no-install-recommends"], packages].concat())
}

/// Builds `defmt-print` where [`tools::defmt_print`] looks. Unoptimised, which takes half as long: logs are short.
fn install_defmt_print() -> Result {
    let call = format!(
        "install defmt-print --version {DEFMT_PRINT} --locked --quiet --debug --config profile.dev.debug=false --root"
    );
    let own = tools::own();
    retry("cargo", &call.split(' ').chain([&*own.to_string_lossy()]).collect::<Vec<_>>())
}

/// Runs a command until it succeeds, with longer and longer pauses: servers and connections have hiccups.
fn retry(program: &str, arguments: &[&str]) -> Result {
    const ATTEMPTS: u64 = 5;
    let mut attempt = 1;
    loop {
        match command(program, arguments) {
            Err(error) if attempt < ATTEMPTS => {
                println!("setup: attempt {attempt} of {ATTEMPTS}: {error}");
                sleep(Duration::from_secs(3 * attempt));
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

/// Runs a command that changes the system, after saying so.
fn command(program: &str, arguments: &[&str]) -> Result {
    let line = format!("{program} {}", arguments.join(" "));
    println!("setup: {line}");
    let mut command = process::Command::new(program);
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{line}` failed ({status})")),
        Err(error) => Err(format!("cannot run `{program}`: {error}")),
    }
}
