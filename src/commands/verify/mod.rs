//! `niello verify`.

mod framework;

use self::framework::Framework;
use super::Done;
use crate::{
    args::BuildArgs,
    inputs::{images, is_tensors},
    networks,
    output::{self, ByClass},
    progress::Step,
    table,
};
use clap::Args;
use niello_codegen::{
    Error, Result, Tensor,
    check::{
        compare::{self, LayerComparison, Verification, verify},
        warnings::{MOST_OF_INPUT, Warning, of_verification},
    },
    pipeline::{Build, Calibrated, Pair, Task, find_network},
};
use niello_imaging::metrics::{self, DiceCounts};
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf};

/// Compare int8 with float, layer by layer and at the output
#[derive(Args)]
#[command(
    after_help = "Example:\n  niello verify --model squeezenet1_0 --classes 3 --weights W.safetensors \
                        --input 224x224 \\\n    --preprocess imagenet --calibrate slices/ --data slices/ --format int8 --json\n\n\
                        Exit status 1 if a figure is below the budget (`--min-sqnr-db`) or `--min-agreement`, and if int8 gives no answer at all: most of an \
                        input is cut off, or the outputs are noise or the same for all inputs."
)]
pub(crate) struct Verify {
    /// Images to compare on: a folder, or one image; or a safetensors file of inputs (for a generator, absent: drawn ones)
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Compare float with another framework too: its tensors `CASE/output`, and `CASE/input` to check the pre-processing; a case is the name of an
    /// image or of a sample. A safetensors file of `--data` may have them itself
    #[arg(long, value_name = "SAFETENSORS")]
    expected: Option<PathBuf>,
    /// Show only so many layers, those with the largest errors of their own
    #[arg(long, value_name = "N")]
    worst: Option<usize>,
    /// Fail if a smaller share (0 to 1) of images, or of a segmentation's pixels, has the class that float gives
    #[arg(long, value_name = "SHARE")]
    min_agreement: Option<f64>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    model: BuildArgs,
}

/// A layer, with what chose its range.
#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    layer: LayerComparison,
    /// The rule that chose the range.
    rule: String,
}

#[derive(Serialize)]
struct Verified {
    network: String,
    images: usize,
    format: &'static str,
    /// Whether the weights are random numbers.
    seeded: bool,
    /// The lock that the ranges come from, or that they were calibrated.
    #[serde(skip_serializing_if = "Option::is_none")]
    ranges: Option<String>,
    inputs: Vec<Row>,
    layers: Vec<Row>,
    /// Warnings about the result.
    warnings: Vec<Warning>,
    output: Output,
    /// Float beside another framework.
    #[serde(skip_serializing_if = "Option::is_none")]
    framework: Option<Framework>,
    /// Why the exit status is 1.
    failures: Vec<String>,
}

#[derive(Serialize)]
struct Output {
    /// SQNR of the network's output.
    sqnr_db: Option<f64>,
    /// Cosine of the angle between both outputs.
    cosine: Option<f64>,
    /// Share of images with the same class (classification); an image whose best scores are equal has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    top1_agreement: Option<f64>,
    /// Images whose best int8 scores are equal (classification).
    #[serde(skip_serializing_if = "Option::is_none")]
    ties: Option<usize>,
    /// Share of pixels with the same class (segmentation).
    #[serde(skip_serializing_if = "Option::is_none")]
    pixel_agreement: Option<f64>,
    /// Dice of int8 against float by class, pixels of all images pooled (segmentation).
    #[serde(skip_serializing_if = "Option::is_none")]
    dice: Option<ByClass<Option<f64>>>,
    /// The smallest Dice of any image, by class.
    #[serde(skip_serializing_if = "Option::is_none")]
    worst_dice: Option<ByClass<Option<f64>>>,
}

/// Dice of one class.
#[derive(Clone, Default)]
struct ClassDice {
    pooled: DiceCounts,
    worst: Option<f64>,
}

impl ClassDice {
    fn add(&mut self, coded: &[u8], float: &[u8], class: u8) {
        self.pooled.add(coded, float, class, None);
        if let Some(dice) = metrics::dice(coded, float, class, None) {
            self.worst = Some(self.worst.map_or(dice, |worst| worst.min(dice)));
        }
    }
}

