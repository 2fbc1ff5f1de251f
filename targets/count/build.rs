//! Turns a recipe, or the single layers of `kernels.rs`, into a module. The firmware in `../count-cortex-m` uses it too.
//!
//! | variable | says | default |
//! |---|---|---|
//! | `NIELLO_COUNT_RECIPE` | a recipe; `kernels`: single layers | `recipes/squeezenet1_0.toml` |
//! | `NIELLO_COUNT_TARGET` | what weights are packed for, on Linux | what the core reads |
//! | `NIELLO_COUNT_BOARD` | memories and packing of firmware: `../cortex-m-qemu/boards/NAME.toml` | `mps2-an386` |

mod kernels;

use niello_codegen::{
    Config, Error, Result,
    board::Board,
    emit::{EmitOptions, WeightsPath, element, emit, type_name, write_files},
    program::Program,
    recipe::{Recipe, Target},
};
use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<()> {
    println!("cargo::rerun-if-changed=../count/build.rs");
    println!("cargo::rerun-if-changed=../count/kernels.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let target = if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none") {
        firmware(&out)?
    } else {
        Target { name: variable("NIELLO_COUNT_TARGET", "auto"), ..Target::default() }
    };
    // Paths count from the package's folder, where cargo runs build scripts.
    let recipe = variable("NIELLO_COUNT_RECIPE", "../count/recipes/squeezenet1_0.toml");
    let program = if recipe == "kernels" {
        let board = target.board.as_ref().map(Board::from_file).transpose()?;
        let program = kernels::program(board.as_ref().map_or(&target.name, |board| &board.target))?;
        let weights = WeightsPath::OutDir("model.bin".into());
        let generated = emit(&program, &EmitOptions { weights, ..EmitOptions::default() })?;
        write_files(&[
            (out.join("model.bin"), &generated.weights),
            (out.join("model.rs"), generated.source.as_bytes()),
        ])?;
        program
    } else {
        println!("cargo::rerun-if-changed={recipe}");
        let mut recipe = Recipe::from_file(recipe)?;
        let tuning = recipe.target.tuning.take();
        recipe.target = Target { tuning, ..target };
        Config::new(&niello_models::Registry).compile_recipe(&recipe, "model")?.program
    };
    write(&out.join("network.rs"), &network(&program))?;
    // Counts are compared with those of the same compiler only.
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version =
        Command::new(rustc).arg("--version").output().map_err(Error::io("cannot run", "rustc"))?.stdout;
    println!("cargo::rustc-env=NIELLO_COUNT_RUSTC={}", String::from_utf8_lossy(&version).trim());
    Ok(())
}

/// Writes the linker's memory map; weights are packed for the board's core.
fn firmware(out: &Path) -> Result<Target> {
    let board = variable("NIELLO_COUNT_BOARD", "mps2-an386");
    let path = env::current_dir().map_err(Error::io("cannot find", "."))?;
    let path = path.join(format!("../cortex-m-qemu/boards/{board}.toml"));
    println!("cargo::rerun-if-changed={}", path.display());
    write(&out.join("memory.x"), &Board::from_file(&path)?.memory_x()?)?;
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
    Ok(Target { board: Some(path.to_string_lossy().into_owned()), ..Target::default() })
}

/// The model's type, and all that it reads and writes in one struct: networks differ in their number of inputs.
fn network(program: &Program) -> String {
    let names = |base: &str, n: usize| -> Vec<String> {
        (0..n).map(|i| if n == 1 { base.into() } else { format!("{base}{i}") }).collect()
    };
    let (inputs, outputs) = (names("input", program.inputs.len()), names("output", program.outputs.len()));
    let (mut fields, mut zeros, mut fill, mut arguments, mut sum) = Default::default();
    for (name, id) in inputs.iter().chain(&outputs).zip(program.inputs.iter().chain(&program.outputs)) {
        let len = format!("model::{}_LEN", name.to_uppercase());
        let ty = match element(program.tensor(*id).format) {
            "F16" => "niello::F16",
            other => other,
        };
        push(&mut fields, format_args!("    {name}: [{ty}; {len}],\n"));
        push(&mut zeros, format_args!("{name}: [<{ty} as niello::kernels::memory::Element>::ZERO; {len}], "));
    }
    for name in &inputs {
        push(&mut fill, format_args!("        codes.fill(&mut self.{name});\n"));
        push(&mut arguments, format_args!("&self.{name}, "));
    }
    for name in &outputs {
        push(&mut arguments, format_args!("&mut self.{name}, "));
        push(&mut sum, format_args!(" ^ niello::self_test::Checksum::of_codes(&self.{name})"));
    }
    let sum = sum.trim_start_matches(" ^ ");
    let network = type_name(program);
    format!(
        "/// The generated model.
pub(crate) type Network = model::{network};

/// All that it reads and writes.
pub(crate) struct Buffers {{
{fields}}}

impl Buffers {{
    /// Zeros.
    pub(crate) const fn new() -> Self {{
        Self {{ {zeros}}}
    }}

    /// Pseudo-random inputs.
    pub(crate) fn fill(&mut self) {{
        let mut codes = niello::self_test::Codes::new(7);
{fill}    }}

    /// One inference.
    pub(crate) fn infer(
        &mut self,
        arena: &mut niello::Arena<{{ model::ARENA_BYTES }}>,
        observer: &mut impl niello::Observer,
    ) {{
        Network::infer_in(arena, {arguments}observer);
    }}

    /// Of the outputs.
    pub(crate) fn checksum(&self) -> u64 {{
        {sum}
    }}
}}
"
    )
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(more);
}

/// An environment variable; cargo builds again when it changes.
fn variable(name: &str, otherwise: &str) -> String {
    println!("cargo::rerun-if-env-changed={name}");
    env::var(name).unwrap_or_else(|_| otherwise.into())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(Error::io("cannot write", path))
}
