//! `niello evaluate`.

mod against;
mod blocks;
mod data;
mod files;
mod html;
mod journal;
mod labels;
mod table;
mod tensors;
mod verdict;
mod work;

use self::{against::Against, data::Data, journal::Journal, verdict::Limits};
use super::Done;
use crate::{
    args::{BuildArgs, build_with_progress},
    networks,
    output::{self, check_writable},
};
use clap::Args;
use niello_codegen::{
    Error, Result,
    pipeline::{Build, Task, find_network},
    recipe::Head,
};
use niello_evaluation::{Cases, Evaluation, Line, Run, SCHEMA, ScoreKind};
use std::path::{Path, PathBuf};

/// Judge the program on labelled data: figures with intervals, and every decision that differs from another network's
#[derive(Args)]
#[command(
    after_help = "Examples:\n  niello evaluate --recipe covid.toml --data slices/ --against float --json verdict.json\n  \
                        niello evaluate --recipe covid.toml --data slices/ --labels test.csv --min-accuracy 0.9\n  \
                        niello evaluate --model anam_net --data images/ --masks masks/ --min-dice 0.8\n  \
                        niello evaluate --recipe covid.toml --data slices/ --shard 3/16 --json 3.json\n  \
                        niello evaluate --merge *.json --csv cases.csv\n\n\
                        Figures, forms of data and files: docs/evaluation.md. Exit status 1 also if a `--min-` is missed, if the output never changes or decides nothing, and if \
                        the input's range cuts off more than a tenth of the data; the figures are printed all the same."
)]
pub(crate) struct Evaluate {
    /// Images in folders called as their classes; a table of paths and labels (CSV, TSV); or inputs and labels as tensors (safetensors, NPY)
    #[arg(long, value_name = "PATH", required_unless_present = "merge")]
    data: Option<PathBuf>,
    /// Labels: a table of path and class, or of path and mask (CSV, TSV, TXT with spaces), or those of `--data x.npy` as NPY
    #[arg(long, value_name = "FILE", conflicts_with = "masks")]
    labels: Option<PathBuf>,
    /// Folder of masks with the images' names, for segmentations
    #[arg(long, value_name = "FOLDER")]
    masks: Option<PathBuf>,
    /// Only the images that this file names, one a line (may be repeated)
    #[arg(long, value_name = "FILE")]
    split: Vec<PathBuf>,
    /// The class that a folder, a label, a grey value or a colour (#rrggbb) stands for; `-`: not to be scored (may be repeated)
    #[arg(long, value_name = "NAME=CLASS")]
    map: Vec<String>,
    /// The data has no labels: only `--against` is looked at
    #[arg(long, requires = "against", conflicts_with_all = ["labels", "masks"])]
    unlabelled: bool,
    /// Compare case by case with `float`, or with the outputs of another framework
    #[arg(long, value_name = "float|SAFETENSORS")]
    against: Option<PathBuf>,
    /// Only this part of the cases, counted from 1; `--merge` joins the parts
    #[arg(long, value_name = "K/N", value_parser = shard)]
    shard: Option<[usize; 2]>,
    /// Join the JSON files of all parts; builds and runs nothing
    #[arg(long, value_name = "JSON", num_args = 1.., conflicts_with_all = ["data", "labels", "masks", "split", "map", "against", "shard"])]
    merge: Vec<PathBuf>,
    /// Fail below this accuracy, 0 to 1 (of the pixels, for segmentations)
    #[arg(long, value_name = "SHARE", value_parser = share)]
    min_accuracy: Option<f64>,
    /// Fail if the pooled Dice of any class is below this, 0 to 1
    #[arg(long, value_name = "SHARE", value_parser = share)]
    min_dice: Option<f64>,
    /// Fail below this share of decisions that equal those of `--against`; for segmentations, the lowest Dice with its maps
    #[arg(long, value_name = "SHARE", value_parser = share)]
    min_agreement: Option<f64>,
    /// Write figures and records of all cases to a file; without one, print them instead of the table
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    json: Option<Option<PathBuf>>,
    /// Write one line per case, or per image and class
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write a page with tables and curves, which needs no network and no script
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    model: BuildArgs,
}

