//! `niello run`.

use crate::{args::ModelArgs, table};
use clap::Args;
use niello_codegen::{
    Error, Result, Tensor,
    execute::Executor,
    pipeline::{Build, Task},
};
use niello_imaging::{NpyData, Palette, Picture, metrics, write_label_png, write_npy, write_overlay_png};
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf, time::Instant};

/// Run the int8 program on a picture
#[derive(Args)]
#[command(after_help = "Examples:\n  niello run --model anam_net slice.dcm --overlay overlay.png\n  \
                        niello run --recipe covid.toml slice.png --json\n\n\
                        Without `--calibrate`, and for weights that do not come with the network, ranges are found on \
                        the picture itself.")]
pub(crate) struct Run {
    #[command(flatten)]
    model: ModelArgs,
    /// PNG, JPEG, DICOM or NPY
    picture: PathBuf,
    /// Write the label map
    #[arg(long, value_name = "PNG")]
    labels: Option<PathBuf>,
    /// Write the picture with the classes in colour over it
    #[arg(long, value_name = "PNG")]
    overlay: Option<PathBuf>,
    /// Write the output's real values, [h, w, c]
    #[arg(long, value_name = "NPY")]
    npy: Option<PathBuf>,
    /// Use the float reference instead of int8
    #[arg(long)]
    float: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer {
    picture: PathBuf,
    network: String,
    numbers: &'static str,
    milliseconds: f64,
    /// Probability of each class, or its share of the pixels.
    classes: BTreeMap<String, f64>,
    /// The most probable class of the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    /// Percent of abnormal lung: abnormal / (abnormal + normal).
    #[serde(skip_serializing_if = "Option::is_none")]
    abnormal_percent: Option<f64>,
}

impl Run {
    pub(crate) fn run(self) -> Result<()> {
        let picture = niello_imaging::load(&self.picture)?;
        let mut recipe = self.model.recipe()?;
        if !ModelArgs::names_calibration(&recipe) && recipe.weights.is_some() {
            let path = std::path::absolute(&self.picture).map_err(Error::io("cannot find", &self.picture))?;
            recipe = recipe.calibrate_on_files([path]);
        }
        let build = crate::args::build_with_progress(&recipe)?;
        let input = build.input(&picture)?;
        let start = Instant::now();
        let output = if self.float { float(&build, &input)? } else { int8(&build, &input)? };
        let milliseconds = start.elapsed().as_secs_f64() * 1e3;
        let labels = build.labels(&output);
        self.write(&build, &picture, &output, &labels)?;
        let answer = self.answer(&build, &output, &labels, milliseconds);
        if self.json { super::print_json(&answer) } else { Ok(answer.print()) }
    }

    fn write(&self, build: &Build, picture: &Picture, output: &Tensor<f32>, labels: &[u8]) -> Result<()> {
        let size = [output.shape.h, output.shape.w];
        let segmentation = build.task == Task::Segmentation;
        if !segmentation && (self.labels.is_some() || self.overlay.is_some()) {
            let message = format!("{} classifies whole pictures: there is no label map", build.program.name);
            return Err(Error::Invalid(message));
        }
        if let Some(path) = &self.labels {
            write_label_png(path, labels, size, Some(&Palette::default()))?;
        }
        if let Some(path) = &self.overlay {
            let gray = build.preprocess.view(picture, size)?;
            write_overlay_png(path, &gray, labels, size, &Palette::default())?;
        }
        if let Some(path) = &self.npy {
            write_npy(path, NpyData::F32(&output.data), &[output.shape.h, output.shape.w, output.shape.c])?;
        }
        Ok(())
    }

    fn answer(&self, build: &Build, output: &Tensor<f32>, labels: &[u8], milliseconds: f64) -> Answer {
        let names = build.label_names();
        let mut answer = Answer {
            picture: self.picture.clone(),
            network: build.program.metadata.network.clone(),
            numbers: if self.float { "f32" } else { "int8" },
            milliseconds,
            classes: BTreeMap::new(),
            class: None,
            abnormal_percent: None,
        };
        match build.task {
            Task::Classification => {
                let probabilities = build.probabilities(&output.data);
                answer.class = names.get(labels[0] as usize).cloned();
                answer.classes =
                    build.classes.iter().cloned().zip(probabilities.iter().map(|p| *p as f64)).collect();
            }
            Task::Segmentation => {
                let counts = metrics::class_counts(labels, names.len());
                let total = labels.len() as f64;
                answer.classes =
                    names.iter().cloned().zip(counts.iter().map(|n| *n as f64 / total)).collect();
                let find = |word: &str| names.iter().position(|n| n.to_lowercase().starts_with(word));
                if let (Some(abnormal), Some(normal)) = (find("abnormal"), find("normal")) {
                    let share = metrics::abnormal_share(counts[abnormal], counts[normal]);
                    answer.abnormal_percent = share.map(|s| 100.0 * s);
                }
            }
        }
        answer
    }
}

impl Answer {
    fn print(&self) {
        println!(
            "{} ({}, {}, {:.1} ms)",
            self.picture.display(),
            self.network,
            self.numbers,
            self.milliseconds
        );
        let rows: Vec<Vec<String>> = self
            .classes
            .iter()
            .map(|(name, share)| vec![name.clone(), format!("{:.2} %", 100.0 * share)])
            .collect();
        table::print(&["class", if self.class.is_some() { "probability" } else { "share" }], &rows);
        if let Some(class) = &self.class {
            println!("\nclass: {class}");
        }
        if let Some(percent) = self.abnormal_percent {
            println!("\nabnormal share of the lung: {percent:.2} %");
        }
    }
}

fn int8(build: &Build, input: &Tensor<f32>) -> Result<Tensor<f32>> {
    let program = &build.program;
    let codes = program.tensor(program.inputs[0]).quantize(&input.data);
    let outputs = Executor::new(program).run(&[&codes])?;
    Ok(program.tensor(program.outputs[0]).dequantize(&outputs[0]))
}

fn float(build: &Build, input: &Tensor<f32>) -> Result<Tensor<f32>> {
    let mut outputs = build.quantized.graph.eval_f32(std::slice::from_ref(input))?;
    Ok(outputs.swap_remove(0))
}
