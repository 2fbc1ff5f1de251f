//! `cargo xtask generate`: the sources of every model that runs on emulated cores, once for all of them.
//!
//! `targets/generate` calibrates each model once and writes it for every core into folders of `target/generated`. Programs and firmware
//! are compiled from there, without a code generator among what they are built with: their build scripts take the folder from
//! `NIELLO_GENERATED`. What is written is listed where it runs: [`crate::emulated`], [`crate::cortex_m`], [`crate::images`],
//! [`crate::defmt`], [`crate::count`].

use crate::{
    Result, cortex_m, count, defmt, emulated,
    folders::{built, shared, target},
    images,
    stage::{Runner, Stage},
};
use std::{fmt::Write as _, fs, path::PathBuf};

/// Where folders lie, below [`target`].
const OUT: &str = "generated";

/// The generator and the command line, with all features that tests are built with: what they need is not compiled once more. An example
/// is what makes cargo take those of development.
const BUILD: &str = "build --workspace --bin niello-generate --bin niello --example seeded_crate";

/// A model in a folder. `targets/generate/src/plan.rs` says what each key means.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Model {
    pub(crate) folder: String,
    pub(crate) name: String,
    pub(crate) recipe: String,
    pub(crate) rounding: Option<String>,
    pub(crate) target: Option<String>,
    pub(crate) board: Option<String>,
    pub(crate) layer_checks: bool,
    pub(crate) golden: Option<String>,
    pub(crate) flip: Option<usize>,
}

impl Model {
    /// A recipe of `tests/bits` in a rounding, with the cases of its golden file.
    pub(crate) fn recorded(folder: &str, model: &str, rounding: &str) -> Self {
        Self {
            folder: folder.into(),
            name: format!("{model}.{rounding}"),
            recipe: format!("tests/bits/{model}.toml"),
            rounding: Some(rounding.into()),
            layer_checks: true,
            golden: Some(format!("tests/bits/{model}.{rounding}.golden")),
            ..Self::default()
        }
    }
}

pub(crate) fn run() -> Result {
    let mut runner = Runner::new("generate");
    build(&mut runner)?;
    sources(&mut runner, &all()?)?;
    runner.finish()
}

/// The models of continuous integration.
pub(crate) fn all() -> Result<Vec<Model>> {
    let boards: Vec<_> = cortex_m::BOARDS.iter().collect();
    let parts = [
        emulated::models(),
        cortex_m::models(&boards, false),
        images::models(),
        defmt::models(),
        count::models()?,
    ];
    Ok(parts.concat())
}

/// Builds the generator, and the command line with it.
pub(crate) fn build(runner: &mut Runner) -> Result {
    runner.part("generator and command line", 100);
    runner.run(Stage::cargo("generator and command line, built", BUILD))
}

/// Writes the sources of some models.
pub(crate) fn sources(runner: &mut Runner, models: &[Model]) -> Result {
    runner.part("sources of models", 45);
    let (out, plan) = (built(OUT), built("generated/plan.toml"));
    let of_file = |e| format!("cannot write {plan}: {e}");
    fs::create_dir_all(&out).map_err(of_file)?;
    fs::write(&plan, text(models)).map_err(of_file)?;
    runner.run(Stage::new("sources of models", &built("debug/niello-generate")).arguments(&[plan, out]))
}

/// A stage that compiles what lies in a folder.
pub(crate) fn from(stage: Stage, folder: &str) -> Stage {
    stage.variable("NIELLO_GENERATED", &path(folder).to_string_lossy())
}

/// A folder's path; what is compiled elsewhere finds it too.
pub(crate) fn path(folder: &str) -> PathBuf {
    target().join(OUT).join(folder)
}

/// The plan, as the generator reads it.
fn text(models: &[Model]) -> String {
    let mut text = String::from("# Written by `cargo xtask`.\n");
    // Writing to a string cannot fail.
    if let Some(shared) = shared() {
        let images = shared.join("data/ct/covid_ct/val/COVID");
        let _ = writeln!(text, "images = {:?}", images.to_string_lossy());
    }
    let mut seen: Vec<&Model> = vec![];
    for model in models {
        // Boards of the same target and memory map share a folder.
        if seen.contains(&model) {
            continue;
        }
        seen.push(model);
        let Model { folder, name, recipe, rounding, target, board, layer_checks, golden, flip } = model;
        let _ = writeln!(text, "\n[[model]]\nfolder = {folder:?}\nname = {name:?}\nrecipe = {recipe:?}");
        for (key, value) in [("rounding", rounding), ("target", target), ("board", board), ("golden", golden)]
        {
            if let Some(value) = value {
                let _ = writeln!(text, "{key} = {value:?}");
            }
        }
        let _ = writeln!(text, "layer-checks = {layer_checks}");
        if let Some(layer) = flip {
            let _ = writeln!(text, "flip = {layer}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_listed_once() {
        let model = Model { flip: Some(3), ..Model::recorded("bits", "anam_net_tiny", "single") };
        let text = text(&[model.clone(), model]);
        assert_eq!(text.matches("[[model]]").count(), 1, "{text}");
        for line in
            ["folder = \"bits\"", "name = \"anam_net_tiny.single\"", "layer-checks = true", "flip = 3"]
        {
            assert!(text.lines().any(|l| l == line), "{line}: {text}");
        }
    }
}