/// `3/16`.
fn shard(text: &str) -> Result<[usize; 2], String> {
    let parts = text.split_once('/').and_then(|(k, n)| Some([k.parse().ok()?, n.parse().ok()?]));
    parts.filter(|[k, n]| (1..=*n).contains(k)).ok_or("expected K/N with K of 1 to N".into())
}

/// A number of 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|x| (0.0..=1.0).contains(x)).ok_or("expected a number of 0 to 1".into())
}

impl Evaluate {
    /// Whether JSON is printed.
    pub(crate) fn json(&self) -> bool {
        self.json == Some(None)
    }

    pub(crate) fn run(self) -> Result<Done> {
        for file in [self.file(), self.csv.as_deref(), self.html.as_deref()].into_iter().flatten() {
            check_writable(file)?;
        }
        if let Some(file) = self.file() {
            files::check_own(file)?;
        }
        let limits =
            Limits { accuracy: self.min_accuracy, dice: self.min_dice, agreement: self.min_agreement };
        let (evaluation, journal) =
            if self.merge.is_empty() { self.evaluate(&limits)? } else { (files::merge(&self.merge)?, None) };
        if let Some(file) = &self.csv {
            files::write(file, files::csv(&evaluation)?.as_bytes())?;
        }
        let blocks = blocks::of(&evaluation);
        if let Some(file) = &self.html {
            files::write(file, html::of(&evaluation, &blocks).as_bytes())?;
        }
        if let Some(file) = self.file() {
            files::write(file, output::json(&evaluation)?.as_bytes())?;
        }
        if let Some(journal) = journal {
            journal.remove()?;
        }
        let text = if self.json() { output::json(&evaluation)? } else { crate::blocks::text(&blocks) };
        Ok(Done { text, failure: verdict::failure(&evaluation, &limits) })
    }

    /// The file for JSON.
    fn file(&self) -> Option<&Path> {
        self.json.as_ref()?.as_deref()
    }

    fn evaluate(&self, limits: &Limits) -> Result<(Evaluation, Option<Journal>)> {
        let recipe = self.model.recipe()?;
        if find_network(&recipe, networks())?.generates() {
            let message = "makes images, and no decisions that could be right or wrong";
            return Err(Error::Invalid(format!("{} {message}", recipe.network_name())));
        }
        let against = self.against.as_deref().map(Against::open).transpose()?;
        // On one thread each: cases are spread over the cores.
        let build = build_with_progress(&recipe)?;
        limits.check(build.task == Task::Segmentation, against.is_some())?;
        let data = Data::gather(self, &build)?;
        let run = self.description(&build, &data, against.as_ref());
        let opened = self.file().map(|file| Journal::open(file, &run)).transpose()?;
        let (mut journal, done) = opened.map_or((None, vec![]), |(journal, done)| (Some(journal), done));
        let lines = work::all(&build, &data, against.as_ref(), run.shard, journal.as_mut(), done)?;
        let evaluation = evaluation(&build, run, lines)?;
        Ok((evaluation, journal))
    }

    fn description(&self, build: &Build, data: &Data, against: Option<&Against>) -> Run {
        let input = build.program.tensor(build.program.inputs[0]).format;
        Run {
            schema: SCHEMA,
            network: build.program.metadata.network.clone(),
            format: build.program.format().into(),
            program: build.sha256(),
            classes: build.label_names(),
            data: data.sha256(),
            total: data.items.len(),
            against: against.map(Against::name),
            input_range: input.step().and_then(|_| input.range()).map(|(min, max)| [min, max]),
            shard: self.shard,
        }
    }
}

/// The figures of all lines.
fn evaluation(build: &Build, run: Run, lines: Vec<Line>) -> Result<Evaluation> {
    let records = match build.task {
        Task::Segmentation => Cases::Segmentation { cases: vec![] },
        _ => Cases::Classification { kind: kind(build), cases: vec![] },
    };
    Evaluation::new(run, records, lines).map_err(Error::Invalid)
}

/// What a classifier's scores are.
fn kind(build: &Build) -> ScoreKind {
    match build.recipe.output.head {
        Head::Argmax => ScoreKind::Labels,
        _ if build.is_probability() => ScoreKind::Probabilities,
        _ => ScoreKind::Logits,
    }
}
