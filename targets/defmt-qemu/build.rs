//! Turns a recipe of `tests/bits` into static Rust and hands the linker its scripts.

use std::{env, error::Error, fs, path::PathBuf};

/// Recorded layer by layer in the golden file beside it.
const RECIPE: &str = "../../tests/bits/anam_net_tiny.toml";

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    println!("cargo::rerun-if-changed=memory.x");
    println!("cargo::rerun-if-changed={RECIPE}");
    fs::copy("memory.x", out.join("memory.x"))?;
    println!("cargo::rustc-link-search={}", out.display());
    // The format strings go into a section of their own, which is not loaded.
    for argument in ["-Tlink.x", "-Tdefmt.x", "--nmagic"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    let recipe = niello_codegen::recipe::Recipe::from_file(RECIPE)?;
    niello_codegen::Config::new(&niello_models::Registry)
        .file_name("model")
        .layer_checks(true)
        .compile_recipe(&recipe, "model")?;
    Ok(())
}
