//! Turns recipes in this folder into static Rust and hands the linker the memory map.

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
    let memory = if float { "float.x" } else { "memory.x" };
    println!("cargo::rerun-if-changed={memory}");
    fs::copy(memory, out.join("memory.x"))?;
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
    if float {
        compile("float.toml", "model")?;
        return compile("winograd.toml", "winograd");
    }
    compile("model.toml", "model")
}

fn compile(recipe: &str, name: &str) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={recipe}");
    let recipe = niello_codegen::recipe::Recipe::from_file(recipe)?;
    niello_codegen::Config::new(&niello_models::Registry).file_name(name).compile_recipe(&recipe, name)?;
    Ok(())
}
