//! From a recipe to a program: the whole way in one call.
//!
//! * `import`: the float graph of a recipe. `head`: what is computed from its last layer.
//! * `inputs`: samples for it; `pairs`: also with what another framework made of them. `calibration`: number formats, from samples or a lock.
//! * `target`: the program for this target or another. `answers`: classes and probabilities. `ends`: inputs and outputs as a file has them.

mod answers;
mod calibration;
mod ends;
mod head;
mod import;
mod inputs;
mod pairs;
mod target;

pub use self::{
    calibration::{Calibrated, UsedLock},
    ends::Ends,
    import::{Imported, build_graph, find_network, import},
    pairs::Pair,
};
use self::{
    calibration::{find_lock, locked, seen_in_float},
    head::{with_head, with_scales_of_file},
    inputs::calibration_inputs,
    target::{tuning, with_threads},
};
use crate::{
    board,
    check::{
        golden::known_answers,
        warnings::{self, Warning},
    },
    emit::EmitOptions,
    error::{Error, Result},
    format::Format,
    import::network::{Network, Networks},
    lock::{Lock, Origin},
    lower::{Target, lower},
    passes::{cam, optimize},
    precision::float,
    program::{Metadata, Program},
    quantize::QGraph,
    recipe::{Head, Recipe},
    tensor::Shape,
};
use niello_imaging::Preprocess;
use niello_kernels::Float;

/// The task of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// One score per class for the whole image.
    Classification,
    /// One score per class for every pixel.
    Segmentation,
    /// An image, from numbers and the label of a class ([`Network::generates`]).
    Generation,
}

/// Classes that a label map can tell apart.
const LABELS: usize = 256;

/// A recipe that has been built: the quantised graph, the program, and the pre-processing of its images.
#[derive(Debug)]
pub struct Build {
    /// The recipe.
    pub recipe: Recipe,
    /// The float graph with number formats: the reference that the program is compared with.
    pub quantized: QGraph,
    /// How the formats were decided; `None` for networks in floating point, which need no calibration.
    pub calibrated: Option<Calibrated>,
    /// The program.
    pub program: Program,
    /// The pre-processing of images.
    pub preprocess: Preprocess,
    /// Class names, as many as the network has classes.
    pub classes: Vec<String>,
    /// The task of the network.
    pub task: Task,
    /// Crates with kernels of the networks' own operators ([`Networks::kernel_crates`]).
    pub kernel_crates: Vec<(String, String)>,
    /// Inputs, outputs and layers as the model's file declares them.
    pub ends: Ends,
    /// Warnings about the calibration set.
    pub warnings: Vec<Warning>,
}

/// The progress of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Calibration input `done` of `total` has been seen.
    Calibrating {
        /// Inputs done.
        done: usize,
        /// All inputs.
        total: usize,
    },
    /// Quantising and lowering.
    Lowering,
}

/// Builds a recipe: import, passes, calibration, quantisation, lowering, memory plan.
///
/// # Errors
/// Whatever is wrong with the recipe or the files that it names; each error says where.
pub fn build(recipe: &Recipe, networks: &dyn Networks, mut progress: impl FnMut(Progress)) -> Result<Build> {
    let board = recipe.board()?;
    let target = Target::find(recipe.target_name(board.as_ref()))?;
    let tuning = tuning(recipe, target)?;
    let target = &Target { tuning, ..with_threads(recipe, target) };
    let Imported { graph, network, classes, source, quantized, ends } = import(recipe, networks)?;
    let network = &*network;
    let mut recipe = recipe.clone();
    if let Some(board) = &board {
        recipe = recipe.placed_on(board)?;
    }
    if network.generates() {
        check_generator(&recipe, network)?;
    } else if recipe.input.preprocess.is_none() {
        recipe.input.preprocess = Some(network.default_preprocess().into());
    }
    let preprocess = recipe.input.preprocessing()?;
    let prepared = if network.generates() { String::new() } else { preprocess.to_string() };
    let task = match graph.shape(graph.outputs[0]).area() {
        _ if network.generates() => Task::Generation,
        1 => Task::Classification,
        // What a file puts out need be no scores: a map of more than that is taken as one vector.
        _ if classes.len() > LABELS && recipe.model_path().is_some() => Task::Classification,
        _ => Task::Segmentation,
    };
    if task == Task::Segmentation && classes.len() > LABELS {
        let message = format!("a label map of 8 bits has room for {LABELS} classes, found {}", classes.len());
        return Err(Error::Invalid(format!("{}: {message}", network.name())));
    }
    let graph = match quantized {
        Some(_) => graph,
        None if recipe.output.cam => optimize(with_head(cam::with_map(graph)?, recipe.output.head)?),
        None => optimize(with_head(graph, recipe.output.head)?),
    };
    let mut calibrated = None;
    let mut ranges = None;
    let quantized = match (quantized, recipe.format.numbers.mode()) {
        (Some(of_file), _) => with_scales_of_file(&recipe, of_file)?,
        (None, Some(mode)) => {
            if mode.float() == Float::F16 {
                let set = || calibration_inputs(&recipe, network, &preprocess, &graph, &ends, classes.len());
                ranges = seen_in_float(&recipe, network, &graph, &source.1, set, &mut progress)?;
            }
            let mut all = float::everywhere(graph, mode);
            float::layers(&mut all, &recipe.format.modes()?)?;
            all
        }
        (None, None) => {
            let inputs: Vec<Shape> = graph.inputs.iter().map(|id| graph.shape(*id)).collect();
            let pins = recipe.pins(classes.len(), &prepared, &inputs);
            let origin = Origin {
                niello: env!("CARGO_PKG_VERSION").into(),
                weights: source.clone(),
                inputs: (0, String::new()),
                recipe: pins,
            };
            let set = || calibration_inputs(&recipe, network, &preprocess, &graph, &ends, classes.len());
            let (quantized, how) = match find_lock(&recipe, network, &origin, set)? {
                Some(lock) => locked(&recipe, graph, lock)?,
                None => {
                    let set = set()?;
                    calibration::calibrated(&recipe, graph, &set, origin, &mut progress)?
                }
            };
            ranges = Some(how.ranges.clone());
            calibrated = Some(how);
            quantized
        }
    };
    progress(Progress::Lowering);
    let metadata = Metadata {
        network: network.name().into(),
        classes: classes.clone(),
        sources: vec![source],
        preprocess: prepared,
        cam: recipe.output.cam,
    };
    let program = lower(&quantized, target, metadata)?;
    let of_network = network.warnings().into_iter().map(|(layer, message)| Warning { layer, message });
    let of_ranges = ranges.iter().flat_map(|ranges| warnings::of_ranges(&quantized, &program, ranges));
    let warnings = of_network.chain(of_ranges).collect();
    let kernel_crates = networks.kernel_crates();
    let build = Build {
        recipe,
        quantized,
        calibrated,
        program,
        preprocess,
        classes,
        task,
        kernel_crates,
        ends,
        warnings,
    };
    if let Some(board) = &board {
        board::check(&build.program, board, build.table_bytes())?;
    }
    Ok(build)
}

