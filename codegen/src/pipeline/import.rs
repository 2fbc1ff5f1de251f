//! From a recipe to a float graph.

use super::Ends;
use crate::{
    error::{Error, Result},
    graph::Graph,
    import::{
        ModelFile,
        network::{Network, NetworkOptions, Networks, Reference},
    },
    quantize::QGraph,
    recipe::{self, NumberFormat, Recipe},
    weights::{SafeTensorsFile, Seeded, WeightSource},
};
use std::sync::Arc;

/// A float graph with what a recipe says about it.
#[derive(Debug)]
pub struct Imported {
    /// As the network's authors wrote it.
    pub graph: Graph,
    /// The network.
    pub network: Arc<dyn Network>,
    /// Class names.
    pub classes: Vec<String>,
    /// Name and SHA-256 of the weights.
    pub source: (String, String),
    /// The same graph with the number formats of a quantised file, where the recipe wants integers.
    pub quantized: Option<QGraph>,
    /// What a model's file declares.
    pub ends: Ends,
}

/// The network of a recipe: one of `networks`, or what a model file holds.
///
/// # Errors
/// An unknown network, a file that cannot be imported.
pub fn find_network(recipe: &Recipe, networks: &dyn Networks) -> Result<Arc<dyn Network>> {
    match model_file(recipe)? {
        Some(file) => Ok(Arc::new(file)),
        None => Ok(Arc::new(networks.find(&recipe.network.as_str())?)),
    }
}

/// The model file that a recipe names, read.
fn model_file(recipe: &Recipe) -> Result<Option<ModelFile>> {
    recipe.model_path().map(|path| ModelFile::open(&path, &options(recipe))).transpose()
}

/// What a model file holds, and what a recipe says about it.
fn import_file(recipe: &Recipe, file: ModelFile) -> Result<Imported> {
    if let Some(key) = recipe.only_for_checkpoints() {
        let message =
            format!("`{key}` is for networks that are built from a checkpoint; the file has its own");
        return Err(Error::file(file.path(), message));
    }
    let graph = file.graph().clone();
    let input = graph.shape(graph.inputs[0]);
    if let Some([h, w]) = recipe.input.size.filter(|size| *size != [input.h, input.w]) {
        let message = format!("`input.size` is {h}x{w}, the file's input is {}x{}", input.h, input.w);
        return Err(Error::file(file.path(), message));
    }
    let quantized = file.quantized().filter(|_| recipe.format.numbers == NumberFormat::Int8).cloned();
    let source = (file.source().to_string(), file.sha256().to_string());
    let classes = class_names(recipe, &file, &graph)?;
    let ends = Ends::from(&file);
    Ok(Imported { graph, network: Arc::new(file), classes, source, quantized, ends })
}

/// Imports the recipe's network with its weights.
///
/// # Errors
/// An unknown network, weights that cannot be read or do not fit, options that the network does not allow.
pub fn import(recipe: &Recipe, networks: &dyn Networks) -> Result<Imported> {
    recipe.validate()?;
    if let Some(file) = model_file(recipe)? {
        return import_file(recipe, file);
    }
    let network = networks.find(&recipe.network.as_str())?;
    let (quantized, ends) = (None, Ends::default());
    if recipe.seeded {
        let graph = build_graph(recipe, network, &mut Seeded::new())?;
        let classes = class_names(recipe, network, &graph)?;
        let source = ("seeded".into(), String::new());
        return Ok(Imported { graph, network: Arc::new(network), classes, source, quantized, ends });
    }
    let mut weights = match (recipe.weights_path(), network.bundled()) {
        (Some(path), _) => SafeTensorsFile::open(path)?,
        (None, Some(bundled)) => SafeTensorsFile::from_bytes(bundled.weights.0, bundled.weights.1.to_vec())?,
        (None, None) => {
            return Err(Error::Invalid(format!(
                "{}: no weights come with this network; give a safetensors file (`weights` in a recipe, `--weights`)",
                network.name()
            )));
        }
    };
    let source_name = recipe.weights_path().map_or_else(
        || format!("bundled {}", network.name()),
        |p| p.file_name().unwrap_or(p.as_os_str()).to_string_lossy().into_owned(),
    );
    let source = (source_name, weights.sha256());
    let graph = build_graph(recipe, network, &mut weights)?;
    let classes = class_names(recipe, network, &graph)?;
    Ok(Imported { graph, network: Arc::new(network), classes, source, quantized, ends })
}

/// The network's graph with tensors from any source (a seeded one, to count parameters without a checkpoint).
///
/// # Errors
/// Options that the network does not allow, tensors that do not fit.
pub fn build_graph(recipe: &Recipe, network: &dyn Network, weights: &mut dyn WeightSource) -> Result<Graph> {
    let options = options(recipe);
    if recipe.width.is_some() && network.width_unit().is_none() {
        return Err(Error::Invalid(format!("{}: has one width only, leave `width` out", network.name())));
    }
    network.build(&options, weights)
}

fn options(recipe: &Recipe) -> NetworkOptions {
    NetworkOptions {
        input_size: recipe.input.size,
        input_channels: recipe.input.channels,
        classes: (!recipe.classes.is_empty()).then_some(recipe.classes.len()),
        width: recipe.width,
        reference: recipe.format.reference.map(|reference| match reference {
            recipe::Reference::LiteRt => Reference::LiteRt,
            recipe::Reference::Tflm => Reference::Tflm,
            recipe::Reference::TflmInterpreter => Reference::TflmInterpreter,
            recipe::Reference::OnnxRuntime => Reference::OnnxRuntime,
        }),
    }
}

fn class_names(recipe: &Recipe, network: &dyn Network, graph: &Graph) -> Result<Vec<String>> {
    let channels = graph.shape(graph.outputs[0]).c;
    if !recipe.classes.is_empty() {
        return Ok(recipe.classes.clone());
    }
    let names: Vec<String> = network.default_classes().iter().map(|c| c.to_string()).collect();
    if network.generates() {
        return Ok(names);
    }
    // A single probability distinguishes its class from everything else.
    let fits = names.len() == channels;
    Ok(if fits { names } else { (0..channels).map(|i| format!("class {i}")).collect() })
}
