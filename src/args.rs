//! The build: a recipe, or the same by flags.

use crate::{
    networks,
    progress::{self, Step},
};
use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueHint,
    builder::{OsStringValueParser, TypedValueParser},
    parser::ValueSource,
    value_parser,
};
use niello_codegen::{
    Error, Result,
    lower::TARGETS,
    pipeline::{Build, Progress, build, find_network},
    recipe::{Key, NumberFormat, Recipe},
    weights::wrapper_prefix,
};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// A recipe, and flags that go over it: those of its keys, see [`Recipe::keys`].
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelArgs {
    recipe: Option<PathBuf>,
    recalibrate: bool,
    keys: Vec<(&'static Key, Vec<OsString>)>,
}

impl Args for ModelArgs {
    fn augment_args(command: Command) -> Command {
        let recipe =
            Arg::new("recipe").long("recipe").value_name("FILE").help("Recipe file (docs/recipes.md)");
        let recalibrate = Arg::new("recalibrate").long("recalibrate").action(ArgAction::SetTrue);
        let recalibrate = recalibrate.help("Calibrate, although there is a lock; `--calibrate` implies it");
        let mut args = vec![recipe.value_parser(value_parser!(PathBuf))];
        for key in Recipe::keys() {
            args.push(arg(key));
            if key.flag == "lock" {
                args.push(recalibrate.clone().conflicts_with("lock"));
            }
        }
        command.args(args.into_iter().map(|arg| arg.help_heading("What to build")))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// The flag of a key.
fn arg(key: &'static Key) -> Arg {
    let arg = Arg::new(key.flag).long(key.flag).help(key.help());
    if key.value.is_empty() {
        let arg = arg.action(ArgAction::SetTrue);
        return if key.flag == "seeded" { arg.conflicts_with("weights") } else { arg };
    }
    let parse = |text: OsString| key.set(&mut Recipe::default(), &text, Path::new("")).map(|()| text);
    let arg = arg
        .value_name(key.value)
        .action(if key.many { ArgAction::Append } else { ArgAction::Set })
        .value_hint(if key.file { ValueHint::AnyPath } else { ValueHint::Unknown })
        .value_parser(OsStringValueParser::new().try_map(parse));
    match key.flag {
        "classes" => arg.action(ArgAction::Set),
        "window" => arg.allow_hyphen_values(true),
        "bias-correction" => arg.value_parser(["true", "false"]),
        "target" => {
            let names: Vec<&str> = TARGETS.iter().map(|t| t.name).collect();
            arg.help(format!("{}, {}", key.help(), names.join(", ")))
        }
        _ => arg,
    }
}

impl FromArgMatches for ModelArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |key: &&Key| matches.value_source(key.flag) == Some(ValueSource::CommandLine);
        let values =
            |key: &Key| matches.get_raw(key.flag).into_iter().flatten().map(OsString::from).collect();
        Ok(Self {
            recipe: matches.get_one("recipe").cloned(),
            recalibrate: matches.get_flag("recalibrate"),
            keys: Recipe::keys().filter(given).map(|key| (key, values(key))).collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl ModelArgs {
    /// The recipe that file and flags make together.
    pub(crate) fn recipe(&self) -> Result<Recipe> {
        let given = |flag| self.keys.iter().any(|(key, _)| key.flag == flag);
        // Flags are relative to the current folder, a recipe's paths to its own.
        let (mut recipe, here) = match &self.recipe {
            Some(path) => {
                (Recipe::from_file(path)?, std::env::current_dir().map_err(Error::io("cannot find", "."))?)
            }
            None if given("model") => (Recipe::default(), PathBuf::new()),
            None => {
                return Err(Error::Invalid(
                    "nothing to build: give `--recipe FILE` or `--model NAME`".into(),
                ));
            }
        };
        for (key, values) in &self.keys {
            match key.flag {
                "weights" => recipe.seeded = false,
                "seeded" => recipe.weights = None,
                "calibrate" => recipe.calibrate.images = None,
                "preprocess" => {
                    // The text replaces the recipe's pre-processing with all of its options.
                    let input = std::mem::take(&mut recipe.input);
                    (recipe.input.size, recipe.input.channels) = (input.size, input.channels);
                }
                "classes" => {
                    recipe.classes = class_names(&recipe, &values[0].to_string_lossy())?;
                    continue;
                }
                _ => {}
            }
            values.iter().try_for_each(|value| key.set(&mut recipe, value, &here))?;
        }
        recipe.recalibrate = self.recalibrate || (given("calibrate") && !given("lock"));
        recipe.target.known_boards = networks().boards();
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
    // Only of a file in floating point the ranges are looked for, as will be seen.
    let mut is_file = recipe.model_path().is_some();
    let what = if is_file {
        "importing"
    } else if int8 {
        "calibrating"
    } else {
        "reading weights"
    };
    let mut step = Some(Step::new(what, 0));
    let built = build(recipe, networks(), |progress| match progress {
        Progress::Calibrating { done, total } => {
            if std::mem::take(&mut is_file) {
                drop(step.take());
                step = Some(Step::new("calibrating", 0));
            }
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
fn class_names(recipe: &Recipe, text: &str) -> Result<Vec<String>> {
    let text = text.trim();
    let number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-') && text.parse::<f64>().is_ok();
    if !number {
        return Ok(text.split(',').map(|name| name.trim().to_string()).collect());
    }
    let fits = |n: &usize| (1..=MAX_CLASSES).contains(n);
    let Some(n) = text.parse::<usize>().ok().filter(fits) else {
        return Err(Error::Invalid(format!("`--classes {text}`: expected 1 to {MAX_CLASSES} classes")));
    };
    let own = find_network(recipe, networks())?.default_classes();
    Ok(if own.len() == n {
        own.iter().map(|name| name.to_string()).collect()
    } else {
        (0..n).map(|i| format!("class {i}")).collect()
    })
}
