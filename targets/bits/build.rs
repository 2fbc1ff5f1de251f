//! Turns the recipes of `tests/bits` into modules: one for each model, rounding and packing.
//!
//! The trained models are there too where `NIELLO_SHARED` names the folder of the shared data.

use niello_codegen::{
    Config, Error, Result,
    golden::{Golden, Source},
    pipeline::{Build, build},
    recipe::Recipe,
};
use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

const SEEDED: [&str; 9] = [
    "every_operator",
    "every_operator_int16",
    "squeezenet1_1_int16",
    "anam_net_tiny",
    "anam_net_wide",
    "anam_net_narrow",
    "squeezenet1_1",
    "shallow_cgan_generator",
    "residual_attention_unet",
];
/// With floating point: one rounding.
const FLOATS: [&str; 6] = [
    "every_operator_f32",
    "every_operator_f16",
    "every_operator_f16_native",
    "squeezenet1_1_f16",
    "squeezenet1_1_f16_native",
    "squeezenet1_1_mixed",
];
const TRAINED: [&str; 2] = ["w251_cnn", "w251_squeezenet"];
const ROUNDINGS: [&str; 2] = ["tflite-double", "single"];
const PACKINGS: [&str; 3] = ["portable", "aarch64-neon", "aarch64-dotprod"];
/// The trained models in one packing only.
const TRAINED_PACKINGS: [&str; 1] = ["aarch64-neon"];

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<()> {
    println!("cargo::rerun-if-env-changed=NIELLO_SHARED");
    let shared = env::var_os("NIELLO_SHARED").map(PathBuf::from);
    let mut crates = Crates::new()?;
    for rounding in ROUNDINGS {
        for model in SEEDED {
            crates.add(model, rounding, &PACKINGS, None)?;
        }
        for model in FLOATS.iter().filter(|_| rounding == ROUNDINGS[0]) {
            crates.add(model, rounding, &PACKINGS, None)?;
        }
        for model in TRAINED.iter().filter(|_| shared.is_some()) {
            crates.add(model, rounding, &TRAINED_PACKINGS, shared.as_deref())?;
        }
    }
    let Crates { out, modules, arms, .. } = crates;
    let text = format!(
        "{modules}\n/// Every model by name, and what runs it.\npub(crate) const MODELS: &[(&str, fn(Option<usize>) -> bool)] = &[{arms}];\n"
    );
    let path = out.join("models.rs");
    fs::write(&path, text).map_err(Error::io("cannot write", path))
}

/// What has been generated so far.
struct Crates {
    out: PathBuf,
    bits: PathBuf,
    modules: String,
    arms: String,
}

impl Crates {
    fn new() -> Result<Self> {
        let out = env::var_os("OUT_DIR").ok_or_else(|| Error::Invalid("OUT_DIR is not set".into()))?;
        let (modules, arms) = (String::new(), String::new());
        Ok(Self { out: out.into(), bits: "../../tests/bits".into(), modules, arms })
    }

    /// A model in a rounding: quantised once, lowered and written for each packing.
    fn add(&mut self, model: &str, rounding: &str, packings: &[&str], shared: Option<&Path>) -> Result<()> {
        let golden = self.bits.join(format!("{model}.{rounding}.golden"));
        println!("cargo::rerun-if-changed={}", golden.display());
        let golden: Golden =
            fs::read_to_string(&golden).map_err(Error::io("cannot read", &golden))?.parse()?;
        let path = self.bits.join(format!("{model}.toml"));
        println!("cargo::rerun-if-changed={}", path.display());
        let mut recipe = Recipe::from_file(&path)?;
        for file in recipe.files() {
            println!("cargo::rerun-if-changed={}", file.display());
        }
        recipe.format.rounding = rounding.parse()?;
        let mut build = build(&recipe, &niello_models::Registry, |_| {})?;
        let config = Config::new(&niello_models::Registry).layer_checks(true);
        for packing in packings {
            build.retarget(packing)?;
            let module = format!("{model}_{rounding}_{packing}").replace('-', "_");
            config.write(&build, &module)?;
            let cases = self.cases(&build, &golden, &module, shared)?;
            self.list(&build, &format!("{model}.{rounding}.{packing}"), &module, &cases);
        }
        Ok(())
    }

    /// The module, and a line in the list of models.
    fn list(&mut self, build: &Build, what: &str, module: &str, cases: &str) {
        let name = niello_codegen::emit::type_name(&build.program);
        let inputs: Vec<String> = match build.program.inputs.len() {
            1 => vec!["input: INPUT_LEN".into()],
            several => (0..several).map(|i| format!("input{i}: INPUT{i}_LEN")).collect(),
        };
        let inputs = inputs.join(", ");
        let _ = writeln!(
            self.modules,
            "mod {module} {{ include!(concat!(env!(\"OUT_DIR\"), \"/{module}.rs\")); }}"
        );
        let _ = writeln!(
            self.arms,
            "(\"{what}\", |dump| crate::print!({module}, {name}, [{inputs}], [{cases}], dump)),"
        );
    }

    /// The cases of a golden file as expressions; the codes of pictures lie beside the module.
    fn cases(&self, build: &Build, golden: &Golden, module: &str, shared: Option<&Path>) -> Result<String> {
        let mut text = String::new();
        for (i, case) in golden.cases.iter().enumerate() {
            let name = case.source.name();
            let _ = match (&case.source, shared) {
                (Source::Seed(seed), _) => write!(text, "({name:?}, crate::Input::Seed({seed})), "),
                (Source::File(file), Some(shared)) => {
                    let picture = niello_imaging::load(shared.join("data/ct/covid_ct/val/COVID").join(file))?;
                    let codes: Vec<u8> = build.input_codes(&picture)?.iter().map(|c| *c as u8).collect();
                    let path = self.out.join(format!("{module}.case{i}.bin"));
                    fs::write(&path, &codes).map_err(Error::io("cannot write", &path))?;
                    let bytes =
                        format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{module}.case{i}.bin\"))");
                    write!(text, "({name:?}, crate::Input::Codes({bytes})), ")
                }
                (Source::File(_), None) => continue,
            };
        }
        Ok(text)
    }
}
