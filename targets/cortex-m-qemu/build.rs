//! Hands the linker its scripts: the memory map lies beside the generated models, in the folder that `NIELLO_GENERATED` names.

use std::{env, process::exit};

fn main() {
    println!("cargo::rerun-if-env-changed=NIELLO_GENERATED");
    let Ok(folder) = env::var("NIELLO_GENERATED") else {
        eprintln!(
            "error: NIELLO_GENERATED names no folder of generated models; `cargo xtask generate` writes them"
        );
        exit(1)
    };
    println!("cargo::rerun-if-changed={folder}/memory.x");
    println!("cargo::rustc-link-search={folder}");
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
}
