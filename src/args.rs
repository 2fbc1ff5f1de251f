//! The build: a recipe, or the same by flags.

use crate::{
    networks,
    overrides::{self, Override},
    progress::{self, Step},
};
use clap::Args;
use niello_codegen::{
    Error, Result,
    lower::TARGETS,
    pipeline::{Build, Progress, build},
    recipe::{Head, Input, NumberFormat, RangeChoice, Recipe, Rounding},
    weights::wrapper_prefix,
};
use std::path::PathBuf;

/// Everything that a recipe says can be said by flags; flags go over the recipe.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "What to build")]
pub(crate) struct ModelArgs {
    /// Recipe file (docs/recipes.md)
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Network (`niello models` lists them)
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Weights; absent: those that come with the network
    #[arg(long, value_name = "SAFETENSORS")]
    weights: Option<PathBuf>,
    /// Weights from a seed instead of a file, calibrated on seeded inputs: for sizes, speed and bits
    #[arg(long, conflicts_with = "weights")]
    seeded: bool,
    /// The network's base number of channels, where it has one (Anam-Net: 64)
    #[arg(long, value_name = "N")]
    width: Option<usize>,
    /// Class names in the order of the outputs, comma-separated; or only their count: then the network's own names,
    /// where it has as many
    #[arg(long, value_name = "N|A,B,..")]
    classes: Option<String>,
    /// Height and width of the input
    #[arg(long, value_name = "HxW", value_parser = size)]
    input: Option<[usize; 2]>,
    /// Channels of the input
    #[arg(long, value_name = "N")]
    channels: Option<usize>,
    /// How images become inputs: imagenet, unit, raw, window:CENTRE,WIDTH, hu:OFFSET, minmax, .., and options, e.g.
    /// "unit resize=stretch" (docs/recipes.md); absent: the network's usual way
    #[arg(long, value_name = "TEXT")]
    preprocess: Option<String>,
    /// How images get the input's size: none, stretch, area, shorter-side-crop, shorter-side-crop:RATIO
    #[arg(long, value_name = "MODE")]
    resize: Option<String>,
    /// auto, or gray for networks of three channels too
    #[arg(long, value_name = "MODE")]
    colour: Option<String>,
    /// normal, or inverted for images that show air white
    #[arg(long, value_name = "MODE")]
    polarity: Option<String>,
    /// Hounsfield units to 8 bits before everything else
    #[arg(long, value_name = "CENTRE,WIDTH", allow_hyphen_values = true)]
    window: Option<String>,
    /// Images (folder or file; may be repeated) or a safetensors file of inputs that ranges are found on; absent: the
    /// images that come with bundled weights
    #[arg(long, value_name = "PATH")]
    calibrate: Vec<PathBuf>,
    /// Calibration lock, as `niello calibrate` writes it; absent: the one beside the recipe, if there is one
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// Calibrate, although there is a lock; `--calibrate` implies it
    #[arg(long, conflicts_with = "lock")]
    recalibrate: bool,
    /// How ranges are chosen: auto, minmax, percentile, mse
    #[arg(long, value_name = "RULE")]
    range: Option<RangeChoice>,
    /// Percentile of the rule of that name and of the candidates of auto, above 50 and up to 100
    #[arg(long, value_name = "P")]
    percentile: Option<f64>,
    /// Whether biases make up for the rounding of weights
    #[arg(long, value_name = "true|false")]
    bias_correction: Option<bool>,
    /// Another rule for one layer, or its range: LAYER=minmax, LAYER=percentile:99.9, LAYER=MIN,MAX (may be repeated)
    #[arg(long = "override", value_name = "LAYER=RANGE", value_parser = overrides::parse)]
    overrides: Vec<Override>,
    /// Operator behind the last layer: logits, argmax, softmax, sigmoid
    #[arg(long, value_name = "HEAD")]
    head: Option<Head>,
    /// Makes the class-activation map of all classes another output
    #[arg(long)]
    cam_output: bool,
    /// Number format: int8, f16, f16-native, f16-winograd, f32
    #[arg(long, value_name = "FORMAT")]
    format: Option<NumberFormat>,
    /// Layer that computes in f16 (may be repeated)
    #[arg(long, value_name = "LAYER")]
    f16: Vec<String>,
    /// Layer that computes in f16-native (may be repeated)
    #[arg(long, value_name = "LAYER")]
    f16_native: Vec<String>,
    /// Layer that computes in f16-winograd (may be repeated)
    #[arg(long, value_name = "LAYER")]
    f16_winograd: Vec<String>,
    /// Layer that computes in f32 (may be repeated)
    #[arg(long, value_name = "LAYER")]
    f32: Vec<String>,
    /// Rounding of requantisation: tflite-double, single
    #[arg(long, value_name = "MODE")]
    rounding: Option<Rounding>,
    /// Layer whose result has 16 bits (may be repeated)
    #[arg(long, value_name = "LAYER")]
    int16: Vec<String>,
    /// Layer whose weights have 16 bits (may be repeated)
    #[arg(long, value_name = "LAYER")]
    int16_weights: Vec<String>,
    /// SQNR that the output must reach on the calibration set, in decibels: layers get 16 bits until it does
    #[arg(long, value_name = "DB")]
    min_sqnr_db: Option<f64>,
    #[arg(long, value_name = "NAME", help = target_help())]
    target: Option<String>,
    /// Board that the model must fit: a board.toml, or a name (docs/adding-a-board.md)
    #[arg(long, value_name = "NAME|FILE")]
    board: Option<String>,
    /// Linker section of the weights, e.g. of an external flash; absent: as the board places them
    #[arg(long, value_name = ".NAME")]
    weights_section: Option<String>,
    /// Linker section of a static arena, e.g. of tightly coupled memory; absent: as the board places it
    #[arg(long, value_name = ".NAME")]
    arena_section: Option<String>,
    /// Threads that each layer is shared out among
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Tuning file: choices that `niello tune` found (docs/tuning.md)
    #[arg(long, value_name = "FILE")]
    tuning: Option<PathBuf>,
}

