//! Says whether the compilation target has the DSP instructions of Armv7E-M and Armv8-M, `cfg(niello_dsp)`, and Helium, the vector
//! instructions of Armv8.1-M on whole numbers, `cfg(niello_mve)`; whether it has Thumb-2, `cfg(niello_thumb2)`, and a floating-point unit of its own, `cfg(niello_vfp)`: the `eabihf` targets promise it, with fused
//! multiply-adds and conversions of half precision.
//!
//! Stable Rust keeps `target_feature = "dsp"` to itself. Every Armv7E-M has them. On Armv8-M they are an option, which
//! `-C target-cpu` promises: without it, the same kernels compile to plain Rust. Helium is promised in the same way, for the `eabihf` targets:
//! firmware for the others does not switch its registers on.

use std::env;

/// Armv8-M cores that may be named in `-C target-cpu`: with the instructions, as compilers assume them.
const CORES: &[&str] = &["cortex-m33", "cortex-m35p", "cortex-m52", "cortex-m55", "cortex-m85"];

/// Of these, the cores with Helium.
const VECTOR_CORES: &[&str] = &["cortex-m52", "cortex-m55", "cortex-m85"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(niello_dsp, niello_mve, niello_thumb2, niello_vfp, loom)");
    let target = env::var("TARGET").unwrap_or_default();
    // Separated by a character that no flag has: `-C`, `target-cpu=cortex-m33`, or both in one.
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let core = flags
        .split('\x1f')
        .filter_map(|flag| flag.split_once("target-cpu="))
        .map(|(_, core)| core)
        .next_back();
    let promised = target.starts_with("thumbv8m.main") && core.is_some_and(|core| CORES.contains(&core));
    if ["thumbv7m-", "thumbv7em-", "thumbv8m.main-"].iter().any(|family| target.starts_with(family)) {
        println!("cargo::rustc-cfg=niello_thumb2");
    }
    if target.ends_with("eabihf") && (target.starts_with("thumbv7em") || target.starts_with("thumbv8m.main"))
    {
        println!("cargo::rustc-cfg=niello_vfp");
    }
    if target.starts_with("thumbv7em") || promised {
        println!("cargo::rustc-cfg=niello_dsp");
    }
    if promised && target.ends_with("eabihf") && core.is_some_and(|core| VECTOR_CORES.contains(&core)) {
        println!("cargo::rustc-cfg=niello_mve");
    }
}
