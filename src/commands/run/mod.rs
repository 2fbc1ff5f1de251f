//! `niello run`.

mod answer;
mod cam;
mod dump;
mod generate;

use self::{answer::Answer, cam::Seen, dump::Dump};
use crate::{
    args::ModelArgs,
    inputs::{is_tensors, sample},
    networks,
    output::{self, ByClass, check_writable, writing},
    progress::Step,
};
use clap::Args;
use niello_codegen::{
    Error, Result, Tensor,
    execute::Executor,
    pipeline::{Build, Task, find_network},
};
use niello_imaging::{Image, Legend, NpyData, Palette, write_label_png, write_legend_png, write_npy};
use std::{
    io::{self, Read},
    path::PathBuf,
    time::Instant,
};

/// Run the int8 program on an image
#[derive(Args)]
#[command(after_help = "Examples:\n  niello run --model anam_net slice.dcm --overlay overlay.png\n  \
                        niello run --recipe covid.toml slice.png --json\n  \
                        niello run --model squeezenet1_1 --weights W.safetensors photo.png --cam 3 --overlay seen.png\n  \
                        niello run --model anam_net slice.dcm --dump conv1_block --dump up_1 --dump-to maps\n  \
                        niello run --model dccgan_generator --weights W.safetensors --seed 7 --class COVID --image made.png\n\n\
                        Prints the probability of each class, or for a segmentation its share of the image, and of \
                        the lung where the classes are called abnormal and normal (JSON: `pixels` and `classes`).\n\n\
                        Without `--calibrate`, and for weights that do not come with the network, ranges are found on \
                        the image itself.\n\n\
                        A generator reads no image: it makes one from numbers that follow from `--seed`, or that are in a \
                        safetensors file (one tensor for each input), and from a class. Other networks take such a file too: that is the way for \
                        inputs that are no images.")]
pub(crate) struct Run {
    /// PNG, JPEG, DICOM or NPY, or `-` for standard input; or a safetensors file of one sample's inputs; for a generator that, or nothing
    #[arg(value_name = "IMAGE")]
    source: Option<PathBuf>,
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
    /// Write the image with the classes in colour over it and a legend with their shares below, or with `--cam` the map of that class
    #[arg(long, value_name = "PNG")]
    overlay: Option<PathBuf>,
    /// Write the output's real values, [h, w, c]
    #[arg(long, value_name = "NPY")]
    npy: Option<PathBuf>,
    /// Print the place in the image where this class (its name or index) was seen: the maximum of its class-activation map
    #[arg(long, value_name = "CLASS")]
    cam: Option<String>,
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
    pub(crate) fn run(self) -> Result<String> {
        let files = [&self.labels, &self.overlay, &self.npy, &self.image];
        files.into_iter().flatten().try_for_each(|p| check_writable(p))?;
        self.dump.check()?;
        self.answer()
    }

    fn answer(&self) -> Result<String> {
        let mut recipe = self.model.recipe()?;
        if find_network(&recipe, networks())?.generates() {
            return self.generate(&recipe);
        }
        let Some(path) = &self.source else {
            return Err(Error::Invalid(format!("{} reads an image: name one", recipe.network_name())));
        };
        if self.class.is_some() || self.image.is_some() {
            let message = "`--class` and `--image` are for generators";
            return Err(Error::Invalid(format!("{} makes no images: {message}", recipe.network)));
        }
        let piped = path.as_os_str() == "-";
        let image = match piped {
            _ if is_tensors(path) => None,
            true => Some(read_input()?),
            false => Some(niello_imaging::load(path)?),
        };
        if image.is_none() && self.overlay.is_some() {
            return Err(Error::file(path, "is no image, and `--overlay` needs one"));
        }
        let is_file = recipe.model_path().is_some() && !piped;
        if recipe.calibrate.images.is_none() && (recipe.weights.is_some() || is_file) {
            if piped {
                let message = "standard input: ranges cannot be found on it: give images to `--calibrate`";
                return Err(Error::Invalid(message.into()));
            }
            let path = std::path::absolute(path).map_err(Error::io("cannot find", path))?;
            recipe = recipe.calibrate_on_files([path]);
        }
        recipe.output.cam |= self.cam.is_some();
        let build = crate::args::build_with_progress(&recipe)?;
        let class = self.cam.as_deref().map(|class| class_index(&build.classes, class)).transpose()?;
        let wants_labels = self.labels.is_some() || (self.overlay.is_some() && class.is_none());
        if build.task == Task::Classification && wants_labels {
            let name = &build.program.name;
            let message = format!(
                "{name} classifies whole images: there is no label map, only one of a class (`--cam`)"
            );
            return Err(Error::Invalid(message));
        }
        let dumped = self.dump.find(&build)?;
        let inputs = match &image {
            Some(image) => vec![build.input(image)?],
            None => sample(&build, path)?,
        };
        let (mut answer, outputs) = self.infer(&build, &inputs)?;
        let output = &outputs[0];
        let names = build.label_names();
        match build.task {
            Task::Classification => {
                let probabilities = build.probabilities(&output.data);
                answer.classes = ByClass::new(&names, probabilities.iter().map(|p| *p as f64));
                answer.class = names.get(build.class(&output.data)).cloned();
            }
            // Handled above.
            Task::Generation => {}
            Task::Segmentation => {
                let labels = build.labels(output);
                answer.count(&names, &labels);
                let shares: Vec<f64> =
                    answer.pixels.iter().flat_map(|p| &p.0).map(|(_, share)| *share).collect();
                let caption = answer.abnormal_percent.map(|p| format!("{p:.2} % of the lung abnormal"));
                let legend = Legend { names: &names, shares: Some(&shares), caption: caption.as_deref() };
                self.write_maps(&build, image.as_ref(), &labels, [output.shape.h, output.shape.w], &legend)?;
            }
        }
        self.write_values(output)?;
        if let (Some(class), Some(map)) = (class, outputs.last()) {
            let seen = Seen::new(&build, class, map);
            self.overlay
                .iter()
                .zip(&image)
                .try_for_each(|(path, image)| seen.overlay(&build, image, path))?;
            answer.cam = Some(seen);
        }
        answer.dumps = self.dump.write(build, &dumped, &inputs, self.float)?;
        if self.json { output::json(&answer) } else { Ok(answer.text()) }
    }

    /// One inference, with the part of the answer that every network has.
    fn infer(&self, build: &Build, inputs: &[Tensor<f32>]) -> Result<(Answer, Vec<Tensor<f32>>)> {
        let step = Step::new("running", 0);
        let start = Instant::now();
        let outputs = if self.float { float(build, inputs)? } else { int8(build, inputs)? };
        let milliseconds = start.elapsed().as_secs_f64() * 1e3;
        drop(step);
        let answer = Answer {
            image: self.source.clone(),
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

/// The image in standard input.
fn read_input() -> Result<Image> {
    const NAME: &str = "standard input";
    let mut bytes = vec![];
    io::stdin().lock().read_to_end(&mut bytes).map_err(Error::io("cannot read", NAME))?;
    Ok(niello_imaging::load_bytes(NAME, &bytes)?)
}

/// A class by its name, or its index.
fn class_index(classes: &[String], wanted: &str) -> Result<usize> {
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
