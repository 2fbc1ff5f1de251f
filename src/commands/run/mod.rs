//! `niello run`.

mod answer;
mod cam;
mod dump;
mod generate;

use self::{
    answer::Answer,
    cam::{Cam, Wanted},
    dump::Dump,
};
use super::Done;
use crate::{
    args::ModelArgs,
    inputs::{images, is_tensors, sample},
    networks,
    output::{self, ByClass, check_writable, writing},
    progress::{self, Step},
    scans::is_nifti,
};
use clap::Args;
use niello_codegen::{
    Error, Result, Tensor,
    execute::Executor,
    pipeline::{Build, Task, find_network},
    recipe::Recipe,
};
use niello_imaging::{Image, Legend, NpyData, Palette, write_label_png, write_legend_png, write_npy};
use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    time::Instant,
};

/// Run the int8 program on an image
#[derive(Args)]
#[command(after_help = "Examples:\n  niello run --model anam_net slice.dcm --overlay overlay.png\n  \
                        niello run --recipe covid.toml slice.png --json\n  \
                        niello run --model squeezenet1_1 --weights W.safetensors photo.png --cam 3 --overlay seen.png\n  \
                        niello run --model anam_net slice.dcm --cam 1 --cam-layer auto --cam-over mask --overlay seen.png\n  \
                        niello run --model anam_net slice.dcm --dump conv1_block --dump up_1 --dump-to maps\n  \
                        niello run --model dccgan_generator --weights W.safetensors --seed 7 --class COVID --image made.png\n\n\
                        Prints the probability of each class, or for a segmentation its share of the image, and of \
                        the lung where the classes are called abnormal and normal (JSON: `pixels` and `classes`).\n\n\
                        Several images, or folders, give an answer each (JSON: an array), at the cost of one build; those that cannot be read are \
                        named, and the exit status is 1.\n\n\
                        int8 needs a calibration set (`--calibrate`) or a lock, unless the weights come with the network: ranges \
                        that are found on the image that is judged say nothing of others. `--float` needs neither.\n\n\
                        A generator reads no image: it makes one from numbers that follow from `--seed`, or that are in a \
                        safetensors file (one tensor for each input), and from a class. Other networks take such a file too: that is the way for \
                        inputs that are no images.")]
pub(crate) struct Run {
    /// PNG, JPEG, DICOM or NPY, or folders of them, or `-` for standard input; or a safetensors file of one sample's inputs; for a generator that,
    /// or nothing
    #[arg(value_name = "IMAGE")]
    sources: Vec<PathBuf>,
    /// Seed of the numbers that a generator makes an image from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Class, by name or index, that a generator makes an image of; absent: the first
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// Write the image that a generator made, its whole range from black to white
    #[arg(long, value_name = "PNG")]
    image: Option<PathBuf>,
    /// Write the label map
    #[arg(long, value_name = "PNG")]
    labels: Option<PathBuf>,
    /// Write the image with the classes in colour over it and a legend with their shares below, or with `--cam` or `--cam-layer` the map of a class
    #[arg(long, value_name = "PNG")]
    overlay: Option<PathBuf>,
    /// Write the output's real values, [h, w, c]
    #[arg(long, value_name = "NPY")]
    npy: Option<PathBuf>,
    #[command(flatten)]
    cam: Cam,
    #[command(flatten)]
    dump: Dump,
    /// Use the float reference instead of int8
    #[arg(long)]
    float: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

impl Run {
    pub(crate) fn run(self) -> Result<Done> {
        let files = [&self.labels, &self.overlay, &self.npy, &self.image];
        files.into_iter().flatten().try_for_each(|p| check_writable(p))?;
        self.dump.check()?;
        self.cam.check()?;
        let recipe = self.model.recipe()?;
        if find_network(&recipe, networks())?.generates() {
            return self.generate(&recipe).map(Done::from);
        }
        self.answers(recipe)
    }

