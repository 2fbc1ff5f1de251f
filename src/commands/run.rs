//! `niello run`.

use crate::{
    args::ModelArgs,
    output::{self, ByClass, check_writable},
    table,
};
use clap::Args;
use niello_codegen::{
    Error, Result, Tensor,
    execute::Executor,
    pipeline::{Build, Task},
};
use niello_imaging::{NpyData, Palette, Picture, metrics, write_label_png, write_npy, write_overlay_png};
use serde::Serialize;
use std::{path::PathBuf, time::Instant};

/// Run the int8 program on a picture
#[derive(Args)]
#[command(after_help = "Examples:\n  niello run --model anam_net slice.dcm --overlay overlay.png\n  \
                        niello run --recipe covid.toml slice.png --json\n\n\
                        Prints the probability of each class, or for a segmentation its share of the picture, and of \
                        the lung where the classes are called abnormal and normal (JSON: `pixels` and `classes`).\n\n\
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
    /// Probability of each class; or its share of the lung, or of the picture where the classes know of no lung.
    classes: ByClass<f64>,
    /// The most probable class of the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    /// Share of the picture of each class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pixels: Option<ByClass<f64>>,
    /// Percent of abnormal lung: abnormal / (abnormal + normal).
    #[serde(skip_serializing_if = "Option::is_none")]
    abnormal_percent: Option<f64>,
}

impl Run {
    pub(crate) fn run(self) -> Result<String> {
        [&self.labels, &self.overlay, &self.npy].into_iter().flatten().try_for_each(|p| check_writable(p))?;
        let picture = niello_imaging::load(&self.picture)?;
        let mut recipe = self.model.recipe()?;
        if recipe.calibrate.images.is_none() && recipe.weights.is_some() {
            let path = std::path::absolute(&self.picture).map_err(Error::io("cannot find", &self.picture))?;
            recipe = recipe.calibrate_on_files([path]);
        }
        let build = crate::args::build_with_progress(&recipe)?;
        if build.task == Task::Classification && (self.labels.is_some() || self.overlay.is_some()) {
            let message = format!("{} classifies whole pictures: there is no label map", build.program.name);
            return Err(Error::Invalid(message));
        }
        let input = build.input(&picture)?;
        let start = Instant::now();
        let output = if self.float { float(&build, &input)? } else { int8(&build, &input)? };
        let milliseconds = start.elapsed().as_secs_f64() * 1e3;
        let mut answer = Answer {
            picture: self.picture.clone(),
            network: build.program.metadata.network.clone(),
            numbers: if self.float { "f32" } else { "int8" },
            milliseconds,
            classes: ByClass::default(),
            class: None,
            pixels: None,
            abnormal_percent: None,
        };
        let names = build.label_names();
        match build.task {
            Task::Classification => {
                let probabilities = build.probabilities(&output.data);
                answer.classes = ByClass::new(&names, probabilities.iter().map(|p| *p as f64));
                answer.class = names.get(build.class(&output.data)).cloned();
            }
            Task::Segmentation => {
                let labels = build.labels(&output);
                answer.count(&names, &labels);
                self.write_maps(&build, &picture, &labels, [output.shape.h, output.shape.w])?;
            }
        }
        if let Some(path) = &self.npy {
            let shape = output.shape;
            write_npy(path, NpyData::F32(&output.data), &[shape.h, shape.w, shape.c])?;
        }
        if self.json { output::json(&answer) } else { Ok(answer.text()) }
    }

    fn write_maps(&self, build: &Build, picture: &Picture, labels: &[u8], size: [usize; 2]) -> Result<()> {
        if let Some(path) = &self.labels {
            write_label_png(path, labels, size, Some(&Palette::default()))?;
        }
        if let Some(path) = &self.overlay {
            let gray = build.preprocess.view(picture, size)?;
            write_overlay_png(path, &gray, labels, size, &Palette::default())?;
        }
        Ok(())
    }
}

impl Answer {
    /// Shares of a label map.
    fn count(&mut self, names: &[String], labels: &[u8]) {
        let counts = metrics::class_counts(labels, names.len());
        let pixels = ByClass::new(names, counts.iter().map(|n| *n as f64 / labels.len() as f64));
        let find = |word: &str| names.iter().position(|n| n.to_lowercase().starts_with(word));
        self.classes = pixels.clone();
        if let (Some(abnormal), Some(normal)) = (find("abnormal"), find("normal")) {
            let share = metrics::abnormal_share(counts[abnormal], counts[normal]);
            self.abnormal_percent = share.map(|s| 100.0 * s);
            self.classes.0.iter_mut().for_each(|(_, share)| *share = 0.0);
            if let Some(share) = share {
                self.classes.0[abnormal].1 = share;
                self.classes.0[normal].1 = 1.0 - share;
            }
        }
        self.pixels = Some(pixels);
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{} ({}, {}, {:.1} ms)\n",
            self.picture.display(),
            self.network,
            self.numbers,
            self.milliseconds
        );
        let of_lung = self.abnormal_percent.is_some();
        let rows: Vec<Vec<String>> = self
            .classes
            .0
            .iter()
            .enumerate()
            .map(|(i, (name, share))| {
                let mut row = vec![name.clone()];
                if let Some(pixels) = &self.pixels {
                    row.push(table::percent(Some(pixels.0[i].1)));
                    if of_lung {
                        row.push(table::percent((*share > 0.0).then_some(*share)));
                    }
                } else {
                    row.push(table::percent(Some(*share)));
                }
                row
            })
            .collect();
        text += &match (&self.class, of_lung) {
            (Some(_), _) => table::render(&["class", "probability"], &rows),
            (None, true) => table::render(&["class", "of the picture", "of the lung"], &rows),
            (None, false) => table::render(&["class", "of the picture"], &rows),
        };
        if let Some(class) = &self.class {
            text += &format!("\nclass: {class}\n");
        }
        if let Some(percent) = self.abnormal_percent {
            text += &format!("\nabnormal share of the lung: {percent:.2} %\n");
        }
        text
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
