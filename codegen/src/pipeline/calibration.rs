//! How a build comes to the formats of its tensors: by calibrating, or from a lock.

use super::{Build, Progress, inputs::Inputs};
use crate::{
    Graph,
    error::{Error, Result},
    format::Format,
    import::network::Network,
    lock::{Lock, Origin},
    precision::{
        float,
        int16::{self, Wide},
    },
    quantize::{
        QGraph, QuantizeOptions, RangeMethod,
        calibrate::calibrate,
        ranges::{self, Ranges},
        with_ranges,
    },
    recipe::{RangeChoice, RangeOverride, Recipe, Rounding},
};
use std::path::Path;

/// Inputs of the calibration set that an error budget is held against.
const BUDGET_SAMPLES: usize = 4;

/// The source of a build's formats.
#[derive(Clone, Debug)]
pub struct Calibrated {
    /// Its origin.
    pub origin: Origin,
    /// The ranges.
    pub ranges: Ranges,
    /// The results and weights that an error budget gave 16 bits.
    pub wide: Wide,
    /// The lock that all of this was read from; `None` if the build calibrated.
    pub lock: Option<UsedLock>,
}

/// A lock that a build used.
#[derive(Clone, Debug)]
pub struct UsedLock {
    /// Its file, or `bundled …`.
    pub name: String,
    /// [`Lock::checksum`].
    pub checksum: String,
    /// The answers of the self-test, if this version of niello wrote them for the rounding of the build.
    pub answers: Option<Vec<u64>>,
}

impl Calibrated {
    /// Where the ranges come from, in one line.
    pub fn summary(&self) -> String {
        match &self.lock {
            Some(lock) => {
                format!("ranges from {} (sha256 {})", lock.name, crate::lock::short(&lock.checksum))
            }
            None => format!("ranges calibrated on {} inputs", self.origin.inputs.0),
        }
    }

    /// Advice for a user whose build calibrated on files: a lock makes that unnecessary.
    pub fn advice(&self, recipe: &Recipe) -> Option<String> {
        if self.lock.is_some() || self.origin.inputs.1.is_empty() || recipe.recalibrate {
            return None;
        }
        let file = recipe.file.as_ref()?.display();
        Some(format!(
            "{file}: calibrated on {} inputs, as there is no lock; `niello calibrate --recipe {file}` writes one, with which \
             builds need no calibration inputs and take seconds",
            self.origin.inputs.0
        ))
    }
}

impl Build {
    /// The rule that gave each value of the program its format, in a word or two, by index: a method of `calibrate.range`, an override, `operator`
    /// where one fixes it, `file` for a model file's own; empty in floating point.
    pub fn range_rules(&self) -> Vec<String> {
        let values = self.quantized.graph.values.len();
        let Some(calibrated) = &self.calibrated else {
            let rule = if self.has_scales_of_file() { "file" } else { "" };
            return vec![rule.into(); values];
        };
        let mut rules = ranges::rules(&self.quantized.graph, &calibrated.ranges, &options(&self.recipe));
        for (rule, format) in rules.iter_mut().zip(&self.quantized.formats) {
            if matches!(format, Format::Float(_)) {
                rule.clear();
            }
        }
        rules
    }
}

/// The lock of a recipe or of a network's bundled weights, with its name. A bundled one is only used where it matches: nobody asked for it.
///
/// # Errors
/// A lock of the recipe that cannot be read or does not match.
pub(super) fn find_lock<'a>(
    recipe: &Recipe,
    network: &dyn Network,
    origin: &Origin,
    set: impl Fn() -> Result<Inputs<'a>>,
) -> Result<Option<(String, Lock)>> {
    if let Some(path) = recipe.used_lock() {
        let lock = Lock::from_file(&path)?;
        // Inputs that are not named or not there cannot be compared with.
        let inputs = if recipe.lacks_images() { None } else { set().ok() };
        let hash = inputs.map(|inputs| inputs.sha256()).transpose()?;
        lock.check(origin, hash.as_deref()).map_err(|message| Error::file(&path, message))?;
        return Ok(Some((path.display().to_string(), lock)));
    }
    let plain = recipe.weights.is_none() && recipe.calibrate.images.is_none();
    let bundled = network.bundled().and_then(|bundled| bundled.lock);
    match bundled.filter(|_| plain && !recipe.seeded && !recipe.recalibrate) {
        Some((name, text)) => {
            let lock = Lock::parse(Path::new(name), text)?;
            Ok(lock.check(origin, None).is_ok().then(|| (format!("bundled {name}"), lock)))
        }
        None => Ok(None),
    }
}

