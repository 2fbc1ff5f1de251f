//! `niello tune`.

mod found;
mod runner;

use crate::{
    args::{BuildArgs, build_with_progress, set_threads},
    output,
};
use clap::Args;
use found::Found;
use niello_codegen::{
    Error, Result,
    emit::write_files,
    pipeline::Build,
    program::{Choices, Program},
    tuning::{
        TunedLayer, Tuning, TuningFile,
        search::{Pick, combined, confirm, other_algorithms, other_pixels, pick},
    },
};
use runner::Runner;
use std::{collections::BTreeMap, path::PathBuf};

/// Find the fastest kernel and the best number of pixels per pass for each layer
#[derive(Args)]
#[command(after_help = "Examples:\n  niello tune --recipe covid.toml --out covid.tuning.toml\n  \
                        niello tune --recipe covid.toml --target aarch64-neon --out pi4.tuning.toml --work pi4/ --runner ./pi4.sh\n\n\
                        A recipe reads the file as `tuning` of its `[target]` (docs/tuning.md).")]
pub(crate) struct Tune {
    /// The tuning file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Shell command that measures the model in $NIELLO_MODEL_DIR and prints lines `layer NAME COST` (docs/tuning.md);
    /// absent: this machine measures
    #[arg(long, value_name = "COMMAND")]
    runner: Option<String>,
    /// Unit of the runner's costs, for the file
    #[arg(long, value_name = "NAME", requires = "runner")]
    unit: Option<String>,
    /// Folder that models are written to for the runner, and that stays; absent: a temporary one
    #[arg(long, value_name = "DIR", requires = "runner")]
    work: Option<PathBuf>,
    /// The `niello` dependency of the models' crate, as in Cargo.toml; absent: as of `niello compile`
    #[arg(long, value_name = "TOML", requires = "runner")]
    runtime: Option<String>,
    /// Pixels per pass to try, comma-separated; absent: a quarter, half, two and four times each layer's default
    #[arg(long, value_name = "N,N,..", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pixels: Vec<u32>,
    /// Measurements of each program, of which the smallest counts; absent: 20 on this machine, 1 of a runner
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Least gain of a choice in its layer, in per cent
    #[arg(long, value_name = "PERCENT", default_value_t = 3.0, value_parser = percent)]
    margin: f64,
    /// The largest arena that choices may lead to, in bytes; absent: the memory of the board, or any
    #[arg(long, value_name = "BYTES")]
    arena: Option<usize>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    model: BuildArgs,
}

fn percent(text: &str) -> Result<f64, String> {
    let found = text.parse::<f64>().ok().filter(|p| (0.0..100.0).contains(p));
    found.ok_or_else(|| format!("`{text}`: expected a number from 0 to below 100"))
}

/// A program with the choices that it was built for.
type Candidate = (Choices, Program);

/// Choices that were measured together, and the cost of their program.
struct Combination {
    picks: Vec<Pick>,
    arena_bytes: usize,
    /// Cost of the default's inferences beside them.
    before: u64,
    after: u64,
}

impl Tune {
    pub(crate) fn run(self) -> Result<String> {
        output::check_writable(&self.out)?;
        let mut recipe = self.model.recipe()?;
        // The baseline is the default, not the result of an earlier run.
        recipe.target.tuning = None;
        set_threads(&recipe)?;
        let build = build_with_progress(&recipe)?;
        let runner = self.runner(&build)?;
        let default = &build.program;
        let (candidates, left_out) = self.candidates(&build)?;
        if candidates.is_empty() {
            let why = if left_out == 0 { "no layer has a choice" } else { "no other choice fits" };
            return Err(Error::Invalid(format!("{}: {why}", default.metadata.network)));
        }
        let programs = || [default].into_iter().chain(candidates.iter().map(|(_, program)| program));
        let mut costs = runner.measure(&programs().collect::<Vec<_>>())?.into_iter();
        let default_costs = costs.next().unwrap_or_default();
        let choices = candidates.iter().map(|(choices, _)| choices.clone());
        let measured: Vec<_> = choices.zip(costs).collect();
        let picks = pick(&default_costs, &measured, self.margin / 100.0);
        let nothing = || Combination {
            picks: vec![],
            arena_bytes: default.plan.arena_bytes,
            before: default_costs.total(),
            after: default_costs.total(),
        };
        let best = self.combine(&build, &runner, picks)?.unwrap_or_else(nothing);
        let file = TuningFile {
            network: build.recipe.network_name(),
            target: default.target.clone(),
            runner: Some(runner.to_string()),
            unit: runner.unit(),
            before: Some(best.before),
            after: Some(best.after),
            layer: layers(&best.picks),
        };
        let _writing = output::writing();
        write_files(&[(self.out.clone(), file.to_toml()?.as_bytes())])?;
        let tuned = Found {
            file: &self.out,
            programs: candidates.len() + 1,
            left_out,
            arena_bytes_before: default.plan.arena_bytes,
            arena_bytes_after: best.arena_bytes,
            tuning: &file,
        };
        if self.json { output::json(&tuned) } else { Ok(tuned.text(self.margin)) }
    }