fn target_help() -> String {
    let names: Vec<&str> = TARGETS.iter().map(|t| t.name).collect();
    format!(
        "Target that weights are packed for: auto (the board's, else host), host (the best of this machine), {}",
        names.join(", ")
    )
}

fn size(text: &str) -> Result<[usize; 2], String> {
    let parse = |t: &str| t.parse::<usize>().ok().filter(|n| *n > 0);
    text.split_once(['x', 'X'])
        .and_then(|(h, w)| Some([parse(h)?, parse(w)?]))
        .ok_or_else(|| format!("`{text}` is not a size, expected e.g. 224x224"))
}

impl ModelArgs {
    /// The recipe that file and flags make together.
    pub(crate) fn recipe(&self) -> Result<Recipe> {
        let mut recipe = match (&self.recipe, &self.model) {
            (Some(path), _) => Recipe::from_file(path)?,
            (None, Some(name)) => Recipe::new(name.clone()),
            (None, None) => {
                return Err(Error::Invalid(
                    "nothing to build: give `--recipe FILE` or `--model NAME`".into(),
                ));
            }
        };
        if let Some(name) = &self.model {
            recipe.network.clone_from(name);
        }
        // Flags are relative to the current folder, a recipe's paths to its own.
        let here = match &self.recipe {
            Some(_) => std::env::current_dir().map_err(Error::io("cannot find", "."))?,
            None => PathBuf::new(),
        };
        if let Some(weights) = &self.weights {
            (recipe.seeded, recipe.weights) = (false, Some(here.join(weights)));
        }
        if self.seeded {
            (recipe.seeded, recipe.weights) = (true, None);
        }
        recipe.width = self.width.or(recipe.width);
        if !self.calibrate.is_empty() {
            recipe = recipe.calibrate_on_files(self.calibrate.iter().map(|path| here.join(path)));
        }
        if let Some(lock) = &self.lock {
            recipe.calibrate.lock = Some(here.join(lock));
        }
        recipe.recalibrate = self.recalibrate || (!self.calibrate.is_empty() && self.lock.is_none());
        if let Some(classes) = &self.classes {
            recipe.classes = class_names(&recipe.network, classes)?;
        }
        let input = &mut recipe.input;
        input.size = self.input.or(input.size);
        input.channels = self.channels.or(input.channels);
        if self.preprocess.is_some() {
            // The text replaces the recipe's pre-processing with all of its options.
            let (size, channels) = (input.size, input.channels);
            *input = Input { size, channels, preprocess: self.preprocess.clone(), ..Input::default() };
        }
        for (key, flag) in [
            (&mut input.resize, &self.resize),
            (&mut input.colour, &self.colour),
            (&mut input.polarity, &self.polarity),
            (&mut input.window, &self.window),
        ] {
            *key = flag.clone().or(key.take());
        }
        let calibrate = &mut recipe.calibrate;
        calibrate.range = self.range.unwrap_or(calibrate.range);
        calibrate.percentile = self.percentile.unwrap_or(calibrate.percentile);
        calibrate.bias_correction = self.bias_correction.unwrap_or(calibrate.bias_correction);
        recipe.overrides.extend(self.overrides.iter().map(|o| (o.layer.clone(), o.range.clone())));
        recipe.output.head = self.head.unwrap_or(recipe.output.head);
        recipe.output.cam |= self.cam_output;
        recipe.format.numbers = self.format.unwrap_or(recipe.format.numbers);
        recipe.format.rounding = self.rounding.unwrap_or(recipe.format.rounding);
        recipe.format.f16.extend(self.f16.iter().cloned());
        recipe.format.f16_native.extend(self.f16_native.iter().cloned());
        recipe.format.f16_winograd.extend(self.f16_winograd.iter().cloned());
        recipe.format.f32.extend(self.f32.iter().cloned());
        recipe.format.int16.extend(self.int16.iter().cloned());
        recipe.format.int16_weights.extend(self.int16_weights.iter().cloned());
        recipe.format.min_sqnr_db = self.min_sqnr_db.or(recipe.format.min_sqnr_db);
        if let Some(target) = &self.target {
            recipe.target.name.clone_from(target);
        }
        if let Some(board) = &self.board {
            let is_file = board.ends_with(".toml");
            recipe.target.board =
                Some(if is_file { here.join(board).to_string_lossy().into_owned() } else { board.clone() });
        }
        let target = &mut recipe.target;
        target.weights_section = self.weights_section.clone().or(target.weights_section.take());
        target.arena_section = self.arena_section.clone().or(target.arena_section.take());
        target.threads = self.threads.or(target.threads);
        if let Some(tuning) = &self.tuning {
            target.tuning = Some(here.join(tuning));
        }
        target.known_boards = networks().boards();
        recipe.validate()?;
        Ok(recipe)
    }
}

