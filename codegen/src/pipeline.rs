//! From a recipe to a program: the whole way in one call.

mod calibration;
mod inputs;

pub use self::calibration::{Calibrated, UsedLock};
use self::{
    calibration::{find_lock, locked, seen_in_float},
    inputs::{calibration_inputs, normal_sample, picture_input, read_samples},
};
use crate::{
    Graph, Tensor, board,
    check::{
        golden::known_answers,
        warnings::{self, Warning},
    },
    emit::EmitOptions,
    error::{Error, Result},
    format::{Format, RangeRule},
    graph::{Node, Op, Value, ValueId},
    import::network::{Network, NetworkOptions, Networks},
    lock::{Lock, Origin},
    lower::{Target, lower, lower_apart},
    ops::{ArgMax, PointWise, Softmax},
    passes::{cam, optimize},
    precision::float,
    program::{Metadata, Program},
    quantize::{QGraph, QuantizeOptions, RangeMethod},
    recipe::{Head, Range, RangeOverride, Recipe, Rounding},
    tensor::Shape,
    tuning::{Tuning, TuningFile},
    weights::{SafeTensorsFile, Seeded, WeightSource},
};
use niello_imaging::{Picture, Preprocess, metrics};
use niello_kernels::Float;
use std::path::Path;

/// What a network's output is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// One score per class for the whole picture.
    Classification,
    /// One score per class for every pixel.
    Segmentation,
    /// A picture, from numbers and the label of a class ([`Network::generates`]).
    Generation,
}

/// A recipe that has been built: the quantised graph, the program, and how pictures enter it.
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
    /// How pictures become inputs.
    pub preprocess: Preprocess,
    /// Class names, as many as the network has classes.
    pub classes: Vec<String>,
    /// What the output is good for.
    pub task: Task,
    /// What the calibration set shows that is probably not what is wanted.
    pub warnings: Vec<Warning>,
}

/// What a build is doing, for progress displays.
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

/// A float graph with what a recipe says about it.
#[derive(Debug)]
pub struct Imported {
    /// As the network's authors wrote it.
    pub graph: Graph,
    /// The network.
    pub network: &'static dyn Network,
    /// Class names.
    pub classes: Vec<String>,
    /// Name and SHA-256 of the weights.
    pub source: (String, String),
}