    fn runner(&self, build: &Build) -> Result<Runner> {
        let rounds = self.rounds.map(|n| n as usize);
        match &self.runner {
            None => Runner::here(build, rounds.unwrap_or(20)),
            Some(command) => Runner::command(
                build,
                rounds.unwrap_or(1),
                command,
                self.unit.clone(),
                self.work.as_deref(),
                self.runtime.as_deref(),
            ),
        }
    }

    /// Programs that differ from the default and from each other, and how many are left out.
    fn candidates(&self, build: &Build) -> Result<(Vec<Candidate>, usize)> {
        let default = &build.program;
        let pixels: Vec<usize> = self.pixels.iter().map(|n| *n as usize).collect();
        let mut asked = other_pixels(&Choices::new(), &default.choices, &pixels);
        let other = other_algorithms(&default.choices);
        let mut left_out = 0;
        if !other.is_empty() {
            match self.lower(build, &other) {
                Some(program) => {
                    asked.push(other.clone());
                    asked.extend(other_pixels(&other, &program.choices, &pixels));
                }
                None => left_out += 1,
            }
        }
        let mut candidates: Vec<Candidate> = vec![];
        for mut choices in asked {
            let Some(program) = self.lower(build, &choices) else {
                left_out += 1;
                continue;
            };
            // Lowering may limit the pixels; the limited number was measured.
            choices.retain(|layer, choice| {
                let made = program.choices[layer];
                choice.pixels = choice.pixels.and(made.pixels);
                made != default.choices[layer]
            });
            let known = |other: &Candidate| other.1.choices == program.choices;
            if !choices.is_empty() && !candidates.iter().any(known) {
                candidates.push((choices, program));
            }
        }
        Ok((candidates, left_out))
    }

    /// A program with choices that are possible; `None` if it does not fit the board or the arena.
    fn lower(&self, build: &Build, choices: &Choices) -> Option<Program> {
        let tuning = Tuning { source: "tuning".into(), choices: choices.clone() };
        let program = build.tuned(tuning).ok()?;
        let max = self.arena.unwrap_or(usize::MAX).max(build.program.plan.arena_bytes);
        (program.plan.arena_bytes <= max).then_some(program)
    }

    /// Measures picks together beside the default until all of them pay; `None` if nothing is left.
    fn combine(&self, build: &Build, runner: &Runner, mut picks: Vec<Pick>) -> Result<Option<Combination>> {
        while !picks.is_empty() {
            let Some(program) = self.lower(build, &combined(&picks)) else {
                // Each fits alone: the one that gains least makes room.
                let smallest = (0..picks.len()).min_by_key(|i| picks[*i].before - picks[*i].after);
                smallest.map(|i| picks.remove(i));
                continue;
            };
            let costs = runner.measure(&[&build.program, &program])?;
            let [default, ours] = &costs[..] else { break };
            let confirmed = confirm(&picks, default, ours, self.margin / 100.0);
            if confirmed.len() < picks.len() {
                picks = confirmed;
                continue;
            }
            let (picks, arena_bytes) = (confirmed, program.plan.arena_bytes);
            let (before, after) = (default.total(), ours.total());
            return Ok((after < before).then_some(Combination { picks, arena_bytes, before, after }));
        }
        Ok(None)
    }
}

/// The entries of the file, by layer.
fn layers(picks: &[Pick]) -> BTreeMap<String, TunedLayer> {
    let of_pick = |pick: &Pick| {
        let tuned = pick.choices.iter().map(|(layer, choice)| {
            let with = pick.layers.iter().filter(|other| *other != layer).cloned().collect();
            let tuned = TunedLayer {
                pixels: choice.pixels,
                winograd: choice.winograd,
                before: Some(pick.before),
                after: Some(pick.after),
                with,
            };
            (layer.clone(), tuned)
        });
        tuned.collect::<Vec<_>>()
    };
    picks.iter().flat_map(of_pick).collect()
}