/// A recipe's file by position, and flags: for commands with no other positional argument.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct BuildArgs {
    /// Recipe file, the same as `--recipe`
    #[arg(value_name = "RECIPE", conflicts_with = "recipe")]
    file: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
}

impl BuildArgs {
    /// The recipe that file and flags make together.
    pub(crate) fn recipe(&self) -> Result<Recipe> {
        let recipe = self.file.clone().or(self.model.recipe.clone());
        ModelArgs { recipe, ..self.model.clone() }.recipe()
    }

    /// Builds it.
    pub(crate) fn build(&self) -> Result<Build> {
        let recipe = self.recipe()?;
        set_threads(&recipe)?;
        build_with_progress(&recipe)
    }
}

/// Starts the threads that a recipe asks for.
pub(crate) fn set_threads(recipe: &Recipe) -> Result<()> {
    let threads = recipe.target.threads.unwrap_or(1);
    niello_kernels::threads::set(threads)
        .map_err(|e| Error::Invalid(format!("cannot start {threads} threads: {e}")))
}

/// Builds a recipe; progress goes to standard error.
pub(crate) fn build_with_progress(recipe: &Recipe) -> Result<Build> {
    if let Some(prefix) = recipe.weights_path().and_then(|path| wrapper_prefix(&path)) {
        progress::note(&format!(
            "every tensor's name begins with `{prefix}`, as wrappers write them: read without it"
        ));
    }
    for (path, what) in recipe.skipped_files() {
        progress::note(&format!("{}: skipped: {what}", path.display()));
    }
    let int8 = recipe.format.numbers == NumberFormat::Int8;
    let mut step = Some(Step::new(if int8 { "calibrating" } else { "reading weights" }, 0));
    let built = build(recipe, networks(), |progress| match progress {
        Progress::Calibrating { done, total } => {
            step.iter().for_each(|step| step.set(done as u64, total as u64));
        }
        Progress::Lowering => {
            // The old one ends before the new one begins.
            drop(step.take());
            step = Some(Step::new("quantizing and planning memory", 0));
        }
    });
    drop(step);
    built.iter().flat_map(|build| &build.warnings).for_each(progress::warn);
    if let Some(advice) = built.as_ref().ok().and_then(|b| b.calibrated.as_ref()?.advice(&b.recipe)) {
        progress::note(&advice);
    }
    built
}

/// The largest number of classes; more than any network has.
const MAX_CLASSES: usize = 1 << 14;

/// Names from a list, or from a count: the network's own if it has as many.
fn class_names(network: &str, text: &str) -> Result<Vec<String>> {
    let text = text.trim();
    let number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-') && text.parse::<f64>().is_ok();
    if !number {
        return Ok(text.split(',').map(|name| name.trim().to_string()).collect());
    }
    let fits = |n: &usize| (1..=MAX_CLASSES).contains(n);
    let Some(n) = text.parse::<usize>().ok().filter(fits) else {
        return Err(Error::Invalid(format!("`--classes {text}`: expected 1 to {MAX_CLASSES} classes")));
    };
    let own = networks().find(network)?.default_classes();
    Ok(if own.len() == n {
        own.iter().map(|name| name.to_string()).collect()
    } else {
        (0..n).map(|i| format!("class {i}")).collect()
    })
}
