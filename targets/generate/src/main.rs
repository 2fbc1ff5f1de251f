//! `niello-generate PLAN OUT`: writes every model that a plan lists into folders of `OUT`, ready to be compiled for any core.
//!
//! Firmware and programs for emulated cores need no code generator then: their build scripts take the folder from `NIELLO_GENERATED`.
//! `cargo xtask generate` writes the plan ([`plan`]) and calls this program.
//!
//! A folder holds for each model its source, its weights and the codes of its images, for firmware also `memory.x`, and `models.rs`:
//! all modules, and one call of `crate::each_model!` that lists them ([`list`]).
#![forbid(unsafe_code)]

mod folder;
mod kernels;
mod list;
mod plan;
mod tiny;

use folder::Folder;
use niello_codegen::{
    Error, Result,
    import::network::Network,
    pipeline::{self, Build},
    recipe::Recipe,
};
use plan::{Model, Plan};
use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(Into::into).collect();
    let [plan, out] = &arguments[..] else {
        return Err(Error::Invalid("usage: niello-generate PLAN OUT".into()));
    };
    let plan = Plan::from_file(plan)?;
    // Models of one recipe in one rounding share the quantised graph.
    let mut graphs: BTreeMap<(&str, &str), Vec<&Model>> = BTreeMap::new();
    for model in &plan.model {
        graphs.entry((&model.recipe, model.rounding.as_deref().unwrap_or_default())).or_default().push(model);
    }
    let mut folders: BTreeMap<&str, Folder> = BTreeMap::new();
    for ((recipe, _), models) in &graphs {
        let mut build = None;
        for model in models {
            let folder = folders.entry(&model.folder).or_insert_with(|| Folder::new(out.join(&model.folder)));
            if *recipe == plan::KERNELS {
                folder.layers(model)?;
                continue;
            }
            let (build, own) = match &mut build {
                Some(build) => build,
                none => {
                    let build = quantized(model)?;
                    // A model that is placed leaves its target with the build.
                    let own = build.recipe.target.clone();
                    none.insert((build, own))
                }
            };
            folder.model(model, build, own, plan.images.as_deref())?;
        }
    }
    for (name, folder) in folders {
        // As the plan lists them.
        folder.finish(plan.model.iter().filter(|model| model.folder == name))?;
    }
    Ok(())
}

/// The common part of models of the same recipe and rounding.
fn quantized(model: &Model) -> Result<Build> {
    let mut recipe = Recipe::from_file(&model.recipe)?;
    if let Some(rounding) = &model.rounding {
        recipe.format.rounding = rounding.parse()?;
    }
    let tiny: [&dyn Network; 2] = [&tiny::VisualWakeWords, &tiny::AnomalyDetection];
    pipeline::build(&recipe, &(niello_models::Registry, tiny), |_| {})
}
