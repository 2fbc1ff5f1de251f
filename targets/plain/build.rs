//! Hands the linker the memory map. Generated models come from the folder in `NIELLO_GENERATED`, which `cargo xtask generate` writes from
//! the recipes in this folder.

use std::{env, fs, path::PathBuf, process::exit};

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-env-changed=NIELLO_GENERATED");
    if env::var_os("NIELLO_GENERATED").is_none() {
        eprintln!(
            "error: NIELLO_GENERATED names no folder of generated models; `cargo xtask generate` writes them"
        );
        exit(1)
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let float = env::var_os("CARGO_FEATURE_FLOAT").is_some();
    let memory = if float { "float.x" } else { "memory.x" };
    println!("cargo::rerun-if-changed={memory}");
    fs::copy(memory, out.join("memory.x"))?;
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
    Ok(())
}