/// Keys of a recipe that have no meaning for a network that makes images.
fn check_generator(recipe: &Recipe, network: &dyn Network) -> Result<()> {
    let input = &recipe.input;
    let prepared = [&input.preprocess, &input.resize, &input.colour, &input.polarity, &input.window];
    let message = if prepared.iter().any(|key| key.is_some()) {
        "makes images and reads none: there is nothing to pre-process".into()
    } else if recipe.output.head != Head::Logits {
        format!("makes images, no scores: output head `{}` means nothing", recipe.output.head)
    } else {
        return Ok(());
    };
    Err(Error::Invalid(format!("{}: {message}", network.name())))
}

impl Build {
    /// The lock of this build, with the answers of its self-test: the lock that it used, or what it found by calibrating.
    ///
    /// # Errors
    /// A network in floating point, which has nothing to lock.
    pub fn lock(&self) -> Result<Lock> {
        let network = &self.program.metadata.network;
        let Some(Calibrated { origin, ranges, wide, .. }) = &self.calibrated else {
            let why = match self.quantized.mode() {
                Some(_) => "floating point needs no calibration",
                None => "a quantised file has its own scales",
            };
            return Err(Error::Invalid(format!("{network}: {why}, so there is nothing to lock")));
        };
        let program = &self.program;
        let (q, corrections) = (&self.quantized, &program.corrections);
        let mut lock = Lock::of_graph(origin.clone(), q, ranges, wide.clone(), corrections);
        let seed = EmitOptions::default().self_test_seed;
        let answers = known_answers(program, seed)?.1;
        lock.answers.insert(self.recipe.format.rounding.name().into(), answers);
        Ok(lock)
    }

    /// Options of [`crate::emit::emit`], with the table from 8-bit samples where the pre-processing allows one.
    pub fn emit_options(&self) -> EmitOptions {
        let input = self.program.tensor(self.program.inputs[0]);
        let tables =
            self.preprocess.table(input.shape.c).filter(|t| t.iter().enumerate().all(|(i, p)| p.source == i));
        let target = &self.recipe.target;
        let (weights_section, arena_section) = (target.weights_section.clone(), target.arena_section.clone());
        let lock = self.calibrated.as_ref().and_then(|c| c.lock.as_ref());
        let answers = lock.and_then(|lock| lock.answers.clone());
        let kernel_crates = self.kernel_crates.clone();
        let plain =
            EmitOptions { weights_section, arena_section, answers, kernel_crates, ..EmitOptions::default() };
        let Format::Int8(q) = input.format else { return plain };
        if self.task == Task::Generation {
            return plain;
        }
        let input_table = tables.map(|t| t.iter().map(|plane| plane.values.map(|x| q.quantize(x))).collect());
        EmitOptions { input_table, ..plain }
    }

    /// Bytes of the tables that the generated source holds beside the constants.
    pub fn table_bytes(&self) -> usize {
        self.emit_options().input_table.iter().flatten().map(|plane| plane.len()).sum()
    }
}
