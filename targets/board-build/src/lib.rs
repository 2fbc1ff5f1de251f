//! The common part of the build scripts of boards.

use niello_codegen::{Config, Error, Result, board::Board, recipe::Recipe};
use std::{env, fs, path::PathBuf};

/// `model.toml` to static Rust, checked against `board.toml`, which also becomes `memory.x`; more linker script, if the board
/// has any, from `extra.x`. Prints the lines for cargo; ends the build with the error if there is one.
pub fn run() {
    if let Err(error) = build() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn build() -> Result<()> {
    let out = env::var_os("OUT_DIR").map(PathBuf::from);
    let out =
        out.ok_or_else(|| Error::Invalid("OUT_DIR is not set: this belongs into a build script".into()))?;
    for file in ["board.toml", "model.toml", "extra.x"] {
        println!("cargo::rerun-if-changed={file}");
    }
    let mut memory = Board::from_file("board.toml")?.memory_x()?;
    if let Ok(extra) = fs::read_to_string("extra.x") {
        memory += &extra;
    }
    let path = out.join("memory.x");
    fs::write(&path, memory).map_err(Error::io("cannot write", path))?;
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
    if env::var_os("CARGO_FEATURE_DEFMT").is_some() {
        println!("cargo::rustc-link-arg-bins=-Tdefmt.x");
    }
    let mut recipe = Recipe::from_file("model.toml")?;
    recipe.target.board = Some("board.toml".into());
    Config::new(&niello_models::Registry).file_name("model").compile_recipe(&recipe, "model")?;
    Ok(())
}
