//! The memory map of the machine that QEMU has for the target: `mps2-an385`, `-an386` and `-an500`, or `mps2-an505`.

use std::{env, fs, io, path::PathBuf};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let secure = env::var("TARGET").is_ok_and(|target| target.starts_with("thumbv8m"));
    let (flash, ram) = if secure { ("0x10000000", "0x38000000") } else { ("0x00000000", "0x20000000") };
    let memory = format!(
        "MEMORY {{\n  FLASH : ORIGIN = {flash}, LENGTH = 4M\n  RAM : ORIGIN = {ram}, LENGTH = 4M\n}}\n"
    );
    fs::write(out.join("memory.x"), memory)?;
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
    Ok(())
}
