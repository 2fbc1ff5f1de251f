//! Turns one recipe into a module: `NIELLO_COUNT_RECIPE`, packed for `NIELLO_COUNT_TARGET`.

use niello_codegen::{Config, Error, Result, emit::type_name};
use std::{env, fs, path::PathBuf};

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name: &str, otherwise: &str| {
        println!("cargo::rerun-if-env-changed={name}");
        env::var(name).unwrap_or_else(|_| otherwise.into())
    };
    // Paths count from this folder, where cargo runs build scripts.
    let recipe = variable("NIELLO_COUNT_RECIPE", "recipes/squeezenet1_0.toml");
    let aarch64 = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "aarch64");
    let target = variable("NIELLO_COUNT_TARGET", if aarch64 { "aarch64-neon" } else { "portable" });
    let build = Config::new(&niello_models::Registry).target(target).file_name("model").compile(recipe)?;
    let path = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("network.rs");
    let text = format!("/// The generated model.\ntype Network = model::{};\n", type_name(&build.program));
    fs::write(&path, text).map_err(Error::io("cannot write", path))
}
