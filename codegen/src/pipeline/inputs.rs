//! Samples of a network's inputs: from images, from a file of tensors, or drawn.

use super::{Build, Ends, Task};
use crate::{
    Graph, Tensor,
    error::{Error, Result},
    format::Format,
    graph::ValueId,
    import::{Element, End, network::Network},
    recipe::{CalibrationSet, Recipe},
    tensor::Shape,
    weights::{NamedTensor, read_tensors_of_kinds, seeded_values, sha256_of},
};
use niello_imaging::{Image, Preprocess};
use niello_kernels::Float;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Where calibration inputs come from.
pub(super) enum Inputs<'a> {
    Images {
        files: Vec<PathBuf>,
        preprocess: &'a Preprocess,
    },
    Bundled {
        files: Vec<(&'static str, &'static [u8])>,
        preprocess: &'a Preprocess,
    },
    Tensors {
        samples: Vec<Vec<Tensor<f32>>>,
        sha256: String,
    },
    /// Uniform in [-2, 2), so many; each with a label of its own, one of so many.
    Seeded {
        count: usize,
        labels: usize,
    },
    /// Of the standard normal distribution, for each label.
    Normal {
        labels: usize,
    },
}

/// Keys of the first inputs that seeded networks are calibrated on; the others have their index.
const SEEDED_INPUTS: [&str; 2] = ["first", "second"];
/// Samples for each label that generators are calibrated on where nothing is given.
const SAMPLES_PER_LABEL: usize = 4;

impl Inputs<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Inputs::Images { files, .. } => files.len(),
            Inputs::Bundled { files, .. } => files.len(),
            Inputs::Tensors { samples, .. } => samples.len(),
            Inputs::Seeded { count, .. } => *count,
            Inputs::Normal { labels } => SAMPLES_PER_LABEL * labels,
        }
    }

    /// SHA-256 of the files: of the hashes of each, where they are images. Empty for drawn inputs, which follow from the recipe.
    pub(super) fn sha256(&self) -> Result<String> {
        let hashes: String = match self {
            Inputs::Images { files, .. } => files
                .iter()
                .map(|file| Ok(sha256_of(&std::fs::read(file).map_err(Error::io("cannot read", file))?)))
                .collect::<Result<_>>()?,
            Inputs::Bundled { files, .. } => files.iter().map(|(_, bytes)| sha256_of(bytes)).collect(),
            Inputs::Tensors { sha256, .. } => return Ok(sha256.clone()),
            Inputs::Seeded { .. } | Inputs::Normal { .. } => return Ok(String::new()),
        };
        Ok(sha256_of(hashes.as_bytes()))
    }

    /// One tensor for every input of `graph`, sample by sample.
    pub(super) fn load(&self, graph: &Graph) -> impl Iterator<Item = Result<Vec<Tensor<f32>>>> {
        let shape = graph.shape(graph.inputs[0]);
        (0..self.len()).map(move |i| match self {
            Inputs::Images { files, preprocess } => {
                image_input(&niello_imaging::load(&files[i])?, preprocess, shape).map(|t| vec![t])
            }
            Inputs::Bundled { files, preprocess } => {
                let (name, bytes) = files[i];
                image_input(&niello_imaging::load_bytes(name, bytes)?, preprocess, shape).map(|t| vec![t])
            }
            Inputs::Tensors { samples, .. } => Ok(samples[i].clone()),
            Inputs::Seeded { labels, .. } => {
                let key = SEEDED_INPUTS.get(i).map_or_else(|| i.to_string(), |key| key.to_string());
                Ok(sample(graph, &key, i % labels, |key| seeded_values(key).map(|v| 2.0 * v)))
            }
            Inputs::Normal { labels } => Ok(normal_sample(graph, &i.to_string(), i % labels)),
        })
    }
}

/// The inputs that ranges are found on: what the recipe names, else what comes with the network, else, for seeded weights and
/// for networks that read no images, drawn ones.
pub(super) fn calibration_inputs<'a>(
    recipe: &Recipe,
    network: &dyn Network,
    preprocess: &'a Preprocess,
    graph: &Graph,
    ends: &Ends,
    classes: usize,
) -> Result<Inputs<'a>> {
    let labels = if graph.inputs.iter().any(|id| graph.holds_labels(*id)) { classes.max(1) } else { 1 };
    match recipe.calibration_set()? {
        Some(CalibrationSet::Images(_)) if network.generates() => Err(Error::Invalid(format!(
            "{}: reads no images: calibrate on a safetensors file of inputs, or name none for drawn ones",
            network.name()
        ))),
        Some(CalibrationSet::Images(files)) => Ok(Inputs::Images { files, preprocess }),
        Some(CalibrationSet::Tensors(path)) => {
            let samples = read_samples(&path, graph, ends, &[])?;
            let bytes = std::fs::read(&path).map_err(Error::io("cannot read", &path))?;
            Ok(Inputs::Tensors { samples, sha256: sha256_of(&bytes) })
        }
        None if recipe.seeded => Ok(Inputs::Seeded { count: SEEDED_INPUTS.len().max(labels), labels }),
        None if network.generates() => Ok(Inputs::Normal { labels }),
        None => match network.bundled() {
            Some(bundled) if recipe.weights.is_none() => {
                Ok(Inputs::Bundled { files: bundled.calibration, preprocess })
            }
            _ => Err(Error::Invalid(
                "int8 needs sample inputs to find the ranges of activations: give a folder of images or a \
                 safetensors file of inputs (`[calibrate] images` in a recipe, `--calibrate`)"
                    .into(),
            )),
        },
    }
}

