//! Turns a recipe in this folder into static Rust and hands the linker the memory map.

use std::{env, error::Error, fs, path::PathBuf};

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let float = env::var_os("CARGO_FEATURE_FLOAT").is_some();
    let (recipe, memory) = if float { ("float.toml", "float.x") } else { ("model.toml", "memory.x") };
    println!("cargo::rerun-if-changed={recipe}");
    println!("cargo::rerun-if-changed={memory}");
    fs::copy(memory, out.join("memory.x"))?;
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
    let recipe = niello_codegen::recipe::Recipe::from_file(recipe)?;
    niello_codegen::Config::new(&niello_models::Registry)
        .file_name("model")
        .compile_recipe(&recipe, "model")?;
    Ok(())
}