/// What is compared: an image, or tensors.
enum Source {
    Image(PathBuf),
    Tensors(Vec<Tensor<f32>>),
}

/// A case: its name, and how its input comes about.
type Case = (String, Source);

impl Verify {
    pub(crate) fn run(self) -> Result<Done> {
        let recipe = self.model.recipe()?;
        let generates = find_network(&recipe, networks())?.generates();
        let files = match &self.data {
            Some(data) if !generates && !is_tensors(data) => images(data)?,
            None if !generates => {
                return Err(Error::Invalid(format!(
                    "{} reads images: give `--data` (images, or a safetensors file of inputs)",
                    recipe.network_name()
                )));
            }
            _ => vec![],
        };
        let mut build = self.model.build()?;
        // Every layer, also those whose results the program for a device does not keep.
        let target = build.program.target.clone();
        build.retarget_apart(&target)?;
        let (cases, expected) = self.cases(&build, files, generates)?;
        let mut framework = Framework::new(expected);
        let mut found = Answers::new(&build);
        let step = Step::new("comparing", cases.len() as u64);
        let inputs = cases.iter().map(|(_, source)| match source {
            Source::Image(file) => Ok(vec![build.input(&niello_imaging::load(file)?)?]),
            Source::Tensors(inputs) => Ok(inputs.clone()),
        });
        let result = verify(&build.quantized.graph, &build.program, inputs, |i, pair| {
            found.add(&build, pair);
            framework.add(&cases[i].0, &pair.inputs, pair, |scores| build.class(scores));
            step.advance();
            Ok(())
        })?;
        drop(step);
        let framework = framework.finish(self.expected.as_deref())?;
        let outputs: Vec<&str> =
            build.program.outputs.iter().map(|id| &*build.program.tensor(*id).name).collect();
        let output = found.finish(&build, &result);
        let mut warnings = of_verification(&result, &outputs, build.has_scales_of_file());
        warnings.extend(framework.iter().filter_map(Framework::warning));
        let failures = self.failures(&build, &result, &output, found.is_constant(&build));
        let rules = build.range_rules();
        let rows = |layers: Vec<LayerComparison>| {
            layers.into_iter().map(|layer| Row { rule: rules[layer.id.0].clone(), layer }).collect()
        };
        let verified = Verified {
            warnings,
            network: build.program.metadata.network.clone(),
            images: result.inputs,
            format: build.program.format(),
            seeded: build.recipe.seeded,
            ranges: build.calibrated.as_ref().map(Calibrated::summary),
            inputs: rows(result.of_inputs),
            layers: self.shown(rows(result.layers)),
            output,
            framework,
            failures,
        };
        let failure = (!verified.failures.is_empty())
            .then(|| Error::Invalid(format!("{}: {}", verified.network, verified.failures.join("; "))));
        let text = if self.json { output::json(&verified)? } else { verified.text() };
        Ok(Done { text, failure })
    }

    /// The inputs, and what another framework made of them.
    fn cases(
        &self,
        build: &Build,
        files: Vec<PathBuf>,
        generates: bool,
    ) -> Result<(Vec<Case>, BTreeMap<String, Pair>)> {
        let mut expected = match &self.expected {
            Some(path) => build.pairs(path)?,
            None => BTreeMap::new(),
        };
        let cases = match &self.data {
            Some(data) if generates || is_tensors(data) => {
                let mut cases = vec![];
                for (name, pair) in build.pairs(data)? {
                    if pair.inputs.is_empty() {
                        return Err(Error::file(data, format!("case `{name}` has an output and no input")));
                    }
                    cases.push((name.clone(), Source::Tensors(pair.inputs)));
                    if let Some(output) = pair.output {
                        expected.entry(name).or_default().output.get_or_insert(output);
                    }
                }
                cases
            }
            Some(_) => {
                let name =
                    |file: &PathBuf| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                files.into_iter().map(|file| (name(&file), Source::Image(file))).collect()
            }
            None => {
                let drawn = |i| (i, Source::Tensors(build.drawn(i as u64, i)));
                (0..build.classes.len()).map(drawn).map(|(i, s)| (i.to_string(), s)).collect()
            }
        };
        Ok((cases, expected))
    }