    /// Of each source.
    fn answers(&self, mut recipe: Recipe) -> Result<Done> {
        if self.class.is_some() || self.image.is_some() {
            let message = "`--class` and `--image` are for generators";
            return Err(Error::Invalid(format!("{} makes no images: {message}", recipe.network)));
        }
        let mut sources = vec![];
        for source in &self.sources {
            if source.is_dir() { sources.extend(images(source)?) } else { sources.push(source.clone()) }
        }
        let is_one = matches!(&self.sources[..], [source] if !source.is_dir());
        let Some(first) = sources.first() else {
            return Err(Error::Invalid(format!("{} reads an image: name one", recipe.network_name())));
        };
        let writes = [&self.labels, &self.overlay, &self.npy].into_iter().any(Option::is_some);
        if sources.len() > 1 && (writes || self.dump.is_wanted() || self.cam.writes()) {
            let message = "`--labels`, `--overlay`, `--npy`, `--cam-npy` and `--dump` are for one image";
            return Err(Error::Invalid(format!("{message}, got {}", sources.len())));
        }
        if is_one && self.overlay.is_some() && is_tensors(first) {
            return Err(Error::file(first, "is no image, and `--overlay` needs one"));
        }
        // Before minutes of calibration.
        let loaded = if is_one { Some(load(first)?) } else { None };
        let is_drawn = recipe.weights.is_some() || recipe.model_path().is_some();
        if self.float && recipe.calibrate.images.is_none() && is_drawn && first.as_os_str() != "-" {
            // The float reference has no ranges: any will do.
            let path = std::path::absolute(first).map_err(Error::io("cannot find", first))?;
            recipe = recipe.calibrate_on_files([path]);
        }
        recipe.output.cam |= self.cam.is_output();
        if recipe.seeded {
            progress::note("weights are random numbers (`--seeded`): the answer says nothing");
        }
        let build = crate::args::build_with_progress(&recipe)?;
        let wanted = self.cam.find(&build)?;
        let wants_labels = self.labels.is_some() || (self.overlay.is_some() && wanted.is_none());
        if build.task == Task::Classification && wants_labels {
            let name = &build.program.name;
            let message = format!(
                "{name} classifies whole images: there is no label map, only one of a class (`--cam`)"
            );
            return Err(Error::Invalid(message));
        }
        if let (true, Some(image)) = (is_one, loaded) {
            let answer = self.answer(build, first, image, wanted.as_ref())?;
            return Ok(if self.json { output::json(&answer)? } else { answer.text() }.into());
        }
        let (mut answers, mut unread) = (vec![], vec![]);
        let step = Step::new("running", sources.len() as u64);
        for source in &sources {
            let found =
                load(source).and_then(|image| self.judge(&build, source, image.as_ref(), wanted.as_ref()));
            match found {
                Ok((answer, _)) => answers.push(answer),
                Err(error) => unread.push(format!("{}: {error}", source.display())),
            }
            step.advance();
        }
        drop(step);
        unread.iter().for_each(progress::warn);
        let text = match self.json {
            true => output::json(&answers)?,
            false => answers.iter().map(Answer::text).collect::<Vec<_>>().join("\n"),
        };
        let failure = (!unread.is_empty()).then(|| {
            Error::Invalid(format!(
                "{} of {} images have no answer: {}",
                unread.len(),
                sources.len(),
                unread[0]
            ))
        });
        Ok(Done { text, failure })
    }

    /// The answer for the only source, and the files that are wanted of it.
    fn answer(
        &self,
        build: Build,
        source: &Path,
        image: Option<Image>,
        wanted: Option<&Wanted>,
    ) -> Result<Answer> {
        let dumped = self.dump.find(&build)?;
        let (mut answer, Judged { inputs, outputs, labels }) =
            self.judge(&build, source, image.as_ref(), wanted)?;
        let output = &outputs[0];
        if let Some(labels) = &labels {
            let names = build.label_names();
            let shares: Vec<f64> = answer.pixels.iter().flat_map(|p| &p.0).map(|(_, share)| *share).collect();
            let caption = answer.abnormal_percent.map(|p| format!("{p:.2} % of the lung abnormal"));
            let legend = Legend { names: &names, shares: Some(&shares), caption: caption.as_deref() };
            // A map of one class takes the overlay's place.
            let drawn = image.as_ref().filter(|_| answer.cam.is_none());
            self.write_maps(&build, drawn, labels, [output.shape.h, output.shape.w], &legend)?;
        }
        self.write_values(output)?;
        if let Some(seen) = &answer.cam {
            let drawn = self.overlay.iter().zip(&image);
            drawn.into_iter().try_for_each(|(path, image)| seen.overlay(&build, image, path))?;
            self.cam.write(seen)?;
        }
        answer.dumps = self.dump.write(build, &dumped, &inputs, self.float)?;
        Ok(answer)
    }

