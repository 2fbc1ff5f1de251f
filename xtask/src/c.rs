//! `cargo xtask c`: a model as a library for C, called from C: on an emulated Cortex-M4, on this machine, on an emulated
//! Cortex-A53. Each layer is as the golden file has it, and each misuse gets the code that the header promises.

use crate::{
    Command, Result,
    cortex_m::{log, qemu},
    cross, elf, generate, no_arguments,
    stage::{Runner, Stage},
    tools,
};
use std::{fs, path::Path, time::Instant};

pub(crate) const COMMAND: Command = Command {
    name: "c",
    arguments: "",
    summary: "call a model from C: firmware on an emulated Cortex-M4, Linux here and on Cortex-A53",
    run,
};

const RECIPE: &str = "tests/bits/anam_net_narrow.toml";
const GOLDEN: &str = "tests/bits/anam_net_narrow.tflite-double.golden";
/// Crates, in `target/c`, where the Makefiles look for them: each packed for where it runs.
const CRATES: [(&str, &str); 3] = [(FIRMWARE, "cortex-m-dsp"), (HOST, "host"), (AARCH64, "aarch64-neon")];
const FIRMWARE: &str = "cortex-m";
const HOST: &str = "host";
const AARCH64: &str = "aarch64";
const BUILD: &str = "target/c/build";
/// The command line.
const PROGRAM: &str = "target/debug/niello";

const FIRMWARE_TARGET: &str = "thumbv7em-none-eabihf";
const MACHINE: &str = "mps2-an386";
const CORE: &str = "cortex-a53";
/// Bytes of stack that the firmware may use, printing included.
const STACK: usize = 4096;

/// The header in every language that it is for.
const LANGUAGES: &[(&str, &str, &str)] =
    &[("cc", "c", "c99"), ("cc", "c", "c11"), ("c++", "c++", "c++11"), ("c++", "c++", "c++17")];

fn run(arguments: &[String]) -> Result {
    no_arguments(arguments)?;
    let mut runner = Runner::new("c");
    generate::build(&mut runner)?;
    stages(&mut runner)?;
    runner.finish()
}

/// The stages, for this command and for `ci`: with the command line that [`generate::build`] builds.
pub(crate) fn stages(runner: &mut Runner) -> Result {
    runner.part("C", 90);
    qemu::check_tools()?;
    for tool in ["make", "cc", "arm-none-eabi-gcc"] {
        if !tools::runs(tool, &["--version"]) {
            return Err(missing(tool));
        }
    }
    for (folder, packing) in CRATES {
        model(runner, folder, packing)?;
    }
    header(runner)?;
    firmware(runner)?;
    host(runner)?;
    emulated(runner)
}

/// A crate, by the command line.
fn model(runner: &mut Runner, folder: &str, packing: &str) -> Result {
    let out = format!("target/c/{folder}");
    let call = format!("compile --c-api --recipe {RECIPE} --target {packing} --out {out} --runtime");
    let runtime = "{ path = \"../../../runtime\" }";
    let arguments: Vec<String> = call.split(' ').chain([runtime]).map(Into::into).collect();
    runner.run(Stage::new(format!("C: crate, {packing}"), PROGRAM).arguments(&arguments))?;
    // The versions that everything else is built with.
    let lock = Path::new(&out).join("Cargo.lock");
    fs::copy("Cargo.lock", &lock).map_err(|e| format!("cannot write {}: {e}", lock.display()))?;
    Ok(())
}

/// The header alone, without a warning, in C and in C++.
fn header(runner: &mut Runner) -> Result {
    for (compiler, language, standard) in LANGUAGES {
        let name = format!("C: header, {standard}");
        if !tools::runs(compiler, &["--version"]) {
            runner.leave_out(format!("{name}: no `{compiler}` (to have it: apt-get install g++)"))?;
            continue;
        }
        let header = format!("target/c/{FIRMWARE}/include/anam_net.h");
        let standard = format!("-std={standard}");
        let warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"];
        let rest = ["-x", language, &standard, &header];
        let arguments: Vec<String> = warnings.into_iter().chain(rest).map(Into::into).collect();
        runner.run(Stage::new(name, compiler).arguments(&arguments))?;
    }
    Ok(())
}

