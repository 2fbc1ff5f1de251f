//! `niello verify`.

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
        compare::{LayerComparison, verify},
        warnings::{Warning, of_verification},
    },
    pipeline::{Calibrated, Task, find_network},
};
use niello_imaging::metrics::{self, DiceCounts};
use serde::Serialize;
use std::path::PathBuf;

/// Compare int8 with float, layer by layer and at the output
#[derive(Args)]
#[command(
    after_help = "Example:\n  niello verify --model squeezenet1_0 --classes 3 --weights W.safetensors \
                        --input 224x224 \\\n    --preprocess imagenet --calibrate slices/ --data slices/ --format int8 --json"
)]
pub(crate) struct Verify {
    /// Images to compare on: a folder, or one image; or a safetensors file of inputs (for a generator, absent: drawn ones)
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    model: BuildArgs,
}

#[derive(Serialize)]
struct Verified {
    network: String,
    images: usize,
    format: &'static str,
    /// The lock that the ranges come from, or that they were calibrated.
    #[serde(skip_serializing_if = "Option::is_none")]
    ranges: Option<String>,
    layers: Vec<LayerComparison>,
    /// Warnings about the result.
    warnings: Vec<Warning>,
    output: Output,
}

#[derive(Serialize)]
struct Output {
    /// SQNR of the network's output.
    sqnr_db: Option<f64>,
    /// Cosine of the angle between both outputs.
    cosine: Option<f64>,
    /// Share of images with the same class (classification).
    #[serde(skip_serializing_if = "Option::is_none")]
    top1_agreement: Option<f64>,
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

impl Verify {
    pub(crate) fn run(self) -> Result<String> {
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
        let names = build.label_names();
        let segmentation = build.task == Task::Segmentation;
        let samples = match &self.data {
            Some(data) if generates || is_tensors(data) => build.samples(data)?,
            _ => vec![],
        };
        let inputs: Box<dyn Iterator<Item = Result<Vec<Tensor<f32>>>> + '_> = match &self.data {
            Some(_) if files.is_empty() => Box::new(samples.iter().cloned().map(Ok)),
            None => Box::new((0..).take(build.classes.len()).map(|i| Ok(build.drawn(i as u64, i)))),
            Some(_) => Box::new(files.iter().map(|f| Ok(vec![build.input(&niello_imaging::load(f)?)?]))),
        };
        let mut same = 0;
        let mut dice = vec![ClassDice::default(); names.len()];
        let total = match &self.data {
            None => build.classes.len(),
            Some(_) => files.len() + samples.len(),
        };
        let step = Step::new("comparing", total as u64);
        let result = verify(&build.quantized.graph, &build.program, inputs, |_, pair| {
            if segmentation {
                let (float, coded) = (build.labels(&pair.float[0]), build.labels(&pair.coded[0]));
                dice.iter_mut().zip(0..).for_each(|(d, class)| d.add(&coded, &float, class));
            } else if !generates {
                same += (build.class(&pair.float[0].data) == build.class(&pair.coded[0].data)) as usize;
            }
            step.advance();
            Ok(())
        })?;
        drop(step);
        let output = Output {
            sqnr_db: result.output.sqnr_db(),
            cosine: result.output.cosine(),
            top1_agreement: (build.task == Task::Classification).then(|| same as f64 / result.inputs as f64),
            dice: segmentation.then(|| ByClass::new(&names, dice.iter().map(|d| d.pooled.dice()))),
            worst_dice: segmentation.then(|| ByClass::new(&names, dice.iter().map(|d| d.worst))),
        };
        let outputs: Vec<&str> =
            build.program.outputs.iter().map(|id| &*build.program.tensor(*id).name).collect();
        let verified = Verified {
            warnings: of_verification(&result, &outputs, build.has_scales_of_file()),
            network: build.program.metadata.network.clone(),
            images: result.inputs,
            format: build.program.format(),
            ranges: build.calibrated.as_ref().map(Calibrated::summary),
            layers: result.layers,
            output,
        };
        if self.json { output::json(&verified) } else { Ok(verified.text()) }
    }
}

impl Verified {
    fn text(&self) -> String {
        let rows: Vec<Vec<String>> = self
            .layers
            .iter()
            .map(|l| {
                vec![
                    l.name.clone(),
                    l.kind.clone(),
                    l.format.into(),
                    table::optional(l.sqnr_db, 1),
                    table::optional(l.cosine, 5),
                    table::optional(l.max_lsb, 1),
                    format!("{:.4} %", 100.0 * l.saturated),
                ]
            })
            .collect();
        let mut text = table::render(
            &["layer", "operator", "format", "SQNR dB", "cosine", "max LSB", "saturated"],
            &rows,
        );
        let plural = if self.images == 1 { "" } else { "s" };
        text +=
            &format!("\n{} on {} image{plural}, {} against float\n", self.network, self.images, self.format);
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
        if let (Some(dice), Some(worst)) = (&self.output.dice, &self.output.worst_dice) {
            for ((class, dice), (_, worst)) in dice.0.iter().zip(&worst.0) {
                let (dice, worst) = (table::optional(*dice, 4), table::optional(*worst, 4));
                text += &format!("Dice {class}: {dice} (worst image {worst})\n");
            }
        }
        text
    }
}
