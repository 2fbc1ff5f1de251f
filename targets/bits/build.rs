//! Turns the recipes of `tests/bits` into modules: one for each model, rounding and packing.

use niello_codegen::{
    Config, Error, Result,
    golden::{Golden, Source},
    recipe::Recipe,
};
use std::{env, fmt::Write as _, fs, path::PathBuf};

const MODELS: [&str; 3] = ["anam_net_tiny", "anam_net_narrow", "squeezenet1_1"];
const ROUNDINGS: [&str; 2] = ["tflite-double", "single"];
const PACKINGS: [&str; 2] = ["portable", "aarch64-neon"];

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let bits = PathBuf::from("../../tests/bits");
    let (mut modules, mut arms) = (String::new(), String::new());
    for model in MODELS {
        for rounding in ROUNDINGS {
            let path = bits.join(format!("{model}.{rounding}.golden"));
            println!("cargo::rerun-if-changed={}", path.display());
            let golden: Golden =
                fs::read_to_string(&path).map_err(Error::io("cannot read", &path))?.parse()?;
            let seeds: Vec<u64> = golden
                .cases
                .iter()
                .filter_map(|case| match case.source {
                    Source::Seed(seed) => Some(seed),
                    Source::File(_) => None,
                })
                .collect();
            for packing in PACKINGS {
                let path = bits.join(format!("{model}.toml"));
                println!("cargo::rerun-if-changed={}", path.display());
                let mut recipe = Recipe::from_file(&path)?;
                recipe.format.rounding = rounding.parse()?;
                let module = format!("{model}_{rounding}_{packing}").replace('-', "_");
                let build = Config::new(&niello_models::Registry)
                    .target(packing)
                    .layer_checks(true)
                    .compile_recipe(&recipe, &module)?;
                let name = niello_codegen::emit::type_name(&build.program);
                let _ = writeln!(
                    modules,
                    "mod {module} {{ include!(concat!(env!(\"OUT_DIR\"), \"/{module}.rs\")); }}"
                );
                let _ = writeln!(
                    arms,
                    "(\"{model}.{rounding}.{packing}\", |dump| crate::print!({module}, {name}, {seeds:?}, dump)),"
                );
            }
        }
    }
    let text = format!(
        "{modules}\n/// Every model by name, and what runs it.\npub(crate) const MODELS: &[(&str, fn(Option<usize>) -> bool)] = &[{arms}];\n"
    );
    let path = out.join("models.rs");
    fs::write(&path, text).map_err(Error::io("cannot write", path))
}
