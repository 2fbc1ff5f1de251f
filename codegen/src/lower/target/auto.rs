//! `auto`: the target of the machine that is built for, from what cargo tells a build script.
//!
//! The choice follows from cargo's variables alone, never from the CPU that the build runs on: a recipe gives the same crate on every
//! builder.
//!
//! | machine | target |
//! |---|---|
//! | `thumbv7em-*` | `cortex-m-dsp`: Armv7E-M always has the DSP instructions |
//! | `thumbv8m.main-none-eabihf` with a `-C target-cpu` that has Helium (see [`MVE_CORES`]) | `cortex-m-mve` |
//! | `thumbv8m.main-*` with a `-C target-cpu` that has them (see [`DSP_CORES`]), or with `dsp` among the target features | `cortex-m-dsp` |
//! | other Cortex-M | `portable` |
//! | `aarch64` with `dotprod` among the target features | `aarch64-dotprod` |
//! | other `aarch64` | `aarch64-neon` |
//! | `x86_64` | `x86-vnni` |
//! | any other | `portable` |
//!
//! On Armv8-M the DSP instructions are an option. The kernels use them under the same condition (`kernels/build.rs`): without it they
//! are plain Rust, for which `portable` is the packing.

/// Armv8-M cores that may be named in `-C target-cpu`: with the DSP instructions, as compilers assume them.
const DSP_CORES: &[&str] = &["cortex-m33", "cortex-m35p", "cortex-m52", "cortex-m55", "cortex-m85"];

/// Of these, the cores with Helium.
const MVE_CORES: &[&str] = &["cortex-m52", "cortex-m55", "cortex-m85"];

/// The name of the target; `None` outside a build script. `variable` gives an environment variable.
pub(super) fn target(variable: impl Fn(&str) -> Option<String>) -> Option<&'static str> {
    let arch = variable("CARGO_CFG_TARGET_ARCH")?;
    let triple = variable("TARGET").unwrap_or_default();
    let features = variable("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    let has = |feature: &str| features.split(',').any(|f| f == feature);
    // Separated by a character that no flag has; the last one counts.
    let flags = variable("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let core = flags.split('\x1f').filter_map(|flag| Some(flag.split_once("target-cpu=")?.1)).next_back();
    let dsp = triple.starts_with("thumbv7em")
        || triple.starts_with("thumbv8m.main")
            && (has("dsp") || core.is_some_and(|core| DSP_CORES.contains(&core)));
    let vectors = triple.starts_with("thumbv8m.main")
        && triple.ends_with("eabihf")
        && core.is_some_and(|core| MVE_CORES.contains(&core));
    Some(match arch.as_str() {
        "arm" if vectors => "cortex-m-mve",
        "arm" if dsp => "cortex-m-dsp",
        "aarch64" if has("dotprod") => "aarch64-dotprod",
        "aarch64" => "aarch64-neon",
        "x86_64" => "x86-vnni",
        _ => "portable",
    })
}

#[cfg(test)]
mod tests {
    use super::{DSP_CORES, MVE_CORES, target};
    use crate::lower::Target;

    /// The target for an architecture, a triple, target features and flags.
    fn chosen([arch, triple, features, flags]: [&str; 4]) -> &'static str {
        let variable = |name: &str| {
            let value = match name {
                "CARGO_CFG_TARGET_ARCH" => arch,
                "TARGET" => triple,
                "CARGO_CFG_TARGET_FEATURE" => features,
                "CARGO_ENCODED_RUSTFLAGS" => flags,
                // Nothing else may matter: the CPU of the builder least of all.
                other => panic!("{other} was asked for"),
            };
            (!value.is_empty()).then(|| value.to_string())
        };
        target(variable).unwrap()
    }

    #[test]
    fn the_target_follows_from_cargos_variables() {
        for (machine, expected) in [
            (["arm", "thumbv7em-none-eabihf", "mclass", ""], "cortex-m-dsp"),
            (["arm", "thumbv7em-none-eabi", "", ""], "cortex-m-dsp"),
            (["arm", "thumbv8m.main-none-eabihf", "", ""], "portable"),
            (["arm", "thumbv8m.main-none-eabihf", "dsp,mclass", ""], "cortex-m-dsp"),
            (["arm", "thumbv8m.main-none-eabihf", "", "-C\x1ftarget-cpu=cortex-m33"], "cortex-m-dsp"),
            (["arm", "thumbv8m.main-none-eabi", "", "-Ctarget-cpu=cortex-m55\x1f-g"], "cortex-m-dsp"),
            (["arm", "thumbv8m.main-none-eabihf", "", "-Ctarget-cpu=cortex-m55\x1f-g"], "cortex-m-mve"),
            (["arm", "thumbv8m.main-none-eabihf", "", "-C\x1ftarget-cpu=cortex-m85"], "cortex-m-mve"),
            (["arm", "thumbv8m.main-none-eabihf", "", "-Ctarget-cpu=cortex-m55+nomve"], "portable"),
            (["arm", "thumbv8m.main-none-eabi", "", "-Ctarget-cpu=cortex-m33+nodsp"], "portable"),
            (["arm", "thumbv8m.base-none-eabi", "", "-Ctarget-cpu=cortex-m23"], "portable"),
            (["arm", "thumbv7m-none-eabi", "", ""], "portable"),
            (["arm", "thumbv6m-none-eabi", "", ""], "portable"),
            (["arm", "armv7-unknown-linux-gnueabihf", "", ""], "portable"),
            (["aarch64", "aarch64-unknown-linux-gnu", "neon", ""], "aarch64-neon"),
            (["aarch64", "aarch64-apple-darwin", "neon,dotprod,fp16", ""], "aarch64-dotprod"),
            (["x86_64", "x86_64-unknown-linux-gnu", "sse,sse2", ""], "x86-vnni"),
            (["x86_64", "x86_64-unknown-linux-gnu", "avx512vnni", ""], "x86-vnni"),
            (["riscv32", "riscv32imc-unknown-none-elf", "m", ""], "portable"),
            (["wasm32", "wasm32-unknown-unknown", "simd128", ""], "portable"),
        ] {
            assert_eq!(chosen(machine), expected, "{machine:?}");
            assert_eq!(Target::find(expected).unwrap().name, expected);
        }
        assert_eq!(target(|_| None), None, "no build script");
    }

    #[test]
    fn the_kernels_use_the_same_instructions_on_the_same_cores() {
        let script = include_str!("../../../../kernels/build.rs");
        for (name, cores) in [("CORES", DSP_CORES), ("VECTOR_CORES", MVE_CORES)] {
            let list: Vec<String> = cores.iter().map(|core| format!("{core:?}")).collect();
            assert!(script.contains(&format!("const {name}: &[&str] = &[{}];", list.join(", "))), "{name}");
        }
    }
}