impl std::fmt::Debug for dyn Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Imports the recipe's network with its weights.
///
/// # Errors
/// An unknown network, weights that cannot be read or do not fit, options that the network does not allow.
pub fn import(recipe: &Recipe, networks: &dyn Networks) -> Result<Imported> {
    recipe.validate()?;
    let network = networks.find(&recipe.network)?;
    if recipe.seeded {
        let graph = build_graph(recipe, network, &mut Seeded::new())?;
        let classes = class_names(recipe, network, &graph)?;
        return Ok(Imported { graph, network, classes, source: ("seeded".into(), String::new()) });
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
    Ok(Imported { graph, network, classes, source })
}

/// The network's graph with tensors from any source (a seeded one, to count parameters without a checkpoint).
///
/// # Errors
/// Options that the network does not allow, tensors that do not fit.
pub fn build_graph(recipe: &Recipe, network: &dyn Network, weights: &mut dyn WeightSource) -> Result<Graph> {
    let options = NetworkOptions {
        input_size: recipe.input.size,
        input_channels: recipe.input.channels,
        classes: (!recipe.classes.is_empty()).then_some(recipe.classes.len()),
        width: recipe.width,
    };
    if recipe.width.is_some() && network.width_unit().is_none() {
        return Err(Error::Invalid(format!("{}: has one width only, leave `width` out", network.name())));
    }
    network.build(&options, weights)
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

/// Builds a recipe: import, passes, calibration, quantisation, lowering, memory plan.
///
/// # Errors
/// Whatever is wrong with the recipe or the files that it names; each error says where.
pub fn build(recipe: &Recipe, networks: &dyn Networks, mut progress: impl FnMut(Progress)) -> Result<Build> {
    let board = recipe.board()?;
    let target = Target::find(recipe.target_name(board.as_ref()))?;
    let tuning = tuning(recipe, target)?;
    let target = &Target { tuning, ..with_threads(recipe, target) };
    let Imported { graph, network, classes, source } = import(recipe, networks)?;
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
        _ => Task::Segmentation,
    };
    if task == Task::Segmentation && classes.len() > LABELS {
        let message = format!("a label map of 8 bits has room for {LABELS} classes, found {}", classes.len());
        return Err(Error::Invalid(format!("{}: {message}", network.name())));
    }
    let graph = if recipe.output.cam { cam::with_map(graph)? } else { graph };
    let graph = optimize(with_head(graph, recipe.output.head)?);
    let mut calibrated = None;
    let mut ranges = None;
    let quantized = match recipe.format.numbers.mode() {
        Some(mode) => {
            if mode.float() == Float::F16 {
                let set = || calibration_inputs(&recipe, network, &preprocess, &graph, classes.len());
                ranges = seen_in_float(&recipe, network, &graph, &source.1, set, &mut progress)?;
            }
            let mut all = float::everywhere(graph, mode);
            float::layers(&mut all, &recipe.format.modes()?)?;
            all
        }
        None => {
            let inputs: Vec<Shape> = graph.inputs.iter().map(|id| graph.shape(*id)).collect();
            let pins = recipe.pins(classes.len(), &prepared, &inputs);
            let origin = Origin {
                niello: env!("CARGO_PKG_VERSION").into(),
                weights: source.clone(),
                inputs: (0, String::new()),
                recipe: pins,
            };
            let set = || calibration_inputs(&recipe, network, &preprocess, &graph, classes.len());
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
    let warnings = ranges.map_or(vec![], |ranges| warnings::of_ranges(&quantized, &program, &ranges));
    let build = Build { recipe, quantized, calibrated, program, preprocess, classes, task, warnings };
    if let Some(board) = &board {
        board::check(&build.program, board, build.table_bytes())?;
    }
    Ok(build)
}

/// What a recipe cannot ask of a network that makes pictures.
fn check_generator(recipe: &Recipe, network: &dyn Network) -> Result<()> {
    let input = &recipe.input;
    let prepared = [&input.preprocess, &input.resize, &input.colour, &input.polarity, &input.window];
    let message = if prepared.iter().any(|key| key.is_some()) {
        "makes pictures and reads none: there is nothing to pre-process".into()
    } else if recipe.output.head != Head::Logits {
        format!("makes pictures, no scores: output head `{}` means nothing", recipe.output.head)
    } else {
        return Ok(());
    };
    Err(Error::Invalid(format!("{}: {message}", network.name())))
}
/// Inputs of the calibration set that an error budget is held against.
const BUDGET_SAMPLES: usize = 4;

/// The target with the recipe's threads.
fn with_threads(recipe: &Recipe, target: &Target) -> Target {
    Target { threads: recipe.target.threads.unwrap_or(1), ..target.clone() }
}

/// What the recipe's tuning file asks for.
fn tuning(recipe: &Recipe, target: &Target) -> Result<Tuning> {
    let Some(path) = &recipe.target.tuning else { return Ok(Tuning::NONE) };
    let path = recipe.resolve(path);
    TuningFile::read(&path)?.tuning(&path, &recipe.network, target.name)
}

/// Classes that a label map can tell apart.
const LABELS: usize = 256;

/// The graph with what the recipe wants computed from its last layer.
fn with_head(mut graph: Graph, head: Head) -> Result<Graph> {
    let op: Box<dyn Op> = match head {
        Head::Logits => return Ok(graph),
        Head::Argmax => Box::new(ArgMax),
        Head::Softmax => Box::new(Softmax),
        Head::Sigmoid => Box::new(PointWise::sigmoid()),
    };
    let input = graph.outputs[0];
    let shape = graph.shape(input);
    let refuse = |message: String| Error::Invalid(format!("{}: output head `{head}`: {message}", graph.name));
    if shape.c == 1 && matches!(head, Head::Argmax | Head::Softmax) {
        return Err(refuse(
            "needs several classes, the network has one score; use `logits` or `sigmoid`".into(),
        ));
    }
    let shapes = op.output_shapes(&[shape]).map_err(refuse)?;
    let name = head.name();
    graph.values.push(Value { name: name.into(), shape: shapes[0] });
    let output = ValueId(graph.values.len() - 1);
    graph.nodes.push(Node { name: name.into(), op: op.into(), inputs: vec![input], outputs: vec![output] });
    graph.outputs[0] = output;
    Ok(graph)
}

fn options(recipe: &Recipe) -> QuantizeOptions {
    let method = |range: Range, percentile: f64| match range {
        Range::MinMax => RangeMethod::MinMax,
        Range::Percentile => RangeMethod::Percentile(percentile),
        Range::Mse => RangeMethod::LeastSquares,
        _ => RangeMethod::Auto(percentile),
    };
    let default = &recipe.calibrate;
    let overrides = recipe.overrides.iter().map(|(layer, o)| {
        let chosen = match *o {
            RangeOverride { min: Some(min), max: Some(max), .. } => RangeMethod::Fixed { min, max },
            _ => method(o.range.unwrap_or(default.range), o.percentile.unwrap_or(default.percentile)),
        };
        (layer.clone(), chosen)
    });
    QuantizeOptions {
        method: method(default.range, default.percentile),
        overrides: overrides.collect(),
        bias_correction: default.bias_correction,
        rounding: match recipe.format.rounding {
            Rounding::TfliteDouble => niello_kernels::Rounding::TfliteDouble,
            Rounding::Single => niello_kernels::Rounding::Single,
        },
    }
}

impl Build {
    /// Shape of the input.
    pub fn input_shape(&self) -> Shape {
        self.program.tensor(self.program.inputs[0]).shape
    }

    /// A picture as the network's input.
    ///
    /// # Errors
    /// A picture that the pre-processing cannot take; a network that takes none.
    pub fn input(&self, picture: &Picture) -> Result<Tensor<f32>> {
        if self.task == Task::Generation {
            let name = &self.program.metadata.network;
            let message = format!("{name} makes pictures and reads none: give it numbers and a label");
            return Err(Error::Invalid(message));
        }
        picture_input(picture, &self.preprocess, self.input_shape())
    }

    /// A picture as the codes that the program takes.
    ///
    /// # Errors
    /// As [`Build::input`].
    pub fn input_codes(&self, picture: &Picture) -> Result<Vec<i8>> {
        let input = self.input(picture)?;
        Ok(self.program.tensor(self.program.inputs[0]).quantize(&input.data))
    }

    /// What a generator makes a picture from: numbers of the standard normal distribution, which follow from `seed`, and the index of
    /// a class for every label.
    pub fn drawn(&self, seed: u64, class: usize) -> Vec<Tensor<f32>> {
        normal_sample(&self.quantized.graph, &format!("seed {seed}"), class)
    }

    /// The samples in a safetensors file, one tensor for every input of the network: as the calibration sets of recipes.
    ///
    /// # Errors
    /// A file that cannot be read, or whose tensors are not the inputs.
    pub fn samples(&self, path: &Path) -> Result<Vec<Vec<Tensor<f32>>>> {
        read_samples(path, &self.quantized.graph)
    }

    /// Real inputs as the codes that the program takes.
    pub fn codes(&self, inputs: &[Tensor<f32>]) -> Vec<Vec<i8>> {
        let program = &self.program;
        program.inputs.iter().zip(inputs).map(|(id, t)| program.tensor(*id).quantize(&t.data)).collect()
    }

    /// The lock of this build, with the answers of its self-test: the lock that it used, or what it found by calibrating.
    ///
    /// # Errors
    /// A network in floating point, which has nothing to lock.
    pub fn lock(&self) -> Result<Lock> {
        let network = &self.program.metadata.network;
        let Some(Calibrated { origin, ranges, wide, .. }) = &self.calibrated else {
            let message =
                format!("{network}: floating point needs no calibration, so there is nothing to lock");
            return Err(Error::Invalid(message));
        };
        let program = &self.program;
        let (q, corrections) = (&self.quantized, &program.corrections);
        let mut lock = Lock::of_graph(origin.clone(), q, ranges, wide.clone(), corrections);
        let seed = EmitOptions::default().self_test_seed;
        let answers = known_answers(program, seed)?.1;
        lock.answers.insert(self.recipe.format.rounding.name().into(), answers);
        Ok(lock)
    }

    /// The program of `target` instead, from the same quantised graph: the results are the same bytes. The recipe's tuning file holds if it is
    /// one for that target.
    ///
    /// # Errors
    /// An unknown target, a tuning file that cannot be read, a program that does not fit the recipe's board.
    pub fn retarget(&mut self, target: &str) -> Result<()> {
        let target = Target::find(target)?;
        let tuning = match &self.recipe.target.tuning {
            Some(path) if TuningFile::read(&self.recipe.resolve(path))?.target == target.name => {
                tuning(&self.recipe, target)?
            }
            _ => Tuning::NONE,
        };
        self.program = self.lowered(target, tuning)?;
        Ok(())
    }

    /// The program for a target, if it fits the recipe's board.
    fn lowered(&self, target: &Target, tuning: Tuning) -> Result<Program> {
        let target = Target { tuning, ..with_threads(&self.recipe, target) };
        let program = lower(&self.quantized, &target, self.program.metadata.clone())?;
        if let Some(board) = self.recipe.board()? {
            board::check(&program, &board, self.table_bytes())?;
        }
        Ok(program)
    }

    /// The program that the recipe gives with another `[target]`, board and tuning included, from the same quantised graph: the results are
    /// the same bytes.
    ///
    /// # Errors
    /// An unknown target or board, a tuning file of another network, a program that does not fit the board.
    pub fn place(&mut self, target: crate::recipe::Target) -> Result<()> {
        let recipe = Recipe { target, ..self.recipe.clone() };
        let board = recipe.board()?;
        let target = Target::find(recipe.target_name(board.as_ref()))?;
        let target = Target { tuning: tuning(&recipe, target)?, ..with_threads(&recipe, target) };
        self.program = lower(&self.quantized, &target, self.program.metadata.clone())?;
        self.recipe = match &board {
            Some(board) => recipe.placed_on(board)?,
            None => recipe,
        };
        board.map_or(Ok(()), |board| board::check(&self.program, &board, self.table_bytes()))
    }

    /// The program with other choices, from the same quantised graph: the results are the same bytes.
    ///
    /// # Errors
    /// Choices that a layer does not have, a program that does not fit the recipe's board.
    pub fn tuned(&self, tuning: Tuning) -> Result<Program> {
        self.lowered(Target::find(&self.program.target)?, tuning)
    }

    /// The same, with a step for every layer, whose result can then be seen: for comparisons layer by layer, on no board and without tuning.
    ///
    /// # Errors
    /// An unknown target.
    pub fn retarget_apart(&mut self, target: &str) -> Result<()> {
        let metadata = self.program.metadata.clone();
        self.program = lower_apart(&self.quantized, Target::find(target)?, metadata)?;
        Ok(())
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
        let plain = EmitOptions { weights_section, arena_section, answers, ..EmitOptions::default() };
        let Format::Int8(q) = input.format else { return plain };
        if self.task == Task::Generation {
            return plain;
        }
        let input_table =
            tables.map(|t| t.iter().map(|plane| plane.numbers.map(|x| q.quantize(x))).collect());
        EmitOptions { input_table, ..plain }
    }

    /// Bytes of the tables that the generated source holds beside the constants.
    pub fn table_bytes(&self) -> usize {
        self.emit_options().input_table.iter().flatten().map(|plane| plane.len()).sum()
    }

    /// The class of each pixel: the largest score, the first of equal ones; for a single score, whether it says yes.
    pub fn labels(&self, output: &Tensor<f32>) -> Vec<u8> {
        output.data.chunks(output.shape.c).map(|scores| self.class(scores) as u8).collect()
    }

    /// The class that the scores of a picture or a pixel stand for, an index of [`Build::label_names`].
    pub fn class(&self, scores: &[f32]) -> usize {
        match scores {
            [label] if self.recipe.output.head == Head::Argmax => *label as usize,
            [one] => (*one > if self.is_probability() { 0.5 } else { 0.0 }) as usize,
            many => metrics::top_1(many).unwrap_or(0),
        }
    }

    /// Whether the output is one of softmax and sigmoid: what those have in int8 is a number format of their own.
    fn is_probability(&self) -> bool {
        let graph = &self.quantized.graph;
        let rule = graph.producer(graph.outputs[0]).map(|at| graph.nodes[at].op.range_rule());
        matches!(rule, Some(RangeRule::Fixed(q)) if q.scale == 1.0 / 256.0 && q.zero_point == -128)
    }

    /// Names of the labels that [`Build::class`] gives: a single class is told from the rest.
    pub fn label_names(&self) -> Vec<String> {
        match &self.classes[..] {
            [one] => vec![format!("not {one}"), one.clone()],
            many => many.to_vec(),
        }
    }

    /// Probabilities of [`Build::label_names`] from the scores of a picture or a pixel: as they are behind a softmax or
    /// sigmoid, the softmax (of a single score the sigmoid) of logits, 1 for the class of an arg-max.
    pub fn probabilities(&self, scores: &[f32]) -> Vec<f32> {
        match scores {
            [_] if self.recipe.output.head == Head::Argmax => {
                let class = self.class(scores);
                (0..self.classes.len()).map(|i| (i == class) as u8 as f32).collect()
            }
            [one] => {
                let p = if self.is_probability() { *one } else { 1.0 / (1.0 + (-one).exp()) };
                vec![1.0 - p, p]
            }
            many if self.is_probability() => many.to_vec(),
            logits => {
                let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let exps: Vec<f32> = logits.iter().map(|s| (s - largest).exp()).collect();
                let sum: f32 = exps.iter().sum();
                exps.iter().map(|e| e / sum).collect()
            }
        }
    }
}

impl From<niello_imaging::Error> for Error {
    fn from(error: niello_imaging::Error) -> Self {
        match error {
            niello_imaging::Error::Io { action, path, source } => Error::Io { action, path, source },
            niello_imaging::Error::File { path, message } => Error::File { path, message },
            other => Error::Invalid(other.to_string()),
        }
    }
}
