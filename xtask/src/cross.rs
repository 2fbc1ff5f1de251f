//! Building for other targets, and running the result under QEMU.

use crate::{Result, stage::Stage, tools};
use std::path::Path;

/// Every target that is built for.
pub(crate) const TARGETS: &[&str] = &[
    AARCH64_LINUX,
    "aarch64-unknown-none",
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    "thumbv7em-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabi",
    "thumbv8m.main-none-eabihf",
    "riscv32imc-unknown-none-elf",
    "wasm32-unknown-unknown",
];

/// Linux on the Raspberry Pi, the Jetson, phones.
pub(crate) const AARCH64_LINUX: &str = "aarch64-unknown-linux-gnu";
const AARCH64_LINKER: &str = "aarch64-linux-gnu-gcc";
const AARCH64_EMULATOR: &str = "qemu-aarch64";
/// Where Debian's cross libraries lie: the emulator looks there for the dynamic linker.
const AARCH64_ROOT: &str = "/usr/aarch64-linux-gnu";

/// A target and the core that it is compiled for, where that is not the one that the target is usually compiled for.
pub(crate) const M55: &str = "thumbv8m.main-none-eabihf/cortex-m55";

/// Rust's target, and the core behind it.
pub(crate) fn target_and_core(target: &str) -> (&str, Option<&str>) {
    target.split_once('/').map_or((target, None), |(target, core)| (target, Some(core)))
}

/// `cargo` with `arguments` for a target that has no standard library, by the first compiler that can; `None` if there
/// is none. The target may be one with a core, as [`M55`].
pub(crate) fn bare(name: &str, arguments: &str, target: &str) -> Option<Stage> {
    let (target, core) = target_and_core(target);
    let call = format!("{arguments} --target {target}");
    let from_source = format!("{call} -Zbuild-std=core");
    let variable =
        |what: &str| format!("CARGO_TARGET_{}_{what}", target.to_uppercase().replace(['-', '.'], "_"));
    let stage = if tools::has_target(target) {
        Some(Stage::cargo(name, &call))
    } else if let Some(rustc) = tools::debian_rustc() {
        let stage = Stage::cargo(name, &from_source).variable("RUSTC", rustc);
        // Debian's compiler comes without a linker of its own.
        Some(stage.variable("RUSTC_BOOTSTRAP", "1").variable(&variable("LINKER"), "ld.lld"))
    } else if tools::nightly_has("rust-src") {
        Some(Stage::cargo(name, &format!("+nightly {from_source}")))
    } else {
        None
    }?;
    // On Armv8-M, DSP instructions and vectors are options that have to be asked for.
    Some(if target.starts_with("thumbv8m.main") {
        stage.variable(&variable("RUSTFLAGS"), &format!("-C target-cpu={}", core.unwrap_or("cortex-m33")))
    } else {
        stage
    })
}

/// `cargo` with `arguments` for aarch64 Linux; what it runs is run on an emulated `cpu`, in QEMU's words.
///
/// # Errors
/// A tool that is not installed.
pub(crate) fn aarch64(name: &str, arguments: &str, cpu: &str) -> Result<Stage> {
    for tool in [AARCH64_LINKER, AARCH64_EMULATOR] {
        if !tools::runs(tool, &["--version"]) {
            return Err(missing(tool));
        }
    }
    let stage = Stage::cargo(name, &format!("{arguments} --target {AARCH64_LINUX}"));
    let stage = if tools::has_target(AARCH64_LINUX) {
        stage
    } else if tools::has_package("libstd-rust-web-dev:arm64")
        && let Some(rustc) = tools::debian_rustc()
    {
        stage.variable("RUSTC", rustc)
    } else {
        return Err(missing(&format!("Rust's standard library for {AARCH64_LINUX}")));
    };
    let variable = |what: &str| format!("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_{what}");
    let runner = emulator(cpu).join(" ");
    Ok(stage.variable(&variable("LINKER"), AARCH64_LINKER).variable(&variable("RUNNER"), &runner))
}

fn missing(tool: &str) -> String {
    format!("{tool} is not installed; install it with\n\n    cargo xtask setup\n")
}

/// The command that runs programs for aarch64 Linux on a `cpu`.
fn emulator(cpu: &str) -> [String; 7] {
    // Without the variable, the dynamic linker from there would load the C library of Debian's arm64 packages where they
    // are installed, which may be another build: threads then hang.
    let library_path = format!("LD_LIBRARY_PATH={AARCH64_ROOT}/lib");
    [AARCH64_EMULATOR, "-cpu", cpu, "-L", AARCH64_ROOT, "-E", &library_path].map(Into::into)
}

/// A program of a folder, built for aarch64 Linux, on an emulated `cpu` with a plugin. The program's stack is the same wherever this runs, and
/// so are its instructions: `variables` are the plugin's, and the program does not see them.
pub(crate) fn counted(
    name: &str,
    cpu: &str,
    program: &Path,
    arguments: &[&str],
    variables: &[(&str, String)],
) -> Stage {
    let [emulator, options @ ..] = emulator(cpu);
    let hidden = variables.iter().flat_map(|(name, _)| ["-U".into(), name.to_string()]);
    let file = format!("./{}", program.file_name().unwrap_or_default().to_string_lossy());
    let own = arguments.iter().map(|a| a.to_string());
    let all: Vec<String> = options.into_iter().chain(hidden).chain([file]).chain(own).collect();
    let stage = Stage::new(name, &emulator).arguments(&all).alone(program.parent().unwrap_or(program).into());
    variables.iter().fold(stage, |stage, (name, value)| stage.variable(name, value))
}

/// A program that was built for aarch64 Linux, on an emulated `cpu`.
pub(crate) fn emulated(name: &str, cpu: &str, program: &str, arguments: &[&str]) -> Stage {
    let [emulator, options @ ..] = emulator(cpu);
    let own = arguments.iter().map(|a| a.to_string());
    let all: Vec<String> = options.into_iter().chain([program.to_string()]).chain(own).collect();
    Stage::new(name, &emulator).arguments(&all)
}