    /// The layers to show.
    fn shown(&self, mut rows: Vec<Row>) -> Vec<Row> {
        if let Some(worst) = self.worst {
            let harm =
                |row: &Row| match (row.layer.is_dead || row.layer.not_finite > 0, row.layer.own_sqnr_db) {
                    (true, _) => f64::NEG_INFINITY,
                    (false, db) => db.unwrap_or(f64::INFINITY),
                };
            rows.sort_by(|a, b| harm(a).total_cmp(&harm(b)));
            rows.truncate(worst);
        }
        rows
    }

    /// Why int8 is no answer, or not the one that is wanted.
    fn failures(&self, build: &Build, result: &Verification, output: &Output, constant: bool) -> Vec<String> {
        let mut failures = vec![];
        for input in result.of_inputs.iter().filter(|input| input.saturated > MOST_OF_INPUT) {
            let ((low, high), (min, max)) = (input.range, input.seen);
            let remedy = match build.has_scales_of_file() {
                true => "its scale is the file's: check the pre-processing",
                false => "calibrate with inputs like these, or set its range in `[overrides]`",
            };
            failures.push(format!(
                "{:.1} % of the input `{}` are cut off: int8 reaches from {low} to {high}, and these inputs from {min} to {max}; {remedy}",
                100.0 * input.saturated, input.name
            ));
        }
        if constant {
            failures.push("int8 gives the same output for all inputs, and float does not".into());
        } else if let Some(db) = output.sqnr_db.filter(|db| *db < LEAST_DB) {
            failures.push(format!("output SQNR {db:.1} dB: int8 is more noise than answer"));
        }
        let least =
            build.recipe.format.min_sqnr_db.filter(|least| output.sqnr_db.is_some_and(|db| db < *least));
        if let (Some(least), Some(db)) = (least, output.sqnr_db) {
            failures.push(format!("output SQNR {db:.1} dB, expected at least {least}"));
        }
        let agreement = output.top1_agreement.or(output.pixel_agreement);
        match (self.min_agreement, agreement) {
            (Some(least), Some(share)) if share < least => {
                failures.push(format!("the same class on a share of {share:.4}, expected at least {least}"));
            }
            (Some(_), None) => failures.push("`--min-agreement` needs a network that gives classes".into()),
            _ => {}
        }
        failures
    }
}

/// Below so many decibels there is as much noise as signal.
const LEAST_DB: f64 = 3.0;

/// Answers of all inputs.
struct Answers {
    same: usize,
    ties: usize,
    dice: Vec<ClassDice>,
    /// Pixels with the same class, and all.
    pixels: (usize, usize),
    /// Of each score, the smallest and the largest of all inputs: of float and of the program.
    spread: Vec<[(f32, f32); 2]>,
    inputs: usize,
}

impl Answers {
    fn new(build: &Build) -> Self {
        let dice = vec![ClassDice::default(); build.label_names().len()];
        Self { same: 0, ties: 0, dice, pixels: (0, 0), spread: vec![], inputs: 0 }
    }

    fn add(&mut self, build: &Build, pair: &compare::Pair) {
        let (float, coded) = (&pair.float[0], &pair.coded[0]);
        self.inputs += 1;
        self.spread.resize(float.data.len(), [(f32::INFINITY, f32::NEG_INFINITY); 2]);
        for (spread, values) in self.spread.iter_mut().zip(float.data.iter().zip(&coded.data)) {
            for ((min, max), x) in spread.iter_mut().zip([*values.0, *values.1]) {
                (*min, *max) = (min.min(x), max.max(x));
            }
        }
        match build.task {
            Task::Generation => {}
            Task::Segmentation => {
                let (float, coded) = (build.labels(float), build.labels(coded));
                self.dice.iter_mut().zip(0..).for_each(|(d, class)| d.add(&coded, &float, class));
                self.pixels.0 += float.iter().zip(&coded).filter(|(a, b)| a == b).count();
                self.pixels.1 += float.len();
            }
            Task::Classification => {
                let is_tie = is_tie(&coded.data);
                self.ties += is_tie as usize;
                self.same += (!is_tie && build.class(&float.data) == build.class(&coded.data)) as usize;
            }
        }
    }