    /// One inference and its meaning.
    fn judge(
        &self,
        build: &Build,
        source: &Path,
        image: Option<&Image>,
        wanted: Option<&Wanted>,
    ) -> Result<(Answer, Judged)> {
        let inputs = match image {
            Some(image) => vec![build.input(image)?],
            None => sample(build, source)?,
        };
        let (mut answer, outputs) = self.infer(build, Some(source), &inputs)?;
        let output = &outputs[0];
        let names = build.label_names();
        let mut labels = None;
        match build.task {
            Task::Classification => {
                let probabilities = build.probabilities(&output.data);
                answer.classes = ByClass::new(&names, probabilities.iter().map(|p| *p as f64));
                answer.class = names.get(build.class(&output.data)).cloned();
            }
            // Another command's path.
            Task::Generation => {}
            Task::Segmentation => {
                let found = build.labels(output);
                answer.count(&names, &found);
                labels = Some(found);
            }
        }
        answer.cam = wanted.map(|wanted| self.cam.see(build, wanted, &inputs, &outputs)).transpose()?;
        Ok((answer, Judged { inputs, outputs, labels }))
    }

    /// One inference, with the part of the answer that every network has.
    fn infer(
        &self,
        build: &Build,
        source: Option<&Path>,
        inputs: &[Tensor<f32>],
    ) -> Result<(Answer, Vec<Tensor<f32>>)> {
        let start = Instant::now();
        let outputs = if self.float { float(build, inputs)? } else { int8(build, inputs)? };
        let milliseconds = start.elapsed().as_secs_f64() * 1e3;
        let answer = Answer {
            image: source.map(Path::to_path_buf),
            network: build.program.metadata.network.clone(),
            format: if self.float { "f32" } else { build.program.format() },
            milliseconds,
            classes: ByClass::default(),
            class: None,
            pixels: None,
            abnormal_percent: None,
            cam: None,
            dumps: vec![],
        };
        Ok((answer, outputs))
    }

    fn write_values(&self, output: &Tensor<f32>) -> Result<()> {
        let Some(path) = &self.npy else { return Ok(()) };
        let _writing = writing();
        let shape = output.shape;
        Ok(write_npy(path, NpyData::F32(&output.data), &[shape.h, shape.w, shape.c])?)
    }

    fn write_maps(
        &self,
        build: &Build,
        image: Option<&Image>,
        labels: &[u8],
        size: [usize; 2],
        legend: &Legend<'_>,
    ) -> Result<()> {
        let _writing = writing();
        if let Some(path) = &self.labels {
            write_label_png(path, labels, size, Some(&Palette::default()))?;
        }
        if let (Some(path), Some(image)) = (&self.overlay, image) {
            let gray = build.preprocess.view(image, size)?;
            write_legend_png(path, &gray, labels, size, &Palette::default(), legend)?;
        }
        Ok(())
    }
}

/// What an inference gave.
struct Judged {
    inputs: Vec<Tensor<f32>>,
    outputs: Vec<Tensor<f32>>,
    /// The classes of pixels.
    labels: Option<Vec<u8>>,
}

/// The image of a source; `None` if it holds tensors.
fn load(source: &Path) -> Result<Option<Image>> {
    Ok(match source {
        _ if is_tensors(source) => None,
        _ if source.as_os_str() == "-" => Some(read_input()?),
        _ if is_nifti(source) => {
            return Err(Error::file(source, "holds a volume, which `niello scan` reads"));
        }
        _ => Some(niello_imaging::load(source)?),
    })
}

/// The image in standard input.
fn read_input() -> Result<Image> {
    const NAME: &str = "standard input";
    let mut bytes = vec![];
    io::stdin().lock().read_to_end(&mut bytes).map_err(Error::io("cannot read", NAME))?;
    Ok(niello_imaging::load_bytes(NAME, &bytes)?)
}

/// A class by its name, or its index.
pub(super) fn class_index(classes: &[String], wanted: &str) -> Result<usize> {
    let named = classes.iter().position(|name| name.eq_ignore_ascii_case(wanted));
    named
        .or_else(|| wanted.parse().ok().filter(|i| *i < classes.len()))
        .ok_or_else(|| Error::Invalid(format!("no class `{wanted}`; known: {}", classes.join(", "))))
}

fn int8(build: &Build, inputs: &[Tensor<f32>]) -> Result<Vec<Tensor<f32>>> {
    let program = &build.program;
    let codes = build.codes(inputs);
    let codes: Vec<&[i8]> = codes.iter().map(|c| &c[..]).collect();
    let outputs = Executor::new(program).run(&codes)?;
    Ok(program.outputs.iter().zip(outputs).map(|(id, o)| program.tensor(*id).dequantize(&o)).collect())
}

fn float(build: &Build, inputs: &[Tensor<f32>]) -> Result<Vec<Tensor<f32>>> {
    build.quantized.graph.eval_f32(inputs)
}
