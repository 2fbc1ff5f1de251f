//! A comparison as a whole: rows of layers, answers, warnings, failures.

use super::{
    answers::{Answers, Output},
    cases::{Given, Source},
    framework::Framework,
};
use crate::{progress::Step, table};
use niello_codegen::{
    Error, Result,
    check::{
        compare::{LayerComparison, Pair, Verification, verify},
        warnings::{MOST_OF_INPUT, Warning, of_verification},
    },
    pipeline::{Build, Calibrated},
};
use serde::Serialize;
use std::{cmp::Ordering, path::Path};

/// A layer, with what chose its range.
#[derive(Serialize)]
pub(crate) struct Row {
    #[serde(flatten)]
    pub(crate) layer: LayerComparison,
    /// The rule that chose the range.
    pub(crate) rule: String,
}

/// The whole comparison.
#[derive(Serialize)]
pub(crate) struct Verified {
    network: String,
    pub(crate) images: usize,
    pub(crate) format: &'static str,
    /// Whether the weights are random numbers.
    pub(crate) seeded: bool,
    /// The lock that the ranges come from, or that they were calibrated.
    #[serde(skip_serializing_if = "Option::is_none")]
    ranges: Option<String>,
    pub(crate) inputs: Vec<Row>,
    pub(crate) layers: Vec<Row>,
    /// Warnings about the result.
    pub(crate) warnings: Vec<Warning>,
    pub(crate) output: Output,
    /// Float beside another framework.
    #[serde(skip_serializing_if = "Option::is_none")]
    framework: Option<Framework>,
    /// Why the exit status is 1.
    pub(crate) failures: Vec<String>,
}

/// What a comparison is held to, and how much of it is shown.
#[derive(Clone, Copy, Default)]
pub(crate) struct Limits {
    /// So many layers, those with the largest errors of their own; absent: all, as they run.
    pub(crate) worst: Option<usize>,
    /// The least share of images or pixels with the class that float gives.
    pub(crate) min_agreement: Option<f64>,
}

/// A case that has been compared.
pub(crate) struct Compared<'a> {
    pub(crate) build: &'a Build,
    pub(crate) name: &'a str,
    /// The image's file, if it is one.
    pub(crate) image: Option<&'a Path>,
    pub(crate) pair: &'a Pair,
}

impl Given<'_> {
    /// Compares on all of it; `each` sees every case. The build's program becomes one that keeps the result of every layer.
    ///
    /// # Errors
    /// Data that cannot be read, or does not fit the network.
    pub(crate) fn compare(
        &self,
        build: &mut Build,
        limits: Limits,
        mut each: impl FnMut(&Compared<'_>) -> Result<()>,
    ) -> Result<Verified> {
        // Every layer, also those whose results the program for a device does not keep.
        let target = build.program.target.clone();
        build.retarget_apart(&target)?;
        let build = &*build;
        let (cases, expected) = self.cases(build)?;
        let mut framework = Framework::new(expected);
        let mut found = Answers::new(build);
        let step = Step::new("comparing", cases.len() as u64);
        let inputs = cases.iter().map(|(_, source)| source.inputs(build));
        let result = verify(&build.quantized.graph, &build.program, inputs, |i, pair| {
            let (name, source) = &cases[i];
            found.add(build, pair);
            framework.add(name, &pair.inputs, pair, |scores| build.class(scores));
            let image = if let Source::Image(file) = source { Some(&**file) } else { None };
            each(&Compared { build, name, image, pair })?;
            step.advance();
            Ok(())
        })?;
        drop(step);
        let framework = framework.finish(self.expected)?;
        let outputs: Vec<&str> =
            build.program.outputs.iter().map(|id| &*build.program.tensor(*id).name).collect();
        let output = found.finish(build, &result);
        let mut warnings = of_verification(&result, &outputs, build.has_scales_of_file());
        warnings.extend(framework.iter().filter_map(Framework::warning));
        let failures = limits.failures(build, &result, &output, found.is_constant(build));
        let rules = build.range_rules();
        let rows = |layers: Vec<LayerComparison>| {
            layers.into_iter().map(|layer| Row { rule: rules[layer.id.0].clone(), layer }).collect()
        };
        Ok(Verified {
            warnings,
            network: build.program.metadata.network.clone(),
            images: result.inputs,
            format: build.program.format(),
            seeded: build.recipe.seeded,
            ranges: build.calibrated.as_ref().map(Calibrated::summary),
            inputs: rows(result.of_inputs),
            layers: limits.shown(rows(result.layers)),
            output,
            framework,
            failures,
        })
    }
}

/// Below so many decibels there is as much noise as signal.
const LEAST_DB: f64 = 3.0;

impl Limits {
    /// The layers to show.
    fn shown(&self, mut rows: Vec<Row>) -> Vec<Row> {
        if let Some(worst) = self.worst {
            rows.sort_by(by_harm);
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

impl Row {
    /// How bad the layer is by itself: small is bad.
    fn rank(&self) -> f64 {
        match (self.layer.is_dead || self.layer.not_finite > 0, self.layer.own_sqnr_db) {
            (true, _) => f64::NEG_INFINITY,
            (false, db) => db.unwrap_or(f64::INFINITY),
        }
    }
}

/// The worst rows first: those with the largest errors of their own.
pub(crate) fn by_harm(a: &Row, b: &Row) -> Ordering {
    a.rank().total_cmp(&b.rank())
}

impl Verified {
    /// The error that the exit status reports.
    pub(crate) fn failure(&self) -> Option<Error> {
        let failures = self.failures.join("; ");
        (!failures.is_empty()).then(|| Error::Invalid(format!("{}: {failures}", self.network)))
    }

    /// As text.
    pub(crate) fn text(&self) -> String {
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