    /// Whether the program gives one output for all inputs where float's differ by more than two steps.
    fn is_constant(&self, build: &Build) -> bool {
        let step = build.program.tensor(build.program.outputs[0]).format.step().unwrap_or(0.0);
        let varies = |[(min, max), _]: &[(f32, f32); 2]| max - min > 2.0 * step;
        self.inputs > 1
            && self.spread.iter().all(|[_, (min, max)]| min == max)
            && self.spread.iter().any(varies)
    }

    fn finish(&self, build: &Build, result: &Verification) -> Output {
        let names = build.label_names();
        let (classifies, segments) = (build.task == Task::Classification, build.task == Task::Segmentation);
        let same = if self.is_constant(build) { 0 } else { self.same };
        Output {
            sqnr_db: result.output.sqnr_db(),
            cosine: result.output.cosine(),
            top1_agreement: classifies.then(|| same as f64 / result.inputs as f64),
            ties: classifies.then_some(self.ties),
            pixel_agreement: segments.then(|| self.pixels.0 as f64 / self.pixels.1.max(1) as f64),
            dice: segments.then(|| ByClass::new(&names, self.dice.iter().map(|d| d.pooled.dice()))),
            worst_dice: segments.then(|| ByClass::new(&names, self.dice.iter().map(|d| d.worst))),
        }
    }
}

/// Whether no score is larger than all others.
fn is_tie(scores: &[f32]) -> bool {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.len() > 1 && scores.iter().filter(|s| **s == largest).count() > 1
}

impl Verified {
    fn text(&self) -> String {
        let cut = |share: f64| if share == 0.0 { "-".into() } else { format!("{:.4} %", 100.0 * share) };
        let rows: Vec<Vec<String>> = self
            .inputs
            .iter()
            .chain(&self.layers)
            .map(|Row { layer: l, rule }| {
                let (low, high) = l.range;
                let range = if l.scale.is_some() { format!("{low:.4} to {high:.4}") } else { String::new() };
                vec![
                    l.name.clone(),
                    l.kind.clone(),
                    l.format.into(),
                    range,
                    rule.clone(),
                    cut(l.below),
                    cut(l.above),
                    table::optional(l.sqnr_db, 1),
                    table::optional(l.own_sqnr_db, 1),
                    table::optional(l.cosine, 5),
                    table::optional(l.max_lsb, 1),
                ]
            })
            .collect();
        let headings = [
            "layer", "operator", "format", "range", "rule", "below", "above", "SQNR dB", "own dB", "cosine",
            "max LSB",
        ];
        let mut text = table::render(&headings, &rows);
        let plural = if self.images == 1 { "" } else { "s" };
        text +=
            &format!("\n{} on {} image{plural}, {} against float\n", self.network, self.images, self.format);
        if self.seeded {
            text +=
                "weights are random numbers (`--seeded`): these figures say nothing of a trained network\n";
        }
        for warning in &self.warnings {
            text += &format!("warning: {warning}\n");
        }
        if let Some(ranges) = &self.ranges {
            text += &format!("{ranges}\n");
        }
        if let Some(db) = self.output.sqnr_db {
            text += &format!("output SQNR {db:.1} dB\n");
        }
        if let Some(share) = self.output.top1_agreement {
            text += &format!("same class on {:.1} % of the images\n", 100.0 * share);
        }
        if let Some(ties @ 1..) = self.output.ties {
            text += &format!("no class on {ties} of {}: the best scores are equal\n", self.images);
        }
        if let (Some(dice), Some(worst)) = (&self.output.dice, &self.output.worst_dice) {
            for ((class, dice), (_, worst)) in dice.0.iter().zip(&worst.0) {
                let (dice, worst) = (table::optional(*dice, 4), table::optional(*worst, 4));
                text += &format!("Dice {class}: {dice} (worst image {worst})\n");
            }
        }
        if let Some(framework) = &self.framework {
            text += &framework.text();
        }
        text
    }
}
