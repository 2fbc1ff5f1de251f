//! Hands the linker its scripts. The generated model comes from the folder in `NIELLO_GENERATED`, which `cargo xtask generate` writes.

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
    println!("cargo::rerun-if-changed=memory.x");
    fs::copy("memory.x", out.join("memory.x"))?;
    println!("cargo::rustc-link-search={}", out.display());
    // The format strings go into a section of their own, which is not loaded.
    for argument in ["-Tlink.x", "-Tdefmt.x", "--nmagic"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    Ok(())
}
