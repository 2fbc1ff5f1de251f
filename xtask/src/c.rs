//! `cargo xtask c`: a model as a library for C, called from C: on an emulated Cortex-M4, on this machine, on an emulated
//! Cortex-A53. Each layer is as the golden file has it, and each misuse gets the code that the header promises.

use crate::{
    Result,
    cortex_m::{log, qemu},
    cross, elf,
    folders::{built, root},
    generate,
    stage::{Runner, Stage},
    tools,
};
use std::{fs, path::Path, time::Instant};

const RECIPE: &str = "tests/bits/anam_net_narrow.toml";
const GOLDEN: &str = "tests/bits/anam_net_narrow.tflite-double.golden";
/// Crates, in `target/c`: each packed for where it runs.
const CRATES: [(&str, &str); 3] = [(FIRMWARE, "cortex-m-dsp"), (HOST, "host"), (AARCH64, "aarch64-neon")];
const FIRMWARE: &str = "cortex-m";
const HOST: &str = "host";
const AARCH64: &str = "aarch64";

const FIRMWARE_TARGET: &str = "thumbv7em-none-eabihf";
const MACHINE: &str = "mps2-an386";
const CORE: &str = "cortex-a53";
/// Bytes of stack that the firmware may use, printing included.
const STACK: usize = 4096;

/// The header in every language that it is for.
const LANGUAGES: &[(&str, &str, &str)] =
    &[("cc", "c", "c99"), ("cc", "c", "c11"), ("c++", "c++", "c++11"), ("c++", "c++", "c++17")];

pub(crate) fn run() -> Result {
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
    let out = built(&format!("c/{folder}"));
    let call = format!("compile --c-api --recipe {RECIPE} --target {packing} --out");
    let runtime = format!("{{ path = {:?} }}", root().join("runtime"));
    let rest = [&out, "--runtime", &runtime];
    let arguments: Vec<String> = call.split(' ').chain(rest).map(Into::into).collect();
    runner.run(Stage::new(format!("C: crate, {packing}"), &built("debug/niello")).arguments(&arguments))?;
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
        let header = built(&format!("c/{FIRMWARE}/include/anam_net.h"));
        let standard = format!("-std={standard}");
        let warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"];
        let rest = ["-x", language, &standard, &header];
        let arguments: Vec<String> = warnings.into_iter().chain(rest).map(Into::into).collect();
        runner.run(Stage::new(name, compiler).arguments(&arguments))?;
    }
    Ok(())
}

/// cargo's call for a static library.
fn library(features: &str) -> String {
    format!("rustc --release --lib --crate-type staticlib --features {features}")
}

/// Builds a crate's library, and with it the C code of a folder of `targets`, into `out`.
fn build(
    runner: &mut Runner,
    library: Stage,
    model: &str,
    target: &str,
    make: [&str; 3],
    more: &[&str],
) -> Result {
    let [name, folder, out] = make;
    let model = built(&format!("c/{model}"));
    let library = library.arguments(&["--manifest-path".into(), format!("{model}/Cargo.toml")]);
    runner.run(library.variable("CARGO_TARGET_DIR", &built("c/build")))?;
    let variables = [
        format!("MODEL={model}"),
        format!("LIBRARY={}", built(&format!("c/build/{target}release/libanam_net.a"))),
        format!("BUILD={}", built(&format!("c/{out}"))),
    ];
    let words = ["--no-print-directory", "-C", folder].into_iter().chain(more.iter().copied());
    let arguments: Vec<String> = words.map(Into::into).chain(variables).collect();
    runner.run(Stage::new(name, "make").arguments(&arguments))
}

fn firmware(runner: &mut Runner) -> Result {
    let stage = cross::bare("C: library, Cortex-M4", &library("panic-handler"), FIRMWARE_TARGET);
    let stage = stage.ok_or_else(|| missing(&format!("Rust's core library for {FIRMWARE_TARGET}")))?;
    let target = format!("{FIRMWARE_TARGET}/");
    build(runner, stage, FIRMWARE, &target, ["C: firmware", "targets/c-firmware", "firmware"], &[])?;
    let start = Instant::now();
    let output = qemu::bytes(MACHINE, Path::new(&built("c/firmware/check.elf")))?;
    let text = String::from_utf8_lossy(&output.bytes);
    check_output(runner, "C: Cortex-M4", &text, start)?;
    let stack: usize = log::value(&text, "stack").and_then(|bytes| bytes.parse().ok()).unwrap_or(usize::MAX);
    if stack > STACK {
        return Err(format!("C: Cortex-M4: {stack} bytes of stack, more than the bound of {STACK}"));
    }
    if !output.ok {
        return Err("C: Cortex-M4: the firmware ended with an error".into());
    }
    elf::check(Path::new(&built("c/firmware/plain.elf")), elf::Numbers::Whole)?;
    println!("plain.elf: {}", elf::Numbers::Whole.rules());
    Ok(())
}

/// This machine's instruction sets are found at run time, which takes Rust's standard library.
fn host(runner: &mut Runner) -> Result {
    let stage = Stage::cargo("C: library, host", &library("c-api,std"));
    build(runner, stage, HOST, "", ["C: program, host", "targets/c-linux", "linux"], &[])?;
    let start = Instant::now();
    let text = Stage::new("C: host", &built("c/linux/check")).output()?;
    check_output(runner, "C: host", &text, start)
}

fn emulated(runner: &mut Runner) -> Result {
    let stage = cross::aarch64("C: library, aarch64", &library("panic-handler"), CORE)?;
    let (target, make) =
        (format!("{}/", cross::AARCH64_LINUX), ["C: program, aarch64", "targets/c-linux", "linux-aarch64"]);
    build(runner, stage, AARCH64, &target, make, &["CC=aarch64-linux-gnu-gcc"])?;
    let start = Instant::now();
    let text = cross::emulated("C: Cortex-A53", CORE, &built("c/linux-aarch64/check"), &[]).output()?;
    check_output(runner, "C: Cortex-A53", &text, start)
}

/// Checks the output of a program: each layer as recorded, and its own checks passed.
fn check_output(runner: &mut Runner, name: &str, text: &str, start: Instant) -> Result {
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