/// cargo's call for a static library.
fn library(folder: &str, features: &str) -> String {
    let manifest = format!("target/c/{folder}/Cargo.toml");
    format!("rustc --release --lib --crate-type staticlib --features {features} --manifest-path {manifest}")
}

fn firmware(runner: &mut Runner) -> Result {
    let stage = cross::bare("C: library, Cortex-M4", &library(FIRMWARE, "panic-handler"), FIRMWARE_TARGET);
    let stage = stage.ok_or_else(|| missing(&format!("Rust's core library for {FIRMWARE_TARGET}")))?;
    runner.run(stage.variable("CARGO_TARGET_DIR", BUILD))?;
    runner.run(make("C: firmware", "targets/c-firmware", &[]))?;
    let start = Instant::now();
    let output = qemu::bytes(MACHINE, Path::new("target/c/firmware/check.elf"))?;
    let text = String::from_utf8_lossy(&output.bytes);
    judge(runner, "C: Cortex-M4", &text, start)?;
    let stack: usize = log::value(&text, "stack").and_then(|bytes| bytes.parse().ok()).unwrap_or(usize::MAX);
    if stack > STACK {
        return Err(format!("C: Cortex-M4: {stack} bytes of stack, more than the bound of {STACK}"));
    }
    if !output.ok {
        return Err("C: Cortex-M4: the firmware ended with an error".into());
    }
    elf::check(Path::new("target/c/firmware/plain.elf"), elf::Numbers::Whole)?;
    println!("plain.elf: {}", elf::Numbers::Whole.rules());
    Ok(())
}

/// This machine's instruction sets are found at run time, which takes Rust's standard library.
fn host(runner: &mut Runner) -> Result {
    let stage = Stage::cargo("C: library, host", &library(HOST, "c-api,std"));
    runner.run(stage.variable("CARGO_TARGET_DIR", BUILD))?;
    runner.run(make("C: program, host", "targets/c-linux", &[]))?;
    let start = Instant::now();
    let text = Stage::new("C: host", "target/c/linux/check").output()?;
    judge(runner, "C: host", &text, start)
}

fn emulated(runner: &mut Runner) -> Result {
    let stage = cross::aarch64("C: library, aarch64", &library(AARCH64, "panic-handler"), CORE)?;
    runner.run(stage.variable("CARGO_TARGET_DIR", BUILD))?;
    let library = format!("LIBRARY=../../{BUILD}/{}/release/libanam_net.a", cross::AARCH64_LINUX);
    let model = format!("MODEL=../../target/c/{AARCH64}");
    let variables = ["CC=aarch64-linux-gnu-gcc", "BUILD=../../target/c/linux-aarch64", &model, &library];
    runner.run(make("C: program, aarch64", "targets/c-linux", &variables))?;
    let start = Instant::now();
    let text = cross::emulated("C: Cortex-A53", CORE, "target/c/linux-aarch64/check", &[]).output()?;
    judge(runner, "C: Cortex-A53", &text, start)
}

/// A folder's Makefile, with its variables.
fn make(name: &str, folder: &str, variables: &[&str]) -> Stage {
    let arguments = ["--no-print-directory", "-C", folder].into_iter().chain(variables.iter().copied());
    Stage::new(name, "make").arguments(&arguments.map(|a| a.to_string()).collect::<Vec<_>>())
}

/// What a program printed: each layer as recorded, and its own checks passed.
fn judge(runner: &mut Runner, name: &str, text: &str, start: Instant) -> Result {
    let golden = fs::read_to_string(GOLDEN).map_err(|e| format!("cannot read {GOLDEN}: {e}"))?;
    let layers = log::compare(&golden, text).map_err(|difference| format!("{name}: {difference}"))?;
    let failed: Vec<&str> = text.lines().filter(|line| line.starts_with("failed: ")).collect();
    if !failed.is_empty() {
        return Err(format!("{name}:\n  {}", failed.join("\n  ")));
    }
    if !text.lines().any(|line| line == "checks ok") {
        return Err(format!("{name}: no end; last printed: {}", text.lines().last().unwrap_or("nothing")));
    }
    let misuse = text.lines().filter(|line| line.starts_with("misuse ")).count();
    runner.note(format!("{name}: {layers} layers equal, {misuse} misuses told"), start.elapsed());
    Ok(())
}

fn missing(tool: &str) -> String {
    format!("{tool} is not installed; install it with\n\n    cargo xtask setup\n")
}
