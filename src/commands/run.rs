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
    network::Networks,
    pipeline::{Build, Task},
    recipe::Recipe,
};
use niello_imaging::{NpyData, Palette, Picture, metrics, write_label_png, write_npy, write_overlay_png};
use niello_models::Registry;
use serde::Serialize;
use std::{path::PathBuf, time::Instant};

/// Run the int8 program on a picture
#[derive(Args)]
#[command(after_help = "Examples:\n  niello run --model anam_net slice.dcm --overlay overlay.png\n  \
                        niello run --recipe covid.toml slice.png --json\n  \
                        niello run --model dccgan_generator --weights W.safetensors --seed 7 --class COVID --image made.png\n\n\
                        Prints the probability of each class, or for a segmentation its share of the picture, and of \
                        the lung where the classes are called abnormal and normal (JSON: `pixels` and `classes`).\n\n\
                        Without `--calibrate`, and for weights that do not come with the network, ranges are found on \
                        the picture itself.\n\n\
                        A generator reads no picture: it makes one from numbers that follow from `--seed`, or that are in a \
                        safetensors file (one tensor for each input), and from a class.")]
pub(crate) struct Run {
    #[command(flatten)]
    model: ModelArgs,
    /// PNG, JPEG, DICOM or NPY; for a generator a safetensors file of its inputs, or nothing
    picture: Option<PathBuf>,
    /// Seed of the numbers that a generator makes a picture from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Class, by name or index, that a generator makes a picture of; absent: the first
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// Write the picture that a generator made, its whole range from black to white
    #[arg(long, value_name = "PNG")]
    image: Option<PathBuf>,
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
    /// What was read; absent where a picture was made from drawn numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<PathBuf>,
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
        let files = [&self.labels, &self.overlay, &self.npy, &self.image];
        files.into_iter().flatten().try_for_each(|p| check_writable(p))?;
        let mut recipe = self.model.recipe()?;
        if Registry.find(&recipe.network)?.generates() {
            return self.generate(&recipe);
        }
        let Some(path) = &self.picture else {
            return Err(Error::Invalid(format!("{} reads a picture: say which", recipe.network)));
        };
        if self.class.is_some() || self.image.is_some() {
            let message = "`--class` and `--image` are for generators";
            return Err(Error::Invalid(format!("{} makes no pictures: {message}", recipe.network)));
        }
        let picture = niello_imaging::load(path)?;
        if recipe.calibrate.images.is_none() && recipe.weights.is_some() {
            let path = std::path::absolute(path).map_err(Error::io("cannot find", path))?;
            recipe = recipe.calibrate_on_files([path]);
        }
        let build = crate::args::build_with_progress(&recipe)?;
        if build.task == Task::Classification && (self.labels.is_some() || self.overlay.is_some()) {
            let message = format!("{} classifies whole pictures: there is no label map", build.program.name);
            return Err(Error::Invalid(message));
        }
        let input = build.input(&picture)?;
        let (mut answer, output) = self.infer(&build, &[input])?;
        let names = build.label_names();
        match build.task {
            Task::Classification => {
                let probabilities = build.probabilities(&output.data);
                answer.classes = ByClass::new(&names, probabilities.iter().map(|p| *p as f64));
                answer.class = names.get(build.class(&output.data)).cloned();
            }
            // Went its own way above.
            Task::Generation => {}
            Task::Segmentation => {
                let labels = build.labels(&output);
                answer.count(&names, &labels);
                self.write_maps(&build, &picture, &labels, [output.shape.h, output.shape.w])?;
            }
        }
        self.write_values(&output)?;
        if self.json { output::json(&answer) } else { Ok(answer.text()) }
    }

    /// A picture from numbers and a class.
    fn generate(&self, recipe: &Recipe) -> Result<String> {
        if self.labels.is_some() || self.overlay.is_some() {
            let message = "makes pictures: there is no label map; `--image` writes the picture";
            return Err(Error::Invalid(format!("{} {message}", recipe.network)));
        }
        let build = crate::args::build_with_progress(recipe)?;
        let class = self.class.as_deref().map_or(Ok(0), |class| class_index(&build.classes, class))?;
        let inputs = match &self.picture {
            Some(path) => {
                let mut samples = build.samples(path)?;
                let sample = samples.pop().filter(|_| samples.is_empty());
                sample.ok_or_else(|| Error::file(path, "holds several samples, expected one"))?
            }
            None => build.drawn(self.seed, class),
        };
        let (mut answer, output) = self.infer(&build, &inputs)?;
        if self.picture.is_none() {
            answer.class = build.classes.get(class).cloned();
        }
        self.write_values(&output)?;
        if let Some(path) = &self.image {
            let data = &output.data;
            let (low, high) = data.iter().fold((f32::MAX, f32::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
            let gray: Vec<u8> =
                data.iter().map(|v| (255.0 * (v - low) / (high - low)).round() as u8).collect();
            write_label_png(path, &gray, [output.shape.h, output.shape.w], None)?;
        }
        if self.json { output::json(&answer) } else { Ok(answer.text()) }
    }

    /// One inference, and what can be said of it for any network.
    fn infer(&self, build: &Build, inputs: &[Tensor<f32>]) -> Result<(Answer, Tensor<f32>)> {
        let start = Instant::now();
        let output = if self.float { float(build, inputs)? } else { int8(build, inputs)? };
        let milliseconds = start.elapsed().as_secs_f64() * 1e3;
        let answer = Answer {
            picture: self.picture.clone(),
            network: build.program.metadata.network.clone(),
            numbers: if self.float { "f32" } else { "int8" },
            milliseconds,
            classes: ByClass::default(),
            class: None,
            pixels: None,
            abnormal_percent: None,
        };
        Ok((answer, output))
    }

    fn write_values(&self, output: &Tensor<f32>) -> Result<()> {
        let Some(path) = &self.npy else { return Ok(()) };
        let shape = output.shape;
        Ok(write_npy(path, NpyData::F32(&output.data), &[shape.h, shape.w, shape.c])?)
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
        let of = self.picture.as_ref().map_or_else(|| "made".into(), |path| path.display().to_string());
        let mut text = format!("{of} ({}, {}, {:.1} ms)\n", self.network, self.numbers, self.milliseconds);
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
            _ if rows.is_empty() => String::new(),
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

/// A class by its name, or its index.
fn class_index(classes: &[String], wanted: &str) -> Result<usize> {
    let named = classes.iter().position(|name| name.eq_ignore_ascii_case(wanted));
    named
        .or_else(|| wanted.parse().ok().filter(|i| *i < classes.len()))
        .ok_or_else(|| Error::Invalid(format!("no class `{wanted}`; known: {}", classes.join(", "))))
}

fn int8(build: &Build, inputs: &[Tensor<f32>]) -> Result<Tensor<f32>> {
    let program = &build.program;
    let codes = build.codes(inputs);
    let codes: Vec<&[i8]> = codes.iter().map(|c| &c[..]).collect();
    let outputs = Executor::new(program).run(&codes)?;
    Ok(program.tensor(program.outputs[0]).dequantize(&outputs[0]))
}

fn float(build: &Build, inputs: &[Tensor<f32>]) -> Result<Tensor<f32>> {
    let mut outputs = build.quantized.graph.eval_f32(inputs)?;
    Ok(outputs.swap_remove(0))
}
