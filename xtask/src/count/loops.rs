//! The innermost loops that a program spends its instructions in, with `llvm-mca`'s estimate of their cycles.
//!
//! The plugin writes how often each instruction was executed; a loop is a run of instructions that ends with a branch back to its
//! start and has no other branch. `llvm-mca` knows how a core issues and retires instructions, and nothing of its caches:
//! an estimate is what the loop takes when all data is in the first level.

use super::listing::{Function, Loop, functions};
use crate::{Result, tools};
use std::{
    collections::HashMap,
    io::Write as _,
    process::{Command, Stdio},
};

/// How `llvm-mca` and `llvm-objdump` call a core.
#[derive(Clone, Copy)]
pub(super) struct Model {
    triple: &'static str,
    cpu: &'static str,
}

/// The models of cores that have one. LLVM has none of the A76 itself but one of Neoverse N1, the same design for servers, and
/// uses that of the M4 for the M3 and the M33.
const MODELS: &[(&str, Model)] = &[
    ("aarch64-cortex-a53", Model { triple: "aarch64", cpu: "cortex-a53" }),
    ("aarch64-cortex-a72", Model { triple: "aarch64", cpu: "cortex-a72" }),
    ("aarch64-cortex-a76", Model { triple: "aarch64", cpu: "neoverse-n1" }),
    ("cortex-m3", Model { triple: "thumbv7m", cpu: "cortex-m3" }),
    ("cortex-m4", Model { triple: "thumbv7em", cpu: "cortex-m4" }),
    ("cortex-m7", Model { triple: "thumbv7em", cpu: "cortex-m7" }),
    ("cortex-m33", Model { triple: "thumbv8m.main", cpu: "cortex-m33" }),
    ("cortex-m55", Model { triple: "thumbv8.1m.main", cpu: "cortex-m55" }),
];

/// Loops that take less than this part of all instructions are not shown.
const SHOWN: f64 = 0.01;

/// Versions of LLVM to look for. Older ones have no model of Neoverse N1.
const VERSIONS: std::ops::RangeInclusive<u32> = 16..=22;

const ITERATIONS: u64 = 1000;

/// The core's model.
///
/// # Errors
/// There is none.
pub(super) fn model(target: &str) -> Result<Model> {
    let model = MODELS.iter().find(|(name, _)| *name == target).map(|(_, model)| *model);
    model.ok_or_else(|| {
        let names: Vec<&str> = MODELS.iter().map(|(name, _)| *name).collect();
        format!("llvm-mca has no model of {target}; it has: {}", names.join(", "))
    })
}

/// A table of the loops of an ELF file, from a profile of count.c; `base` is where the program was loaded.
///
/// # Errors
/// LLVM's tools are not installed, or do not understand the program.
pub(super) fn table(model: Model, elf: &str, profile: &str, base: u64) -> Result<String> {
    let tools = VERSIONS.rev().map(|version| ["mca", "objdump"].map(|tool| format!("llvm-{tool}-{version}")));
    let tools = tools.into_iter().find(|tools| tools.iter().all(|tool| tools::runs(tool, &["--version"])));
    let [mca, objdump] =
        tools.ok_or("llvm-mca is not installed; install it with\n\n    cargo xtask setup --profilers\n")?;
    let mut times: HashMap<u64, u64> = HashMap::new();
    for line in profile.lines() {
        let (address, n) = line.split_once(' ').ok_or_else(|| format!("no profile: `{line}`"))?;
        let number = |digits, radix| u64::from_str_radix(digits, radix).map_err(|e| format!("`{line}`: {e}"));
        *times.entry(number(address, 16)?.wrapping_sub(base)).or_default() += number(n, 10)?;
    }
    let all: u64 = times.values().sum();
    let listing = output(
        Command::new(objdump)
            .args(["-d", "--no-show-raw-insn", "--demangle", "--triple", model.triple])
            .arg(elf),
        "",
    )?;
    let functions = functions(&listing, &times);
    let mut loops: Vec<Loop<'_>> = functions.iter().flat_map(Function::loops).collect();
    loops.retain(|l| l.executed() as f64 >= SHOWN * all as f64);
    loops.sort_by_key(|l| std::cmp::Reverse(l.executed()));
    let mut text = format!("  {:>6}{:>14}{:>10}{:>8}  loop\n", "share", "instructions", "products", "cycles");
    for l in &loops {
        let arguments = [
            format!("--mtriple={}", model.triple),
            format!("--mcpu={}", model.cpu),
            format!("--iterations={ITERATIONS}"),
        ];
        let report = output(Command::new(&mca).args(arguments), &l.assembly())?;
        let cycles = report.lines().find_map(|line| line.strip_prefix("Total Cycles:"));
        let cycles: u64 = cycles
            .and_then(|n| n.trim().parse().ok())
            .ok_or_else(|| format!("llvm-mca does not understand\n{}", l.assembly()))?;
        let (instructions, place) = l.place();
        text += &format!(
            "  {:>4.1} %{instructions:>14}{:>10}{:>8.1}  {place}\n",
            100.0 * l.executed() as f64 / all as f64,
            l.products(),
            cycles as f64 / ITERATIONS as f64,
        );
    }
    Ok(text)
}

/// The output of a command.
fn output(command: &mut Command, input: &str) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let of_command = |e: std::io::Error| format!("{name}: {e}");
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(of_command)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(of_command)?;
    }
    let output = child.wait_with_output().map_err(of_command)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}
