//! The model comes from the folder in `NIELLO_GENERATED`, which `cargo xtask count` writes. The firmware in `../count-cortex-m` uses this
//! script too: its memory map lies there.

use std::{env, process::Command, process::exit};

fn main() {
    println!("cargo::rerun-if-changed=../count/build.rs");
    println!("cargo::rerun-if-env-changed=NIELLO_GENERATED");
    let firmware = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none");
    if !firmware && env::var_os("CARGO_FEATURE_GENERATED").is_none() {
        // Nothing is compiled.
        return;
    }
    let Ok(folder) = env::var("NIELLO_GENERATED") else {
        eprintln!(
            "error: NIELLO_GENERATED names no folder of a generated model; `cargo xtask count` writes it and builds this"
        );
        exit(1)
    };
    if firmware {
        println!("cargo::rerun-if-changed={folder}/memory.x");
        println!("cargo::rustc-link-search={folder}");
        println!("cargo::rustc-link-arg-bins=-Tlink.x");
        println!("cargo::rustc-link-arg-bins=--nmagic");
    }
    // Counts are compared with those of the same compiler only.
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    match Command::new(&rustc).arg("--version").output() {
        Ok(version) => {
            println!(
                "cargo::rustc-env=NIELLO_COUNT_RUSTC={}",
                String::from_utf8_lossy(&version.stdout).trim()
            )
        }
        Err(error) => {
            eprintln!("error: cannot run {}: {error}", rustc.display());
            exit(1)
        }
    }
}