/// One tensor for every input of `graph`: `label` where labels are read, else numbers from the stream of `key` (of `key` and the
/// input's name, for all but the first input).
fn sample<I: Iterator<Item = f64>>(
    graph: &Graph,
    key: &str,
    label: usize,
    numbers: impl Fn(&str) -> I,
) -> Vec<Tensor<f32>> {
    let one = |(i, id): (usize, &ValueId)| {
        let shape = graph.shape(*id);
        if graph.holds_labels(*id) {
            return Tensor::filled(shape, label as f32);
        }
        let name = &graph.values[id.0].name;
        let key = if i == 0 { key.to_string() } else { format!("{key} {name}") };
        Tensor { shape, data: numbers(&key).take(shape.len()).map(|v| v as f32).collect() }
    };
    graph.inputs.iter().enumerate().map(one).collect()
}

/// As [`sample`], with numbers of the standard normal distribution, by the method of Box and Muller (Annals of Mathematical
/// Statistics 29, 1958).
pub(super) fn normal_sample(graph: &Graph, key: &str, label: usize) -> Vec<Tensor<f32>> {
    sample(graph, key, label, |key| {
        let mut uniform = seeded_values(key);
        // (0, 1] and [-pi, pi).
        std::iter::from_fn(move || Some((1.0 - (uniform.next()? + 1.0) / 2.0, uniform.next()?)))
            .map(|(u, v)| libm::sqrt(-2.0 * libm::log(u)) * libm::cos(std::f64::consts::PI * v))
    })
}

/// The samples of a safetensors file. For a network of one input every tensor is one; for others the tensors `SAMPLE/INPUT` with the
/// inputs' names (or `INPUT`, where there is one sample). Shapes are those that a model's file declares, else PyTorch's: `[h, w]`,
/// `[c, h, w]` or `[1, c, h, w]`, of vectors `[c]` or `[1, c]`. Integers are codes where a file declares codes and `formats` has their scale.
pub(super) fn read_samples(
    path: &Path,
    graph: &Graph,
    ends: &Ends,
    formats: &[Format],
) -> Result<Vec<Vec<Tensor<f32>>>> {
    let tensors = read_tensors_of_kinds(path)?;
    if tensors.is_empty() {
        return Err(Error::file(path, "holds no tensors, expected inputs"));
    }
    let inputs = given("input", graph, &graph.inputs, &ends.inputs, formats);
    if let [input] = &inputs[..] {
        return tensors.iter().map(|(name, t)| Ok(vec![as_given(path, name, t, input)?])).collect();
    }
    let mut samples: BTreeMap<&str, OfInputs<'_>> = BTreeMap::new();
    for (name, tensor) in &tensors {
        let of = |Given { end, .. }: &Given| {
            Some((name.strip_suffix(&end.name)?.strip_suffix('/')?, &name[name.len() - end.name.len()..]))
        };
        let declared = inputs.iter().filter_map(of).min_by_key(|(sample, _)| sample.len());
        let whole = inputs.iter().any(|input| input.end.name == *name).then_some(("", name.as_str()));
        let (sample, input) = whole.or(declared).or(name.rsplit_once('/')).unwrap_or(("", name));
        samples.entry(sample).or_default().insert(input, (name, tensor));
    }
    let whole = |(sample, mut tensors): (&str, OfInputs<'_>)| {
        let mut found = vec![];
        for input in &inputs {
            let Some((name, tensor)) = tensors.remove(input.end.name.as_str()) else {
                let name = &input.end.name;
                return Err(Error::file(
                    path,
                    format!("sample `{sample}` has no tensor for the input `{name}`"),
                ));
            };
            found.push(as_given(path, name, tensor, input)?);
        }
        match tensors.keys().next() {
            Some(more) => Err(Error::file(path, format!("`{more}` is no input of {}", graph.name))),
            None => Ok(found),
        }
    };
    samples.into_iter().map(whole).collect()
}

