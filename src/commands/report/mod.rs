//! `niello report`.

mod cost;
mod examples;
mod origin;
mod page;
mod plots;
mod tables;
mod text;

use self::{cost::Cost, examples::Examples, page::Facts};
use super::{
    Done,
    verify::{Given, Limits, Verified},
};
use crate::{
    args::{BuildArgs, build_with_progress},
    networks,
    output::{self, check_folder, check_writable, writing},
    table,
};
use clap::Args;
use niello_codegen::{
    Error, Result,
    board::{Usage, elf_usage, usage},
    pipeline::{Calibrated, find_network},
    report::{Report, report},
};
use niello_imaging::write_files;
use serde::Serialize;
use std::path::PathBuf;

/// Show memory, flash and work, layer by layer; exit status 1 if a board has too little memory
#[derive(Args)]
#[command(after_help = "Examples:\n  niello report --recipe covid.toml --target portable\n  \
                        niello report --model squeezenet1_1 --seeded --board stm32h743\n  \
                        niello report --model anam_net --data slices/ --html report.html --activations up_1\n\n\
                        A page (`--html`) is one file that needs no network and no script: the network as a graph, work and memory by step, the arena over \
                        time; and with `--data` the error of each layer, what would make it smaller, histograms with ranges, pictures with the masks of \
                        float and of the program (docs/report.md).")]
pub(crate) struct ReportCommand {
    /// Figures of this linked file instead of estimates, for the memories of the board
    #[arg(long, value_name = "FILE")]
    elf: Option<PathBuf>,
    /// Compare the program with float on these, as `niello verify` does: a folder of images, an image, or a safetensors file of inputs
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Write the report as a page
    #[arg(long, value_name = "HTML")]
    html: Option<PathBuf>,
    /// Write the plots of the page into this folder, as SVG
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    /// Cases of `--data` that a page shows, and that its histograms are of
    #[arg(long, value_name = "N", default_value_t = 4)]
    examples: usize,
    /// Show the results of this layer for the first case in the page; may be repeated. `niello inspect --optimized` lists the layers
    #[arg(long = "activations", value_name = "LAYER", requires = "html")]
    activations: Vec<String>,
    /// Costs of the steps: what a runner of `niello tune` printed (lines `layer NAME COST`), or `niello bench --json`
    #[arg(long, value_name = "FILE")]
    costs: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    model: BuildArgs,
}

/// A report with the source of its ranges, its use of a board, and a comparison with float.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    ranges: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    board: &'a Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    costs: &'a Option<Cost>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: &'a Option<Verified>,
}

impl ReportCommand {
    pub(crate) fn run(self) -> Result<Done> {
        self.html.iter().try_for_each(|path| check_writable(path))?;
        self.plots.iter().try_for_each(|path| check_folder(path))?;
        let mut recipe = self.model.recipe()?;
        let board = recipe.board()?;
        if self.elf.is_some() && board.is_none() {
            return Err(Error::Invalid("`--elf` needs the memories of a board: give `--board`".into()));
        }
        let wants_page = self.html.is_some() || self.plots.is_some();
        // Generators are compared on drawn numbers.
        let compares = self.data.is_some() || (wants_page && find_network(&recipe, networks())?.generates());
        if !compares && !self.activations.is_empty() {
            return Err(Error::Invalid("`--activations` needs a case to show: give `--data`".into()));
        }
        let data = compares.then(|| Given::new(&recipe, self.data.as_deref(), None)).transpose()?;
        // A report also shows a model that does not fit.
        recipe.target.name = recipe.target_name(board.as_ref()).into();
        recipe.target.board = None;
        let mut build = build_with_progress(&recipe)?;
        let report = report(&build.program);
        let usage = match (&board, &self.elf) {
            (Some(board), Some(elf)) => Some(elf_usage(elf, board)?),
            (Some(board), None) => Some(usage(&build.program, board, build.table_bytes())),
            (None, _) => None,
        };
        let costs = Cost::find(self.costs.as_deref(), &build)?;
        let steps: Vec<Vec<String>> = build.program.steps.iter().map(|step| step.layers.clone()).collect();
        let mut examples = Examples::new(if wants_page { self.examples } else { 0 });
        let chosen = examples::find(&build, &self.activations)?;
        let verified = match data {
            Some(data) => Some(data.compare(&mut build, Limits::default(), |case| examples.add(case))?),
            None => None,
        };
        if wants_page {
            let facts = Facts {
                build: &build,
                report: &report,
                steps: &steps,
                usage: usage.as_ref(),
                costs: costs.as_ref(),
                verified: verified.as_ref(),
            };
            self.write(&facts, &examples, &chosen)?;
        }
        let ranges = build.calibrated.as_ref().map(Calibrated::summary);
        let failure = usage.as_ref().filter(|usage| !usage.fits()).map(|usage| {
            let over = usage.memories.iter().filter(|m| m.over() > 0);
            let over: Vec<String> =
                over.map(|m| format!("{} {} bytes too many", m.name, table::grouped(m.over()))).collect();
            let (network, board, over) = (&report.network, &usage.board, over.join(", "));
            Error::Invalid(format!("{network}: does not fit board `{board}`: {over}"))
        });
        let text = if self.json {
            let (report, board) = (&report, &usage);
            output::json(&Whole { report, ranges: &ranges, board, costs: &costs, verified: &verified })?
        } else {
            let compared = verified.map(|verified| format!("\n{}", verified.text())).unwrap_or_default();
            text::of(&report, ranges, usage) + &compared
        };
        Ok(Done { text, failure })
    }

    /// Writes the page and its plots.
    fn write(&self, facts: &Facts<'_>, examples: &Examples, chosen: &[examples::Layer]) -> Result<()> {
        let plots = plots::of(facts, examples)?;
        let mut files = vec![];
        if let Some(path) = &self.html {
            let page = page::of(facts, &plots, &examples.sections(facts.build, chosen)?);
            files.push((path.clone(), page.into_bytes()));
        }
        let _writing = writing();
        if let Some(folder) = &self.plots {
            std::fs::create_dir_all(folder).map_err(Error::io("cannot create", folder))?;
            files.extend(plots.files(folder));
        }
        let files: Vec<(PathBuf, &[u8])> =
            files.iter().map(|(path, text)| (path.clone(), &text[..])).collect();
        Ok(write_files(&files)?)
    }
}
