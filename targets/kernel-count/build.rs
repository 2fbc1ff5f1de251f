//! The memory map of the machine that QEMU has for the target: `mps2-an385`, `-an386` and `-an500`, `mps2-an505`, or
//! `mps3-an547` for the M55.

use std::{env, fs, io, path::PathBuf};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let secure = env::var("TARGET").is_ok_and(|target| target.starts_with("thumbv8m"));
    let vectors =
        env::var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("target-cpu=cortex-m55"));
    let (flash, ram) = if vectors {
        ("0x00000000, LENGTH = 512K", "0x60000000, LENGTH = 16M")
    } else if secure {
        ("0x10000000, LENGTH = 4M", "0x38000000, LENGTH = 4M")
    } else {
        ("0x00000000, LENGTH = 4M", "0x20000000, LENGTH = 4M")
    };
    let memory = format!("MEMORY {{\n  FLASH : ORIGIN = {flash}\n  RAM : ORIGIN = {ram}\n}}\n");
    fs::write(out.join("memory.x"), memory)?;
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
    Ok(())
}