/// The ranges of a network in floating point, which needs no calibration: from a lock of the same weights, or those that
/// the calibration set shows that the recipe names. `None` if it has neither.
///
/// # Errors
/// A set that cannot be read.
pub(super) fn seen_in_float<'a>(
    recipe: &Recipe,
    network: &dyn Network,
    graph: &Graph,
    weights: &str,
    set: impl Fn() -> Result<Inputs<'a>>,
    progress: &mut impl FnMut(Progress),
) -> Result<Option<Ranges>> {
    let bundled = network.bundled().and_then(|bundled| bundled.lock);
    let bundled = || bundled.and_then(|(name, text)| Lock::parse(Path::new(name), text).ok());
    let lock = recipe.used_lock().and_then(|path| Lock::from_file(&path).ok()).or_else(bundled);
    if let Some(lock) = lock.filter(|lock| lock.origin.weights.1 == weights && !recipe.recalibrate) {
        return Ok(Some(lock.known_ranges(graph)));
    }
    if recipe.lacks_images() {
        return Ok(None);
    }
    let set = set()?;
    let total = set.len();
    progress(Progress::Calibrating { done: 0, total });
    let seen = calibrate(graph, set.load(graph), |done| progress(Progress::Calibrating { done, total }))?;
    Ok(Some(Ranges::seen_by(graph, &seen)))
}

/// The graph in integers, but for what the recipe wants otherwise, as a lock says.
pub(super) fn locked(
    recipe: &Recipe,
    graph: Graph,
    (name, lock): (String, Lock),
) -> Result<(QGraph, Calibrated)> {
    let of_file = |error: Error| match error {
        Error::Invalid(message) => Error::file(&name, message),
        other => other,
    };
    let ranges = lock.ranges_of(&graph).map_err(of_file)?;
    let mut q = with_ranges(graph, &ranges, options(recipe).rounding).map_err(of_file)?;
    lock.correct(&mut q).map_err(of_file)?;
    int16::widen(&mut q, &ranges, &wide(recipe))?;
    int16::widen(&mut q, &ranges, &lock.wide).map_err(of_file)?;
    float::layers(&mut q, &recipe.format.modes()?)?;
    let checksum = lock.checksum();
    let Lock { origin, wide, mut answers, .. } = lock;
    let answers = answers.remove(recipe.format.rounding.name());
    let answers = answers.filter(|_| origin.niello == env!("CARGO_PKG_VERSION"));
    let used = UsedLock { name, checksum, answers };
    Ok((q, Calibrated { origin, ranges, wide, lock: Some(used) }))
}

/// The same by calibrating.
pub(super) fn calibrated(
    recipe: &Recipe,
    graph: Graph,
    set: &Inputs<'_>,
    origin: Origin,
    progress: &mut impl FnMut(Progress),
) -> Result<(QGraph, Calibrated)> {
    let total = set.len();
    progress(Progress::Calibrating { done: 0, total });
    let seen = calibrate(&graph, set.load(&graph), |done| progress(Progress::Calibrating { done, total }))?;
    progress(Progress::Lowering);
    let options = options(recipe);
    let ranges = Ranges::choose(&graph, &seen, &options)?;
    let mut q = with_ranges(graph, &ranges, options.rounding)?;
    if options.bias_correction {
        q.correct_by_means(&seen);
    }
    int16::widen(&mut q, &seen, &wide(recipe))?;
    let mut chosen = Wide::default();
    if let Some(budget) = recipe.format.min_sqnr_db {
        let samples = set.load(&q.graph).take(BUDGET_SAMPLES).collect::<Result<Vec<_>>>()?;
        chosen = int16::choose(&mut q, &seen, &samples, budget)?.wide;
    }
    float::layers(&mut q, &recipe.format.modes()?)?;
    let origin = Origin { inputs: (total, set.sha256()?), ..origin };
    Ok((q, Calibrated { origin, ranges, wide: chosen, lock: None }))
}

/// The results and weights that the recipe gives 16 bits.
fn wide(recipe: &Recipe) -> Wide {
    Wide {
        activations: recipe.format.int16.iter().cloned().collect(),
        weights: recipe.format.int16_weights.iter().cloned().collect(),
    }
}

fn options(recipe: &Recipe) -> QuantizeOptions {
    let method = |range: RangeChoice, percentile: f64| match range {
        RangeChoice::MinMax => RangeMethod::MinMax,
        RangeChoice::Percentile => RangeMethod::Percentile(percentile),
        RangeChoice::Mse => RangeMethod::LeastSquares,
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
            Rounding::FloatEven => niello_kernels::Rounding::FloatEven,
        },
    }
}