/// How tensors of files stand for these values: as a model's file declares them, else as PyTorch has them.
pub(super) fn given(
    role: &'static str,
    graph: &Graph,
    ids: &[ValueId],
    ends: &[End],
    formats: &[Format],
) -> Vec<Given> {
    let end = |(i, id): (usize, &ValueId)| {
        let (name, shape) = (&graph.values[id.0].name, graph.shape(*id));
        let declared = ends.get(i).filter(|end| end.elements() == shape.len()).cloned();
        let end = declared.unwrap_or_else(|| End::usual(name, shape, Format::Float(Float::F32)));
        Given { role, places: end.places(), end, shape, format: formats.get(i).copied() }
    };
    ids.iter().enumerate().map(end).collect()
}

/// By the name of an input, the name of a tensor of a file, the tensor, and whether it holds integers.
type OfInputs<'t> = BTreeMap<&'t str, (&'t String, &'t (NamedTensor, bool))>;

/// An input or an output: how it is given, and its shape in the graph.
pub(super) struct Given {
    /// `input` or `output`.
    role: &'static str,
    pub(super) end: End,
    places: Option<Vec<usize>>,
    shape: Shape,
    /// Of its codes.
    format: Option<Format>,
}

/// A tensor of a file as the graph has it.
pub(super) fn as_given(
    path: &Path,
    name: &str,
    (tensor, is_integer): &(NamedTensor, bool),
    Given { role, end, places, shape, format }: &Given,
) -> Result<Tensor<f32>> {
    if !end.takes(&tensor.shape) {
        let (found, expected) = (&tensor.shape, &end.shape);
        let message = format!("tensor `{name}` has shape {found:?}, expected an {role} of {expected:?}");
        return Err(Error::file(path, message));
    }
    let mut data = match places {
        Some(places) => places.iter().map(|at| tensor.data[*at]).collect(),
        None => tensor.data.clone(),
    };
    let offset = match end.element {
        Element::Int8 => Some(0),
        Element::UInt8 => Some(128),
        _ => None,
    };
    if let (true, Some(Format::Int8(q)), Some(offset)) = (*is_integer, format, offset) {
        data.iter_mut().for_each(|x| *x = q.dequantize((*x as i32 - offset).clamp(-128, 127) as i8));
    }
    Ok(Tensor { shape: *shape, data })
}

pub(super) fn image_input(image: &Image, preprocess: &Preprocess, shape: Shape) -> Result<Tensor<f32>> {
    let data = preprocess.apply(image, [shape.h, shape.w], shape.c)?;
    Tensor::new(shape, data).ok_or_else(|| Error::Invalid("pre-processing made another size".into()))
}

impl Build {
    /// Shape of the input.
    pub fn input_shape(&self) -> Shape {
        self.program.tensor(self.program.inputs[0]).shape
    }

    /// An image as the network's input.
    ///
    /// # Errors
    /// An image that the pre-processing cannot take; a network that takes none.
    pub fn input(&self, image: &Image) -> Result<Tensor<f32>> {
        if self.task == Task::Generation {
            let name = &self.program.metadata.network;
            let message = format!("{name} makes images and reads none: give it numbers and a label");
            return Err(Error::Invalid(message));
        }
        if self.program.inputs.len() > 1 {
            let names: Vec<String> = self.inputs().iter().map(|end| format!("`{}`", end.name)).collect();
            let (name, names) = (&self.program.metadata.network, names.join(", "));
            let message = format!("{name} has the inputs {names}: an image is one; give a safetensors file");
            return Err(Error::Invalid(message));
        }
        image_input(image, &self.preprocess, self.input_shape())
    }

    /// An image as the codes that the program takes.
    ///
    /// # Errors
    /// As [`Build::input`].
    pub fn input_codes(&self, image: &Image) -> Result<Vec<i8>> {
        let input = self.input(image)?;
        Ok(self.program.tensor(self.program.inputs[0]).quantize(&input.data))
    }

    /// Inputs of a generator: a latent vector from N(0, 1), which follows from `seed`, and the index of
    /// a class for every label.
    pub fn drawn(&self, seed: u64, class: usize) -> Vec<Tensor<f32>> {
        normal_sample(&self.quantized.graph, &format!("seed {seed}"), class)
    }

    /// The samples in a safetensors file, one tensor for every input of the network: as the calibration sets of recipes.
    ///
    /// # Errors
    /// A file that cannot be read, or whose tensors are not the inputs.
    pub fn samples(&self, path: &Path) -> Result<Vec<Vec<Tensor<f32>>>> {
        let formats: Vec<Format> =
            self.program.inputs.iter().map(|id| self.program.tensor(*id).format).collect();
        read_samples(path, &self.quantized.graph, &self.ends, &formats)
    }

    /// Real inputs as the codes that the program takes.
    pub fn codes(&self, inputs: &[Tensor<f32>]) -> Vec<Vec<i8>> {
        let program = &self.program;
        program.inputs.iter().zip(inputs).map(|(id, t)| program.tensor(*id).quantize(&t.data)).collect()
    }
}
